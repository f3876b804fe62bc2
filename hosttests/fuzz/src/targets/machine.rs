//! What the machine says about itself: device tree and boot arguments.

use dtoolkit::model::{DeviceTree, DeviceTreeNode, DeviceTreeProperty};
use swos_platform::{Gic, Options, Platform, Region, tree_len};

/// A device tree: refused, or a platform that keeps every promise of the crate.
pub(super) fn device_tree(data: &[u8]) {
    // The reader asks for a multiple of 8 bytes, which a slice does not promise.
    let mut room = vec![0; data.len() + 16];
    let start = room.as_ptr().align_offset(8);
    room[start..start + data.len()].copy_from_slice(data);
    let tree = &room[start..start + data.len()];

    let console = Platform::console_only(tree, 0x4008_0000);
    assert_eq!(console.memory.as_slice(), [Region { base: 0x4008_0000, len: 2 << 20 }]);
    let read = Platform::from_device_tree(tree);
    assert_eq!(Platform::from_device_tree(tree), read);
    let Ok(platform) = read else { return };

    let len = tree_len(data).expect("a tree that was read has a length");
    assert!(len <= data.len());
    assert_eq!(Platform::from_device_tree(&tree[..len]), Ok(platform.clone()), "what follows a tree counts");
    assert!(!platform.memory.is_empty() && !platform.cpus.is_empty());
    for regions in [&platform.memory, &platform.reserved] {
        regions.iter().for_each(|region| check(*region));
        assert!(regions.windows(2).all(|pair| pair[0].end() <= pair[1].base), "{regions:?}");
    }
    for (at, cpu) in platform.cpus.iter().enumerate() {
        assert!(!platform.cpus[..at].contains(cpu), "the same processor twice");
    }
    match platform.gic {
        Some(Gic::V2 { distributor: first, cpu_interface: second })
        | Some(Gic::V3 { distributor: first, redistributors: second }) => {
            check(first);
            check(second);
        }
        None => {}
    }
    platform.rtc.into_iter().for_each(check);
    for device in platform.virtio.iter().chain(&platform.uart) {
        check(device.window);
        assert!((16..1020).contains(&device.interrupt.id), "{device:?}");
    }
    if let Some(timer) = platform.timer {
        assert!((16..32).contains(&timer.virtual_el1.id), "{timer:?}");
    }
    assert!(platform.virtio.windows(2).all(|pair| pair[0].window.base <= pair[1].window.base));
    boot_options(platform.bootargs.as_bytes());
}

fn check(region: Region) {
    assert_eq!(Region::new(region.base, region.len), Some(region));
}

/// Boot arguments: read again from what was understood, they mean the same.
pub(super) fn boot_options(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let options = Options::parse(text);
    assert!(options.address.is_none_or(|(_, prefix)| prefix <= 32));
    assert!(text.ends_with(options.init), "init gets the end of the line");
    assert!(options.refused.iter().all(|word| text.contains(word)));
    assert_eq!(Options::parse(text), options);
}

pub(super) fn boot_options_seeds() -> Vec<Vec<u8>> {
    let lines: [&[u8]; 3] = [
        b"swos.exit=semihosting swos.panic=reset swos.log=debug -- -v x",
        b"swos.ip=10.0.2.15/24 swos.gateway=10.0.2.2 swos.panic=halt",
        b"console=ttyAMA0 swos.ip=1.2.3.4 swos.log=loud --",
    ];
    lines.map(<[u8]>::to_vec).into()
}

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
    DeviceTreeProperty::new(name, [value.as_bytes(), &[0]].concat().as_slice()).unwrap()
}

/// Two machines in the manner of QEMU's: one flat, one with its devices on a bus that translates.
pub(super) fn device_tree_seeds() -> Vec<Vec<u8>> {
    let memory = |base: u32, len: u32| {
        let properties = vec![text("device_type", "memory"), cells("reg", &[0, base, 0, len])];
        node(&format!("memory@{base:x}"), properties, vec![])
    };
    let cpu =
        |id: u32| node(&format!("cpu@{id}"), vec![text("device_type", "cpu"), cells("reg", &[id])], vec![]);
    let cpus =
        node("cpus", vec![cells("#address-cells", &[1]), cells("#size-cells", &[0])], vec![cpu(0), cpu(1)]);
    let device = |name: &str, compatible: &str, base: u32, len: u32, interrupt: u32| {
        let reg = cells("reg", &[0, base, 0, len]);
        let properties = vec![text("compatible", compatible), reg, cells("interrupts", &[0, interrupt, 4])];
        node(&format!("{name}@{base:x}"), properties, vec![])
    };
    let gic = |compatible: &str| {
        let reg = cells("reg", &[0, 0x0800_0000, 0, 0x10000, 0, 0x0801_0000, 0, 0x10000]);
        node("intc@8000000", vec![text("compatible", compatible), reg], vec![])
    };
    let timer = || {
        let interrupts = cells("interrupts", &[1, 13, 0x104, 1, 14, 0x104, 1, 11, 0x104, 1, 10, 0x104]);
        node("timer", vec![text("compatible", "arm,armv8-timer"), interrupts], vec![])
    };
    let psci = || node("psci", vec![text("compatible", "arm,psci-1.0"), text("method", "hvc")], vec![]);
    let chosen = || {
        let args = text("bootargs", "swos.ip=10.0.2.15/24 -- x");
        let stdout = text("stdout-path", "/pl011@9000000:115200n8");
        let seeds = [cells("rng-seed", &[1, 2, 3, 4]), cells("kaslr-seed", &[5, 6])];
        node("chosen", [args, stdout].into_iter().chain(seeds).collect(), vec![])
    };
    let devices = || {
        vec![
            device("pl011", "arm,pl011\0arm,primecell", 0x0900_0000, 0x1000, 1),
            device("pl031", "arm,pl031", 0x0901_0000, 0x1000, 2),
            device("virtio_mmio", "virtio,mmio", 0x0a00_0200, 0x200, 17),
            device("virtio_mmio", "virtio,mmio", 0x0a00_0000, 0x200, 16),
        ]
    };
    let sized = || vec![cells("#address-cells", &[2]), cells("#size-cells", &[2])];
    let tree = |children: Vec<DeviceTreeNode>| {
        let mut tree = DeviceTree::new();
        tree.root = node("", sized(), children);
        tree.to_dtb()
    };
    let mut flat =
        vec![psci(), memory(0x4000_0000, 0x1000_0000), cpus.clone(), timer(), gic("arm,gic-v3"), chosen()];
    flat.extend(devices());
    let ranges = cells("ranges", &[0, 0, 0, 0x1000_0000, 0, 0x1000_0000]);
    let bus = node("soc", sized().into_iter().chain([ranges]).collect(), devices());
    let reserved = node("reserved-memory", sized(), vec![memory(0x4100_0000, 0x1000)]);
    let nested = vec![
        memory(0x4000_0000, 0x200_0000),
        memory(0x8000_0000, 0x200_0000),
        cpus,
        gic("arm,cortex-a15-gic"),
        bus,
        reserved,
    ];
    vec![tree(flat), tree(nested)]
}
