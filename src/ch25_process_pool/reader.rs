//! The threads at a worker's two outputs.

use super::super::ch09_outcome::Error;
use super::super::ch19_wire::{Decoded, Ignored, Reader, Wire, entries, from_line};
use super::super::ch21_protocol::{ErrKind, Incoming, Lines, Message, VERSION};
use super::Shared;
use super::seat::{Fate, Seat};
use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::mem;
use std::process::{ChildStderr, ChildStdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// How much is kept of a worker's last words, in bytes.
const LAST_WORDS: usize = 4096;
/// So many unanswered calls keep a worker busy for longer than a [`NAP`]; only quick tasks are given so many.
const PLENTY: usize = 256;
const NAP: Duration = Duration::from_micros(100);

/// What the reader and the echo of one process leave for its keeper.
#[derive(Default)]
pub(super) struct Words {
    /// What the worker said that was no answer, the last of it.
    last: Mutex<Vec<u8>>,
    /// The reader has something in hand; otherwise it waits at the pipe.
    pub(super) reading: AtomicBool,
}

impl Words {
    fn note(&self, bytes: &[u8]) {
        let mut last = self.last.lock().unwrap();
        last.extend_from_slice(&bytes[bytes.len().saturating_sub(LAST_WORDS)..]);
        let surplus = last.len().saturating_sub(LAST_WORDS);
        last.drain(..surplus);
    }

    pub(super) fn last(&self) -> String {
        String::from_utf8_lossy(&self.last.lock().unwrap()).trim_end().to_owned()
    }
}

/// Hands on what a worker writes to standard error, and keeps the last of it.
pub(super) fn echo(mut stderr: ChildStderr, words: &Words) {
    let mut buffer = [0; 4096];
    loop {
        match stderr.read(&mut buffer) {
            Ok(count @ 1..) => {
                words.note(&buffer[..count]);
                let _ = io::stderr().write_all(&buffer[..count]);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return,
        }
    }
}

/// The output of a worker, read many answers at a time while plenty are due: to be woken for each would cost more than
/// a quick task.
struct Patient {
    stdout: ChildStdout,
    shared: Arc<Shared>,
    me: usize,
    generation: u64,
}

impl Read for Patient {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let plenty = |seat: &mut Seat| seat.flights.len() >= PLENTY;
        if self.shared.state().seat(self.me, self.generation).is_some_and(plenty) {
            thread::sleep(NAP);
        }
        self.stdout.read(buffer)
    }
}

impl Shared {
    /// Reads what the process in seat `me` writes, to the end.
    pub(super) fn read(
        self: &Arc<Self>,
        me: usize,
        generation: u64,
        stdout: ChildStdout,
        words: &Words,
    ) {
        let input = Patient { stdout, shared: self.clone(), me, generation };
        let input = BufReader::with_capacity(64 * 1024, input);
        let mut lines = Lines::from_worker(input, self.seal.as_deref());
        lines.limit = self.tasks.limit.map_or(lines.limit, |limit| limit.max(LAST_WORDS));
        let mut ready = false;
        // The id is outside of the payload: an answer that cannot be read fails its call alone.
        let unread = |id, why: &str| {
            let outcome = Err((ErrKind::TooLong, format!("the answer is {why}")));
            self.hear(me, generation, Message::Reply { id, outcome })
        };
        let fate = loop {
            words.reading.store(false, Ordering::Relaxed);
            let piece = lines.read();
            words.reading.store(true, Ordering::Relaxed);
            let heard = match piece {
                Ok(Some(Incoming::Output(bytes))) => {
                    if !ready {
                        words.note(bytes);
                    }
                    let _ = io::stdout().write_all(bytes).and_then(|()| io::stdout().flush());
                    Ok(())
                }
                Ok(Some(Incoming::Message(text))) => {
                    ready = true;
                    Message::parse(text).and_then(|message| self.hear(me, generation, message))
                }
                Ok(Some(Incoming::Unreadable(Some(id), _, why))) => unread(id, why),
                Ok(Some(Incoming::Unreadable(None, _, why))) => {
                    Err(format!("it sent a message that is {why}"))
                }
                Ok(Some(Incoming::Torn(_))) => Ok(()), // the end of the file comes next
                Ok(None) => break Fate::Gone("it closed its output"),
                Err(_) => break Fate::Gone("its output cannot be read"),
            };
            if let Err(cause) = heard {
                break Fate::Unfit(cause);
            }
        };
        words.reading.store(false, Ordering::Relaxed);
        self.doom(me, generation, fate);
    }

    /// Acts on a message of the process in seat `me`.
    ///
    /// # Errors
    /// What is wrong with it.
    fn hear(
        self: &Arc<Self>,
        me: usize,
        generation: u64,
        message: Message<'_>,
    ) -> Result<(), String> {
        let mut state = self.state();
        let Some(seat) = state.seat(me, generation) else { return Ok(()) };
        let (id, outcome) = match message {
            Message::StillHere => return Ok(()),
            Message::Ready { .. } if seat.ready.is_some() => {
                return Err("it was ready twice".to_owned());
            }
            Message::Ready { version, .. } if version != VERSION => {
                return Err(format!("it speaks version {version} of the protocol, not {VERSION}"));
            }
            Message::Ready { about, .. } => {
                let about = if about.is_empty() { "{}" } else { about };
                let lookahead = from_line(about).map_err(|error| format!("ready: {error}"))?;
                let Lookahead(lookahead) = lookahead;
                seat.ready = Some(lookahead.max(1));
                state.failed_starts = 0;
                drop(state);
                self.desks[me].feeder.notify_one();
                return Ok(());
            }
            Message::Reply { id, outcome } => (id, outcome),
        };
        let outcome = match outcome {
            Err((ErrKind::FailedStart, cause)) if seat.ready.is_none() => {
                drop(state);
                self.break_down(format!("the initializer of a worker failed: {cause}"));
                return Err(format!("its initializer failed: {cause}"));
            }
            Err((ErrKind::Returned, _)) => {
                let settled = state.returned(me, id)?.into_iter().collect();
                self.desks[me].keeper.notify_one(); // it may wait for that, to stop the one in front
                self.settle(state, settled);
                return Ok(());
            }
            Err((ErrKind::Panicked, message)) => Err(Error::Panicked { message: message.into() }),
            Err((_, reason)) => Err(Error::Refused { reason: reason.into() }),
            Ok(result) => Ok(result),
        };
        let call = state.answered(me, id)?;
        let seat = &mut state.seats[me];
        if seat.is_spent(self.most_tasks) && mem::take(&mut seat.feeder_asleep) {
            self.desks[me].feeder.notify_one();
        }
        if !seat.condemned.is_empty() {
            self.desks[me].keeper.notify_one();
        }
        self.find_help(state);
        call.settle(outcome);
        Ok(())
    }
}

/// How many requests a worker will hold: what is read of its `ready`.
struct Lookahead(usize);

impl Wire for Lookahead {
    fn encode(&self, _: &mut String) {}

    fn decode(input: &mut Reader<'_>) -> Decoded<Self> {
        let mut lookahead = Lookahead(1);
        entries(input, |key: String, input| {
            match key.as_str() {
                "lookahead" => lookahead.0 = input.item()?,
                _ => _ = input.item::<Ignored>()?,
            }
            Ok(())
        })?;
        Ok(lookahead)
    }
}
