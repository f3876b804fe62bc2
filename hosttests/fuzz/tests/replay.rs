//! Every target on stable: its seeds, its kept inputs, and a second of new ones.

#![expect(clippy::expect_used, reason = "a test may panic; the lint knows test functions only")]

use core::panic::AssertUnwindSafe;
use std::panic::{catch_unwind, resume_unwind};

use swos_fuzz::{Mutator, TARGETS, Target, load};

/// The dice of the mutations: another number looks elsewhere.
const SEED: u64 = 1;

fn run(target: Target, input: &[u8], what: &str) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (target.run)(input))) {
        eprintln!("{} failed on {what}: {}", target.name, input.escape_ascii());
        resume_unwind(panic);
    }
}

fn replay(name: &str) {
    let target = swos_fuzz::find(name).expect("a target of the table");
    let mut corpus = (target.seeds)();
    for (number, input) in corpus.iter().enumerate() {
        run(target, input, &format!("seed {number}"));
    }
    for (file, input) in load(name) {
        run(target, &input, &file);
        corpus.push(input);
    }
    println!("{name}: {} kept inputs, {} new ones by seed {SEED}", corpus.len(), target.test_runs);
    let mutator = Mutator::new(SEED);
    for number in 0..target.test_runs {
        run(target, &mutator.next(&corpus), &format!("mutation {number} of seed {SEED}"));
    }
}

macro_rules! replays {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            replay(stringify!($name));
        })*

        #[test]
        fn every_target_is_replayed() {
            let listed = [$(stringify!($name)),*];
            assert!(TARGETS.iter().map(|target| target.name).eq(listed));
        }
    };
}

replays! {
    abi_call boot_options device_tree elf http_date http_head http_path http_server netstack path services swosbase_v3
    swosbase_v4_image swosbase_v4_metadata swosbase_v4_superblock system_calls tcp wire_arp wire_ethernet wire_icmpv4
    wire_ipv4 wire_tcp wire_udp
}
