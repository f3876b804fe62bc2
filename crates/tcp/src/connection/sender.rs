//! The sending half of a connection: sequence space, window, what to send next.

use swos_units::Instant;
use swos_wire::SeqNumber;

use crate::assembler::Assembler;
use crate::config::Path;
use crate::isn::low_word;

/// Send state.
#[derive(Debug)]
pub(crate) struct Sender {
    /// Our initial number.
    pub(crate) initial: SeqNumber,
    /// Oldest number not acknowledged (`SND.UNA`).
    pub(crate) unacknowledged: SeqNumber,
    /// Next number to send (`SND.NXT`). Goes back to the oldest after a time-out.
    pub(crate) next: SeqNumber,
    /// One past the highest number ever sent.
    pub(crate) max: SeqNumber,
    /// Octets that the peer takes from `unacknowledged` on, scaled (`SND.WND`).
    pub(crate) window: u32,
    /// Largest window ever seen (`MAX.SND.WND`).
    pub(crate) window_max: u32,
    /// Segment that last changed the window: its number and acknowledgment.
    pub(crate) window_seq: SeqNumber,
    pub(crate) window_ack: SeqNumber,
    pub(crate) shift: u8,
    /// Largest payload of a segment, options taken off.
    pub(crate) mss: u16,
    /// The application closed: a FIN follows the queue.
    pub(crate) fin: bool,
    /// One past the last urgent octet.
    pub(crate) urgent: Option<SeqNumber>,
    /// End of the last segment that was sent short of full with nothing behind it.
    pub(crate) small_end: SeqNumber,
    /// Segment being timed: the acknowledgment to wait for, and when it left.
    pub(crate) timed: Option<(SeqNumber, Instant)>,
    /// Duplicate acknowledgments in a row.
    pub(crate) duplicates: u8,
    pub(crate) recovery: Recovery,
    /// The window reaches no reduction for losses below this: one reduction a window.
    pub(crate) recover: SeqNumber,
    /// What the peer holds beyond `unacknowledged`, as it told by SACK.
    pub(crate) scoreboard: Assembler,
    /// The oldest segment is to be repeated at once.
    pub(crate) repeat_oldest: bool,
    /// The next segment is sent whatever window and size: a probe.
    pub(crate) forced: bool,
    /// When text last left.
    pub(crate) last_sent: Instant,
    /// Since when nothing was acknowledged although something is outstanding.
    pub(crate) stalled_since: Instant,
    /// Time-outs in a row.
    pub(crate) timeouts: u8,
}

/// Loss recovery.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Recovery {
    /// None under way.
    Open,
    /// Fast recovery until `recover` is acknowledged.
    Fast {
        /// Whether a partial acknowledgment has restarted the retransmission timer already.
        timer_restarted: bool,
    },
    /// The same with the peer's SACK to go by.
    Selective {
        /// One past the last octet that was repeated.
        repeated: SeqNumber,
    },
}

impl Sender {
    pub(crate) const fn new(now: Instant, initial: SeqNumber, path: Path) -> Self {
        Self {
            initial,
            unacknowledged: initial,
            next: initial,
            max: initial,
            window: 0,
            window_max: 0,
            window_seq: SeqNumber(0),
            window_ack: SeqNumber(0),
            shift: 0,
            mss: if path.default_mss < path.mss { path.default_mss } else { path.mss },
            fin: false,
            urgent: None,
            small_end: initial,
            timed: None,
            duplicates: 0,
            recovery: Recovery::Open,
            recover: initial,
            scoreboard: Assembler::new(),
            repeat_oldest: false,
            forced: false,
            last_sent: now,
            stalled_since: now,
            timeouts: 0,
        }
    }

    /// Numbers sent and not acknowledged.
    pub(crate) const fn flight(&self) -> u32 {
        self.max.since(self.unacknowledged)
    }

    /// Whether our SYN is acknowledged, so that `unacknowledged` is the first octet of the queue.
    pub(crate) fn is_synchronised(&self) -> bool {
        self.unacknowledged != self.initial
    }

    /// Number of the octet after `queued` octets of the queue.
    pub(crate) fn end_of(&self, queued: usize) -> SeqNumber {
        let syn = u32::from(!self.is_synchronised());
        self.unacknowledged + syn + low_word(queued as u64)
    }

    /// What was sent counts as lost: start again from the oldest.
    pub(crate) const fn restart_from_oldest(&mut self) {
        self.next = self.unacknowledged;
        self.timed = None;
        self.repeat_oldest = false;
    }
}
