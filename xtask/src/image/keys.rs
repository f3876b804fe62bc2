//! The development key: made once per checkout, its public half built into the kernel of the same checkout.
//!
//! **Invariant:** a private key is never below version control (`build/` is ignored) and never readable by others.

use crate::process;
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use swos_swosbase::Seed;

/// Path of the 32 private bytes.
pub(crate) fn seed(workspace: &Workspace) -> Result<PathBuf> {
    let path = workspace.build().join("keys/development.seed");
    if !path.exists() {
        process::say(&format!("making a development key: {}", path.display()));
        make(&path)?;
    }
    Ok(path)
}

/// Path of the 32 public bytes that belong to [`seed`].
pub(crate) fn public(workspace: &Workspace) -> Result<PathBuf> {
    let seed_path = seed(workspace)?;
    let path = seed_path.with_extension("pub");
    crate::build::write_if_changed(&path, &read(&seed_path)?.public_key().0)?;
    Ok(path)
}

/// The private half, from its file.
pub(crate) fn read(path: &Path) -> Result<Seed> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let bytes =
        <[u8; 32]>::try_from(bytes).ok().with_context(|| format!("{} is not 32 bytes", path.display()))?;
    Ok(Seed(bytes))
}

fn make(path: &Path) -> Result<()> {
    let mut bytes = [0; 32];
    let mut source = fs::File::open("/dev/urandom").context("no source of randomness")?;
    source.read_exact(&mut bytes).context("no randomness")?;
    fs::create_dir_all(path.parent().context("a key has a folder")?)?;
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).with_context(|| format!("cannot make {}", path.display()))?;
    file.write_all(&bytes).with_context(|| format!("cannot write {}", path.display()))
}
