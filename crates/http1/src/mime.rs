//! Media types by file name.

/// Extension and media type. Text is UTF-8: pages are written so, and a browser should not guess.
const TABLE: [(&str, &str); 43] = [
    ("html", "text/html; charset=utf-8"),
    ("htm", "text/html; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("map", "application/json"),
    ("txt", "text/plain; charset=utf-8"),
    ("md", "text/markdown; charset=utf-8"),
    ("rs", "text/plain; charset=utf-8"),
    ("toml", "text/plain; charset=utf-8"),
    ("log", "text/plain; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("xml", "application/xml"),
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("avif", "image/avif"),
    ("ico", "image/vnd.microsoft.icon"),
    ("bmp", "image/bmp"),
    ("woff2", "font/woff2"),
    ("woff", "font/woff"),
    ("ttf", "font/ttf"),
    ("otf", "font/otf"),
    ("eot", "application/vnd.ms-fontobject"),
    ("pdf", "application/pdf"),
    ("wasm", "application/wasm"),
    ("zip", "application/zip"),
    ("gz", "application/gzip"),
    ("xz", "application/x-xz"),
    ("zst", "application/zstd"),
    ("tar", "application/x-tar"),
    ("mp3", "audio/mpeg"),
    ("ogg", "audio/ogg"),
    ("wav", "audio/wav"),
    ("mp4", "video/mp4"),
    ("webm", "video/webm"),
    ("epub", "application/epub+zip"),
    ("webmanifest", "application/manifest+json"),
    ("atom", "application/atom+xml"),
];

/// Media type of a file by the extension of its name, `application/octet-stream` if it says nothing.
#[must_use]
pub fn media_type(name: &[u8]) -> &'static str {
    let last = name.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let extension =
        last.iter().rposition(|&byte| byte == b'.').and_then(|dot| last.get(dot.saturating_add(1)..));
    let known = extension.and_then(|extension| {
        TABLE.iter().find(|(known, _)| extension.eq_ignore_ascii_case(known.as_bytes()))
    });
    known.map_or("application/octet-stream", |(_, media_type)| media_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_extension_of_the_last_component_counts() {
        for (name, expected) in [
            ("index.html", "text/html; charset=utf-8"),
            ("a.b/INDEX.HTML", "text/html; charset=utf-8"),
            ("x.tar.gz", "application/gzip"),
            ("a.html/b", "application/octet-stream"),
            ("noext", "application/octet-stream"),
            ("dot.", "application/octet-stream"),
            ("", "application/octet-stream"),
        ] {
            assert_eq!(media_type(name.as_bytes()), expected, "{name}");
        }
    }
}
