//! Channels: many senders, one receiver. The death of either side is seen at once by the other.
//!
//! Sending to a receiver that does not sleep, and receiving what is there, costs no call.
//!
//! ```
//! use swos_ulib::sync::mpsc::{RecvError, SendError, channel, sync_channel};
//!
//! let (sender, receiver) = channel();
//! let other = sender.clone();
//! std::thread::spawn(move || other.send(1)).join().unwrap()?;
//! sender.send(2)?;
//! drop(sender);
//! assert!(receiver.iter().eq([1, 2]));
//! assert_eq!(receiver.recv(), Err(RecvError));
//!
//! let (sender, receiver) = sync_channel(1);
//! sender.send(3)?;
//! drop(receiver);
//! assert_eq!(sender.send(4), Err(SendError(4)));
//! # Ok::<(), SendError<i32>>(())
//! ```

use alloc::{collections::VecDeque, sync::Arc};
use core::{cell::Cell, marker::PhantomData, mem, time::Duration};

use swos_rt::lock::{Condvar, Mutex, MutexGuard, WaitOutcome};

use super::deadline::Deadline;

mod error;
mod iter;

pub use error::{RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError};
pub use iter::{IntoIter, Iter, TryIter};

/// A channel without a bound: a send never waits.
#[must_use]
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let shared = Shared::new(usize::MAX);
    (Sender { inner: SyncSender { shared: Arc::clone(&shared) } }, Receiver::new(shared))
}

/// A channel for `bound` messages: a send waits while so many are under way. With a bound of 0 it waits until its message is
/// received.
#[must_use]
pub fn sync_channel<T>(bound: usize) -> (SyncSender<T>, Receiver<T>) {
    let shared = Shared::new(bound);
    (SyncSender { shared: Arc::clone(&shared) }, Receiver::new(shared))
}

/// What both sides share.
#[derive(Debug)]
struct Shared<T> {
    bound: usize,
    state: Mutex<State<T>>,
    /// The receiver waits here for a message or the end of the last sender.
    filled: Condvar,
    /// Senders wait here for room or the end of the receiver.
    room: Condvar,
    /// With a bound of 0, the sender waits here until its message is received, or for the end of the receiver.
    taken: Condvar,
}

#[derive(Debug)]
struct State<T> {
    queue: VecDeque<T>,
    senders: usize,
    receiver: ReceiverState,
    senders_waiting: usize,
    /// Messages that ever came into the queue, and that the receiver took.
    sent: u64,
    received: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ReceiverState {
    Busy,
    /// Sleeps, and nobody notified it since.
    Waiting,
    Gone,
}

impl<T> State<T> {
    /// Appends the message. What the receiver was doing: who gave the lock back notifies one that waits.
    #[must_use]
    fn push(&mut self, message: T) -> ReceiverState {
        self.queue.push_back(message);
        self.sent += 1;
        self.rouse()
    }

    /// What the receiver was doing; one that waited no longer counts as waiting, so that it is notified once.
    #[must_use]
    fn rouse(&mut self) -> ReceiverState {
        let was = self.receiver;
        if was == ReceiverState::Waiting {
            self.receiver = ReceiverState::Busy;
        }
        was
    }
}

impl<T> Shared<T> {
    fn new(bound: usize) -> Arc<Self> {
        let state = State {
            queue: VecDeque::new(),
            senders: 1,
            receiver: ReceiverState::Busy,
            senders_waiting: 0,
            sent: 0,
            received: 0,
        };
        Arc::new(Self {
            bound,
            state: Mutex::new(state),
            filled: Condvar::new(),
            room: Condvar::new(),
            taken: Condvar::new(),
        })
    }

    /// Takes the oldest message and wakes who waited for that.
    fn pop(&self, mut state: MutexGuard<'_, State<T>>) -> Result<T, TryRecvError> {
        let Some(message) = state.queue.pop_front() else {
            let dead = state.senders == 0;
            return Err(if dead { TryRecvError::Disconnected } else { TryRecvError::Empty });
        };
        state.received += 1;
        let waiting = state.senders_waiting != 0;
        drop(state);
        if self.bound == 0 {
            self.taken.notify_all();
        }
        if waiting {
            self.room.notify_one();
        }
        Ok(message)
    }

    fn send(&self, message: T) -> Result<(), SendError<T>> {
        let mut state = self.state.lock();
        // With a bound of 0 one message at a time lies there, while its sender waits.
        while state.receiver != ReceiverState::Gone && state.queue.len() >= self.bound.max(1) {
            state.senders_waiting += 1;
            state = self.room.wait(state);
            state.senders_waiting -= 1;
        }
        if state.receiver == ReceiverState::Gone {
            return Err(SendError(message));
        }
        let number = state.sent;
        let receiver = state.push(message);
        if self.bound == 0 {
            self.notify(receiver);
            return self.wait_taken(state, number);
        }
        drop(state);
        self.notify(receiver);
        Ok(())
    }

    /// Wakes the receiver, if that is what it was doing.
    fn notify(&self, receiver: ReceiverState) {
        if receiver == ReceiverState::Waiting {
            self.filled.notify_one();
        }
    }

    fn wait_taken(&self, mut state: MutexGuard<'_, State<T>>, number: u64) -> Result<(), SendError<T>> {
        while state.received <= number {
            if state.receiver == ReceiverState::Gone {
                // The only message there is ours: the receiver leaves it, and nobody sends to one that is gone.
                return state.queue.pop_front().map_or(Ok(()), |message| Err(SendError(message)));
            }
            state = self.taken.wait(state);
        }
        Ok(())
    }

    fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        let mut state = self.state.lock();
        let room = match self.bound {
            0 => state.queue.is_empty() && state.receiver == ReceiverState::Waiting,
            bound => state.queue.len() < bound,
        };
        if state.receiver == ReceiverState::Gone {
            return Err(TrySendError::Disconnected(message));
        }
        if !room {
            return Err(TrySendError::Full(message));
        }
        let receiver = state.push(message);
        drop(state);
        self.notify(receiver);
        Ok(())
    }

    fn recv(&self, deadline: Deadline) -> Result<T, RecvTimeoutError> {
        let mut state = self.state.lock();
        let mut outcome = WaitOutcome::Notified;
        // Also after the time ran out: a message may have come meanwhile.
        while state.queue.is_empty() && state.senders != 0 {
            if outcome == WaitOutcome::TimedOut {
                return Err(RecvTimeoutError::Timeout);
            }
            state.receiver = ReceiverState::Waiting;
            (state, outcome) = self.filled.wait_timeout(state, deadline.left());
            state.receiver = ReceiverState::Busy;
        }
        self.pop(state).map_err(|_| RecvTimeoutError::Disconnected)
    }

    /// One sender less.
    fn leave_sender(&self) {
        let mut state = self.state.lock();
        state.senders -= 1;
        if state.senders == 0 {
            let receiver = state.rouse();
            drop(state);
            self.notify(receiver);
        }
    }

    fn leave_receiver(&self) {
        let mut state = self.state.lock();
        state.receiver = ReceiverState::Gone;
        // With a bound of 0 the message's sender waits, and takes it back.
        let unseen = if self.bound == 0 { VecDeque::new() } else { mem::take(&mut state.queue) };
        drop(state);
        self.room.notify_all();
        self.taken.notify_all();
        // Without the lock: a message may hold a sender of this very channel.
        drop(unseen);
    }
}

/// The sending side of a [`channel`]; clone it for more senders.
#[derive(Debug)]
pub struct Sender<T> {
    inner: SyncSender<T>,
}

// Not derived: the messages need not be `Clone`.
impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<T> Sender<T> {
    /// Sends a message. It may still be lost, if the receiver ends before it takes it.
    ///
    /// # Errors
    ///
    /// The message, if the receiver has gone.
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        self.inner.send(message)
    }
}

/// The sending side of a [`sync_channel`]; clone it for more senders.
#[derive(Debug)]
pub struct SyncSender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> SyncSender<T> {
    /// Sends a message, waiting while the channel is full. With a bound of 0, `Ok` says that it was received.
    ///
    /// # Errors
    ///
    /// The message, if the receiver has gone, also meanwhile.
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        self.shared.send(message)
    }

    /// Sends a message if there is room; with a bound of 0, if the receiver waits for one.
    ///
    /// # Errors
    ///
    /// The message: [`TrySendError::Full`], [`TrySendError::Disconnected`] if the receiver has gone.
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        self.shared.try_send(message)
    }
}

impl<T> Clone for SyncSender<T> {
    fn clone(&self) -> Self {
        self.shared.state.lock().senders += 1;
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Drop for SyncSender<T> {
    fn drop(&mut self) {
        self.shared.leave_sender();
    }
}

/// The receiving side of a channel. There is one; it may move between threads, not be shared.
#[derive(Debug)]
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    not_sync: PhantomData<Cell<()>>,
}

impl<T> Receiver<T> {
    const fn new(shared: Arc<Shared<T>>) -> Self {
        Self { shared, not_sync: PhantomData }
    }

    /// The oldest message, waiting for one if need be.
    ///
    /// # Errors
    ///
    /// [`RecvError`]: there is none, and no sender is left.
    pub fn recv(&self) -> Result<T, RecvError> {
        loop {
            match self.shared.recv(Deadline::NEVER) {
                Ok(message) => return Ok(message),
                Err(RecvTimeoutError::Disconnected) => return Err(RecvError),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// The oldest message, if there is one.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`]; [`TryRecvError::Disconnected`] if no sender is left either.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.shared.pop(self.shared.state.lock())
    }

    /// The oldest message, waiting for one at most so long.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError::Timeout`]; [`RecvTimeoutError::Disconnected`] if there is none and no sender is left.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.shared.recv(Deadline::after(timeout))
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.leave_receiver();
    }
}

#[cfg(test)]
mod tests;
