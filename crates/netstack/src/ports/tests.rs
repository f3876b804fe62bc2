use core::net::{Ipv4Addr, SocketAddrV4};

use super::{Ports, Space};
use crate::entropy::Entropy;

const HOME: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

fn found(ports: &Ports, space: Space, port: u16, address: Ipv4Addr) -> Vec<u32> {
    let mut found: Vec<_> = ports.matching(space, port, address).map(|binding| binding.index).collect();
    found.sort_unstable();
    found
}

#[test]
fn bindings_are_found_by_space_port_and_address() {
    let mut ports = Ports::new(7);
    let all = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 80);
    let home = SocketAddrV4::new(HOME, 80);
    ports.bind(Space::Tcp, all, 1).unwrap();
    ports.bind(Space::Tcp, home, 2).unwrap();
    ports.bind(Space::Udp, home, 3).unwrap();
    assert_eq!(found(&ports, Space::Tcp, 80, HOME), [1, 2]);
    assert_eq!(found(&ports, Space::Tcp, 80, Ipv4Addr::LOCALHOST), [1]);
    assert_eq!(found(&ports, Space::Tcp, 80, Ipv4Addr::UNSPECIFIED), [1, 2]);
    assert_eq!(found(&ports, Space::Udp, 80, HOME), [3]);
    assert_eq!(found(&ports, Space::Tcp, 81, HOME), [0; 0]);
    ports.unbind(Space::Tcp, all, 1);
    ports.unbind(Space::Tcp, all, 1);
    ports.unbind(Space::Udp, home, 3);
    assert_eq!(found(&ports, Space::Tcp, 80, HOME), [2]);
    ports.unbind(Space::Tcp, home, 2);
    assert!(ports.is_empty());
}

#[test]
fn connections_are_counted() {
    let mut ports = Ports::new(7);
    ports.connection_began(80).unwrap();
    ports.connection_began(80).unwrap();
    ports.connection_ended(80);
    assert!(ports.has_connections(80) && !ports.has_connections(81));
    ports.connection_ended(80);
    ports.connection_ended(80);
    assert!(ports.is_empty());
}

#[test]
fn the_last_free_port_is_found() {
    let mut entropy = Entropy::new([1; 32]);
    for free in [100, 150, 199] {
        assert_eq!(Ports::choose(&mut entropy, &(100..=199), |port| port == free), Some(free));
    }
    assert_eq!(Ports::choose(&mut entropy, &(100..=199), |_| false), None);
    assert_eq!(Ports::choose(&mut entropy, &(0..=0), |_| true), None, "port 0 is none");
    assert!(Ports::choose(&mut entropy, &(0..=u16::MAX), |port| port == u16::MAX).is_some());
}
