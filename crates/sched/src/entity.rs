//! What a thread carries for its scheduler.

use swos_units::Duration;

/// Share of a thread: two threads on one CPU run in proportion to their weights.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Weight(u32);

/// Weights of the nice values -20..=19: 1024 · 1.25^-nice, so that one step shifts a tenth of the CPU between two threads.
const WEIGHTS: [u32; 40] = {
    let mut weights = [0; 40];
    let mut step = 0;
    while step < 40 {
        // Exact to the unit in u128: 5^20 · 2^10 is far below 2^128.
        let (mut numerator, mut denominator) = (1024_u128, 1_u128);
        let mut n = 0;
        while n < 20_usize.abs_diff(step) {
            if step < 20 {
                numerator *= 5;
                denominator *= 4;
            } else {
                numerator *= 4;
                denominator *= 5;
            }
            n += 1;
        }
        let rounded = (numerator + denominator / 2) / denominator;
        assert!(rounded > 0 && rounded < 1 << 17);
        #[expect(clippy::cast_possible_truncation, reason = "asserted in the line above")]
        {
            weights[step] = rounded as u32;
        }
        step += 1;
    }
    weights
};

impl Weight {
    /// The weight of nice value 0.
    pub const NORMAL: Self = Self(1024);

    /// The weight of `nice`, -20 (most) to 19 (least); values beyond count as these.
    #[must_use]
    #[expect(clippy::cast_sign_loss, clippy::indexing_slicing, reason = "clamped to 0..=39")]
    pub const fn from_nice(nice: i32) -> Self {
        let clamped = if nice < -20 {
            -20
        } else if nice > 19 {
            19
        } else {
            nice
        };
        Self(WEIGHTS[(clamped + 20) as usize])
    }

    /// The weight of this number, which [`get`](Self::get) gave; of none, the normal one.
    #[must_use]
    #[inline]
    pub const fn from_raw(raw: u32) -> Self {
        if raw == 0 { Self::NORMAL } else { Self(raw) }
    }

    /// The bare number; 1024 is normal.
    #[must_use]
    #[inline]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// Scheduling state of one thread. Virtual times are nanoseconds of a thread of weight 1024.
#[derive(Clone, Debug)]
pub struct Entity {
    pub(crate) weight: Weight,
    /// Virtual run time, on the scale of `queue`.
    pub(crate) vruntime: u64,
    /// What division by the weight left over, so that no run time is lost however short the runs.
    pub(crate) remainder: u32,
    /// The queue that `vruntime` belongs to; `None` before the first.
    pub(crate) queue: Option<u32>,
    /// That queue's own virtual time when this thread left it.
    pub(crate) left_at: u64,
}

/// How far a running thread was when it was last charged: enough to tell whether another goes before it, without the thread.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Mark {
    /// Its virtual run time, in nanoseconds.
    pub vruntime: u64,
    /// Its weight.
    pub weight: Weight,
}

impl Mark {
    /// How far it is when it has run for so long since.
    #[must_use]
    #[inline]
    pub const fn after(self, ran: Duration) -> Self {
        let scaled = ran.as_nanos().saturating_mul(Weight::NORMAL.0 as u64) / self.weight.0 as u64;
        Self { vruntime: self.vruntime.saturating_add(scaled), weight: self.weight }
    }
}

impl Entity {
    /// How far it is.
    #[must_use]
    #[inline]
    pub const fn mark(&self) -> Mark {
        Mark { vruntime: self.vruntime, weight: self.weight }
    }

    /// A thread that never ran.
    #[must_use]
    pub const fn new(weight: Weight) -> Self {
        Self { weight, vruntime: 0, remainder: 0, queue: None, left_at: 0 }
    }

    /// Its weight.
    #[must_use]
    pub const fn weight(&self) -> Weight {
        self.weight
    }

    /// Changes the weight, from the next charge on. Not while the thread waits in a queue.
    pub const fn set_weight(&mut self, weight: Weight) {
        self.weight = weight;
        self.remainder = 0;
    }

    /// The queue it last ran or waited in.
    #[must_use]
    pub const fn queue(&self) -> Option<u32> {
        self.queue
    }

    /// Adds `ran` to the virtual run time.
    pub(crate) fn add(&mut self, ran: Duration) {
        let scaled = ran
            .as_nanos()
            .saturating_mul(u64::from(Weight::NORMAL.0))
            .saturating_add(u64::from(self.remainder));
        let weight = u64::from(self.weight.0);
        self.vruntime = self.vruntime.saturating_add(scaled / weight);
        // Below the weight, which is 32 bits wide.
        self.remainder = u32::try_from(scaled % weight).unwrap_or(0);
    }
}

#[cfg(test)]
mod tests;
