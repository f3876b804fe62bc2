//! A page that lists a directory.

use alloc::vec::Vec;

use swos_http1::path;

/// Kind of an entry.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum EntryKind {
    /// A directory: listed first, with a slash.
    Directory,
    /// Anything else.
    File,
}

/// One entry of a directory. Ordered as it is listed: directories first, then by name.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Entry {
    /// Its kind.
    pub kind: EntryKind,
    /// Its name.
    pub name: Vec<u8>,
}

/// Appends a page that lists `entries` of the directory at `path` (relative to the root, no slash at the ends).
pub fn render_listing(path: &[u8], entries: &mut [Entry], into: &mut Vec<u8>) {
    entries.sort_unstable();
    into.extend_from_slice(b"<!doctype html><meta charset=utf-8><title>/");
    escape(path, into);
    into.extend_from_slice(b"</title><h1>/");
    escape(path, into);
    into.extend_from_slice(b"</h1><ul>\n");
    if !path.is_empty() {
        into.extend_from_slice(b"<li><a href=\"../\">../</a>\n");
    }
    for entry in entries.iter() {
        let slash: &[u8] = if entry.kind == EntryKind::Directory { b"/" } else { b"" };
        // "./" keeps a name with a colon from being read as a scheme.
        into.extend_from_slice(b"<li><a href=\"./");
        path::encode(&entry.name, into);
        into.extend_from_slice(slash);
        into.extend_from_slice(b"\">");
        escape(&entry.name, into);
        into.extend_from_slice(slash);
        into.extend_from_slice(b"</a>\n");
    }
    into.extend_from_slice(b"</ul>\n");
}

/// Text as HTML.
fn escape(text: &[u8], into: &mut Vec<u8>) {
    for &byte in text {
        match byte {
            b'&' => into.extend_from_slice(b"&amp;"),
            b'<' => into.extend_from_slice(b"&lt;"),
            b'>' => into.extend_from_slice(b"&gt;"),
            b'"' => into.extend_from_slice(b"&quot;"),
            _ => into.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_can_not_leave_their_place() {
        let entry = |kind, name: &str| Entry { kind, name: name.into() };
        let mut entries = [
            entry(EntryKind::File, "b\"><script>&"),
            entry(EntryKind::File, "a:b"),
            entry(EntryKind::Directory, "z"),
        ];
        let mut page = Vec::new();
        render_listing(b"x/<y>", &mut entries, &mut page);
        let page = String::from_utf8(page).unwrap();
        assert!(page.contains("<h1>/x/&lt;y&gt;</h1>") && page.contains("href=\"../\""));
        let links: Vec<_> = page.matches("href=\"./").collect();
        assert_eq!(links.len(), 3);
        assert!(page.contains("<a href=\"./z/\">z/</a>\n<li><a href=\"./a%3Ab\">a:b</a>\n"));
        assert!(page.contains("<a href=\"./b%22%3E%3Cscript%3E%26\">b&quot;&gt;&lt;script&gt;&amp;</a>"));
        assert!(!page.contains("<script>"));
    }
}
