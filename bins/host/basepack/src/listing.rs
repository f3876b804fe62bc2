//! Verifies images and shows what is in them. Nothing is shown that was not verified.

use core::fmt::{self, Write as _};

use anyhow::{Result, bail};
use swos_swosbase::v4::{Content, Index};
use swos_swosbase::{BLOCK_SIZE, PublicKey, Software, v3, v4, version};

/// What was verified.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Summary {
    /// Version of the format.
    pub format: u32,
    /// Version of the image; version 3 has none.
    pub image_version: Option<u64>,
    /// Entries, the root not counted.
    pub entries: u32,
    /// Bytes of the image.
    pub bytes: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "format {}, {} entries, {} bytes", self.format, self.entries, self.bytes)?;
        if let Some(image_version) = self.image_version {
            write!(f, ", image version {image_version}")?;
        }
        Ok(())
    }
}

/// Verifies every byte of an image of either version.
///
/// # Errors
///
/// Why it is refused.
pub fn verify(image: &[u8], keys: &[PublicKey], floor: u64) -> Result<Summary> {
    let bytes = image.len() as u64;
    match version(image) {
        Some(v3::VERSION) => {
            if floor > 0 {
                bail!("a version 3 image has no image version, so it can't be compared with {floor}");
            }
            let metadata = v3::verify_all(&Software, image, keys)?;
            Ok(Summary { format: 3, image_version: None, entries: metadata.len(), bytes })
        }
        Some(v4::VERSION) => {
            let mounted = v4::verify_all(&Software, image, keys, floor)?;
            let image_version = Some(mounted.superblock.image_version);
            Ok(Summary { format: 4, image_version, entries: mounted.index.len() - 1, bytes })
        }
        Some(found) => Err(swos_swosbase::Error::UnsupportedVersion { found }.into()),
        None => Err(swos_swosbase::Error::BadMagic.into()),
    }
}

/// Verifies an image and lists it: kind and mode, owner, size, path, one entry a line.
///
/// # Errors
///
/// Why it is refused.
pub fn list(image: &[u8], keys: &[PublicKey]) -> Result<String> {
    let mut text = String::new();
    if version(image) == Some(v3::VERSION) {
        for entry in v3::verify_all(&Software, image, keys)?.entries() {
            let kind = if entry.kind == v3::Kind::Directory { 'd' } else { '-' };
            let path = entry.path.escape_ascii();
            writeln!(text, "{kind}{:04o} {:>5} {:>10} {path}", entry.mode, entry.owner, entry.size)?;
        }
        return Ok(text);
    }
    let mounted = v4::verify_all(&Software, image, keys, 0)?;
    for (path, at) in paths(&mounted.index) {
        let Some(entry) = mounted.index.entry(at) else { continue };
        let (kind, size, target) = match entry.content {
            Content::Directory { .. } => ('d', 0, None),
            Content::File { size, .. } => ('-', size, None),
            Content::Symlink { target } => ('l', target.len() as u64, Some(target)),
        };
        write!(text, "{kind}{:04o} {:>5} {size:>10} {}", entry.mode, entry.owner, path.escape_ascii())?;
        if let Some(target) = target {
            write!(text, " -> {}", target.escape_ascii())?;
        }
        text.push('\n');
    }
    Ok(text)
}

/// Every entry but the root with its path, a directory before its content.
pub(crate) fn paths(index: &Index) -> Vec<(Vec<u8>, u32)> {
    let mut paths: Vec<(Vec<u8>, u32)> = vec![(Vec::new(), 0)];
    // Parents have lower numbers, so each finds its parent's path there already.
    for at in 1..index.len() {
        let Some(entry) = index.entry(at) else { continue };
        let mut path = usize::try_from(entry.parent)
            .ok()
            .and_then(|parent| paths.get(parent))
            .map_or_else(Vec::new, |(path, _)| path.clone());
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(entry.name);
        paths.push((path, at));
    }
    paths.remove(0);
    paths.sort();
    paths
}

/// The bytes of a file in an image whose blocks were verified.
pub(crate) fn file_bytes(image: &[u8], first_block: u64, size: u64) -> Option<&[u8]> {
    let start = usize::try_from(first_block).ok()?.checked_mul(BLOCK_SIZE)?;
    image.get(start..)?.get(..usize::try_from(size).ok()?)
}
