//! Many handles looked at by one call.

use alloc::sync::Arc;

use swos_abi::{Errno, Handle, POLL_ERR, POLL_HUP, POLL_INVALID, PollItem, Rights};
use zerocopy::{FromZeros, IntoBytes as _};

use crate::{
    Kernel, Machine,
    thread::{Registered, Thread},
    user::user_range,
    wait::{ANY_BITS, CallResult, Stop},
};

/// Handles that one poll looks at.
const POLL_MAX: u64 = 1024;
/// Of these, how many before interrupts get their turn.
const SLICE: usize = 64;
/// A handle that was lent counts as so many: its loans are looked at, and waited for as well.
const LENT: usize = 4;
/// The same for the usual poll, whose items need little of the stack.
const FEW: usize = 4;

/// What becomes of an item in one pass.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Pass {
    /// It is looked at.
    Look,
    /// The thread is registered first: nothing falls between that and the look.
    RegisterAndLook,
}

impl<M: Machine> Kernel<M> {
    /// Two passes, in slices. The first looks. If nothing was ready, the second registers for each item and looks again. What
    /// an item is ready for is written to it at once; a restart only writes it again.
    pub(super) fn poll(
        &self,
        thread: &Arc<Thread<M>>,
        items: u64,
        count: u64,
        timeout_ns: u64,
    ) -> CallResult {
        if count > POLL_MAX {
            return Err(Errno::INVAL.into());
        }
        user_range(items, size_of::<PollItem>() as u64 * count)?;
        let expired = self.time_is_up(thread, timeout_ns);
        // Items done over both passes, and how many of this pass are ready.
        let (mut done, mut ready) = thread.progress.done_and_found();
        if done < count || done == 0 {
            let end = count.min(done + SLICE as u64);
            let (came, more) = self.poll_slice(thread, items, (done, end), Pass::Look)?;
            (done, ready) = (came, ready + more);
            if done == count && (ready > 0 || expired) {
                return Ok(ready);
            }
            if done < count || count > SLICE as u64 / 2 {
                thread.progress.note(done, ready, Registered::TakenBack);
                return Err(Stop::AGAIN);
            }
        }
        let start = done - count;
        let end = count.min(start + SLICE as u64);
        let end = match self.poll_slice(thread, items, (start, end), Pass::RegisterAndLook) {
            Ok((came, more)) => {
                ready += more;
                came
            }
            Err(stop) => {
                // What was registered is taken back before the next try, so all of this pass comes again.
                thread.progress.note(count, 0, Registered::TakenBack);
                return Err(stop);
            }
        };
        if end < count {
            thread.progress.note(count + end, ready, Registered::Stays);
            return Err(Stop::AGAIN);
        }
        if ready > 0 {
            return Ok(ready);
        }
        thread.progress.note(0, 0, Registered::TakenBack);
        Err(Stop::WAIT)
    }

    /// Handles the items from `start` to `end`, or the first of them; returns up to which, and how many are ready for something.
    fn poll_slice(
        &self,
        thread: &Arc<Thread<M>>,
        items: u64,
        (start, end): (u64, u64),
        pass: Pass,
    ) -> Result<(u64, u64), Stop> {
        if end - start <= FEW as u64 {
            self.poll_slice_of::<FEW>(thread, items, (start, end), pass)
        } else {
            self.poll_slice_of::<SLICE>(thread, items, (start, end), pass)
        }
    }

    #[inline(never)]
    fn poll_slice_of<const N: usize>(
        &self,
        thread: &Arc<Thread<M>>,
        items: u64,
        (start, end): (u64, u64),
        pass: Pass,
    ) -> Result<(u64, u64), Stop> {
        let mut list: [PollItem; N] = FromZeros::new_zeroed();
        let at = items + start * size_of::<PollItem>() as u64;
        let list = list.get_mut(..usize::try_from(end - start).unwrap_or(N)).unwrap_or(&mut []);
        self.copy_in(at, list.as_mut_bytes())?;
        let (mut ready, mut looked, mut cost) = (0, 0, 0);
        for item in list.iter_mut() {
            if cost >= SLICE {
                break;
            }
            (looked, cost) = (looked + 1, cost + 1);
            item.ready = match Self::leased_object(thread, item.handle, Rights::empty()) {
                _ if item.handle == Handle::NONE => 0,
                Ok((object, lease)) => {
                    let mut alive = true;
                    cost += if lease.is_some() { LENT - 1 } else { 0 };
                    if pass == Pass::RegisterAndLook {
                        if let Some(key) = Self::wait_key(&object) {
                            self.register(thread, key, ANY_BITS)?;
                            Self::on_polled(&object);
                        }
                        if let Some(lease) = lease {
                            alive = self.register_lease(thread, &lease)?;
                        }
                    }
                    if alive {
                        self.readiness(&object) & (item.events | POLL_ERR | POLL_HUP)
                    } else {
                        POLL_INVALID
                    }
                }
                Err(_) => POLL_INVALID,
            };
            ready += u64::from(item.ready != 0);
        }
        if thread.progress.is_used() {
            // It is registered for the end of each, if it comes to wait.
            thread.progress.lock().leases.clear();
        }
        self.copy_out(at, list.get(..looked).unwrap_or(list).as_bytes())?;
        Ok((start + looked as u64, ready))
    }
}
