//! What a slot holds.

use core::net::SocketAddrV4;

use swos_tcp::{Connection, KeepAlive, Nagle};
use swos_units::Duration;

use crate::error::Error;
use crate::flows::FlowKey;
use crate::pieces::Queue;
use crate::slab::SocketId;

/// An option that is on or off.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Switch {
    /// Off.
    #[default]
    Off,
    /// On.
    On,
}

/// Whether bytes should go out as soon as the protocol allows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Push {
    /// Yes.
    Now,
    /// More bytes follow at once; they may share a segment. Waits no longer than `Limits::more_timeout`.
    More,
}

/// Which direction of a connection to end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// What the peer sends: reads find the end.
    Read,
    /// What we send: the peer finds the end.
    Write,
    /// Both.
    Both,
}

/// An option and its new value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SocketOption {
    /// Send small segments at once: Nagle's algorithm off.
    NoDelay(Switch),
    /// Probe an idle peer after this time; `None` for never.
    KeepAlive(Option<Duration>),
    /// Take a port on which connections still linger.
    ReuseAddress(Switch),
    /// Bytes that may wait to be sent: 2 KiB to 4 MiB.
    SendBuffer(usize),
    /// Bytes that may wait to be read: 2 KiB to 4 MiB, of a UDP socket to 1 MiB.
    ReceiveBuffer(usize),
    /// Give up after this time without progress; `None` for the stack's own value.
    UserTimeout(Option<Duration>),
    /// Hops that packets may take, 1..=255.
    TimeToLive(u8),
    /// Differentiated services and congestion bits of packets.
    TrafficClass(u8),
}

/// An option to read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OptionName {
    /// 1 if small segments are sent at once.
    NoDelay,
    /// Seconds of silence before the first probe; 0 if there are none.
    KeepAlive,
    /// 1 if the socket takes a port on which connections still linger.
    ReuseAddress,
    /// Bytes.
    SendBuffer,
    /// Bytes.
    ReceiveBuffer,
}

/// Options of a stream socket; connections inherit those of their listener.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamOptions {
    pub(crate) nagle: Nagle,
    pub(crate) reuse: Switch,
    pub(crate) ttl: u8,
    pub(crate) traffic_class: u8,
    pub(crate) send_buffer: u32,
    /// Zero: the stack's own.
    pub(crate) receive_buffer: u32,
    pub(crate) keep_alive: Option<KeepAlive>,
    pub(crate) user_timeout: Option<Duration>,
}

/// Who answers for a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Owner {
    /// A socket id is out.
    User,
    /// It waits in the queue of this listener, or in [`Discarded`](crate::discarded::Discarded) if that is closed.
    Listener(SocketId),
    /// The user closed it; it ends by itself.
    Nobody,
}

/// A TCP connection.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) connection: Connection,
    pub(crate) queue: Queue,
    pub(crate) flow: FlowKey,
    pub(crate) owner: Owner,
    /// Next in the listener's queue.
    pub(crate) next_accepted: u32,
    /// The one before it there.
    pub(crate) previous_accepted: u32,
    pub(crate) options: StreamOptions,
    /// What it counts for in the receive budget: bytes that came, corrected when the reader has caught up.
    pub(crate) held: usize,
    /// The error that was not told yet.
    pub(crate) failure: Option<Error>,
    /// A write was refused or cut: tell when there is room again.
    pub(crate) wants_room: bool,
    /// The reader said that it reads no more.
    pub(crate) deaf: bool,
    /// The port is bound by this socket, and to be given back with it.
    pub(crate) bound: Option<SocketAddrV4>,
}

impl Stream {
    /// Bytes that the queue takes.
    pub(crate) const fn room(&self) -> usize {
        (self.options.send_buffer as usize).saturating_sub(self.queue.len())
    }

    /// Whether enough room came free to be worth telling: a quarter.
    pub(crate) const fn has_room(&self) -> bool {
        self.room() >= self.options.send_buffer as usize / 4
    }
}

/// A socket that waits for connections.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) local: SocketAddrV4,
    pub(crate) options: StreamOptions,
    pub(crate) backlog: usize,
    pub(crate) queued: usize,
    pub(crate) first: u32,
    pub(crate) last: u32,
}

/// A stream socket before `listen` and `connect`.
#[derive(Debug)]
pub(crate) struct Fresh {
    pub(crate) local: Option<SocketAddrV4>,
    pub(crate) options: StreamOptions,
}

/// A UDP socket.
#[derive(Debug)]
pub(crate) struct Datagrams {
    pub(crate) local: Option<SocketAddrV4>,
    pub(crate) peer: Option<SocketAddrV4>,
    pub(crate) queue: swos_udp::Queue,
    pub(crate) reuse: Switch,
    pub(crate) ttl: u8,
    pub(crate) traffic_class: u8,
    /// The error that was not told yet.
    pub(crate) failure: Option<Error>,
    /// A send found the device full.
    pub(crate) blocked: bool,
}

/// Any socket.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all sockets are streams: a box would cost an access each"
)]
pub(crate) enum Socket {
    Fresh(Fresh),
    Listener(Listener),
    Stream(Stream),
    Datagrams(Datagrams),
}
