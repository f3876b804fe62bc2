//! What a simulation needs of a stack: frames, time, and stream sockets.

use swos_units::Instant;

/// A stream socket of a [`Host`].
pub type SocketKey = u64;

/// What a read found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Received {
    /// These many octets.
    Octets(usize),
    /// Nothing yet.
    Nothing,
    /// The peer closed, and everything before that was read.
    End,
    /// The connection was aborted, by either side or by time.
    Aborted,
}

/// A stack with stream sockets, in whatever shape it has.
pub trait Host {
    /// A frame arrived. Answers may wait for [`Self::poll`].
    fn on_frame(&mut self, now: Instant, frame: &[u8]);
    /// Does what is due and appends frames to send.
    fn poll(&mut self, now: Instant, out: &mut Vec<Vec<u8>>);
    /// When to poll again, if no frame comes.
    fn deadline(&mut self, now: Instant) -> Option<Instant>;

    /// Starts a connection to the other host's port.
    fn connect(&mut self, now: Instant, port: u16) -> Option<SocketKey>;
    /// Listens at a port.
    fn listen(&mut self, port: u16);
    /// A connection that came to the listener.
    fn accept(&mut self, now: Instant) -> Option<SocketKey>;
    /// Queues octets and returns how many were taken.
    fn send(&mut self, now: Instant, socket: SocketKey, octets: &[u8]) -> usize;
    /// Reads octets.
    fn receive(&mut self, socket: SocketKey, into: &mut [u8]) -> Received;
    /// Closes the sending direction, once.
    fn finish(&mut self, socket: SocketKey);
    /// Gives the socket up; the stack ends the connection in the background.
    fn release(&mut self, now: Instant, socket: SocketKey);
    /// Connections that still exist, those in the background included.
    fn live(&self) -> usize;
}
