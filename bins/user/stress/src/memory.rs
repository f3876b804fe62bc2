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
    sys, thread,
    time::Duration,
};

use crate::report::text;

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
