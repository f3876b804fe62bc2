//! A sparse array: pages of a file by index, entries of a directory by sequence number.
//!
//! Sixteen slots a node, as high as the largest key asks for, and no node without a value below it.

use alloc::vec::Vec;

/// There is no memory for a node of the tree.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct NoMemory;

const BITS: u32 = 4;
const FANOUT: usize = 1 << BITS;

#[derive(Debug)]
enum Slot<T> {
    Empty,
    Value(T),
    Node(Node<T>),
}

/// Empty, or exactly [`FANOUT`] slots.
type Node<T> = Vec<Slot<T>>;

/// Values by key, ordered.
#[derive(Debug)]
pub(crate) struct Radix<T> {
    root: Node<T>,
    /// Levels; 0 = no values.
    height: u32,
    len: u64,
}

fn new_node<T>() -> Result<Node<T>, NoMemory> {
    let mut node = Vec::new();
    node.try_reserve_exact(FANOUT).map_err(|_| NoMemory)?;
    node.extend((0..FANOUT).map(|_| Slot::Empty));
    Ok(node)
}

const fn fits(key: u64, height: u32) -> bool {
    height * BITS >= u64::BITS || key >> (height * BITS) == 0
}

#[expect(clippy::cast_possible_truncation, reason = "masked to the digit's bits")]
const fn digit(key: u64, level: u32) -> usize {
    (key >> (level * BITS)) as usize & (FANOUT - 1)
}

fn is_empty<T>(node: &[Slot<T>]) -> bool {
    node.iter().all(|slot| matches!(slot, Slot::Empty))
}

impl<T: Copy> Radix<T> {
    pub(crate) const fn new() -> Self {
        Self { root: Vec::new(), height: 0, len: 0 }
    }

    /// Number of values.
    pub(crate) const fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn get(&self, key: u64) -> Option<T> {
        if !fits(key, self.height) {
            return None;
        }
        let mut node = &self.root;
        let mut level = self.height;
        loop {
            level = level.checked_sub(1)?;
            match node.get(digit(key, level))? {
                Slot::Empty => return None,
                Slot::Value(value) => return Some(*value),
                Slot::Node(child) => node = child,
            }
        }
    }

    /// Puts a value under a key, in place of the one that may be there. Without memory nothing changes.
    pub(crate) fn insert(&mut self, key: u64, value: T) -> Result<(), NoMemory> {
        if self.len == 0 {
            self.root = new_node()?;
            self.height = (u64::BITS - key.leading_zeros()).div_ceil(BITS).max(1);
        }
        while !fits(key, self.height) {
            let mut root = new_node()?;
            root[0] = Slot::Node(core::mem::take(&mut self.root));
            self.root = root;
            self.height += 1;
        }
        let mut node = &mut self.root;
        for level in (1..self.height).rev() {
            let slot = &mut node[digit(key, level)];
            if matches!(slot, Slot::Empty) {
                match new_node() {
                    Ok(child) => *slot = Slot::Node(child),
                    Err(error) => {
                        self.remove(key);
                        return Err(error);
                    }
                }
            }
            let Slot::Node(child) = &mut node[digit(key, level)] else { return Err(NoMemory) };
            node = child;
        }
        let slot = &mut node[digit(key, 0)];
        self.len += u64::from(matches!(slot, Slot::Empty));
        *slot = Slot::Value(value);
        Ok(())
    }

    /// Takes a value out, and frees the nodes that this leaves empty.
    pub(crate) fn remove(&mut self, key: u64) -> Option<T> {
        if self.height == 0 || !fits(key, self.height) {
            return None;
        }
        let removed = remove_below(&mut self.root, self.height - 1, key);
        self.len -= u64::from(removed.is_some());
        if is_empty(&self.root) {
            *self = Self::new();
        }
        removed
    }

    /// The value with the smallest key that is at least `from`.
    pub(crate) fn first_from(&self, from: u64) -> Option<(u64, T)> {
        if self.height == 0 || !fits(from, self.height) {
            return None;
        }
        first_below(&self.root, self.height - 1, from)
    }

    /// Takes out the value with the largest key, if that is at least `from`.
    pub(crate) fn pop_from(&mut self, from: u64) -> Option<(u64, T)> {
        let last = last_below(&self.root, self.height.checked_sub(1)?).filter(|&key| key >= from)?;
        self.remove(last).map(|value| (last, value))
    }

    /// Whether a key is at least `from`.
    pub(crate) fn reaches(&self, from: u64) -> bool {
        self.height
            .checked_sub(1)
            .and_then(|level| last_below(&self.root, level))
            .is_some_and(|key| key >= from)
    }
}

fn remove_below<T: Copy>(node: &mut Node<T>, level: u32, key: u64) -> Option<T> {
    let slot = node.get_mut(digit(key, level))?;
    match slot {
        Slot::Empty => None,
        Slot::Value(value) => {
            let value = *value;
            *slot = Slot::Empty;
            Some(value)
        }
        Slot::Node(child) => {
            let removed = remove_below(child, level.checked_sub(1)?, key);
            if is_empty(child) {
                *slot = Slot::Empty;
            }
            removed
        }
    }
}

fn first_below<T: Copy>(node: &[Slot<T>], level: u32, from: u64) -> Option<(u64, T)> {
    let shift = level * BITS;
    let start = digit(from, level);
    for (at, slot) in node.iter().enumerate().skip(start) {
        let base = (at as u64) << shift;
        match slot {
            Slot::Empty => {}
            Slot::Value(value) => return Some((base, *value)),
            Slot::Node(child) => {
                let rest = if at == start { from & ((1 << shift) - 1) } else { 0 };
                if let Some((key, value)) = first_below(child, level.checked_sub(1)?, rest) {
                    return Some((base | key, value));
                }
            }
        }
    }
    None
}

fn last_below<T>(node: &[Slot<T>], level: u32) -> Option<u64> {
    let (at, slot) = node.iter().enumerate().rfind(|(_, slot)| !matches!(slot, Slot::Empty))?;
    let base = (at as u64) << (level * BITS);
    match slot {
        Slot::Node(child) => last_below(child, level.checked_sub(1)?).map(|key| base | key),
        Slot::Empty | Slot::Value(_) => Some(base),
    }
}

#[cfg(test)]
mod tests;
