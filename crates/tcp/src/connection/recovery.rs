//! Loss recovery: which duplicate acknowledgments mean a loss, and what is repeated then.
//!
//! Without SACK it is NewReno, which finds one hole a round trip; with SACK, the scoreboard shows all
//! holes and what is still under way.
//!
//! Source: RFC 5681 §3.2, RFC 6582 §3.2, RFC 3042; RFC 2018 §5, RFC 6675 §3..5.

use swos_wire::SeqNumber;

use super::Connection;
use super::sender::{Recovery, Sender};
use crate::config::Config;
use crate::segment::Header;

/// Duplicates that are taken for a loss.
const DUPLICATE_THRESHOLD: u8 = 3;

/// What the SACK option of an acknowledgment told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum SackNews {
    /// The ends did not agree on SACK.
    NotSpoken,
    /// Nothing that was not known.
    No,
    /// Octets that arrived since.
    Yes,
}

impl Connection {
    /// Notes what the peer tells that it holds. Ranges that it can't hold are left out.
    pub(super) fn take_sack(&mut self, config: &Config, header: &Header) -> SackNews {
        if !self.sack.is_on() {
            return SackNews::NotSpoken;
        }
        if header.options.sack.is_empty() {
            return SackNews::No;
        }
        let mut news = SackNews::No;
        let oldest = self.send.unacknowledged.max(header.ack);
        let flight = self.send.max.since(oldest);
        for &(start, end) in header.options.sack.as_slice() {
            // Measured from the oldest number: comparing the three with each other is no order, and a block that
            // reaches around half the numbers would pass.
            let (first, last) = (start.since(oldest), end.since(oldest));
            let possible = 0 < first && first < last && last <= flight;
            if possible
                && !self.send.scoreboard.covers(start, end)
                && self.send.scoreboard.insert(start, end, config.reassembly_ranges).is_ok()
            {
                news = SackNews::Yes;
            }
        }
        news
    }

    /// `acked` numbers were acknowledged, of `flight` that were in flight. Returns whether the
    /// retransmission timer starts again: at each new acknowledgment, but in NewReno's recovery only
    /// at the first (the "impatient" variant of RFC 6582 §4).
    pub(super) fn on_ack_in_recovery(&mut self, config: &Config, acked: u32, flight: u32) -> bool {
        let mss = u32::from(self.send.mss);
        let oldest = self.send.unacknowledged;
        if !self.send.scoreboard.is_empty() {
            self.send.scoreboard.advance(oldest);
        }
        let over = !oldest.is_before(self.send.recover);
        match self.send.recovery {
            Recovery::Open => {
                self.send.duplicates = 0;
                self.send.recover = self.send.recover.max(oldest);
                self.congestion.on_ack(config, acked, flight, mss);
                true
            }
            Recovery::Fast { .. } if over => {
                self.leave_recovery();
                self.congestion.exit_recovery(self.send.flight(), mss);
                true
            }
            Recovery::Fast { timer_restarted } => {
                self.congestion.deflate(acked, mss);
                self.send.repeat_oldest = true;
                self.send.recovery = Recovery::Fast { timer_restarted: true };
                !timer_restarted
            }
            Recovery::Selective { .. } if over => {
                self.leave_recovery();
                true
            }
            Recovery::Selective { repeated } => {
                // The next hole was not repeated yet: that the acknowledgment stops there shows that
                // it is one, even with too little behind it to count as lost.
                self.send.repeat_oldest = !repeated.is_after(oldest);
                self.send.recovery = Recovery::Selective { repeated: repeated.max(oldest) };
                true
            }
        }
    }

    const fn leave_recovery(&mut self) {
        self.send.recovery = Recovery::Open;
        self.send.duplicates = 0;
    }

    pub(super) fn on_duplicate_ack(&mut self) {
        let mss = u32::from(self.send.mss);
        match self.send.recovery {
            Recovery::Fast { .. } => return self.congestion.inflate(mss),
            Recovery::Selective { .. } => return,
            Recovery::Open => {}
        }
        let oldest = self.send.unacknowledged;
        self.send.duplicates = self.send.duplicates.saturating_add(1);
        let lost = self.send.duplicates >= DUPLICATE_THRESHOLD || self.send.lost_below().is_after(oldest);
        // Below `recover` a loss was answered already: one reduction a window.
        if !lost || oldest.is_before(self.send.recover) {
            return;
        }
        // What limited transmit sent does not count as used window.
        let flight = self.send.flight().min(self.congestion.window().max(mss));
        self.send.recover = self.send.max;
        self.send.repeat_oldest = true;
        self.send.timed = None;
        if self.sack.is_on() && !self.send.scoreboard.is_empty() {
            self.congestion.enter_selective_recovery(flight, mss);
            self.send.recovery = Recovery::Selective { repeated: oldest };
        } else {
            self.congestion.enter_recovery(flight, mss);
            self.send.recovery = Recovery::Fast { timer_restarted: false };
        }
    }

    /// The next hole to repeat, in selective recovery and if the window lets it go.
    pub(super) fn next_hole(&self) -> Option<(SeqNumber, u32)> {
        let Recovery::Selective { repeated } = self.send.recovery else { return None };
        let mss = u32::from(self.send.mss);
        if self.send.pipe(repeated).saturating_add(mss) > self.congestion.window() {
            return None;
        }
        self.send.lost_hole(repeated).map(|(start, len)| (start, len.min(mss)))
    }
}

impl Sender {
    /// Everything below this that the peer does not hold is lost: at least three ranges, or more than
    /// two segments, arrived from beyond (`IsLost`).
    fn lost_below(&self) -> SeqNumber {
        let (mut ranges, mut octets) = (0, 0);
        for (start, end) in self.scoreboard.iter().rev() {
            ranges += 1;
            octets += end.since(start);
            if ranges >= DUPLICATE_THRESHOLD || octets > 2 * u32::from(self.mss) {
                return start;
            }
        }
        self.unacknowledged
    }

    /// Numbers under way: sent and neither known to have arrived nor lost, and those repeated.
    pub(super) fn pipe(&self, repeated: SeqNumber) -> u32 {
        let lost_below = self.lost_below();
        let mut pipe = 0;
        let mut hole = self.unacknowledged;
        for (start, end) in self.scoreboard.iter() {
            pipe += span(hole, start.min(repeated));
            if start.is_after(lost_below) {
                pipe += start.since(hole);
            }
            hole = end;
        }
        pipe + self.max.since(hole)
    }

    /// The first lost hole from `from` on, and its length.
    fn lost_hole(&self, from: SeqNumber) -> Option<(SeqNumber, u32)> {
        let lost_below = self.lost_below();
        let mut hole = self.unacknowledged;
        for (start, end) in self.scoreboard.iter() {
            let first = hole.max(from);
            if first.is_before(start) && !start.is_after(lost_below) {
                return Some((first, start.since(first)));
            }
            hole = end;
        }
        None
    }

    /// Octets below `next` that the peer holds: they are not under way.
    pub(super) fn held_before_next(&self) -> u32 {
        self.scoreboard.iter().map(|(start, end)| span(start, end.min(self.next))).sum()
    }

    /// Where to go on from `next` when everything is being repeated after a time-out: behind what the
    /// peer has told since that it holds; and how many numbers from there it does not hold.
    pub(super) fn skip_held(&self, next: SeqNumber) -> (SeqNumber, u32) {
        let mut next = next;
        for (start, end) in self.scoreboard.iter() {
            if next.is_before(start) {
                return (next, start.since(next));
            }
            if next.is_before(end) {
                next = end;
            }
        }
        (next, u32::MAX)
    }
}

/// Numbers from `start` to `end`, none if that lies before.
const fn span(start: SeqNumber, end: SeqNumber) -> u32 {
    if end.is_after(start) { end.since(start) } else { 0 }
}
