//! Why a message was not sent or received.

use core::{error::Error, fmt};

/// The receiver has gone; the message comes back.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct SendError<T>(pub T);

/// Why a message was not sent at once; it comes back.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum TrySendError<T> {
    /// There is no room now.
    Full(T),
    /// The receiver has gone.
    Disconnected(T),
}

/// There is no message and no sender is left.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RecvError;

/// Why there was no message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TryRecvError {
    /// None has come yet.
    Empty,
    /// None is there and no sender is left.
    Disconnected,
}

/// Why no message came in time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RecvTimeoutError {
    /// The time ran out.
    Timeout,
    /// None is there and no sender is left.
    Disconnected,
}

const NO_RECEIVER: &str = "the receiver has gone";
const NO_SENDER: &str = "no message, and no sender is left";

// The messages need no `Debug` for this, so that `unwrap` works with any.
impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendError(..)")
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NO_RECEIVER)
    }
}

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Disconnected(_) => "Disconnected(..)",
        })
    }
}

impl<T> fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the channel is full",
            Self::Disconnected(_) => NO_RECEIVER,
        })
    }
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NO_SENDER)
    }
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "no message yet",
            Self::Disconnected => NO_SENDER,
        })
    }
}

impl fmt::Display for RecvTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout => "no message in time",
            Self::Disconnected => NO_SENDER,
        })
    }
}

impl<T> Error for SendError<T> {}
impl<T> Error for TrySendError<T> {}
impl Error for RecvError {}
impl Error for TryRecvError {}
impl Error for RecvTimeoutError {}
