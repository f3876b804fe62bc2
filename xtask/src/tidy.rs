//! `xtask tidy`: the rules of the workspace, each a function from what the workspace holds to what breaks it.
//!
//! **Invariant:** a rule does no I/O: it judges a [`Facts`], so that its test can show it a workspace that breaks it.

mod facts;
mod generated;
mod rules;

use crate::workspace::Workspace;
use anyhow::{Result, bail};
use clap::Args;
use core::fmt;
use facts::Facts;

/// Checks the rules of the workspace: layers, unsafe only where declared, a README per crate, sizes of files, third-party
/// libraries and their versions, generated pages, words that do not belong.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask tidy
  cargo xtask tidy --bless     write the generated pages anew")]
pub(crate) struct Options {
    /// Write generated pages anew instead of complaining about them.
    #[arg(long)]
    bless: bool,
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// Where, relative to the top of the checkout.
    place: String,
    /// What.
    what: String,
}

impl Finding {
    fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self { place: place.into(), what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    if options.bless {
        generated::write(workspace, &Facts::gather(workspace)?)?;
    }
    check(workspace)
}

/// Checks everything.
///
/// # Errors
/// A rule is broken; all findings are printed first.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let facts = Facts::gather(workspace)?;
    let mut findings = rules::check(&facts);
    findings.extend(generated::check(&facts));
    findings.sort();
    findings.iter().for_each(|finding| println!("{finding}"));
    if findings.is_empty() { Ok(()) } else { bail!("tidy: {} findings", findings.len()) }
}
