//! The table.

use swos_abi::{Handle, Rights};

use crate::{
    lease::{Lease, LeaseId},
    slots::Slots,
};

/// Why an operation on handles failed. Nothing changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// The number names no open handle.
    BadHandle,
    /// The handle lacks a right that the operation needs.
    MissingRights,
    /// The handle was lent and the loan was revoked. It can only be closed.
    Revoked,
    /// The table is at its quota, or all slots are in use or retired.
    Full,
    /// The kernel has no memory for a larger table.
    NoMemory,
    /// The slot is open already, or was before: its first number is used up.
    SlotTaken,
    /// Loans of loans reach [`crate::DEPTH_MAX`].
    TooDeep,
}

/// A handle on its way between tables. Dropping it drops the object's reference.
#[derive(Debug)]
pub struct Grant<O> {
    object: O,
    rights: Rights,
    /// The loan this authority comes from.
    lease: Option<Lease>,
    /// The loans made from this handle.
    loans: Option<Lease>,
    /// Of the handle that holds it, and of no other: on its way between tables, and in a copy, it is `Keep`.
    on_exec: OnExec,
}

/// A grant that a table did not take, unharmed, and why.
#[derive(Debug)]
pub struct Refused<O> {
    /// The grant, to give back or drop.
    pub grant: Grant<O>,
    /// Why it was refused.
    pub error: Error,
}

/// Whether a bounded piece of work is finished.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Progress {
    /// Call again.
    More,
    /// Nothing is left.
    Done,
}

/// What becomes of a handle when its process starts another program in its own place.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OnExec {
    /// It stays open.
    #[default]
    Keep,
    /// It is closed.
    Close,
}

/// The open handles of one process.
#[derive(Debug)]
pub struct HandleTable<O> {
    slots: Slots<Grant<O>>,
    open: usize,
    quota: usize,
}

impl<O> Grant<O> {
    /// A grant of an object that no table holds yet.
    #[must_use]
    pub const fn new(object: O, rights: Rights) -> Self {
        Self { object, rights, lease: None, loans: None, on_exec: OnExec::Keep }
    }

    /// The same, ended by `lease` as what was lent itself: for an object that was reached through a borrowed one.
    #[must_use]
    pub fn under(mut self, lease: Option<Lease>) -> Self {
        self.lease = lease;
        self
    }

    /// The object.
    pub const fn object(&self) -> &O {
        &self.object
    }

    /// What the grant allows.
    #[must_use]
    pub const fn rights(&self) -> Rights {
        self.rights
    }

    /// The object, out of the grant: for what must be closed and not only dropped.
    #[must_use]
    pub fn into_object(self) -> O {
        let Self { object, .. } = self;
        object
    }

    /// The same authority over what `f` makes of the object: for objects that count their handles.
    #[must_use]
    pub fn map(self, f: impl FnOnce(O) -> O) -> Self {
        let Self { object, rights, lease, loans, on_exec } = self;
        Self { object: f(object), rights, lease, loans, on_exec }
    }

    /// The same grant with the rights in `mask` only.
    #[must_use]
    pub fn restricted(mut self, mask: Rights) -> Self {
        self.rights &= mask;
        self
    }
}

impl<O> HandleTable<O> {
    /// An empty table that holds at most `quota` open handles.
    #[must_use]
    pub const fn new(quota: usize) -> Self {
        Self { slots: Slots::new(), open: 0, quota }
    }

    /// Number of open handles.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.open
    }

    /// Whether no handle is open.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.open == 0
    }

    /// Handles that may be open at once.
    #[must_use]
    pub const fn quota(&self) -> usize {
        self.quota
    }

    /// Lowers the quota; what is open beyond it stays open. A higher one changes nothing.
    pub fn lower_quota(&mut self, quota: usize) {
        self.quota = self.quota.min(quota);
    }

    /// The object and rights of a handle. O(1).
    ///
    /// # Errors
    ///
    /// [`Error::BadHandle`], [`Error::Revoked`].
    #[inline]
    pub fn get(&self, handle: Handle) -> Result<(&O, Rights), Error> {
        let grant = self.live(handle)?;
        Ok((&grant.object, grant.rights))
    }

    /// The object of a handle that has all of `needed`. O(1).
    ///
    /// # Errors
    ///
    /// [`Error::BadHandle`], [`Error::Revoked`], [`Error::MissingRights`].
    #[inline]
    pub fn get_with(&self, handle: Handle, needed: Rights) -> Result<&O, Error> {
        let grant = self.live_with(handle, needed)?;
        Ok(&grant.object)
    }

    /// As [`get_with`](Self::get_with), with the loan that the handle stands or falls with, if it is one. O(1).
    ///
    /// # Errors
    ///
    /// As [`get_with`](Self::get_with).
    #[inline]
    pub fn get_leased(&self, handle: Handle, needed: Rights) -> Result<(&O, Option<&Lease>), Error> {
        let grant = self.live_with(handle, needed)?;
        Ok((&grant.object, grant.lease.as_ref()))
    }

    /// Opens a handle to `object`.
    ///
    /// # Errors
    ///
    /// [`Error::Full`], [`Error::NoMemory`]; the object is dropped. [`accept`](Self::accept) gives it back.
    pub fn insert(&mut self, object: O, rights: Rights) -> Result<Handle, Error> {
        self.accept(Grant::new(object, rights)).map_err(|refused| refused.error)
    }

    /// Opens the handle whose number is `target`, which must be a slot never used: for the list of a spawn, and for the
    /// standard streams, which no other call opens.
    ///
    /// # Errors
    ///
    /// [`Error::SlotTaken`], [`Error::Full`] (also for a number beyond the slots), [`Error::NoMemory`]; the object is dropped.
    pub fn insert_at(&mut self, target: Handle, object: O, rights: Rights) -> Result<Handle, Error> {
        self.accept_at(target, Grant::new(object, rights)).map_err(|refused| refused.error)
    }

    /// Opens a handle to what was granted.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert), with the grant back.
    pub fn accept(&mut self, grant: Grant<O>) -> Result<Handle, Refused<O>> {
        if let Err(error) = self.within_quota() {
            return Err(Refused { grant, error });
        }
        let handle = self.slots.open_vacant(grant).map_err(|(grant, error)| Refused { grant, error })?;
        self.open += 1;
        Ok(handle)
    }

    /// Opens the handle whose number is `target` to what was granted.
    ///
    /// # Errors
    ///
    /// As [`insert_at`](Self::insert_at), with the grant back.
    pub fn accept_at(&mut self, target: Handle, grant: Grant<O>) -> Result<Handle, Refused<O>> {
        match self.within_quota().and_then(|()| self.slots.vacant_at(target)) {
            Ok(()) => Ok(self.open(target, grant)),
            Err(error) => Err(Refused { grant, error }),
        }
    }

    /// Makes sure that the next `count` grants are accepted, if nothing else comes between.
    ///
    /// # Errors
    ///
    /// [`Error::Full`], [`Error::NoMemory`].
    pub fn reserve(&mut self, count: usize) -> Result<(), Error> {
        if count > self.quota.saturating_sub(self.open) {
            return Err(Error::Full);
        }
        self.slots.reserve_vacant(count)
    }

    /// Makes sure that the next grant is accepted at `target`, if nothing else comes between.
    ///
    /// # Errors
    ///
    /// As [`insert_at`](Self::insert_at).
    pub fn reserve_at(&mut self, target: Handle) -> Result<(), Error> {
        self.within_quota()?;
        self.slots.vacant_at(target)
    }

    /// Slots that were ever made: what opens a handle by a number beyond makes all up to there.
    #[must_use]
    pub const fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Takes back what was accepted just now and is not to stay; its number never returns.
    ///
    /// # Errors
    ///
    /// [`Error::BadHandle`].
    pub fn retract(&mut self, handle: Handle) -> Result<Grant<O>, Error> {
        self.remove(handle).ok_or(Error::BadHandle)
    }

    /// Puts what was granted in place of an open handle, which keeps its number, and returns what it held (`dup2`).
    /// Loans made from the old handle stay in what is returned.
    ///
    /// # Errors
    ///
    /// [`Error::BadHandle`], with the grant back. A revoked handle may be replaced.
    pub fn replace(&mut self, handle: Handle, grant: Grant<O>) -> Result<Grant<O>, Refused<O>> {
        match self.grant_mut(handle) {
            Ok(held) => Ok(core::mem::replace(held, grant)),
            Err(error) => Err(Refused { grant, error }),
        }
    }

    /// Closes a handle and returns its object. Loans made from it go on; who wants them to end revokes first.
    ///
    /// # Errors
    ///
    /// [`Error::BadHandle`]. A revoked handle can be closed.
    pub fn close(&mut self, handle: Handle) -> Result<O, Error> {
        self.remove(handle).map(|grant| grant.object).ok_or(Error::BadHandle)
    }

    /// Takes away all rights but those in `mask`.
    ///
    /// # Errors
    ///
    /// [`Error::BadHandle`], [`Error::Revoked`].
    pub fn restrict(&mut self, handle: Handle, mask: Rights) -> Result<(), Error> {
        self.live(handle)?;
        self.grant_mut(handle)?.rights &= mask;
        Ok(())
    }

    /// Takes a handle out, to move it to another table; the power to revoke its loans moves along. Needs
    /// [`Rights::TRANSFER`].
    ///
    /// # Errors
    ///
    /// [`Error::BadHandle`], [`Error::Revoked`], [`Error::MissingRights`].
    pub fn take(&mut self, handle: Handle) -> Result<Grant<O>, Error> {
        self.live_with(handle, Rights::TRANSFER)?;
        let grant = self.remove(handle).ok_or(Error::BadHandle)?;
        Ok(Grant { on_exec: OnExec::Keep, ..grant })
    }

    /// Ends every loan made from this handle, and everything made from those, in all tables at once. The handle itself stays.
    /// Returns what those wait for who want to hear of it; `None` = there was no loan. O(1).
    ///
    /// # Errors
    ///
    /// [`Error::BadHandle`], [`Error::Revoked`].
    pub fn revoke(&mut self, handle: Handle) -> Result<Option<LeaseId>, Error> {
        self.live(handle)?;
        let loans = self.grant_mut(handle)?.loans.take();
        Ok(loans.map(|loans| {
            loans.revoke();
            loans.first()
        }))
    }

    /// What becomes of a handle when its process starts another program in its own place.
    ///
    /// # Errors
    ///
    /// [`Error::BadHandle`].
    pub fn on_exec(&self, handle: Handle) -> Result<OnExec, Error> {
        self.slots.get(handle).map(|grant| grant.on_exec).ok_or(Error::BadHandle)
    }

    /// Chooses that. It holds for this handle alone: not for copies of it, and not in another table.
    ///
    /// # Errors
    ///
    /// [`Error::BadHandle`].
    pub fn set_on_exec(&mut self, handle: Handle, on_exec: OnExec) -> Result<(), Error> {
        self.grant_mut(handle)?.on_exec = on_exec;
        Ok(())
    }

    /// Closes the handles marked [`OnExec::Close`] among the `slots` slots from `from` on, giving their objects to `close`.
    /// Returns the slot to go on from; `None` when all are done. Start with 0.
    pub fn drain_close_on_exec(
        &mut self,
        from: usize,
        slots: usize,
        mut close: impl FnMut(O),
    ) -> Option<usize> {
        let end = from.saturating_add(slots);
        for slot in from..end {
            if slot >= self.slots.len() {
                return None;
            }
            let marked = self.slots.at(slot).filter(|(_, grant)| grant.on_exec == OnExec::Close);
            if let Some((handle, _)) = marked
                && let Some(grant) = self.remove(handle)
            {
                close(grant.object);
            }
        }
        Some(end)
    }

    /// All open handles in the order of their slots, revoked ones included.
    pub fn iter(&self) -> impl Iterator<Item = (Handle, &O, Rights)> {
        self.slots.iter().map(|(handle, grant)| (handle, &grant.object, grant.rights))
    }

    /// The open handles in the first `slots` slots: for a look that is bounded.
    pub fn within(&self, slots: usize) -> impl Iterator<Item = (Handle, &O, Rights)> {
        let open = (0..self.slots.len().min(slots)).filter_map(|slot| self.slots.at(slot));
        open.map(|(handle, grant)| (handle, &grant.object, grant.rights))
    }

    /// Closes handles, highest slot first, giving their objects to `close`; looks at `slots` slots at most. For the end of a
    /// process: nothing must be opened between the calls.
    pub fn teardown(&mut self, slots: usize, mut close: impl FnMut(O)) -> Progress {
        for _ in 0..slots {
            match self.slots.pop() {
                Some(Some(grant)) => {
                    self.open -= 1;
                    close(grant.object);
                }
                Some(None) => {}
                None => return Progress::Done,
            }
        }
        Progress::More
    }
}

impl<O: Clone> HandleTable<O> {
    /// Opens another handle to the same object with the rights in `mask` at most: an equal, which ends with the
    /// same loans as its source but not with the source. Needs [`Rights::DUPLICATE`].
    ///
    /// # Errors
    ///
    /// [`Error::BadHandle`], [`Error::Revoked`], [`Error::MissingRights`], [`Error::Full`], [`Error::NoMemory`].
    pub fn duplicate(&mut self, handle: Handle, mask: Rights) -> Result<Handle, Error> {
        let copy = self.copy(handle, Rights::DUPLICATE, mask)?;
        self.accept(copy).map_err(|refused| refused.error)
    }

    /// Makes `target` name the same object with the rights in `mask` at most (`dup3`), and returns what it named before, which
    /// the caller closes. `target` is an open handle, or a number that [`accept_at`](Self::accept_at) takes. A handle put
    /// onto itself is refused, as its rights would shrink under its name.
    ///
    /// # Errors
    ///
    /// Those of [`duplicate`](Self::duplicate), and [`Error::SlotTaken`] for a number that was used up or is the handle's own.
    pub fn duplicate_to(&mut self, handle: Handle, target: Handle, mask: Rights) -> Result<Option<O>, Error> {
        let copy = self.copy(handle, Rights::DUPLICATE, mask)?;
        if handle == target {
            return Err(Error::SlotTaken);
        }
        if self.slots.get(target).is_some() {
            let replaced = self.replace(target, copy).map_err(|refused| refused.error)?;
            return Ok(Some(replaced.object));
        }
        self.accept_at(target, copy).map(|_| None).map_err(|refused| refused.error)
    }

    /// An equal of the handle for another table, with the rights in `mask` at most. Needs [`Rights::TRANSFER`].
    ///
    /// # Errors
    ///
    /// [`Error::BadHandle`], [`Error::Revoked`], [`Error::MissingRights`].
    pub fn share(&self, handle: Handle, mask: Rights) -> Result<Grant<O>, Error> {
        self.copy(handle, Rights::TRANSFER, mask)
    }

    /// Copies the next `slots` slots of this table into `child`, which began empty and was filled by this alone: each
    /// handle under its own number, if it is live and has [`Rights::DUPLICATE`]; the numbers of the others name nothing
    /// there. As of [`duplicate`](Self::duplicate), the power to revoke stays here; the mark for `exec` goes along. `opened` counts each object.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`]; `child` keeps what it has, for its [`teardown`](Self::teardown).
    pub fn fork_into(
        &self,
        child: &mut Self,
        slots: usize,
        mut opened: impl FnMut(O) -> O,
    ) -> Result<Progress, Error> {
        let first = child.slots.len();
        let end = self.slots.len().min(first.saturating_add(slots));
        child.slots.reserve(self.slots.len().saturating_sub(first))?;
        for slot in first..end {
            let copy = self.slots.at(slot).and_then(|(handle, held)| {
                let copy = self.copy(handle, Rights::DUPLICATE, Rights::all()).ok()?;
                Some(Grant { on_exec: held.on_exec, ..copy })
            });
            child.open += usize::from(copy.is_some());
            child.slots.append(&self.slots, copy.map(|grant| grant.map(&mut opened)));
        }
        Ok(if end == self.slots.len() { Progress::Done } else { Progress::More })
    }

    /// A loan of the handle, with the rights in `mask` at most: [`revoke`](Self::revoke) of this handle ends it and all that is
    /// made from it. Needs [`Rights::DUPLICATE`].
    ///
    /// # Errors
    ///
    /// [`Error::BadHandle`], [`Error::Revoked`], [`Error::MissingRights`], [`Error::TooDeep`].
    pub fn lend(&mut self, handle: Handle, mask: Rights) -> Result<Grant<O>, Error> {
        let mut loan = self.copy(handle, Rights::DUPLICATE, mask)?;
        let lender = self.grant_mut(handle)?;
        let loans = match &lender.loans {
            Some(loans) => loans.clone(),
            None => lender.loans.insert(Lease::below(lender.lease.as_ref())?).clone(),
        };
        loan.lease = Some(loans);
        Ok(loan)
    }

    fn copy(&self, handle: Handle, needed: Rights, mask: Rights) -> Result<Grant<O>, Error> {
        let source = self.live_with(handle, needed)?;
        Ok(Grant {
            object: source.object.clone(),
            rights: source.rights & mask,
            lease: source.lease.clone(),
            // The power to revoke stays with the source alone.
            loans: None,
            on_exec: OnExec::Keep,
        })
    }
}

impl<O> HandleTable<O> {
    #[inline]
    fn live(&self, handle: Handle) -> Result<&Grant<O>, Error> {
        let grant = self.slots.get(handle).ok_or(Error::BadHandle)?;
        match &grant.lease {
            Some(lease) if !lease.is_alive() => Err(Error::Revoked),
            Some(_) | None => Ok(grant),
        }
    }

    #[inline]
    fn live_with(&self, handle: Handle, needed: Rights) -> Result<&Grant<O>, Error> {
        let grant = self.live(handle)?;
        if grant.rights.contains(needed) { Ok(grant) } else { Err(Error::MissingRights) }
    }

    fn grant_mut(&mut self, handle: Handle) -> Result<&mut Grant<O>, Error> {
        self.slots.get_mut(handle).ok_or(Error::BadHandle)
    }

    const fn within_quota(&self) -> Result<(), Error> {
        if self.open < self.quota { Ok(()) } else { Err(Error::Full) }
    }

    fn open(&mut self, handle: Handle, grant: Grant<O>) -> Handle {
        self.slots.open(handle, grant);
        self.open += 1;
        handle
    }

    fn remove(&mut self, handle: Handle) -> Option<Grant<O>> {
        let grant = self.slots.close(handle)?;
        self.open -= 1;
        Some(grant)
    }
}

#[cfg(test)]
mod tests;
