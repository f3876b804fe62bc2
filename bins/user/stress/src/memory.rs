//! Mappings under stress.

use alloc::{format, string::String, sync::Arc};
use core::{
    ptr::NonNull,
    sync::atomic::{
        AtomicU64,
        Ordering::{Acquire, Release},
    },
};

use swos_ulib::{
    abi::{Errno, Handle, MapFlags, Protection},
    sys::{self, raw},
    testing::text,
    thread,
    time::Duration,
};

const PAGE: usize = 4096;
const BOTH: Protection = Protection::READ.union(Protection::WRITE);

/// Some pages: mapped, touched, protected, unmapped in two parts.
pub(crate) fn map_touch_unmap() -> Result<(), String> {
    let start = sys::map_anonymous(4 * PAGE, BOTH).map_err(text)?;
    // SAFETY: the pages are ours, and not used after they are unmapped.
    unsafe {
        for page in 0..4 {
            start.add(page * PAGE).write_volatile(1);
        }
        sys::mprotect(start.add(PAGE), PAGE, Protection::READ).map_err(text)?;
        sys::munmap(start.add(2 * PAGE), PAGE).map_err(text)?;
        sys::munmap(start, 4 * PAGE).map_err(text)
    }
}

/// Pages that were used before come back zeroed.
pub(crate) fn fresh(pages: u32) -> Result<(), String> {
    const LENGTH: usize = 256 * PAGE;
    for round in 0..pages / 256 {
        let start = sys::map_anonymous(LENGTH, BOTH).map_err(text)?;
        // SAFETY: the memory is ours, mapped, initialised (to zero, as is checked) and not used after it is unmapped.
        let words = unsafe { core::slice::from_raw_parts_mut(start.cast::<u64>().as_ptr(), LENGTH / 8) };
        if let Some(at) = words.iter().position(|&word| word != 0) {
            return Err(format!("round {round}: word {at} is {:#x}", words.get(at).copied().unwrap_or(0)));
        }
        words.fill(0xdead_beef_0000_0000 | u64::from(round));
        // SAFETY: as above.
        unsafe { sys::munmap(start, LENGTH) }.map_err(text)?;
    }
    Ok(())
}

/// An address that another thread reads while it is remapped.
struct Place(NonNull<u64>);

// SAFETY: all access is atomic or volatile, and the page stays mapped.
unsafe impl Send for Place {}

/// One thread maps a new page over a place again and again, writes its number there and then announces it; the other must never
/// read an older number than was announced: that would be the old page, through a stale translation.
pub(crate) fn remap(times: u32) -> Result<(), String> {
    let page = sys::map_anonymous(PAGE, BOTH).map_err(text)?;
    let announced = Arc::new(AtomicU64::new(0));
    let (seen, place) = (Arc::clone(&announced), Place(page.cast()));
    let last = u64::from(times);
    let reader = thread::spawn(move || {
        let place = place;
        loop {
            let round = seen.load(Acquire);
            // SAFETY: the place is always mapped: a mapping is replaced in one step.
            let value = unsafe { AtomicU64::from_ptr(place.0.as_ptr()) }.load(Acquire);
            // Zero is the fresh page of a later round.
            if value != 0 && value < round {
                return Err((value, round));
            }
            if round == last {
                return Ok(());
            }
        }
    })
    .map_err(text)?;
    let flags = MapFlags::PRIVATE | MapFlags::ANONYMOUS | MapFlags::FIXED;
    for round in 1..=last {
        // SAFETY: the page is ours; its reader reads atomically and expects any of its contents.
        let mapped =
            unsafe { sys::mmap(page.as_ptr().expose_provenance(), PAGE, BOTH, flags, Handle::NONE, 0) };
        if mapped == Ok(page) {
            // SAFETY: as above.
            unsafe { AtomicU64::from_ptr(page.cast().as_ptr()) }.store(round, Release);
        }
        announced.store(round, Release);
    }
    let result = reader.join();
    // SAFETY: the reader has ended.
    unsafe { sys::munmap(page, PAGE) }.map_err(text)?;
    result.map_err(|(value, round)| format!("read {value} after {round} was announced"))
}

/// Pages that come together and go one by one. The threads wait for each other once for so many.
const BATCH: usize = 64;

/// How far two threads are with pages that come and go.
#[derive(Default)]
struct Rounds {
    /// Batches that the reader found.
    seen: AtomicU64,
    /// Pages that were unmapped.
    gone: AtomicU64,
    /// Batches of which the reader was refused every page after that.
    refused: AtomicU64,
}

/// One thread lets the kernel read pages for it all the time, the other maps and unmaps them: a call that begins after an
/// unmap returned must answer FAULT. The kernel reads with the translations of the program, on the CPU of the reader.
pub(crate) fn unmap(times: u32) -> Result<(), String> {
    const LENGTH: usize = BATCH * PAGE;
    let start = sys::map_anonymous(LENGTH, BOTH).map_err(text)?;
    let address = start.as_ptr().expose_provenance();
    let rounds = Arc::new(Rounds::default());
    let (shared, batches) = (Arc::clone(&rounds), u64::from(times).div_ceil(BATCH as u64));
    let reader = thread::spawn(move || {
        let result = (0..batches).try_for_each(|batch| refused_each(&shared, address as u64, batch));
        if result.is_err() {
            // The other does not wait for more.
            shared.seen.store(u64::MAX, Release);
            shared.refused.store(u64::MAX, Release);
        }
        result
    })
    .map_err(text)?;
    let flags = MapFlags::PRIVATE | MapFlags::ANONYMOUS | MapFlags::FIXED;
    let mut done = Ok(());
    for batch in 0..batches {
        // SAFETY: the pages are ours, and only the kernel looks at them.
        done = done.and(unsafe { sys::mmap(address, LENGTH, BOTH, flags, Handle::NONE, 0) }.map(drop));
        while rounds.seen.load(Acquire) <= batch && done.is_ok() {
            thread::yield_now();
        }
        for page in 0..BATCH {
            // SAFETY: as above.
            done = done.and(unsafe { sys::munmap(start.add(page * PAGE), PAGE) });
            rounds.gone.store(batch * BATCH as u64 + page as u64 + 1, Release);
        }
        while rounds.refused.load(Acquire) <= batch && done.is_ok() {
            thread::yield_now();
        }
    }
    done.map_err(text)?;
    reader.join().map_err(|(page, answer)| format!("page {page}, unmapped: {answer:?}"))
}

/// What the kernel says to a call that reads a word at `address`.
fn look(address: u64) -> Result<u64, Errno> {
    // No page has this value, so no call waits.
    const OTHER: u32 = u32::MAX;
    // SAFETY: the kernel reads a word at the address, if there is one, and compares it.
    unsafe { raw::futex_wait(address, OTHER, u64::MAX, OTHER) }
}

/// The reader's part in a batch. The error is a call that began after an unmap and was not refused.
fn refused_each(rounds: &Rounds, start: u64, batch: u64) -> Result<(), (u64, Result<u64, Errno>)> {
    let pages = BATCH as u64;
    let refused = |page: u64| match look(start + page * PAGE as u64) {
        Err(Errno::FAULT) => Ok(()),
        other => Err((page, other)),
    };
    // While they come. From now on this CPU knows where they are.
    for page in 0..pages {
        while look(start + page * PAGE as u64) == Err(Errno::FAULT) {
            thread::yield_now();
        }
    }
    rounds.seen.store(batch + 1, Release);
    // While they go, the last that went.
    loop {
        match rounds.gone.load(Acquire).saturating_sub(batch * pages) {
            0 => thread::yield_now(),
            gone if gone == pages => break,
            gone => refused(gone - 1)?,
        }
    }
    (0..pages).try_for_each(refused)?;
    rounds.refused.store(batch + 1, Release);
    Ok(())
}

/// One thread reads a page all the time, the other unmaps it: the process must die of it at once.
pub(crate) fn read_after_unmap() -> i32 {
    let Ok(page) = sys::map_anonymous(PAGE, BOTH) else { return 2 };
    let started = Arc::new(AtomicU64::new(0));
    let (flag, place) = (Arc::clone(&started), Place(page.cast()));
    let reader = thread::spawn(move || {
        let place = place;
        loop {
            // SAFETY: none at the end; the process is there to die of it.
            let _ = unsafe { AtomicU64::from_ptr(place.0.as_ptr()) }.load(Acquire);
            flag.store(1, Release);
        }
    });
    if reader.is_err() {
        return 3;
    }
    while started.load(Acquire) == 0 {
        thread::yield_now();
    }
    // SAFETY: none; the process is there to die of it.
    if unsafe { sys::munmap(page, PAGE) }.is_err() {
        return 4;
    }
    thread::sleep(Duration::from_millis(100));
    0
}

/// Maps and touches memory until that is refused; true if it was, with the right error, and everything went back.
pub(crate) fn until_refused(most: usize) -> bool {
    const LENGTH: usize = 64 * PAGE;
    let mut parts = alloc::vec::Vec::new();
    let refused = loop {
        if parts.len() * LENGTH > most {
            break false;
        }
        match sys::map_anonymous(LENGTH, BOTH) {
            Ok(start) => parts.push(start),
            Err(errno) => break errno == Errno::NOMEM,
        }
    };
    // SAFETY: the parts are ours and not used.
    refused && parts.into_iter().all(|start| unsafe { sys::munmap(start, LENGTH) }.is_ok())
}
