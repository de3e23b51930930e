//! Look at the two programs that are not of the same age: each reads what the other one has
//! written. Then at what is not a number or a text: maps, paths, times.
//!
//! Expected output:
//!
//! ```text
//! a pair, and a field more:
//!   ["a.txt",12] read by a worker of yesterday: a.txt, 12 bytes
//!   ["a.txt",12,true]: column 12: expected `]`, found ",true]"
//!
//! a record, and a field more:
//!   {"path":"a.txt","size":12,"urgent":true}
//!   read by a worker of yesterday: a.txt, 12 bytes
//!   {"path":"b.txt","size":7}
//!   read by a worker of today: b.txt, 7 bytes, urgent: None
//!   {"path":"c.txt"}
//!   column 1: expected an object with "size", found "{\"path\":\"c.txt\"}"
//!
//! an enum:
//!   ["Copy",{"path":"a.txt","size":12},"b.txt"]
//!   ["Stop"]
//!   ["Print"]
//!   column 2: expected one of Copy Stop, found "\"Print\"]"
//!
//! and the rest:
//!   {"one":[1],"two":[1,2]}
//!   [[1,"one"],[2,"two"]]
//!   ["x",1.5,"/tmp/a b.txt"]
//! ```

// One line brings in all that `wire!` writes. In a copy: `use super::ch20_records::*;`.
use concurrent_explained::ch20_records::*;
use concurrent_explained::{from_line, to_line};
use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

mod yesterday {
    use concurrent_explained::ch20_records::*;

    pub(crate) struct Job {
        pub(crate) path: String,
        pub(crate) size: u64,
    }
    wire!(struct Job { path, size });

    pub(crate) enum Order {
        Copy(Job, String),
        Stop,
    }
    wire!(
        enum Order {
            Copy(job, to),
            Stop,
        }
    );
}

mod today {
    use concurrent_explained::ch20_records::*;

    pub(crate) struct Job {
        pub(crate) path: String,
        pub(crate) size: u64,
        /// New, and so an `Option`: those of yesterday do not send it.
        pub(crate) urgent: Option<bool>,
    }
    wire!(struct Job { path, size, urgent });
}

fn main() {
    let _ = io::stdout().write_all(story().as_bytes()); // an error: nobody reads it
}

fn story() -> String {
    let mut story = "a pair, and a field more:\n".to_string();
    let line = to_line(&("a.txt".to_string(), 12));
    let (path, size) = from_line::<(String, u64)>(&line).unwrap();
    story += &format!("  {line} read by a worker of yesterday: {path}, {size} bytes\n");
    let line = to_line(&("a.txt".to_string(), 12, true));
    story += &format!("  {line}: {}\n", from_line::<(String, u64)>(&line).unwrap_err());

    story += "\na record, and a field more:\n";
    let line = to_line(&today::Job { path: "a.txt".into(), size: 12, urgent: Some(true) });
    let job = from_line::<yesterday::Job>(&line).unwrap();
    story +=
        &format!("  {line}\n  read by a worker of yesterday: {}, {} bytes\n", job.path, job.size);
    let line = to_line(&yesterday::Job { path: "b.txt".into(), size: 7 });
    let job = from_line::<today::Job>(&line).unwrap();
    story += &format!("  {line}\n  read by a worker of today: ");
    story += &format!("{}, {} bytes, urgent: {:?}\n", job.path, job.size, job.urgent);
    story += &refused::<yesterday::Job>(r#"{"path":"c.txt"}"#);

    story += "\nan enum:\n";
    let job = yesterday::Job { path: "a.txt".into(), size: 12 };
    story += &format!("  {}\n", to_line(&yesterday::Order::Copy(job, "b.txt".into())));
    story += &format!("  {}\n", to_line(&yesterday::Order::Stop));
    story += &refused::<yesterday::Order>(r#"["Print"]"#);

    story += "\nand the rest:\n";
    let words = BTreeMap::from([("one".to_string(), vec![1]), ("two".to_string(), vec![1, 2])]);
    let numbers = BTreeMap::from([(1, "one".to_string()), (2, "two".to_string())]);
    let others = ('x', Duration::from_millis(1500), PathBuf::from("/tmp/a b.txt"));
    story += &format!("  {}\n  {}\n  {}\n", to_line(&words), to_line(&numbers), to_line(&others));
    story
}

/// A line that is no `T`, and why.
fn refused<T: Wire>(line: &str) -> String {
    let error = from_line::<T>(line).err().expect("it is refused");
    format!("  {line}\n  {error}\n")
}
