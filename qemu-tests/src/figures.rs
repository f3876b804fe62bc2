//! The guest's own account of itself, which `/bin/probe` prints over and over.

use crate::guest::Guest;
use anyhow::{Context, Result, bail};
use core::time::Duration;
use std::time::Instant;

/// One line of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Bytes free or given back when needed.
    pub available: u64,
    /// Bytes in the kernel's own objects.
    pub kernel: u64,
    /// Processes.
    pub processes: u64,
    /// Threads.
    pub threads: u64,
    /// Sockets.
    pub sockets: u64,
    /// Open files and other objects.
    pub objects: u64,
}

impl Figures {
    /// The figures on a line of output, if it is one of theirs.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let mut figures = Self::default();
        for word in line.trim_end().strip_prefix("@figures ")?.split(' ') {
            let (name, value) = word.split_once('=')?;
            let place = match name {
                "available" => &mut figures.available,
                "kernel" => &mut figures.kernel,
                "processes" => &mut figures.processes,
                "threads" => &mut figures.threads,
                "sockets" => &mut figures.sockets,
                "objects" => &mut figures.objects,
                _ => return None,
            };
            *place = value.parse().ok()?;
        }
        Some(figures)
    }

    /// What the guest prints next: an account of now, not of before.
    ///
    /// # Errors
    /// It prints none.
    pub fn now(guest: &mut Guest) -> Result<Self> {
        let line = guest.expect_fresh("@figures ")?;
        Self::parse(&line).with_context(|| format!("not figures: {line}"))
    }

    /// Waits until `good` holds of the figures.
    ///
    /// # Errors
    /// It does not within `limit`; the error says what the figures were.
    pub fn wait_until(guest: &mut Guest, limit: Duration, good: impl Fn(&Self) -> bool) -> Result<Self> {
        let deadline = Instant::now() + limit;
        loop {
            let figures = Self::now(guest)?;
            if good(&figures) {
                return Ok(figures);
            }
            if Instant::now() > deadline {
                bail!("after {} s still {figures:?}", limit.as_secs());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Figures;

    #[test]
    fn figures_are_read_and_nothing_else_is() {
        let line = "@figures available=4096 kernel=1 processes=2 threads=3 sockets=4 objects=5\r";
        let figures =
            Figures { available: 4096, kernel: 1, processes: 2, threads: 3, sockets: 4, objects: 5 };
        assert_eq!(Figures::parse(line), Some(figures));
        for other in ["", "@figures", "@figures available=x", "@figures colour=1", "figures available=1"] {
            assert_eq!(Figures::parse(other), None, "{other}");
        }
    }
}
