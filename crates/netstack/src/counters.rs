//! What a stack did and what it holds.

/// Events since the stack was made. All wrap.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// Frames received.
    pub frames_received: u64,
    /// Frames sent.
    pub frames_sent: u64,
    /// Received frames or packets that were malformed, had a bad checksum, or came for nobody here.
    pub dropped: u64,
    /// ARP packets from others that claim our address.
    pub address_conflicts: u64,
    /// TCP segments received.
    pub segments_received: u64,
    /// TCP segments sent, payload or not.
    pub segments_sent: u64,
    /// Resets sent for segments of nobody.
    pub resets_sent: u64,
    /// Datagrams dropped because a queue was full.
    pub datagrams_dropped: u64,
    /// ICMP errors sent.
    pub icmp_errors_sent: u64,
    /// Answers that the rate limits suppressed.
    pub rate_limited: u64,
    /// Packets to ourselves that found the loopback queue full.
    pub loopback_dropped: u64,
    /// Connections refused because a table or the memory budget was full.
    pub connections_refused: u64,
}

/// What a stack holds now.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Usage {
    /// Sockets, those included that only finish their connection.
    pub sockets: usize,
    /// Connections that can be found by their four-tuple, those in TIME-WAIT included.
    pub flows: usize,
    /// Half-open connections of listeners.
    pub half_open: usize,
    /// Connections in TIME-WAIT.
    pub time_wait: usize,
    /// Pieces in send queues.
    pub send_pieces: usize,
    /// Bytes of copied data in send queues, in whole chunks.
    pub send_bytes: usize,
    /// Bytes held by receive queues and reassembly.
    pub receive_bytes: usize,
}
