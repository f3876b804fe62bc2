//! Datagrams: a bad pointer costs none, and none is cut on its way out.

#![allow(
    clippy::allow_attributes,
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    clippy::wildcard_imports,
    reason = "programs of a test: what can't be ends it"
)]

mod common;

use common::{all_well, close, map, power_off};
use swos_abi::*;
use swos_kernel_sim::User;
use zerocopy::IntoBytes as _;

const PAGE: u64 = 4096;
const SIZE: u64 = size_of::<SocketAddress>() as u64;

fn datagrams(user: &mut User) -> u64 {
    let kind = u64::from(SOCKET_DATAGRAM | SOCKET_NONBLOCK);
    user.call(NR_SOCKET, &[u64::from(DOMAIN_IPV4), kind]).unwrap()
}

/// A socket that is bound to `port`, and one that is connected to it.
fn connected(user: &mut User, port: u16) -> (u64, u64) {
    let address = user.stack() - 512;
    user.store(address, SocketAddress::ipv4([127, 0, 0, 1], port).as_bytes());
    let (far, near) = (datagrams(user), datagrams(user));
    user.call(NR_BIND, &[far, address, SIZE]).unwrap();
    user.call(NR_CONNECT, &[near, address, SIZE]).unwrap();
    (far, near)
}

#[test]
fn a_bad_pointer_costs_no_datagram() {
    fn init(user: &mut User) {
        let bytes: Vec<u8> = (0..1_400_u32).map(|at| at as u8).collect();
        let (far, near) = connected(user, 53);
        let at = map(user, 3 * PAGE);
        user.store(at, &bytes);
        user.call(NR_MUNMAP, &[at + 2 * PAGE, PAGE]).unwrap();
        assert_eq!(user.call(NR_SEND_TO, &[near, at, 1_400, 0, 0, 0]), Ok(1_400));
        // Its end is nowhere; the place for the address is; both are.
        let receive = |user: &mut User, buffer, address| {
            user.call(NR_RECEIVE_FROM, &[far, buffer, 2_000, address, SIZE, 0])
        };
        assert_eq!(receive(user, at + 2 * PAGE - 1_399, 0), Err(Errno::FAULT));
        assert_eq!(receive(user, at + PAGE, 8), Err(Errno::FAULT));
        assert_eq!(user.call(NR_READ, &[far, 8, 2_000]), Err(Errno::FAULT));
        assert_eq!(receive(user, at + PAGE, at), Ok(1_400));
        assert_eq!(user.load(at + PAGE, 1_400), bytes);
        assert_eq!(receive(user, at + PAGE, at), Err(Errno::AGAIN));
        close(user, &[far, near]);
        power_off(user);
    }
    all_well(&[("init", init)], 1);
}

#[test]
fn what_does_not_fit_is_refused_or_cut_where_it_says_so() {
    fn init(user: &mut User) {
        let (far, near) = connected(user, 53);
        let at = map(user, 20 * PAGE);
        user.store(at, &[7; 2_000]);
        for length in [1_473, 2_048, 2_049, 70_000] {
            assert_eq!(user.call(NR_SEND_TO, &[near, at, length, 0, 0, 0]), Err(Errno::MSGSIZE));
            assert_eq!(user.call(NR_WRITE, &[near, at, length]), Err(Errno::MSGSIZE), "{length}");
        }
        assert_eq!(user.call(NR_WRITE, &[near, at, 1_472]), Ok(1_472));
        assert_eq!(user.call(NR_WRITE, &[near, at, 10]), Ok(10));
        // What has no room is lost with its datagram, and nothing behind the room is touched.
        let into = at + 10 * PAGE;
        assert_eq!(user.call(NR_READ, &[far, into, 100]), Ok(100));
        assert_eq!(user.load(into, 101), [&[7; 100][..], &[0]].concat());
        assert_eq!(user.call(NR_READ, &[far, into, 100]), Ok(10));
        close(user, &[far, near]);
        power_off(user);
    }
    all_well(&[("init", init)], 1);
}
