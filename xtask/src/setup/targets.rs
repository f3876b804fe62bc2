//! Rust's core library for the two bare-metal targets: from rustup, or built from the library's sources.

use crate::cargo::{KERNEL_TARGET, USER_TARGET};
use crate::process;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail, ensure};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub(super) const TARGETS: [&str; 2] = [KERNEL_TARGET, USER_TARGET];

/// Version of the toolchain that `rust-toolchain.toml` pins; sources of another version would not fit its compiler.
const VERSION: &str = "1.95.0";

/// Targets that the toolchain cannot build for yet.
pub(super) fn missing() -> Result<Vec<&'static str>> {
    let sysroot = sysroot()?;
    Ok(TARGETS.into_iter().filter(|target| core_libraries(&sysroot, target) == 0).collect())
}

pub(super) fn components_present() -> bool {
    super::starts("rustfmt") && super::starts("clippy-driver")
}

pub(super) fn install_components() -> Result<()> {
    process::run(Command::new("rustup").args(["component", "add", "rustfmt", "clippy"]))
}

pub(super) fn install(workspace: &Workspace) -> Result<()> {
    let missing_targets = missing()?;
    process::say(&format!("adding {} by rustup", missing_targets.join(", ")));
    let rustup = process::run(Command::new("rustup").args(["target", "add"]).args(&missing_targets));
    if let Err(error) = rustup {
        process::say(&format!("rustup cannot: {error:#}"));
    }
    let still_missing = missing()?;
    if still_missing.is_empty() {
        return Ok(());
    }
    let sysroot = sysroot()?;
    provide_sources(workspace, &sysroot)?;
    for target in still_missing {
        process::say(&format!("building Rust's core library for {target} (about 30 s)"));
        build(workspace, &sysroot, target)?;
    }
    Ok(())
}

fn sysroot() -> Result<PathBuf> {
    let text = process::output(Command::new("rustc").args(["--print", "sysroot"]))?;
    Ok(PathBuf::from(text.trim()))
}

fn libraries(sysroot: &Path, target: &str) -> PathBuf {
    sysroot.join("lib/rustlib").join(target).join("lib")
}

/// How many copies of `core` there are; two of them break every build.
fn core_libraries(sysroot: &Path, target: &str) -> usize {
    let Ok(entries) = fs::read_dir(libraries(sysroot, target)) else { return 0 };
    entries.flatten().filter(|entry| is_library(&entry.file_name().to_string_lossy(), "core")).count()
}

fn is_library(file: &str, name: &str) -> bool {
    let rest = file.strip_prefix("lib").and_then(|file| file.strip_prefix(name));
    rest.is_some_and(|rest| rest.starts_with('-')) && file.ends_with(".rlib")
}

/// Puts the library's sources where cargo looks for them.
fn provide_sources(workspace: &Workspace, sysroot: &Path) -> Result<()> {
    let place = sysroot.join("lib/rustlib/src/rust");
    let there = || place.join("library/core/src/lib.rs").exists();
    if there() {
        return Ok(());
    }
    process::say("looking for the sources of Rust's library");
    if process::run(Command::new("rustup").args(["component", "add", "rust-src"])).is_ok() && there() {
        return Ok(());
    }
    let scratch = workspace.target().join("rust-src");
    fs::create_dir_all(&scratch).with_context(|| format!("cannot make {}", scratch.display()))?;
    let found = match env::var_os("SWOS_RUST_SRC") {
        Some(given) => from_given(Path::new(&given), &scratch)?,
        None => from_debian(&scratch)?,
    };
    process::say(&format!("copying {} to {}", found.display(), place.display()));
    fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
    process::run(Command::new("cp").arg("-r").arg(&found).arg(place.join("library")))?;
    ensure!(there(), "{} holds no library/core", found.display());
    Ok(())
}

/// A folder that is or holds `library`, or an archive of one.
fn from_given(given: &Path, scratch: &Path) -> Result<PathBuf> {
    if given.is_file() {
        process::run(Command::new("tar").arg("-xf").arg(given).arg("-C").arg(scratch))?;
        return library_in(scratch);
    }
    library_in(given)
}

fn library_in(folder: &Path) -> Result<PathBuf> {
    let candidates = [
        folder.to_path_buf(),
        folder.join("library"),
        folder.join(format!("usr/src/rustc-{VERSION}/library")),
    ];
    let library = candidates.into_iter().find(|candidate| candidate.join("core/src/lib.rs").exists());
    library.with_context(|| format!("{} holds no Rust library", folder.display()))
}

/// Debian's package, downloaded and unpacked aside: nothing is installed, and the machine's list of sources stays as
/// it is. Backports have the version; which mirror to ask, the machine's own sources say.
fn from_debian(scratch: &Path) -> Result<PathBuf> {
    ensure!(super::starts("apt-get"), "no sources: set SWOS_RUST_SRC to the library of Rust {VERSION}");
    let indexes = process::output(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(REPO_URI)",
        "Label: Debian",
    ]))?;
    let mirror = indexes.lines().next().context("apt-get knows no Debian mirror (apt-get update first)")?;
    let lists = scratch.join("lists");
    fs::create_dir_all(lists.join("partial")).with_context(|| format!("cannot make {}", lists.display()))?;
    let source = scratch.join("sources.list");
    let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
    fs::write(&source, format!("deb [signed-by={keyring}] {mirror} trixie-backports main\n"))
        .with_context(|| format!("cannot write {}", source.display()))?;
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.current_dir(scratch).arg("-qq");
        for (key, value) in [("Dir::Etc::sourcelist", &source), ("Dir::State::lists", &lists)] {
            command.arg("-o").arg(format!("{key}={}", value.display()));
        }
        command.args(["-o", "Dir::Etc::sourceparts=-", "-o", "APT::Sandbox::User=root"]);
        process::run(command.args(arguments).stdout(Stdio::null()))
    };
    process::say("downloading Debian's package rust-src");
    apt(&["update"])?;
    apt(&["download", &format!("rust-src={VERSION}*")])?;
    let package = fs::read_dir(scratch)?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .context("apt-get downloaded nothing")?;
    process::run(Command::new("dpkg-deb").arg("-x").arg(package).arg(scratch))?;
    library_in(scratch)
}

/// Builds `core`, `alloc` and `compiler_builtins` and puts them into the toolchain, whole or not at all.
fn build(workspace: &Workspace, sysroot: &Path, target: &str) -> Result<()> {
    let home = workspace.target().join("core-library");
    fs::create_dir_all(home.join("src")).with_context(|| format!("cannot make {}", home.display()))?;
    // A workspace of its own, or cargo would look for one above.
    let manifest = "[package]\nname = \"any\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n";
    fs::write(home.join("Cargo.toml"), manifest)?;
    fs::write(home.join("src/lib.rs"), "#![no_std]\n")?;
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(&home).args(["build", "--quiet", "--release", "--target", target]);
    command.args(["-Zbuild-std=core,alloc,compiler_builtins"]);
    command.args(["-Zbuild-std-features=compiler-builtins-mem"]);
    // Link-time optimisation needs the bitcode; a released compiler needs the permission.
    command.env("CARGO_ENCODED_RUSTFLAGS", "-Cembed-bitcode=yes").env("RUSTC_BOOTSTRAP", "1");
    command.env("CARGO_TARGET_DIR", home.join("target"));
    process::run(&mut command)?;

    let built = home.join("target").join(target).join("release/deps");
    let place = libraries(sysroot, target);
    let draft = place.with_file_name("lib.draft");
    let _ = fs::remove_dir_all(&draft);
    fs::create_dir_all(&draft).with_context(|| format!("cannot make {}", draft.display()))?;
    for name in ["core", "alloc", "compiler_builtins"] {
        let files: Vec<_> = fs::read_dir(&built)?
            .flatten()
            .filter(|entry| is_library(&entry.file_name().to_string_lossy(), name))
            .collect();
        let [file] = files.as_slice() else {
            bail!("{} libraries named {name} in {}", files.len(), built.display())
        };
        fs::copy(file.path(), draft.join(file.file_name()))?;
    }
    if place.exists() {
        fs::remove_dir_all(&place).with_context(|| format!("cannot replace {}", place.display()))?;
    }
    fs::rename(&draft, &place).with_context(|| format!("cannot make {}", place.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_is_told_by_its_whole_name() {
        assert!(is_library("libcore-0123456789abcdef.rlib", "core"));
        assert!(!is_library("libcore_arch-0123.rlib", "core"));
        assert!(!is_library("libcore-0123.rmeta", "core"));
        assert!(is_library("libcompiler_builtins-01.rlib", "compiler_builtins"));
    }
}
