//! Where inputs are kept.

use std::fs;
use std::path::{Path, PathBuf};

/// The folder of a target's kept inputs.
#[must_use]
pub fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}

/// The kept inputs with their file names, in the order of the names. A target without a folder has none.
#[must_use]
pub fn load(target: &str) -> Vec<(String, Vec<u8>)> {
    let Ok(entries) = fs::read_dir(folder(target)) else { return Vec::new() };
    let mut inputs: Vec<_> = entries
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).unwrap())
        })
        .collect();
    inputs.sort();
    inputs
}

/// The file name under which a failing input is kept.
#[must_use]
pub fn crash_name(kind: &str, input: &[u8]) -> String {
    // FNV-1a: names need to differ, nothing more.
    let hash = input.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{kind}-{hash:016x}")
}
