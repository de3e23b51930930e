//! `std::sync::mpsc`: a channel, made of this chapter's own lock and condvar.
//!
//! So it needs nothing of the explorer's: its steps are those of the lock and the condvar.

// Part of concurrent-explained, MIT OR Apache-2.0.

extern crate std as real;

use super::clock::Duration;
use super::condvar::Condvar;
use super::lock::Mutex;
use real::collections::VecDeque;
use real::iter;
use real::sync::Arc;
pub use real::sync::mpsc::{RecvError, RecvTimeoutError, SendError};

/// A channel without a bound.
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let state = Mutex::new(State { messages: Some(VecDeque::new()), senders: 1 });
    let channel = Arc::new(Channel { state, news: Condvar::new() });
    (Sender(channel.clone()), Receiver(channel))
}

#[derive(Debug)]
struct Channel<T> {
    state: Mutex<State<T>>,
    news: Condvar,
}

#[derive(Debug)]
struct State<T> {
    /// `None` once nobody can receive them.
    messages: Option<VecDeque<T>>,
    senders: usize,
}

/// [`std::sync::mpsc::Sender`](real::sync::mpsc::Sender).
#[derive(Debug)]
pub struct Sender<T>(Arc<Channel<T>>);

/// [`std::sync::mpsc::Receiver`](real::sync::mpsc::Receiver).
#[derive(Debug)]
pub struct Receiver<T>(Arc<Channel<T>>);

impl<T> Sender<T> {
    /// Sends a message.
    ///
    /// # Errors
    /// With the message, if there is no receiver.
    #[track_caller]
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        match &mut self.0.state.lock().unwrap().messages {
            Some(messages) => messages.push_back(message),
            None => return Err(SendError(message)),
        }
        self.0.news.notify_one(); // one receiver, so one is all that can sleep
        Ok(())
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.state.lock().unwrap().senders += 1;
        Sender(self.0.clone())
    }
}

impl<T> Drop for Sender<T> {
    /// The receiver must hear of it: after the last sender nothing else comes.
    fn drop(&mut self) {
        self.0.state.lock().unwrap().senders -= 1;
        self.0.news.notify_one();
    }
}

impl<T> Receiver<T> {
    /// Waits for a message.
    ///
    /// # Blocks
    /// Until there is one, or no sender.
    ///
    /// # Errors
    /// If there is none and no sender.
    #[track_caller]
    pub fn recv(&self) -> Result<T, RecvError> {
        self.recv_timeout(Duration::MAX).map_err(|_| RecvError)
    }

    /// Waits for a message, but no longer than `limit`.
    ///
    /// # Blocks
    /// Until there is one, or no sender, or the limit has run out.
    ///
    /// # Errors
    /// If there was none in time, or there is none and no sender.
    #[track_caller]
    pub fn recv_timeout(&self, limit: Duration) -> Result<T, RecvTimeoutError> {
        let no_news = |state: &mut State<T>| {
            state.messages.as_ref().is_none_or(VecDeque::is_empty) && state.senders > 0
        };
        let state = self.0.state.lock().unwrap();
        let (mut state, _) = self.0.news.wait_timeout_while(state, limit, no_news).unwrap();
        // The messages first: those of a sender that has gone are not lost.
        let message = state.messages.as_mut().and_then(VecDeque::pop_front);
        message.ok_or(match state.senders {
            0 => RecvTimeoutError::Disconnected,
            _ => RecvTimeoutError::Timeout,
        })
    }

    /// All messages, up to the end of the last sender.
    pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
        iter::from_fn(|| self.recv().ok())
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let unread = self.0.state.lock().unwrap().messages.take();
        drop(unread); // the mutex is free: a message may bring a `Drop` of its own
    }
}
