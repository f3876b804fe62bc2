//! Free ports of the host.

use crate::machine::Forward;
use anyhow::{Context, Result};
use core::net::Ipv4Addr;
use std::net::TcpListener;

/// A port of the host that nobody uses now, led to `guest`. Another process may take it before QEMU does; then QEMU
/// says so and the scenario is started again.
///
/// # Errors
/// The host has none left.
pub fn forward_to(guest: u16) -> Result<Forward> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port on 127.0.0.1")?;
    let host = listener.local_addr().context("a bound port has a number")?.port();
    Ok(Forward { host, guest })
}
