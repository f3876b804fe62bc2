//! What a segment says, payload apart: the header that goes in, the order to emit that comes out.

use swos_wire::{SeqNumber, TcpFlags, TcpOptions, TcpRepr, TcpView};

/// A segment's header without ports and checksum, which belong to whoever finds the connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// First octet of the payload, or of the SYN.
    pub seq: SeqNumber,
    /// Next octet expected by the sender; counts only with [`TcpFlags::ACK`].
    pub ack: SeqNumber,
    /// Control bits.
    pub flags: TcpFlags,
    /// Window field as it stands in the header, unscaled.
    pub window: u16,
    /// Urgent pointer; counts only with [`TcpFlags::URG`].
    pub urgent: u16,
    /// Options.
    pub options: TcpOptions,
}

impl Header {
    /// The header of a received segment whose checksum was found right.
    #[must_use]
    pub fn of(view: &TcpView<'_>) -> Self {
        Self {
            seq: view.seq(),
            ack: view.ack(),
            flags: view.flags(),
            window: view.window(),
            urgent: view.urgent(),
            options: view.options(),
        }
    }

    /// The wire representation of this header between two ports.
    #[must_use]
    pub const fn between(&self, src_port: u16, dst_port: u16) -> TcpRepr {
        TcpRepr {
            src_port,
            dst_port,
            seq: self.seq,
            ack: self.ack,
            flags: self.flags,
            window: self.window,
            urgent: self.urgent,
            options: self.options,
        }
    }

    /// Sequence space that the segment takes with `payload` octets: SYN and FIN count one each.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "a payload fits an IP datagram, so 16 bits")]
    pub const fn sequence_len(&self, payload: usize) -> u32 {
        payload as u32 + self.flags.contains(TcpFlags::SYN) as u32 + self.flags.contains(TcpFlags::FIN) as u32
    }

    pub(crate) const fn has(&self, flags: TcpFlags) -> bool {
        self.flags.contains(flags)
    }
}

/// A segment to emit: `header`, then `len` octets of the send queue from `offset`.
#[must_use]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Transmit {
    /// Header to write.
    pub header: Header,
    /// Where its payload starts in the send queue; 0 is the oldest octet not yet acknowledged.
    pub offset: usize,
    /// Octets of payload.
    pub len: usize,
}

impl Transmit {
    pub(crate) const fn bare(
        seq: SeqNumber,
        ack: SeqNumber,
        flags: TcpFlags,
        window: u16,
        options: TcpOptions,
    ) -> Self {
        Self { header: Header { seq, ack, flags, window, urgent: 0, options }, offset: 0, len: 0 }
    }
}

/// A segment without payload and options that waits to be sent, in few words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bare {
    seq: SeqNumber,
    ack: SeqNumber,
    flags: TcpFlags,
    window: u16,
}

impl Bare {
    /// `transmit` without its options and payload, of which it has none.
    pub(crate) const fn of(transmit: &Transmit) -> Self {
        let header = &transmit.header;
        Self { seq: header.seq, ack: header.ack, flags: header.flags, window: header.window }
    }

    pub(crate) const fn transmit(self) -> Transmit {
        Transmit::bare(self.seq, self.ack, self.flags, self.window, TcpOptions::NONE)
    }
}

/// The reset that answers a segment for which there is no connection, if one is due.
///
/// A reset is never answered. A segment with an ACK gets a reset that the peer will believe, at the
/// number it expects next; one without gets a reset that acknowledges all of it.
///
/// Source: RFC 9293 §3.10.7.1.
#[must_use]
pub fn answer_closed(header: &Header, payload: usize) -> Option<Transmit> {
    if header.has(TcpFlags::RST) {
        return None;
    }
    Some(if header.has(TcpFlags::ACK) {
        Transmit::bare(header.ack, SeqNumber(0), TcpFlags::RST, 0, TcpOptions::NONE)
    } else {
        let ack = header.seq + header.sequence_len(payload);
        Transmit::bare(SeqNumber(0), ack, TcpFlags::RST | TcpFlags::ACK, 0, TcpOptions::NONE)
    })
}
