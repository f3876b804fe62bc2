//! How many passed and failed.

use core::ops::AddAssign;
use swos_qemu_tests::Tally;

/// A number of checks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) passed: usize,
    pub(super) failed: usize,
}

impl Count {
    /// One check that passed.
    pub(super) const SUCCESS: Self = Self { passed: 1, failed: 0 };
    /// One check that failed.
    pub(super) const FAILURE: Self = Self { passed: 0, failed: 1 };

    /// What the `test result:` lines in the output of `cargo test` add up to.
    pub(super) fn of_cargo_test(output: &str) -> Self {
        let mut count = Self::default();
        for line in output.lines().filter(|line| line.starts_with("test result:")) {
            let number = |label: &str| {
                let before = line.split(label).next().filter(|before| before.len() < line.len());
                before
                    .and_then(|before| before.split_whitespace().next_back()?.parse::<usize>().ok())
                    .unwrap_or(0)
            };
            count += Self { passed: number(" passed"), failed: number(" failed") };
        }
        count
    }
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl From<Tally> for Count {
    fn from(tally: Tally) -> Self {
        Self { passed: tally.passed, failed: tally.failed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_all_binaries_are_added() {
        let output = "running 3 tests\ntest result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
                      noise 9 passed\ntest result: FAILED. 10 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(Count::of_cargo_test(output), Count { passed: 13, failed: 2 });
        assert_eq!(Count::of_cargo_test("test result: nonsense"), Count::default());
    }
}
