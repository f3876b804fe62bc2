use super::{Icmpv4Repr, Icmpv4View, TimeExceeded, Unreachable};
use crate::{Error, Sum};

const ALL: [Icmpv4Repr; 6] = [
    Icmpv4Repr::EchoRequest { ident: 0x1234, seq: 0xfffe },
    Icmpv4Repr::EchoReply { ident: 1, seq: 2 },
    Icmpv4Repr::Unreachable { code: Unreachable::PORT, next_hop_mtu: 0 },
    Icmpv4Repr::Unreachable { code: Unreachable::FRAGMENTATION_NEEDED, next_hop_mtu: 1400 },
    Icmpv4Repr::TimeExceeded { code: TimeExceeded::REASSEMBLY },
    Icmpv4Repr::ParameterProblem { code: 0, pointer: 20 },
];

#[test]
fn every_message_comes_back() {
    for repr in ALL {
        let mut bytes = *b"........quoted!";
        let sum = Sum::of(&bytes[8..]);
        assert_eq!(repr.emit(&mut bytes, sum), Ok(8));
        let view = Icmpv4View::parse(&bytes).unwrap();
        assert_eq!(Icmpv4Repr::parse(&view), Some(repr));
        assert_eq!(view.data(), b"quoted!");
        let echo = matches!(repr, Icmpv4Repr::EchoRequest { .. } | Icmpv4Repr::EchoReply { .. });
        assert_eq!(view.is_error(), !echo);
        assert_eq!(repr.emit(&mut bytes[8..], Sum::ZERO), Err(Error::NoRoom { needed: 8 }));
    }
}

#[test]
fn unknown_types_are_none_and_damage_is_found() {
    for kind in [1, 2, 4, 5, 13, 17, 255] {
        let mut bytes = [kind, 0, 0, 0, 0, 0, 0, 0];
        let checksum = Sum::of(&bytes).finish();
        bytes[2..4].copy_from_slice(&checksum.to_be_bytes());
        let view = Icmpv4View::parse(&bytes).unwrap();
        assert_eq!(Icmpv4Repr::parse(&view), None);
        assert_eq!(view.is_error(), [4, 5].contains(&kind), "source quench and redirect are errors too");
        bytes[7] ^= 1;
        assert_eq!(Icmpv4View::parse(&bytes).unwrap_err(), Error::BadChecksum { offset: 2 });
    }
    assert_eq!(Icmpv4View::parse(&[0; 7]).unwrap_err(), Error::Truncated { offset: 7 });
}
