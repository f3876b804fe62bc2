//! `xtask docs`: the book in `docs/`, rendered; the website that the system serves.

use crate::fingerprint::Inputs;
use crate::workspace::Workspace;
use crate::{process, setup};
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Renders the book in docs/ to build/book.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask docs             then open build/book/index.html")]
pub(crate) struct Options {}

pub(crate) fn run(workspace: &Workspace, _options: &Options) -> Result<()> {
    println!("{}", render(workspace)?.join("index.html").display());
    Ok(())
}

/// Renders the book if its sources changed; returns the folder.
pub(crate) fn render(workspace: &Workspace) -> Result<PathBuf> {
    let book = workspace.build().join("book");
    let docs = workspace.root().join("docs");
    let mut inputs = Inputs::default();
    inputs.path(&docs)?;
    if inputs.made(&book) {
        return Ok(book);
    }
    let mdbook = setup::mdbook(workspace)?;
    process::say("rendering the book");
    let mut command = Command::new(mdbook);
    command.arg("build").arg(&docs).arg("--dest-dir").arg(&book).env("MDBOOK_LOG", "warn");
    process::run(command.stdout(Stdio::null()))?;
    inputs.record(&book)?;
    Ok(book)
}
