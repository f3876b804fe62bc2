//! One slab: a frame with a header and objects of one size.

use core::ptr::NonNull;

use swos_units::PAGE_SIZE;

use crate::class::{Class, HEADER_BYTES};

/// The start of a slab's frame.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Header {
    /// Neighbours in the list of slabs with free objects. Meaningless while the slab is full.
    pub(crate) next: Option<NonNull<Self>>,
    pub(crate) previous: Option<NonNull<Self>>,
    /// Offset of the first freed object in the frame; zero if there is none. Each freed object begins with the next offset.
    free: u16,
    /// Offset of the first object that was never handed out; the frame's end if there is none.
    fresh: u16,
    /// Objects handed out.
    pub(crate) used: u16,
}

const _: () = assert!(size_of::<Header>() <= HEADER_BYTES && PAGE_SIZE <= u16::MAX as usize);

/// Bytes of the link in a freed object.
const LINK: usize = size_of::<u16>();
/// What a freed object is filled with behind its link, where that is checked.
const PATTERN: u8 = 0xdd;

/// That nobody has written to a freed object.
///
/// # Safety
///
/// `object` must be a freed one of `class`.
unsafe fn check(object: NonNull<u8>, class: Class) {
    for offset in LINK..class.size() {
        // SAFETY: inside the object, which `put` has filled.
        let found = unsafe { object.add(offset).read_volatile() };
        assert!(
            found == PATTERN,
            "a free object of {} bytes was written to: byte {offset} is {found:#x}",
            class.size()
        );
    }
}

impl Header {
    /// Makes a slab of a frame.
    ///
    /// # Safety
    ///
    /// `frame` must point to a frame, aligned to its size, that is the caller's to use; the result has its provenance.
    #[expect(clippy::cast_possible_truncation, reason = "offsets in a frame fit 16 bits, asserted above")]
    pub(crate) unsafe fn make(frame: NonNull<u8>, class: Class) -> NonNull<Self> {
        let header = frame.cast::<Self>();
        let value = Self { next: None, previous: None, free: 0, fresh: class.first() as u16, used: 0 };
        // SAFETY: the frame is ours, large enough and aligned, says the caller.
        unsafe { header.write(value) };
        header
    }

    /// The slab that `object` lies in.
    pub(crate) fn of(object: NonNull<u8>) -> NonNull<Self> {
        object
            .map_addr(|address| {
                // An object never lies at the frame's start, and frame 0 is handed out to nobody.
                core::num::NonZero::new(address.get() & !(PAGE_SIZE - 1)).unwrap_or(address)
            })
            .cast()
    }

    /// Whether every object is handed out.
    pub(crate) fn is_full(&self) -> bool {
        self.free == 0 && usize::from(self.fresh) == PAGE_SIZE
    }

    /// Takes an object from the slab at `slab`.
    ///
    /// # Safety
    ///
    /// `slab` must come from [`Self::make`] with `class` (or [`Self::of`] for one of its objects), not be full, and
    /// nobody else may be using it.
    pub(crate) unsafe fn take(slab: NonNull<Self>, class: Class) -> NonNull<u8> {
        // SAFETY: the header is initialised and ours alone, says the caller. The reference ends before objects are touched.
        let header = unsafe { &mut *slab.as_ptr() };
        header.used += 1;
        if header.free == 0 {
            let offset = header.fresh;
            #[expect(clippy::cast_possible_truncation, reason = "a size class is at most 2032")]
            let size = class.size() as u16;
            header.fresh += size;
            // SAFETY: `fresh` was below the frame's end, for the slab is not full; so this stays in the frame.
            return unsafe { slab.cast::<u8>().add(usize::from(offset)) };
        }
        // SAFETY: `free` is the offset of an object of this slab, written by `put`.
        let object = unsafe { slab.cast::<u8>().add(usize::from(header.free)) };
        // SAFETY: the object is free, so its first bytes hold the link that `put` wrote; objects are 16-byte aligned.
        header.free = unsafe { object.cast::<u16>().read() };
        if cfg!(debug_assertions) {
            // SAFETY: the object is free and ours.
            unsafe { check(object, class) };
        }
        object
    }

    /// Gives an object back to the slab at `slab`.
    ///
    /// # Safety
    ///
    /// `object` must come from [`Self::take`] on this slab with `class` and not be in use any more; nobody else may be using the slab.
    pub(crate) unsafe fn put(slab: NonNull<Self>, object: NonNull<u8>, class: Class) {
        let offset = object.addr().get() & (PAGE_SIZE - 1);
        // SAFETY: the header is initialised and ours alone, says the caller; the object does not overlap it.
        let header = unsafe { &mut *slab.as_ptr() };
        // SAFETY: the object is ours again, at least 16 bytes long and 16-byte aligned.
        unsafe { object.cast::<u16>().write(header.free) };
        if cfg!(debug_assertions) {
            // SAFETY: as above.
            unsafe { object.add(LINK).write_bytes(PATTERN, class.size() - LINK) };
        }
        #[expect(clippy::cast_possible_truncation, reason = "an offset in a frame")]
        let offset = offset as u16;
        header.free = offset;
        header.used -= 1;
    }
}
