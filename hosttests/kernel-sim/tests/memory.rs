//! Memory objects, reservations, discarded pages: what is shared, also with copies of a process, what is gone, what is left.

#![allow(
    clippy::allow_attributes,
    clippy::cast_possible_truncation,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_imports,
    reason = "programs of a test: what can't be ends it"
)]

mod common;

use common::{all_well, figures, left, map, power_off, spawn_with, thread, wait};
use swos_abi::*;
use swos_kernel_sim::User;

const PAGE: u64 = 4096;
const NONE: u64 = u64::MAX;
const RW: u64 = 3;
const BUS: (u32, i32) = (1, 7);
const SEGV: (u32, i32) = (1, 11);

fn create(user: &mut User, pages: u64) -> u64 {
    user.call(NR_MEMORY_CREATE, &[pages * PAGE, 0]).unwrap()
}

fn map_shared(user: &mut User, handle: u64, protection: u64, pages: u64, first: u64) -> Result<u64, Errno> {
    let flags = u64::from(MapFlags::SHARED.bits());
    user.call(NR_MMAP, &[0, pages * PAGE, protection, flags, handle, first * PAGE])
}

fn unmap(user: &mut User, at: u64, pages: u64) {
    user.call(NR_MUNMAP, &[at, pages * PAGE]).unwrap();
}

fn close(user: &mut User, handle: u64) {
    user.call(NR_CLOSE, &[handle]).unwrap();
}

/// Does it until nothing changes but by it, and then counts what is left of a few more times.
fn leaves_nothing(user: &mut User, mut round: impl FnMut(&mut User)) {
    round(user);
    let before = left(user);
    for _ in 0..3 {
        round(user);
    }
    assert_eq!(left(user), before);
}

/// A child of `deeds` that has this handle as its first.
fn child(user: &mut User, deed: &str, handle: u64) -> u64 {
    spawn_with(user, "/bin/child", deed, &[handle]).unwrap()
}

fn deeds(user: &mut User) {
    let deed = user.args()[1].clone();
    match deed.as_str() {
        "write" => {
            let at = map_shared(user, 0, RW, 8, 0).unwrap();
            user.store(at + 5 * PAGE + 10, b"from the child");
            // It dies with its handle, its mapping and a half that is unmapped.
            unmap(user, at, 2);
        }
        "read-on" => {
            let at = map_shared(user, 0, RW, 8, 0).unwrap();
            user.store(at, &[1]);
            loop {
                // From its TLB, for as long as that is allowed to know the page.
                user.load(at + 3 * PAGE, 1);
                user.call(NR_YIELD, &[]).unwrap();
            }
        }
        "churn" => churn(user),
        "limited" => {
            assert_eq!(user.call(NR_MEMORY_CREATE, &[4097 * PAGE, 0]), Err(Errno::NOMEM));
            let handle = create(user, 4096);
            assert_eq!(user.call(NR_MEMORY_CREATE, &[1, 0]), Err(Errno::NOMEM));
            user.call(NR_MEMORY_RESIZE, &[handle, PAGE]).unwrap();
            let other = create(user, 4095);
            assert_eq!(user.call(NR_MEMORY_RESIZE, &[handle, 2 * PAGE]), Err(Errno::NOMEM));
            close(user, other);
            user.call(NR_MEMORY_RESIZE, &[handle, 4096 * PAGE]).unwrap();
        }
        "touch" => drop(user.load(1 << 32, 1)),
        _ => panic!("{deed}"),
    }
}

/// Maps, writes, cuts, grows, unmaps and discards without end.
fn churn(user: &mut User) {
    let flags = u64::from((MapFlags::SHARED | MapFlags::ANONYMOUS).bits());
    loop {
        let Ok(handle) = user.call(NR_MEMORY_CREATE, &[600 * PAGE, 0]) else { continue };
        let first = map_shared(user, handle, RW, 600, 0);
        let second = map_shared(user, handle, RW, 100, 300);
        if let (Ok(first), Ok(second)) = (first, second) {
            for page in [0, 1, 150, 299, 300, 330, 599] {
                user.store(first + page * PAGE, &[page as u8]);
            }
            assert_eq!(user.load(second + 30 * PAGE, 1), [330_u64 as u8]);
            let _cut = user.call(NR_MEMORY_RESIZE, &[handle, 200 * PAGE]);
            let _grown = user.call(NR_MEMORY_RESIZE, &[handle, 400 * PAGE]);
            user.store(second, &[9]);
            close(user, handle);
            let _discarded = user.call(NR_MEMORY_ADVISE, &[first, 150 * PAGE, u64::from(ADVISE_DISCARD)]);
            unmap(user, first + 100 * PAGE, 400);
            unmap(user, first, 600);
            unmap(user, second, 100);
        }
        if let Ok(unnamed) = user.call(NR_MMAP, &[0, 300 * PAGE, RW, flags, NONE, 0]) {
            for page in 0..20 {
                user.store(unnamed + page * 13 * PAGE, &[1]);
            }
            unmap(user, unnamed, 300);
        }
    }
}

#[test]
fn what_one_process_writes_another_one_reads() {
    fn init(user: &mut User) {
        leaves_nothing(user, |user| {
            let handle = create(user, 8);
            let at = map_shared(user, handle, 1, 8, 0).unwrap();
            assert_eq!(user.load(at + 5 * PAGE, 4), [0; 4]);
            let pid = child(user, "write", handle);
            assert_eq!(wait(user, pid), (0, 0));
            assert_eq!(user.load(at + 5 * PAGE + 10, 14), b"from the child");
            // Also where it is mapped only now, at another offset, and without a handle.
            let tail = map_shared(user, handle, RW, 4, 4).unwrap();
            close(user, handle);
            unmap(user, at, 8);
            assert_eq!(user.load(tail + PAGE + 10, 14), b"from the child");
            unmap(user, tail, 4);
        });
        power_off(user);
    }
    all_well(&[("init", init), ("child", deeds)], 4);
}

#[test]
fn an_object_lives_as_long_as_a_handle_or_a_page_of_a_mapping() {
    fn init(user: &mut User) {
        leaves_nothing(user, |user| {
            let handle = create(user, 64);
            let at = map_shared(user, handle, RW, 64, 0).unwrap();
            for page in 0..64 {
                user.store(at + page * PAGE, &[page as u8]);
            }
            // Split it in all ways; the object counts pages.
            for page in (1..64).step_by(2) {
                unmap(user, at + page * PAGE, 1);
            }
            close(user, handle);
            for page in (0..62).step_by(2) {
                unmap(user, at + page * PAGE, 1);
            }
            assert_eq!(user.load(at + 62 * PAGE, 1), [62]);
            unmap(user, at, 64);
            // A mapping in place of one of the same object, and of its last.
            let handle = create(user, 4);
            let at = map_shared(user, handle, RW, 4, 0).unwrap();
            user.store(at + PAGE, &[7]);
            let fixed = u64::from((MapFlags::SHARED | MapFlags::FIXED).bits());
            user.call(NR_MMAP, &[at, 3 * PAGE, RW, fixed, handle, PAGE]).unwrap();
            assert_eq!(user.load(at, 1), [7]);
            close(user, handle);
            let anonymous = u64::from((MapFlags::PRIVATE | MapFlags::ANONYMOUS | MapFlags::FIXED).bits());
            user.call(NR_MMAP, &[at, 4 * PAGE, RW, anonymous, NONE, 0]).unwrap();
            assert_eq!(user.load(at, 1), [0]);
            unmap(user, at, 4);
        });
        power_off(user);
    }
    all_well(&[("init", init)], 3);
}

#[test]
fn a_cut_page_is_gone_wherever_it_was_mapped() {
    fn init(user: &mut User) {
        leaves_nothing(user, |user| {
            let handle = create(user, 8);
            let at = map_shared(user, handle, RW, 8, 0).unwrap();
            for page in 0..8 {
                user.store(at + page * PAGE, &[0x77; 16]);
            }
            let pids = [child(user, "read-on", handle), child(user, "read-on", handle)];
            user.store(at, &[0]);
            while user.load(at, 1) == [0] {
                user.call(NR_SLEEP, &[100_000]).unwrap();
            }
            user.call(NR_SLEEP, &[500_000]).unwrap();
            user.call(NR_MEMORY_RESIZE, &[handle, 2 * PAGE + 8]).unwrap();
            // Everything beyond is given to others at once, and full of something else.
            let other = map(user, 64 * PAGE);
            for page in 0..64 {
                user.store(other + page * PAGE, &[0x11; 16]);
            }
            for pid in pids {
                assert_eq!(wait(user, pid), BUS);
            }
            // What is left is as it was up to the end, and then zero; what grows again is zero.
            user.call(NR_MEMORY_RESIZE, &[handle, 8 * PAGE]).unwrap();
            assert_eq!(user.load(at + 2 * PAGE, 16), [[0x77; 8], [0; 8]].as_flattened());
            for page in 3..8 {
                assert_eq!(user.load(at + page * PAGE, 16), [0; 16]);
            }
            unmap(user, other, 64);
            unmap(user, at, 8);
            close(user, handle);
        });
        power_off(user);
    }
    all_well(&[("init", init), ("child", deeds)], 4);
}

#[test]
fn two_may_resize_at_once() {
    fn init(user: &mut User) {
        if user.argument() != user.stack() {
            let block = user.argument();
            let handle = user.load_u64(block);
            for round in 0..20 {
                user.call(NR_MEMORY_RESIZE, &[handle, (round * 37 % 600 + 1) * PAGE]).unwrap();
            }
            user.store(block + 8, &[1]);
            return;
        }
        let handle = create(user, 600);
        let at = map_shared(user, handle, RW, 600, 0).unwrap();
        let block = map(user, PAGE);
        user.store(block, &handle.to_le_bytes());
        thread(user, block);
        for round in 0..20 {
            user.call(NR_MEMORY_RESIZE, &[handle, 600 * PAGE]).unwrap();
            // What is there now may be gone now: written by the kernel, which says so.
            for page in [0, 200, 599] {
                let written = user.call(NR_RANDOM, &[at + page * PAGE, 8]);
                assert!(matches!(written, Ok(8) | Err(Errno::FAULT)), "{written:?}");
            }
            user.call(NR_MEMORY_RESIZE, &[handle, (round * 13 % 300) * PAGE]).unwrap();
        }
        while user.load(block + 8, 1) == [0] {
            user.call(NR_YIELD, &[]).unwrap();
        }
        user.call(NR_MEMORY_RESIZE, &[handle, 0]).unwrap();
        assert_eq!(user.call(NR_RANDOM, &[at, 8]), Err(Errno::FAULT));
        power_off(user);
    }
    all_well(&[("init", init)], 6);
}

#[test]
fn a_handle_without_a_right_can_not_do_what_needs_it() {
    fn init(user: &mut User) {
        let handle = create(user, 2);
        let only = |user: &mut User, rights: Rights| {
            user.call(NR_HANDLE_DUPLICATE, &[handle, u64::from(rights.bits())]).unwrap()
        };
        let reader = only(user, Rights::READ | Rights::MAP);
        assert_eq!(map_shared(user, reader, RW, 2, 0), Err(Errno::ACCES));
        let at = map_shared(user, reader, 1, 2, 0).unwrap();
        assert_eq!(user.call(NR_MPROTECT, &[at, PAGE, RW]), Err(Errno::ACCES));
        assert_eq!(user.call(NR_MPROTECT, &[at, PAGE, 5]), Err(Errno::ACCES));
        assert_eq!(user.call(NR_MEMORY_RESIZE, &[reader, 1]), Err(Errno::ACCES));
        assert_eq!(user.call(NR_PWRITE, &[reader, at, 1, 0]), Err(Errno::ACCES));
        let unmappable = only(user, Rights::READ | Rights::WRITE);
        assert_eq!(map_shared(user, unmappable, 1, 2, 0), Err(Errno::ACCES));
        let blind = only(user, Rights::MAP);
        assert_eq!(map_shared(user, blind, 1, 2, 0), Err(Errno::ACCES));
        // A private mapping of what may only be read can be written, and the object stays.
        let private = u64::from(MapFlags::PRIVATE.bits());
        let copy = user.call(NR_MMAP, &[0, 2 * PAGE, RW, private, reader, 0]).unwrap();
        user.store(copy, b"mine");
        assert_eq!(user.load(at, 4), [0; 4]);
        // Executable only if the object was made so, and never together with writable.
        let code = user.call(NR_MEMORY_CREATE, &[PAGE, u64::from(MEMORY_EXECUTE)]).unwrap();
        assert_eq!(map_shared(user, code, 7, 1, 0), Err(Errno::ACCES));
        let at = map_shared(user, code, RW, 1, 0).unwrap();
        assert_eq!(user.call(NR_MPROTECT, &[at, PAGE, 7]), Err(Errno::ACCES));
        user.call(NR_MPROTECT, &[at, PAGE, 5]).unwrap();
        power_off(user);
    }
    all_well(&[("init", init)], 1);
}

#[test]
fn bytes_pass_between_calls_and_mappings() {
    fn init(user: &mut User) {
        let handle = create(user, 3);
        user.call(NR_MEMORY_RESIZE, &[handle, 2 * PAGE + 100]).unwrap();
        let buffer = map(user, 3 * PAGE);
        let bytes: Vec<u8> = (0..8_300_u32).map(|at| (at % 251) as u8).collect();
        user.store(buffer, &bytes[..7_000]);
        assert_eq!(user.call(NR_PREAD, &[handle, buffer, 5, 4_090]), Ok(5));
        assert_eq!(user.load(buffer, 7), [0, 0, 0, 0, 0, 5, 6]);
        user.store(buffer, &bytes);
        assert_eq!(user.call(NR_PWRITE, &[handle, buffer, 9_000, 10]), Ok(8_282));
        assert_eq!(user.call(NR_PWRITE, &[handle, buffer, 1, 8_292]), Err(Errno::FBIG));
        assert_eq!(user.call(NR_PREAD, &[handle, buffer, 1, 8_292]), Ok(0));
        let at = map_shared(user, handle, RW, 3, 0).unwrap();
        assert_eq!(user.load(at + 10, 8_182), bytes[..8_182]);
        user.store(at + PAGE, b"mapped");
        assert_eq!(user.call(NR_PREAD, &[handle, buffer, 6, PAGE]), Ok(6));
        assert_eq!(user.load(buffer, 6), b"mapped");
        assert_eq!(user.call(NR_READ, &[handle, buffer, 1]), Err(Errno::NOTTY));
        assert_eq!(user.call(NR_PREAD, &[handle, 16, 1, 0]), Err(Errno::FAULT));
        power_off(user);
    }
    all_well(&[("init", init)], 2);
}

#[test]
fn a_reservation_is_committed_and_discarded_by_the_page() {
    fn init(user: &mut User) {
        let reserve = u64::from((MapFlags::PRIVATE | MapFlags::ANONYMOUS | MapFlags::FIXED_NOREPLACE).bits());
        let at = 1 << 32;
        leaves_nothing(user, |user| {
            user.call(NR_MMAP, &[at, 1 << 30, 0, reserve, NONE, 0]).unwrap();
            assert_eq!(user.call(NR_MMAP, &[at + PAGE, PAGE, RW, reserve, NONE, 0]), Err(Errno::EXIST));
            assert_eq!(user.call(NR_RANDOM, &[at, 1]), Err(Errno::FAULT));
            user.call(NR_MPROTECT, &[at + PAGE, 300 * PAGE, RW]).unwrap();
            let before = figures(user).memory_free;
            for page in 1..301 {
                user.store(at + page * PAGE, &[7]);
            }
            let full = figures(user).memory_free;
            assert!(before - full >= 300 * PAGE);
            let discard = |user: &mut User, at: u64, pages: u64| {
                user.call(NR_MEMORY_ADVISE, &[at, pages * PAGE, u64::from(ADVISE_DISCARD)])
            };
            assert_eq!(discard(user, at + 2 * PAGE, 298), Ok(0));
            assert_eq!(figures(user).memory_free, full + 298 * PAGE);
            assert_eq!(user.load(at + PAGE, 1), [7]);
            assert_eq!(user.load(at + 2 * PAGE, 1), [0]);
            assert_eq!(user.load(at + 300 * PAGE, 1), [7]);
            assert_eq!(discard(user, at - PAGE, 2), Err(Errno::NOMEM));
            assert_eq!(user.call(NR_MEMORY_ADVISE, &[at, PAGE, 99]), Err(Errno::INVAL));
            unmap(user, at, 1 << 18);
        });
        // Nobody can touch what is only reserved.
        let pid = child(user, "touch", 0);
        assert_eq!(wait(user, pid), SEGV);
        power_off(user);
    }
    all_well(&[("init", init), ("child", deeds)], 2);
}

#[test]
fn objects_count_against_the_limit_of_their_maker() {
    fn init(user: &mut User) {
        let pid = common::spawn_small(user, "/bin/child", "limited", 4096 * PAGE).unwrap();
        assert_eq!(wait(user, pid), (0, 0));
        assert_eq!(user.call(NR_MEMORY_CREATE, &[u64::MAX, 0]), Err(Errno::FBIG));
        assert_eq!(user.call(NR_MEMORY_CREATE, &[1, 2]), Err(Errno::INVAL));
        power_off(user);
    }
    all_well(&[("init", init), ("child", deeds)], 1);
}

#[test]
fn whoever_is_killed_while_it_shares_leaves_nothing() {
    fn init(user: &mut User) {
        let mut moment = 100_000;
        leaves_nothing(user, |user| {
            let handle = create(user, 4);
            let pids: Vec<u64> = (0..3).map(|_| child(user, "churn", handle)).collect();
            close(user, handle);
            for pid in pids {
                moment = moment * 5 / 3 % 1_700_000;
                user.call(NR_SLEEP, &[moment]).unwrap();
                user.call(NR_KILL, &[pid, 9]).unwrap();
                assert_eq!(wait(user, pid), (1, 9));
            }
        });
        power_off(user);
    }
    all_well(&[("init", init), ("child", deeds)], 4);
}

#[test]
fn unmapping_and_mapping_over_it_at_once_leaves_no_old_page() {
    fn init(user: &mut User) {
        let anonymous = MapFlags::PRIVATE | MapFlags::ANONYMOUS;
        if user.argument() != user.stack() {
            let at = user.argument();
            let fixed = u64::from((anonymous | MapFlags::FIXED).bits());
            if user.call(NR_MMAP, &[at, 50 * PAGE, RW, fixed, NONE, 0]).is_ok() {
                let _written = user.call(NR_RANDOM, &[at, 8]);
            }
            user.call(NR_THREAD_EXIT, &[at - PAGE]).unwrap();
        }
        for _ in 0..10 {
            let at = map(user, 601 * PAGE) + PAGE;
            user.store(at - PAGE, &[1]);
            for page in 0..600 {
                user.store(at + page * PAGE, &[1]);
            }
            thread(user, at);
            user.call(NR_MUNMAP, &[at, 600 * PAGE]).unwrap();
            while user.load(at - PAGE, 1) == [1] {
                user.call(NR_YIELD, &[]).unwrap();
            }
            // Whichever came last: where nothing is mapped, nothing is left.
            let vacant = u64::from((anonymous | MapFlags::FIXED_NOREPLACE).bits());
            if user.call(NR_MMAP, &[at, 600 * PAGE, RW, vacant, NONE, 0]).is_ok() {
                assert_eq!(user.load(at, 8), [0; 8]);
            }
            unmap(user, at - PAGE, 601);
        }
        power_off(user);
    }
    all_well(&[("init", init)], 4);
}

/// Where parent and child of a fork find what they must both know.
const SCRATCH: u64 = 0x10_0000;

#[test]
fn a_copy_of_the_process_shares_what_is_shared() {
    fn init(user: &mut User) {
        leaves_nothing(user, |user| {
            let shared = u64::from((MapFlags::SHARED | MapFlags::ANONYMOUS | MapFlags::FIXED).bits());
            user.call(NR_MMAP, &[SCRATCH, 40 * PAGE, RW, shared, NONE, 0]).unwrap();
            user.store(SCRATCH, &[1]);
            let pid = user.fork(copy).unwrap();
            // The parent's mapping goes first: the child's keeps the object.
            while user.load(SCRATCH + 30 * PAGE, 1) == [0] {
                user.call(NR_YIELD, &[]).unwrap();
            }
            let other = user.load(SCRATCH + 20 * PAGE, 1);
            unmap(user, SCRATCH, 40);
            assert_eq!((other, wait(user, pid)), (vec![2], (0, 0)));
        });
        power_off(user);
    }
    fn copy(user: &mut User) {
        assert_eq!(user.load(SCRATCH, 1), [1]);
        user.store(SCRATCH + 20 * PAGE, &[2]);
        user.store(SCRATCH + 30 * PAGE, &[1]);
        for _ in 0..20 {
            user.call(NR_YIELD, &[]).unwrap();
        }
        assert_eq!(user.load(SCRATCH + 20 * PAGE, 1), [2]);
    }
    all_well(&[("init", init)], 4);
}

#[test]
fn what_is_cut_while_a_process_is_copied_is_not_in_the_copy() {
    fn init(user: &mut User) {
        if user.argument() != user.stack() {
            let handle = user.load_u64(SCRATCH);
            user.call(NR_MEMORY_RESIZE, &[handle, PAGE]).unwrap();
            user.store(SCRATCH + 8, &[1]);
            return;
        }
        let private = u64::from((MapFlags::PRIVATE | MapFlags::ANONYMOUS | MapFlags::FIXED).bits());
        user.call(NR_MMAP, &[SCRATCH, 700 * PAGE, RW, private, NONE, 0]).unwrap();
        for page in 0..700 {
            user.store(SCRATCH + page * PAGE + 64, &[1]);
        }
        let handle = create(user, 8);
        let shared = u64::from((MapFlags::SHARED | MapFlags::FIXED).bits());
        user.call(NR_MMAP, &[2 * SCRATCH, 8 * PAGE, RW, shared, handle, 0]).unwrap();
        for page in 0..8 {
            user.store(2 * SCRATCH + page * PAGE, &[7]);
        }
        user.store(SCRATCH, &handle.to_le_bytes());
        thread(user, 1);
        let pid = user.fork(copy).unwrap();
        while user.load(SCRATCH + 8, 1) == [0] {
            user.call(NR_YIELD, &[]).unwrap();
        }
        assert_eq!(wait(user, pid), BUS);
        power_off(user);
    }
    fn copy(user: &mut User) {
        // Until the other one's cut is done.
        loop {
            assert_eq!(user.load(2 * SCRATCH, 1), [7]);
            user.load(2 * SCRATCH + 3 * PAGE, 1);
            user.call(NR_YIELD, &[]).unwrap();
        }
    }
    all_well(&[("init", init)], 6);
}
