//! The thread at a worker's standard input.

use super::super::ch21_protocol::{CAPACITY, RECALL};
use super::Shared;
use super::call::Call;
use super::seat::Fate;
use std::io::{ErrorKind, Write};
use std::mem;
use std::process::ChildStdin;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

/// How often a feeder looks again before it sleeps: whoever submits next need not wake it then.
const LOOKS: u32 = 10;

impl Shared {
    /// Writes requests for as long as the process in seat `me` is to get any, then closes its input.
    pub(super) fn feed(self: &Arc<Self>, me: usize, generation: u64, mut stdin: ChildStdin) {
        let mut lines = String::new();
        while let Some(given) = self.next_requests(me, generation) {
            lines.clear();
            lines.shrink_to(CAPACITY);
            let mut ends = Vec::with_capacity(given.len());
            for call in &given {
                call.write_request(&mut lines);
                ends.push(lines.len());
            }
            if given.is_empty() {
                lines.push_str(RECALL);
                lines.push('\n');
            }
            let written = write_counted(&mut stdin, lines.as_bytes());
            let mut state = self.state();
            let Some(seat) = state.seat(me, generation) else { return };
            seat.writing = None;
            // What was cut short was not begun; it can go to another worker.
            let sent = ends.partition_point(|&end| end <= written);
            seat.unsent = (given.len() - sent).min(seat.flights.len());
            if written < lines.len() {
                drop(state);
                return self.doom(me, generation, Fate::Gone("it closed its input"));
            }
        }
    }

    /// Waits for calls to give to the process in seat `me`; an empty list is a recall, `None` the end.
    fn next_requests(self: &Arc<Self>, me: usize, generation: u64) -> Option<Vec<Arc<dyn Call>>> {
        let mut state = self.state();
        let mut looks = 0;
        loop {
            let seat = state.seat(me, generation)?;
            if seat.fate.is_some() {
                return None;
            }
            if mem::take(&mut seat.recall) && seat.flights.len() > 1 {
                seat.was_recalled = true;
                seat.window = 1; // what went out behind the recall would not come back
                seat.writing = Some(Instant::now());
                return Some(Vec::new());
            }
            let given = state.give(me, self.most_tasks);
            let over = state.is_over();
            let seat = &mut state.seats[me];
            if !given.is_empty() {
                if mem::take(&mut seat.keeper_asleep) {
                    self.desks[me].keeper.notify_one();
                }
                self.find_help(state); // for what this worker leaves
                return Some(given);
            }
            if over || seat.is_spent(self.most_tasks) {
                seat.leaving = Some(Instant::now());
                self.desks[me].keeper.notify_one();
                self.find_help(state); // the last of the queue may have been a cancelled call
                return None;
            }
            if looks < LOOKS {
                looks += 1;
                drop(state);
                thread::yield_now();
                state = self.state();
                continue;
            }
            seat.feeder_asleep = true;
            state = self.desks[me].feeder.wait(state).unwrap();
            state.seat(me, generation)?.feeder_asleep = false;
        }
    }
}

/// Writes as much as the pipe's other end takes before it is closed, and says how much that was.
fn write_counted(pipe: &mut impl Write, bytes: &[u8]) -> usize {
    let mut written = 0;
    while written < bytes.len() {
        match pipe.write(&bytes[written..]) {
            Ok(0) => break,
            Ok(count) => written += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    written
}
