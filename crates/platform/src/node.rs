//! One node: the properties that matter, found by name, and the cells in them.

use crate::fdt::be32;
use crate::{Interrupt, Region, Trigger};

/// The properties of a node that anyone here asks for. Empty slices where absent.
#[derive(Clone, Copy, Default)]
pub(crate) struct Properties<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) compatible: &'a [u8],
    pub(crate) reg: &'a [u8],
    pub(crate) interrupts: &'a [u8],
    pub(crate) device_type: &'a [u8],
    pub(crate) status: &'a [u8],
    pub(crate) method: &'a [u8],
    /// `None`: absent, so that children are not addressable from here.
    pub(crate) ranges: Option<&'a [u8]>,
    pub(crate) bootargs: &'a [u8],
    pub(crate) stdout_path: &'a [u8],
    pub(crate) rng_seed: &'a [u8],
    pub(crate) kaslr_seed: &'a [u8],
    /// `#address-cells` for the children.
    pub(crate) address_cells: Option<u32>,
    /// `#size-cells` for the children.
    pub(crate) size_cells: Option<u32>,
}

impl<'a> Properties<'a> {
    /// Records one property. `name` runs on past its terminating zero.
    pub(crate) fn record(&mut self, name: &'a [u8], value: &'a [u8]) {
        let is = |wanted: &[u8]| name.starts_with(wanted);
        // By first letter: a tree has hundreds of properties, and this runs at every boot.
        match name.first() {
            Some(b'c') if is(b"compatible\0") => self.compatible = value,
            Some(b'r') if is(b"reg\0") => self.reg = value,
            Some(b'r') if is(b"ranges\0") => self.ranges = Some(value),
            Some(b'r') if is(b"rng-seed\0") => self.rng_seed = value,
            Some(b'i') if is(b"interrupts\0") => self.interrupts = value,
            Some(b'd') if is(b"device_type\0") => self.device_type = value,
            Some(b's') if is(b"status\0") => self.status = value,
            Some(b's') if is(b"stdout-path\0") => self.stdout_path = value,
            Some(b'm') if is(b"method\0") => self.method = value,
            Some(b'b') if is(b"bootargs\0") => self.bootargs = value,
            Some(b'k') if is(b"kaslr-seed\0") => self.kaslr_seed = value,
            Some(b'#') if is(b"#address-cells\0") => self.address_cells = be32(value, 0),
            Some(b'#') if is(b"#size-cells\0") => self.size_cells = be32(value, 0),
            _ => {}
        }
    }

    /// Whether the node may be used.
    pub(crate) fn is_enabled(&self) -> bool {
        matches!(first_string(self.status), b"" | b"okay" | b"ok")
    }

    /// Whether `wanted` is among the compatible strings.
    pub(crate) fn is_compatible(&self, wanted: &[u8]) -> bool {
        self.compatible.split(|&byte| byte == 0).any(|entry| entry == wanted)
    }

    /// The `index`th interrupt specifier of three cells.
    pub(crate) fn interrupt(&self, index: usize) -> Option<Interrupt> {
        let at = index.checked_mul(12)?;
        let number = be32(self.interrupts, at.checked_add(4)?)?;
        let (first, count) = match be32(self.interrupts, at)? {
            0 => (32, 988),
            1 => (16, 16),
            _ => return None,
        };
        let flags = be32(self.interrupts, at.checked_add(8)?)?;
        let trigger = if flags & 3 != 0 { Trigger::Edge } else { Trigger::Level };
        (number < count).then(|| Interrupt { id: first + number, trigger })
    }
}

/// A string property's first string, without the zero.
pub(crate) fn first_string(value: &[u8]) -> &[u8] {
    value.split(|&byte| byte == 0).next().unwrap_or(&[])
}

/// How many cells an address and a size take under a node.
#[derive(Clone, Copy)]
pub(crate) struct Cells {
    pub(crate) address: usize,
    pub(crate) size: usize,
}

impl Cells {
    /// The defaults of the specification, §2.3.5.
    pub(crate) const DEFAULT: Self = Self { address: 2, size: 1 };

    /// What `node` says for its children; out-of-range counts yield no `reg` at all.
    pub(crate) fn of(node: &Properties<'_>) -> Self {
        let count = |cells: Option<u32>, default| cells.map_or(default, |cells| cells.min(4) as usize);
        Self {
            address: count(node.address_cells, Self::DEFAULT.address),
            size: count(node.size_cells, Self::DEFAULT.size),
        }
    }

    /// The entries of a `reg`, as base and length. Stops at the first entry that does not fit 64 bits.
    pub(crate) fn reg(self, mut bytes: &[u8]) -> impl Iterator<Item = (u64, u64)> {
        core::iter::from_fn(move || {
            let (base, rest) = number(bytes, self.address)?;
            let (len, rest) = number(rest, self.size)?;
            if rest.len() == bytes.len() {
                return None;
            }
            bytes = rest;
            Some((base, len))
        })
    }
}

/// A number of `cells` cells at the head of `bytes`, and what follows it.
fn number(bytes: &[u8], cells: usize) -> Option<(u64, &[u8])> {
    let (head, rest) = bytes.split_at_checked(cells.checked_mul(4)?)?;
    let mut value = 0u64;
    for cell in head.chunks_exact(4) {
        if value >> 32 != 0 {
            return None;
        }
        value = value << 32 | u64::from(be32(cell, 0)?);
    }
    Some((value, rest))
}

/// Address translation from a bus to its parent: the `ranges` of the bus.
#[derive(Clone, Copy)]
pub(crate) struct Bus<'a> {
    pub(crate) ranges: Option<&'a [u8]>,
    pub(crate) child: Cells,
    pub(crate) parent_address: usize,
}

impl Bus<'_> {
    /// Where `region` of this bus lies in its parent's space.
    pub(crate) fn translate(&self, region: Region) -> Option<Region> {
        let mut bytes = self.ranges?;
        if bytes.is_empty() {
            return Some(region);
        }
        loop {
            let (child, rest) = number(bytes, self.child.address)?;
            let (parent, rest) = number(rest, self.parent_address)?;
            let (len, rest) = number(rest, self.child.size)?;
            if rest.len() == bytes.len() {
                return None;
            }
            bytes = rest;
            let Some(into) = region.base.checked_sub(child) else { continue };
            if into.checked_add(region.len).is_some_and(|end| end <= len) {
                return Region::new(parent.checked_add(into)?, region.len);
            }
        }
    }
}
