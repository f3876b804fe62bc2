//! Mappings.

use alloc::{string::String, vec};
use core::ptr::NonNull;

use swos_ulib::{
    abi::{ADVISE_DISCARD, Errno, Handle, MapFlags, Protection},
    fs::{self, File},
    process::{Fork, fork},
    sys,
    testing::text,
};

use crate::{Case, child_ends};

pub(crate) const CASES: &[Case] = &[
    ("protect-64-mib", protect),
    ("unmap-64-mib", unmap),
    ("map-over-64-mib", || map_over(64 << 20)),
    ("map-over-4-mib", || map_over(4 << 20)),
    ("protect-4000-areas", protect_areas),
    ("map-over-4000-areas", map_over_areas),
    ("unmap-4000-areas", unmap_areas),
    ("map-below-4000-areas", map_below_areas),
    ("cut-below-4000-areas", cut_below_areas),
    ("cut-mapped-64-mib", cut_mapped),
    ("read-shared-1-mib", read_shared),
    ("unmap-300-files", || mapped_files().and_then(|start| unmap_all(start, FILES * PAGE))),
    ("end-with-300-files", || child_ends("mapped")),
    ("end-with-100-mib", || child_ends("memory")),
    ("end-with-4000-areas", || child_ends("areas")),
    ("discard-64-mib", || touched(64 << 20).map_err(text).and_then(|start| discard(start, 64 << 20))),
    ("discard-4000-areas", || many_areas().and_then(|start| discard(start, AREAS * PAGE))),
    ("shrink-a-mapped-object", shrink_object),
    ("fork-with-64-mib", || touched(64 << 20).map_err(text).and_then(|_| fork_and_wait())),
    ("fork-with-4000-areas", || many_areas().and_then(|_| fork_and_wait())),
    ("fork-with-2000-objects", || objects(2000).and_then(|_| fork_and_wait())),
];

const PAGE: usize = 4096;
/// Files that are mapped at once.
const FILES: usize = 300;
/// As many as a process may have, less those of the program itself.
const AREAS: usize = 4000;

fn both() -> Protection {
    Protection::READ | Protection::WRITE
}

/// Maps so many bytes and touches each page.
pub(crate) fn touched(bytes: usize) -> Result<NonNull<u8>, Errno> {
    let start = sys::map_anonymous(bytes, both())?;
    for page in 0..bytes / PAGE {
        // SAFETY: within the mapping, which is ours.
        unsafe { start.add(page * PAGE).write_volatile(1) };
    }
    Ok(start)
}

pub(crate) fn touch_much() -> Result<(), String> {
    touched(100 << 20).map(drop).map_err(text)
}

fn protect() -> Result<(), String> {
    let start = touched(64 << 20).map_err(text)?;
    // SAFETY: ours, and not used any more.
    unsafe {
        sys::mprotect(start, 64 << 20, Protection::READ).map_err(text)?;
        sys::munmap(start, 64 << 20).map_err(text)
    }
}

fn unmap() -> Result<(), String> {
    let start = touched(64 << 20).map_err(text)?;
    // SAFETY: ours, and not used any more.
    unsafe { sys::munmap(start, 64 << 20).map_err(text) }
}

fn fixed(at: NonNull<u8>, bytes: usize) -> Result<NonNull<u8>, Errno> {
    let flags = MapFlags::PRIVATE | MapFlags::ANONYMOUS | MapFlags::FIXED;
    // SAFETY: replaces only what is ours and not used.
    unsafe { sys::mmap(at.addr().get(), bytes, both(), flags, Handle::NONE, 0) }
}

fn map_over(bytes: usize) -> Result<(), String> {
    let start = touched(bytes).map_err(text)?;
    fixed(start, bytes).map_err(text)?;
    // SAFETY: ours, and not used any more.
    unsafe { sys::munmap(start, bytes).map_err(text) }
}

/// A mapping of so many areas: every other page may only be read.
pub(crate) fn many_areas() -> Result<NonNull<u8>, String> {
    let start = touched(AREAS * PAGE).map_err(text)?;
    for page in (0..AREAS).step_by(2) {
        // SAFETY: within the mapping, which is ours.
        unsafe { sys::mprotect(start.add(page * PAGE), PAGE, Protection::READ).map_err(text)? };
    }
    Ok(start)
}

fn protect_areas() -> Result<(), String> {
    let start = many_areas()?;
    // SAFETY: ours, and not used any more.
    unsafe {
        sys::mprotect(start, AREAS * PAGE, Protection::empty()).map_err(text)?;
        sys::munmap(start, AREAS * PAGE).map_err(text)
    }
}

fn map_over_areas() -> Result<(), String> {
    let start = many_areas()?;
    fixed(start, AREAS * PAGE).map_err(text)?;
    // SAFETY: ours, and not used any more.
    unsafe { sys::munmap(start, AREAS * PAGE).map_err(text) }
}

fn unmap_areas() -> Result<(), String> {
    let start = many_areas()?;
    // SAFETY: ours, and not used any more.
    unsafe { sys::munmap(start, AREAS * PAGE).map_err(text) }
}

fn map_below_areas() -> Result<(), String> {
    let start = many_areas()?;
    let below = touched(3 * PAGE).map_err(text)?;
    unmap_all(below, 3 * PAGE)?;
    unmap_all(start, AREAS * PAGE)
}

/// The page in the middle becomes an area of its own, and goes.
fn cut_below_areas() -> Result<(), String> {
    let start = many_areas()?;
    let below = touched(3 * PAGE).map_err(text)?;
    // SAFETY: within the mapping, which is ours.
    unsafe {
        let middle = below.add(PAGE);
        sys::mprotect(middle, PAGE, Protection::READ).map_err(text)?;
        sys::munmap(middle, PAGE).map_err(text)?;
    }
    unmap_all(below, 3 * PAGE)?;
    unmap_all(start, AREAS * PAGE)
}

fn unmap_all(start: NonNull<u8>, bytes: usize) -> Result<(), String> {
    // SAFETY: ours, and not used any more.
    unsafe { sys::munmap(start, bytes).map_err(text) }
}

/// A file without a name, of which each page is mapped shared and touched.
fn shared_file(bytes: usize) -> Result<(File, NonNull<u8>), String> {
    const PATH: &str = "/tmp/stretch";
    let file = File::options().read(true).write(true).create(true).open(PATH).map_err(text)?;
    fs::remove_file(PATH).map_err(text)?;
    file.set_len(bytes as u64).map_err(text)?;
    // SAFETY: without FIXED the kernel chooses free addresses.
    let start = unsafe { sys::mmap(0, bytes, both(), MapFlags::SHARED, file.handle(), 0) }.map_err(text)?;
    for page in 0..bytes / PAGE {
        // SAFETY: within the mapping, which is ours.
        unsafe { start.add(page * PAGE).write_volatile(1) };
    }
    Ok((file, start))
}

fn cut_mapped() -> Result<(), String> {
    let (file, start) = shared_file(64 << 20)?;
    file.set_len(1).map_err(text)?;
    unmap_all(start, 64 << 20)
}

fn read_shared() -> Result<(), String> {
    let (file, start) = shared_file(1 << 20)?;
    let mut buffer = vec![0; 1 << 20];
    for _ in 0..4 {
        file.read_at(&mut buffer, 0).map_err(text)?;
        file.write_at(&buffer, 0).map_err(text)?;
    }
    unmap_all(start, 1 << 20)
}

/// One page each of many files, side by side.
pub(crate) fn mapped_files() -> Result<NonNull<u8>, String> {
    let start = sys::map_anonymous(FILES * PAGE, Protection::empty()).map_err(text)?;
    for page in 0..FILES {
        let (file, other) = shared_file(PAGE)?;
        let flags = MapFlags::SHARED | MapFlags::FIXED;
        // SAFETY: replaces only what is ours and not used.
        let at = unsafe { start.add(page * PAGE) };
        // SAFETY: as above.
        unsafe { sys::mmap(at.addr().get(), PAGE, both(), flags, file.handle(), 0).map_err(text)? };
        unmap_all(other, PAGE)?;
        // SAFETY: within the mapping, which is ours.
        unsafe { at.write_volatile(1) };
    }
    Ok(start)
}

fn discard(start: NonNull<u8>, length: usize) -> Result<(), String> {
    // SAFETY: ours, and not used any more.
    unsafe { sys::memory_advise(start, length, ADVISE_DISCARD).map_err(text) }
}

/// Memory of which no page is there yet.
pub(crate) fn untouched(bytes: usize) -> Result<&'static mut [u8], String> {
    let start = sys::map_anonymous(bytes, both()).map_err(text)?;
    // SAFETY: a mapping of its own, which stays for ever.
    Ok(unsafe { core::slice::from_raw_parts_mut(start.as_ptr(), bytes) })
}

/// So many memory objects, each mapped.
fn objects(count: usize) -> Result<(), String> {
    for _ in 0..count {
        let object = sys::memory_create(PAGE as u64, 0).map_err(text)?;
        // SAFETY: replaces nothing.
        let start = unsafe { sys::mmap(0, PAGE, both(), MapFlags::SHARED, object, 0) }.map_err(text)?;
        // SAFETY: within the mapping.
        unsafe { start.write_volatile(1) };
        sys::close(object).map_err(text)?;
    }
    Ok(())
}

/// One object in many places, each of which loses its pages.
fn shrink_object() -> Result<(), String> {
    const PAGES: usize = 16;
    let object = sys::memory_create((PAGES * PAGE) as u64, 0).map_err(text)?;
    for _ in 0..2000 {
        // SAFETY: replaces nothing.
        let start =
            unsafe { sys::mmap(0, PAGES * PAGE, both(), MapFlags::SHARED, object, 0) }.map_err(text)?;
        for page in 0..PAGES {
            // SAFETY: within the mapping.
            unsafe { start.add(page * PAGE).write_volatile(1) };
        }
    }
    sys::memory_resize(object, 1).map_err(text)?;
    sys::close(object).map_err(text)
}

fn fork_and_wait() -> Result<(), String> {
    match fork().map_err(text)? {
        Fork::Child => swos_ulib::process::exit(0),
        Fork::Parent(child) => child.wait().map(drop).map_err(text),
    }
}
