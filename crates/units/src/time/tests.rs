use super::*;

#[test]
fn arithmetic_saturates() {
    assert_eq!(Instant::FAR_FUTURE + Duration::from_secs(1), Instant::FAR_FUTURE);
    assert_eq!(Instant::ZERO.since(Instant::FAR_FUTURE), Duration::ZERO);
    assert_eq!(Duration::from_secs(u64::MAX).as_nanos(), u64::MAX);
    assert_eq!(Duration::from_millis(3).as_millis(), 3);
}
