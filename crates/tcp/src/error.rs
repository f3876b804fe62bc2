//! Why a connection ended otherwise than by both ends closing it.

/// Why a connection was aborted.
///
/// Source: RFC 9293 §3.6 (MUST-12), §3.9.1.8 (MUST-47).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// The peer answered our SYN with a reset: nobody listens.
    Refused,
    /// The peer reset an established connection.
    Reset,
    /// No progress for the user time-out, or no answer to keep-alive probes.
    TimedOut,
    /// The network reported that the peer can't be reached.
    Unreachable,
    /// Our own side aborted.
    Aborted,
}

/// What an ICMP message says about the destination, as far as TCP distinguishes it.
///
/// Source: RFC 9293 §3.9.2.2, RFC 5927 §6.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unreachable {
    /// Net or host unreachable, source route failed, time exceeded, parameter problem: it may pass.
    Soft,
    /// Protocol or port unreachable.
    Hard,
}
