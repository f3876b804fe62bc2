//! Processes by the thousand, memory used up in every way: errors, and everything comes back.

use alloc::{string::String, vec, vec::Vec};

use swos_ulib::{
    abi::{Errno, Handle, Protection, Rights},
    handle::Blocking,
    io::{Read as _, Write as _},
    pipe::{PipeReader, PipeWriter, pipe},
    process::{self, Child, Command, Fork, fork},
    sys,
    testing::{equal, text},
    thread,
    time::Duration,
};

use crate::SELF;

/// A fork that becomes another program, and is waited for.
pub(crate) fn fork_and_exec() -> Result<(), String> {
    match fork().map_err(text)? {
        Fork::Child => {
            let _errno = Command::new(SELF).arg("nothing").exec();
            process::exit(9)
        }
        Fork::Parent(child) => equal(child.wait().map_err(text)?.code(), Some(0)),
    }
}

/// So many processes live at the same time; they end when the pipe does.
pub(crate) fn alive_together(count: u32) -> Result<(), String> {
    let (mut started, tell) = pipe().map_err(text)?;
    let (end, keep) = pipe().map_err(text)?;
    let mut children: Vec<Child> = Vec::new();
    for _ in 0..count {
        match fork().map_err(text)? {
            Fork::Child => {
                let _closed = sys::close(keep.handle());
                let _told = PipeWriter::from_handle(tell.handle()).write_all(&[1]);
                let _ended = PipeReader::from_handle(end.handle()).read(&mut [0]);
                process::exit(0)
            }
            Fork::Parent(child) => children.push(child),
        }
    }
    let mut all = vec![0; children.len()];
    started.read_exact(&mut all).map_err(text)?;
    drop(keep);
    children.iter().try_for_each(|child| equal(child.wait().map_err(text)?.code(), Some(0)))
}

/// So many handles are open at the same time.
pub(crate) fn open_together(count: u32) -> Result<(), String> {
    let (reader, _writer) = pipe().map_err(text)?;
    let copies: Result<Vec<Handle>, Errno> =
        (0..count).map(|_| sys::handle_duplicate(reader.handle(), Rights::READ, 0)).collect();
    copies.map_err(text)?.into_iter().try_for_each(|copy| sys::close(copy).map_err(text))
}

/// So many threads live at the same time, over several processes.
pub(crate) fn threads_together(count: u32) -> Result<(), String> {
    const EACH: u32 = 1000;
    let (mut started, tell) = pipe().map_err(text)?;
    let (end, keep) = pipe().map_err(text)?;
    let processes = count.div_ceil(EACH);
    let mut children = Vec::new();
    for _ in 0..processes {
        match fork().map_err(text)? {
            Fork::Child => {
                let _closed = sys::close(keep.handle());
                let threads = (0..EACH)
                    .map_while(|_| thread::spawn(|| thread::sleep(Duration::from_secs(10_000))).ok())
                    .map(core::mem::forget)
                    .count();
                let _told =
                    PipeWriter::from_handle(tell.handle()).write_all(&[u8::from(threads == EACH as usize)]);
                let _ended = PipeReader::from_handle(end.handle()).read(&mut [0]);
                process::exit(0)
            }
            Fork::Parent(child) => children.push(child),
        }
    }
    let mut all = vec![0; children.len()];
    started.read_exact(&mut all).map_err(text)?;
    drop(keep);
    for child in &children {
        equal(child.wait().map_err(text)?.code(), Some(0))?;
    }
    equal(all.iter().all(|&complete| complete == 1), true)
}

/// Ways to use memory up. Each goes on until it is refused or ended.
const WAYS: [fn(); 5] = [touch, spread, forks, threads, pipes];

/// Each way in a process of its own: it ends by itself after a refusal, or by the signal of a fault that found no memory. All
/// others go on.
pub(crate) fn used_up() -> Result<(), String> {
    for way in WAYS {
        let Fork::Parent(running) = fork().map_err(text)? else {
            way();
            process::exit(0)
        };
        let status = running.wait().map_err(text)?;
        equal(status.code() == Some(0) || status.signal() == Some(9), true)?;
        // Its children, if it left any, are init's, and find out in their own time.
        thread::sleep(Duration::from_millis(30));
    }
    Ok(())
}

const BOTH: Protection = Protection::READ.union(Protection::WRITE);

/// Maps `length` bytes and touches a page in each `apart` of them. False = refused.
fn map_and_touch(length: usize, apart: usize) -> bool {
    let Ok(start) = sys::map_anonymous(length, BOTH) else { return false };
    for offset in (0..length).step_by(apart) {
        // SAFETY: within the mapping, which is ours and used by nobody else.
        unsafe { start.add(offset).write_volatile(1) };
    }
    true
}

/// Memory that is touched.
fn touch() {
    while map_and_touch(1 << 20, 4096) {}
}

/// Pages so far apart that each needs a translation table of its own.
fn spread() {
    while map_and_touch(64 << 21, 1 << 21) {}
}

/// Processes with some memory of their own, which end when this one does.
fn forks() {
    let Ok((end, keep)) = pipe() else { return };
    loop {
        match fork() {
            Ok(Fork::Child) => {
                let _closed = sys::close(keep.handle());
                let _or_not = map_and_touch(1 << 20, 4096);
                let _ended = PipeReader::from_handle(end.handle()).read(&mut [0]);
                process::exit(0);
            }
            Ok(Fork::Parent(_)) => {}
            Err(_) => return,
        }
    }
}

/// Threads, until the process may not have more.
fn threads() {
    while thread::spawn(|| thread::sleep(Duration::from_secs(10_000))).map(core::mem::forget).is_ok() {}
}

/// Pipes that are full.
fn pipes() {
    let bytes = vec![1; 4096];
    while let Ok((reader, mut writer)) = pipe() {
        let full = writer.set_blocking(Blocking::Never).is_ok();
        while full && writer.write(&bytes).is_ok() {}
        core::mem::forget((reader, writer));
    }
}
