//! New inputs from known ones, by the throw of seeded dice.

use core::cell::Cell;

/// Longest input that is made.
const MAX_LEN: usize = 8192;

/// Values that sit at borders, cut to the width needed.
const INTERESTING: [u64; 20] = [
    0,
    1,
    2,
    7,
    8,
    16,
    32,
    64,
    0x7f,
    0x80,
    0xff,
    0x100,
    0xfff,
    0x1000,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    u64::MAX,
];

/// Makes inputs. The same seed and corpus give the same inputs, everywhere.
#[derive(Debug)]
pub struct Mutator {
    /// xorshift64*.
    state: Cell<u64>,
}

impl Mutator {
    /// Dice with this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { state: Cell::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1) }
    }

    fn throw(&self) -> u64 {
        let mut state = self.state.get();
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        self.state.set(state);
        state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&self, bound: usize) -> usize {
        let bound = u64::try_from(bound.max(1)).unwrap();
        usize::try_from((self.throw() >> 11) % bound).unwrap()
    }

    fn byte(&self) -> u8 {
        self.throw().to_be_bytes()[0]
    }

    /// The next input, from one or two of `corpus`.
    #[must_use]
    pub fn next(&self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = match corpus.len() {
            0 => Vec::new(),
            len => corpus[self.below(len)].clone(),
        };
        // Few changes more often than many: one slip is what a check must catch.
        let changes = 1 << self.below(5);
        for _ in 0..changes {
            self.change(&mut input, corpus);
        }
        input.truncate(MAX_LEN);
        input
    }

    fn change(&self, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let len = input.len();
        let at = self.below(len + 1);
        match self.below(9) {
            0 if at < len => input[at] ^= 1 << self.below(8),
            1 if at < len => input[at] = self.byte(),
            2 => input.insert(at, self.byte()),
            3 => drop(input.drain(at..(at + 1 + self.below(8)).min(len))),
            4 => self.set_number(input, at),
            5 => input.truncate(at),
            6 => {
                // A part again: repetition of what a format allows once.
                let part = input[at..(at + 1 + self.below(64)).min(len)].to_vec();
                let to = self.below(len + 1);
                input.splice(to..to, part);
            }
            7 if at < len => {
                let nudge = self.below(9).wrapping_sub(4).to_le_bytes()[0];
                input[at] = input[at].wrapping_add(nudge);
            }
            _ => {
                // The front of one with the back of another.
                let Some(other) = corpus.get(self.below(corpus.len())) else { return };
                let from = self.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
        }
    }

    fn set_number(&self, input: &mut [u8], at: usize) {
        let width = 1 << self.below(4);
        let value = match self.below(3) {
            0 => 1 << self.below(64),
            _ => INTERESTING[self.below(INTERESTING.len())],
        };
        let Some(place) = input.get_mut(at..at + width) else { return };
        if self.below(2) == 0 {
            place.copy_from_slice(&value.to_le_bytes()[..width]);
        } else {
            place.copy_from_slice(&value.to_be_bytes()[8 - width..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_inputs_and_another_gives_others() {
        let corpus = [b"hello".to_vec(), vec![0; 100]];
        let run = |seed| {
            let mutator = Mutator::new(seed);
            (0..500).map(|_| mutator.next(&corpus)).collect::<Vec<_>>()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
        let distinct: std::collections::BTreeSet<_> = run(3).into_iter().collect();
        assert!(distinct.len() > 400, "{}", distinct.len());
    }

    #[test]
    fn an_empty_corpus_and_long_inputs_are_fine() {
        let mutator = Mutator::new(5);
        for _ in 0..500 {
            assert!(mutator.next(&[]).len() <= MAX_LEN);
            assert!(mutator.next(&[vec![1; 3 * MAX_LEN]]).len() <= MAX_LEN);
        }
    }
}
