//! Fuzz target, a plain function: the corpus runs in the normal tests too.

use alloc::{format, string::String};

use crate::parse;

/// Parses anything; what is accepted must print as a text that parses to the same.
///
/// # Panics
///
/// If it does not.
pub fn parse_any(text: &[u8]) {
    let Ok(services) = parse(text) else {
        return;
    };
    let mut printed = String::new();
    for service in &services {
        printed += &format!("{service}");
    }
    // Printing spells out defaults, so a text near the limit may not fit again.
    if printed.len() <= crate::TEXT_MAX {
        assert_eq!(parse(printed.as_bytes()).as_deref(), Ok(&*services), "printed: {printed}");
    }
}
