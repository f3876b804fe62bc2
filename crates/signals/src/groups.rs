//! Process groups and sessions: who is in which.

use alloc::collections::{BTreeMap, BTreeSet};

/// Why a process can't move.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refused {
    /// There is no such process.
    NoProcess,
    /// It leads its session, or a group; or the group is not one of its session.
    NotAllowed,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    group: u32,
    session: u32,
}

/// The groups and sessions of all processes, those included that have ended and were not waited for.
///
/// A group is named by the process that made it, a session likewise; the name stays taken until the last member is gone.
#[derive(Debug, Default)]
pub struct Groups {
    places: BTreeMap<u32, Place>,
    /// Group, then process.
    groups: BTreeSet<(u32, u32)>,
    /// Session, then process.
    sessions: BTreeSet<(u32, u32)>,
}

/// Members of `id` in one of the two indices, from process `from` on.
fn range(index: &BTreeSet<(u32, u32)>, id: u32, from: u32) -> impl Iterator<Item = u32> + '_ {
    index.range((id, from)..=(id, u32::MAX)).map(|&(_, pid)| pid)
}

impl Groups {
    /// Nobody is there.
    #[must_use]
    pub const fn new() -> Self {
        Self { places: BTreeMap::new(), groups: BTreeSet::new(), sessions: BTreeSet::new() }
    }

    /// Adds a process in the places of `parent`; without one it leads a group and a session of its own.
    pub fn add(&mut self, pid: u32, parent: u32) {
        let place = self.places.get(&parent).copied().unwrap_or(Place { group: pid, session: pid });
        self.put(pid, place);
    }

    fn put(&mut self, pid: u32, place: Place) {
        self.remove(pid);
        self.places.insert(pid, place);
        self.groups.insert((place.group, pid));
        self.sessions.insert((place.session, pid));
    }

    /// Forgets a process.
    pub fn remove(&mut self, pid: u32) {
        if let Some(place) = self.places.remove(&pid) {
            self.groups.remove(&(place.group, pid));
            self.sessions.remove(&(place.session, pid));
        }
    }

    /// The group of a process.
    #[must_use]
    pub fn group_of(&self, pid: u32) -> Option<u32> {
        self.places.get(&pid).map(|place| place.group)
    }

    /// The session of a process.
    #[must_use]
    pub fn session_of(&self, pid: u32) -> Option<u32> {
        self.places.get(&pid).map(|place| place.session)
    }

    /// The members of a group, from process `from` on, in the order of their numbers.
    pub fn members(&self, group: u32, from: u32) -> impl Iterator<Item = u32> + '_ {
        range(&self.groups, group, from)
    }

    /// Whether a group or a session has this name, so that no new process may get the number.
    #[must_use]
    pub fn is_taken(&self, id: u32) -> bool {
        self.members(id, 0).next().is_some() || range(&self.sessions, id, 0).next().is_some()
    }

    /// Whether `pid` may enter `group` (0 = one of its own).
    ///
    /// # Errors
    ///
    /// [`Refused`].
    pub fn may_enter(&self, pid: u32, group: u32) -> Result<(), Refused> {
        let place = self.places.get(&pid).ok_or(Refused::NoProcess)?;
        self.may_enter_from(*place, pid, group)
    }

    fn may_enter_from(&self, place: Place, pid: u32, group: u32) -> Result<(), Refused> {
        if place.session == pid {
            return Err(Refused::NotAllowed);
        }
        if group == 0 || group == pid {
            return Ok(());
        }
        let other = self.members(group, 0).next().and_then(|member| self.session_of(member));
        if other == Some(place.session) { Ok(()) } else { Err(Refused::NotAllowed) }
    }

    /// Whether a child of `parent` that is yet to be made may enter `group` (0 = one of its own).
    ///
    /// # Errors
    ///
    /// [`Refused`].
    pub fn child_may_enter(&self, parent: u32, group: u32) -> Result<(), Refused> {
        let place = self.places.get(&parent).ok_or(Refused::NoProcess)?;
        // No process has the number 0, so this one leads nothing.
        self.may_enter_from(*place, 0, group)
    }

    /// Moves `pid` to `group` (0 = one of its own).
    ///
    /// # Errors
    ///
    /// [`Refused`]; nothing is changed.
    pub fn enter(&mut self, pid: u32, group: u32) -> Result<(), Refused> {
        self.may_enter(pid, group)?;
        let session = self.session_of(pid).ok_or(Refused::NoProcess)?;
        self.put(pid, Place { group: if group == 0 { pid } else { group }, session });
        Ok(())
    }

    /// Starts a session, and a group in it, that `pid` leads.
    ///
    /// # Errors
    ///
    /// [`Refused::NotAllowed`] if a group has its number already.
    pub fn start_session(&mut self, pid: u32) -> Result<(), Refused> {
        if !self.places.contains_key(&pid) {
            return Err(Refused::NoProcess);
        }
        if self.members(pid, 0).next().is_some() {
            return Err(Refused::NotAllowed);
        }
        self.put(pid, Place { group: pid, session: pid });
        Ok(())
    }
}
