use super::*;

const MSS: u32 = 1000;

fn config() -> Config {
    Config::default()
}

#[test]
fn rfc_6928_initial_window() {
    for (mss, expected) in [(536, 5360), (1460, 14_600), (4000, 14_600), (9000, 18_000)] {
        assert_eq!(Congestion::new(&config(), mss).window(), expected);
    }
    let cautious = Config { initial_window: 2, ..config() };
    assert_eq!(Congestion::new(&cautious, MSS).window(), 2000);
}

#[test]
fn slow_start_adds_at_most_a_segment_per_acknowledgment() {
    let mut c = Congestion::new(&config(), MSS);
    c.on_ack(&config(), 300, 10_000, MSS);
    assert_eq!(c.window(), 10_300);
    c.on_ack(&config(), 5000, 10_300, MSS);
    assert_eq!(c.window(), 11_300);
}

#[test]
fn avoidance_adds_a_segment_per_window() {
    let mut c = Congestion::new(&config(), MSS);
    c.enter_recovery(20_000, MSS);
    c.exit_recovery(20_000, MSS);
    assert_eq!(c.window(), 10_000);
    for _ in 0..10 {
        assert_eq!(c.window(), 10_000);
        c.on_ack(&config(), 1000, c.window(), MSS);
    }
    assert_eq!(c.window(), 11_000);
}

#[test]
fn unused_window_does_not_grow() {
    let mut c = Congestion::new(&config(), MSS);
    for _ in 0..1000 {
        c.on_ack(&config(), 1000, 2000, MSS);
    }
    assert_eq!(c.window(), 10_000);
}

#[test]
fn time_out_leaves_one_segment_and_halves_once() {
    let mut c = Congestion::new(&config(), MSS);
    c.on_timeout(8000, MSS, Repeated::First);
    assert_eq!((c.window(), c.threshold()), (1000, 4000));
    c.on_timeout(1000, MSS, Repeated::Again);
    assert_eq!((c.window(), c.threshold()), (1000, 4000));
    c.on_timeout(1000, MSS, Repeated::First);
    assert_eq!(c.threshold(), 2000, "never below two segments");
}

#[test]
fn recovery_inflates_and_deflates() {
    let mut c = Congestion::new(&config(), MSS);
    c.enter_recovery(10_000, MSS);
    assert_eq!((c.window(), c.threshold()), (8000, 5000));
    c.inflate(MSS);
    c.deflate(3000, MSS);
    assert_eq!(c.window(), 7000);
    c.deflate(100_000, MSS);
    assert!(c.window() >= MSS);
    c.exit_recovery(2000, MSS);
    assert_eq!(c.window(), 3000, "no burst after recovery");
}

#[test]
fn ceiling_holds() {
    let config = Config { congestion_window_max: 12_345, ..config() };
    let mut c = Congestion::new(&config, MSS);
    for _ in 0..100 {
        c.on_ack(&config, 1000, c.window(), MSS);
    }
    assert_eq!(c.window(), 12_345);
}
