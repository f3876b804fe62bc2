//! The development key: made once per checkout, its public half built into the kernel of the same checkout.
//!
//! **Invariant:** a private key is never below version control (`build/` is ignored) and never readable by others.

use crate::process;
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

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
    crate::build::write_if_changed(&path, &swos_basepack::read_seed(&seed_path)?.public_key().0)?;
    Ok(path)
}

fn make(path: &Path) -> Result<()> {
    let seed = swos_basepack::generate_seed()?;
    fs::create_dir_all(path.parent().context("a key has a folder")?)?;
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).with_context(|| format!("cannot make {}", path.display()))?;
    file.write_all(&seed.0).with_context(|| format!("cannot write {}", path.display()))
}
