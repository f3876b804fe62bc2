//! Handles lent and taken back: at once, everywhere, with everything that was made from them, and nobody waits for ever.

#![allow(
    clippy::allow_attributes,
    clippy::cast_possible_truncation,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_imports,
    reason = "programs of a test: what can't be ends it"
)]

mod common;

use common::*;
use swos_abi::*;
use swos_kernel_sim::{ImageFile, Program, User};
use zerocopy::IntoBytes as _;

fn all_well(programs: &[(&'static str, Program)], seeds: u64) {
    let files = [ImageFile { path: "www/sub/page".into(), bytes: b"a page".to_vec() }];
    all_well_with(programs, seeds, &files);
}

fn lend(user: &mut User, handle: u64) -> Result<u64, Errno> {
    user.call(NR_HANDLE_LEND, &[handle, u64::from(u32::MAX)])
}

fn revoke(user: &mut User, handle: u64) -> Result<u64, Errno> {
    user.call(NR_HANDLE_REVOKE, &[handle])
}

fn loan(target: u32, source: u64) -> SpawnHandle {
    SpawnHandle { source: Handle(source), target, rights: u32::MAX, flags: SPAWN_LEND, reserved: 0 }
}

fn gift(target: u32, source: u64) -> SpawnHandle {
    SpawnHandle { flags: 0, ..loan(target, source) }
}

fn directory(user: &mut User, path: &str) -> u64 {
    open_at(user, Handle::CWD, path, OpenFlags::READ | OpenFlags::DIRECTORY).unwrap()
}

#[test]
fn a_loan_ends_with_all_that_was_made_from_it_and_the_source_stays() {
    fn init(user: &mut User) {
        let source = directory(user, "/www");
        let first = lend(user, source).unwrap();
        let copy = user.call(NR_HANDLE_DUPLICATE, &[first, u64::from(u32::MAX)]).unwrap();
        let second = lend(user, copy).unwrap();
        let opened = open_at(user, Handle(second), "sub/page", OpenFlags::READ).unwrap();
        let again = user.call(NR_HANDLE_DUPLICATE, &[opened, u64::from(u32::MAX)]).unwrap();
        let own = open_at(user, Handle(source), "sub/page", OpenFlags::READ).unwrap();
        let at = user.stack() - 2048;
        let read = |user: &mut User, handle| user.call(NR_PREAD, &[handle, at, 6, 0]);
        assert_eq!(read(user, again), Ok(6));
        // A middle one ends what is below it only.
        assert_eq!(revoke(user, copy), Ok(0));
        for handle in [second, opened, again] {
            assert_eq!(user.call(NR_HANDLE_RIGHTS, &[handle]), Err(Errno::ACCES));
        }
        assert_eq!(read(user, again), Err(Errno::ACCES));
        assert_eq!(open_at(user, Handle(second), "sub/page", OpenFlags::READ), Err(Errno::ACCES));
        let third = open_at(user, Handle(copy), "sub/page", OpenFlags::READ).unwrap();
        assert_eq!(read(user, third), Ok(6));
        assert_eq!(revoke(user, source), Ok(0));
        for handle in [first, copy, third] {
            assert_eq!(user.call(NR_HANDLE_DUPLICATE, &[handle, 0]), Err(Errno::ACCES));
            assert_eq!(lend(user, handle), Err(Errno::ACCES));
            assert_eq!(revoke(user, handle), Err(Errno::ACCES));
        }
        // The source, and what it made, go on; it can lend anew; a dead one can be closed, once.
        assert_eq!(read(user, own), Ok(6));
        assert_eq!(revoke(user, source), Ok(0));
        let new = lend(user, source).unwrap();
        assert!(open_at(user, Handle(new), "sub/page", OpenFlags::READ).is_ok());
        for handle in [first, copy, second, opened, again, third] {
            assert_eq!(user.call(NR_CLOSE, &[handle]), Ok(0));
            assert_eq!(user.call(NR_CLOSE, &[handle]), Err(Errno::BADF));
        }
        assert_eq!(revoke(user, 77 << 24), Err(Errno::BADF));
        power_off(user);
    }
    all_well(&[("init", init)], 2);
}

#[test]
fn loans_of_loans_are_bounded() {
    fn init(user: &mut User) {
        let mut handle = directory(user, "/www");
        let mut depth = 0;
        loop {
            match lend(user, handle) {
                Ok(next) => (handle, depth) = (next, depth + 1),
                Err(errno) => {
                    assert_eq!((errno, depth), (Errno::LOOP, 8));
                    break;
                }
            }
        }
        power_off(user);
    }
    all_well(&[("init", init)], 1);
}

#[test]
fn a_borrowed_directory_becomes_no_place_to_stay() {
    fn init(user: &mut User) {
        let source = directory(user, "/www");
        let pid = spawn_as(user, "/bin/borrower", "x", &[loan(5, source)], |_| {}).unwrap();
        assert_eq!(wait(user, pid), (0, 0));
        let borrowed = lend(user, source).unwrap();
        let refused = spawn_as(user, "/bin/borrower", "x", &[], |record| {
            (record.flags, record.root) = (SPAWN_ROOT, Handle(borrowed));
        });
        assert_eq!(refused, Err(Errno::PERM));
        power_off(user);
    }
    fn borrower(user: &mut User) {
        assert_eq!(at_path(user, NR_CHDIR, Handle(5), "sub"), Err(Errno::PERM));
        assert_eq!(at_path(user, NR_CONFINE, Handle(5), "."), Err(Errno::PERM));
        assert!(open_at(user, Handle(5), "sub/page", OpenFlags::READ).is_ok());
    }
    all_well(&[("init", init), ("borrower", borrower)], 1);
}

/// A borrower waits on what it was lent as 5, which may be gone before it begins; it ends with the errno that it was told.
fn waiter(user: &mut User) {
    let deed = user.args()[1].clone();
    let status = borrow(user, &deed).map_or_else(|errno| u64::from(errno.get()), |_| 0);
    user.call(NR_EXIT, &[status]).unwrap();
}

fn borrow(user: &mut User, deed: &str) -> Result<u64, Errno> {
    let at = map(user, 1 << 18);
    match deed {
        "read" => user.call(NR_READ, &[5, at, 16]),
        "fill" => user.call(NR_WRITE, &[5, at, 1 << 18]),
        "accept" => user.call(NR_ACCEPT, &[5, 0, 0, 0]),
        "derived" => {
            let peer = user.call(NR_ACCEPT, &[5, 0, 0, 0])?;
            user.call(NR_READ, &[peer, at, 16])
        }
        "grandchild" => {
            let pid = spawn_as(user, "/bin/waiter", "read", &[gift(5, 5)], |_| {})?;
            let (_, code) = wait(user, pid);
            assert_eq!(code, i32::from(Errno::ACCES.get()));
            Err(Errno::ACCES)
        }
        "poll" => {
            let item = PollItem { handle: Handle(5), events: POLL_IN, ready: 0, reserved: 0 };
            user.store(at, item.as_bytes());
            assert_eq!(user.call(NR_POLL, &[at, 1, TIMEOUT_NEVER]), Ok(1));
            assert_eq!(user.load(at + 10, 2), POLL_INVALID.to_le_bytes());
            Err(Errno::ACCES)
        }
        _ => {
            let set = user.call(NR_READY_CREATE, &[]).unwrap();
            let event = ReadyEvent { token: 42, events: u32::from(POLL_IN), reserved: 0 };
            user.store(at, event.as_bytes());
            user.call(NR_READY_CONTROL, &[set, u64::from(READY_ADD), 5, at])?;
            assert_eq!(user.call(NR_READY_WAIT, &[set, at, 4, TIMEOUT_NEVER]), Ok(1));
            assert_eq!(user.load_u64(at), 42);
            assert_eq!(user.load_u32(at + 8), u32::from(POLL_ERR | POLL_HUP));
            // Told once, and forgotten.
            assert_eq!(user.call(NR_READY_WAIT, &[set, at, 4, 0]), Ok(0));
            user.call(NR_READY_CONTROL, &[set, u64::from(READY_REMOVE), 5, 0])
        }
    }
}

fn serve(user: &mut User, port: u8) -> (u64, u64) {
    let socket = user.call(NR_SOCKET, &[2, 1]).unwrap();
    let at = map(user, 4096);
    user.store(at, &[2, 0, port, 0, 0, 0, 0, 0, 127, 0, 0, 1]);
    user.call(NR_BIND, &[socket, at, 24]).unwrap();
    user.call(NR_LISTEN, &[socket, 10]).unwrap();
    (socket, at)
}

#[test]
fn whoever_waits_on_what_is_taken_back_hears_of_it() {
    fn init(user: &mut User) {
        let deeds = ["read", "fill", "accept", "derived", "poll", "set", "grandchild"];
        for (deed, port) in deeds.into_iter().zip(80..) {
            let (reader, writer) = pipe(user, 0);
            let (socket, address) = serve(user, port);
            let source = match deed {
                "fill" => writer,
                "accept" | "derived" => socket,
                _ => reader,
            };
            let pid = spawn_as(user, "/bin/waiter", deed, &[loan(5, source)], |_| {}).unwrap();
            let client = user.call(NR_SOCKET, &[2, 1]).unwrap();
            if deed == "derived" {
                user.call(NR_CONNECT, &[client, address, 24]).unwrap();
            }
            // From before it waits to long after it began.
            let pause = [0, 10_000, 300_000, 5_000_000][(figures(user).uptime_ns % 4) as usize];
            user.call(NR_SLEEP, &[pause]).unwrap();
            assert_eq!(revoke(user, source), Ok(0), "{deed}");
            let (cause, code) = wait(user, pid);
            // What went into the pipe before is told first.
            let told = deed == "fill" && code == 0;
            // Taken back before the connection came: then there was nothing to accept.
            assert!(cause == 0 && (told || code == i32::from(Errno::ACCES.get())), "{deed}: {cause} {code}");
            for handle in [reader, writer, socket, client] {
                user.call(NR_CLOSE, &[handle]).unwrap();
            }
        }
        power_off(user);
    }
    all_well(&[("init", init), ("waiter", waiter)], 12);
}

#[test]
fn loans_leave_nothing() {
    fn init(user: &mut User) {
        let round = |user: &mut User| {
            for deed in ["read", "set", "grandchild"] {
                let (reader, writer) = pipe(user, 0);
                let pid = spawn_as(user, "/bin/waiter", deed, &[loan(5, reader)], |_| {}).unwrap();
                user.call(NR_SLEEP, &[100_000]).unwrap();
                let local = lend(user, reader).unwrap();
                revoke(user, reader).unwrap();
                wait(user, pid);
                // With a dead loan still open, and a loan whose source went first.
                for handle in [reader, writer, local] {
                    user.call(NR_CLOSE, &[handle]).unwrap();
                }
            }
            let (reader, writer) = pipe(user, 0);
            let pid = spawn_as(user, "/bin/waiter", "read", &[loan(5, reader)], |_| {}).unwrap();
            user.call(NR_CLOSE, &[reader]).unwrap();
            user.call(NR_KILL, &[pid, 9]).unwrap();
            wait(user, pid);
            user.call(NR_CLOSE, &[writer]).unwrap();
        };
        round(user);
        let before = left(user);
        for _ in 0..4 {
            round(user);
        }
        assert_eq!(left(user), before);
        power_off(user);
    }
    all_well(&[("init", init), ("waiter", waiter)], 2);
}

#[test]
fn a_bad_list_of_handles_lends_nothing() {
    fn init(user: &mut User) {
        let (reader, _) = pipe(user, 0);
        for (handles, errno) in [
            ([loan(5, reader), SpawnHandle { flags: 4, ..gift(6, reader) }], Errno::INVAL),
            ([loan(5, reader), loan(5, reader)], Errno::INVAL),
            ([loan(5, reader), gift(6, 99 << 24)], Errno::BADF),
        ] {
            assert_eq!(spawn_as(user, "/bin/waiter", "read", &handles, |_| {}), Err(errno));
        }
        let only = |user: &mut User, rights: Rights| {
            user.call(NR_HANDLE_DUPLICATE, &[reader, u64::from(rights.bits())]).unwrap()
        };
        for rights in [Rights::DUPLICATE, Rights::TRANSFER] {
            let half = only(user, rights | Rights::READ);
            let refused = spawn_as(user, "/bin/waiter", "read", &[loan(5, half)], |_| {});
            assert_eq!(refused, Err(Errno::ACCES), "{rights:?} alone");
        }
        power_off(user);
    }
    all_well(&[("init", init), ("waiter", waiter)], 1);
}
