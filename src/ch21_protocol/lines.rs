//! Lines, and whose they are: what comes down a pipe is cut into messages and output.

use super::{LIMIT, MARK};
use std::io::{self, BufRead, ErrorKind, Read};

/// How much room a buffer keeps from one line to the next, in bytes. Memory that is allocated anew
/// for each long line is mapped anew as well, page by page, which takes longer than to copy the line.
pub const ROOM: usize = 2 << 20;

/// A piece of what came down a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// What the task printed, as it came.
    Output(&'a [u8]),
    /// A message without mark, seal and newline; or a request.
    Message(&'a str),
    /// A line over the limit, with its id if that can be told. The rest of it is skipped.
    TooLong(Option<u64>),
    /// A message that is not UTF-8, with its id if that can be told.
    NotText(Option<u64>),
    /// A message that the end of the file cuts short.
    Torn(&'a [u8]),
}

/// Splits what a worker writes into messages and output, or what a worker reads into requests.
///
/// # Examples
/// ```
/// use concurrent_explained::{Incoming, Lines, Message};
///
/// let mut lines = Lines::from_worker("thinking \x1e7 ok 144\n".as_bytes(), None);
/// assert_eq!(lines.read().unwrap(), Some(Incoming::Output(b"thinking ")));
/// let Some(Incoming::Message(text)) = lines.read().unwrap() else { panic!() };
/// assert_eq!(Message::parse(text), Ok(Message::Reply { id: 7, outcome: Ok("144") }));
/// assert_eq!(lines.read().unwrap(), None);
/// ```
#[derive(Debug)]
pub struct Lines<R> {
    input: R,
    /// What a message starts with. Empty: every line is one.
    opening: String,
    /// The longest line that is read, in bytes, all included; [`LIMIT`] at first.
    pub limit: usize,
    /// The piece of output or the line that was read last. It keeps [`ROOM`].
    line: Vec<u8>,
    /// How much of it was handed out: less than all if it was output and a message.
    done: usize,
}

impl<R: BufRead> Lines<R> {
    /// What a worker with this `seal` writes.
    pub fn from_worker(input: R, seal: Option<&str>) -> Self {
        let opening = seal.map_or(MARK.to_string(), |seal| format!("{MARK}{seal} "));
        Lines { opening, ..Lines::from_parent(input) }
    }

    /// What a parent writes: every line is a [`Incoming::Message`], and there is no output.
    pub fn from_parent(input: R) -> Self {
        Lines { input, opening: String::new(), limit: LIMIT, line: Vec::new(), done: 0 }
    }

    /// The next piece; `None` at the end of the file.
    ///
    /// # Blocks
    /// Until there is output, or a whole line, or the end of the file.
    ///
    /// # Errors
    /// Those of the pipe, but for `Interrupted`. What was read of a line by then is lost.
    pub fn read(&mut self) -> io::Result<Option<Incoming<'_>>> {
        let (plain, mark) = (self.opening.is_empty(), |byte: &u8| *byte == MARK as u8);
        if self.done == self.line.len() {
            self.done = 0;
            self.line.clear();
            self.line.shrink_to(ROOM);
            let bytes = match self.input.fill_buf() {
                Err(error) if error.kind() == ErrorKind::Interrupted => return self.read(),
                bytes => bytes?,
            };
            // I1: what is there up to the next mark goes out at once.
            let scan = if plain { 0 } else { bytes.len() };
            self.done = bytes[..scan].iter().position(mark).unwrap_or(scan);
            if self.done > 0 || bytes.is_empty() {
                self.line.extend_from_slice(&bytes[..self.done]);
                self.input.consume(self.done);
                return Ok(Some(Incoming::Output(&self.line)).filter(|_| self.done > 0));
            }
            // I5, I6: a line, or as much of it as the limit allows, or all there is before the end.
            self.input.by_ref().take(self.limit.max(1) as u64).read_until(b'\n', &mut self.line)?;
        }
        let line = &self.line[self.done..];
        // I2: a mark further on ends what looked like a message before it. There is hardly ever one, and
        // `contains` is quick to say so.
        let further = line.get(1..).filter(|further| !plain && further.contains(&(MARK as u8)));
        let last = further.and_then(|further| further.iter().rposition(mark)).map(|at| at + 1);
        self.done += last.unwrap_or(line.len());
        let text = if plain { Some(line) } else { line.strip_prefix(self.opening.as_bytes()) };
        let text = text.filter(|_| last.is_none());
        // I4: up to the space, for the limit may have cut the number itself.
        let head = |t: &[u8]| t.iter().position(|byte| *byte == b' ');
        let id = |t: &[u8]| str::from_utf8(&t[..head(t)?]).ok()?.parse().ok();
        Ok(Some(match (text, text.and_then(|text| text.strip_suffix(b"\n"))) {
            (None, _) => Incoming::Output(&line[..last.unwrap_or(line.len())]),
            (_, Some(text)) => match str::from_utf8(text) {
                Ok(text) => Incoming::Message(text),
                Err(_) => Incoming::NotText(id(text)),
            },
            (Some(text), None) if self.line.len() < self.limit => Incoming::Torn(text),
            (Some(text), None) => {
                self.input.skip_until(b'\n')?;
                Incoming::TooLong(id(text))
            }
        }))
    }
}
