//! Taking tables apart in steps.

use swos_units::Frame;

use crate::descriptor::{Attributes, Entry, LAST_LEVEL, decode, summary_of};
use crate::memory::TableMemory;
use crate::walk::{EMPTY_PER_ENTRY, ENTRIES, PageSize, first_in_group, next_used};

/// A table on the path from the root.
#[derive(Clone, Copy, Debug, Default)]
struct Level {
    table: Frame,
    summary: u64,
    index: usize,
}

/// Tables being taken apart: every leaf is reported once, every table freed once, a bounded piece at a time.
#[derive(Debug)]
pub struct Teardown {
    path: [Level; LAST_LEVEL as usize + 1],
    /// How many tables of the path are open; zero when all is done.
    depth: usize,
}

impl Teardown {
    pub(crate) fn new(root: Frame, summary: u64) -> Self {
        let mut path = [Level::default(); LAST_LEVEL as usize + 1];
        path[0] = Level { table: root, summary, index: 0 };
        Self { path, depth: 1 }
    }

    /// Reads up to `budget` entries, of which eight empty ones in a row count as one, and reports the leaves among them. Returns whether all is done; the root is freed then.
    pub fn step(
        &mut self,
        memory: &mut impl TableMemory,
        budget: usize,
        mut leaf: impl FnMut(Frame, Attributes, PageSize),
    ) -> bool {
        let mut left = budget.max(1);
        while left > 0 {
            left -= 1;
            let Some(depth) = self.depth.checked_sub(1) else { return true };
            let level = &mut self.path[depth];
            level.index = next_used(level.summary, level.index);
            if level.index == ENTRIES {
                memory.free_table(level.table);
                self.depth = depth;
                continue;
            }
            let first = level.index;
            let (index, entry) = first_in_group(memory, level.table, first, ENTRIES);
            left = left.saturating_sub((index - first) / EMPTY_PER_ENTRY);
            level.index = if entry == 0 { index } else { index + 1 };
            #[expect(clippy::cast_possible_truncation, reason = "at most 3")]
            let number = depth as u32;
            match decode(entry, number) {
                Entry::Empty => {}
                Entry::Leaf(frame, attributes) => leaf(frame, attributes, PageSize::at_level(number)),
                Entry::Table(table) => {
                    self.path[depth + 1] = Level { table, summary: summary_of(entry), index: 0 };
                    self.depth = depth + 2;
                }
            }
        }
        self.depth == 0
    }

    /// Whether every table has been freed.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.depth == 0
    }
}
