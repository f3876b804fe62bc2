//! What the command line says.

use crate::journal::Access;

/// How to call it.
pub(crate) const USAGE: &str = "usage: httpd [--port N] [--root DIRECTORY] [--access-log sampled|all|off]";

/// Settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) port: u16,
    pub(crate) root: &'static str,
    pub(crate) access: Access,
}

/// Reads `--name value` and `--name=value`.
pub(crate) fn parse(mut args: impl Iterator<Item = &'static str>) -> Result<Options, &'static str> {
    let mut options = Options { port: 80, root: "/www", access: Access::Sampled };
    while let Some(argument) = args.next() {
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (argument, args.next()),
        };
        let value = value.ok_or("an option lacks its value")?;
        match (name, value) {
            ("--port", port) => options.port = port.parse().map_err(|_| "not a port")?,
            ("--root", root) => options.root = root,
            ("--access-log", "sampled") => options.access = Access::Sampled,
            ("--access-log", "all") => options.access = Access::All,
            ("--access-log", "off") => options.access = Access::Off,
            _ => return Err("no such option"),
        }
    }
    Ok(options)
}
