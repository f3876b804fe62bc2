//! Children: started, watched, and told apart when they fail.

use anyhow::{Context, Result, bail};
use std::io::IsTerminal;
use std::process::{Command, Stdio};

/// True when a person watches; otherwise steps stay quiet.
pub(crate) fn watched() -> bool {
    std::io::stderr().is_terminal()
}

/// Says what begins, to the person who waits.
pub(crate) fn say(text: &str) {
    eprintln!("xtask: {text}");
}

/// Runs a command to its end.
///
/// # Errors
/// It could not be started, or it ended with anything but success.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", name(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", name(command));
    }
    Ok(())
}

/// Runs a command and returns its standard output as text.
///
/// # Errors
/// As [`run`]; or the output is not UTF-8.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {}", name(command)))?;
    if !output.status.success() {
        bail!("{} ended with {}", name(command), output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("{} printed no UTF-8", name(command)))
}

/// The first words of a command, to name it in a message.
fn name(command: &Command) -> String {
    let words = core::iter::once(command.get_program()).chain(command.get_args().take(4));
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}
