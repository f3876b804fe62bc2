//! Version 4: 4 KiB blocks under a hash tree under a signature.
//!
//! FORMAT.md gives the layout byte by byte; this module is its reading and its writing.

mod blocks;
mod geometry;
mod index;
mod mount;
mod superblock;
mod verify;
mod write;

pub use blocks::{BlockVerifier, Expected};
pub use geometry::{Extent, Geometry};
pub use index::{Content, Entry, Index, Kind, Meta};
pub(crate) use mount::limit;
pub use mount::{Capacity, Image, Mount, Progress, READ_BLOCKS_MAX};
pub use superblock::{Superblock, Unverified};
pub use verify::verify_all;
pub(crate) use write::{Layout, layout};
pub use write::{Options, write};

use crate::BLOCK_SIZE;

/// The bytes of one block.
pub type Block = [u8; BLOCK_SIZE];

/// Version number in the superblock.
pub const VERSION: u32 = 4;
