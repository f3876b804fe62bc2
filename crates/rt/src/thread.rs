//! Threads: stacks with a guard page, ends that somebody can wait for, stacks used again.

use alloc::boxed::Box;
use core::{
    ptr::{NonNull, null_mut, with_exposed_provenance_mut},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use swos_abi::{Errno, Protection};

use crate::{
    cache::Own,
    end::{End, Giver},
    heap,
    local::Locals,
    lock::Mutex,
};

const PAGE: usize = 4096;
/// Mapping of one thread, unless it asked for another: guard page, stack, and the [`Block`] at its upper end. Untouched
/// pages cost nothing.
pub(crate) const LENGTH: usize = 256 << 10;
/// Stacks kept for the next threads.
const KEPT: usize = 8;

/// What the creator and the thread share: at the upper end of the thread's stack.
struct Block {
    end: End,
    /// Its id, 0 until it asked for it.
    id: AtomicU32,
    /// What to run; taken by the thread.
    run: Option<Box<dyn FnOnce() + Send>>,
    /// Next in the list of kept stacks.
    next: *mut Self,
    /// Of the whole mapping.
    length: usize,
    /// What [`LocalKey`](crate::local::LocalKey)s hold for this thread.
    locals: Locals,
    /// Its free blocks. Only the thread itself uses them.
    cache: Own,
}

/// Stacks whose threads have ended, or are at their very last instructions ([`End::has_left`]).
struct Kept {
    first: *mut Block,
    count: usize,
}

// SAFETY: whoever holds the lock owns the blocks in the list.
unsafe impl Send for Kept {}

static KEPT_STACKS: Mutex<Kept> = Mutex::new(Kept { first: null_mut(), count: 0 });

impl Kept {
    fn push(&mut self, block: NonNull<Block>) {
        // SAFETY: the block is the caller's to give, and the list's from here on.
        unsafe { (*block.as_ptr()).next = self.first };
        self.first = block.as_ptr();
        self.count += 1;
    }

    /// Takes a stack that nobody runs on any more. Looks at no more than [`KEPT`].
    fn pop_idle(&mut self) -> Option<NonNull<Block>> {
        let mut link: *mut *mut Block = &raw mut self.first;
        for _ in 0..KEPT {
            // SAFETY: `link` is our head or the `next` of a block in the list, all of which we own.
            let block = NonNull::new(unsafe { link.read() })?;
            // SAFETY: the block is in the list, so it is mapped and ours.
            if unsafe { (*block.as_ptr()).end.has_left() } {
                // SAFETY: as above.
                unsafe { link.write((*block.as_ptr()).next) };
                self.count -= 1;
                return Some(block);
            }
            // SAFETY: as above.
            link = unsafe { &raw mut (*block.as_ptr()).next };
        }
        None
    }
}

/// A started thread. Dropped, it goes on by itself.
#[derive(Debug)]
pub struct Thread {
    block: NonNull<Block>,
    id: u32,
}

// SAFETY: what others may do with a block goes through its atomics; `join` takes the only handle.
unsafe impl Send for Thread {}
// SAFETY: as above.
unsafe impl Sync for Thread {}

/// Starts a thread that runs `run`.
///
/// # Errors
///
/// What the kernel answers: [`Errno::NOMEM`], [`Errno::AGAIN`] at a limit.
pub fn spawn(run: Box<dyn FnOnce() + Send>) -> Result<Thread, Errno> {
    // SAFETY: `run` borrows nothing that ends.
    unsafe { spawn_borrowing(run, LENGTH) }
}

/// As [`spawn`], with a stack of at least `stack` bytes.
///
/// # Errors
///
/// As those of [`spawn`].
pub fn spawn_with_stack(run: Box<dyn FnOnce() + Send>, stack: usize) -> Result<Thread, Errno> {
    let needed = stack.checked_add(PAGE + ROOM).and_then(|length| length.checked_next_multiple_of(PAGE));
    // SAFETY: as in `spawn`.
    unsafe { spawn_borrowing(run, needed.ok_or(Errno::NOMEM)?.max(4 * PAGE)) }
}

/// As [`spawn`], of a function that borrows.
///
/// # Safety
///
/// What `run` borrows lives until `run` has returned and its captures are dropped. If no thread starts, that is before this
/// returns.
///
/// # Errors
///
/// As those of [`spawn`].
pub(crate) unsafe fn spawn_borrowing<'a>(
    run: Box<dyn FnOnce() + Send + 'a>,
    length: usize,
) -> Result<Thread, Errno> {
    // SAFETY: only the lifetime changes, and the caller sees to it that nothing is used beyond it.
    let run = unsafe { core::mem::transmute::<Box<dyn FnOnce() + Send + 'a>, Box<dyn FnOnce() + Send>>(run) };
    let kept = keep_few(length);
    let block = match kept {
        Some(block) => block,
        None => map(length)?,
    };
    let (end, id) = (End::new(), AtomicU32::new(0));
    let (locals, cache) = (Locals::new(), Own::new());
    let fresh = Block { end, id, run: Some(run), next: null_mut(), length, locals, cache };
    // SAFETY: the block is ours (just mapped, or taken from the list), and plain old data or moved-out before.
    unsafe { block.as_ptr().write(fresh) };
    let address = block.as_ptr().expose_provenance();
    // SAFETY: the stack ends below the block, aligned, and is used by nobody; `begin` gets the block that it expects.
    let started = unsafe { swos_sys::thread_create(begin, stack_top(address), address, address) };
    match started {
        Ok(id) => Ok(Thread { block, id }),
        Err(errno) => {
            // SAFETY: no thread runs on it; drop what should have run, then give the pages back.
            unsafe { drop((*block.as_ptr()).run.take()) };
            unmap(block);
            Err(errno)
        }
    }
}

impl Thread {
    /// Its id.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// Whether its function has returned.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        // SAFETY: the block lives until this handle gives it away.
        unsafe { (*self.block.as_ptr()).end.is_finished() }
    }

    /// Waits until the thread has ended.
    pub fn join(self) {
        let block = self.block;
        core::mem::forget(self);
        // SAFETY: the block lives until we give it away below.
        unsafe { (*block.as_ptr()).end.join() };
        KEPT_STACKS.lock().push(block);
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        // SAFETY: the block lives until one side gives it away; this decides which.
        if unsafe { (*self.block.as_ptr()).end.detach() } == Giver::Us {
            KEPT_STACKS.lock().push(self.block);
        }
    }
}

/// First function of every thread.
unsafe extern "C" fn begin(argument: usize) -> ! {
    let block = with_exposed_provenance_mut::<Block>(argument);
    // SAFETY: `spawn` passed the address of a block that lives until this thread is off its stack.
    let (run, end) = unsafe { (&mut (*block).run, &(*block).end) };
    let running = end.running();
    if let Some(run) = run.take() {
        run();
    }
    // SAFETY: the block is this thread's, and `locals` is reached by this thread alone.
    unsafe { (*block).locals.end() };
    heap::close_cache();
    if end.finish() == Giver::Us
        && let Some(block) = NonNull::new(block)
    {
        KEPT_STACKS.lock().push(block);
    }
    // SAFETY: `running` is what keeps others from this stack; it lies in the mapping, which lives until it is 0.
    unsafe { swos_sys::thread_exit(running) }
}

/// A kept stack of that length; unmaps some when too many have gathered, and those of an unusual length.
fn keep_few(length: usize) -> Option<NonNull<Block>> {
    let mut kept = KEPT_STACKS.lock();
    while kept.count > KEPT {
        match kept.pop_idle() {
            Some(block) => unmap(block),
            None => break,
        }
    }
    if length != LENGTH {
        return None;
    }
    loop {
        let block = kept.pop_idle()?;
        // SAFETY: the list gave us the block.
        if unsafe { (*block.as_ptr()).length } == LENGTH {
            return Some(block);
        }
        unmap(block);
    }
}

fn map(length: usize) -> Result<NonNull<Block>, Errno> {
    let start = swos_sys::map_anonymous(length, Protection::READ | Protection::WRITE)?;
    // SAFETY: the pages are ours and nobody has a reference into them.
    if let Err(errno) = unsafe { swos_sys::mprotect(start, PAGE, Protection::empty()) } {
        // SAFETY: as above.
        let _unmapped = unsafe { swos_sys::munmap(start, length) };
        return Err(errno);
    }
    // SAFETY: within the mapping, and aligned: the mapping ends at a page and the room is a multiple of 64.
    Ok(unsafe { start.add(length - ROOM) }.cast())
}

/// Room for the block at the upper end of the mapping.
const ROOM: usize = size_of::<Block>().next_multiple_of(64);

fn unmap(block: NonNull<Block>) {
    // SAFETY: `map` made the block so far behind the start of its mapping, and no thread runs on it.
    let _unmapped = unsafe {
        let length = (*block.as_ptr()).length;
        swos_sys::munmap(block.cast::<u8>().sub(length - ROOM), length)
    };
}

/// First stack pointer: below the block, 16-byte aligned.
const fn stack_top(block: usize) -> usize {
    block & !15
}

/// Calls `act` while no thread is at the kept stacks.
pub(crate) fn with_stacks<R>(act: impl FnOnce() -> R) -> R {
    let _kept = KEPT_STACKS.lock();
    act()
}

/// Where the calling thread keeps its id.
///
/// The thread pointer of every thread but the first is its block; the first one gets a block when it asks.
fn own_id() -> &'static AtomicU32 {
    static FIRST: AtomicU32 = AtomicU32::new(0);
    let block = with_exposed_provenance_mut::<Block>(swos_sys::thread_pointer());
    // SAFETY: 0 on the first thread, else what `spawn` set: the block of this very thread, which lives as long as it, and
    // nobody but the thread itself gets the reference.
    if block.is_null() { &FIRST } else { unsafe { &(*block).id } }
}

/// What keys hold for the calling thread: a pointer that is good for it alone, as long as it runs.
#[cfg(target_os = "none")]
pub(crate) fn own_locals() -> *mut Locals {
    struct First(core::cell::UnsafeCell<Locals>);
    // SAFETY: reached by the first thread alone: it is the one without a block.
    unsafe impl Sync for First {}
    static FIRST: First = First(core::cell::UnsafeCell::new(Locals::new()));
    let block = with_exposed_provenance_mut::<Block>(swos_sys::thread_pointer());
    // SAFETY: as in `own_id`.
    if block.is_null() { FIRST.0.get() } else { unsafe { &raw mut (*block).locals } }
}

/// The free blocks of the calling thread.
#[inline]
pub(crate) fn own_cache() -> NonNull<Own> {
    /// The first thread's.
    struct First(Own);
    // SAFETY: only the first thread, the one whose thread pointer is 0, uses it.
    unsafe impl Sync for First {}
    static FIRST: First = First(Own::new());
    match NonNull::new(with_exposed_provenance_mut::<Block>(swos_sys::thread_pointer())) {
        // SAFETY: what `spawn` set: the block of this very thread, which lives as long as it. Others use other fields of it.
        Some(block) => unsafe { NonNull::new_unchecked(&raw mut (*block.as_ptr()).cache) },
        None => NonNull::from(&FIRST.0),
    }
}

/// After a fork the calling thread is another one.
pub(crate) fn forget_id() {
    own_id().store(0, Relaxed);
}

/// Id of the calling thread.
#[must_use]
pub fn current_id() -> u32 {
    let id = own_id();
    match id.load(Relaxed) {
        0 => {
            let asked = swos_sys::gettid().unwrap_or(0);
            id.store(asked, Relaxed);
            asked
        }
        known => known,
    }
}
