//! All processes by their ids, and who is whose child.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use swos_abi::{EXIT_CONTINUED, EXIT_STOPPED, ExitRecord, WAIT_CONTINUED, WAIT_UNTRACED};
use swos_signals::{Groups, Refused};

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

/// Largest id: a pid is positive also where it is signed. A prime, so that any step leads to every id.
const PID_MAX: u32 = u32::MAX / 2;
/// How far the next look is from an id that is taken: those that were given one after the other lie side by side, and there may
/// be thousands of them.
const STEP_OVER: u32 = PID_MAX / 7;

impl Ids {
    fn next(&mut self, taken: impl Fn(u32) -> bool) -> u32 {
        let mut step = 1;
        loop {
            self.0 += step;
            if self.0 > PID_MAX {
                self.0 -= PID_MAX;
            }
            if !taken(self.0) {
                return self.0;
            }
            step = STEP_OVER;
        }
    }
}

/// One process in the table.
pub(crate) struct Entry<M: Machine> {
    pub(crate) parent: u32,
    pub(crate) children: BTreeSet<u32>,
    /// Those of the children that ended and were not waited for.
    ended: BTreeSet<u32>,
    /// Those of the children that stopped or went on, which was not asked for.
    changed: BTreeSet<u32>,
    /// The same of this process, for its parent.
    change: Option<ExitRecord>,
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

/// Which children a parent waits for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wanted {
    /// Any.
    Any,
    /// This one.
    Child(u32),
    /// Those in this process group; 0 = the parent's own.
    Group(u32),
}

/// Processes looked at in one slice of a search for news.
const LOOKS_PER_SLICE: usize = 64;

/// How far a search for news is: the next one to look at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// Of the children that ended.
    Ended(u32),
    /// Of those that stopped or went on.
    Changed(u32),
    /// Of the group, whether one of them is a child.
    Members(u32),
}

impl Place {
    pub(crate) const START: Self = Self::Ended(0);

    const fn at(self, pid: u32) -> Self {
        match self {
            Self::Ended(_) => Self::Ended(pid),
            Self::Changed(_) => Self::Changed(pid),
            Self::Members(_) => Self::Members(pid),
        }
    }

    /// As a number for a call's progress, which is 0 at the start.
    pub(crate) const fn pack(self) -> u64 {
        let (kind, pid) = match self {
            Self::Ended(pid) => (0, pid),
            Self::Changed(pid) => (1, pid),
            Self::Members(pid) => (2, pid),
        };
        kind << 32 | pid as u64
    }

    #[expect(clippy::cast_possible_truncation, reason = "two halves")]
    pub(crate) const fn unpack(packed: u64) -> Self {
        match packed >> 32 {
            0 => Self::Ended(packed as u32),
            1 => Self::Changed(packed as u32),
            _ => Self::Members(packed as u32),
        }
    }
}

/// What a parent finds that looks for news of a child.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Sought {
    /// It has no such child.
    Nobody,
    /// It has, and there is nothing to tell of it.
    None,
    /// It is not known yet.
    NotYet,
    /// One ended, or stopped, or went on.
    News(ExitRecord),
}

impl<M: Machine> Processes<M> {
    pub(crate) const fn new() -> Self {
        Self { table: BTreeMap::new(), groups: Groups::new(), ids: Ids(0) }
    }

    /// An id that no process, process group or session has, for a child of `parent` in its process group, or in `group` (0 = one
    /// of its own). If it comes to nothing, `groups` is to forget it.
    pub(crate) fn new_pid(&mut self, parent: u32, group: Option<u32>) -> Result<u32, Refused> {
        let pid = self.ids.next(|pid| self.table.contains_key(&pid) || self.groups.is_taken(pid));
        self.groups.add(pid, parent, group)?;
        Ok(pid)
    }

    pub(crate) fn add(&mut self, process: Arc<Process<M>>, parent: u32, charge: Charge) {
        let pid = process.pid;
        let (children, ended, changed) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let life = Life::Alive(process);
        self.table.insert(pid, Entry { parent, children, ended, changed, change: None, charge, life });
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
            // Nobody who watched it stop is left.
            entry.changed.remove(&orphan);
            moved = Moved::Some { ended: ended || moved == Moved::Some { ended: true } };
            if let Some(child) = self.table.get_mut(&orphan) {
                child.parent = INIT_PID;
                child.change = None;
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
            Some(Entry { life: Life::Alive(process), ended, .. }) => {
                if process.signals.lock().forgets_children() {
                    self.forget(pid);
                } else {
                    ended.insert(pid);
                }
                Some(parent)
            }
            // Nobody can ask for a process without a living parent.
            _ => {
                self.forget(pid);
                None
            }
        }
    }

    /// Notes that a living process stopped or went on, and returns its parent.
    pub(crate) fn change(&mut self, record: ExitRecord) -> Option<&Arc<Process<M>>> {
        let entry = self.table.get_mut(&record.pid)?;
        entry.change = Some(record);
        let parent = entry.parent;
        self.table.get_mut(&parent)?.changed.insert(record.pid);
        self.alive(parent)
    }

    /// What there is to tell of a process.
    fn news(&self, pid: u32, flags: u32) -> Option<ExitRecord> {
        let entry = self.table.get(&pid)?;
        match &entry.life {
            Life::Ended(record, _) => Some(*record),
            Life::Alive(_) => entry.change.filter(|change| match change.cause {
                EXIT_STOPPED => flags & WAIT_UNTRACED != 0,
                EXIT_CONTINUED => flags & WAIT_CONTINUED != 0,
                _ => false,
            }),
        }
    }

    /// Looks for news of a child of `parent`, of those that ended first; a slice at a time from `place` on. Whoever looks in several
    /// slices waits for news before the first one, or misses those of children that were looked at.
    pub(crate) fn seek(&self, parent: u32, wanted: Wanted, flags: u32, place: &mut Place) -> Sought {
        let Some(own) = self.table.get(&parent) else { return Sought::Nobody };
        let group = match wanted {
            Wanted::Child(pid) if !own.children.contains(&pid) => return Sought::Nobody,
            Wanted::Child(pid) => return self.news(pid, flags).map_or(Sought::None, Sought::News),
            Wanted::Any => None,
            Wanted::Group(0) => self.groups.group_of(parent),
            Wanted::Group(group) => Some(group),
        };
        let asked = flags & (WAIT_UNTRACED | WAIT_CONTINUED) != 0;
        let member = |pid: u32| group.is_none() || self.groups.group_of(pid) == group;
        for _ in 0..LOOKS_PER_SLICE {
            let (looked, next) = match *place {
                Place::Ended(from) => (own.ended.range(from..).next(), Place::Changed(0)),
                Place::Changed(from) if asked => (own.changed.range(from..).next(), Place::Members(0)),
                Place::Changed(_) => (None, Place::Members(0)),
                Place::Members(from) => {
                    let Some(group) = group else {
                        return if own.children.is_empty() { Sought::Nobody } else { Sought::None };
                    };
                    let Some(pid) = self.groups.members(group, from).next() else { return Sought::Nobody };
                    if own.children.contains(&pid) {
                        return Sought::None;
                    }
                    *place = place.at(pid.saturating_add(1));
                    continue;
                }
            };
            let Some(&pid) = looked else {
                *place = next;
                continue;
            };
            if let Some(news) = self.news(pid, flags).filter(|_| member(pid)) {
                return Sought::News(news);
            }
            *place = place.at(pid.saturating_add(1));
        }
        Sought::NotYet
    }

    /// Takes what was told of a child of `parent`: `None` if somebody else did, else what it used if it ended. Then it is gone.
    pub(crate) fn take_news(&mut self, parent: u32, told: &ExitRecord) -> Option<Option<Arc<Usage>>> {
        let entry = self.table.get_mut(&told.pid).filter(|entry| entry.parent == parent)?;
        match &entry.life {
            Life::Ended(record, usage) if record == told => {
                let usage = usage.clone();
                self.forget(told.pid);
                Some(Some(usage))
            }
            Life::Alive(_) if entry.change == Some(*told) => {
                entry.change = None;
                self.table.get_mut(&parent)?.changed.remove(&told.pid);
                Some(None)
            }
            Life::Ended(..) | Life::Alive(_) => None,
        }
    }

    /// Takes an ended process out of the table.
    fn forget(&mut self, pid: u32) {
        let Some(entry) = self.table.remove(&pid) else { return };
        self.groups.remove(pid);
        if let Some(parent) = self.table.get_mut(&entry.parent) {
            parent.children.remove(&pid);
            parent.ended.remove(&pid);
            parent.changed.remove(&pid);
        }
    }

    /// The living process `pid`.
    pub(crate) fn alive(&self, pid: u32) -> Option<&Arc<Process<M>>> {
        match &self.table.get(&pid)?.life {
            Life::Alive(process) => Some(process),
            Life::Ended(..) => None,
        }
    }

    /// Whether `at` is `ancestor`'s child, or a child's descendant; `None` = it is not known, because that would have been the last of
    /// `steps`, and `at` is where to go on.
    ///
    /// A part of the way that was gone stays good: who gets another parent gets init, so whatever `at` descends from later it
    /// descended from before.
    pub(crate) fn descends(&self, at: &mut u32, ancestor: u32, steps: &mut u32) -> Option<bool> {
        while let Some(entry) = self.table.get(at) {
            if entry.parent == ancestor {
                return Some(true);
            }
            *steps = steps.checked_sub(1)?;
            *at = entry.parent;
        }
        Some(false)
    }
}

#[cfg(test)]
mod tests;
