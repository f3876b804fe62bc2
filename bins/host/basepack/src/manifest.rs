//! What a directory on a host can't say: owners, modes, empty directories, links.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// A manifest. As a file it is TOML; all paths are relative to the image's root:
///
/// ```toml
/// [attributes]                    # of nodes that are there; each field may be left out
/// "etc/swos/passwd" = { owner = 1, mode = 0o600 }
/// "libexec/probe" = { mode = 0o755 }
///
/// [directories]                   # made if they are not there
/// "tmp" = { mode = 0o777 }
///
/// [symlinks]                      # version 4 only
/// "bin/sh" = "swsh"
/// ```
///
/// Without an entry a node has owner 1 and mode 0755 if it is a directory or lies below `bin`, `sbin`, `usr/bin`, `usr/sbin` or
/// `usr/local/bin`, else 0644. The host's modes and umask never matter.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Attributes of nodes that are there.
    #[serde(default)]
    pub attributes: BTreeMap<String, AttributesEntry>,
    /// Directories that shall be there.
    #[serde(default)]
    pub directories: BTreeMap<String, AttributesEntry>,
    /// Symbolic links and their targets.
    #[serde(default)]
    pub symlinks: BTreeMap<String, String>,
}

/// Attributes that differ from what the place of a node says.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct AttributesEntry {
    /// Owning principal.
    pub owner: Option<u32>,
    /// Permission bits, at most 0o777.
    pub mode: Option<u32>,
}

impl Manifest {
    /// Reads a manifest file.
    ///
    /// # Errors
    ///
    /// If it can't be read or is no manifest.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("can't read the manifest {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("in the manifest {}", path.display()))
    }

    /// Reads a manifest.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub fn parse(text: &str) -> Result<Self> {
        Ok(toml::from_str(text)?)
    }
}
