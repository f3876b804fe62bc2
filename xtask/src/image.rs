//! `xtask image`: the signed base image that swos boots from.

pub(crate) mod keys;
mod stage;

use crate::build::{self, Audience};
use crate::fingerprint::Inputs;
use crate::workspace::Workspace;
use crate::{docs, process};
use anyhow::{Context, Result};
use clap::Args;
use std::fs;
use std::path::{Path, PathBuf};
use swos_basepack::{Format, Manifest};
use swos_swosbase::BLOCK_SIZE;

/// Builds build/base.img: base/, every program under /bin, the rendered book under /www/book; packed as swosbase v4
/// and signed with the development key of this checkout (build/keys, made at the first use, never committed).
/// Does nothing when no input changed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask image
  cargo xtask image --format 3      the same tree as version 3: build/base-v3.img
  cargo run -p swos-basepack -- list build/base.img")]
pub(crate) struct Options {
    /// Version of the format.
    #[arg(long, default_value = "4", value_parser = ["3", "4"])]
    format: String,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let image = if options.format == "3" { base_v3(workspace)? } else { base(workspace)? };
    println!("{} ({} KiB)", image.display(), fs::metadata(&image)?.len().div_ceil(1024));
    Ok(())
}

/// Makes the base image; returns its path.
pub(crate) fn base(workspace: &Workspace) -> Result<PathBuf> {
    let programs = build::programs(workspace)?;
    let wanted: Vec<_> = programs.iter().filter(|program| program.audience == Audience::Base).collect();
    pack(workspace, &wanted, None, "base", v4()?)
}

/// Makes the base image as version 3 of the format, filled up to a whole block, which a disk has to be.
pub(crate) fn base_v3(workspace: &Workspace) -> Result<PathBuf> {
    let programs = build::programs(workspace)?;
    let wanted: Vec<_> = programs.iter().filter(|program| program.audience == Audience::Base).collect();
    pack(workspace, &wanted, None, "base-v3", Format::V3)
}

fn v4() -> Result<Format> {
    Ok(Format::V4 { image_version: version(env!("CARGO_PKG_VERSION"))? })
}

/// Makes an image with all programs and what `overlay` puts over it.
pub(crate) fn with_overlay(workspace: &Workspace, overlay: &Path, name: &str) -> Result<PathBuf> {
    let programs = build::programs(workspace)?;
    pack(workspace, &programs.iter().collect::<Vec<_>>(), Some(overlay), name, v4()?)
}

/// Makes the image of the tests: the base image with their programs, and what qemu-tests/image puts over it.
pub(crate) fn with_tests(workspace: &Workspace) -> Result<PathBuf> {
    with_overlay(workspace, &workspace.root().join("qemu-tests/image"), "test")
}

fn pack(
    workspace: &Workspace,
    programs: &[&build::Program],
    overlay: Option<&Path>,
    name: &str,
    format: Format,
) -> Result<PathBuf> {
    let output = workspace.build().join(format!("{name}.img"));
    let book = docs::render(workspace)?;
    let base = workspace.root().join("base");
    let seed = keys::seed(workspace)?;

    let mut inputs = Inputs::default();
    inputs.path(&base)?;
    inputs.path(&book)?;
    inputs.path(&seed)?;
    overlay.map_or(Ok(()), |overlay| inputs.path(overlay))?;
    for program in programs {
        inputs.value(&program.name);
        inputs.path(&program.file)?;
    }
    // A changed packer is a changed input.
    for sources in ["crates/swosbase/src", "bins/host/basepack/src", "xtask/src/image"] {
        inputs.path(&workspace.root().join(sources))?;
    }
    if inputs.made(&output) {
        return Ok(output);
    }
    process::say(&format!("packing {}", output.display()));
    let tree = workspace.build().join("stage").join(name);
    stage::stage(&tree, &base, &book, programs, overlay)?;
    let mut image = swos_basepack::pack_dir(
        &tree,
        &Manifest::read(&base.join(stage::MANIFEST))?,
        format,
        &swos_basepack::read_seed(&seed)?,
    )?;
    image.resize(image.len().next_multiple_of(BLOCK_SIZE), 0);
    build::write_if_changed(&output, &image)?;
    inputs.record(&output)?;
    Ok(output)
}

/// The version that an image states against roll-back: three digits each for major, minor and patch.
fn version(text: &str) -> Result<u64> {
    text.split('.').try_fold(0, |sum, part| Ok(sum * 1000 + part.parse::<u64>().context("a number")?))
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn versions_grow() {
        assert_eq!(version("0.1.0").unwrap(), 1_000);
        assert!(version("1.0.0").unwrap() > version("0.999.999").unwrap());
    }
}
