//! From a directory to an image.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};
use swos_swosbase::{Attributes, Node, Seed, Tree, v3, v4};

use crate::Manifest;

/// Which version of the format.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// For the predecessor system.
    V3,
    /// Ours, with the version that systems compare before they accept an older image.
    V4 {
        /// Grows with each release.
        image_version: u64,
    },
}

/// Packs the content of `dir` and what `manifest` adds into an image signed with `seed`.
///
/// # Errors
///
/// If something can't be read, is neither directory, file nor symbolic link, has a name that is not UTF-8, or does not fit the
/// format; if the manifest names what is not there.
pub fn pack_dir(dir: &Path, manifest: &Manifest, format: Format, seed: &Seed) -> Result<Vec<u8>> {
    let tree = tree_of_dir(dir, manifest)?;
    match format {
        Format::V3 => v3::write(&tree, seed).context("can't write a version 3 image"),
        Format::V4 { image_version } => {
            v4::write(&tree, &v4::Options { image_version }, seed).context("can't write a version 4 image")
        }
    }
}

/// The tree that [`pack_dir`] packs.
///
/// # Errors
///
/// Those of [`pack_dir`].
pub fn tree_of_dir(dir: &Path, manifest: &Manifest) -> Result<Tree> {
    // By path, so that a directory comes before its content, and the host's order does not matter.
    let mut nodes: BTreeMap<String, Node> = BTreeMap::new();
    collect(dir, "", &mut nodes)?;
    for path in manifest.directories.keys() {
        match nodes.get(path) {
            None => drop(nodes.insert(path.clone(), Node::Directory)),
            Some(Node::Directory) => {}
            Some(_) => bail!("the manifest wants a directory at {path}, but something else is there"),
        }
    }
    for (path, target) in &manifest.symlinks {
        if nodes.insert(path.clone(), Node::Symlink(target.clone().into_bytes())).is_some() {
            bail!("the manifest wants a symbolic link at {path}, but something is there");
        }
    }
    if let Some(path) = manifest.attributes.keys().find(|path| !nodes.contains_key(*path)) {
        bail!("the manifest gives attributes to {path}, which is not there");
    }

    let mut tree = Tree::new(Attributes::DIRECTORY);
    for (path, node) in nodes {
        let mut attributes = v3::attributes_at(path.as_bytes(), &node);
        let entries = [manifest.directories.get(&path), manifest.attributes.get(&path)];
        for entry in entries.into_iter().flatten() {
            attributes.owner = entry.owner.unwrap_or(attributes.owner);
            attributes.mode = entry.mode.unwrap_or(attributes.mode);
        }
        tree.add(path.as_bytes(), attributes, node).map_err(|error| anyhow!("can't pack {path}: {error}"))?;
    }
    Ok(tree)
}

fn collect(dir: &Path, prefix: &str, nodes: &mut BTreeMap<String, Node>) -> Result<()> {
    let entries = fs::read_dir(dir).with_context(|| format!("can't read the directory {}", dir.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("can't read the directory {}", dir.display()))?;
        let host = entry.path();
        let name = entry.file_name();
        let name = name.to_str().ok_or_else(|| anyhow!("the name of {} is not UTF-8", host.display()))?;
        let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
        let kind = entry.file_type().with_context(|| format!("can't look at {}", host.display()))?;
        let node = if kind.is_dir() {
            collect(&host, &path, nodes)?;
            Node::Directory
        } else if kind.is_file() {
            Node::File(fs::read(&host).with_context(|| format!("can't read {}", host.display()))?)
        } else if kind.is_symlink() {
            let target =
                fs::read_link(&host).with_context(|| format!("can't read the link {}", host.display()))?;
            Node::Symlink(target.as_os_str().as_bytes().to_vec())
        } else {
            bail!("{} is neither a directory, a file nor a symbolic link", host.display());
        };
        nodes.insert(path, node);
    }
    Ok(())
}
