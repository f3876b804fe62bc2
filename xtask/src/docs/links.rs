//! Whether every link of a rendered site leads somewhere.

use crate::fingerprint::files_below;
use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Pages by their path from the top of the site, and the names of all other files with an empty text.
type Site = BTreeMap<String, String>;

/// Every link of the front page and the book that leads nowhere, as the guest will serve them: the front page's folder at
/// the top, the book in `book`.
pub(super) fn dead(front: &Path, book: &Path) -> Result<Vec<String>> {
    let mut site = Site::new();
    for (folder, place) in [(front, ""), (book, "book/")] {
        for file in files_below(folder)? {
            let name = file.strip_prefix(folder).context("a file below a folder")?;
            let page = name.extension().is_some_and(|extension| extension == "html");
            let text = if page {
                fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?
            } else {
                String::new()
            };
            site.insert(format!("{place}{}", name.to_string_lossy()), text);
        }
    }
    Ok(judge(&site))
}

fn judge(site: &Site) -> Vec<String> {
    let names: BTreeMap<&str, BTreeSet<&str>> =
        site.iter().map(|(page, text)| (page.as_str(), values(text, " id=\"").collect())).collect();
    let mut findings = Vec::new();
    for (page, text) in site {
        for link in values(text, " href=\"").chain(values(text, " src=\"")) {
            // To somewhere else: followed by the reader, fetched by nobody.
            if link.contains(':') {
                continue;
            }
            let (path, name) = link.split_once('#').unwrap_or((link, ""));
            let target = resolve(page, path.split('?').next().unwrap_or(path));
            let lives =
                names.get(target.as_str()).is_some_and(|known| name.is_empty() || known.contains(name));
            if !lives {
                findings.push(format!("{page}: {link}"));
            }
        }
    }
    findings
}

/// What stands between `mark` and the next quote, everywhere.
fn values<'a>(text: &'a str, mark: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(mark).skip(1).filter_map(|rest| rest.split_once('"').map(|(value, _)| value))
}

/// Where a link on `page` leads, from the top of the site. A folder stands for its `index.html`.
fn resolve(page: &str, path: &str) -> String {
    let folder = page.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts: Vec<&str> = match path {
        "" => return page.to_owned(),
        absolute if absolute.starts_with('/') => Vec::new(),
        _ => folder.split('/').filter(|part| !part.is_empty()).collect(),
    };
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    if path.ends_with('/') || parts.is_empty() {
        parts.push("index.html");
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::{Site, judge};

    #[test]
    fn links_are_followed() {
        let site = |text: &str| {
            Site::from([
                ("index.html".to_owned(), String::new()),
                ("book/index.html".to_owned(), "<h1 id=\"top\">".to_owned()),
                ("book/a/b.html".to_owned(), text.to_owned()),
                ("book/look.css".to_owned(), String::new()),
            ])
        };
        for good in
            ["../index.html#top", "#here", "/", "../../", "/book/", "../look.css?1", "https://swos.example/x"]
        {
            assert!(judge(&site(&format!("<p id=\"here\"><a href=\"{good}\">"))).is_empty(), "{good}");
        }
        for dead in ["c.html", "../index.html#no", "#no", "/a/b.html", "../look.js", ".."] {
            assert_eq!(judge(&site(&format!("<script src=\"{dead}\">"))).len(), 1, "{dead}");
        }
    }
}
