use super::*;
use proptest::prelude::*;

#[test]
fn refuses_frequencies_that_would_lose_precision() {
    assert_eq!(Clock::new(0, 0), None);
    assert_eq!(Clock::new(0, 999_999), None);
    assert_eq!(Clock::new(0, 1 << 32), None);
}

#[test]
fn counts_from_its_base() {
    let clock = Clock::new(1_000, 62_500_000).unwrap();
    assert_eq!(clock.instant(1_000), Instant::ZERO);
    assert_eq!(clock.instant(1_001), Instant::from_nanos(16));
    assert_eq!(clock.span(1_000, 1_010), Duration::from_nanos(160));
    assert_eq!(clock.ticks(Instant::FAR_FUTURE), u64::MAX);
}

proptest! {
    #[test]
    fn a_deadline_is_never_early_and_hardly_late(
        base in 0..1u64 << 40, frequency in 1_000_000..1u64 << 32, nanos in 0..1u64 << 50,
    ) {
        let clock = Clock::new(base, frequency).unwrap();
        let ticks = clock.ticks(Instant::from_nanos(nanos));
        let exact = u128::from(nanos) * u128::from(frequency) / 1_000_000_000 + u128::from(base);
        prop_assert!(u128::from(ticks) >= exact);
        // One tick of rounding, and the error of the factor.
        prop_assert!(u128::from(ticks) <= exact + 2 + u128::from(nanos >> 32));
        let read = clock.instant(ticks).as_nanos();
        prop_assert!(read + 1 + (nanos >> 20) >= nanos, "{read} < {nanos}");
    }
}
