//! What the workspace holds, gathered once.

use crate::cargo;
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Everything that the rules look at.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// Our packages.
    pub(super) packages: Vec<Package>,
    /// Every text file under version control, or about to be, by its path from the top.
    pub(super) files: BTreeMap<String, String>,
}

/// One of our packages.
#[derive(Clone, Debug, Default)]
pub(super) struct Package {
    pub(super) name: String,
    /// From the top of the checkout.
    pub(super) folder: String,
    pub(super) description: String,
    pub(super) licence: String,
    pub(super) layer: Option<u64>,
    pub(super) declares_unsafe: Option<bool>,
    pub(super) declares_alloc: Option<bool>,
    /// A program that only tests run: it has no callers to protect, and may break rules on purpose.
    pub(super) only_for_tests: bool,
    pub(super) features: BTreeSet<String>,
    pub(super) dependencies: Vec<Dependency>,
}

/// One line of a manifest's dependencies.
#[derive(Clone, Debug, Default)]
pub(super) struct Dependency {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// In this workspace.
    pub(super) ours: bool,
}

/// When a dependency is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Normal,
    Build,
    Dev,
}

impl Package {
    /// True for the libraries below `crates/`.
    pub(super) fn is_crate(&self) -> bool {
        self.folder.starts_with("crates/")
    }

    /// Its manifest.
    pub(super) fn manifest(&self) -> String {
        format!("{}/Cargo.toml", self.folder)
    }
}

impl Facts {
    pub(super) fn gather(workspace: &Workspace) -> Result<Self> {
        let metadata = cargo::metadata(workspace, &["--no-deps"])?;
        let packages = metadata["packages"].as_array().context("cargo metadata lists packages")?;
        let packages = packages.iter().map(|package| read(workspace, package)).collect::<Result<_>>()?;
        Ok(Self { packages, files: texts(workspace)? })
    }

    /// Files below a folder.
    pub(super) fn below<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let inside = move |path: &str| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        self.files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
            .filter(move |(path, _)| inside(path))
    }
}

fn read(workspace: &Workspace, package: &Value) -> Result<Package> {
    let text = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
    let manifest = text("manifest_path");
    let folder = Path::new(&manifest).parent().and_then(|folder| folder.strip_prefix(workspace.root()).ok());
    let ours = &package["metadata"]["swos"];
    let dependencies =
        package["dependencies"].as_array().into_iter().flatten().map(|dependency| Dependency {
            name: dependency["name"].as_str().unwrap_or_default().to_owned(),
            kind: match dependency["kind"].as_str() {
                Some("dev") => Kind::Dev,
                Some("build") => Kind::Build,
                _ => Kind::Normal,
            },
            ours: dependency["path"].is_string(),
        });
    Ok(Package {
        name: text("name"),
        folder: folder.context("a member lies in the checkout")?.to_string_lossy().into_owned(),
        description: text("description"),
        licence: text("license"),
        layer: ours["layer"].as_u64(),
        declares_unsafe: ours["unsafe"].as_bool(),
        declares_alloc: ours["alloc"].as_bool(),
        only_for_tests: ours["image"].as_str() == Some("test"),
        features: package["features"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name.clone())
            .collect(),
        dependencies: dependencies.collect(),
    })
}

/// Tracked and new files, without what is ignored; binary ones are left out.
fn texts(workspace: &Workspace) -> Result<BTreeMap<String, String>> {
    let mut command = Command::new("git");
    command.current_dir(workspace.root()).args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]);
    let mut texts = BTreeMap::new();
    for path in crate::process::output(&mut command)?.split('\0').filter(|path| !path.is_empty()) {
        // Deleted but not yet committed, or not text: nothing to judge.
        if let Ok(text) = fs::read_to_string(workspace.root().join(path)) {
            texts.insert(path.to_owned(), text);
        }
    }
    Ok(texts)
}
