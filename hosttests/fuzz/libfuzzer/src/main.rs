//! libFuzzer runs the target that the environment variable `SWOS_FUZZ_TARGET` names.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use swos_fuzz::{TARGETS, Target, find};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("SWOS_FUZZ_TARGET").unwrap_or_default();
    find(&name).unwrap_or_else(|| {
        let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
        panic!("SWOS_FUZZ_TARGET is {name:?}, not one of {}", names.join(" "))
    })
});

fuzz_target!(|data: &[u8]| (TARGET.run)(data));
