//! Whether an output is still what its inputs make: a digest of the inputs kept beside it.
//!
//! The digest only avoids work. What is signed or compared is hashed by the image format itself.

use anyhow::{Context, Result};
use core::hash::{Hash, Hasher};
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::path::{Path, PathBuf};

/// A digest in the making.
#[derive(Default)]
pub(crate) struct Inputs(DefaultHasher);

impl Inputs {
    /// Adds a value.
    pub(crate) fn value(&mut self, value: impl Hash) {
        value.hash(&mut self.0);
    }

    /// Adds a file's contents, or every file below a folder with its relative name.
    pub(crate) fn path(&mut self, path: &Path) -> Result<()> {
        for file in files_below(path)? {
            file.strip_prefix(path).unwrap_or(&file).hash(&mut self.0);
            fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?.hash(&mut self.0);
        }
        Ok(())
    }

    /// True when `output` exists and was made from exactly these inputs.
    pub(crate) fn made(&self, output: &Path) -> bool {
        let recorded = fs::read_to_string(record(output)).unwrap_or_default();
        output.exists() && recorded == self.text()
    }

    /// Notes that `output` was made from these inputs.
    pub(crate) fn record(&self, output: &Path) -> Result<()> {
        fs::write(record(output), self.text())
            .with_context(|| format!("cannot write {}", record(output).display()))
    }

    fn text(&self) -> String {
        format!("{:016x}\n", self.0.finish())
    }
}

fn record(output: &Path) -> PathBuf {
    let mut name = output.file_name().unwrap_or_default().to_owned();
    name.push(".inputs");
    output.with_file_name(name)
}

/// All regular files at or below `path`, in the order of their names.
pub(crate) fn files_below(path: &Path) -> Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut entries = fs::read_dir(path)
        .and_then(Iterator::collect::<std::io::Result<Vec<_>>>)
        .with_context(|| format!("cannot list {}", path.display()))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    let mut files = Vec::new();
    for entry in entries {
        files.extend(files_below(&entry.path())?);
    }
    Ok(files)
}
