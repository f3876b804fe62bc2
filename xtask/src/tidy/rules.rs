//! The rules.

use super::Finding;
use super::facts::{Dependency, Facts, Kind, Package};
use std::collections::{BTreeMap, BTreeSet};

/// Longest source file. A reader cannot hold more; split by concept.
const FILE_LINES: usize = 800;
/// Longest README of a crate.
const README_LINES: usize = 60;
/// Highest layer: programs and tools.
const TOP_LAYER: u64 = 6;
const LICENCE: &str = "Apache-2.0";
const DEPENDENCY_PAGE: &str = "docs/src/dependencies.md";

/// Words that mark something unfinished, and folders of somebody's machine. Split, so that this file has none.
const FORBIDDEN: [&str; 6] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/Us", "ers/"),
];

type Rule = fn(&Facts) -> Vec<Finding>;

const RULES: [Rule; 9] =
    [places, layers, features, permission_for_unsafe, readmes, sizes, third_party, versions, words];

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    RULES.iter().flat_map(|rule| rule(facts)).collect()
}

/// Every package states its layer, whether it has unsafe code and whether it allocates, our licence and what it is
/// for; a crate is named after its folder.
fn places(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in &facts.packages {
        let mut found = |what: String| findings.push(Finding::new(package.manifest(), what));
        match package.layer {
            None => found("no layer in [package.metadata.swos]".into()),
            Some(layer) if layer > TOP_LAYER => found(format!("layer {layer} does not exist")),
            Some(TOP_LAYER) if package.is_crate() => found("a library is below layer 6".into()),
            Some(_) => {}
        }
        if package.declares_unsafe.is_none() {
            found("no `unsafe` in [package.metadata.swos]".into());
        }
        if package.declares_alloc.is_none() {
            found("no `alloc` in [package.metadata.swos]".into());
        }
        if package.licence != LICENCE {
            found(format!("licence {:?} is not {LICENCE}", package.licence));
        }
        if package.description.is_empty() {
            found("no description".into());
        }
        let noun = package.folder.strip_prefix("crates/");
        if let Some(noun) = noun
            && package.name != format!("swos-{noun}")
        {
            found(format!("the package is called {} and not swos-{noun}", package.name));
        }
    }
    findings
}

/// No dependency points up. Tests may look further up, as long as no circle comes of it.
fn layers(facts: &Facts) -> Vec<Finding> {
    let by_name: BTreeMap<&str, &Package> =
        facts.packages.iter().map(|package| (package.name.as_str(), package)).collect();
    let mut findings = Vec::new();
    for package in &facts.packages {
        for dependency in package.dependencies.iter().filter(|dependency| dependency.kind != Kind::Dev) {
            let below = by_name.get(dependency.name.as_str()).and_then(|other| other.layer);
            if let (Some(own), Some(below)) = (package.layer, below)
                && below > own
            {
                let what = format!("layer {own} depends on {} of layer {below}", dependency.name);
                findings.push(Finding::new(package.manifest(), what));
            }
        }
        if reaches(&by_name, package, &package.name, &mut BTreeSet::new()) {
            findings.push(Finding::new(package.manifest(), "depends on itself in a circle"));
        }
    }
    findings
}

/// Whether `goal` is among what `package` depends on, directly or not, tests included.
fn reaches<'a>(
    by_name: &BTreeMap<&'a str, &'a Package>,
    package: &'a Package,
    goal: &str,
    seen: &mut BTreeSet<&'a str>,
) -> bool {
    let ours = |dependency: &Dependency| by_name.get(dependency.name.as_str()).copied();
    package
        .dependencies
        .iter()
        .filter_map(ours)
        .any(|next| next.name == goal || (seen.insert(&next.name) && reaches(by_name, next, goal, seen)))
}

/// A component has one shape: sizes are arguments, policies are values.
fn features(facts: &Facts) -> Vec<Finding> {
    let crates = facts.packages.iter().filter(|package| package.is_crate() && !package.features.is_empty());
    crates.map(|package| Finding::new(package.manifest(), "cargo features in a component crate")).collect()
}

/// Unsafe code exactly where the manifest declares it, and there with an argument for its soundness.
fn permission_for_unsafe(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in &facts.packages {
        let source = format!("{}/src", package.folder);
        let opts_out = facts.below(&source).any(|(_, text)| opts_out_of_safety(text));
        let root = facts.files.get(&format!("{source}/lib.rs")).map_or("", String::as_str);
        let mut found = |what: &str| findings.push(Finding::new(package.manifest(), what));
        if package.declares_unsafe == Some(true) {
            if !opts_out {
                found("declares unsafe code and has none");
            }
            let argued = facts.files.contains_key(&format!("{}/SOUNDNESS.md", package.folder));
            if !argued && !package.only_for_tests {
                found("unsafe code without SOUNDNESS.md");
            }
        } else {
            if opts_out {
                found("unsafe code without `unsafe = true` in [package.metadata.swos]");
            }
            if package.is_crate() && !root.contains("#![forbid(unsafe_code)]") {
                found("src/lib.rs does not forbid unsafe code");
            }
        }
    }
    findings
}

/// Whether a source switches the workspace's lint off. `forbid` and `deny` name the lint too and keep it on.
fn opts_out_of_safety(text: &str) -> bool {
    let compact: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| line.chars().filter(|c| !c.is_whitespace()))
        .collect();
    ["expect(", "allow(", "warn("].iter().any(|opening| compact.contains(&format!("{opening}unsafe_code")))
}

/// Every crate says in at most a page what it is for.
fn readmes(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in facts.packages.iter().filter(|package| package.is_crate()) {
        let path = format!("{}/README.md", package.folder);
        match facts.files.get(&path).map(|text| text.lines().count()) {
            None => findings.push(Finding::new(&package.folder, "no README.md")),
            Some(lines) if lines > README_LINES => {
                findings.push(Finding::new(path, format!("{lines} lines, at most {README_LINES}")));
            }
            Some(_) => {}
        }
    }
    findings
}

fn sizes(facts: &Facts) -> Vec<Finding> {
    let sources = facts.files.iter().filter(|(path, _)| path.ends_with(".rs"));
    let long =
        sources.map(|(path, text)| (path, text.lines().count())).filter(|(_, lines)| *lines > FILE_LINES);
    long.map(|(path, lines)| Finding::new(path, format!("{lines} lines, at most {FILE_LINES}"))).collect()
}

/// Every library of others is argued in one line.
fn third_party(facts: &Facts) -> Vec<Finding> {
    let page = facts.files.get(DEPENDENCY_PAGE).map_or("", String::as_str);
    let mut findings = Vec::new();
    let mut used = BTreeSet::new();
    for package in &facts.packages {
        for dependency in package.dependencies.iter().filter(|dependency| !dependency.ours) {
            used.insert(dependency.name.as_str());
            if !page.contains(&format!("| `{}` |", dependency.name)) {
                let what = format!("{} has no line in {DEPENDENCY_PAGE}", dependency.name);
                findings.push(Finding::new(package.manifest(), what));
            }
        }
    }
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    for (name, _) in rows.filter(|(name, _)| !used.contains(name)) {
        findings.push(Finding::new(DEPENDENCY_PAGE, format!("{name} is used by nobody")));
    }
    findings
}

/// Versions stand in the workspace's manifest and nowhere else; what stands there is used.
fn versions(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in &facts.packages {
        let manifest = facts.files.get(&package.manifest()).map_or("", String::as_str);
        let table: toml::Table = toml::from_str(manifest).unwrap_or_default();
        for (name, value) in dependency_tables(&table) {
            let inherited = value.get("workspace").and_then(toml::Value::as_bool) == Some(true);
            let ours = value.get("path").is_some() && value.get("version").is_none();
            if !inherited && !ours {
                findings.push(Finding::new(
                    package.manifest(),
                    format!("{name} does not come from the workspace"),
                ));
            }
        }
    }
    let used: BTreeSet<&str> = facts
        .packages
        .iter()
        .flat_map(|package| &package.dependencies)
        .map(|used| used.name.as_str())
        .collect();
    let root: toml::Table =
        facts.files.get("Cargo.toml").and_then(|text| toml::from_str(text).ok()).unwrap_or_default();
    let offered = root.get("workspace").and_then(|workspace| workspace.get("dependencies"));
    let offered = offered.and_then(toml::Value::as_table).into_iter().flatten();
    for (name, _) in offered.filter(|(name, _)| !used.contains(name.as_str())) {
        findings.push(Finding::new("Cargo.toml", format!("{name} is used by nobody")));
    }
    findings
}

/// Every dependency of a manifest, those for one target only included.
fn dependency_tables(manifest: &toml::Table) -> Vec<(&str, &toml::Value)> {
    let mut tables: Vec<&toml::Table> = vec![manifest];
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    tables.extend(targets.into_iter().flatten().filter_map(|(_, value)| value.as_table()));
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    let lists =
        tables.into_iter().flat_map(|table| kinds.iter().filter_map(|kind| table.get(*kind)?.as_table()));
    lists.flatten().map(|(name, value)| (name.as_str(), value)).collect()
}

/// Nothing unfinished, and nothing of somebody's own machine.
fn words(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in facts.files.iter().filter(|(path, _)| path.as_str() != "Cargo.lock") {
        for (number, line) in text.lines().enumerate() {
            for word in FORBIDDEN.iter().filter(|word| contains_word(line, word)) {
                findings.push(Finding::new(
                    format!("{path}:{}", number + 1),
                    format!("{word:?} does not belong here"),
                ));
            }
        }
    }
    findings
}

/// Whether `word` stands in `line` and is not the middle of a longer one.
fn contains_word(line: &str, word: &str) -> bool {
    let joins = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let after = line.get(at + word.len()..).and_then(|text| text.chars().next());
        let letters = |c: char| c.is_ascii_alphanumeric();
        !(joins(before) && word.starts_with(letters) || joins(after) && word.ends_with(letters))
    })
}

#[cfg(test)]
mod tests;
