//! Files that are mapped: one page for all who share it, a page of one's own for who does not, and none beyond the end.

#![allow(
    clippy::allow_attributes,
    clippy::cast_possible_truncation,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_imports,
    reason = "programs of a test: what can't be ends it"
)]

mod common;

use common::{all_well, close, figures, map, on, power_off, simulate, spawn_with, thread, wait};
use swos_abi::*;
use swos_kernel_sim::{Faults, User};

const PAGE: u64 = 4096;
const NONE: u64 = u64::MAX;
const READ: u64 = 1;
const RW: u64 = 3;
const RX: u64 = 5;
const SHARED: MapFlags = MapFlags::SHARED;
const PRIVATE: MapFlags = MapFlags::PRIVATE;
const BUS: (u32, i32) = (1, 7);
const BOTH: OpenFlags = OpenFlags::READ.union(OpenFlags::WRITE);

fn open(user: &mut User, path: &str, flags: OpenFlags) -> Result<u64, Errno> {
    let mode = if flags.contains(OpenFlags::CREATE) { 0o600 } else { 0 };
    on(user, NR_OPEN, path, &[u64::from(flags.bits()), mode])
}

/// A new file of so many bytes, without a page.
fn file(user: &mut User, path: &str, size: u64) -> u64 {
    let handle = open(user, path, BOTH | OpenFlags::CREATE).unwrap();
    set_size(user, handle, size);
    handle
}

fn set_size(user: &mut User, handle: u64, size: u64) {
    user.call(NR_SET_SIZE, &[handle, size]).unwrap();
}

fn unlink(user: &mut User, path: &str) {
    on(user, NR_UNLINK, path, &[0]).unwrap();
}

fn mmap(
    user: &mut User,
    handle: u64,
    protection: u64,
    flags: MapFlags,
    pages: u64,
    first: u64,
) -> Result<u64, Errno> {
    let flags = u64::from(flags.bits());
    user.call(NR_MMAP, &[0, pages * PAGE, protection, flags, handle, first * PAGE])
}

fn unmap(user: &mut User, at: u64, pages: u64) {
    user.call(NR_MUNMAP, &[at, pages * PAGE]).unwrap();
}

fn put(user: &mut User, handle: u64, offset: u64, bytes: &[u8]) {
    let at = user.stack() - 2048;
    user.store(at, bytes);
    assert_eq!(user.call(NR_PWRITE, &[handle, at, bytes.len() as u64, offset]), Ok(bytes.len() as u64));
}

fn get(user: &mut User, handle: u64, offset: u64, count: u64) -> Vec<u8> {
    let at = user.stack() - 2048;
    let count = user.call(NR_PREAD, &[handle, at, count, offset]).unwrap();
    user.load(at, count as usize)
}

/// Pages and nodes of a file system.
fn held(user: &mut User, path: &str) -> [u64; 2] {
    let at = user.stack() - 2048;
    on(user, NR_FILE_SYSTEM_INFO, path, &[at, 48]).unwrap();
    [user.load_u64(at + 24), user.load_u64(at + 40)]
}

/// What must be as before: free frames, objects, processes; and pages and nodes of `/tmp`.
fn left(user: &mut User) -> ((u64, u32, u32, u32), [u64; 2]) {
    (common::left(user), held(user, "/tmp"))
}

/// Does it until nothing changes but by it, and then counts what is left of a few more times.
fn leaves_nothing(user: &mut User, mut round: impl FnMut(&mut User)) {
    round(user);
    let before = left(user);
    assert_eq!(before.1, [0, 0]);
    for _ in 0..3 {
        round(user);
    }
    assert_eq!(left(user), before);
}

/// Whether the kernel may write, and whether it may read a page for the program.
fn reachable(user: &mut User, at: u64) -> (bool, bool) {
    let written = user.call(NR_RANDOM, &[at + 8, 8]);
    let read = user.call(NR_FUTEX_WAIT, &[at, 0xDEAD_0BAD, 1, u64::from(u32::MAX)]);
    (written == Ok(8), read == Err(Errno::AGAIN))
}

fn deeds(user: &mut User) {
    let deed = user.args()[1].clone();
    match deed.as_str() {
        "answer" => {
            let at = mmap(user, 0, RW, SHARED, 4, 0).unwrap();
            assert_eq!(user.load(at + PAGE + 7, 5), b"hello");
            user.store(at + 2 * PAGE + 9, b"and back");
            assert_eq!(get(user, 0, 2 * PAGE + 9, 8), b"and back");
            // It dies with its handle and its mapping.
        }
        "read-on" => {
            let at = mmap(user, 0, RW, SHARED, 8, 0).unwrap();
            user.store(at, &[1]);
            loop {
                // From its TLB, for as long as that is allowed to know the page.
                user.load(at + 3 * PAGE, 1);
                user.call(NR_YIELD, &[]).unwrap();
            }
        }
        "read-own" => {
            // Its own page goes as well: it was the file's.
            let at = mmap(user, 0, RW, PRIVATE, 8, 0).unwrap();
            user.store(at + 3 * PAGE, &[3]);
            let shared = mmap(user, 0, RW, SHARED, 1, 0).unwrap();
            user.store(shared, &[1]);
            loop {
                user.load(at + 3 * PAGE, 1);
                user.call(NR_YIELD, &[]).unwrap();
            }
        }
        "fill" => {
            // More holes than there is room.
            let at = mmap(user, 0, RW, SHARED, 8192, 0).unwrap();
            for page in 0.. {
                user.store(at + page * PAGE, &[1]);
            }
        }
        "churn" => churn(user),
        _ => panic!("{deed}"),
    }
}

/// Makes, maps, writes, cuts, grows, copies and unmaps files without end. Whatever fails, fails.
fn churn(user: &mut User) {
    let names = ["/tmp/one", "/tmp/two"];
    for round in 0_u64.. {
        let name = names[(round % 2) as usize];
        let create = BOTH | OpenFlags::CREATE;
        let trunc = if round % 5 == 0 { OpenFlags::TRUNCATE } else { OpenFlags::empty() };
        let Ok(handle) = open(user, name, create | trunc) else { continue };
        let _grown = user.call(NR_SET_SIZE, &[handle, 300 * PAGE]);
        let shared = mmap(user, handle, RW, SHARED, 300, 0);
        let private = mmap(user, handle, RW, PRIVATE, 100, 0);
        if let (Ok(shared), Ok(private)) = (shared, private) {
            for page in [0, 1, 64, 130, 299] {
                // By the kernel: others cut the file meanwhile.
                let _stored = user.call(NR_RANDOM, &[shared + page * PAGE, 8]);
                let _own = user.call(NR_RANDOM, &[private + page % 100 * PAGE, 8]);
                let _read = user.call(NR_PREAD, &[handle, user.stack() - 2048, 64, page * PAGE]);
            }
            if round % 3 == 0 {
                let _child = user.fork(|user| {
                    user.call(NR_YIELD, &[]).unwrap();
                });
            }
            let _cut = user.call(NR_SET_SIZE, &[handle, (round * 37 % 200) * PAGE + 9]);
            let _written = user.call(NR_PWRITE, &[handle, user.stack() - 2048, 100, 70 * PAGE - 50]);
            let _discarded = user.call(NR_MEMORY_ADVISE, &[shared, 50 * PAGE, u64::from(ADVISE_DISCARD)]);
            let _gone = on(user, NR_UNLINK, name, &[0]);
        }
        close(user, &[handle]);
        if let Ok(private) = private {
            unmap(user, private + 10 * PAGE, 40);
            unmap(user, private, 100);
        }
        if let Ok(shared) = shared {
            unmap(user, shared, 300);
        }
        while user.call(NR_WAIT, &[WAIT_ANY, u64::from(WAIT_NO_HANG), 0]).is_ok_and(|pid| pid != 0) {}
    }
}

#[test]
fn a_shared_page_is_one_for_mappings_reads_and_writes() {
    fn init(user: &mut User) {
        leaves_nothing(user, |user| {
            let handle = file(user, "/tmp/f", 4 * PAGE);
            let at = mmap(user, handle, RW, SHARED, 4, 0).unwrap();
            // A hole is zero, and becomes a page when it is looked at.
            assert_eq!((user.load(at + 3 * PAGE, 4), held(user, "/tmp")[0]), (vec![0; 4], 1));
            user.store(at + PAGE + 7, b"hello");
            assert_eq!(get(user, handle, PAGE + 7, 5), b"hello");
            put(user, handle, PAGE + 9, b"LL");
            assert_eq!(user.load(at + PAGE + 7, 5), b"heLLo");
            put(user, handle, PAGE + 9, b"ll");
            let pid = spawn_with(user, "/bin/child", "answer", &[handle]).unwrap();
            assert_eq!(wait(user, pid), (0, 0));
            assert_eq!(user.load(at + 2 * PAGE + 9, 8), b"and back");
            // Another mapping, of a part; what was there before it was mapped is in it.
            let tail = mmap(user, handle, RW, SHARED, 2, 2).unwrap();
            assert_eq!(user.load(tail + 9, 8), b"and back");
            user.store(tail + PAGE, &[5]);
            assert_eq!(user.load(at + 3 * PAGE, 1), [5]);
            // It stays without name and handle, as long as a page of it is mapped.
            unlink(user, "/tmp/f");
            close(user, &[handle]);
            unmap(user, at, 4);
            assert_eq!((user.load(tail + 9, 8), held(user, "/tmp")), (b"and back".to_vec(), [3, 1]));
            unmap(user, tail, 1);
            assert_eq!(user.load(tail + PAGE, 1), [5]);
            unmap(user, tail + PAGE, 1);
        });
        power_off(user);
    }
    all_well(&[("init", init), ("child", deeds)], 4);
}

#[test]
fn a_private_page_is_the_files_until_it_is_written() {
    fn init(user: &mut User) {
        leaves_nothing(user, |user| {
            let handle = file(user, "/tmp/f", 3 * PAGE);
            put(user, handle, 5, b"first");
            let at = mmap(user, handle, RW, PRIVATE, 3, 0).unwrap();
            assert_eq!((user.load(at + 5, 5), user.load(at + PAGE, 4)), (b"first".to_vec(), vec![0; 4]));
            // Looking at a hole makes no page, and what is written to one's own page is one's own.
            assert_eq!(held(user, "/tmp")[0], 1);
            user.store(at + 5, b"OWNED");
            user.store(at + 2 * PAGE, b"OWNED");
            assert_eq!(
                (get(user, handle, 5, 5), get(user, handle, 2 * PAGE, 5)),
                (b"first".to_vec(), vec![0; 5])
            );
            // Read and written by the side of one who shares it.
            let shared = mmap(user, handle, RW, SHARED, 3, 0).unwrap();
            user.store(shared + 5, b"third");
            put(user, handle, PAGE, b"second");
            let late = mmap(user, handle, RW, PRIVATE, 3, 0).unwrap();
            assert_eq!(
                (user.load(late + 5, 5), user.load(late + PAGE, 6)),
                (b"third".to_vec(), b"second".to_vec())
            );
            user.store(shared + 5, b"later");
            user.store(late + PAGE, b"mine..");
            assert_eq!(
                (user.load(at + 5, 5), get(user, handle, PAGE, 6)),
                (b"OWNED".to_vec(), b"second".to_vec())
            );
            // A page is as it was when it was first looked at.
            assert_eq!(user.load(late + 5, 5), b"third");
            // What is discarded is the file's again.
            for place in [at, late] {
                user.call(NR_MEMORY_ADVISE, &[place, 3 * PAGE, u64::from(ADVISE_DISCARD)]).unwrap();
                assert_eq!(
                    (user.load(place + 5, 5), user.load(place + PAGE, 6)),
                    (b"later".to_vec(), b"second".to_vec())
                );
            }
            user.call(NR_MEMORY_ADVISE, &[shared, 3 * PAGE, u64::from(ADVISE_DISCARD)]).unwrap();
            assert_eq!(user.load(shared + 5, 5), b"later");
            for at in [at, shared, late] {
                unmap(user, at, 3);
            }
            // Nobody shares it any more: it is a page like any other, mapped without a copy.
            let free = figures(user).memory_free;
            let at = mmap(user, handle, READ, PRIVATE, 1, 0).unwrap();
            assert_eq!(user.load(at + 5, 5), b"later");
            assert!(free - figures(user).memory_free < 4 * PAGE, "no copy, but for tables");
            put(user, handle, 5, b"after");
            assert_eq!(
                (user.load(at + 5, 5), get(user, handle, 5, 5)),
                (b"later".to_vec(), b"after".to_vec())
            );
            unmap(user, at, 1);
            unlink(user, "/tmp/f");
            close(user, &[handle]);
        });
        power_off(user);
    }
    all_well(&[("init", init)], 3);
}

#[test]
fn beyond_the_end_is_no_page() {
    fn init(user: &mut User) {
        let handle = file(user, "/tmp/f", PAGE + 100);
        put(user, handle, PAGE + 98, b"xy");
        let image = open(user, "/bin/child", OpenFlags::READ).unwrap();
        let object = user.call(NR_MEMORY_CREATE, &[PAGE + 1, 0]).unwrap();
        for (handle, flags) in [
            (handle, SHARED),
            (handle, PRIVATE),
            (image, SHARED),
            (image, PRIVATE),
            (object, SHARED),
            (object, PRIVATE),
        ] {
            let last = if handle == image { get_size(user, image).div_ceil(PAGE) - 1 } else { 1 };
            let at = mmap(user, handle, READ, flags, last + 3, 0).unwrap();
            assert!(reachable(user, at + last * PAGE).1, "{flags:?}");
            assert!(!reachable(user, at + (last + 1) * PAGE).1, "{flags:?}");
            assert!(!reachable(user, at + (last + 2) * PAGE).1, "{flags:?}");
            unmap(user, at, last + 3);
        }
        // What is stored behind the end, in the last page, is not in the file when it grows.
        let at = mmap(user, handle, RW, SHARED, 4, 0).unwrap();
        user.store(at + PAGE + 98, b"XYZZ");
        assert_eq!(get(user, handle, PAGE + 98, 50), b"XY");
        set_size(user, handle, 3 * PAGE);
        assert_eq!(
            (get(user, handle, PAGE + 98, 4), user.load(at + PAGE + 98, 4)),
            (b"XY\0\0".to_vec(), b"XY\0\0".to_vec())
        );
        // And the mapping has the pages that are there now.
        assert_eq!(reachable(user, at + 2 * PAGE), (true, true));
        assert_eq!(reachable(user, at + 3 * PAGE), (false, false));
        power_off(user);
    }
    all_well(&[("init", init), ("child", deeds)], 2);
}

fn get_size(user: &mut User, handle: u64) -> u64 {
    user.call(NR_SEEK, &[handle, 0, 2]).unwrap()
}

#[test]
fn what_is_cut_is_gone_wherever_it_was_mapped() {
    fn init(user: &mut User) {
        leaves_nothing(user, |user| {
            for way in 0..3 {
                let handle = file(user, "/tmp/f", 8 * PAGE);
                let at = mmap(user, handle, RW, SHARED, 8, 0).unwrap();
                for page in 0..8 {
                    user.store(at + page * PAGE, &[0x77; 16]);
                }
                let pids = ["read-on", "read-own", "read-on"]
                    .map(|deed| spawn_with(user, "/bin/child", deed, &[handle]).unwrap());
                user.store(at, &[0]);
                while user.load(at, 1) == [0] {
                    user.call(NR_SLEEP, &[100_000]).unwrap();
                }
                user.call(NR_SLEEP, &[500_000]).unwrap();
                let kept = if way == 2 { 0 } else { 2 * PAGE + 8 };
                if way == 2 {
                    let other = open(user, "/tmp/f", BOTH | OpenFlags::TRUNCATE).unwrap();
                    close(user, &[other]);
                } else {
                    set_size(user, handle, kept);
                }
                // Everything beyond is given to others at once, and full of something else.
                let other = map(user, 64 * PAGE);
                for page in 0..64 {
                    user.store(other + page * PAGE, &[0x11; 16]);
                }
                for pid in pids {
                    assert_eq!(wait(user, pid), BUS);
                }
                // What is left is as it was up to the end, and then zero; what grows again is zero.
                set_size(user, handle, 8 * PAGE);
                let expected = if way == 2 { vec![0; 16] } else { [[0x77; 8], [0; 8]].concat() };
                assert_eq!(user.load(at + 2 * PAGE, 16), expected);
                for page in 3..8 {
                    assert_eq!(user.load(at + page * PAGE, 16), [0; 16]);
                    user.store(at + page * PAGE, &[3]);
                    assert_eq!(get(user, handle, page * PAGE, 1), [3]);
                }
                unmap(user, other, 64);
                unmap(user, at, 8);
                unlink(user, "/tmp/f");
                close(user, &[handle]);
            }
        });
        power_off(user);
    }
    all_well(&[("init", init), ("child", deeds)], 3);
}

#[test]
fn only_what_the_handle_allows_can_be_mapped() {
    fn init(user: &mut User) {
        let handle = file(user, "/tmp/f", PAGE);
        let reader = open(user, "/tmp/f", OpenFlags::READ).unwrap();
        assert_eq!(mmap(user, reader, RW, SHARED, 1, 0), Err(Errno::ACCES));
        let at = mmap(user, reader, READ, SHARED, 1, 0).unwrap();
        assert_eq!(user.call(NR_MPROTECT, &[at, PAGE, RW]), Err(Errno::ACCES));
        let mine = mmap(user, reader, RW, PRIVATE, 1, 0).unwrap();
        user.store(mine, b"mine");
        // Who can't write sees who can, and its looking changes no time.
        put(user, handle, 0, b"theirs");
        assert_eq!((user.load(at, 6), user.load(mine, 4)), (b"theirs".to_vec(), b"mine".to_vec()));
        let writer = mmap(user, handle, READ, SHARED, 1, 0).unwrap();
        user.call(NR_MPROTECT, &[writer, PAGE, RW]).unwrap();
        user.store(writer, b"THEIRS");
        assert_eq!(user.load(at, 6), b"THEIRS");
        // Nothing here is ever code.
        for protection in [RX, 7] {
            assert_eq!(mmap(user, handle, protection, SHARED, 1, 0), Err(Errno::ACCES));
            assert_eq!(mmap(user, handle, protection, PRIVATE, 1, 0), Err(Errno::ACCES));
            for at in [at, mine, writer] {
                assert_eq!(user.call(NR_MPROTECT, &[at, PAGE, protection]), Err(Errno::ACCES));
            }
        }
        let unmappable =
            user.call(NR_HANDLE_DUPLICATE, &[handle, u64::from((Rights::READ | Rights::WRITE).bits())]);
        assert_eq!(mmap(user, unmappable.unwrap(), READ, SHARED, 1, 0), Err(Errno::ACCES));
        // A file of the image is shared as it is private, but for writing.
        let program = open(user, "/bin/child", OpenFlags::READ | OpenFlags::EXECUTE).unwrap();
        assert_eq!(mmap(user, program, RW, SHARED, 1, 0), Err(Errno::ACCES));
        let shared = mmap(user, program, READ, SHARED, 1, 0).unwrap();
        let private = mmap(user, program, RW, PRIVATE, 1, 0).unwrap();
        assert_eq!(user.load(shared, 64), user.load(private, 64));
        assert_eq!(user.call(NR_MPROTECT, &[shared, PAGE, RW]), Err(Errno::ACCES));
        user.call(NR_MPROTECT, &[shared, PAGE, RX]).unwrap();
        // What has no pages is not mapped.
        for path in ["/tmp", "/bin", "/dev/zero", "/sys/memory"] {
            let handle = open(user, path, OpenFlags::READ).unwrap();
            assert_eq!(mmap(user, handle, READ, SHARED, 1, 0), Err(Errno::NODEV), "{path}");
            assert_eq!(mmap(user, handle, READ, PRIVATE, 1, 0), Err(Errno::NODEV), "{path}");
        }
        power_off(user);
    }
    all_well(&[("init", init), ("child", deeds)], 1);
}

/// Where parent and child of a fork find what they must both know.
const SCRATCH: u64 = 0x10_0000;

fn map_at(user: &mut User, at: u64, handle: u64, flags: MapFlags, pages: u64) {
    let flags = u64::from((flags | MapFlags::FIXED).bits());
    user.call(NR_MMAP, &[at, pages * PAGE, RW, flags, handle, 0]).unwrap();
}

#[test]
fn a_copy_of_the_process_shares_what_is_shared_and_owns_what_is_private() {
    fn init(user: &mut User) {
        leaves_nothing(user, |user| {
            let handle = file(user, "/tmp/f", 4 * PAGE);
            put(user, handle, 0, b"file");
            map_at(user, SCRATCH, handle, SHARED, 4);
            map_at(user, 2 * SCRATCH, handle, PRIVATE, 4);
            user.store(SCRATCH + PAGE, &[1]);
            user.store(2 * SCRATCH, b"both");
            let pid = user.fork(copy).unwrap();
            user.store(2 * SCRATCH, b"mine");
            unlink(user, "/tmp/f");
            close(user, &[handle]);
            while user.load(SCRATCH + 3 * PAGE, 1) == [0] {
                user.call(NR_YIELD, &[]).unwrap();
            }
            assert_eq!(
                (user.load(SCRATCH + 2 * PAGE, 1), user.load(2 * SCRATCH, 4)),
                (vec![2], b"mine".to_vec())
            );
            // The child's mapping keeps the file.
            unmap(user, SCRATCH, 4);
            unmap(user, 2 * SCRATCH, 4);
            assert_eq!(wait(user, pid), (0, 0));
        });
        power_off(user);
    }
    fn copy(user: &mut User) {
        assert_eq!((user.load(SCRATCH + PAGE, 1), user.load(2 * SCRATCH, 4)), (vec![1], b"both".to_vec()));
        user.store(2 * SCRATCH, b"child");
        user.store(SCRATCH + 2 * PAGE, &[2]);
        user.store(SCRATCH + 3 * PAGE, &[1]);
        for _ in 0..20 {
            user.call(NR_YIELD, &[]).unwrap();
        }
        assert_eq!((user.load(SCRATCH + 2 * PAGE, 1), user.load(SCRATCH, 4)), (vec![2], b"file".to_vec()));
    }
    all_well(&[("init", init)], 4);
}

#[test]
fn what_is_cut_while_a_process_is_copied_is_not_in_the_copy() {
    fn init(user: &mut User) {
        if user.argument() != user.stack() {
            let handle = user.load_u64(SCRATCH);
            while user.load(SCRATCH + 16, 1) == [0] {
                user.call(NR_YIELD, &[]).unwrap();
            }
            set_size(user, handle, PAGE);
            user.store(SCRATCH + 8, &[1]);
            return;
        }
        map_at(user, SCRATCH, NONE, PRIVATE | MapFlags::ANONYMOUS, 3000);
        for page in 0..3000 {
            user.store(SCRATCH + page * PAGE + 64, &[1]);
        }
        let handle = file(user, "/tmp/f", 8 * PAGE);
        // Below the rest: copied first.
        map_at(user, SCRATCH / 2, handle, SHARED, 8);
        map_at(user, SCRATCH / 4, handle, PRIVATE, 8);
        for page in 0..8 {
            user.store(SCRATCH / 2 + page * PAGE, &[7]);
            user.store(SCRATCH / 4 + page * PAGE, &[8]);
        }
        user.store(SCRATCH, &handle.to_le_bytes());
        thread(user, 1);
        user.store(SCRATCH + 16, &[1]);
        let pid = user.fork(copy).unwrap();
        while user.load(SCRATCH + 8, 1) == [0] {
            user.call(NR_YIELD, &[]).unwrap();
        }
        assert_eq!(wait(user, pid), BUS);
        power_off(user);
    }
    fn copy(user: &mut User) {
        // Until the other one's cut is done. Pages of one's own go as those that are shared.
        while reachable(user, SCRATCH / 2 + 3 * PAGE).0 {
            assert_eq!((user.load(SCRATCH / 2, 1), user.load(SCRATCH / 4, 1)), (vec![7], vec![8]));
            user.call(NR_YIELD, &[]).unwrap();
        }
        for _ in 0..50 {
            user.call(NR_YIELD, &[]).unwrap();
        }
        user.load(SCRATCH / 4 + 3 * PAGE, 1);
    }
    all_well(&[("init", init)], 6);
}

#[test]
fn a_hole_without_room_for_a_page_ends_who_stores_there() {
    fn init(user: &mut User) {
        leaves_nothing(user, |user| {
            // A principal's part of `/tmp` is three quarters of half the memory.
            let handle = file(user, "/tmp/f", 8192 * PAGE);
            let pid = spawn_with(user, "/bin/child", "fill", &[handle]).unwrap();
            assert_eq!(wait(user, pid), BUS);
            let pages = held(user, "/tmp")[0];
            assert!((3000..3100).contains(&pages), "{pages}");
            // The kernel says so, and so does `write`; what has a page is as good as ever.
            let at = mmap(user, handle, RW, SHARED, 8192, 0).unwrap();
            assert_eq!(reachable(user, at + 8000 * PAGE), (false, false));
            assert_eq!(user.call(NR_PWRITE, &[handle, at, 1, 8000 * PAGE]), Err(Errno::NOSPC));
            assert_eq!(reachable(user, at + 100 * PAGE), (true, true));
            // With room there is a page.
            set_size(user, handle, 8192 * PAGE);
            set_size(user, handle, 100 * PAGE);
            set_size(user, handle, 8192 * PAGE);
            assert_eq!(reachable(user, at + 8000 * PAGE), (true, true));
            unmap(user, at, 8192);
            unlink(user, "/tmp/f");
            close(user, &[handle]);
        });
        power_off(user);
    }
    all_well(&[("init", init), ("child", deeds)], 1);
}

#[test]
fn whoever_is_killed_while_files_are_mapped_leaves_nothing() {
    fn init(user: &mut User) {
        let mut moment = 100_000;
        leaves_nothing(user, |user| {
            let pids: Vec<u64> =
                (0..3).map(|_| spawn_with(user, "/bin/child", "churn", &[]).unwrap()).collect();
            for pid in pids {
                moment = moment * 5 / 3 % 1_700_000;
                user.call(NR_SLEEP, &[moment]).unwrap();
                user.call(NR_KILL, &[pid, 9]).unwrap();
                assert_eq!(wait(user, pid), (1, 9));
            }
            // Orphans as well.
            while user.call(NR_WAIT, &[WAIT_ANY, 0, 0]).is_ok() {}
            for name in ["/tmp/one", "/tmp/two"] {
                let _gone = on(user, NR_UNLINK, name, &[0]);
            }
        });
        power_off(user);
    }
    all_well(&[("init", init), ("child", deeds)], 5);
}

#[test]
fn short_memory_refuses_or_ends_and_loses_nothing() {
    fn init(user: &mut User) {
        let before = left(user);
        let pids: Vec<u64> =
            (0..2).filter_map(|_| spawn_with(user, "/bin/child", "churn", &[]).ok()).collect();
        for _ in 0..20 {
            user.call(NR_SLEEP, &[300_000]).unwrap();
        }
        for pid in pids {
            let _ended = user.call(NR_KILL, &[pid, 9]);
        }
        while user.call(NR_WAIT, &[WAIT_ANY, 0, 0]).is_ok() {}
        for name in ["/tmp/one", "/tmp/two"] {
            let _gone = on(user, NR_UNLINK, name, &[0]);
        }
        let after = left(user);
        assert_eq!((after.0.1, after.1), (before.0.1, before.1));
        power_off(user);
    }
    let mut ended = 0;
    for seed in 1..25 {
        let faults = Faults { frames: 40, ..Faults::default() };
        let text = simulate(2, seed, &[("init", init), ("child", deeds)], faults);
        ended += usize::from(text.contains("all is well"));
    }
    assert!(ended > 0, "no seed got through");
}
