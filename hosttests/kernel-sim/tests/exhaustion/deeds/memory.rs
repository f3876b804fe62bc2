//! Memory.

use super::*;

pub(super) fn memory(user: &mut User, attempt: &Try) {
    let zero = open(user, "/dev/zero").unwrap();
    let flags = u64::from((MapFlags::PRIVATE | MapFlags::ANONYMOUS).bits());
    let far = 1_u64 << 40;
    // With tables of its own, far from all else.
    let at = attempt.call(user, NR_MMAP, &[far, 8 * PAGE, READ_WRITE, flags, NOBODY, 0]);
    attempt.call(user, NR_READ, &[zero, at, 3 * PAGE]);
    attempt.call(user, NR_MPROTECT, &[at + PAGE, PAGE, 1]);
    attempt.call(user, NR_MEMORY_ADVISE, &[at, PAGE, u64::from(ADVISE_DISCARD)]);
    attempt.call(user, NR_MUNMAP, &[at + 2 * PAGE, PAGE]);
    unmap(user, at, 8);
    let at = attempt.call(user, NR_MMAP, &[0, 1 << 30, 0, flags, NOBODY, 0]);
    attempt.call(user, NR_MPROTECT, &[at + (1 << 29), 2 * PAGE, READ_WRITE]);
    attempt.call(user, NR_READ, &[zero, at + (1 << 29), 2 * PAGE]);
    user.call(NR_MUNMAP, &[at, 1 << 30]).unwrap();
    close(user, &[zero]);
}

pub(super) fn objects(user: &mut User, attempt: &Try) {
    let zero = open(user, "/dev/zero").unwrap();
    let object = attempt.call(user, NR_MEMORY_CREATE, &[8 * PAGE, 0]);
    let shared = u64::from(MapFlags::SHARED.bits());
    let at = attempt.call(user, NR_MMAP, &[0, 8 * PAGE, READ_WRITE, shared, object, 0]);
    attempt.call(user, NR_READ, &[zero, at, 5 * PAGE]);
    attempt.call(user, NR_MEMORY_ADVISE, &[at, PAGE, u64::from(ADVISE_DISCARD)]);
    attempt.call(user, NR_MEMORY_RESIZE, &[object, 2 * PAGE]);
    attempt.call(user, NR_MEMORY_RESIZE, &[object, 1 << 20]);
    unmap(user, at, 8);
    close(user, &[object, zero]);
    // Without a name.
    let shared = u64::from((MapFlags::SHARED | MapFlags::ANONYMOUS).bits());
    let at = attempt.call(user, NR_MMAP, &[0, 2 * PAGE, READ_WRITE, shared, NOBODY, 0]);
    attempt.call(user, NR_RANDOM, &[at + PAGE - 8, 16]);
    unmap(user, at, 2);
}
