use core::net::Ipv4Addr;

use swos_wire::{IpProtocol, Sum, UdpRepr, checksum};

use super::{Drop, check};

const A: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const B: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

fn datagram(dst_port: u16, data: &[u8]) -> Vec<u8> {
    let payload_len = u16::try_from(data.len()).unwrap();
    let mut bytes = vec![0; 8 + data.len()];
    bytes[8..].copy_from_slice(data);
    let pseudo = checksum::pseudo_ipv4(A, B, IpProtocol::UDP, payload_len + 8);
    UdpRepr { src_port: 7, dst_port, payload_len }.emit(&mut bytes, pseudo, Sum::of(data)).unwrap();
    bytes
}

#[test]
fn good_ones_pass_and_every_flipped_bit_is_found() {
    let good = datagram(53, b"odd");
    assert_eq!(check(A, B, &good).unwrap().payload(), b"odd");
    assert_eq!(check(B, A, &good).unwrap().payload(), b"odd", "the pseudo-header sums the same both ways");
    assert_eq!(check(A, A, &good).unwrap_err(), Drop::BadChecksum);
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(check(A, B, &bad).is_err(), "{bit}");
    }
}

#[test]
fn a_sender_may_leave_the_checksum_out() {
    let mut bytes = datagram(53, b"data");
    bytes[6..8].fill(0);
    assert_eq!(check(A, B, &bytes).unwrap().payload(), b"data");
}

#[test]
fn malformed_ones_and_port_zero_are_dropped() {
    assert_eq!(check(A, B, &datagram(0, b"")).unwrap_err(), Drop::NoPort);
    let bytes = datagram(53, b"data");
    for len in 0..bytes.len() {
        assert_eq!(check(A, B, &bytes[..len]).unwrap_err(), Drop::Malformed);
    }
}
