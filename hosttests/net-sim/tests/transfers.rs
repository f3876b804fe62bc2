//! T-9: conversations between whole stacks over bad links. Every octet arrives in order and both ends
//! close, or both are told; nobody waits in vain.

use swos_net_sim::{Dice, Faults, Host, Ours, Outcome, Simulation, Smoltcp};
use swos_netstack::Limits;
use swos_tcp::Config;
use swos_units::Duration;

fn ours(seed: u64, number: u8) -> Ours {
    Ours::new(seed, number, Config::default(), Limits::default())
}

fn run<C: Host, S: Host>(
    seed: u64,
    faults: Faults,
    client: C,
    server: S,
    total: u32,
    octets: u32,
) -> Outcome {
    let mut simulation = Simulation::new(seed, faults, client, server);
    let outcome = simulation.run(total, 16, octets);
    println!("seed {seed}: {outcome:?}");
    assert_eq!((outcome.wrong, outcome.stuck), (0, 0), "seed {seed}: {outcome:?}");
    assert!(outcome.complete + outcome.told >= total, "seed {seed}: {outcome:?}");
    // Only a run of losses as long as the user time-out excuses an abort.
    assert!(outcome.complete * 100 >= total * 99, "seed {seed}: {outcome:?}");
    outcome
}

const MILLISECOND: Duration = Duration::from_millis(1);

#[test]
fn ours_with_ours_over_a_good_link() {
    let outcome = run(1, Faults::none(MILLISECOND), ours(1, 1), ours(2, 2), 200, 200_000);
    assert_eq!((outcome.complete, outcome.served, outcome.told), (200, 200, 0));
}

#[test]
fn ours_with_ours_over_bad_links() {
    for seed in 0..6 {
        let faults = Faults::random(&mut Dice::new(seed), 10);
        run(seed, faults, ours(seed, 1), ours(seed + 100, 2), 60, 60_000);
    }
    run(77, Faults::all(10, Duration::from_millis(20)), ours(7, 1), ours(8, 2), 60, 60_000);
}

#[test]
fn ours_as_client_of_smoltcp() {
    run(1, Faults::none(MILLISECOND), ours(1, 1), Smoltcp::new(1, 2, 20_000), 50, 100_000);
    for seed in 0..3 {
        let faults = Faults::random(&mut Dice::new(seed), 10);
        run(seed, faults, ours(seed, 1), Smoltcp::new(seed, 2, 20_000), 40, 40_000);
    }
}

#[test]
fn ours_as_server_of_smoltcp() {
    run(1, Faults::none(MILLISECOND), Smoltcp::new(1, 1, 20_000), ours(1, 2), 50, 100_000);
    for seed in 0..3 {
        let faults = Faults::random(&mut Dice::new(seed), 10);
        run(seed, faults, Smoltcp::new(seed, 1, 20_000), ours(seed, 2), 40, 40_000);
    }
}

#[test]
fn small_buffers_and_other_parameters() {
    for (seed, capacity) in [(1, 1000), (2, 3000), (3, 65_535), (4, 1 << 20)] {
        let config = Config { receive_capacity: capacity, ..Config::default() };
        let client = Ours::new(seed, 1, config.clone(), Limits::default());
        let server = Ours::new(seed, 2, config, Limits::default());
        run(seed, Faults::all(4, Duration::from_millis(5)), client, server, 30, 60_000);
    }
}

#[test]
fn same_seed_same_run() {
    let once = || run(5, Faults::all(8, MILLISECOND), ours(5, 1), ours(6, 2), 20, 20_000);
    assert_eq!(once(), once());
}

/// The long form of T-9.
#[test]
#[ignore = "long: 10^5 connections, some minutes"]
fn hundred_thousand_connections() {
    let (mut total, mut told) = (0, 0);
    for seed in 0..400 {
        let mut dice = Dice::new(seed ^ 0xFEED);
        let faults = Faults::random(&mut dice, 10);
        let octets = 1 + u32::try_from(dice.below(30_000)).unwrap();
        let outcome = match seed % 4 {
            0 | 1 => run(seed, faults, ours(seed, 1), ours(!seed, 2), 250, octets),
            2 => run(seed, faults, ours(seed, 1), Smoltcp::new(seed, 2, 16_384), 250, octets),
            _ => run(seed, faults, Smoltcp::new(seed, 1, 16_384), ours(seed, 2), 250, octets),
        };
        total += outcome.complete;
        told += outcome.told;
    }
    println!("{total} complete, {told} sides told");
}
