//! Endpoints, events, timers.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::Handle;

/// Longest message in bytes.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Handles that one message takes along at most.
pub const MESSAGE_HANDLES_MAX: usize = 16;
/// Messages that an endpoint's queue can be made to hold at most.
pub const ENDPOINT_MESSAGES_MAX: u32 = 1024;
/// Bytes that it can be made to hold at most.
pub const ENDPOINT_BYTES_MAX: u32 = 1 << 20;
/// Calls under way that it can be made to allow at most.
pub const ENDPOINT_CALLS_MAX: u32 = 16_384;
/// `endpoint_create`: never wait on either end.
pub const ENDPOINT_NONBLOCK: u32 = crate::SOCKET_NONBLOCK;

/// How an endpoint is made; 0 in a limit = the usual one.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct EndpointConfig {
    /// Messages that wait at most; usually 64.
    pub messages: u32,
    /// Bytes that they have together at most, and so one of them; usually [`MESSAGE_BYTES_MAX`].
    pub bytes: u32,
    /// Calls that wait for an answer at most; usually 1,024.
    pub calls: u32,
    /// [`ENDPOINT_NONBLOCK`], [`CLOSE_ON_EXEC`](crate::CLOSE_ON_EXEC) or 0.
    pub flags: u32,
}

static_assertions::assert_eq_size!(EndpointConfig, [u8; 16]);

/// The two ends of an endpoint: answer of `endpoint_create`.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct EndpointEnds {
    /// Where messages go in; its badge is 0.
    pub sender: Handle,
    /// Where they come out, and calls are answered.
    pub receiver: Handle,
}

static_assertions::assert_eq_size!(EndpointEnds, [u8; 16]);

impl EndpointEnds {
    /// No endpoint.
    pub const NONE: Self = Self { sender: Handle::NONE, receiver: Handle::NONE };
}

/// A message or an answer to be sent.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct MessageOut {
    /// Address of the bytes.
    pub bytes: u64,
    /// Address of [`MessageHandle`] records: handles that move along.
    pub handles: u64,
    /// How many bytes.
    pub length: u32,
    /// How many handles, at most [`MESSAGE_HANDLES_MAX`].
    pub handle_count: u32,
}

static_assertions::assert_eq_size!(MessageOut, [u8; 24]);

/// Where a message or an answer goes, and what came.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct MessageIn {
    /// Address of room for bytes.
    pub bytes: u64,
    /// Address of room for [`MessageHandle`] records.
    pub handles: u64,
    /// Room in bytes.
    pub capacity: u32,
    /// Room in records.
    pub handle_capacity: u32,
    /// Written on receipt, and with RANGE: bytes of the message.
    pub length: u32,
    /// Likewise: its handles.
    pub handle_count: u32,
    /// Written on receipt: badge of the sender that it came through, 0 = none.
    pub badge: u64,
    /// Likewise: what answers the call; 0 = it is no call.
    pub token: u64,
}

static_assertions::assert_eq_size!(MessageIn, [u8; 48]);

/// A handle in a message.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct MessageHandle {
    /// Sent: the handle that moves. Received: its number here.
    pub handle: Handle,
    /// Sent: the rights that it may keep at most. Received: those that it has.
    pub rights: u32,
    /// Zero.
    pub reserved: u32,
}

static_assertions::assert_eq_size!(MessageHandle, [u8; 16]);

impl MessageHandle {
    /// No handle.
    pub const NONE: Self = Self { handle: Handle::NONE, rights: 0, reserved: 0 };
}

/// `event_create`: `event_take` takes 1, and not all.
pub const EVENT_SEMAPHORE: u32 = 1;
/// `event_create`: `event_take` never waits.
pub const EVENT_NONBLOCK: u32 = crate::SOCKET_NONBLOCK;
/// The highest count of an event.
pub const EVENT_MAX: u64 = i64::MAX as u64;

/// `timer_create`: `timer_take` never waits.
pub const TIMER_NONBLOCK: u32 = crate::SOCKET_NONBLOCK;
/// `timer_set`: the moment counts from boot, and not from now.
pub const TIMER_ABSOLUTE: u32 = 1;
/// The shortest period of a timer, in nanoseconds.
pub const TIMER_PERIOD_MIN_NS: u64 = 1_000;

/// Bytes of a message between the ends of a pair of datagram sockets, at most.
pub const PAIR_MESSAGE_MAX: usize = crate::PIPE_BUF - 4;

/// `socket_pair`: the two ends of a pair.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct PairEnds {
    /// One end.
    pub first: Handle,
    /// The other.
    pub second: Handle,
}

static_assertions::assert_eq_size!(PairEnds, [u8; 16]);

impl PairEnds {
    /// No pair.
    pub const NONE: Self = Self { first: Handle::NONE, second: Handle::NONE };
}
