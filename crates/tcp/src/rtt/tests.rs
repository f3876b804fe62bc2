use super::*;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Samples in milliseconds, and the time-out after each in microseconds, worked out by hand from
/// RFC 6298 §2 with G = 1 ms.
#[test]
fn golden_vectors() {
    let config = Config { rto_min: Duration::ZERO, ..Config::default() };
    let mut rtt = RttEstimator::new(&config);
    assert_eq!(rtt.timeout(&config), ms(1000));
    let steps = [
        // SRTT 100, VAR 50
        (100, 300_000),
        // VAR 37.5, SRTT 100
        (100, 250_000),
        // VAR 28.125 + 25 = 53.125, SRTT 112.5
        (200, 325_000),
        // VAR 39.84375 + 15.625 = 55.46875, SRTT 104.6875
        (50, 326_562),
        // VAR 41.6015625 + 223.828125 = 265.4296875, SRTT 216.6015625
        (1000, 1_278_320),
    ];
    for (sample, rto_us) in steps {
        rtt.sample(ms(sample), &config);
        assert_eq!(rtt.timeout(&config).as_nanos() / 1000, rto_us, "after {sample} ms");
    }
}

#[test]
fn granularity_and_bounds() {
    let config = Config::default();
    let mut rtt = RttEstimator::new(&config);
    for _ in 0..100 {
        rtt.sample(Duration::from_micros(100), &config);
    }
    assert_eq!(rtt.timeout(&config), config.rto_min);
    let free = Config { rto_min: Duration::ZERO, ..Config::default() };
    rtt.sample(Duration::from_micros(100), &free);
    assert!(rtt.timeout(&free) >= free.clock_granularity);
    rtt.sample(Duration::from_secs(1000), &config);
    assert_eq!(rtt.timeout(&config), config.rto_max);
    rtt.sample(Duration::from_nanos(u64::MAX), &config);
    assert_eq!(rtt.timeout(&config), config.rto_max);
}

#[test]
fn backing_off_doubles_up_to_the_ceiling_and_a_sample_ends_it() {
    let config = Config::default();
    let mut rtt = RttEstimator::new(&config);
    rtt.sample(ms(100), &config);
    for doubled in [600, 1200, 2400, 4800, 9600, 19200, 38400, 60000, 60000] {
        rtt.back_off();
        assert_eq!(rtt.timeout(&config), ms(doubled));
    }
    for _ in 0..1000 {
        rtt.back_off();
    }
    assert_eq!(rtt.timeout(&config), ms(60_000));
    rtt.sample(ms(100), &config);
    assert_eq!(rtt.timeout(&config), ms(250));
}

#[test]
fn lost_syn_starts_at_three_seconds_unless_measured() {
    let config = Config::default();
    let mut rtt = RttEstimator::new(&config);
    rtt.back_off();
    rtt.after_syn_loss(&config);
    assert_eq!(rtt.timeout(&config), ms(3000));
    rtt.sample(ms(100), &config);
    rtt.after_syn_loss(&config);
    assert_eq!(rtt.timeout(&config), ms(300));
}
