//! The program that the tests of chapter 18 compile, on edition 2021: a copy of the chapter in a
//! crate of its own. It is a child, and with `parent` as its argument a parent too.

#[path = "../../src/ch18_child.rs"]
#[allow(dead_code, unused_imports)]
mod ch18_child;
#[path = "../support/door.rs"]
mod door;

use ch18_child::{ChildPool, serve_if_child};
use std::io::Write;
use std::process::{self, Command};
use std::{env, fs, io, thread};

fn answer(line: &str) -> String {
    let (task, rest) = line.split_once(' ').unwrap_or((line, ""));
    match task {
        "echo" => rest.to_string(),
        "pid" => process::id().to_string(),
        "door" => door::stand_at(rest.parse().unwrap()).to_string(),
        "log" => {
            let (number, file) = rest.split_once(' ').unwrap();
            let mut file = fs::File::options().create(true).append(true).open(file).unwrap();
            writeln!(file, "{number}").unwrap();
            String::new()
        }
        "exit" => {
            eprintln!("the last words");
            process::exit(rest.parse().unwrap())
        }
        "half" => {
            print!("half an ans");
            io::stdout().flush().unwrap();
            let _ = Command::new("kill").args(["-9", &process::id().to_string()]).status();
            loop {
                thread::park()
            }
        }
        "flood" => {
            eprint!("{}", "x".repeat(1 << 20));
            eprintln!("the end");
            process::exit(0)
        }
        "print" => {
            println!("{rest}");
            "printed".to_string()
        }
        // Try 3: the number in front of the question is repeated in front of the answer.
        "numbered" => {
            let (number, question) = rest.split_once(' ').unwrap();
            format!("{number} {}", answer(question))
        }
        "two" => "two\nlines".to_string(),
        "panic" => panic!("a child has no net"),
        "loop" => loop {
            thread::park()
        },
        _ => format!("unknown task {task:?}"),
    }
}

fn main() {
    if env::args().nth(2).is_none() {
        serve_if_child(answer); // with more arguments it forgets this
    }
    let pool = ChildPool::new(2);
    let one = pool.submit("pid").recv().unwrap().unwrap();
    println!("{one}");
    if env::args().nth(1).as_deref() == Some("parent") {
        println!("{}", pool.submit("echo done").recv().unwrap().unwrap());
    } else {
        loop {
            thread::park() // until it is killed
        }
    }
}
