//! The set: a slab of sources, and a line of those that reported.

use alloc::vec::Vec;

use swos_abi::{POLL_ERR, POLL_HUP};

/// Bits that are reported whatever the interest.
pub const ALWAYS: u16 = POLL_ERR | POLL_HUP;

const NIL: u32 = u32::MAX;

/// When a source that is ready is reported.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// As long as it is ready.
    Level,
    /// When it became ready.
    Edge,
}

/// How a source is watched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Watch {
    /// `POLL_*` bits wanted; [`ALWAYS`] is added.
    pub interest: u16,
    /// When to report.
    pub mode: Mode,
    /// The reader's mark.
    pub token: u64,
}

/// What a reader is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Event {
    /// The reader's mark.
    pub token: u64,
    /// `POLL_*` bits that hold.
    pub bits: u16,
}

/// Names a source of one set. Stale after [`ReadinessSet::remove`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct SourceId {
    slot: u32,
    generation: u32,
}

/// The kernel has no memory for another source. Nothing changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NoMemory;

/// The id names no source (any more).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Unknown;

#[derive(Debug)]
struct Slot<S> {
    generation: u32,
    state: State<S>,
}

#[derive(Debug)]
enum State<S> {
    Free { next: u32 },
    Watched(Watched<S>),
}

#[derive(Debug)]
struct Watched<S> {
    source: S,
    watch: Watch,
    /// Reported since it was last told, for edges.
    reported: u16,
    line: Option<Place>,
}

/// Neighbours in the line.
#[derive(Clone, Copy, Debug)]
struct Place {
    before: u32,
    after: u32,
}

/// Sources and who of them reported. `S` is what the owner knows a source by.
#[derive(Debug)]
pub struct ReadinessSet<S> {
    slots: Vec<Slot<S>>,
    free: u32,
    first: u32,
    last: u32,
    waiting: usize,
    len: usize,
}

impl<S> Default for ReadinessSet<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> ReadinessSet<S> {
    /// An empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self { slots: Vec::new(), free: NIL, first: NIL, last: NIL, waiting: 0, len: 0 }
    }

    /// Sources watched.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether none is watched.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether a source reported: then [`Self::collect`] has something to look at.
    #[must_use]
    pub const fn has_reports(&self) -> bool {
        self.first != NIL
    }

    /// Starts to watch a source. If it may be ready already, call [`Self::on_ready`] next.
    ///
    /// # Errors
    ///
    /// [`NoMemory`]; the source is dropped.
    pub fn add(&mut self, source: S, watch: Watch) -> Result<SourceId, NoMemory> {
        let watched = State::Watched(Watched { source, watch, reported: 0, line: None });
        self.len += 1;
        if let Some(slot) = self.slots.get_mut(self.free as usize) {
            let at = self.free;
            if let State::Free { next } = slot.state {
                self.free = next;
            }
            slot.state = watched;
            return Ok(SourceId { slot: at, generation: slot.generation });
        }
        let at = u32::try_from(self.slots.len()).ok().filter(|&at| at != NIL);
        let (Some(at), Ok(())) = (at, self.slots.try_reserve(1)) else {
            self.len -= 1;
            return Err(NoMemory);
        };
        self.slots.push(Slot { generation: 0, state: watched });
        Ok(SourceId { slot: at, generation: 0 })
    }

    /// Watches a source in another way. What it reported before counts anew: call [`Self::on_ready`] next.
    ///
    /// # Errors
    ///
    /// [`Unknown`].
    pub fn modify(&mut self, id: SourceId, watch: Watch) -> Result<(), Unknown> {
        let watched = self.watched(id).ok_or(Unknown)?;
        watched.watch = watch;
        watched.reported = 0;
        Ok(())
    }

    /// Stops to watch a source and gives it back.
    pub fn remove(&mut self, id: SourceId) -> Option<S> {
        self.watched(id)?;
        self.leave_line(id.slot);
        let slot = self.slots.get_mut(id.slot as usize)?;
        slot.generation = slot.generation.wrapping_add(1);
        let State::Watched(watched) = core::mem::replace(&mut slot.state, State::Free { next: self.free })
        else {
            return None;
        };
        self.free = id.slot;
        self.len -= 1;
        Some(watched.source)
    }

    /// A source reports that `bits` came to hold. True = the reader should look: the report is one that it waits for.
    pub fn on_ready(&mut self, id: SourceId, bits: u16) -> bool {
        let Some(watched) = self.watched(id) else { return false };
        let wanted = bits & (watched.watch.interest | ALWAYS);
        if wanted == 0 {
            return false;
        }
        watched.reported |= wanted;
        if watched.line.is_none() {
            self.join_line(id.slot);
        }
        true
    }

    /// Tells up to `max` events. `ready` says what a source is ready for now. Looks once at each source that reported, at up to
    /// `looks` of them. Returns how many events were told. If none was and [`Self::has_reports`], there is more to look at.
    pub fn collect(
        &mut self,
        max: usize,
        looks: usize,
        mut ready: impl FnMut(SourceId, &S) -> u16,
        mut tell: impl FnMut(Event),
    ) -> usize {
        let mut told = 0;
        for _ in 0..self.waiting.min(looks) {
            if told == max {
                break;
            }
            let at = self.first;
            self.leave_line(at);
            let Some(Slot { state: State::Watched(watched), generation }) = self.slots.get_mut(at as usize)
            else {
                break;
            };
            let id = SourceId { slot: at, generation: *generation };
            let bits = ready(id, &watched.source) & (watched.watch.interest | ALWAYS);
            let bits = match watched.watch.mode {
                Mode::Level => bits,
                // An edge that is gone again is no news.
                Mode::Edge => bits & watched.reported,
            };
            watched.reported = 0;
            if bits == 0 {
                continue;
            }
            told += 1;
            tell(Event { token: watched.watch.token, bits });
            if watched.watch.mode == Mode::Level {
                self.join_line(at);
            }
        }
        told
    }

    /// Gives up the last place, and returns the source that was there, if one was; `None` = there is no place. Places that are free
    /// are lost: only for the end of the set.
    pub fn pop(&mut self) -> Option<Option<S>> {
        let at = u32::try_from(self.slots.len().checked_sub(1)?).ok()?;
        let slot = self.slots.last()?;
        let id = SourceId { slot: at, generation: slot.generation };
        let source = self.remove(id);
        // The list of free places is lost with the places.
        self.slots.pop();
        self.free = NIL;
        Some(source)
    }

    /// All sources, to tell them that the set is gone.
    pub fn sources(&self) -> impl Iterator<Item = (SourceId, &S)> {
        self.slots.iter().enumerate().filter_map(|(at, slot)| match &slot.state {
            State::Watched(watched) => {
                let slot_number = u32::try_from(at).ok()?;
                Some((SourceId { slot: slot_number, generation: slot.generation }, &watched.source))
            }
            State::Free { .. } => None,
        })
    }

    fn watched(&mut self, id: SourceId) -> Option<&mut Watched<S>> {
        match self.slots.get_mut(id.slot as usize)? {
            Slot { generation, state: State::Watched(watched) } if *generation == id.generation => {
                Some(watched)
            }
            _ => None,
        }
    }

    fn place(&mut self, at: u32) -> Option<&mut Option<Place>> {
        match &mut self.slots.get_mut(at as usize)?.state {
            State::Watched(watched) => Some(&mut watched.line),
            State::Free { .. } => None,
        }
    }

    fn join_line(&mut self, at: u32) {
        let last = self.last;
        let Some(line) = self.place(at) else { return };
        *line = Some(Place { before: last, after: NIL });
        match self.place(last) {
            Some(Some(place)) => place.after = at,
            _ => self.first = at,
        }
        self.last = at;
        self.waiting += 1;
    }

    fn leave_line(&mut self, at: u32) {
        let Some(Place { before, after }) = self.place(at).and_then(Option::take) else { return };
        match self.place(before) {
            Some(Some(place)) => place.after = after,
            _ => self.first = after,
        }
        match self.place(after) {
            Some(Some(place)) => place.before = before,
            _ => self.last = before,
        }
        self.waiting -= 1;
    }
}

#[cfg(test)]
mod tests;
