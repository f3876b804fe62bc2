//! The access log.

use alloc::vec::Vec;

use swos_httpserver::{Replied, Request, log_reply, log_request};
use swos_ulib::{
    io::{Write as _, stdout},
    log::{self, LOG_DEBUG},
    net::Ipv4Addr,
    sys,
};

/// What is logged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Access {
    /// The first requests of each second go to the system's log (not to the console), the others are counted there.
    Sampled,
    /// Every request goes to standard output.
    All,
    /// Nothing.
    Off,
}

/// Requests that are logged each second when sampling: enough for people, and no flood for the log's ring.
const SAMPLES: u32 = 10;

#[derive(Debug)]
pub(crate) struct Journal {
    access: Access,
    second: u64,
    logged: u32,
    counted: u32,
    failed: u32,
    line: Vec<u8>,
}

impl Journal {
    pub(crate) const fn new(access: Access) -> Self {
        Self { access, second: 0, logged: 0, counted: 0, failed: 0, line: Vec::new() }
    }

    /// Notes a request that is about to be answered, `None` if it is refused.
    pub(crate) fn begin(&mut self, peer: Ipv4Addr, request: Option<Request<'_>>) {
        self.line.clear();
        match self.access {
            Access::Sampled if self.logged >= SAMPLES => {}
            Access::Sampled | Access::All => log_request(&mut self.line, peer, request),
            Access::Off => {}
        }
    }

    /// Notes the reply to the request that [`begin`](Self::begin) was told of.
    pub(crate) fn finish(&mut self, replied: Replied) {
        if self.line.is_empty() {
            self.counted += 1;
            self.failed += u32::from(replied.status.code() >= 400);
            return;
        }
        log_reply(&mut self.line, replied);
        if self.access == Access::All {
            self.line.push(b'\n');
            let _nobody_listens = stdout().write_all(&self.line);
        } else {
            self.logged += 1;
            let _full = sys::log_write(LOG_DEBUG, &self.line);
        }
    }

    /// A new second (of any count) begins when `second` differs from the last.
    pub(crate) fn tick(&mut self, second: u64) {
        if second == self.second {
            return;
        }
        self.second = second;
        self.logged = 0;
        if self.counted > 0 && self.access == Access::Sampled {
            let (counted, failed) = (self.counted, self.failed);
            log::write(LOG_DEBUG, format_args!("and {counted} more requests, {failed} of them refused"));
            (self.counted, self.failed) = (0, 0);
        }
    }
}
