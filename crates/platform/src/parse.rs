//! From tokens to a [`Platform`], in one pass.

use crate::fdt::{self, Token, Tokens};
use crate::node::{Bus, Cells, Properties, first_string};
use crate::{Conduit, Cpu, Device, Error, Gic, MAX_REGIONS, Platform, Region, Timer};
use arrayvec::ArrayVec;
use fdt_rs::base::DevTree;

/// Nodes deeper than this are stepped over; nothing that we look for is.
const MAX_DEPTH: usize = 8;
/// Serial ports among which `/chosen/stdout-path` may choose.
const MAX_UARTS: usize = 4;

/// The nodes open above the one being read.
type Ancestors<'a> = ArrayVec<Level<'a>, MAX_DEPTH>;

#[derive(Clone, Copy)]
struct Level<'a> {
    name: &'a [u8],
    bus: Bus<'a>,
}

#[derive(Default)]
struct Builder<'a> {
    platform: Platform,
    stdout: &'a [u8],
    uarts: ArrayVec<(&'a [u8], Device), MAX_UARTS>,
}

pub(crate) fn platform(dtb: &[u8]) -> Result<Platform, Error> {
    let tree = fdt::open(dtb)?;
    let mut builder = Builder::default();
    read(&tree, &mut builder)?;
    builder.finish()
}

pub(crate) fn console_only(dtb: &[u8], image: u64) -> Platform {
    let mut builder = Builder::default();
    if let Ok(tree) = fdt::open_any(dtb) {
        // Refused before; what came before the defect counts.
        let _ = read(&tree, &mut builder);
        builder.choose_uart();
    }
    let Platform { uart, psci, bootargs, .. } = builder.platform;
    let memory = Region::new(image, 2 << 20).into_iter().collect();
    Platform { memory, uart, psci, bootargs, ..Platform::default() }
}

fn read<'a>(tree: &DevTree<'a>, builder: &mut Builder<'a>) -> Result<(), Error> {
    let mut tokens = Tokens::new(tree)?;
    for (base, len) in tokens.reservations() {
        if let Some(region) = Region::new(base, len) {
            insert(&mut builder.platform.reserved, region)?;
        }
    }
    let mut ancestors = Ancestors::new();
    let mut depth = 0usize;
    // The node whose properties are being read, until its first child or its end.
    let mut open: Option<Properties<'_>> = None;
    loop {
        let offset = tokens.offset();
        let malformed = Error::Malformed { offset };
        match tokens.next()? {
            Some(Token::Begin { name }) => {
                if let Some(node) = open.take() {
                    builder.node(&ancestors, &node)?;
                    push(&mut ancestors, &node);
                }
                depth = depth.checked_add(1).ok_or(malformed)?;
                if depth <= MAX_DEPTH {
                    open = Some(Properties { name, ..Properties::default() });
                }
            }
            Some(Token::Property { name, value }) => {
                if let Some(node) = &mut open {
                    node.record(name, value);
                }
            }
            Some(Token::End) => {
                match open.take() {
                    Some(node) => builder.node(&ancestors, &node)?,
                    None if depth <= MAX_DEPTH => drop(ancestors.pop()),
                    None => {}
                }
                depth = depth.checked_sub(1).ok_or(malformed)?;
            }
            None => break,
        }
    }
    if depth != 0 {
        return Err(Error::Malformed { offset: tokens.offset() });
    }
    Ok(())
}

fn push<'a>(ancestors: &mut Ancestors<'a>, node: &Properties<'a>) {
    let parent_address = ancestors.last().map_or(Cells::DEFAULT, |parent| parent.bus.child).address;
    // The root's addresses are the processor's.
    let ranges = if ancestors.is_empty() { Some(&[][..]) } else { node.ranges };
    let bus = Bus { ranges, child: Cells::of(node), parent_address };
    // Never full: the caller opens no node deeper than the array is long.
    let _ = ancestors.try_push(Level { name: node.name, bus });
}

impl<'a> Builder<'a> {
    fn node(&mut self, ancestors: &Ancestors<'a>, node: &Properties<'a>) -> Result<(), Error> {
        let parent = ancestors.last();
        let cells = parent.map_or(Cells::DEFAULT, |parent| parent.bus.child);
        let path: ArrayVec<&[u8], 2> = ancestors.iter().skip(1).map(|level| level.name).take(2).collect();
        match (path.as_slice(), node.name) {
            ([], b"chosen") => self.chosen(node),
            ([], b"") => {}
            ([], _) if first_string(node.device_type) == b"memory" && node.is_enabled() => {
                for (base, len) in cells.reg(node.reg) {
                    if let Some(region) = Region::new(base, len) {
                        insert(&mut self.platform.memory, region)?;
                    }
                }
            }
            ([b"cpus"], _) if first_string(node.device_type) == b"cpu" => {
                if let Some((mpidr, _)) = cells.reg(node.reg).next()
                    && node.is_enabled()
                    && !self.platform.cpus.iter().any(|cpu| cpu.mpidr == mpidr)
                {
                    // More than we record stay off.
                    let _ = self.platform.cpus.try_push(Cpu { mpidr });
                }
            }
            ([b"reserved-memory"], _) => {
                for (base, len) in cells.reg(node.reg) {
                    if let Some(region) = Region::new(base, len) {
                        insert(&mut self.platform.reserved, region)?;
                    }
                }
            }
            _ if !node.compatible.is_empty() && node.is_enabled() => self.device(ancestors, cells, node),
            _ => {}
        }
        Ok(())
    }

    fn chosen(&mut self, node: &Properties<'a>) {
        let args = first_string(node.bootargs);
        let args = match core::str::from_utf8(args) {
            Ok(args) => args,
            Err(error) => core::str::from_utf8(args.get(..error.valid_up_to()).unwrap_or(&[])).unwrap_or(""),
        };
        let end = args.floor_char_boundary(self.platform.bootargs.capacity());
        self.platform.bootargs.clear();
        let _ = self.platform.bootargs.try_push_str(args.get(..end).unwrap_or(""));
        self.platform.rng_seed = node.rng_seed.iter().copied().take(64).collect();
        self.platform.kaslr_seed = node.kaslr_seed.try_into().ok().map(u64::from_be_bytes);
        // `/pl011@9000000:115200n8`: the last name, without the line's settings.
        let path = first_string(node.stdout_path).split(|&byte| byte == b':').next().unwrap_or(&[]);
        self.stdout = path.rsplit(|&byte| byte == b'/').next().unwrap_or(&[]);
    }

    fn device(&mut self, ancestors: &Ancestors<'a>, cells: Cells, node: &Properties<'a>) {
        let window = |index| -> Option<Region> {
            let (base, len) = cells.reg(node.reg).nth(index)?;
            ancestors
                .iter()
                .rev()
                .try_fold(Region::new(base, len)?, |region, level| level.bus.translate(region))
        };
        let device = || Some(Device { window: window(0)?, interrupt: node.interrupt(0)? });
        let is = |wanted| node.is_compatible(wanted);
        let platform = &mut self.platform;
        if is(b"virtio,mmio") {
            if let Some(device) = device() {
                let at = platform.virtio.partition_point(|other| other.window.base < device.window.base);
                // More than we record are not used.
                let _ = platform.virtio.try_insert(at, device);
            }
        } else if is(b"arm,pl011") {
            if let Some(device) = device() {
                let _ = self.uarts.try_push((node.name, device));
            }
        } else if is(b"arm,pl031") {
            platform.rtc = platform.rtc.or_else(|| window(0));
        } else if is(b"arm,gic-v3") {
            platform.gic = platform
                .gic
                .or_else(|| Some(Gic::V3 { distributor: window(0)?, redistributors: window(1)? }));
        } else if [&b"arm,cortex-a15-gic"[..], b"arm,gic-400", b"arm,cortex-a7-gic", b"arm,cortex-a9-gic"]
            .into_iter()
            .any(is)
        {
            platform.gic =
                platform.gic.or_else(|| Some(Gic::V2 { distributor: window(0)?, cpu_interface: window(1)? }));
        } else if is(b"arm,armv8-timer") || is(b"arm,armv7-timer") {
            // Secure, non-secure, virtual, hypervisor: in this order by the binding.
            // It is private to each processor; anything else would never arrive where it is waited for.
            platform.timer = node
                .interrupt(2)
                .filter(|interrupt| (16..32).contains(&interrupt.id))
                .map(|virtual_el1| Timer { virtual_el1 });
        } else if is(b"arm,psci-1.0") || is(b"arm,psci-0.2") {
            platform.psci = match first_string(node.method) {
                b"hvc" => Some(Conduit::Hvc),
                b"smc" => Some(Conduit::Smc),
                _ => None,
            };
        }
    }

    fn choose_uart(&mut self) {
        let named = self.uarts.iter().find(|(name, _)| !name.is_empty() && *name == self.stdout);
        self.platform.uart = named.or(self.uarts.first()).map(|&(_, device)| device);
    }

    fn finish(mut self) -> Result<Platform, Error> {
        self.choose_uart();
        if self.platform.cpus.is_empty() {
            // No `/cpus`: we run on something, and its affinity is of no use to us.
            self.platform.cpus.push(Cpu { mpidr: 0 });
        }
        if self.platform.memory.is_empty() {
            return Err(Error::NoMemory);
        }
        Ok(self.platform)
    }
}

/// Adds `region` to a sorted, disjoint list, merging what it touches.
fn insert(list: &mut ArrayVec<Region, MAX_REGIONS>, region: Region) -> Result<(), Error> {
    let first = list.partition_point(|other| other.end() < region.base);
    let mut merged = region;
    while let Some(&other) = list.get(first).filter(|other| other.base <= merged.end()) {
        let base = merged.base.min(other.base);
        merged = Region { base, len: merged.end().max(other.end()) - base };
        list.remove(first);
    }
    list.try_insert(first, merged).map_err(|_| Error::TooManyRegions)
}
