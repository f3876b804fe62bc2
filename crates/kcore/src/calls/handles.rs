//! Handles: copies, rights, flags.

use swos_abi::{Errno, HANDLE_FLAGS, Handle, OpenFlags, Rights};
use swos_handles::OnExec;

use super::{handle_errno, on_exec, only_on_exec};
use crate::{Kernel, Machine, object::Object, thread::Thread, wait::CallResult};

impl<M: Machine> Kernel<M> {
    pub(super) fn handle_duplicate(
        &self,
        thread: &Thread<M>,
        handle: Handle,
        rights: u32,
        flags: u32,
    ) -> CallResult {
        let on_exec = only_on_exec(flags)?;
        self.room_for_objects()?;
        let mut handles = thread.process.handles.lock();
        let copy = handles.duplicate(handle, Rights::from_bits_retain(rights)).map_err(handle_errno)?;
        let (object, _) = handles.get(copy).map_err(handle_errno)?;
        let _counted = object.clone().opened();
        handles.set_on_exec(copy, on_exec).map_err(handle_errno)?;
        Ok(copy.0)
    }

    pub(super) fn handle_rights(&self, thread: &Thread<M>, handle: Handle) -> CallResult {
        let rights = thread.process.handles.lock().get(handle).map_err(handle_errno)?.1;
        Ok(u64::from(rights.bits()))
    }

    pub(super) fn handle_restrict(&self, thread: &Thread<M>, handle: Handle, rights: u32) -> CallResult {
        let mut handles = thread.process.handles.lock();
        handles.restrict(handle, Rights::from_bits_retain(rights)).map_err(handle_errno)?;
        Ok(u64::from(handles.get(handle).map_err(handle_errno)?.1.bits()))
    }

    pub(super) fn handle_nonblock(&self, thread: &Thread<M>, handle: Handle, nonblock: u32) -> CallResult {
        if nonblock > 1 {
            return Err(Errno::INVAL.into());
        }
        let object = Self::object(thread, handle, Rights::empty())?;
        Self::set_nonblock(&object, nonblock == 1)?;
        Ok(0)
    }

    pub(super) fn handle_duplicate_to(
        &self,
        thread: &Thread<M>,
        handle: Handle,
        target: Handle,
        rights: u32,
        flags: u32,
    ) -> CallResult {
        let on_exec = only_on_exec(flags)?;
        if handle == target {
            return Err(Errno::INVAL.into());
        }
        self.room_for_objects()?;
        let replaced = {
            let mut handles = thread.process.handles.lock();
            let rights = Rights::from_bits_retain(rights);
            let replaced = handles.duplicate_to(handle, target, rights).map_err(handle_errno)?;
            let (object, _) = handles.get(target).map_err(handle_errno)?;
            let _counted = object.clone().opened();
            handles.set_on_exec(target, on_exec).map_err(handle_errno)?;
            replaced
        };
        if let Some(object) = replaced {
            self.close_object(object);
        }
        Ok(target.0)
    }

    pub(super) fn handle_flags(thread: &Thread<M>, handle: Handle) -> CallResult {
        let (object, mut flags) = {
            let handles = thread.process.handles.lock();
            let (object, rights) = handles.get(handle).map_err(handle_errno)?;
            let mut flags = OpenFlags::empty();
            flags.set(OpenFlags::READ, rights.contains(Rights::READ));
            flags.set(OpenFlags::WRITE, rights.contains(Rights::WRITE));
            flags.set(OpenFlags::EXECUTE, rights.contains(Rights::EXECUTE));
            let closes = handles.on_exec(handle).map_err(handle_errno)? == OnExec::Close;
            flags.set(OpenFlags::CLOSE_ON_EXEC, closes);
            (object.clone(), flags)
        };
        flags |= match &object {
            Object::File(file) => file.open.lock().open.flags & (OpenFlags::APPEND | OpenFlags::NONBLOCK),
            other if other.is_nonblock() => OpenFlags::NONBLOCK,
            _ => OpenFlags::empty(),
        };
        Ok(u64::from(flags.bits()))
    }

    pub(super) fn handle_set_flags(thread: &Thread<M>, handle: Handle, mask: u32, flags: u32) -> CallResult {
        let mask = OpenFlags::from_bits(mask).filter(|&mask| HANDLE_FLAGS.contains(mask));
        let mask = mask.ok_or(Errno::INVAL)?;
        let flags = OpenFlags::from_bits(flags).filter(|&flags| mask.contains(flags)).ok_or(Errno::INVAL)?;
        let appends = mask.contains(OpenFlags::APPEND);
        let needed = if appends { Rights::SETATTR } else { Rights::empty() };
        let object = Self::object(thread, handle, needed)?;
        match &object {
            Object::File(file) => {
                let kept = mask & (OpenFlags::APPEND | OpenFlags::NONBLOCK);
                let open = &mut file.open.lock().open;
                open.flags = (open.flags - kept) | (flags & kept);
            }
            _ if appends => return Err(Errno::NOTTY.into()),
            other if mask.contains(OpenFlags::NONBLOCK) => {
                Self::set_nonblock(other, flags.contains(OpenFlags::NONBLOCK))?;
            }
            _ => {}
        }
        if mask.contains(OpenFlags::CLOSE_ON_EXEC) {
            let mut handles = thread.process.handles.lock();
            handles.set_on_exec(handle, on_exec(flags)).map_err(handle_errno)?;
        }
        Ok(0)
    }
}
