//! Processes, handles and threads by the thousand; and what uses memory up.

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

use crate::{SELF, exhaust::until_refused};

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

const BOTH: Protection = Protection::READ.union(Protection::WRITE);

/// Maps `length` bytes and touches a page in each `apart` of them.
fn map_and_touch(length: usize, apart: usize) -> Result<(), Errno> {
    let start = sys::map_anonymous(length, BOTH)?;
    for offset in (0..length).step_by(apart) {
        // SAFETY: within the mapping, which is ours and used by nobody else.
        unsafe { start.add(offset).write_volatile(1) };
    }
    Ok(())
}

/// Memory that is touched.
pub(crate) fn touch() -> Errno {
    until_refused(|| map_and_touch(1 << 20, 4096))
}

/// Pages so far apart that each needs a translation table of its own.
pub(crate) fn spread() -> Errno {
    until_refused(|| map_and_touch(64 << 21, 1 << 21))
}

/// Processes with some memory of their own.
pub(crate) fn forks() -> Errno {
    fork_until_refused(|| {
        let _or_not = map_and_touch(1 << 20, 4096);
    })
}

/// Makes processes, which do something and end when this one does.
pub(crate) fn fork_until_refused(act: impl Fn()) -> Errno {
    let (end, keep) = match pipe() {
        Ok(ends) => ends,
        Err(errno) => return errno,
    };
    until_refused(|| {
        if matches!(fork()?, Fork::Child) {
            let _closed = sys::close(keep.handle());
            act();
            let _ended = PipeReader::from_handle(end.handle()).read(&mut [0]);
            process::exit(0);
        }
        Ok(())
    })
}

/// Threads, until the process may not have more.
pub(crate) fn threads() -> Errno {
    until_refused(|| thread::spawn(|| thread::sleep(Duration::from_secs(10_000))).map(core::mem::forget))
}

/// Pipes that are full.
pub(crate) fn pipes() -> Errno {
    let bytes = vec![1; 4096];
    until_refused(|| {
        let (reader, mut writer) = pipe()?;
        writer.set_blocking(Blocking::Never)?;
        while writer.write(&bytes).is_ok() {}
        core::mem::forget((reader, writer));
        Ok(())
    })
}
