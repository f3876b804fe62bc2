//! `xtask build`: kernel and programs, in the form in which they boot.

use crate::cargo::{self, KERNEL_TARGET, Profile, USER_TARGET};
use crate::workspace::Workspace;
use crate::{elf_file, image};
use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use std::fs;
use std::path::{Path, PathBuf};

/// Builds the kernel as a flat arm64 image (build/Image, symbols in build/kernel.elf) and the programs as static
/// position-independent ELF files (build/programs, symbols in build/symbols).
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask build            kernel and programs
  cargo xtask build kernel     only the kernel")]
pub(crate) struct Options {
    /// Build only this part.
    part: Option<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// bins/kernel.
    Kernel,
    /// bins/user/*.
    Programs,
}

/// Which image a program goes into: `[package.metadata.swos] image = "test"` keeps a program out of the base image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Audience {
    /// Everybody: the base image.
    Base,
    /// Only the image that `xtask qemu-test` and `xtask bench` boot.
    Test,
}

/// A program ready for an image.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// Name below `/bin`.
    pub(crate) name: String,
    /// The stripped file.
    pub(crate) file: PathBuf,
    /// Which image it goes into.
    pub(crate) audience: Audience,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    if options.part != Some(Part::Programs) {
        let image = kernel(workspace)?;
        let size = fs::metadata(&image)?.len();
        println!("{} ({} KiB)", image.display(), size.div_ceil(1024));
    }
    if options.part != Some(Part::Kernel) {
        for program in programs(workspace)? {
            let size = fs::metadata(&program.file)?.len();
            println!("{} ({} KiB)", program.file.display(), size.div_ceil(1024));
        }
    }
    Ok(())
}

/// Builds the kernel; returns the flat image.
pub(crate) fn kernel(workspace: &Workspace) -> Result<PathBuf> {
    let (file, flat) = kernel_files(workspace, Profile::Release)?;
    write_if_changed(&workspace.kernel_elf(), &file)?;
    write_if_changed(&workspace.kernel_image(), &flat)?;
    Ok(workspace.kernel_image())
}

/// Builds the kernel that checks itself; returns the flat image.
pub(crate) fn checked_kernel(workspace: &Workspace) -> Result<PathBuf> {
    let (file, flat) = kernel_files(workspace, Profile::Checked)?;
    let image = workspace.build().join("checked/Image");
    write_if_changed(&image.with_file_name("kernel.elf"), &file)?;
    write_if_changed(&image, &flat)?;
    Ok(image)
}

/// The linked kernel and its flat image.
fn kernel_files(workspace: &Workspace, profile: Profile) -> Result<(Vec<u8>, Vec<u8>)> {
    let key = image::keys::public(workspace)?;
    let trust: &[(&str, &Path)] = &[("SWOS_TRUST_KEY", &key)];
    let built = cargo::build(workspace, KERNEL_TARGET, profile, &["swos-kernel"], trust)?;
    let (_, linked) = built.first().context("swos-kernel has an executable")?;
    let file = fs::read(linked).with_context(|| format!("cannot read {}", linked.display()))?;
    let flat = elf_file::flatten(&file).context("the kernel cannot be flattened")?;
    ensure!(flat.get(0x38..0x3c) == Some(b"ARM\x64"), "the kernel does not start with an arm64 image header");
    Ok((file, flat))
}

/// Builds all programs; returns the stripped files.
pub(crate) fn programs(workspace: &Workspace) -> Result<Vec<Program>> {
    let home = workspace.root().join("bins/user");
    let members: Vec<_> =
        cargo::members(workspace)?.into_iter().filter(|member| member.folder.starts_with(&home)).collect();
    let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
    let built = cargo::build(workspace, USER_TARGET, Profile::Release, &names, &[])?;
    let mut programs = Vec::new();
    for (target, linked) in built {
        let name = target.strip_prefix("swos-").unwrap_or(&target).to_owned();
        let member = members.iter().find(|member| member.name == target);
        let audience = match member.and_then(|member| member.metadata["image"].as_str()) {
            Some("test") => Audience::Test,
            _ => Audience::Base,
        };
        let linked_bytes = fs::read(&linked).with_context(|| format!("cannot read {}", linked.display()))?;
        let stripped = elf_file::strip(&linked_bytes).with_context(|| format!("cannot strip {target}"))?;
        let file = workspace.build().join("programs").join(&name);
        write_if_changed(&file, &stripped)?;
        write_if_changed(&workspace.build().join("symbols").join(&name), &linked_bytes)?;
        programs.push(Program { name, file, audience });
    }
    Ok(programs)
}

/// Writes a file by renaming, and only when it differs: readers never see half of it, and nothing downstream is
/// rebuilt for nothing.
pub(crate) fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let folder = path.parent().context("an output has a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let draft = path.with_extension(format!("draft-{}", std::process::id()));
    fs::write(&draft, bytes).with_context(|| format!("cannot write {}", draft.display()))?;
    fs::rename(&draft, path).with_context(|| format!("cannot write {}", path.display()))
}
