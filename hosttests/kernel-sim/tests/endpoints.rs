//! Endpoints between threads and processes: order, exactly once, handles, calls.

#![allow(
    clippy::allow_attributes,
    clippy::cast_possible_truncation,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_imports,
    reason = "programs of a test: what can't be ends it"
)]

mod common;

use common::{Got, call, mint, receive, reply, reply_receive, send};
use common::{
    all_well, close, endpoint, figures, left, map, pipe, power_off, spawn_limited, spawn_with, wait,
};
use swos_abi::*;
use swos_kernel_sim::User;

const EVER: u64 = TIMEOUT_NEVER;

#[test]
fn messages_arrive_once_and_in_order_with_their_badge() {
    fn init(user: &mut User) {
        let (sender, receiver) = endpoint(user);
        let badged = mint(user, sender, 77).unwrap();
        let pids = [sender, badged].map(|end| spawn_with(user, "/bin/talker", "x", &[end]).unwrap());
        close(user, &[sender, badged]);
        let mut next = [0_u64; 2];
        loop {
            match receive(user, receiver, EVER) {
                Ok(Got { bytes, badge, token: 0, .. }) => {
                    let who = usize::from(badge == 77);
                    assert_eq!(badge, [0, 77][who]);
                    assert_eq!(u64::from_le_bytes(bytes[..8].try_into().unwrap()), next[who]);
                    assert_eq!(bytes.len() as u64, length(next[who]));
                    assert!(bytes[8..].iter().all(|&byte| byte == next[who] as u8));
                    next[who] += 1;
                }
                Ok(other) => panic!("{other:?}"),
                Err(errno) => break assert_eq!(errno, Errno::PIPE),
            }
        }
        assert_eq!(next, [150, 150]);
        for pid in pids {
            assert_eq!(wait(user, pid), (0, 0));
        }
        power_off(user);
    }
    fn length(number: u64) -> u64 {
        [8, 64, 65, 500, 1_500][(number % 5) as usize]
    }
    fn talker(user: &mut User) {
        for number in 0..150 {
            let mut bytes = vec![number as u8; length(number) as usize];
            bytes[..8].copy_from_slice(&number.to_le_bytes());
            assert_eq!(send(user, 0, &bytes, &[], EVER), Ok(0));
        }
    }
    all_well(&[("init", init), ("talker", talker)], 4);
}

#[test]
fn handles_move_all_or_none_and_only_lose_rights() {
    fn init(user: &mut User) {
        let (sender, receiver) = endpoint(user);
        let (reader, writer) = pipe(user, 0);
        let before = figures(user).objects;
        // Moved: the sender has them no more, the receiver may do what was asked and held.
        let with = [(reader, Rights::READ.bits()), (writer, u32::MAX)];
        assert_eq!(send(user, sender, b"take these", &with, EVER), Ok(0));
        for gone in [reader, writer] {
            assert_eq!(user.call(NR_HANDLE_RIGHTS, &[gone]), Err(Errno::BADF));
        }
        let got = receive(user, receiver, EVER).unwrap();
        let [(reader, reader_rights), (writer, writer_rights)] = got.handles[..] else { panic!("{got:?}") };
        assert_eq!(reader_rights, Rights::READ.bits());
        assert_eq!(user.call(NR_HANDLE_RIGHTS, &[reader]), Ok(u64::from(Rights::READ.bits())));
        assert_eq!(user.call(NR_HANDLE_RIGHTS, &[writer]), Ok(u64::from(writer_rights)));
        let at = user.stack() - 4096;
        assert_eq!(user.call(NR_WRITE, &[writer, at, 7]), Ok(7));
        assert_eq!(user.call(NR_READ, &[reader, at, 100]), Ok(7));
        // The one without the right to move keeps the other back, and nothing was sent.
        let with = [(writer, u32::MAX), (reader, u32::MAX)];
        assert_eq!(send(user, sender, b"both", &with, EVER), Err(Errno::ACCES));
        assert_eq!(send(user, sender, b"twice", &[(writer, 1), (writer, 1)], EVER), Err(Errno::INVAL));
        assert_eq!(send(user, sender, b"none", &[(writer, 1), (12_345, 1)], EVER), Err(Errno::BADF));
        assert_eq!(receive(user, receiver, 1_000), Err(Errno::TIMEDOUT));
        assert_eq!(user.call(NR_WRITE, &[writer, at, 7]), Ok(7));
        // Rights can't be gained on the way.
        assert_eq!(
            user.call(NR_HANDLE_RESTRICT, &[writer, u64::from((Rights::TRANSFER | Rights::GETATTR).bits())])
                .err(),
            None
        );
        assert_eq!(send(user, sender, b"", &[(writer, u32::MAX)], EVER), Ok(0));
        let got = receive(user, receiver, EVER).unwrap();
        assert_eq!(got.handles[0].1, (Rights::TRANSFER | Rights::GETATTR).bits());
        assert_eq!(user.call(NR_WRITE, &[got.handles[0].0, at, 1]), Err(Errno::ACCES));
        assert_eq!(figures(user).objects, before);
        // As many as there can be, and one more.
        let many: Vec<(u64, u32)> = (0..17)
            .map(|_| (user.call(NR_HANDLE_DUPLICATE, &[sender, u64::from(u32::MAX)]).unwrap(), u32::MAX))
            .collect();
        assert_eq!(send(user, sender, b"", &many, EVER), Err(Errno::MSGSIZE));
        assert_eq!(send(user, sender, b"", &many[..16], EVER), Ok(0));
        assert_eq!(receive(user, receiver, EVER).unwrap().handles.len(), 16);
        power_off(user);
    }
    all_well(&[("init", init)], 1);
}

#[test]
fn what_is_wrong_is_refused_and_changes_nothing() {
    fn init(user: &mut User) {
        let at = map(user, 1 << 18);
        let before = figures(user).objects;
        // Creation.
        let create = |user: &mut User, config: EndpointConfig, size: u64, ends: u64| {
            use zerocopy::IntoBytes as _;
            user.store(at, config.as_bytes());
            user.call(NR_ENDPOINT_CREATE, &[at, 16, ends, size])
        };
        let usual = EndpointConfig::default();
        for wrong in [
            EndpointConfig { messages: ENDPOINT_MESSAGES_MAX + 1, ..usual },
            EndpointConfig { bytes: ENDPOINT_BYTES_MAX + 1, ..usual },
            EndpointConfig { calls: ENDPOINT_CALLS_MAX + 1, ..usual },
            EndpointConfig { flags: 1, ..usual },
        ] {
            assert_eq!(create(user, wrong, 16, at + 64), Err(Errno::INVAL), "{wrong:?}");
        }
        assert_eq!(create(user, usual, 8, at + 64), Err(Errno::INVAL));
        assert_eq!(create(user, usual, 16, 8), Err(Errno::FAULT));
        assert_eq!(figures(user).objects, before);
        let small = EndpointConfig { messages: 2, bytes: 100, calls: 1, flags: ENDPOINT_NONBLOCK };
        assert_eq!(create(user, small, 16, at + 64), Ok(0));
        let (sender, receiver) = (user.load_u64(at + 64), user.load_u64(at + 72));
        // Sizes; the oversize is sent by neither limit.
        assert_eq!(send(user, sender, &[0; 101], &[], EVER), Err(Errno::MSGSIZE));
        user.store(at, &[0; 24]);
        user.store(at + 16, &((MESSAGE_BYTES_MAX as u32) + 1).to_le_bytes());
        assert_eq!(user.call(NR_ENDPOINT_SEND, &[sender, at, EVER]), Err(Errno::MSGSIZE));
        // Full, and empty.
        assert_eq!(send(user, sender, &[1; 60], &[], EVER), Ok(0));
        assert_eq!(send(user, sender, &[2; 60], &[], EVER), Err(Errno::AGAIN));
        assert_eq!(send(user, sender, &[3; 40], &[], EVER), Ok(0));
        assert_eq!(send(user, sender, &[], &[], EVER), Err(Errno::AGAIN));
        // A buffer too small leaves the message, and says what it takes.
        let into = MessageIn { bytes: at + 4096, handles: at + 8192, capacity: 59, ..MessageIn::default() };
        store_in(user, at, &into);
        assert_eq!(user.call(NR_ENDPOINT_RECEIVE, &[receiver, at, EVER]), Err(Errno::RANGE));
        assert_eq!(user.load_u32(at + 24), 60);
        // Memory that is not there as well.
        for bad in [MessageIn { bytes: 8, ..into }, MessageIn { bytes: u64::MAX - 10, ..into }] {
            store_in(user, at, &MessageIn { capacity: 60, ..bad });
            assert_eq!(user.call(NR_ENDPOINT_RECEIVE, &[receiver, at, EVER]), Err(Errno::FAULT));
        }
        assert_eq!(user.call(NR_ENDPOINT_RECEIVE, &[receiver, 8, EVER]), Err(Errno::FAULT));
        assert_eq!(user.call(NR_ENDPOINT_SEND, &[sender, 8, EVER]), Err(Errno::FAULT));
        assert_eq!(receive(user, receiver, EVER).unwrap().bytes, [1; 60]);
        assert_eq!(receive(user, receiver, EVER).unwrap().bytes, [3; 40]);
        assert_eq!(receive(user, receiver, EVER), Err(Errno::AGAIN));
        // The wrong end, the wrong object, the wrong rights.
        assert_eq!(send(user, receiver, b"", &[], EVER), Err(Errno::ACCES));
        assert_eq!(receive(user, sender, EVER), Err(Errno::ACCES));
        assert_eq!(send(user, 1, b"", &[], EVER), Err(Errno::NOTTY));
        assert_eq!(user.call(NR_READ, &[receiver, at, 1]), Err(Errno::NOTTY));
        assert_eq!(user.call(NR_WRITE, &[sender, at, 1]), Err(Errno::NOTTY));
        assert_eq!(mint(user, receiver, 5), Err(Errno::NOTTY));
        assert_eq!(mint(user, sender, 0), Err(Errno::INVAL));
        let badged = mint(user, sender, 5).unwrap();
        assert_eq!(mint(user, badged, 6), Err(Errno::PERM));
        assert_eq!(user.call(NR_HANDLE_RESTRICT, &[badged, u64::from(Rights::TRANSFER.bits())]).err(), None);
        assert_eq!(send(user, badged, b"", &[], EVER), Err(Errno::ACCES));
        assert_eq!(mint(user, badged, 6), Err(Errno::ACCES));
        // Tokens.
        for forged in [0, 1, 1 << 32, u64::MAX] {
            assert_eq!(reply(user, receiver, forged, b"", &[]), Err(Errno::INVAL));
        }
        assert_eq!(reply(user, sender, 1, b"", &[]), Err(Errno::ACCES));
        close(user, &[sender, badged, receiver]);
        assert_eq!(figures(user).objects, before);
        assert_eq!(figures(user).objects, before);
        power_off(user);
    }
    fn store_in(user: &mut User, at: u64, into: &MessageIn) {
        use zerocopy::IntoBytes as _;
        user.store(at, into.as_bytes());
    }
    all_well(&[("init", init)], 1);
}

/// A receiver without room for the handles leaves the message, and takes it later.
#[test]
fn a_full_table_leaves_the_message() {
    fn init(user: &mut User) {
        let pid = spawn_limited(user, "/bin/poor", "x", &[], 16).unwrap();
        assert_eq!(wait(user, pid), (0, 0));
        power_off(user);
    }
    fn poor(user: &mut User) {
        let (sender, receiver) = endpoint(user);
        let (reader, writer) = pipe(user, 0);
        assert_eq!(send(user, sender, b"two", &[(reader, u32::MAX), (writer, u32::MAX)], EVER), Ok(0));
        let mut taken = Vec::new();
        while let Ok(copy) = user.call(NR_HANDLE_DUPLICATE, &[sender, u64::from(u32::MAX)]) {
            taken.push(copy);
        }
        close(user, &taken[..1]);
        assert_eq!(receive(user, receiver, EVER), Err(Errno::MFILE));
        close(user, &taken[1..2]);
        let got = receive(user, receiver, EVER).unwrap();
        assert_eq!((got.bytes.as_slice(), got.handles.len()), (b"two".as_slice(), 2));
        // No handle left: no endpoint, and nothing of it.
        close(user, &[got.handles[0].0, got.handles[1].0]);
        for spare in [0, 1] {
            let mut taken = Vec::new();
            while let Ok(copy) = user.call(NR_HANDLE_DUPLICATE, &[sender, u64::from(u32::MAX)]) {
                taken.push(copy);
            }
            close(user, &taken[..spare]);
            let before = figures(user).objects;
            let at = user.stack() - 4096;
            user.store(at, &[0; 16]);
            assert_eq!(user.call(NR_ENDPOINT_CREATE, &[at, 16, at + 64, 16]), Err(Errno::MFILE));
            assert_eq!(figures(user).objects, before);
            close(user, &taken[spare..]);
        }
    }
    all_well(&[("init", init), ("poor", poor)], 1);
}

#[test]
fn every_call_gets_its_own_answer() {
    const CALLS: u64 = 120;
    fn init(user: &mut User) {
        let round = |user: &mut User| {
            let (sender, receiver) = endpoint(user);
            let mut pids = vec![spawn_with(user, "/bin/server", "x", &[receiver]).unwrap()];
            for badge in 1..=3 {
                let client = mint(user, sender, badge).unwrap();
                pids.push(spawn_with(user, "/bin/client", &badge.to_string(), &[client]).unwrap());
                close(user, &[client]);
            }
            close(user, &[sender, receiver]);
            for pid in pids {
                assert_eq!(wait(user, pid), (0, 0));
            }
        };
        round(user);
        let before = left(user);
        round(user);
        assert_eq!(left(user), before);
        power_off(user);
    }
    fn client(user: &mut User) {
        let badge: u64 = user.args()[1].parse().unwrap();
        for number in 0..CALLS {
            let mut question = number.to_le_bytes().to_vec();
            question.resize(if number % 3 == 0 { 900 } else { 32 }, 7);
            let answer = call(user, 0, &question, &[], EVER).unwrap();
            let expected = [number.to_le_bytes(), badge.to_le_bytes()].concat();
            assert_eq!(answer.bytes[..16], expected, "{number}");
            assert_eq!(answer.bytes.len(), if number % 5 == 0 { 700 } else { 16 });
        }
    }
    /// Answers every other call late, after the next one.
    fn server(user: &mut User) {
        let mut late: Option<(u64, Vec<u8>)> = None;
        let mut got = receive(user, 0, EVER);
        while let Ok(Got { bytes, badge, token, .. }) = got {
            let number = u64::from_le_bytes(bytes[..8].try_into().unwrap());
            let mut answer = [number.to_le_bytes(), badge.to_le_bytes()].concat();
            if number % 5 == 0 {
                answer.resize(700, 1);
            }
            match late.take() {
                None if badge == 1 && number % 2 == 0 && number + 1 < CALLS => {
                    late = Some((token, answer));
                    got = receive(user, 0, 50_000_000);
                    if got == Err(Errno::TIMEDOUT) {
                        let (token, answer) = late.take().unwrap();
                        got = reply_receive(user, 0, token, &answer, EVER);
                    }
                }
                None => got = reply_receive(user, 0, token, &answer, EVER),
                Some((earlier, text)) => {
                    assert_eq!(reply(user, 0, token, &answer, &[]), Ok(0));
                    assert_eq!(reply(user, 0, token, &answer, &[]), Err(Errno::INVAL));
                    got = reply_receive(user, 0, earlier, &text, EVER);
                }
            }
        }
        assert_eq!(got, Err(Errno::PIPE));
    }
    all_well(&[("init", init), ("server", server), ("client", client)], 4);
}

#[test]
fn answers_take_handles_along_and_fit_their_caller() {
    fn init(user: &mut User) {
        let (sender, receiver) = endpoint(user);
        let (reader, writer) = pipe(user, 0);
        let pid = spawn_with(user, "/bin/client", "x", &[sender]).unwrap();
        let got = receive(user, receiver, EVER).unwrap();
        let (theirs, _) = got.handles[0];
        // Its room: 2,048 bytes and 16 handles, see `call`.
        assert_eq!(reply(user, receiver, got.token, &[0; 2_049], &[]), Err(Errno::MSGSIZE));
        assert_eq!(reply(user, receiver, got.token, b"", &[(99, 1)]), Err(Errno::BADF));
        assert_eq!(reply(user, receiver, got.token, b"yours", &[(reader, u32::MAX)]), Ok(0));
        assert_eq!(user.call(NR_HANDLE_RIGHTS, &[reader]), Err(Errno::BADF));
        // One that is used moves nothing.
        assert_eq!(reply(user, receiver, got.token, b"", &[(writer, u32::MAX)]), Err(Errno::INVAL));
        user.store(user.stack() - 2048, b"through");
        assert_eq!(user.call(NR_WRITE, &[writer, user.stack() - 2048, 7]), Ok(7));
        let at = user.stack() - 2048;
        assert_eq!(user.call(NR_READ, &[theirs, at, 10]), Ok(7));
        assert_eq!(wait(user, pid), (0, 0));
        power_off(user);
    }
    fn client(user: &mut User) {
        let (reader, writer) = pipe(user, 0);
        let answer = call(user, 0, b"mine", &[(reader, u32::MAX)], EVER).unwrap();
        assert_eq!(answer.bytes, b"yours");
        let at = user.stack() - 2048;
        let count = user.call(NR_READ, &[answer.handles[0].0, at, 10]).unwrap();
        assert_eq!(user.call(NR_WRITE, &[writer, at, count]), Ok(count));
    }
    all_well(&[("init", init), ("client", client)], 3);
}

#[test]
fn receivers_that_nobody_could_reach_are_refused() {
    fn init(user: &mut User) {
        let (first, first_receiver) = endpoint(user);
        let (second, second_receiver) = endpoint(user);
        assert_eq!(send(user, first, b"", &[(first_receiver, u32::MAX)], EVER), Err(Errno::DEADLK));
        assert_eq!(send(user, first, b"", &[(second_receiver, u32::MAX)], EVER), Ok(0));
        assert_eq!(send(user, second, b"", &[(first_receiver, u32::MAX)], EVER), Err(Errno::DEADLK));
        // A sender may go anywhere, also through itself.
        let copy = user.call(NR_HANDLE_DUPLICATE, &[second, u64::from(u32::MAX)]).unwrap();
        assert_eq!(send(user, second, b"", &[(copy, u32::MAX)], EVER), Ok(0));
        let second_receiver = receive(user, first_receiver, EVER).unwrap().handles[0].0;
        // It came out: the other way is free, and works.
        assert_eq!(send(user, second, b"", &[(first_receiver, u32::MAX)], EVER), Ok(0));
        assert_eq!(receive(user, second_receiver, EVER).unwrap().handles.len(), 1);
        let got = receive(user, second_receiver, EVER).unwrap();
        assert_eq!(send(user, first, b"still here", &[], EVER), Ok(0));
        assert_eq!(receive(user, got.handles[0].0, EVER).unwrap().bytes, b"still here");
        power_off(user);
    }
    all_well(&[("init", init)], 1);
}

#[test]
fn poll_and_readiness_sets_wake_for_endpoints() {
    fn init(user: &mut User) {
        let at = map(user, 4096);
        let (sender, receiver) = endpoint(user);
        let poll = |user: &mut User, handle: u64, events: u16, timeout: u64| {
            user.store(at, &handle.to_le_bytes());
            user.store(at + 8, &u64::from(events).to_le_bytes());
            user.call(NR_POLL, &[at, 1, timeout]).unwrap();
            (user.load_u32(at + 8) >> 16) as u16
        };
        assert_eq!(poll(user, receiver, POLL_IN, 1_000), 0);
        assert_eq!(poll(user, sender, POLL_OUT, EVER), POLL_OUT);
        let actor =
            |user: &mut User, deed: &str| spawn_with(user, "/bin/actor", deed, &[sender, receiver]).unwrap();
        for _ in 0..3 {
            let pid = actor(user, "send");
            assert_eq!(poll(user, receiver, POLL_IN, EVER), POLL_IN);
            assert_eq!(receive(user, receiver, EVER).unwrap().bytes, b"x");
            assert_eq!(wait(user, pid), (0, 0));
        }
        // Room.
        for _ in 0..64 {
            assert_eq!(send(user, sender, b"y", &[], EVER), Ok(0));
        }
        assert_eq!(poll(user, sender, POLL_OUT, 1_000), 0);
        let pid = actor(user, "receive");
        assert_eq!(poll(user, sender, POLL_OUT, EVER), POLL_OUT);
        assert_eq!(wait(user, pid), (0, 0));
        while receive(user, receiver, 0).is_ok() {}
        // In a set: level for the receiver, edge for two senders of it.
        let badged = mint(user, sender, 9).unwrap();
        let set = user.call(NR_READY_CREATE, &[]).unwrap();
        for (handle, events) in [
            (receiver, u32::from(POLL_IN)),
            (sender, u32::from(POLL_OUT) | READY_EDGE),
            (badged, u32::from(POLL_OUT) | READY_EDGE),
        ] {
            user.store(at, &handle.to_le_bytes());
            user.store(at + 8, &u64::from(events).to_le_bytes());
            user.call(NR_READY_CONTROL, &[set, u64::from(READY_ADD), handle, at]).unwrap();
        }
        let ready = |user: &mut User, timeout: u64| {
            let count = user.call(NR_READY_WAIT, &[set, at, 8, timeout]).unwrap();
            let mut found: Vec<(u64, u16)> = (0..count)
                .map(|index| (user.load_u64(at + 16 * index), user.load_u32(at + 16 * index + 8) as u16))
                .collect();
            found.sort_unstable();
            found
        };
        let mut both = [(sender, POLL_OUT), (badged, POLL_OUT)];
        both.sort_unstable();
        assert_eq!(ready(user, 1_000), both);
        assert_eq!(ready(user, 1_000), []);
        for _ in 0..3 {
            let pid = actor(user, "send");
            assert_eq!(ready(user, EVER), [(receiver, POLL_IN)]);
            assert_eq!(ready(user, EVER), [(receiver, POLL_IN)]);
            assert_eq!(receive(user, receiver, EVER).unwrap().bytes, b"x");
            assert_eq!(wait(user, pid), (0, 0));
            assert_eq!(ready(user, 1_000), []);
        }
        // A closed badge is watched no more; the last sender's end is told.
        close(user, &[badged]);
        let pid = actor(user, "leave");
        close(user, &[sender]);
        assert_eq!(ready(user, EVER), [(receiver, POLL_IN | POLL_HUP)]);
        assert_eq!(wait(user, pid), (0, 0));
        close(user, &[receiver]);
        assert_eq!(ready(user, 1_000), []);
        power_off(user);
    }
    fn actor(user: &mut User) {
        user.call(NR_SLEEP, &[1_000_000]).unwrap();
        match user.args()[1].as_str() {
            "send" => assert_eq!(send(user, 0, b"x", &[], EVER), Ok(0)),
            "receive" => assert_eq!(receive(user, 1, EVER).unwrap().bytes, b"y"),
            _ => {}
        }
    }
    all_well(&[("init", init), ("actor", actor)], 4);
}
