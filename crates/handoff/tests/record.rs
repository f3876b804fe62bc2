//! Records there and back, and records that were changed on the way.

#![expect(clippy::unwrap_used, reason = "a test that fails")]

use proptest::prelude::*;
use swos_handoff::{Error, MemoryKind, MemoryRange, Repr, Slot, View, record_len};

fn kinds() -> impl Strategy<Value = MemoryKind> {
    prop_oneof![
        Just(MemoryKind::Usable),
        Just(MemoryKind::Loader),
        Just(MemoryKind::Firmware),
        Just(MemoryKind::Tables)
    ]
}

/// Sorted, disjoint ranges: gaps and lengths in pages.
fn memory() -> impl Strategy<Value = Vec<MemoryRange>> {
    proptest::collection::vec((0..1u64 << 20, 1..1u64 << 20, kinds()), 0..40).prop_map(|pieces| {
        let mut at = 0;
        pieces
            .into_iter()
            .map(|(gap, pages, kind)| {
                let base = at + gap * 4096;
                at = base + pages * 4096;
                MemoryRange { base, len: pages * 4096, kind }
            })
            .collect()
    })
}

fn emit(repr: &Repr<'_>) -> Vec<u8> {
    let mut bytes = vec![0xaa; repr.emitted_len() + 3];
    let len = repr.emit(&mut bytes).unwrap();
    assert_eq!(len, repr.emitted_len());
    bytes
}

fn example() -> Vec<u8> {
    let memory = [MemoryRange { base: 0x4000_0000, len: 0x1000, kind: MemoryKind::Usable }];
    let repr = Repr {
        slot: Slot::B,
        device_tree: 8,
        started: 1,
        left: 2,
        memory: &memory,
        arguments: "swos.log=debug",
    };
    let mut bytes = emit(&repr);
    bytes.truncate(repr.emitted_len());
    bytes
}

proptest! {
    #[test]
    fn comes_back_as_it_was(
        memory in memory(), arguments in ".{0,200}", device_tree: u64, started: u64, left: u64,
        slot in prop_oneof![Just(Slot::None), Just(Slot::A), Just(Slot::B)],
    ) {
        let repr = Repr { slot, device_tree, started, left, memory: &memory, arguments: &arguments };
        let bytes = emit(&repr);
        prop_assert_eq!(record_len(&bytes), Ok(repr.emitted_len()));
        let view = View::new(&bytes).unwrap();
        prop_assert_eq!(view.slot(), slot);
        prop_assert_eq!((view.device_tree(), view.started(), view.left()), (device_tree, started, left));
        prop_assert_eq!(view.memory().collect::<Vec<_>>(), memory);
        prop_assert_eq!(view.arguments(), &arguments);
    }

    #[test]
    fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut record = example();
        let len = record.len().min(bytes.len());
        record[12..len.max(12)].iter_mut().zip(&bytes).for_each(|(to, from)| *to = *from);
        let _ = View::new(&record);
        let _ = View::new(&bytes);
    }
}

#[test]
fn refuses_every_flipped_bit_and_every_cut() {
    let good = example();
    assert!(View::new(&good).is_ok());
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(View::new(&bad).is_err(), "bit {bit}");
    }
    for len in 0..good.len() {
        assert!(View::new(&good[..len]).is_err(), "cut to {len}");
    }
}

#[test]
fn refuses_to_emit_what_would_be_refused() {
    let page = |base, len| MemoryRange { base, len, kind: MemoryKind::Usable };
    let emit = |memory: &[MemoryRange]| {
        let repr = Repr { slot: Slot::None, device_tree: 0, started: 0, left: 0, memory, arguments: "" };
        repr.emit(&mut [0; 200])
    };
    assert_eq!(emit(&[page(0, 0)]), Err(Error::BadRange { index: 0 }));
    assert_eq!(emit(&[page(1, 4096)]), Err(Error::BadRange { index: 0 }));
    assert_eq!(emit(&[page(0, 8192), page(4096, 4096)]), Err(Error::BadRange { index: 1 }));
    assert_eq!(emit(&[page(u64::MAX - 4095, 4096)]), Err(Error::BadRange { index: 0 }));
    let repr = Repr { slot: Slot::None, device_tree: 0, started: 0, left: 0, memory: &[], arguments: "x" };
    assert_eq!(repr.emit(&mut [0; 56]), Err(Error::NoRoom));
}
