//! Files, and handles themselves.

use super::*;

pub(super) fn files(user: &mut User, attempt: &Try) {
    let from = full(user, 5);
    let file = attempt.open(user, NAMES[0], new_file());
    attempt.call(user, NR_WRITE, &[file, from, 3 * PAGE + 5]);
    // Far behind its end.
    attempt.call(user, NR_PWRITE, &[file, from, PAGE, 1 << 24]);
    attempt.call(user, NR_SET_SIZE, &[file, 5]);
    attempt.call(user, NR_SET_SIZE, &[file, 1 << 30]);
    attempt.call(user, NR_PREAD, &[file, from, 2 * PAGE, 0]);
    let pieces = records(user);
    let piece = |index| MemoryPiece { address: from + index * PAGE, length: PAGE };
    user.store(pieces, [piece(0), piece(2)].as_bytes());
    attempt.call_with(user, NR_WRITEV, &[file, pieces, 2], &[pieces, pieces + 16]);
    attempt.call(user, NR_SEEK, &[file, 0, u64::from(SEEK_SET)]);
    attempt.call_with(user, NR_READV, &[file, pieces, 2], &[pieces, pieces + 16]);
    attempt.call(user, NR_SYNC, &[file]);
    close(user, &[file]);
    unlink(user, NAMES[0]);
    unmap(user, from, 5);
}

/// Maps nothing else, so that it is here that a new process needs room for what it maps.
pub(super) fn mappings(user: &mut User, attempt: &Try) {
    let file = open_at(user, Handle::CWD, NAMES[0], new_file()).unwrap();
    for flags in [MapFlags::PRIVATE, MapFlags::SHARED] {
        mapped(user, attempt, file, flags);
    }
    close(user, &[file]);
    unlink(user, NAMES[0]);
}

fn mapped(user: &mut User, attempt: &Try, file: u64, flags: MapFlags) {
    user.call(NR_SET_SIZE, &[file, 5 * PAGE]).unwrap();
    // No holes: what finds no room there hears that nothing is behind the address.
    for index in 0..2 {
        user.call(NR_PWRITE, &[file, user.stack() - 64, 8, index * PAGE]).unwrap();
    }
    let flags = u64::from(flags.bits());
    let at = attempt.call(user, NR_MMAP, &[0, 4 * PAGE, READ_WRITE, flags, file, 0]);
    attempt.call(user, NR_RANDOM, &[at + PAGE - 8, 16]);
    attempt.call(user, NR_SET_SIZE, &[file, PAGE]);
    attempt.call(user, NR_SYNC, &[file]);
    unmap(user, at, 4);
}

pub(super) fn reads(user: &mut User, attempt: &Try) {
    let into = fresh(user, 8);
    let program = attempt.open(user, "/bin/init", OpenFlags::READ);
    attempt.call(user, NR_PREAD, &[program, into, PAGE, 0]);
    let private = u64::from(MapFlags::PRIVATE.bits());
    let at = attempt.call(user, NR_MMAP, &[0, PAGE, 1, private, program, 0]);
    let null = open_at(user, Handle::CWD, "/dev/null", OpenFlags::WRITE).unwrap();
    attempt.call(user, NR_WRITE, &[null, at, 64]);
    unmap(user, at, 1);
    attempt.call(user, NR_FSTAT, &[program, into + PAGE, 64]);
    let directory = attempt.open(user, "/bin", OpenFlags::READ | OpenFlags::DIRECTORY);
    attempt.call(user, NR_READDIR, &[directory, into + 2 * PAGE, PAGE]);
    attempt.at_path(user, NR_STAT, "/bin/init", &[0, into + 3 * PAGE, 64]);
    attempt.at_path(user, NR_FILE_SYSTEM_INFO, "/tmp", &[into + 4 * PAGE, 48]);
    attempt.call(user, NR_RANDOM, &[into + 5 * PAGE, 64]);
    attempt.call(user, NR_SYSTEM_INFO, &[into + 6 * PAGE, 64]);
    close(user, &[program, directory, null]);
    unmap(user, into, 8);
}

pub(super) fn handles(user: &mut User, attempt: &Try) {
    let file = open(user, "/bin/init").unwrap();
    let copy = attempt.call(user, NR_HANDLE_DUPLICATE, &[file, ALL, 0]);
    attempt.call(user, NR_HANDLE_DUPLICATE_TO, &[file, copy, ALL, 0]);
    attempt.call(user, NR_HANDLE_RIGHTS, &[copy]);
    attempt.call(user, NR_HANDLE_RESTRICT, &[copy, u64::from((Rights::READ | Rights::SETATTR).bits())]);
    attempt.call(user, NR_HANDLE_FLAGS, &[copy]);
    let flag = u64::from(OpenFlags::CLOSE_ON_EXEC.bits());
    attempt.call(user, NR_HANDLE_SET_FLAGS, &[copy, flag, flag]);
    let (reader, writer) = pipe(user, 0);
    attempt.call(user, NR_HANDLE_NONBLOCK, &[reader, 1]);
    attempt.call(user, NR_CLOSE, &[writer]);
    close(user, &[copy, file, reader]);
    attempt.child(user, |user| {
        let attempt = Try::of_parent(user);
        // More than there are free numbers.
        for _ in 0..20 {
            attempt.call(user, NR_EVENT_CREATE, &[0, 0]);
        }
        // A number that was never used, of which the table has no slots yet.
        attempt.call(user, NR_HANDLE_DUPLICATE_TO, &[1, 700, ALL, 0]);
        attempt.leave(user);
    });
}
