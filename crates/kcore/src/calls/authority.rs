//! Handles lent and revoked, identities taken on, roots narrowed.

use core::sync::atomic::Ordering;

use swos_abi::{Capabilities, Errno, Handle, Rights, SPAWN_ROOT, SpawnArgs};
use swos_vfs::{Access, Kind, LastLink, VnodeId};

use super::{Which, handle_errno, only_on_exec};
use crate::{
    Kernel, Machine,
    object::Object,
    process::{Identity, View},
    thread::Thread,
    wait::{CallResult, Stop, WaitKey},
};

impl<M: Machine> Kernel<M> {
    #[cold]
    pub(super) fn handle_lend(
        &self,
        thread: &Thread<M>,
        handle: Handle,
        rights: u32,
        flags: u32,
    ) -> CallResult {
        let on_exec = only_on_exec(flags)?;
        self.room_for_objects()?;
        let mut handles = thread.process.handles.lock();
        let loan = handles.lend(handle, Rights::from_bits_retain(rights)).map_err(handle_errno)?;
        match handles.accept(loan.map(Object::opened)) {
            Ok(lent) => {
                handles.set_on_exec(lent, on_exec).map_err(handle_errno)?;
                Ok(lent.0)
            }
            Err(refused) => {
                drop(handles);
                self.close_object(refused.grant.into_object());
                Err(handle_errno(refused.error).into())
            }
        }
    }

    #[cold]
    pub(super) fn handle_revoke(&self, thread: &Thread<M>, handle: Handle) -> CallResult {
        let (object, ended) = {
            let mut handles = thread.process.handles.lock();
            let ended = handles.revoke(handle).map_err(handle_errno)?;
            (handles.get(handle).map_err(handle_errno)?.0.clone(), ended)
        };
        if let Some(lease) = ended {
            self.wake_all(WaitKey::Lease { id: lease });
            // Sets that watch by the loan tell it once and forget it; the others find nothing new.
            if let Some(watchers) = self.watchers(&object) {
                self.notify(watchers, swos_abi::POLL_ERR);
            }
        }
        Ok(0)
    }

    #[cold]
    pub(super) fn login(&self, thread: &Thread<M>, principal: u32, capabilities: u64) -> CallResult {
        let process = &thread.process;
        if !process.has(Capabilities::LOGIN) {
            return Err(Errno::ACCES.into());
        }
        if principal == 0 {
            return Err(Errno::INVAL.into());
        }
        let next = |last: u32| last.checked_add(1);
        let last = self.last_session.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        let session = last.map_err(|_| Errno::OVERFLOW)? + 1;
        // In this order, so that no other thread of the process ever has the old rights under the new name.
        process.drop_capabilities(Capabilities::from_bits_retain(capabilities));
        process.set_identity(Identity { principal, session });
        Ok(u64::from(session))
    }

    pub(super) fn chdir(
        &self,
        thread: &Thread<M>,
        directory: Handle,
        path: u64,
        path_len: u64,
    ) -> CallResult {
        let (found, from) = self.directory_within(thread, directory, path, path_len)?;
        let mut view = thread.process.view.lock();
        if view.root != from.root {
            // Confined meanwhile: what was found may be outside now.
            return Err(Stop::AGAIN);
        }
        view.directory = found;
        Ok(0)
    }

    #[cold]
    pub(super) fn confine(
        &self,
        thread: &Thread<M>,
        directory: Handle,
        path: u64,
        path_len: u64,
    ) -> CallResult {
        let (root, from) = self.directory_within(thread, directory, path, path_len)?;
        let mut view = thread.process.view.lock();
        if view.root != from.root {
            return Err(Stop::AGAIN);
        }
        *view = self.narrowed(thread, *view, root)?;
        Ok(0)
    }

    /// A directory within the process's root, to be its current directory or its root; and the view in which it was found.
    ///
    /// A handle may lead outside: that is authority of its own, which must not become a place that children inherit unseen.
    /// Neither may a borrowed one, because nothing would end that with the loan.
    #[cold]
    fn directory_within(
        &self,
        thread: &Thread<M>,
        directory: Handle,
        path: u64,
        path_len: u64,
    ) -> Result<(VnodeId, View), Stop> {
        let (found, (from, lease)) =
            self.look_up_path(thread, directory, (path, path_len), LastLink::Follow)?;
        if found.kind != Kind::Directory {
            return Err(Errno::NOTDIR.into());
        }
        if lease.is_some() {
            return Err(Errno::PERM.into());
        }
        self.check_access(thread, found.vnode, Access::Search)?;
        self.check_within(thread, Which::First, found.vnode, from.root)?;
        Ok((found.vnode, from))
    }

    /// The view from `root`, which lies within it.
    #[cold]
    fn narrowed(&self, thread: &Thread<M>, view: View, root: VnodeId) -> Result<View, Stop> {
        let directory = match self.check_within(thread, Which::Second, view.directory, root) {
            Ok(()) => view.directory,
            Err(stop) if stop.is_errno() => root,
            Err(stop) => return Err(stop),
        };
        Ok(View { root, directory })
    }

    /// Where the names of a child start.
    pub(crate) fn child_view(&self, thread: &Thread<M>, args: &SpawnArgs) -> Result<View, Stop> {
        let own = *thread.process.view.lock();
        if args.flags & SPAWN_ROOT == 0 {
            return Ok(own);
        }
        let (start, lease) = Self::start_of(thread, args.root)?;
        if lease.is_some() {
            return Err(Errno::PERM.into());
        }
        let root = start.directory;
        if self.attributes(root)?.kind != Kind::Directory {
            return Err(Errno::NOTDIR.into());
        }
        self.check_within(thread, Which::First, root, own.root)?;
        self.narrowed(thread, own, root)
    }
}
