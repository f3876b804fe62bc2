//! Copies of an address space that share its frames.

use swos_units::Frame;

use crate::descriptor::{LAST_LEVEL, frame_of, shared_leaf};
use crate::memory::{TableMemory, Tlb};
use crate::pages::PageRange;
use crate::tables::{Error, Progress, Tables};
use crate::walk::{Cursor, page_at};

impl Tables {
    /// Gives `child` the leaves in `pages`, where it has none, with the same frames, reading at most about `budget`
    /// entries. Private leaves become copy-on-write in both, copy-on-write ones are copied as they are. Shared leaves are left out:
    /// who lends those pages may take them back meanwhile, and would not know of this copy; the child asks for them when it
    /// touches them. `shared` is told each frame that has one more holder then.
    ///
    /// No translation is invalidated here: a CPU that could write to a page may go on doing so. The caller
    /// invalidates this space when it has shared all that it wants to, and also when it gives up.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfTables`]: what was told is shared, nothing else changed. [`Error::OutOfRange`].
    /// [`Error::InsideBlock`]: only pages can be shared, as user space has them. [`Error::Mapped`].
    pub fn share_with(
        &mut self,
        memory: &mut impl TableMemory,
        tlb: &mut impl Tlb,
        child: &mut Self,
        pages: PageRange,
        budget: usize,
        mut shared: impl FnMut(Frame),
    ) -> Result<Progress, Error> {
        let Some((start, end)) = self.bounds(pages)? else { return Ok(Progress::Done) };
        let mut cursor = Cursor::new(start, end, budget.max(1));
        while let Some((number, place)) = cursor.next_leaf(memory, self.root(), self.summary()) {
            if place.level != LAST_LEVEL {
                return Err(Error::InsideBlock(page_at(self.half(), number)));
            }
            let Some(leaf) = shared_leaf(place.entry) else { continue };
            child.write_leaf(memory, tlb, number, leaf)?;
            if leaf != place.entry {
                memory.write(place.table, place.index, leaf);
            }
            shared(frame_of(leaf));
        }
        tlb.publish();
        Ok(if cursor.is_done() { Progress::Done } else { Progress::More(page_at(self.half(), cursor.next)) })
    }
}
