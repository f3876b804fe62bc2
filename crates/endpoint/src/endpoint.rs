//! The endpoint: a queue with two sides, and the calls that came through it.

use alloc::collections::VecDeque;
use core::fmt;

use swos_abi::{MESSAGE_BYTES_MAX, POLL_ERR, POLL_HUP, POLL_IN, POLL_OUT};

use crate::{
    Message,
    calls::{CallId, Calls, Outcome, Room, Token},
    message::INLINE,
};

/// An empty queue gives its memory back if it has room for more messages than this.
const KEPT: usize = 16;

/// What an endpoint holds at most.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Messages in the queue.
    pub messages: usize,
    /// Bytes in the queue, and so in one message.
    pub bytes: usize,
    /// Calls that are not over.
    pub calls: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { messages: 64, bytes: MESSAGE_BYTES_MAX, calls: 1024 }
    }
}

/// Whether anybody holds a side.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    /// Somebody does.
    Open,
    /// Nobody does.
    Gone,
}

/// Whether a close was the last of its side.
#[must_use]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Closed {
    /// Others hold the side.
    OneOfMany,
    /// All who wait at the other side can go on. After the last receiver, [`Endpoint::drain`] has something to give.
    Last,
}

/// Who can go on after a receipt.
#[must_use]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wake {
    /// Nobody.
    Nobody,
    /// Senders that were refused.
    Senders,
}

/// Why nothing was done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// No message or no room at the moment.
    WouldBlock,
    /// All receivers are gone.
    NoReceiver,
    /// All senders are gone and all messages were taken.
    NoSender,
    /// The message is longer than the endpoint's limit, or the answer than its caller has room for.
    TooLong,
    /// There is no memory for it.
    NoMemory,
    /// The token is not of a received and unanswered call of this endpoint.
    BadToken,
    /// The caller gave up; the token is used now.
    CallerGone,
    /// Another receiver is taking a message at this moment.
    Busy,
    /// A receiver would lie in the queue of an endpoint whose own receiver lies in a queue: a cycle nobody could reach.
    Cycle,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WouldBlock => "no message or no room at the moment",
            Self::NoReceiver => "nobody receives",
            Self::NoSender => "nobody sends",
            Self::TooLong => "too long",
            Self::NoMemory => "no memory",
            Self::BadToken => "no such call",
            Self::CallerGone => "the caller gave up",
            Self::Busy => "being received",
            Self::Cycle => "a receiver within a receiver",
        })
    }
}

impl core::error::Error for Error {}

/// A message that was not taken, unharmed, and why.
#[derive(Debug)]
pub struct Refused<H> {
    /// The message, to give back.
    pub message: Message<H>,
    /// Why.
    pub error: Error,
}

/// What makes a message a call.
#[derive(Debug)]
pub struct Call<W> {
    /// Whom to tell of its outcome.
    pub waiter: W,
    /// What may be answered.
    pub room: Room,
}

/// A message in the queue, or one that is being received.
#[derive(Debug)]
pub struct Taken<H> {
    /// The message. Its handles may be taken out before the commit.
    pub message: Message<H>,
    /// Of the sender that it came through; 0 = none.
    pub badge: u64,
    call: Option<CallId>,
    receivers: usize,
}

impl<H> Taken<H> {
    /// What will answer it, if it is a call.
    #[must_use]
    pub fn token(&self) -> Option<Token> {
        self.call.map(|id| id.0)
    }
}

/// What a receipt brings about.
#[must_use]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Receipt {
    /// Answers the call, if it is one.
    pub token: Option<Token>,
    /// Who can go on.
    pub wake: Wake,
}

/// What comes out of a dead endpoint.
#[derive(Debug)]
pub enum Drained<H, W> {
    /// A message nobody took; its handles are to be closed.
    Message(Message<H>),
    /// A caller nobody answers.
    Waiter(W),
}

/// One endpoint: messages with handles `H`, callers `W`.
#[derive(Debug)]
pub struct Endpoint<H, W> {
    limits: Limits,
    queue: VecDeque<Taken<H>>,
    /// Bytes in the queue, with those of the message that is being received.
    bytes: usize,
    /// Messages that are being received: 0 or 1.
    out: usize,
    calls: Calls<H, W>,
    senders: usize,
    receivers: usize,
    /// The least length that was refused for want of room; `usize::MAX` = none since senders were last woken.
    wanted: usize,
    /// Receivers of endpoints in the queue.
    carried: usize,
    /// Handles to this endpoint's receiver that lie in queues.
    travelling: usize,
}

impl<H, W> Endpoint<H, W> {
    /// An endpoint with one sender and one receiver. Allocates nothing yet.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            queue: VecDeque::new(),
            bytes: 0,
            out: 0,
            calls: Calls::new(),
            senders: 1,
            receivers: 1,
            wanted: usize::MAX,
            carried: 0,
            travelling: 0,
        }
    }

    /// Messages that wait, with the one that is being received.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.queue.len() + self.out
    }

    /// Whether no message waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls that are not over.
    #[must_use]
    pub const fn calls(&self) -> usize {
        self.calls.len()
    }

    /// Whether anybody holds the receiving side.
    #[must_use]
    #[inline]
    pub const fn receiving_side(&self) -> Side {
        if self.receivers == 0 { Side::Gone } else { Side::Open }
    }

    /// Counts a further sender.
    pub const fn add_sender(&mut self) {
        self.senders += 1;
    }

    /// A sender is gone.
    pub const fn close_sender(&mut self) -> Closed {
        self.senders -= 1;
        if self.senders == 0 { Closed::Last } else { Closed::OneOfMany }
    }

    /// A receiver is gone.
    pub const fn close_receiver(&mut self) -> Closed {
        self.receivers -= 1;
        if self.receivers == 0 { Closed::Last } else { Closed::OneOfMany }
    }

    /// A handle to this endpoint's receiver is about to lie in a queue.
    ///
    /// # Errors
    ///
    /// [`Error::Cycle`] if receivers lie in its own.
    pub const fn depart(&mut self) -> Result<(), Error> {
        if self.carried > 0 {
            return Err(Error::Cycle);
        }
        self.travelling += 1;
        Ok(())
    }

    /// A handle to this endpoint's receiver left the queue in which it lay.
    pub const fn arrive(&mut self) {
        self.travelling -= 1;
    }

    /// Whether a message of so many bytes and receivers, which may be a call, would be taken now. After that
    /// [`push`](Self::push) takes it.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    #[inline]
    pub fn admit(&mut self, length: usize, receivers: usize, is_call: IsCall) -> Result<(), Error> {
        if self.receivers == 0 {
            return Err(Error::NoReceiver);
        }
        if length > self.limits.bytes {
            return Err(Error::TooLong);
        }
        if receivers > 0 && self.travelling > 0 {
            return Err(Error::Cycle);
        }
        let full = self.len() >= self.limits.messages
            || self.bytes + length > self.limits.bytes
            || (is_call == IsCall::Yes && self.calls.len() >= self.limits.calls);
        if full {
            self.wanted = self.wanted.min(length);
            return Err(Error::WouldBlock);
        }
        // Room for one more than are in it: the one that is being received may come back.
        self.queue.try_reserve(1 + self.out).map_err(|_| Error::NoMemory)?;
        if is_call == IsCall::Yes { self.calls.reserve() } else { Ok(()) }
    }

    /// Puts a message at the end of the queue; one receiver can go on. Returns the number of the call, if it is one.
    ///
    /// # Errors
    ///
    /// With the message back: [`Error::NoReceiver`], [`Error::TooLong`], [`Error::Cycle`], [`Error::WouldBlock`],
    /// [`Error::NoMemory`].
    pub fn push(
        &mut self,
        message: Message<H>,
        badge: u64,
        call: Option<Call<W>>,
    ) -> Result<Option<CallId>, Refused<H>> {
        let is_call = if call.is_some() { IsCall::Yes } else { IsCall::No };
        if let Err(error) = self.admit(message.len(), message.receivers(), is_call) {
            return Err(Refused { message, error });
        }
        self.bytes += message.len();
        self.carried += message.receivers();
        let call = call.map(|call| self.calls.begin(call.waiter, call.room));
        let receivers = message.receivers();
        self.queue.push_back(Taken { message, badge, call, receivers });
        Ok(call)
    }

    /// Takes the oldest message, which must be committed or given back before the next can be taken.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`] if there is none; [`Error::NoSender`] if there will be none; [`Error::NoReceiver`] if nobody holds
    /// the receiver any more; [`Error::Busy`].
    #[inline]
    pub fn take(&mut self) -> Result<Taken<H>, Error> {
        if self.receivers == 0 {
            return Err(Error::NoReceiver);
        }
        if self.out > 0 {
            return Err(Error::Busy);
        }
        let none = if self.senders == 0 { Error::NoSender } else { Error::WouldBlock };
        let taken = self.queue.pop_front().ok_or(none)?;
        self.out = 1;
        Ok(taken)
    }

    /// The message that was taken was handed over.
    pub fn commit(&mut self, taken: &Taken<H>) -> Receipt {
        let before = self.sender_readiness();
        self.out = 0;
        self.bytes -= taken.message.len();
        self.carried -= taken.receivers;
        if self.queue.is_empty() && self.queue.capacity() > 2 * KEPT {
            self.queue = VecDeque::new();
        }
        let token = taken.call.and_then(|id| self.calls.on_received(id));
        let refused = self.room_wakes();
        let wake = if self.sender_readiness() == before { refused } else { Wake::Senders };
        Receipt { token, wake }
    }

    /// The message that was taken could not be handed over: it is the first again, and one receiver can go on.
    ///
    /// # Errors
    ///
    /// The message, if all receivers went meanwhile; it is to be disposed of.
    pub fn give_back(&mut self, mut taken: Taken<H>) -> Result<(), Message<H>> {
        self.out = 0;
        // Handles that found another way out are not in the queue any more.
        self.carried -= taken.receivers - taken.message.receivers();
        taken.receivers = taken.message.receivers();
        if self.receivers == 0 {
            self.carried -= taken.receivers;
            self.bytes -= taken.message.len();
            return Err(taken.message);
        }
        self.queue.push_front(taken);
        Ok(())
    }

    /// Keeps an answer that its caller could not take yet, and returns under which number.
    ///
    /// # Errors
    ///
    /// The message, if there is no memory for it.
    pub fn keep_answer(&mut self, message: Message<H>) -> Result<CallId, Message<H>> {
        self.calls.keep(message)
    }

    fn room_wakes(&mut self) -> Wake {
        if self.wanted == usize::MAX || self.bytes + self.wanted > self.limits.bytes {
            return Wake::Nobody;
        }
        self.wanted = usize::MAX;
        Wake::Senders
    }

    /// Whether `token` can be answered with so much.
    ///
    /// # Errors
    ///
    /// [`Error::BadToken`]; [`Error::CallerGone`], once: the token is used by that; [`Error::TooLong`], and the token stays good.
    pub fn admit_reply(&mut self, token: Token, size: Room) -> Result<(), Error> {
        self.calls.admit_reply(token, size)
    }

    /// Answers a call, and returns whom to tell.
    ///
    /// # Errors
    ///
    /// As [`admit_reply`](Self::admit_reply), with the message back.
    pub fn reply(&mut self, token: Token, message: Message<H>) -> Result<W, Refused<H>> {
        let size = Room { bytes: message.len(), handles: message.handles().len() };
        if let Err(error) = self.admit_reply(token, size) {
            return Err(Refused { message, error });
        }
        self.calls.answer(token, message).map_err(|message| Refused { message, error: Error::BadToken })
    }

    /// How a call stands. When this says that it is over, its number names nothing any more.
    #[must_use]
    pub fn outcome(&mut self, id: CallId) -> Outcome<H> {
        let side = self.receiving_side();
        self.calls.outcome(id, side)
    }

    /// The caller gives up. Returns the answer, if there was one already. Senders that wait for a call to end can go on when it is
    /// answered or drained.
    #[must_use]
    pub fn abandon(&mut self, id: CallId) -> Option<Message<H>> {
        let side = self.receiving_side();
        self.calls.abandon(id, side)
    }

    /// Places that calls have, for [`hang_up`](Self::hang_up).
    #[must_use]
    pub const fn places(&self) -> usize {
        self.calls.places()
    }

    /// Ends the call in a place, from 0 on, if it was received and not answered: its token names nothing any more. Its caller, who is to be
    /// told. As with an answer, senders that wait for a call to end can go on when its outcome is told, or now if its caller gave up.
    #[must_use]
    pub fn hang_up(&mut self, place: usize) -> Option<W> {
        self.calls.hang_up(place)
    }

    /// Whether senders that were refused can go on because a call is over.
    pub fn call_over(&mut self) -> Wake {
        self.room_wakes()
    }

    /// After the last receiver is gone: the next message nobody took, or caller nobody answers. O(1), but for places of calls that are
    /// over already.
    #[must_use]
    pub fn drain(&mut self) -> Option<Drained<H, W>> {
        if self.receivers > 0 {
            return None;
        }
        if let Some(Taken { message, .. }) = self.queue.pop_front() {
            self.bytes -= message.len();
            self.carried -= message.receivers();
            return Some(Drained::Message(message));
        }
        self.queue = VecDeque::new();
        self.calls.drain().map(Drained::Waiter)
    }

    /// What holds of the receiving side now, as `POLL_*` bits.
    #[must_use]
    pub fn receiver_readiness(&self) -> u16 {
        match (self.senders, self.queue.is_empty()) {
            (0, _) => POLL_IN | POLL_HUP,
            (_, false) => POLL_IN,
            (_, true) => 0,
        }
    }

    /// The same of the sending side: it has room for a short message, or nobody receives.
    #[must_use]
    pub fn sender_readiness(&self) -> u16 {
        let short = INLINE.min(self.limits.bytes);
        if self.receivers == 0 {
            POLL_OUT | POLL_ERR
        } else if self.len() < self.limits.messages && self.bytes + short <= self.limits.bytes {
            POLL_OUT
        } else {
            0
        }
    }
}

/// Whether a message asks for an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum IsCall {
    /// It does.
    Yes,
    /// It does not.
    No,
}

#[cfg(test)]
mod tests;
