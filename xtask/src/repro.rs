//! `xtask repro`: the same sources give the same bytes, wherever they are built.

use crate::build::{self, write_if_changed};
use crate::image;
use crate::image::keys;
use crate::process;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use clap::Args;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Builds kernel and base image in two folders of different names and depths, from the same sources with the same key,
/// and compares the bytes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask repro")]
pub(crate) struct Options {}

pub(crate) fn run(workspace: &Workspace, _options: &Options) -> Result<()> {
    check(workspace)
}

/// # Errors
/// A build failed, or two of them differ.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let home = workspace.target().join("repro");
    let first = built(workspace, &home.join("a"))?;
    let second = built(workspace, &home.join("another/place/for-it"))?;
    for (name, a, b) in [
        ("kernel", first.kernel_image(), second.kernel_image()),
        ("base image", first.base_image(), second.base_image()),
    ] {
        let (left, right) = (fs::read(&a)?, fs::read(&b)?);
        match difference(&left, &right) {
            None => println!("{name}: {} identical bytes", left.len()),
            Some(at) => bail!("{name}: {} and {} differ from byte {at} on", a.display(), b.display()),
        }
    }
    fs::remove_dir_all(&home).with_context(|| format!("cannot remove {}", home.display()))
}

/// Where two files part, if they do.
fn difference(left: &[u8], right: &[u8]) -> Option<usize> {
    let common = left.iter().zip(right).position(|(a, b)| a != b);
    common.or_else(|| (left.len() != right.len()).then(|| left.len().min(right.len())))
}

/// A copy of the sources at `place`, built there with the key of `workspace`.
fn built(workspace: &Workspace, place: &Path) -> Result<Workspace> {
    process::say(&format!("building in {}", place.display()));
    if place.exists() {
        fs::remove_dir_all(place).with_context(|| format!("cannot empty {}", place.display()))?;
    }
    let mut list = Command::new("git");
    list.current_dir(workspace.root()).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    for path in process::output(&mut list)?.split('\0').filter(|path| !path.is_empty()) {
        let source = workspace.root().join(path);
        // Deleted but not yet committed.
        if let Ok(bytes) = fs::read(&source) {
            write_if_changed(&place.join(path), &bytes)?;
        }
    }
    let copy = workspace.copied_to(place);
    let seed = fs::read(keys::seed(workspace)?).context("cannot read the development key")?;
    write_if_changed(&copy.build().join("keys/development.seed"), &seed)?;
    build::kernel(&copy)?;
    image::base(&copy)?;
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn any_difference_is_seen() {
        assert_eq!(difference(b"same", b"same"), None);
        assert_eq!(difference(b"same", b"sane"), Some(2));
        assert_eq!(difference(b"same", b"samey"), Some(4));
        assert_eq!(difference(b"", b"x"), Some(0));
    }
}
