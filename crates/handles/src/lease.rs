//! Loans: what makes everything that descends from a handle end at once.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::Error;

/// Loans of loans that may follow each other: bounds the checks of a lookup. A copy does not count, only a loan.
pub const DEPTH_MAX: usize = 8;

/// One loan. Alive as long as neither it nor one it descends from was revoked.
#[derive(Clone, Debug)]
pub struct Lease(Arc<Link>);

/// Names a loan, for those who wait for its end. Used again only when nothing holds the loan any more.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct LeaseId(usize);

impl LeaseId {
    /// Its number.
    #[must_use]
    #[inline]
    pub const fn get(self) -> u64 {
        self.0 as u64
    }
}

#[derive(Debug)]
struct Link {
    revoked: AtomicBool,
    parent: Option<Lease>,
    depth: usize,
}

impl Lease {
    /// A loan by a holder whose own authority is `parent` (`None`: not lent).
    pub(crate) fn below(parent: Option<&Self>) -> Result<Self, Error> {
        let depth = parent.map_or(1, |parent| parent.0.depth + 1);
        if depth > DEPTH_MAX {
            return Err(Error::TooDeep);
        }
        Ok(Self(Arc::new(Link { revoked: AtomicBool::new(false), parent: parent.cloned(), depth })))
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> LeaseId {
        LeaseId(Arc::as_ptr(&self.0).addr())
    }

    /// The name of the first of the loans it descends from, or its own: who waits for the end of any of these waits under this
    /// name.
    #[must_use]
    pub fn first(&self) -> LeaseId {
        // At most DEPTH_MAX turns.
        let mut lease = self;
        while let Some(parent) = &lease.0.parent {
            lease = parent;
        }
        lease.id()
    }

    /// Ends the loan for everybody. A lookup that runs at this moment on another CPU may still succeed; none that starts after
    /// the revoker's next lock release does.
    pub(crate) fn revoke(&self) {
        self.0.revoked.store(true, Ordering::Release);
    }

    /// Whether neither it nor one it descends from was revoked.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        let mut link = &*self.0;
        // At most DEPTH_MAX turns.
        loop {
            if link.revoked.load(Ordering::Acquire) {
                return false;
            }
            match &link.parent {
                Some(parent) => link = &parent.0,
                None => return true,
            }
        }
    }
}
