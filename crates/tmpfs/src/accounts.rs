//! Who holds how much.

use alloc::vec::Vec;

use swos_vfs::{Error, Principal, Usage};

/// What a file system may hold, in all and for one principal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Pages, of 4 KiB each.
    pub pages: u64,
    /// Nodes: files, directories, links. Not the topmost directory.
    pub nodes: u64,
    /// Pages of the files of one principal.
    pub principal_pages: u64,
    /// Nodes of one principal.
    pub principal_nodes: u64,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Held {
    pub(crate) pages: u64,
    pub(crate) nodes: u64,
}

/// What is held, in all and by each principal that holds something.
#[derive(Debug)]
pub(crate) struct Accounts {
    limits: Limits,
    total: Held,
    /// Sorted by principal.
    held: Vec<(u32, Held)>,
}

impl Accounts {
    pub(crate) const fn new(limits: Limits) -> Self {
        Self { limits, total: Held { pages: 0, nodes: 0 }, held: Vec::new() }
    }

    pub(crate) const fn usage(&self) -> Usage {
        Usage {
            pages: self.limits.pages,
            pages_used: self.total.pages,
            nodes: self.limits.nodes,
            nodes_used: self.total.nodes,
        }
    }

    pub(crate) fn charge(&mut self, who: Principal, more: Held) -> Result<(), Error> {
        // Sums of counts of things in memory: they don't overflow.
        if self.total.pages + more.pages > self.limits.pages
            || self.total.nodes + more.nodes > self.limits.nodes
        {
            return Err(Error::NoSpace);
        }
        self.give(who, more)?;
        self.total.pages += more.pages;
        self.total.nodes += more.nodes;
        Ok(())
    }

    pub(crate) fn refund(&mut self, who: Principal, less: Held) {
        self.take(who, less);
        self.total.pages -= less.pages;
        self.total.nodes -= less.nodes;
    }

    /// Moves what a node counts from one principal to another.
    pub(crate) fn transfer(&mut self, from: Principal, to: Principal, what: Held) -> Result<(), Error> {
        self.give(to, what)?;
        self.take(from, what);
        Ok(())
    }

    fn give(&mut self, who: Principal, more: Held) -> Result<(), Error> {
        let at = self.held.binary_search_by_key(&who.0, |&(principal, _)| principal);
        let held = at.map_or(Held::default(), |at| self.held[at].1);
        let new = Held { pages: held.pages + more.pages, nodes: held.nodes + more.nodes };
        if new.pages > self.limits.principal_pages || new.nodes > self.limits.principal_nodes {
            return Err(Error::NoSpace);
        }
        match at {
            Ok(at) => self.held[at].1 = new,
            Err(at) => {
                self.held.try_reserve(1).map_err(|_| Error::OutOfMemory)?;
                self.held.insert(at, (who.0, new));
            }
        }
        Ok(())
    }

    fn take(&mut self, who: Principal, less: Held) {
        let Ok(at) = self.held.binary_search_by_key(&who.0, |&(principal, _)| principal) else { return };
        let held = &mut self.held[at].1;
        held.pages -= less.pages;
        held.nodes -= less.nodes;
        if *held == Held::default() {
            self.held.remove(at);
        }
        if self.held.is_empty() {
            self.held = Vec::new();
        }
    }
}
