//! `xtask docs`: the book in `docs/`, rendered; the website that the system serves.

mod links;
mod search;

use crate::fingerprint::{Inputs, files_below};
use crate::workspace::Workspace;
use crate::{process, setup};
use anyhow::{Context, Result, bail};
use clap::Args;
use std::fs;
use std::path::{Path, PathBuf};
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
    for file in included(&docs)? {
        inputs.path(&file)?;
    }
    let front = workspace.root().join("base/www");
    inputs.path(&front)?;
    if inputs.made(&book) {
        return Ok(book);
    }
    let mdbook = setup::mdbook(workspace)?;
    process::say("rendering the book");
    let mut command = Command::new(mdbook);
    command.arg("build").arg(&docs).arg("--dest-dir").arg(&book).env("MDBOOK_LOG", "warn");
    process::run(command.stdout(Stdio::null()))?;
    search::slim(&book)?;
    let dead = links::dead(&front, &book)?;
    if !dead.is_empty() {
        bail!("links that lead nowhere: {}", dead.join(", "));
    }
    inputs.record(&book)?;
    Ok(book)
}

/// Sources that pages show by inclusion: a change in one changes the book.
fn included(docs: &Path) -> Result<Vec<PathBuf>> {
    let mut sources = Vec::new();
    for page in files_below(&docs.join("src"))? {
        if page.extension().is_some_and(|extension| extension == "md") {
            let text =
                fs::read_to_string(&page).with_context(|| format!("cannot read {}", page.display()))?;
            let folder = page.parent().unwrap_or(docs);
            let names = text.split("{{#include ").skip(1).filter_map(|rest| rest.split(['}', ':']).next());
            sources.extend(names.map(|name| folder.join(name)));
        }
    }
    Ok(sources)
}
