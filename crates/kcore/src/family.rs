//! All processes by their ids, and who is whose child.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use swos_abi::ExitRecord;
use swos_signals::Groups;

use crate::{Machine, account::Charge, process::Process, usage::Usage};

/// Id of the first process.
pub(crate) const INIT_PID: u32 = 1;

/// All processes.
pub(crate) struct Processes<M: Machine> {
    pub(crate) table: BTreeMap<u32, Entry<M>>,
    /// Who is in which process group and session.
    pub(crate) groups: Groups,
    ids: Ids,
}

/// The last id that was given.
///
/// An id is a number of its own for each process, and not a place that the next one takes: it comes again after 2^31 - 1
/// others only. Who kept the id of a process that is gone finds nobody, and not somebody else.
#[derive(Debug, Default)]
struct Ids(u32);

/// Largest id: a pid is positive also where it is signed.
const PID_MAX: u32 = u32::MAX / 2;

impl Ids {
    fn next(&mut self, taken: impl Fn(u32) -> bool) -> u32 {
        loop {
            self.0 = if self.0 >= PID_MAX { 1 } else { self.0 + 1 };
            if !taken(self.0) {
                return self.0;
            }
        }
    }
}

/// One process in the table.
pub(crate) struct Entry<M: Machine> {
    pub(crate) parent: u32,
    pub(crate) children: BTreeSet<u32>,
    /// Those of the children that ended and were not waited for.
    ended: BTreeSet<u32>,
    pub(crate) charge: Charge,
    pub(crate) life: Life<M>,
}

/// Where a process is in its life.
pub(crate) enum Life<M: Machine> {
    /// It has threads, or is being taken apart.
    Alive(Arc<Process<M>>),
    /// Nothing is left but how it ended and what it used; its parent will ask.
    Ended(ExitRecord, Arc<Usage>),
}

/// Whether there were children for init to have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Moved {
    /// None is left.
    None,
    /// Some, perhaps not all.
    Some {
        /// One of them had ended, so that init must look.
        ended: bool,
    },
}

/// What a parent finds that looks for an ended child.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Sought {
    /// It has no such child.
    Nobody,
    /// It has, and none has ended.
    Alive,
    /// This one has.
    Ended(ExitRecord),
}

impl<M: Machine> Processes<M> {
    pub(crate) const fn new() -> Self {
        Self { table: BTreeMap::new(), groups: Groups::new(), ids: Ids(0) }
    }

    /// An id that no process, process group or session has.
    pub(crate) fn new_pid(&mut self) -> u32 {
        self.ids.next(|pid| self.table.contains_key(&pid) || self.groups.is_taken(pid))
    }

    pub(crate) fn add(&mut self, process: Arc<Process<M>>, parent: u32, charge: Charge) {
        let pid = process.pid;
        self.groups.add(pid, parent);
        let life = Life::Alive(process);
        self.table
            .insert(pid, Entry { parent, children: BTreeSet::new(), ended: BTreeSet::new(), charge, life });
        if let Some(entry) = self.table.get_mut(&parent) {
            entry.children.insert(pid);
        }
    }

    /// Gives up to `count` children of a process that ends to init.
    pub(crate) fn orphan(&mut self, pid: u32, count: usize) -> Moved {
        let mut moved = Moved::None;
        for _ in 0..count {
            let Some(entry) = self.table.get_mut(&pid) else { break };
            let Some(orphan) = entry.children.pop_first() else { break };
            let ended = entry.ended.remove(&orphan);
            moved = Moved::Some { ended: ended || moved == Moved::Some { ended: true } };
            if let Some(child) = self.table.get_mut(&orphan) {
                child.parent = INIT_PID;
            }
            match self.table.get_mut(&INIT_PID).filter(|_| pid != INIT_PID) {
                Some(init) => {
                    init.children.insert(orphan);
                    if ended {
                        init.ended.insert(orphan);
                    }
                }
                None if ended => self.forget(orphan),
                None => {}
            }
        }
        moved
    }

    /// Marks a process without children as ended, and returns whom to tell.
    pub(crate) fn end(&mut self, pid: u32, record: ExitRecord, usage: Arc<Usage>) -> Option<u32> {
        let entry = self.table.get_mut(&pid)?;
        entry.life = Life::Ended(record, usage);
        let parent = entry.parent;
        match self.table.get_mut(&parent) {
            Some(Entry { life: Life::Alive(_), ended, .. }) => {
                ended.insert(pid);
                Some(parent)
            }
            // Nobody can ask for a process without a living parent.
            _ => {
                self.forget(pid);
                None
            }
        }
    }

    /// Looks for an ended child of `parent`: `pid`, or any.
    pub(crate) fn seek(&self, parent: u32, pid: Option<u32>) -> Sought {
        let Some(own) = self.table.get(&parent) else { return Sought::Nobody };
        let candidate = match pid {
            Some(pid) if !own.children.contains(&pid) => return Sought::Nobody,
            None if own.children.is_empty() => return Sought::Nobody,
            Some(pid) => Some(pid),
            None => own.ended.first().copied(),
        };
        match candidate.and_then(|pid| self.table.get(&pid)).map(|entry| &entry.life) {
            Some(Life::Ended(record, _)) => Sought::Ended(*record),
            Some(Life::Alive(_)) | None => Sought::Alive,
        }
    }

    /// Takes an ended child of `parent` out of the table, and returns what it used; `None` if somebody else did.
    pub(crate) fn reap(&mut self, pid: u32, parent: u32) -> Option<Arc<Usage>> {
        let entry = self.table.get(&pid).filter(|entry| entry.parent == parent)?;
        let Life::Ended(_, usage) = &entry.life else { return None };
        let usage = usage.clone();
        self.forget(pid);
        Some(usage)
    }

    /// Takes an ended process out of the table.
    fn forget(&mut self, pid: u32) {
        let Some(entry) = self.table.remove(&pid) else { return };
        self.groups.remove(pid);
        if let Some(parent) = self.table.get_mut(&entry.parent) {
            parent.children.remove(&pid);
            parent.ended.remove(&pid);
        }
    }

    /// The living process `pid`.
    pub(crate) fn alive(&self, pid: u32) -> Option<&Arc<Process<M>>> {
        match &self.table.get(&pid)?.life {
            Life::Alive(process) => Some(process),
            Life::Ended(..) => None,
        }
    }

    /// Whether `pid` is `ancestor`'s child, or a child's descendant.
    pub(crate) fn descends(&self, pid: u32, ancestor: u32) -> bool {
        let mut at = pid;
        while let Some(entry) = self.table.get(&at) {
            if entry.parent == ancestor {
                return true;
            }
            at = entry.parent;
        }
        false
    }
}

#[cfg(test)]
mod tests;
