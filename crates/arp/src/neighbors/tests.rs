use core::net::Ipv4Addr;

use proptest::prelude::*;
use swos_units::{Duration, Instant};
use swos_wire::{ArpOperation, ArpRepr, MacAddr};

use super::{Action, Config, Neighbors, Resolution};

const US: MacAddr = mac(1);
const OWN: Ipv4Addr = ip(1);

const fn mac(number: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, number])
}

const fn ip(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, number)
}

fn at(millis: u64) -> Instant {
    Instant::from_nanos(millis * 1_000_000)
}

fn table(config: Config) -> Neighbors {
    let mut arp = Neighbors::new(config, US, 0x1234_5678_9abc_def1);
    arp.set_address(Instant::ZERO, Some(OWN));
    let Some(Action::Send { to: MacAddr::BROADCAST, packet }) = arp.poll(Instant::ZERO) else {
        panic!("an address is announced")
    };
    assert_eq!((packet.sender_ip, packet.target_ip), (OWN, OWN));
    assert_eq!(arp.poll(Instant::ZERO), None);
    arp
}

fn heard(operation: ArpOperation, mac: MacAddr, address: Ipv4Addr, target: Ipv4Addr) -> ArpRepr {
    ArpRepr { operation, sender_mac: mac, sender_ip: address, target_mac: US, target_ip: target }
}

fn drain(arp: &mut Neighbors, now: Instant) -> Vec<Action> {
    core::iter::from_fn(|| arp.poll(now)).collect()
}

fn asks(action: &Action) -> bool {
    matches!(action, Action::Send { packet, .. } if packet.operation == ArpOperation::Request)
}

#[test]
fn a_neighbour_is_asked_found_verified_and_forgotten() {
    let mut arp = table(Config::default());
    assert_eq!(arp.resolve(at(0), ip(2)), Resolution::Pending);
    assert_eq!(arp.resolve(at(0), ip(2)), Resolution::Pending);
    assert_eq!(arp.deadline(), Some(Instant::ZERO));
    let actions = drain(&mut arp, at(0));
    assert_eq!(actions.len(), 1, "one request, however many want to send");
    assert!(asks(&actions[0]));
    arp.on_packet(at(10), &heard(ArpOperation::Reply, mac(2), ip(2), OWN));
    assert_eq!(drain(&mut arp, at(10)), [Action::Resolved { address: ip(2) }]);
    assert_eq!(arp.resolve(at(11), ip(2)), Resolution::Known(mac(2)));
    assert_eq!(arp.deadline(), None, "an entry that nobody uses costs no timer");
    // In use past its best: still good, and asked for by unicast, once a second.
    assert_eq!(arp.resolve(at(91_000), ip(2)), Resolution::Known(mac(2)));
    let [Action::Send { to, packet }] = drain(&mut arp, at(91_000))[..] else { panic!() };
    assert_eq!((to, packet.target_ip), (mac(2), ip(2)));
    assert_eq!(arp.resolve(at(91_500), ip(2)), Resolution::Known(mac(2)));
    assert_eq!(drain(&mut arp, at(91_500)), []);
    arp.on_packet(at(91_600), &heard(ArpOperation::Reply, mac(2), ip(2), OWN));
    assert_eq!(arp.resolve(at(150_000), ip(2)), Resolution::Known(mac(2)));
    assert_eq!(drain(&mut arp, at(150_000)), []);
    // Unused beyond its life time: asked for anew.
    assert_eq!(arp.resolve(at(400_000), ip(2)), Resolution::Pending);
    assert!(asks(&drain(&mut arp, at(400_000))[0]));
}

#[test]
fn one_who_does_not_answer_is_asked_once_a_second_and_then_given_up() {
    let mut arp = table(Config::default());
    assert_eq!(arp.resolve(at(0), ip(2)), Resolution::Pending);
    let mut seen = Vec::new();
    for step in 0..80 {
        let now = at(step * 100);
        let resolution = arp.resolve(now, ip(2));
        for action in drain(&mut arp, now) {
            seen.push((step * 100, asks(&action)));
            if !asks(&action) {
                assert_eq!(action, Action::Failed { address: ip(2) });
            }
        }
        if (30..50).contains(&step) {
            assert_eq!(resolution, if step == 30 { Resolution::Pending } else { Resolution::Unreachable });
        }
    }
    // Three requests, failure, two seconds of rest, and again.
    let expected =
        [(0, true), (1000, true), (2000, true), (3000, false), (5000, true), (6000, true), (7000, true)];
    assert_eq!(seen, expected);
}

#[test]
fn requests_for_us_are_answered_and_only_those() {
    let mut arp = table(Config::default());
    arp.on_packet(at(0), &heard(ArpOperation::Request, mac(2), ip(2), OWN));
    let [Action::Send { to, packet }] = drain(&mut arp, at(0))[..] else { panic!() };
    assert_eq!((to, packet.operation), (mac(2), ArpOperation::Reply));
    assert_eq!((packet.sender_mac, packet.sender_ip, packet.target_ip), (US, OWN, ip(2)));
    arp.on_packet(at(0), &heard(ArpOperation::Request, mac(2), ip(2), ip(3)));
    arp.on_packet(at(0), &heard(ArpOperation::Reply, mac(2), ip(2), OWN));
    assert_eq!(drain(&mut arp, at(0)), []);
    // A probe has no sender address (RFC 5227) and is answered too.
    arp.on_packet(at(0), &heard(ArpOperation::Request, mac(2), Ipv4Addr::UNSPECIFIED, OWN));
    assert_eq!(drain(&mut arp, at(0)).len(), 1);
    assert!(arp.is_empty(), "none of them creates an entry");
}

#[test]
fn nothing_is_learned_from_group_addresses_or_ourselves() {
    let mut arp = table(Config::default());
    assert_eq!(arp.resolve(at(0), ip(2)), Resolution::Pending);
    drain(&mut arp, at(0));
    for liar in [MacAddr::BROADCAST, MacAddr([1, 0, 0x5e, 0, 0, 1]), MacAddr::UNSPECIFIED, US] {
        arp.on_packet(at(1), &heard(ArpOperation::Reply, liar, ip(2), OWN));
        assert_eq!(arp.resolve(at(1), ip(2)), Resolution::Pending);
    }
}

#[test]
fn a_confirmed_neighbour_is_not_taken_over_within_the_lock_time() {
    let mut arp = table(Config::default());
    assert_eq!(arp.resolve(at(0), ip(2)), Resolution::Pending);
    drain(&mut arp, at(0));
    arp.on_packet(at(1), &heard(ArpOperation::Reply, mac(2), ip(2), OWN));
    arp.on_packet(at(2), &heard(ArpOperation::Reply, mac(66), ip(2), OWN));
    assert_eq!(arp.resolve(at(3), ip(2)), Resolution::Known(mac(2)));
    // Later it may have moved to another machine, which says so.
    arp.on_packet(at(2_000), &heard(ArpOperation::Request, mac(3), ip(2), ip(2)));
    assert_eq!(arp.resolve(at(2_001), ip(2)), Resolution::Known(mac(3)));
}

#[test]
fn our_address_is_defended_now_and_then_and_told_each_time() {
    let mut arp = table(Config::default());
    let thief = heard(ArpOperation::Request, mac(66), OWN, ip(9));
    let mut announcements = 0;
    for second in 0..30 {
        arp.on_packet(at(second * 1_000), &thief);
        let actions = drain(&mut arp, at(second * 1_000));
        assert!(actions.contains(&Action::Conflict { mac: mac(66) }));
        announcements += actions.len() - 1;
    }
    assert_eq!(announcements, 2, "at 10 s and 20 s: the first announcement is less than 10 s old at 0");
    assert!(arp.is_empty());
}

#[test]
fn without_an_address_we_are_silent() {
    let mut arp = table(Config::default());
    assert_eq!(arp.resolve(at(0), ip(2)), Resolution::Pending);
    arp.set_address(at(0), None);
    arp.on_packet(at(0), &heard(ArpOperation::Request, mac(2), ip(2), OWN));
    assert_eq!(arp.resolve(at(0), ip(2)), Resolution::Unreachable);
    assert_eq!(drain(&mut arp, at(9)), []);
    assert_eq!((arp.deadline(), arp.len()), (None, 0));
}

#[test]
fn a_crowd_evicts_the_least_used_and_never_those_being_asked() {
    let mut arp = table(Config { entries: 4, ..Config::default() });
    for number in 2..6 {
        assert_eq!(arp.resolve(at(u64::from(number)), ip(number)), Resolution::Pending);
        drain(&mut arp, at(u64::from(number)));
        if number < 5 {
            arp.on_packet(at(u64::from(number)), &heard(ArpOperation::Reply, mac(number), ip(number), OWN));
        }
    }
    assert_eq!(arp.resolve(at(20), ip(2)), Resolution::Known(mac(2)));
    assert_eq!(arp.resolve(at(21), ip(9)), Resolution::Pending);
    assert_eq!(arp.resolve(at(22), ip(2)), Resolution::Known(mac(2)));
    assert_eq!(arp.resolve(at(22), ip(4)), Resolution::Known(mac(4)));
    assert_eq!(arp.resolve(at(22), ip(5)), Resolution::Pending, "5 was being asked, 3 had to go");
    for number in 10..14 {
        arp.resolve(at(30), ip(number));
    }
    assert_eq!(arp.resolve(at(30), ip(20)), Resolution::Unreachable, "all are being asked");
    assert_eq!(arp.len(), 4);
}

proptest! {
    /// Whatever comes: entries stay bounded, name stations, and exist only for what was asked; requests to one
    /// neighbour are a second apart.
    #[test]
    fn no_packet_breaks_the_rules(steps in prop::collection::vec((0..5u8, 0..8u8, 0..6u8, 0..2_000u64), 1..150)) {
        let mut arp = table(Config { entries: 8, ..Config::default() });
        let mut now = Instant::ZERO;
        let mut asked = [false; 8];
        let mut last_request = [None; 8];
        for (what, number, sender, wait) in steps {
            now = now + Duration::from_millis(wait);
            let target = if sender % 2 == 0 { OWN } else { ip(7) };
            let macs = [mac(2), mac(3), MacAddr::BROADCAST, MacAddr::UNSPECIFIED, US, MacAddr([1; 6])];
            match what {
                0 | 1 if number > 1 => {
                    let known = arp.resolve(now, ip(number));
                    asked[usize::from(number)] = true;
                    if let Resolution::Known(mac) = known {
                        prop_assert!(mac.is_station() && mac != US);
                    }
                }
                2 => arp.on_packet(now, &heard(ArpOperation::Reply, macs[usize::from(sender)], ip(number), target)),
                3 => arp.on_packet(now, &heard(ArpOperation::Request, macs[usize::from(sender)], ip(number), target)),
                _ => {}
            }
            for action in drain(&mut arp, now) {
                match action {
                    Action::Send { packet, .. } if asks(&action) && packet.target_ip != OWN => {
                        let number = usize::from(packet.target_ip.octets()[3]);
                        prop_assert!(asked[number]);
                        if let Some(last) = last_request[number].replace(now) {
                            prop_assert!(now.since(last) >= Duration::from_secs(1));
                        }
                    }
                    Action::Resolved { address } | Action::Failed { address } => {
                        prop_assert!(asked[usize::from(address.octets()[3])]);
                    }
                    Action::Send { .. } | Action::Conflict { .. } => {}
                }
            }
            prop_assert!(arp.len() <= asked.iter().filter(|asked| **asked).count());
            prop_assert!(arp.deadline().is_none_or(|at| at > now), "drained, so nothing is due");
        }
    }
}
