//! Each rule is shown a workspace that keeps it and one that breaks it.

use super::*;

/// A workspace of two crates, a program and their papers that breaks no rule.
fn good() -> Facts {
    let package = |name: &str, folder: &str, layer, needs: &[&str]| Package {
        name: name.into(),
        folder: folder.into(),
        description: "what it is for".into(),
        licence: LICENCE.into(),
        layer: Some(layer),
        declares_unsafe: Some(false),
        declares_alloc: Some(false),
        only_for_tests: false,
        features: BTreeSet::new(),
        dependencies: needs
            .iter()
            .map(|name| Dependency {
                name: (*name).into(),
                kind: Kind::Normal,
                ours: name.starts_with("swos-"),
            })
            .collect(),
    };
    let mut facts = Facts {
        packages: vec![
            package("swos-low", "crates/low", 0, &["bitflags"]),
            package("swos-high", "crates/high", 2, &["swos-low"]),
            package("swos-program", "bins/user/program", 6, &["swos-high"]),
        ],
        ..Facts::default()
    };
    let mut file = |path: &str, text: &str| facts.files.insert(path.into(), text.into());
    for name in ["low", "high"] {
        file(&format!("crates/{name}/README.md"), "# it\n");
        file(&format!("crates/{name}/src/lib.rs"), "#![forbid(unsafe_code)]\n");
    }
    file("crates/low/Cargo.toml", "[dependencies]\nbitflags.workspace = true\n");
    file("Cargo.toml", "[workspace.dependencies]\nbitflags = \"2\"\nswos-low = { path = \"crates/low\" }\n");
    file(DEPENDENCY_PAGE, "| library | where |\n|---|---|\n| `bitflags` | everywhere |\n");
    facts
}

/// What the rules find after one change.
fn after(change: impl FnOnce(&mut Facts)) -> Vec<String> {
    let mut facts = good();
    change(&mut facts);
    check(&facts).iter().map(ToString::to_string).collect()
}

fn set(facts: &mut Facts, path: &str, text: &str) {
    facts.files.insert(path.into(), text.into());
}

#[test]
fn a_good_workspace_has_no_findings() {
    assert_eq!(after(|_| {}), [""; 0]);
}

#[test]
fn a_package_states_its_place() {
    let manifest = "crates/low/Cargo.toml";
    type Change = fn(&mut Package);
    let cases: [(Change, &str); 7] = [
        (|package| package.layer = None, "no layer in [package.metadata.swos]"),
        (|package| package.layer = Some(7), "layer 7 does not exist"),
        (|package| package.declares_alloc = None, "no `alloc` in [package.metadata.swos]"),
        (|package| package.licence.clear(), "licence \"\" is not Apache-2.0"),
        (|package| package.description.clear(), "no description"),
        (|package| package.declares_unsafe = None, "no `unsafe` in [package.metadata.swos]"),
        (
            |package| package.folder = "crates/lower".into(),
            "the package is called swos-low and not swos-lower",
        ),
    ];
    for (change, expected) in cases {
        let found = after(|facts| change(&mut facts.packages[0]));
        assert!(found.iter().any(|finding| finding.ends_with(expected)), "{expected}: {found:?}");
    }
    assert_eq!(
        after(|facts| {
            facts.packages[0].layer = Some(6);
            facts.packages[1].dependencies.clear();
            set(facts, "Cargo.toml", "");
        }),
        [format!("{manifest}: a library is below layer 6")]
    );
}

#[test]
fn no_dependency_points_up() {
    let found = after(|facts| facts.packages[0].layer = Some(3));
    assert_eq!(found, ["crates/high/Cargo.toml: layer 2 depends on swos-low of layer 3"]);
    assert_eq!(
        after(|facts| {
            facts.packages[0].layer = Some(3);
            facts.packages[1].dependencies[0].kind = Kind::Dev;
        }),
        [""; 0],
        "tests may look up"
    );
}

#[test]
fn no_circle_even_through_tests() {
    let found = after(|facts| {
        let back = Dependency { name: "swos-high".into(), kind: Kind::Dev, ours: true };
        facts.packages[0].dependencies.push(back);
    });
    let circle = "depends on itself in a circle";
    assert_eq!(
        found,
        [format!("crates/low/Cargo.toml: {circle}"), format!("crates/high/Cargo.toml: {circle}")]
    );
}

#[test]
fn no_features() {
    let found = after(|facts| {
        facts.packages[1].features.insert("std".into());
    });
    assert_eq!(found, ["crates/high/Cargo.toml: cargo features in a component crate"]);
}

#[test]
fn unsafe_code_is_declared_and_argued() {
    let opt_out = concat!("#![exp", "ect(\n    unsafe_code,\n    reason = \"registers\"\n)]");
    let lib = "crates/low/src/lib.rs";
    let found = after(|facts| set(facts, lib, opt_out));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].ends_with("unsafe code without `unsafe = true` in [package.metadata.swos]"));
    assert!(found[1].ends_with("src/lib.rs does not forbid unsafe code"));

    let declare = |facts: &mut Facts| facts.packages[0].declares_unsafe = Some(true);
    let found = after(|facts| {
        declare(facts);
        set(facts, lib, opt_out);
    });
    assert_eq!(found, ["crates/low/Cargo.toml: unsafe code without SOUNDNESS.md"]);
    let found = after(|facts| {
        declare(facts);
        set(facts, "crates/low/SOUNDNESS.md", "why");
    });
    assert_eq!(found, ["crates/low/Cargo.toml: declares unsafe code and has none"]);
    let found = after(|facts| {
        declare(facts);
        set(facts, "crates/low/SOUNDNESS.md", "why");
        set(facts, lib, opt_out);
    });
    assert_eq!(found, [""; 0]);
    let found = after(|facts| {
        declare(facts);
        facts.packages[0].only_for_tests = true;
        set(facts, lib, opt_out);
    });
    assert_eq!(found, [""; 0], "a test program has no callers to protect");
    let program = "bins/user/program/src/deep/inside.rs";
    let found = after(|facts| set(facts, program, concat!("#[al", "low(unsafe_code)]")));
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn a_readme_of_at_most_a_page() {
    let found = after(|facts| {
        facts.files.remove("crates/low/README.md");
    });
    assert_eq!(found, ["crates/low: no README.md"]);
    let found = after(|facts| set(facts, "crates/low/README.md", &"line\n".repeat(61)));
    assert_eq!(found, ["crates/low/README.md: 61 lines, at most 60"]);
}

#[test]
fn sources_of_at_most_800_lines() {
    assert_eq!(after(|facts| set(facts, "crates/low/src/a.rs", &"\n".repeat(800))), [""; 0]);
    let found = after(|facts| set(facts, "crates/low/src/a.rs", &"\n".repeat(801)));
    assert_eq!(found, ["crates/low/src/a.rs: 801 lines, at most 800"]);
}

#[test]
fn libraries_of_others_are_argued_and_used() {
    let found = after(|facts| set(facts, DEPENDENCY_PAGE, ""));
    assert_eq!(found, [format!("crates/low/Cargo.toml: bitflags has no line in {DEPENDENCY_PAGE}")]);
    let found = after(|facts| set(facts, DEPENDENCY_PAGE, "| `bitflags` | x |\n| `left-pad` | x |\n"));
    assert_eq!(found, [format!("{DEPENDENCY_PAGE}: left-pad is used by nobody")]);
}

#[test]
fn versions_stand_in_one_place() {
    for text in [
        "[dependencies]\nbitflags = \"2\"\n",
        "[dev-dependencies]\nbitflags = { version = \"2\" }\n",
        "[target.'cfg(loom)'.dependencies]\nbitflags = \"2\"\n",
        "[dependencies]\nbitflags = { path = \"../bitflags\", version = \"2\" }\n",
    ] {
        let found = after(|facts| set(facts, "crates/low/Cargo.toml", text));
        assert_eq!(found, ["crates/low/Cargo.toml: bitflags does not come from the workspace"], "{text}");
    }
    let found = after(|facts| set(facts, "Cargo.toml", "[workspace.dependencies]\nunused = \"1\"\n"));
    assert_eq!(found, ["Cargo.toml: unused is used by nobody"]);
}

#[test]
fn unfinished_and_private_words_are_seen() {
    for word in FORBIDDEN {
        let found = after(|facts| set(facts, "docs/page.md", &format!("fine\n{word}: x\n")));
        assert_eq!(found, [format!("docs/page.md:2: {word:?} does not belong here")]);
    }
    let inside = format!("A{}B {}LONG", FORBIDDEN[0], FORBIDDEN[2]);
    assert_eq!(after(|facts| set(facts, "docs/page.md", &inside)), [""; 0], "{inside}");
}
