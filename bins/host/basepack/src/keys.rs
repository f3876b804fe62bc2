//! Key files: 32 bytes each, nothing else.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use swos_swosbase::{PublicKey, Seed};

/// Makes a seed from the host's random numbers.
///
/// # Errors
///
/// If the host has none.
pub fn generate_seed() -> Result<Seed> {
    let mut seed = [0; 32];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut seed))
        .context("no random numbers from /dev/urandom")?;
    Ok(Seed(seed))
}

/// Reads a seed file.
///
/// # Errors
///
/// If it can't be read or has not exactly 32 bytes.
pub fn read_seed(path: &Path) -> Result<Seed> {
    read_32(path).map(Seed)
}

/// Reads a public key file.
///
/// # Errors
///
/// If it can't be read or has not exactly 32 bytes.
pub fn read_public_key(path: &Path) -> Result<PublicKey> {
    read_32(path).map(PublicKey)
}

fn read_32(path: &Path) -> Result<[u8; 32]> {
    let bytes = std::fs::read(path).with_context(|| format!("can't read the key {}", path.display()))?;
    match bytes.try_into() {
        Ok(key) => Ok(key),
        Err(bytes) => bail!("{} is no key: it has {} bytes instead of 32", path.display(), bytes.len()),
    }
}
