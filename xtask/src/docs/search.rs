//! The search index of a rendered book, without what no search needs.
//!
//! mdBook indexes the text of every section twice, once under `body` and once under `breadcrumbs`, and writes frequencies with
//! sixteen digits. Every byte of the site is verified when the guest reads it, so half of the index goes.

use anyhow::{Context, Result};
use serde_json::Value;
use std::fs;
use std::path::Path;

const HEAD: &str = "window.search = Object.assign(window.search, JSON.parse('";
const TAIL: &str = "'));";
/// The field that repeats the others.
const FIELD: &str = "breadcrumbs";

/// Makes the index in `book` smaller, if it looks as expected; else it stays as it is.
pub(super) fn slim(book: &Path) -> Result<()> {
    for entry in fs::read_dir(book).with_context(|| format!("cannot list {}", book.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("searchindex-")
            && let Some(smaller) = slimmer(&fs::read_to_string(&path)?)
        {
            fs::write(&path, smaller).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(())
}

fn slimmer(script: &str) -> Option<String> {
    let quoted = script.trim_end().strip_prefix(HEAD)?.strip_suffix(TAIL)?;
    let mut config: Value = serde_json::from_str(&unquote(quoted)).ok()?;
    config.get_mut("search_options")?.get_mut("fields")?.as_object_mut()?.remove(FIELD)?;
    let index = config.get_mut("index")?;
    index.get_mut("fields")?.as_array_mut()?.retain(|field| field != FIELD);
    let trees = index.get_mut("index")?.as_object_mut()?;
    trees.remove(FIELD)?;
    trees.values_mut().for_each(round);
    Some(format!("{HEAD}{}{TAIL}", quote(&config.to_string())))
}

/// Two digits after the point order results as well as sixteen.
fn round(tree: &mut Value) {
    match tree {
        Value::Object(fields) => fields.values_mut().for_each(round),
        Value::Number(number) => {
            if let Some(float) = number.as_f64().filter(|float| float.fract() != 0.0) {
                *tree = Value::from((float * 100.0).round() / 100.0);
            } else if let Some(whole) = number.as_f64() {
                // 1.0 is two bytes longer than 1.
                #[expect(clippy::cast_possible_truncation, reason = "counts of words in a section")]
                let whole = whole as i64;
                *tree = Value::from(whole);
            }
        }
        _ => {}
    }
}

/// The text of a JavaScript string in single quotes, as mdBook escapes it.
fn unquote(text: &str) -> String {
    text.replace("\\'", "'").replace("\\\\", "\\")
}

fn quote(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'")
}

#[cfg(test)]
mod tests {
    use super::{HEAD, TAIL, quote, slimmer, unquote};

    #[test]
    fn what_repeats_goes_and_the_rest_stays() {
        let index = |fields: &str, options: &str, trees: &str| {
            format!(
                "{{\"index\":{{\"fields\":[{fields}],\"index\":{{{trees}}}}},\"search_options\":{{\"fields\":{{{options}}}}}}}"
            )
        };
        let title =
            r#""title":{"root":{"a":{"df":1,"docs":{"0":{"tf":1.0},"1":{"tf":1.4142135623730951}}}}}"#;
        let shorter = r#""title":{"root":{"a":{"df":1,"docs":{"0":{"tf":1},"1":{"tf":1.41}}}}}"#;
        let whole = index(
            "\"title\",\"breadcrumbs\"",
            "\"breadcrumbs\":{\"boost\":2},\"title\":{\"boost\":3}",
            &format!("\"breadcrumbs\":{{}},{title}"),
        );
        let half = index("\"title\"", "\"title\":{\"boost\":3}", shorter);
        assert_eq!(slimmer(&format!("{HEAD}{whole}{TAIL}")), Some(format!("{HEAD}{half}{TAIL}")));
        assert_eq!(slimmer("something else"), None);
    }

    #[test]
    fn quotes_survive() {
        for text in ["it's", "a \\\" b", "\\n", "plain"] {
            assert_eq!(unquote(&quote(text)), text);
        }
    }
}
