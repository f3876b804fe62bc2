//! Where things are.

use anyhow::{Context, Result};
use std::env;
use std::path::{Path, PathBuf};

/// The checkout, its target directory and the directory of finished artefacts.
#[derive(Clone, Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
    build: PathBuf,
    tools: PathBuf,
}

impl Workspace {
    /// The checkout that this program was started in. `CARGO_TARGET_DIR` and `SWOS_BUILD_DIR` move the outputs, so
    /// that two builds of one checkout need not meet.
    pub(crate) fn locate() -> Result<Self> {
        let manifest = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest.parent().context("xtask stands in a folder of the workspace")?.to_path_buf();
        let moved = |name: &str, standard: &str| {
            root.join(env::var_os(name).map_or_else(|| PathBuf::from(standard), PathBuf::from))
        };
        let (target, build) = (moved("CARGO_TARGET_DIR", "target"), moved("SWOS_BUILD_DIR", "build"));
        let tools = root.join("target/tools");
        Ok(Self { root, target, build, tools })
    }

    /// A copy of the sources elsewhere, with outputs inside it and the tools of this one.
    pub(crate) fn copied_to(&self, root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        Self { target: root.join("target"), build: root.join("build"), tools: self.tools.clone(), root }
    }

    /// The top of the checkout.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where cargo builds.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Where finished artefacts go.
    pub(crate) fn build(&self) -> &Path {
        &self.build
    }

    /// Where tools that set-up makes from source live, wherever the builds of ours go.
    pub(crate) fn tools(&self) -> &Path {
        &self.tools
    }

    /// The bootable flat kernel.
    pub(crate) fn kernel_image(&self) -> PathBuf {
        self.build.join("Image")
    }

    /// The linked kernel with its symbols.
    pub(crate) fn kernel_elf(&self) -> PathBuf {
        self.build.join("kernel.elf")
    }

    /// The signed base image.
    pub(crate) fn base_image(&self) -> PathBuf {
        self.build.join("base.img")
    }
}
