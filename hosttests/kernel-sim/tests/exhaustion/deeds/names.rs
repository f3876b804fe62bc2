//! Names of files, and what is said about them.

use super::*;

pub(super) fn names(user: &mut User, attempt: &Try) {
    let at = user.stack() - 8192;
    let (one, two) = (at, at + 256);
    user.store(one, NAMES[0].as_bytes());
    user.store(two, NAMES[1].as_bytes());
    let pair = [Handle::CWD.0, one, NAMES[0].len() as u64, Handle::CWD.0, two, NAMES[1].len() as u64];
    let back = [pair[3], pair[4], pair[5], pair[0], pair[1], pair[2]];
    for (number, mode) in [(NR_MKDIR, 0o700), (NR_MKFIFO, 0o600)] {
        attempt.at_path(user, number, NAMES[0], &[mode]);
        attempt.call(user, NR_RENAME, &pair);
        unlink(user, NAMES[1]);
    }
    attempt.call(user, NR_SYMLINK, &[two, pair[5], pair[0], pair[1], pair[2]]);
    attempt.at_path(user, NR_READLINK, NAMES[0], &[at + 1024, 64]);
    // Through the link.
    let file = attempt.open(user, NAMES[0], new_file());
    attempt.at_path(user, NR_STAT, NAMES[0], &[0, at + 1024, 64]);
    unlink(user, NAMES[0]);
    attempt.call(user, NR_LINK, &back);
    attempt.at_path(user, NR_UNLINK, NAMES[1], &[0]);
    close(user, &[file]);
    unlink(user, NAMES[0]);
    // A link in the middle of a path.
    user.store(two, b"/bin");
    attempt.call(user, NR_SYMLINK, &[two, 4, pair[0], pair[1], pair[2]]);
    attempt.at_path(user, NR_STAT, &format!("{}/init", NAMES[0]), &[0, at + 1024, 64]);
    unlink(user, NAMES[0]);
    // What two that open it find.
    attempt.at_path(user, NR_MKFIFO, NAMES[0], &[0o600]);
    let reader = attempt.open(user, NAMES[0], OpenFlags::READ | OpenFlags::NONBLOCK);
    let writer = attempt.open(user, NAMES[0], OpenFlags::WRITE | OpenFlags::NONBLOCK);
    attempt.call(user, NR_WRITE, &[writer, at, 200]);
    close(user, &[reader, writer]);
    unlink(user, NAMES[0]);
}

pub(super) fn attributes(user: &mut User, attempt: &Try) {
    let at = records(user);
    let file = open_at(user, Handle::CWD, NAMES[0], new_file()).unwrap();
    attempt.at_path(user, NR_SET_MODE, NAMES[0], &[0, 0o640]);
    let owner = u64::from(security(user).principal);
    user.store(at, FileTimes { accessed_ns: 5, modified_ns: TIME_NOW }.as_bytes());
    attempt.at_path(user, NR_SET_TIMES, NAMES[0], &[0, at, 16]);
    // To another, it could not be removed any more.
    attempt.at_path(user, NR_SET_OWNER, NAMES[0], &[0, owner]);
    close(user, &[file]);
    unlink(user, NAMES[0]);
}

pub(super) fn directories(user: &mut User, attempt: &Try) {
    let into = fresh(user, 1);
    attempt.at_path(user, NR_MKDIR, NAMES[0], &[0o700]);
    // Longer than what is kept without asking for memory.
    attempt.at_path(user, NR_CHDIR, &format!("{}{}", NAMES[0], "/.".repeat(40)), &[]);
    attempt.call(user, NR_GETCWD, &[into, 64]);
    attempt.at_path(user, NR_CONFINE, "/", &[]);
    at_path(user, NR_CHDIR, Handle::CWD, "/").unwrap();
    unlink(user, NAMES[0]);
    unmap(user, into, 1);
}
