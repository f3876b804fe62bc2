//! The receiving half of a connection: sequence space, window, reassembly, when to acknowledge.

use swos_units::Instant;
use swos_wire::SeqNumber;

use crate::assembler::Assembler;
use crate::config::Config;
use crate::isn::low_word;
use crate::receive_buffer::ReceiveBuffer;

/// Whether an acknowledgment is owed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum AckDue {
    /// Nothing is owed.
    No,
    /// At this moment at the latest, with data if some goes before.
    At(Instant),
    /// With the next segment, which is sent at once.
    Now,
}

/// What the application still wants of the received octets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reader {
    /// It will read.
    Open,
    /// It closed both directions: whatever arrives now has nowhere to go.
    Gone,
}

/// Receive state.
#[derive(Debug)]
pub(crate) struct Receiver {
    /// Next octet expected (`RCV.NXT`).
    pub(crate) next: SeqNumber,
    /// One past the last octet that was ever promised room; never moves back.
    pub(crate) edge: SeqNumber,
    pub(crate) capacity: u32,
    pub(crate) shift: u8,
    pub(crate) buffer: ReceiveBuffer,
    pub(crate) assembler: Assembler,
    /// Number of the peer's FIN, once it was seen, perhaps ahead of data.
    pub(crate) fin: Option<SeqNumber>,
    /// One past the last urgent octet, once urgent data was announced and while it is unread.
    pub(crate) urgent: Option<SeqNumber>,
    pub(crate) ack: AckDue,
    /// The acknowledgment that we sent last.
    pub(crate) acknowledged: SeqNumber,
    /// Data segments since the last acknowledgment was sent.
    pub(crate) unacknowledged: u8,
    pub(crate) reader: Reader,
}

/// What became of a segment's text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Taken {
    /// These many octets became readable.
    InOrder(u32),
    /// It was stored ahead of a gap.
    OutOfOrder,
    /// Nothing new was stored: a duplicate, or no room for it.
    Nothing,
}

impl Receiver {
    pub(crate) fn new(config: &Config, irs: SeqNumber, shift: u8) -> Self {
        Self {
            next: irs + 1,
            edge: irs + 1,
            capacity: u32::try_from(config.receive_capacity).unwrap_or(u32::MAX).min(1 << 30),
            shift,
            buffer: ReceiveBuffer::default(),
            assembler: Assembler::default(),
            fin: None,
            urgent: None,
            ack: AckDue::No,
            acknowledged: irs + 1,
            unacknowledged: 0,
            reader: Reader::Open,
        }
    }

    /// Sets how much is buffered, as far as a window field can express it.
    pub(crate) fn set_capacity(&mut self, octets: u32) {
        self.capacity = octets.min(u32::from(u16::MAX) << self.shift);
    }

    /// Octets that the peer may still send (`RCV.WND`).
    pub(crate) const fn window(&self) -> u32 {
        self.edge.since(self.next)
    }

    fn room(&self) -> u32 {
        self.capacity.saturating_sub(low_word(self.buffer.ready() as u64))
    }

    /// Moves the promised edge if that is worth it, and returns the window field.
    ///
    /// Silly-window avoidance: the edge moves by a full segment or half the buffer at least.
    /// Rounding down to the shift may make the window look smaller than promised before; the peer
    /// keeps the old edge (RFC 7323 §2.4), and so do we.
    ///
    /// Source: RFC 9293 §3.8.6.2.2 (MUST-39).
    pub(crate) fn advertise(&mut self, mss: u32) -> u16 {
        let possible = self.next + self.room();
        if possible.is_after(self.edge) && possible.since(self.edge) >= mss.min(self.capacity / 2) {
            self.edge = possible;
        }
        u16::try_from(self.window() >> self.shift).unwrap_or(u16::MAX)
    }

    /// Whether the reader made so much room that the peer should hear of it without being asked.
    pub(crate) fn update_is_worthwhile(&self, mss: u32) -> bool {
        let possible = self.next + self.room();
        let gain = if possible.is_after(self.edge) { possible.since(self.edge) } else { 0 };
        gain >= (2 * mss).min(self.capacity / 2) && self.window() < self.capacity / 2
    }

    /// Stores the text of a segment that begins at `seq`, as far as it lies in the window.
    pub(crate) fn take_text(&mut self, config: &Config, seq: SeqNumber, payload: &[u8]) -> Taken {
        let skip = if seq.is_before(self.next) { self.next.since(seq) } else { 0 };
        let Some(payload) = payload.get(skip as usize..) else { return Taken::Nothing };
        let seq = seq + skip;
        let offset = seq.since(self.next);
        let room = self.window().saturating_sub(offset) as usize;
        let payload = payload.get(..room).unwrap_or(payload);
        if payload.is_empty() || self.buffer.write(offset as usize, payload).is_err() {
            return Taken::Nothing;
        }
        let end = seq + low_word(payload.len() as u64);
        if offset == 0 {
            let next = if self.assembler.is_empty() { end } else { self.assembler.advance(end) };
            let gained = next.since(self.next);
            self.buffer.commit(gained as usize);
            self.next = next;
            Taken::InOrder(gained)
        } else if self.assembler.insert(seq, end, config.reassembly_ranges).is_ok() {
            Taken::OutOfOrder
        } else {
            Taken::Nothing
        }
    }

    /// Whether every octet before the peer's FIN has arrived.
    pub(crate) fn fin_is_next(&self) -> bool {
        self.fin == Some(self.next)
    }

    /// Counts a data segment that came in order: every second one is acknowledged at once.
    ///
    /// Source: RFC 5681 §4.2.
    pub(crate) fn owe_ack(&mut self, now: Instant, config: &Config) {
        self.unacknowledged = self.unacknowledged.saturating_add(1);
        match self.ack {
            AckDue::Now => {}
            AckDue::No | AckDue::At(_) if self.unacknowledged >= 2 => self.ack = AckDue::Now,
            AckDue::No => self.ack = AckDue::At(now + config.delayed_ack),
            AckDue::At(_) => {}
        }
    }

    /// A segment with our acknowledgment leaves.
    pub(crate) const fn set_acknowledged(&mut self) {
        self.ack = AckDue::No;
        self.acknowledged = self.next;
        self.unacknowledged = 0;
    }

    /// Takes `octets` that the application has read out of the buffer.
    pub(crate) fn consume(&mut self, octets: usize) -> usize {
        let taken = self.buffer.consume(octets);
        if self.assembler.is_empty() {
            self.buffer.settle();
        }
        taken
    }

    /// Position of the first unread octet.
    pub(crate) fn read_position(&self) -> SeqNumber {
        // Once the FIN was taken, `next` counts it too.
        let fin = u32::from(self.fin.is_some_and(|fin| self.next.is_after(fin)));
        self.next - low_word(self.buffer.ready() as u64) - fin
    }
}
