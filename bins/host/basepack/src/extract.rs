//! From an image back to a directory.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use swos_swosbase::v4::Content;
use swos_swosbase::{PublicKey, Software, v3, v4, version};

use crate::listing::{file_bytes, paths};

enum Node<'a> {
    Directory,
    File(&'a [u8]),
    Symlink(&'a [u8]),
}

/// Verifies an image and writes its content into the new directory `dir`. Modes are kept, owners are not.
///
/// # Errors
///
/// Why the image is refused; if `dir` exists or can't be written.
pub fn extract(image: &[u8], dir: &Path, keys: &[PublicKey]) -> Result<()> {
    let mounted;
    let nodes: Vec<(Vec<u8>, u32, Node<'_>)> = if version(image) == Some(v3::VERSION) {
        let metadata = v3::verify_all(&Software, image, keys)?;
        let node = |entry: &v3::Entry<'_>| -> Option<Node<'_>> {
            if entry.kind == v3::Kind::Directory {
                return Some(Node::Directory);
            }
            let start = usize::try_from(entry.offset).ok()?;
            Some(Node::File(image.get(start..)?.get(..usize::try_from(entry.size).ok()?)?))
        };
        metadata
            .entries()
            .filter_map(|entry| Some((entry.path.to_vec(), entry.mode, node(&entry)?)))
            .collect()
    } else {
        mounted = v4::verify_all(&Software, image, keys, 0)?;
        let index = &mounted.index;
        let node = |at: u32| -> Option<(u32, Node<'_>)> {
            let entry = index.entry(at)?;
            let node = match entry.content {
                Content::Directory { .. } => Node::Directory,
                Content::File { size, first_block, .. } => Node::File(file_bytes(image, first_block, size)?),
                Content::Symlink { target } => Node::Symlink(target),
            };
            Some((entry.mode, node))
        };
        paths(index)
            .into_iter()
            .filter_map(|(path, at)| node(at).map(|(mode, node)| (path, mode, node)))
            .collect()
    };

    if dir.exists() {
        bail!("{} exists already", dir.display());
    }
    fs::create_dir_all(dir).with_context(|| format!("can't make {}", dir.display()))?;
    // Links last, so that nothing is written through one. Directory modes after them, so that all can be written.
    let at = |path: &[u8]| dir.join(OsStr::from_bytes(path));
    for (path, mode, node) in &nodes {
        let host = at(path);
        match node {
            Node::Directory => fs::create_dir(&host),
            Node::File(bytes) => fs::write(&host, bytes)
                .and_then(|()| fs::set_permissions(&host, Permissions::from_mode(*mode))),
            Node::Symlink(_) => Ok(()),
        }
        .with_context(|| format!("can't write {}", host.display()))?;
    }
    for (path, _, node) in &nodes {
        if let Node::Symlink(target) = node {
            let host = at(path);
            symlink(OsStr::from_bytes(target), &host)
                .with_context(|| format!("can't write {}", host.display()))?;
        }
    }
    for (path, mode, node) in nodes.iter().rev() {
        if matches!(node, Node::Directory) {
            let host = at(path);
            fs::set_permissions(&host, Permissions::from_mode(*mode))
                .with_context(|| format!("can't set the mode of {}", host.display()))?;
        }
    }
    Ok(())
}
