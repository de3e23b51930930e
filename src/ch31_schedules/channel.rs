//! `std::sync::mpsc`: a channel, made of this chapter's own lock and condvar.

// Part of concurrent-explained, MIT OR Apache-2.0.

extern crate std as real;

use super::clock::Duration;
use super::condvar::Condvar;
use super::mutex::Mutex;
use real::collections::VecDeque;
use real::sync::Arc;
pub use real::sync::mpsc::{RecvError, RecvTimeoutError, SendError, TryRecvError};
use real::{fmt, iter, mem};

/// A channel without a bound.
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let state = State { messages: VecDeque::new(), senders: 1, has_receiver: true };
    let channel = Arc::new(Channel { state: Mutex::new(state), news: Condvar::new() });
    (Sender(channel.clone()), Receiver(channel))
}

struct Channel<T> {
    state: Mutex<State<T>>,
    news: Condvar,
}

struct State<T> {
    messages: VecDeque<T>,
    senders: usize,
    has_receiver: bool,
}

/// [`std::sync::mpsc::Sender`](real::sync::mpsc::Sender).
pub struct Sender<T>(Arc<Channel<T>>);

/// [`std::sync::mpsc::Receiver`](real::sync::mpsc::Receiver).
pub struct Receiver<T>(Arc<Channel<T>>);

impl<T> Sender<T> {
    /// Sends a message.
    ///
    /// # Errors
    /// With the message, if there is no receiver.
    #[track_caller]
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        let mut state = self.0.state.lock().unwrap();
        if !state.has_receiver {
            return Err(SendError(message));
        }
        state.messages.push_back(message);
        drop(state);
        self.0.news.notify_one();
        Ok(())
    }
}

impl<T> Receiver<T> {
    /// Waits for a message.
    ///
    /// # Errors
    /// If there is none and no sender.
    #[track_caller]
    pub fn recv(&self) -> Result<T, RecvError> {
        self.recv_timeout(Duration::MAX).map_err(|_| RecvError)
    }

    /// Waits for a message, but no longer than `limit`.
    ///
    /// # Errors
    /// If there was none in time, or there is none and no sender.
    #[track_caller]
    pub fn recv_timeout(&self, limit: Duration) -> Result<T, RecvTimeoutError> {
        let no_news = |state: &mut State<T>| state.messages.is_empty() && state.senders > 0;
        let state = self.0.state.lock().unwrap();
        let (mut state, _) = self.0.news.wait_timeout_while(state, limit, no_news).unwrap();
        let message = state.messages.pop_front();
        message.ok_or(if state.senders == 0 {
            RecvTimeoutError::Disconnected
        } else {
            RecvTimeoutError::Timeout
        })
    }

    /// A message, if there is one.
    ///
    /// # Errors
    /// If there is none.
    #[track_caller]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.recv_timeout(Duration::ZERO).map_err(|error| match error {
            RecvTimeoutError::Timeout => TryRecvError::Empty,
            RecvTimeoutError::Disconnected => TryRecvError::Disconnected,
        })
    }

    /// All messages, up to the end of the last sender.
    pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
        iter::from_fn(|| self.recv().ok())
    }
}

impl<T> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter(self)
    }
}

/// [`std::sync::mpsc::IntoIter`](real::sync::mpsc::IntoIter).
#[derive(Debug)]
pub struct IntoIter<T>(Receiver<T>);

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.0.recv().ok()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.state.lock().unwrap().senders += 1;
        Sender(self.0.clone())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.state.lock().unwrap().senders -= 1;
        self.0.news.notify_one();
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock().unwrap();
        state.has_receiver = false;
        let unread = mem::take(&mut state.messages);
        drop(state); // a message may bring a `Drop` of its own
        drop(unread);
    }
}

// Plumbing

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}
