//! Free ports of the host.

use crate::machine::Forward;
use anyhow::{Context, Result};
use core::net::Ipv4Addr;
use core::sync::atomic::{AtomicU32, Ordering};
use std::net::TcpListener;

/// Below the ports that hosts give to outgoing connections: nobody gets one of these by chance between our look and the
/// emulator's, and no client can be connected to itself.
const FIRST: u32 = 20_000;
const COUNT: u32 = 12_000;

/// A port of the host that nobody uses now, led to `guest`.
///
/// # Errors
/// The host has none left.
pub fn forward_to(guest: u16) -> Result<Forward> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Several of us at once begin at different places.
    let start = std::process::id().wrapping_mul(769);
    let mut candidates =
        (0..COUNT).map(|_| start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT + FIRST);
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let host = candidates.by_ref().filter_map(|port| u16::try_from(port).ok()).find(free);
    Ok(Forward { host: host.context("no free port on 127.0.0.1")?, guest })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_free_and_differ() {
        let (one, two) = (forward_to(80).unwrap(), forward_to(80).unwrap());
        assert_ne!(one.host, two.host);
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, one.host)).unwrap();
        assert_eq!(two.guest, 80);
    }
}
