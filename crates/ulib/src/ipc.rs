//! Messages between processes: bytes and handles, and calls that are answered.
//!
//! [`endpoint`] makes a [`Sender`] and a [`Receiver`]. Either end is a handle that [`process::Command`](crate::process::Command) gives to
//! a child, or that another message takes along. A server tells its clients apart by the badges of the senders that it gave them
//! ([`Sender::mint`]); it answers a call with the [`ReplyToken`] that came with it, which works once.
//!
//! ```ignore
//! let (sender, receiver) = ipc::endpoint()?;
//! let mut message = Message::new();
//! let mut next = receiver.receive(&mut message, None)?;
//! while let Some(token) = next {
//!     let answer = process(message.bytes(), message.badge());
//!     next = receiver.reply_receive(token, &answer, &mut message, None)?;
//! }
//! ```

use alloc::{vec, vec::Vec};

use swos_abi::{
    EndpointConfig, Errno, MESSAGE_BYTES_MAX, MESSAGE_HANDLES_MAX, MessageHandle, Rights, TIMEOUT_NEVER,
};

use crate::{
    handle::{OwnedHandle, owns_handle},
    time::Duration,
};

/// Makes an endpoint with the usual limits.
///
/// # Errors
///
/// [`Errno::MFILE`], [`Errno::NOMEM`].
pub fn endpoint() -> Result<(Sender, Receiver), Errno> {
    endpoint_with(&EndpointConfig::default())
}

/// Makes an endpoint with limits of one's own.
///
/// # Errors
///
/// [`Errno::INVAL`] for limits beyond those of the system, [`Errno::MFILE`], [`Errno::NOMEM`].
pub fn endpoint_with(config: &EndpointConfig) -> Result<(Sender, Receiver), Errno> {
    let ends = swos_sys::endpoint_create(config)?;
    Ok((Sender::from_handle(ends.sender), Receiver::from_handle(ends.receiver)))
}

/// Where messages go in.
#[derive(Debug)]
pub struct Sender {
    handle: OwnedHandle,
}

/// Where messages come out, and calls are answered.
#[derive(Debug)]
pub struct Receiver {
    handle: OwnedHandle,
}

/// The right to answer one call, once. Whoever drops it leaves the caller waiting until the receiver is closed.
#[derive(Debug, Eq, PartialEq)]
#[must_use = "its caller waits for an answer"]
pub struct ReplyToken(u64);

/// A message to be sent, with handles that move along.
#[derive(Debug, Default)]
pub struct Outgoing<'a> {
    bytes: &'a [u8],
    handles: Vec<OwnedHandle>,
    listed: Vec<MessageHandle>,
}

/// A message that came: its place is used again for the next.
#[derive(Debug)]
pub struct Message {
    room: Vec<u8>,
    length: usize,
    handles: Vec<(OwnedHandle, Rights)>,
    badge: u64,
}

impl Default for Message {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> Outgoing<'a> {
    /// A message of these bytes.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, handles: Vec::new(), listed: Vec::new() }
    }

    /// With this handle, which keeps at most `rights`. It is closed with the message if that is not sent.
    #[must_use]
    pub fn with(mut self, handle: OwnedHandle, rights: Rights) -> Self {
        self.listed.push(MessageHandle { handle: handle.get(), rights: rights.bits(), reserved: 0 });
        self.handles.push(handle);
        self
    }

    /// Handles that were not sent.
    #[must_use]
    pub fn into_handles(self) -> Vec<OwnedHandle> {
        self.handles
    }

    /// They are not this process's any more.
    fn sent(&mut self) {
        for handle in self.handles.drain(..) {
            let _gone = handle.into_inner();
        }
        self.listed.clear();
    }

    /// A call that failed may have been sent.
    fn perhaps_sent(&mut self) {
        if self.handles.first().is_some_and(|handle| swos_sys::handle_rights(handle.get()).is_err()) {
            self.sent();
        }
    }
}

impl Message {
    /// Room for short messages; it grows for longer ones.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(256)
    }

    /// Room for so many bytes at first.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { room: vec![0; bytes], length: 0, handles: Vec::new(), badge: 0 }
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.room.get(..self.length).unwrap_or_default()
    }

    /// Badge of the sender that it came through; 0 = none.
    #[must_use]
    pub const fn badge(&self) -> u64 {
        self.badge
    }

    /// Takes its handles, each with the rights that it has.
    pub fn take_handles(&mut self) -> Vec<(OwnedHandle, Rights)> {
        core::mem::take(&mut self.handles)
    }

    fn fill(&mut self, length: usize, badge: u64, handles: &[MessageHandle]) {
        (self.length, self.badge) = (length, badge);
        self.handles.clear();
        self.handles.extend(
            handles
                .iter()
                .map(|entry| (OwnedHandle::new(entry.handle), Rights::from_bits_retain(entry.rights))),
        );
    }
}

owns_handle!(Sender, "Chooses whether it waits for room.");

impl Sender {
    /// A further sender whose messages carry `badge`, which is not 0.
    ///
    /// # Errors
    ///
    /// [`Errno::PERM`] if this one has a badge, [`Errno::ACCES`] without the right to duplicate.
    pub fn mint(&self, badge: u64) -> Result<Self, Errno> {
        swos_sys::endpoint_mint(self.handle(), badge, 0).map(Self::from_handle)
    }

    /// Sends bytes; waits for room.
    ///
    /// # Errors
    ///
    /// [`Errno::PIPE`] if nobody receives, [`Errno::MSGSIZE`] if they are too many.
    pub fn send(&self, bytes: &[u8]) -> Result<(), Errno> {
        swos_sys::endpoint_send(self.handle(), bytes, &[], TIMEOUT_NEVER)
    }

    /// Sends a message with its handles; waits for room at most `timeout` (`None` = for ever). If it fails, the handles stay in the
    /// message.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send); [`Errno::TIMEDOUT`]; [`Errno::ACCES`] if a handle may not be given away; [`Errno::DEADLK`] for a
    /// receiver that nobody could reach any more.
    pub fn send_message(&self, message: &mut Outgoing<'_>, timeout: Option<Duration>) -> Result<(), Errno> {
        swos_sys::endpoint_send(self.handle(), message.bytes, &message.listed, nanos(timeout))?;
        message.sent();
        Ok(())
    }

    /// Sends bytes and waits for the answer; returns its bytes, in `answer`.
    ///
    /// # Errors
    ///
    /// [`Errno::PIPE`] if nobody will answer.
    #[inline]
    pub fn call<'a>(&self, bytes: &[u8], answer: &'a mut [u8]) -> Result<&'a [u8], Errno> {
        let (length, _) =
            swos_sys::endpoint_call(self.handle(), (bytes, &[]), (answer, &mut []), TIMEOUT_NEVER)?;
        Ok(answer.get(..length).unwrap_or_default())
    }

    /// Sends a message with its handles and waits for the answer, at most `timeout`. The answer has as many bytes as `answer` has room
    /// for at most. If the message was not sent, its handles stay in it.
    ///
    /// # Errors
    ///
    /// As [`send_message`](Self::send_message), and [`Errno::PIPE`] if nobody will answer.
    pub fn call_message(
        &self,
        message: &mut Outgoing<'_>,
        answer: &mut Message,
        timeout: Option<Duration>,
    ) -> Result<(), Errno> {
        let mut handles = [MessageHandle::NONE; MESSAGE_HANDLES_MAX];
        let called = swos_sys::endpoint_call(
            self.handle(),
            (message.bytes, &message.listed),
            (&mut answer.room, &mut handles),
            nanos(timeout),
        );
        match called {
            Ok((length, count)) => {
                message.sent();
                answer.fill(length, 0, handles.get(..count).unwrap_or_default());
                Ok(())
            }
            Err(errno) => {
                message.perhaps_sent();
                Err(errno)
            }
        }
    }
}

owns_handle!(Receiver, "Chooses whether it waits for messages.");

impl Receiver {
    /// Receives the next message; waits for it at most `timeout` (`None` = for ever). What answers it, if it is a call.
    ///
    /// # Errors
    ///
    /// [`Errno::PIPE`] when no sender is left and all was received; [`Errno::TIMEDOUT`]; [`Errno::MFILE`].
    pub fn receive(
        &self,
        into: &mut Message,
        timeout: Option<Duration>,
    ) -> Result<Option<ReplyToken>, Errno> {
        self.receive_with(into, |bytes, handles| {
            swos_sys::endpoint_receive(self.handle(), bytes, handles, nanos(timeout))
        })
    }

    /// Answers a call with bytes.
    ///
    /// # Errors
    ///
    /// The token comes back if it can be used again: with [`Errno::MSGSIZE`] if the caller has less room, with [`Errno::INVAL`] if it
    /// was received elsewhere. [`Errno::PIPE`] if the caller gave up: nobody needs it any more.
    pub fn reply(&self, token: ReplyToken, bytes: &[u8]) -> Result<(), (Errno, Option<ReplyToken>)> {
        self.reply_message(token, &mut Outgoing::new(bytes))
    }

    /// Answers a call with a message and its handles.
    ///
    /// # Errors
    ///
    /// As [`reply`](Self::reply); the handles stay in the message.
    pub fn reply_message(
        &self,
        token: ReplyToken,
        message: &mut Outgoing<'_>,
    ) -> Result<(), (Errno, Option<ReplyToken>)> {
        match swos_sys::endpoint_reply(self.handle(), token.0, message.bytes, &message.listed) {
            Ok(()) => {
                message.sent();
                Ok(())
            }
            Err(Errno::PIPE) => Err((Errno::PIPE, None)),
            Err(errno) => Err((errno, Some(token))),
        }
    }

    /// Ends all calls that were received here and not answered: their callers get [`Errno::PIPE`]. Messages that were not received yet wait
    /// on. For who holds the receiver of a server that died.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn hang_up(&self) -> Result<(), Errno> {
        swos_sys::endpoint_hang_up(self.handle())
    }

    /// Answers a call with bytes and receives the next message, in one call of the kernel. A caller that gave up meanwhile is no
    /// error.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive); [`Errno::MSGSIZE`] if the caller has less room: it is answered with nothing then.
    #[inline]
    pub fn reply_receive(
        &self,
        token: ReplyToken,
        bytes: &[u8],
        into: &mut Message,
        timeout: Option<Duration>,
    ) -> Result<Option<ReplyToken>, Errno> {
        let mut answered = false;
        let first = self.receive_with(into, |room, handles| {
            if answered {
                return swos_sys::endpoint_receive(self.handle(), room, handles, nanos(timeout));
            }
            // Whatever it says of the receipt: if that has to be tried again, the answer was given.
            answered = true;
            let answer = (token.0, bytes, [].as_slice());
            swos_sys::endpoint_reply_receive(self.handle(), answer, (room, handles), nanos(timeout))
        });
        match first {
            // The caller is gone; or all senders are, which the next call says again.
            Err(Errno::PIPE) => self.receive(into, timeout),
            Err(Errno::MSGSIZE) => {
                let _refused = swos_sys::endpoint_reply(self.handle(), token.0, &[], &[]);
                Err(Errno::MSGSIZE)
            }
            other => other,
        }
    }

    #[inline]
    fn receive_with(
        &self,
        into: &mut Message,
        mut call: impl FnMut(
            &mut [u8],
            &mut [MessageHandle],
        ) -> Result<swos_sys::Received, (Errno, swos_sys::Received)>,
    ) -> Result<Option<ReplyToken>, Errno> {
        let mut handles = [MessageHandle::NONE; MESSAGE_HANDLES_MAX];
        loop {
            match call(&mut into.room, &mut handles) {
                Ok(came) => {
                    into.fill(came.length, came.badge, handles.get(..came.handle_count).unwrap_or_default());
                    return Ok((came.token != 0).then_some(ReplyToken(came.token)));
                }
                Err((Errno::RANGE, needed)) if needed.length > into.room.len() => {
                    let more = needed.length.min(MESSAGE_BYTES_MAX) - into.room.len().min(needed.length);
                    into.room.try_reserve_exact(more).map_err(|_| Errno::NOMEM)?;
                    into.room.resize(needed.length, 0);
                }
                Err((errno, _)) => return Err(errno),
            }
        }
    }
}

fn nanos(timeout: Option<Duration>) -> u64 {
    timeout.map_or(TIMEOUT_NEVER, |timeout| u64::try_from(timeout.as_nanos()).unwrap_or(TIMEOUT_NEVER))
}

#[cfg(test)]
mod tests {
    use super::*;
    use swos_abi::Handle;

    #[test]
    fn without_a_kernel_there_is_no_endpoint() {
        assert_eq!(endpoint().map(drop), Err(Errno::NOSYS));
    }

    #[test]
    fn handles_of_a_message_that_was_not_sent_come_back() {
        let message = Outgoing::new(b"bytes").with(OwnedHandle::new(Handle(7)), Rights::READ);
        assert_eq!(message.into_handles(), [OwnedHandle::new(Handle(7))]);
    }
}
