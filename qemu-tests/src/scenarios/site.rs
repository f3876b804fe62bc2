//! The website arrives as it was rendered.

use super::boot::with_site;
use crate::http::Client;
use crate::scenario::{Bench, Scenario};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::new("site/whole-1cpu", |bench| whole(bench, 1)),
        Scenario::new("site/whole-4cpu", |bench| whole(bench, 4)),
    ]
}

/// Every file of the site over one connection, byte for byte.
fn whole(bench: &Bench, cpus: u32) -> Result<()> {
    with_site(bench, bench.served()?.smp(cpus), |_, port| {
        let root = bench.artefacts().stage.join("www");
        let files = files_below(&root)?;
        ensure!(files.len() > 10, "only {} files are staged", files.len());
        arrive_as_rendered(port, &root, &files)
    })
}

/// Fetches these files below `root` over one connection and compares them.
pub(super) fn arrive_as_rendered(port: u16, root: &Path, files: &[PathBuf]) -> Result<()> {
    let mut client = Client::connect(port)?;
    for file in files {
        let name = file.strip_prefix(root).context("a file below the root")?;
        let path = format!("/{}", name.to_string_lossy());
        let answer = client.get(&path)?;
        ensure!(answer.status == 200, "{path} answers {}", answer.status);
        let expected = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        ensure!(answer.body == expected, "{path} differs from what was rendered");
    }
    Ok(())
}

/// All files at or below a folder, by name.
pub(super) fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() { files.extend(files_below(&path)?) } else { files.push(path) }
    }
    files.sort();
    Ok(files)
}
