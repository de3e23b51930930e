//! A door at which tasks stand, in this process or another, until a test lets them through.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file is a crate of its own and uses the part it needs"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process;

/// Made by a test. Its number is the argument that brings a task here.
pub struct Door(TcpListener);

impl Door {
    pub fn new() -> Door {
        Door(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap())
    }

    pub fn number(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    /// Blocks until a task stands at the door.
    pub fn guest(&self) -> Guest {
        let mut stream = BufReader::new(self.0.accept().unwrap().0);
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        Guest { pid: line.trim().parse().unwrap(), stream }
    }

    /// True if nobody stands there.
    pub fn is_lonely(&self) -> bool {
        self.0.set_nonblocking(true).unwrap();
        let lonely = self.0.accept().is_err();
        self.0.set_nonblocking(false).unwrap();
        lonely
    }
}

/// A task at the door. It passes when the guest is dropped.
pub struct Guest {
    /// Its process.
    pub pid: u32,
    stream: BufReader<TcpStream>,
}

impl Guest {
    pub fn pass(self) {}

    /// Blocks until the task is gone without having passed: its process is dead.
    pub fn dies(mut self) {
        let _ = self.stream.read_to_end(&mut Vec::new());
    }
}

/// The task: stands at a door until it may pass, and tells its process.
pub fn stand_at(door: u16) -> u32 {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, door)).unwrap();
    writeln!(stream, "{}", process::id()).unwrap();
    let _ = stream.read(&mut [0]);
    process::id()
}
