//! Process groups and sessions: who is in which.

use alloc::vec::Vec;

use swos_slab::Spare;

/// Pairs for which there always is room, once there was one.
const LEAST: usize = 32;

/// Why a process can't move.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refused {
    /// There is no such process.
    NoProcess,
    /// It leads its session, or a group; or the group is not one of its session.
    NotAllowed,
    /// Memory is short.
    NoMemory,
}

/// Pairs of numbers in ascending order: an index that costs eight bytes an entry.
#[derive(Debug, Default)]
struct Pairs(Vec<(u32, u32)>, Spare<Vec<(u32, u32)>>);

impl Pairs {
    /// Where the first pair is that is not below this one.
    fn position(&self, pair: (u32, u32)) -> usize {
        self.0.partition_point(|&other| other < pair)
    }

    /// The second numbers of the pairs with this first one, from `from` on.
    fn of(&self, first: u32, from: u32) -> impl Iterator<Item = u32> + '_ {
        let rest = self.0.get(self.position((first, from))..).unwrap_or_default();
        rest.iter().take_while(move |pair| pair.0 == first).map(|pair| pair.1)
    }

    /// Makes room for one more.
    fn reserve_one(&mut self) -> Result<(), Refused> {
        self.1.make_room(&mut self.0, 1, LEAST).map_err(|_| Refused::NoMemory)
    }

    /// Gives back room of which hardly a quarter is used.
    fn give_back(&mut self) {
        let pairs = self.0.len();
        self.1.give_back(&mut self.0, pairs, LEAST);
    }

    /// Adds a pair, for which there is room.
    fn insert(&mut self, pair: (u32, u32)) {
        let at = self.position(pair);
        self.0.insert(at, pair);
    }

    fn remove(&mut self, pair: (u32, u32)) {
        let at = self.position(pair);
        if self.0.get(at) == Some(&pair) {
            self.0.remove(at);
        }
    }
}

/// The groups and sessions of all processes, those included that have ended and were not waited for.
///
/// A group is named by the process that made it, a session likewise; the name stays taken until the last member is gone.
#[derive(Debug, Default)]
pub struct Groups {
    /// Process and its group; process and its session.
    group_of: Pairs,
    session_of: Pairs,
    /// The same by group and by session.
    in_group: Pairs,
    in_session: Pairs,
}

impl Groups {
    /// Nobody is there.
    #[must_use]
    pub const fn new() -> Self {
        const NONE: Pairs = Pairs(Vec::new(), Spare::new());
        Self { group_of: NONE, session_of: NONE, in_group: NONE, in_session: NONE }
    }

    /// Adds a process in the places of `parent`; without one it leads a group and a session of its own. With a `group` it is
    /// there instead (0 = one of its own).
    ///
    /// # Errors
    ///
    /// [`Refused`]; nothing is changed.
    pub fn add(&mut self, pid: u32, parent: u32, group: Option<u32>) -> Result<(), Refused> {
        let session = self.session_of(parent).unwrap_or(pid);
        let group = match group {
            None => self.group_of(parent).unwrap_or(pid),
            Some(0) => pid,
            Some(other) if self.session_of_group(other) == Some(session) => other,
            Some(_) => return Err(Refused::NotAllowed),
        };
        for index in [&mut self.group_of, &mut self.session_of, &mut self.in_group, &mut self.in_session] {
            index.reserve_one()?;
        }
        self.put(pid, group, session);
        Ok(())
    }

    /// There is room: a process was taken out just before, or it was made.
    fn put(&mut self, pid: u32, group: u32, session: u32) {
        self.group_of.insert((pid, group));
        self.session_of.insert((pid, session));
        self.in_group.insert((group, pid));
        self.in_session.insert((session, pid));
    }

    /// Forgets a process.
    pub fn remove(&mut self, pid: u32) {
        self.take(pid);
        for index in [&mut self.group_of, &mut self.session_of, &mut self.in_group, &mut self.in_session] {
            index.give_back();
        }
    }

    /// Takes a process out, and leaves the room for it.
    fn take(&mut self, pid: u32) {
        if let (Some(group), Some(session)) = (self.group_of(pid), self.session_of(pid)) {
            self.group_of.remove((pid, group));
            self.session_of.remove((pid, session));
            self.in_group.remove((group, pid));
            self.in_session.remove((session, pid));
        }
    }

    /// The group of a process.
    #[must_use]
    pub fn group_of(&self, pid: u32) -> Option<u32> {
        self.group_of.of(pid, 0).next()
    }

    /// The session of a process.
    #[must_use]
    pub fn session_of(&self, pid: u32) -> Option<u32> {
        self.session_of.of(pid, 0).next()
    }

    fn session_of_group(&self, group: u32) -> Option<u32> {
        self.members(group, 0).next().and_then(|member| self.session_of(member))
    }

    /// The members of a group, from process `from` on, in the order of their numbers.
    pub fn members(&self, group: u32, from: u32) -> impl Iterator<Item = u32> + '_ {
        self.in_group.of(group, from)
    }

    /// Whether a group or a session has this name, so that no new process may get the number.
    #[must_use]
    pub fn is_taken(&self, id: u32) -> bool {
        self.in_group.of(id, 0).next().is_some() || self.in_session.of(id, 0).next().is_some()
    }

    /// Moves `pid` to `group` (0 = one of its own).
    ///
    /// # Errors
    ///
    /// [`Refused`]; nothing is changed.
    pub fn enter(&mut self, pid: u32, group: u32) -> Result<(), Refused> {
        let session = self.session_of(pid).ok_or(Refused::NoProcess)?;
        let group = if group == 0 { pid } else { group };
        if session == pid || (group != pid && self.session_of_group(group) != Some(session)) {
            return Err(Refused::NotAllowed);
        }
        self.take(pid);
        self.put(pid, group, session);
        Ok(())
    }

    /// Starts a session, and a group in it, that `pid` leads.
    ///
    /// # Errors
    ///
    /// [`Refused::NotAllowed`] if a group has its number already; nothing is changed.
    pub fn start_session(&mut self, pid: u32) -> Result<(), Refused> {
        self.session_of(pid).ok_or(Refused::NoProcess)?;
        if self.members(pid, 0).next().is_some() {
            return Err(Refused::NotAllowed);
        }
        self.take(pid);
        self.put(pid, pid, pid);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
