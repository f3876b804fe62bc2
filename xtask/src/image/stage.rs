//! The tree of an image, laid out in a folder before it is packed.

use crate::build::Program;
use crate::fingerprint::files_below;
use anyhow::{Context, Result, anyhow};
use std::fs;
use std::path::Path;
use swos_swosbase::{Attributes, Node, Tree};

/// Lays out `base` as it is, the programs under `bin`, the book under `www/book`; `tree` is made anew.
pub(crate) fn stage(tree: &Path, base: &Path, book: &Path, programs: &[&Program]) -> Result<()> {
    if tree.exists() {
        fs::remove_dir_all(tree).with_context(|| format!("cannot empty {}", tree.display()))?;
    }
    copy_tree(base, tree)?;
    copy_tree(book, &tree.join("www/book"))?;
    for program in programs {
        copy(&program.file, &tree.join("bin").join(&program.name))?;
    }
    Ok(())
}

/// Copies every file below `from`. Hidden files are left out: they belong to tools of the host.
fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    for file in files_below(from)? {
        let name = file.strip_prefix(from).context("a file below a folder")?;
        let hidden = |part: &std::path::Component<'_>| part.as_os_str().to_string_lossy().starts_with('.');
        if !name.components().any(|part| hidden(&part)) {
            copy(&file, &to.join(name))?;
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let folder = to.parent().context("a staged file has a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    fs::copy(from, to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

/// A staged folder as the tree of an image. Owner, mode and time come from rules and not from the host: what lies in
/// `bin` is a program, everything belongs to root, and no time is kept.
pub(super) fn tree(folder: &Path) -> Result<Tree> {
    let mut tree = Tree::new(Attributes::DIRECTORY);
    add(&mut tree, folder, "")?;
    Ok(tree)
}

fn add(tree: &mut Tree, folder: &Path, prefix: &str) -> Result<()> {
    let mut entries = fs::read_dir(folder)
        .and_then(Iterator::collect::<std::io::Result<Vec<_>>>)
        .with_context(|| format!("cannot list {}", folder.display()))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let refused = |error| anyhow!("{name} cannot be in an image: {error}");
        if entry.path().is_dir() {
            tree.add(name.as_bytes(), Attributes::DIRECTORY, Node::Directory).map_err(refused)?;
            add(tree, &entry.path(), &format!("{name}/"))?;
        } else {
            let bytes = fs::read(entry.path()).with_context(|| format!("cannot read {name}"))?;
            let attributes = if name.starts_with("bin/") { Attributes::PROGRAM } else { Attributes::FILE };
            tree.add(name.as_bytes(), attributes, Node::File(bytes)).map_err(refused)?;
        }
    }
    Ok(())
}
