//! [docs/conformance.md](../docs/conformance.md): which normative statement of MQTT is upheld where
//! in the code, and which tests prove it. Made from the statements' ids as the code, the tests and
//! the scenarios of `tests/wire` cite them in comments: `[MQTT-3.1.0-2]` of 5.0, `[MQTT-3.1.0-2] of
//! 3.1.1`, and lists of them. The lists of all statements are in `tests/conformance`.
//!
//! `ZILLA_BLESS=1 cargo test --test conformance` writes the page.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::string_slice,
    reason = "a test ends at the first surprise"
)]

#[path = "conformance/citation.rs"]
mod citation;
#[path = "conformance/page.rs"]
mod page;
#[path = "conformance/statement.rs"]
mod statement;

use std::path::{Path, PathBuf};

use citation::{Citation, cited_in};
use statement::{Specification, Statement};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All citations in the code, the tests and the scenarios.
fn citations() -> Vec<Citation> {
    let mut files = Vec::new();
    for folder in ["bindings", "engine", "src", "tests", "fuzz/fuzz_targets"] {
        collect(&root().join(folder), &mut files);
    }
    files.sort();
    files.iter().flat_map(|file| cited_in(file)).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let is_scenario = name.ends_with(".txt") && path.starts_with(root().join("tests/wire"));
        // What is about citations cites nothing.
        if path.is_dir() && name != "target" && name != "conformance" {
            collect(&path, files);
        } else if is_scenario || name.ends_with(".rs") && name != "conformance.rs" {
            files.push(path);
        }
    }
}

#[test]
fn every_id_that_is_cited_exists() {
    let statements = statement::all();
    let exists = |citation: &&Citation| {
        let is = |statement: &Statement| statement.is(citation.specification, &citation.id);
        statements.iter().any(is)
    };
    let wrong: Vec<String> = citations()
        .iter()
        .filter(|citation| !exists(citation))
        .map(|citation| {
            let Citation { file, line, id, specification, .. } = citation;
            format!("{file}:{line}: [{id}] is no statement of {specification}")
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_reason_is_given_only_where_something_is_missing() {
    let stale = page::reasons_for_nothing(&statement::all(), &citations());
    assert!(stale.is_empty(), "{stale:#?}");
}

#[test]
fn the_page_says_what_is_cited() {
    let made = page::make(&statement::all(), &citations());
    let path = root().join("docs/conformance.md");
    if std::env::var("ZILLA_BLESS").is_ok_and(|value| value == "1") {
        std::fs::write(&path, made).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = kept.lines().zip(made.lines()).find(|(kept, made)| kept != made);
    assert!(
        kept == made,
        "docs/conformance.md differs (ZILLA_BLESS=1 writes it), first in:\n{differs:#?}"
    );
}

#[test]
fn a_list_of_ids_is_cited_one_by_one() {
    let cited = |text: &str| -> Vec<(String, Specification)> {
        let lists = citation::lists(text);
        lists.into_iter().map(|(_, id, specification)| (id, specification)).collect()
    };
    let expect = |text: &str, ids: &[(&str, Specification)]| {
        let ids: Vec<_> = ids.iter().map(|(id, of)| (format!("MQTT-{id}"), *of)).collect();
        assert_eq!(cited(text), ids, "{text}");
    };
    use Specification::{V5, V311};
    expect("// [MQTT-3.1.0-2]", &[("3.1.0-2", V5)]);
    expect("// [MQTT-1.5.3-1], [MQTT-3.1.0-2] of 3.1.1", &[("1.5.3-1", V311), ("3.1.0-2", V311)]);
    expect("// [MQTT-1.5.4-1]; [MQTT-1.5.3-1] of 3.1.1", &[("1.5.4-1", V5), ("1.5.3-1", V311)]);
    expect("# [MQTT-4.8.0-1] of\n# 3.1.1.", &[("4.8.0-1", V311)]);
    expect(
        "/// [MQTT-4.2-1],\n    /// [MQTT-3-8.3-4] of 3.1.1",
        &[("4.2-1", V311), ("3-8.3-4", V311)],
    );
    let range = [("3.1.2-9", V5), ("3.1.2-10", V5), ("3.1.2-11", V5)];
    expect("// [MQTT-3.1.2-9] to [MQTT-3.1.2-11]", &range);
}
