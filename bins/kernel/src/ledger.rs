//! Who has each frame, and that nobody writes to a free one: checked in the kernel that checks itself, nothing in the
//! one that is shipped.
//!
//! The allocator knows whether a frame is free, not for whom it is in use. A frame that is given back once too often goes
//! to a second owner, and the harm shows much later in memory of neither. Here it stops the machine at once: a frame changes hands
//! by way of "free" alone, and a free frame keeps the pattern that it was filled with.

use core::sync::atomic::{AtomicU8, Ordering};
use swos_units::{Frame, PAGE_SIZE};

use crate::memory;

/// Who may use a frame. 0 in the ledger = nobody ever had it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Owner {
    /// Nobody; filled with the pattern.
    Free = 1,
    /// Address spaces, files and caches: what `kcore` reaches by number.
    Pages = 2,
    /// The kernel's heap and what devices have for ever.
    Heap = 3,
    /// The kernel's own tables.
    Tables = 4,
}

/// RAM begins there on the boards that the tests boot.
const FIRST: u64 = 0x4_0000;
/// Frames that are followed; those beyond are not.
const FRAMES: usize = 512 << 8;
/// What free frames are filled with.
const PATTERN: u64 = 0xfeee_feee_feee_feee;

static OWNERS: [AtomicU8; FRAMES] = [const { AtomicU8::new(0) }; FRAMES];

fn slot(frame: Frame) -> Option<&'static AtomicU8> {
    OWNERS.get(usize::try_from(frame.number().checked_sub(FIRST)?).ok()?)
}

fn words(frame: Frame) -> impl Iterator<Item = *mut u64> {
    let start: *mut u64 = memory::linear(frame).cast();
    (0..PAGE_SIZE / 8).map(move |index| start.wrapping_add(index))
}

/// A frame that was free is `owner`'s now.
pub(crate) fn take(frame: Frame, owner: Owner) {
    let Some(slot) = slot(frame) else { return };
    let before = slot.swap(owner as u8, Ordering::AcqRel);
    assert!(before <= Owner::Free as u8, "frame {frame:?} goes to {owner:?} while it is {before}'s");
    if before == Owner::Free as u8 {
        for word in words(frame) {
            // SAFETY: RAM in the linear map; nobody's until now, and the caller's from now on.
            let found = unsafe { word.read_volatile() };
            assert!(found == PATTERN, "free frame {frame:?} was written to: {found:#x} at {word:?}");
        }
    }
}

/// `owner` gives a frame back.
pub(crate) fn give_back(frame: Frame, owner: Owner) {
    let Some(slot) = slot(frame) else { return };
    // Before it is somebody else's.
    expect(frame, owner);
    for word in words(frame) {
        // SAFETY: RAM in the linear map, of which the caller has given up the last reference.
        unsafe { word.write_volatile(PATTERN) };
    }
    let before = slot.swap(Owner::Free as u8, Ordering::AcqRel);
    assert!(before == owner as u8, "frame {frame:?} is given back by {owner:?} while it is {before}'s");
}

/// `owner` uses a frame.
pub(crate) fn expect(frame: Frame, owner: Owner) {
    let Some(slot) = slot(frame) else { return };
    let found = slot.load(Ordering::Acquire);
    assert!(found == owner as u8, "frame {frame:?} is used by {owner:?} while it is {found}'s");
}
