//! The registry of codes: explained, shown, used.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use problem_codes::Example;

use crate::program::{assert_is_file, directory, root, zilla};

/// The codes of the problems of a file, each once.
fn codes_of(directory: &Path, text: &str) -> (BTreeSet<String>, String) {
    fs::write(directory.join("zilla.yaml"), text).unwrap();
    let said = zilla(directory, &["validate"]);
    assert_eq!(said.stderr, "");
    let heads = said.stdout.lines().filter(|line| line.starts_with("./zilla.yaml:"));
    let code = |head: &str| Some(head.split_once('[')?.1.split_once(']')?.0.to_owned());
    let codes: BTreeSet<_> = heads.filter_map(code).collect();
    let has_error = codes.iter().any(|code| code.starts_with('E'));
    assert_eq!(said.status, i32::from(has_error), "{}", said.stdout);
    (codes, said.stdout)
}

#[test]
fn a_bad_example_has_its_code_and_no_other_and_a_good_one_has_none() {
    let directory = directory();
    let mut shown = 0;
    for code in problem_codes::all() {
        let Example::Files { bad, good } = code.example() else { continue };
        shown += 1;
        let (codes, said) = codes_of(directory.path(), bad);
        assert_eq!(codes, BTreeSet::from([code.id().to_owned()]), "{code}\n{bad}\n{said}");
        let (codes, said) = codes_of(directory.path(), good);
        assert_eq!(codes, BTreeSet::new(), "{code}\n{good}\n{said}");
        assert_eq!(said, "", "{code}\n{good}");
    }
    assert!(shown >= 30, "{shown}");
}

#[test]
fn ids_are_in_order_and_each_is_explained() {
    let all = problem_codes::all();
    for pair in all.windows(2) {
        assert!(pair[0].id() < pair[1].id(), "{} and {}", pair[0], pair[1]);
    }
    for code in all {
        let (letter, digits) = code.id().split_at(1);
        assert!(["E", "W"].contains(&letter), "{code}");
        assert!(digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit()), "{code}");
        assert!(!code.title().ends_with('.') && code.explanation().ends_with('.'), "{code}");
    }
}

/// That a code which is used is listed is what the compiler sees to.
#[test]
fn each_code_is_used() {
    let mut sources = String::new();
    let mut folders = vec![root().join("engine/src"), root().join("bindings")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    for code in problem_codes::all() {
        assert!(sources.contains(&format!("codes::{code}")), "nothing says {code}");
    }
}

#[test]
fn a_code_is_explained_with_its_examples() {
    let directory = directory();
    let said = zilla(directory.path(), &["explain-code", "e0205"]);
    assert_eq!(said.status, 0);
    assert!(said.stdout.starts_with("E0205: a value that is not one of those allowed\n"));
    assert!(said.stdout.contains("Wrong:\n\n    name: edge\n"), "{}", said.stdout);
    assert!(said.stdout.contains("        kind: cliemt\n"), "{}", said.stdout);
    let said = zilla(directory.path(), &["explain-code", "E9205"]);
    assert_eq!((said.status, said.stdout.as_str()), (2, ""));
    assert!(said.stderr.contains("did you mean E0205?"), "{}", said.stderr);
}

#[test]
fn all_codes_are_listed_without_an_argument() {
    let directory = directory();
    let said = zilla(directory.path(), &["explain-code"]);
    let listed: Vec<&str> = said.stdout.lines().filter_map(|line| line.get(..5)).collect();
    let ids: Vec<&str> = problem_codes::all().iter().map(|code| code.id()).collect();
    assert_eq!(listed, ids);
    let said = zilla(directory.path(), &["explain-code", "--format", "json"]);
    let listed: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), ids.len());
}

#[test]
fn the_page_of_problems_is_what_the_program_prints() {
    let said = zilla(&root(), &["explain-code", "--format", "markdown"]);
    assert_is_file(&said.stdout, "docs/problems.md");
}
