//! The tree of an image, laid out in a folder before it is packed.

use crate::build::Program;
use crate::fingerprint::files_below;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

/// The file in `base` that describes the image and is not part of it.
pub(super) const MANIFEST: &str = "manifest.toml";

/// Lays out `base` as it is, the programs under `bin`, the book under `www/book`, and `overlay` over
/// it all; `tree` is made anew.
pub(crate) fn stage(
    tree: &Path,
    base: &Path,
    book: &Path,
    programs: &[&Program],
    overlay: Option<&Path>,
) -> Result<()> {
    if tree.exists() {
        fs::remove_dir_all(tree).with_context(|| format!("cannot empty {}", tree.display()))?;
    }
    copy_tree(base, tree)?;
    copy_tree(book, &tree.join("www/book"))?;
    for program in programs {
        copy(&program.file, &tree.join("bin").join(&program.name))?;
    }
    if let Some(overlay) = overlay {
        copy_tree(overlay, tree)?;
    }
    Ok(())
}

/// Copies every file below `from`. Hidden files are left out: they belong to tools of the host.
fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    for file in files_below(from)? {
        let name = file.strip_prefix(from).context("a file below a folder")?;
        let hidden = |part: &std::path::Component<'_>| part.as_os_str().to_string_lossy().starts_with('.');
        if name != Path::new(MANIFEST) && !name.components().any(|part| hidden(&part)) {
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
