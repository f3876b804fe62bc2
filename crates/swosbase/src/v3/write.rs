//! Writes version 3.

use alloc::vec::Vec;

use crate::sha::Sha256;
use crate::v3::read::METADATA_MAX;
use crate::v3::{ENTRY_SIZE, HEADER_SIZE, PROGRAM_DIRECTORIES, SIGNATURE_SIZE, VERSION};
use crate::{Attributes, MAGIC, Node, Seed, Software, Tree, WriteError};

/// The attributes that version 3 gives a node at `path`: by place, not by choice.
#[must_use]
pub fn attributes_at(path: &[u8], node: &Node) -> Attributes {
    match node {
        Node::Directory => Attributes::DIRECTORY,
        Node::Symlink(_) => Attributes::SYMLINK,
        Node::File(_) if PROGRAM_DIRECTORIES.iter().any(|directory| path.starts_with(directory)) => {
            Attributes::PROGRAM
        }
        Node::File(_) => Attributes::FILE,
    }
}

/// Writes `tree` as a version 3 image signed with `seed`.
///
/// The predecessor's packer dropped what the format can't hold; this one refuses it.
///
/// # Errors
///
/// [`WriteError::Empty`], [`WriteError::SymlinkInV3`], [`WriteError::AttributesInV3`] for attributes other than
/// [`attributes_at`], [`WriteError::HiddenInV3`], [`WriteError::TooLarge`].
pub fn write(tree: &Tree, seed: &Seed) -> Result<Vec<u8>, WriteError> {
    let nodes = paths(tree);
    if nodes.is_empty() {
        return Err(WriteError::Empty);
    }
    let mut entries = Vec::with_capacity(nodes.len() * ENTRY_SIZE);
    let mut strings = Vec::new();
    let mut data = Vec::new();
    for (path, attributes, node) in &nodes {
        if path.split(|&byte| byte == b'/').any(|name| name.starts_with(b".")) {
            return Err(WriteError::HiddenInV3);
        }
        if *attributes != attributes_at(path, node) {
            return Err(WriteError::AttributesInV3);
        }
        let (kind, content, hash) = match node {
            Node::Directory => (1_u32, &[][..], [0; 32]),
            Node::File(bytes) => (2, bytes.as_slice(), Sha256::digest(&Software, bytes)),
            Node::Symlink(_) => return Err(WriteError::SymlinkInV3),
        };
        let narrow = |length: usize| u32::try_from(length).map_err(|_| WriteError::TooLarge);
        entries.extend_from_slice(&narrow(strings.len())?.to_le_bytes());
        entries.extend_from_slice(&narrow(path.len())?.to_le_bytes());
        entries.extend_from_slice(&kind.to_le_bytes());
        entries.extend_from_slice(&0_u32.to_le_bytes());
        entries.extend_from_slice(&(data.len() as u64).to_le_bytes());
        entries.extend_from_slice(&(content.len() as u64).to_le_bytes());
        entries.extend_from_slice(&attributes.mode.to_le_bytes());
        entries.extend_from_slice(&attributes.owner.to_le_bytes());
        entries.extend_from_slice(&hash);
        strings.extend_from_slice(path);
        strings.push(0);
        data.extend_from_slice(content);
    }
    let strings_offset = HEADER_SIZE + entries.len();
    let data_offset = strings_offset + strings.len() + SIGNATURE_SIZE;
    if data_offset as u64 > METADATA_MAX {
        return Err(WriteError::TooLarge);
    }
    let count = u32::try_from(nodes.len()).map_err(|_| WriteError::TooLarge)?;

    let mut image = Vec::with_capacity(data_offset + data.len());
    image.extend_from_slice(&MAGIC);
    for field in [VERSION, 64, 72, count] {
        image.extend_from_slice(&field.to_le_bytes());
    }
    for field in [HEADER_SIZE, strings_offset, strings.len(), data_offset, data.len()] {
        image.extend_from_slice(&(field as u64).to_le_bytes());
    }
    image.extend_from_slice(&entries);
    image.extend_from_slice(&strings);
    let signature = seed.sign(&image);
    image.extend_from_slice(&signature);
    image.extend_from_slice(&data);
    Ok(image)
}

/// Every node but the root with its path, in the order of the paths' bytes: a directory comes before what it holds.
fn paths(tree: &Tree) -> Vec<(Vec<u8>, Attributes, &Node)> {
    let items = tree.items();
    let mut found: Vec<(Vec<u8>, Attributes, &Node)> = Vec::new();
    let mut open: Vec<(Vec<u8>, usize)> = Vec::from([(Vec::new(), 0)]);
    while let Some((path, at)) = open.pop() {
        for (name, &child) in &items[at].children {
            let mut full = path.clone();
            if !full.is_empty() {
                full.push(b'/');
            }
            full.extend_from_slice(name);
            found.push((full.clone(), items[child].attributes, &items[child].node));
            open.push((full, child));
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}
