//! Sizes: of the kernel, and of the smallest machine that serves.

use super::{Figure, Subject};
use anyhow::{Context, Result, ensure};
use core::time::Duration;
use std::fs;
use swos_qemu_tests::{Guest, http};

/// Long enough for a machine that can; one that cannot costs this much.
const LIMIT: Duration = Duration::from_secs(10);
const MOST_MIB: u32 = 256;

pub(super) fn kernel_image(subject: &Subject) -> Result<Vec<Figure>> {
    let size = fs::metadata(&subject.kernel).context("cannot read the kernel")?.len();
    Ok(vec![Figure::new("kernel_image", size as f64, "bytes")])
}

/// The smallest memory, to a MiB, with which a whole file comes from the web server.
pub(super) fn smallest(subject: &Subject) -> Result<Vec<Figure>> {
    ensure!(serves(subject, MOST_MIB)?, "it does not serve with {MOST_MIB} MiB either");
    let (mut too_small, mut enough) = (0, MOST_MIB);
    while enough - too_small > 1 {
        let middle = too_small.midpoint(enough);
        if serves(subject, middle)? { enough = middle } else { too_small = middle }
    }
    Ok(vec![Figure::new("min_ram_mib", f64::from(enough), "MiB")])
}

fn serves(subject: &Subject, mib: u32) -> Result<bool> {
    let machine = subject.machine()?.memory_mib(mib);
    let port = machine.host_port(80).context("the web server's port is led in")?;
    let mut guest = Guest::start(machine)?;
    let mut whole = || {
        http::wait_until_served(&mut guest, port, LIMIT)?;
        http::Client::connect(port)?.get("/1k.bin")
    };
    Ok(whole().is_ok_and(|answer| answer.status == 200))
}
