//! The system, its log, its figures.

use super::*;

pub(super) fn limits(user: &mut User, attempt: &Try) {
    let at = records(user);
    let size = size_of::<ProcessLimits>() as u64;
    attempt.call(user, NR_LIMITS_GET, &[at, size]);
    // All as they are.
    user.store(at, ProcessLimits { size: size as u32, ..ProcessLimits::default() }.as_bytes());
    attempt.call(user, NR_LIMITS_SET, &[at, size]);
    attempt.call(user, NR_USAGE, &[at, size_of::<ProcessUsage>() as u64]);
}

pub(super) fn texts(user: &mut User, attempt: &Try) {
    let into = fresh(user, 6);
    let at = records(user);
    user.store(at, b"exhausted");
    attempt.call(user, NR_LOG_WRITE, &[u64::from(LOG_DEBUG), at, 9]);
    // A field with a text.
    user.store(at + 128, &[[0, 6, 4, 0].as_slice(), b"source", b"init"].concat());
    attempt.call(user, NR_LOG_RECORD, &[u64::from(LOG_DEBUG), at, 9, at + 128, 14]);
    user.store(at + 64, &0_u64.to_le_bytes());
    attempt.call(user, NR_LOG_EXPORT, &[at + 64, into, 2 * PAGE, u64::from(LOG_JSON)]);
    user.store(at + 64, &0_u64.to_le_bytes());
    attempt.call(user, NR_LOG_READ, &[at + 64, into, 2 * PAGE]);
    attempt.call(user, NR_LOG_FILTER, &[u64::from(LOG_INFO), at, 9]);
    user.call(NR_LOG_FILTER, &[u64::from(LOG_INHERIT), at, 9]).unwrap();
    for (index, path) in (2..).zip(["/sys/cpus", "/sys/memory"]) {
        let file = attempt.open(user, path, OpenFlags::READ);
        attempt.call(user, NR_READ, &[file, into + index * PAGE, PAGE]);
        close(user, &[file]);
    }
    unmap(user, into, 6);
}

pub(super) fn system(user: &mut User, attempt: &Try) {
    let into = fresh(user, 1);
    let at = records(user);
    attempt.call(user, NR_ABI_VERSION, &[]);
    attempt.call(user, NR_CLOCK_GET, &[u64::from(CLOCK_REALTIME)]);
    attempt.call(user, NR_PROCESS_INFO, &[1, into, size_of::<ProcessInfo>() as u64]);
    let config = NetworkConfig { size: 16, prefix: 24, address: [10, 0, 2, 15], gateway: [10, 0, 2, 2] };
    user.store(at, config.as_bytes());
    attempt.call(user, NR_NET_CONFIGURE, &[at, 16]);
    unmap(user, into, 1);
}
