//! Trees made by another library, read by ours.

#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test that fails, and cells of 32 bits"
)]

use dtoolkit::fdt::Fdt;
use dtoolkit::model::{DeviceTree, DeviceTreeNode, DeviceTreeProperty};
use dtoolkit::{Node as _, Property as _};
use proptest::prelude::*;
use swos_platform::{Conduit, Error, Gic, Interrupt, Platform, Region, Trigger, tree_len};

fn node(name: &str, properties: Vec<DeviceTreeProperty>, children: Vec<DeviceTreeNode>) -> DeviceTreeNode {
    let mut node = DeviceTreeNode::new(name).unwrap();
    properties.into_iter().for_each(|property| node.add_property(property));
    children.into_iter().for_each(|child| node.add_child(child));
    node
}

fn cells(name: &str, cells: &[u32]) -> DeviceTreeProperty {
    let bytes: Vec<u8> = cells.iter().flat_map(|cell| cell.to_be_bytes()).collect();
    DeviceTreeProperty::new(name, bytes.as_slice()).unwrap()
}

fn text(name: &str, value: &str) -> DeviceTreeProperty {
    let mut bytes = value.as_bytes().to_vec();
    bytes.push(0);
    DeviceTreeProperty::new(name, bytes.as_slice()).unwrap()
}

/// Reads a copy at a multiple of 8 bytes, as the reader asks; a `Vec<u8>` does not promise that.
fn read(tree: &[u8]) -> Result<Platform, Error> {
    let mut room = vec![0u8; tree.len() + 8];
    let start = room.as_ptr().align_offset(8);
    room[start..start + tree.len()].copy_from_slice(tree);
    Platform::from_device_tree(&room[start..start + tree.len()])
}

fn root(children: Vec<DeviceTreeNode>) -> Vec<u8> {
    let mut tree = DeviceTree::new();
    tree.root = node("", vec![cells("#address-cells", &[2]), cells("#size-cells", &[2])], children);
    tree.to_dtb()
}

fn memory(base: u64, len: u64) -> DeviceTreeNode {
    let reg = [(base >> 32) as u32, base as u32, (len >> 32) as u32, len as u32];
    node(&format!("memory@{base:x}"), vec![text("device_type", "memory"), cells("reg", &reg)], vec![])
}

/// A machine as QEMU's `virt` describes itself.
fn virt(cpus: u32, gic: &str) -> Vec<u8> {
    let cpu = |index: u32| {
        node(&format!("cpu@{index}"), vec![text("device_type", "cpu"), cells("reg", &[index])], vec![])
    };
    let mut children = vec![
        node(
            "psci",
            vec![text("compatible", "arm,psci-1.0\0arm,psci-0.2\0arm,psci"), text("method", "hvc")],
            vec![],
        ),
        memory(0x4000_0000, 0x1000_0000),
        node(
            "cpus",
            vec![cells("#address-cells", &[1]), cells("#size-cells", &[0])],
            (0..cpus).map(cpu).collect(),
        ),
        node(
            "timer",
            vec![
                text("compatible", "arm,armv8-timer\0arm,armv7-timer"),
                cells("interrupts", &[1, 13, 0x104, 1, 14, 0x104, 1, 11, 0x104, 1, 10, 0x104]),
            ],
            vec![],
        ),
        node(
            "intc@8000000",
            vec![
                text("compatible", gic),
                cells("reg", &[0, 0x0800_0000, 0, 0x10000, 0, 0x0801_0000, 0, 0x10000]),
                cells("#address-cells", &[2]),
                cells("#size-cells", &[2]),
                cells("ranges", &[]),
            ],
            vec![node(
                "v2m@8020000",
                vec![text("compatible", "arm,gic-v2m-frame"), cells("reg", &[0, 0x0802_0000, 0, 0x1000])],
                vec![],
            )],
        ),
        node(
            "pl011@9000000",
            vec![
                text("compatible", "arm,pl011\0arm,primecell"),
                cells("reg", &[0, 0x0900_0000, 0, 0x1000]),
                cells("interrupts", &[0, 1, 4]),
            ],
            vec![],
        ),
        node(
            "pl031@9010000",
            vec![text("compatible", "arm,pl031\0arm,primecell"), cells("reg", &[0, 0x0901_0000, 0, 0x1000])],
            vec![],
        ),
    ];
    for slot in (0..4u32).rev() {
        let base = 0x0a00_0000 + slot * 0x200;
        children.push(node(
            &format!("virtio_mmio@{base:x}"),
            vec![
                text("compatible", "virtio,mmio"),
                cells("reg", &[0, base, 0, 0x200]),
                cells("interrupts", &[0, 16 + slot, 1]),
            ],
            vec![],
        ));
    }
    children.push(node(
        "chosen",
        vec![
            text("bootargs", "swos.exit=semihosting"),
            text("stdout-path", "/pl011@9000000"),
            cells("rng-seed", &[1, 2, 3, 4, 5, 6, 7, 8]),
            cells("kaslr-seed", &[0x0123_4567, 0x89ab_cdef]),
        ],
        vec![],
    ));
    root(children)
}

#[test]
fn reads_a_machine() {
    let platform = read(&virt(4, "arm,cortex-a15-gic")).unwrap();
    assert_eq!(platform.memory.as_slice(), [Region { base: 0x4000_0000, len: 0x1000_0000 }]);
    assert_eq!(platform.cpus.iter().map(|cpu| cpu.mpidr).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(platform.psci, Some(Conduit::Hvc));
    assert_eq!(
        platform.gic,
        Some(Gic::V2 {
            distributor: Region { base: 0x0800_0000, len: 0x10000 },
            cpu_interface: Region { base: 0x0801_0000, len: 0x10000 },
        })
    );
    assert_eq!(platform.timer.unwrap().virtual_el1, Interrupt { id: 27, trigger: Trigger::Level });
    let uart = platform.uart.unwrap();
    assert_eq!((uart.window.base, uart.interrupt.id), (0x0900_0000, 33));
    assert_eq!(platform.rtc.unwrap().base, 0x0901_0000);
    let slots: Vec<_> = platform.virtio.iter().map(|slot| (slot.window.base, slot.interrupt.id)).collect();
    assert_eq!(slots, [(0x0a00_0000, 48), (0x0a00_0200, 49), (0x0a00_0400, 50), (0x0a00_0600, 51)]);
    assert_eq!(platform.virtio[0].interrupt.trigger, Trigger::Edge);
    assert_eq!(&*platform.bootargs, "swos.exit=semihosting");
    assert_eq!(platform.rng_seed.len(), 32);
    assert_eq!(platform.kaslr_seed, Some(0x0123_4567_89ab_cdef));
}

#[test]
fn knows_both_interrupt_controllers() {
    let platform = read(&virt(1, "arm,gic-v3")).unwrap();
    assert!(matches!(platform.gic, Some(Gic::V3 { redistributors: Region { base: 0x0801_0000, .. }, .. })));
}

#[test]
fn agrees_with_another_reader() {
    let tree = virt(3, "arm,gic-400");
    let other = Fdt::new(&tree).unwrap();
    let ours = read(&tree).unwrap();
    let theirs = other.find_node("/chosen").unwrap();
    assert_eq!(theirs.property("bootargs").unwrap().value_as::<&str>().unwrap(), &*ours.bootargs);
    let cpus = other.find_node("/cpus").unwrap().children().count();
    assert_eq!(cpus, ours.cpus.len());
}

#[test]
fn merges_sorts_and_drops_memory() {
    let tree = root(vec![
        memory(0x8000_0000, 0x1000),
        memory(0x4000_0000, 0x1000),
        memory(0x4000_1000, 0x1000),
        memory(0x6000_0000, 0),
        memory(u64::MAX - 0xfff, 0x2000),
        node(
            "memory@1",
            vec![text("device_type", "memory"), cells("reg", &[0, 1, 0]), text("status", "okay")],
            vec![],
        ),
        node(
            "memory@2",
            vec![text("device_type", "memory"), cells("reg", &[0, 0, 1, 0]), text("status", "disabled")],
            vec![],
        ),
    ]);
    let platform = read(&tree).unwrap();
    assert_eq!(
        platform.memory.as_slice(),
        [Region { base: 0x4000_0000, len: 0x2000 }, Region { base: 0x8000_0000, len: 0x1000 }]
    );
}

#[test]
fn honours_reservations() {
    let mut reserved = node(
        "reserved-memory",
        vec![cells("#address-cells", &[2]), cells("#size-cells", &[2]), cells("ranges", &[])],
        vec![],
    );
    reserved.add_child(node("firmware@1", vec![cells("reg", &[0, 0x4100_0000, 0, 0x2000])], vec![]));
    let platform = read(&root(vec![memory(0x4000_0000, 0x0200_0000), reserved])).unwrap();
    assert_eq!(platform.reserved.as_slice(), [Region { base: 0x4100_0000, len: 0x2000 }]);
}

#[test]
fn translates_through_a_bus_and_skips_what_has_no_address() {
    let uart = |compatible: &str| {
        node(
            "serial@100",
            vec![
                text("compatible", compatible),
                cells("reg", &[0x100, 0x1000]),
                cells("interrupts", &[0, 1, 4]),
            ],
            vec![],
        )
    };
    let bus = |ranges: Option<&[u32]>, child| {
        let mut properties = vec![cells("#address-cells", &[1]), cells("#size-cells", &[1])];
        properties.extend(ranges.map(|ranges| cells("ranges", ranges)));
        node("bus@0", properties, vec![child])
    };
    let window = |ranges: Option<&[u32]>| {
        let tree = root(vec![memory(0x4000_0000, 0x1000), bus(ranges, uart("arm,pl011"))]);
        read(&tree).unwrap().uart.map(|uart| uart.window.base)
    };
    assert_eq!(window(Some(&[])), Some(0x100));
    assert_eq!(window(Some(&[0, 0, 0x1c00_0000, 0x1_0000])), Some(0x1c00_0100));
    assert_eq!(window(Some(&[0, 0, 0x1c00_0000, 0x1000])), None, "the window passes the end of the range");
    assert_eq!(window(None), None, "a bus without ranges is not addressable");
}

#[test]
fn steps_over_names_that_the_library_refuses() {
    let long = "a-name-of-thirty-one-characters@40000000";
    let platform =
        read(&root(vec![node(long, vec![], vec![node("x", vec![], vec![])]), memory(0x4000_0000, 0x1000)]))
            .unwrap();
    assert_eq!(platform.memory.len(), 1);
}

#[test]
fn steps_over_deep_trees() {
    let mut deep = node("leaf", vec![text("compatible", "arm,pl011")], vec![]);
    for _ in 0..100 {
        deep = node("level", vec![], vec![deep]);
    }
    let platform = read(&root(vec![deep, memory(0x4000_0000, 0x1000)])).unwrap();
    assert_eq!((platform.memory.len(), platform.uart), (1, None));
}

#[test]
fn says_why_it_refuses() {
    assert_eq!(read(&[]), Err(Error::Truncated));
    assert_eq!(read(&[0; 64]), Err(Error::BadMagic));
    let tree = virt(1, "arm,gic-v3");
    assert_eq!(read(&tree[..tree.len() - 4]), Err(Error::Truncated));
    assert_eq!(tree_len(&tree), Ok(tree.len()));
    assert_eq!(read(&root(vec![])), Err(Error::NoMemory));
    let mut old = tree.clone();
    old[20..28].copy_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1]);
    assert_eq!(read(&old), Err(Error::BadVersion { version: 1 }));
    let mut room = vec![0u8; tree.len() + 16];
    let start = room.as_ptr().align_offset(8) + 4;
    room[start..start + tree.len()].copy_from_slice(&tree);
    assert_eq!(Platform::from_device_tree(&room[start..]), Err(Error::Misaligned));
}

#[test]
fn a_refused_tree_still_names_its_console() {
    let tree = virt(1, "arm,gic-v3");
    // The end token of the structure block becomes nonsense.
    let end = tree.windows(4).rposition(|word| word == [0, 0, 0, 9]).unwrap();
    let mut broken = tree.clone();
    broken[end + 3] = 8;
    let mut room = vec![0u8; broken.len() + 8];
    let start = room.as_ptr().align_offset(8);
    room[start..start + broken.len()].copy_from_slice(&broken);
    let bytes = &room[start..start + broken.len()];
    assert!(matches!(Platform::from_device_tree(bytes), Err(Error::Malformed { .. })));
    let console = Platform::console_only(bytes, 0x4020_0000);
    assert_eq!(console.uart.unwrap().window.base, 0x0900_0000);
    assert_eq!(console.memory.as_slice(), [Region { base: 0x4020_0000, len: 2 << 20 }]);
    assert_eq!(Platform::console_only(&[], 0x4020_0000).uart, None);
}

/// The most that the boot protocol allows is read; more is refused, with a console to say so on.
#[test]
fn a_tree_that_is_too_large_still_names_its_console() {
    let grown = |len: usize| {
        let mut tree = virt(1, "arm,gic-v3");
        tree.resize(len, 0);
        tree[4..8].copy_from_slice(&u32::try_from(len).unwrap().to_be_bytes());
        tree
    };
    assert!(read(&grown(2 << 20)).is_ok());
    let tree = grown((2 << 20) + 8);
    assert_eq!(read(&tree), Err(Error::TooLarge { len: tree.len() }));
    assert_eq!(tree_len(&tree[..40]), Err(Error::TooLarge { len: tree.len() }));
    let mut room = vec![0u8; tree.len() + 8];
    let start = room.as_ptr().align_offset(8);
    room[start..start + tree.len()].copy_from_slice(&tree);
    let console = Platform::console_only(&room[start..start + tree.len()], 0x4020_0000);
    assert_eq!(console.uart.unwrap().window.base, 0x0900_0000);
}

/// What holds for every platform, however strange its tree.
fn check(platform: &Platform) {
    for list in [&platform.memory, &platform.reserved] {
        assert!(list.iter().all(|region| region.len > 0 && region.base.checked_add(region.len).is_some()));
        assert!(list.windows(2).all(|pair| pair[0].end() < pair[1].base));
    }
    assert!(!platform.memory.is_empty() && !platform.cpus.is_empty());
    assert!(platform.virtio.windows(2).all(|pair| pair[0].window.base <= pair[1].window.base));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn survives_changed_bytes(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut tree = virt(2, "arm,gic-v3");
        for (at, value) in changes {
            let at = at.index(tree.len());
            tree[at] = value;
        }
        if let Ok(platform) = read(&tree) {
            check(&platform);
        }
    }

    #[test]
    fn survives_changed_words(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u32>()), 1..4)) {
        let mut tree = virt(2, "arm,gic-v3");
        for (at, value) in changes {
            let at = at.index(tree.len() / 4) * 4;
            tree[at..at + 4].copy_from_slice(&(value >> (value & 31)).to_be_bytes());
        }
        if let Ok(platform) = read(&tree) {
            check(&platform);
        }
    }

    #[test]
    fn survives_every_cut(len in any::<prop::sample::Index>()) {
        let mut tree = virt(2, "arm,gic-v3");
        tree.truncate(len.index(tree.len()));
        if tree.len() >= 8 {
            let len = (tree.len() as u32).to_be_bytes();
            tree[4..8].copy_from_slice(&len);
        }
        if let Ok(platform) = read(&tree) {
            check(&platform);
        }
    }
}

#[test]
fn a_timer_interrupt_that_all_processors_share_is_none() {
    let timer = |kind| {
        let interrupts = cells("interrupts", &[1, 13, 4, 1, 14, 4, kind, 11, 4, 1, 10, 4]);
        let timer = node("timer", vec![text("compatible", "arm,armv8-timer"), interrupts], vec![]);
        read(&root(vec![memory(0x4000_0000, 0x1000_0000), timer])).unwrap().timer
    };
    assert_eq!(timer(1).map(|timer| timer.virtual_el1.id), Some(27));
    assert_eq!(timer(0), None);
}
