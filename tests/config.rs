//! `zilla validate` over good and bad files, and the schema that is handed to editors.
//!
//! Each file in `tests/config/bad` has one mistake (`several.yaml` has several), and beside it what
//! is said about it. Those in `not_yet` are right, and use what this version has not: whoever builds
//! it moves them to `good`. `ZILLA_BLESS=1` writes what is said now; read it before you keep it.

#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use engine::config::{Schema, Source, State};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Whether what is expected is written instead of compared.
#[expect(clippy::disallowed_methods, reason = "a switch for the developer, not configuration")]
fn is_blessed() -> bool {
    std::env::var("ZILLA_BLESS").is_ok_and(|value| value == "1")
}

/// The command in an environment that holds nothing but what the files ask for.
fn zilla(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_zilla"))
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("BINDING_TYPE", "tcp")
        .env("EXIT", "mqtt")
        .env("HOST", "127.0.0.1")
        .env("KAFKA_BOOTSTRAP_SERVER", "kafka.example:9092")
        .env("PORT", "1883")
        .env("PREFIX", "mqtt")
        .env("SECRET", "hunter2")
        .output()
        .unwrap()
}

/// The configuration files of a directory, by name.
fn files(directory: &Path) -> Vec<String> {
    let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    let expected: Vec<String> = names.extract_if(.., |name| name.ends_with(".expected")).collect();
    names.sort();
    for name in &names {
        assert!(name.ends_with(".yaml"), "{name}");
    }
    for name in expected {
        let file = name.replace(".expected", ".yaml");
        assert!(names.contains(&file), "{name} belongs to no file");
    }
    names
}

/// Compares what was said with what is written at `path`, or writes it there.
fn compare(path: &Path, said: &str, failures: &mut Vec<String>) {
    let expected = fs::read_to_string(path).unwrap_or_default();
    if said == expected {
        return;
    }
    if !is_blessed() {
        failures.push(format!("{}\n--- expected\n{expected}--- said\n{said}", path.display()));
    } else if said.is_empty() {
        fs::remove_file(path).unwrap();
    } else {
        fs::write(path, said).unwrap();
    }
}

#[track_caller]
fn assert_none(failures: &[String]) {
    let (count, all) = (failures.len(), failures.join("\n"));
    assert!(failures.is_empty(), "{count} differ (ZILLA_BLESS=1 rewrites them):\n{all}");
}

#[test]
fn good_files_are_valid_and_only_warnings_are_said_about_them() {
    let directory = root().join("tests/config/good");
    let files = files(&directory);
    assert!(files.len() >= 60, "{}", files.len());
    let mut failures = Vec::new();
    for file in files {
        let output = zilla(&directory, &["validate", &file]);
        let said = String::from_utf8(output.stdout).unwrap();
        if !output.status.success() || !output.stderr.is_empty() {
            failures.push(format!("{file} is refused\n{said}"));
            continue;
        }
        compare(&directory.join(&file).with_extension("expected"), &said, &mut failures);
    }
    assert_none(&failures);
}

#[test]
fn bad_files_are_refused_with_what_is_expected() {
    let directory = root().join("tests/config/bad");
    let files = files(&directory);
    assert!(files.len() >= 150, "{}", files.len());
    let mut failures = Vec::new();
    for file in files {
        let output = zilla(&directory, &["validate", &file]);
        let said = String::from_utf8(output.stdout).unwrap();
        if output.status.code() != Some(1) || !output.stderr.is_empty() {
            failures.push(format!("{file}: {}\n{said}", output.status));
            continue;
        }
        assert!(!said.contains("hunter2"), "a secret is shown: {said}");
        // Each problem has its place in this file and its code.
        let mut heads = said.lines().filter(|line| line.starts_with(&format!("{file}:")));
        assert!(heads.any(|line| line.contains(": error[E")), "{said}");
        compare(&directory.join(&file).with_extension("expected"), &said, &mut failures);
    }
    assert_none(&failures);
}

#[test]
fn the_committed_schema_is_what_the_program_prints() {
    let output = zilla(&root(), &["schema"]);
    assert!(output.status.success());
    let printed = String::from_utf8(output.stdout).unwrap();
    let schema: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert!(schema.pointer("/$defs/binding").is_some());
    let mut failures = Vec::new();
    compare(&root().join("schema/zilla.schema.json"), &printed, &mut failures);
    assert_none(&failures);
}

#[test]
fn the_documentation_is_what_the_schema_says() {
    let mut failures = Vec::new();
    let page = Schema::compose(&[]).documentation();
    compare(&root().join("docs/configuration.md"), &page, &mut failures);
    assert_none(&failures);
}

/// What works occurs in a file that is taken, so that the binding knows it; what does not, in a file
/// that says so.
#[test]
fn every_property_occurs_in_a_file() {
    let schema = Schema::compose(&[]);
    let used = |directory: &str| {
        let directory = root().join("tests/config").join(directory);
        let names = files(&directory);
        let sources = names.iter().map(|name| Source::read(&directory.join(name)).unwrap());
        sources.flat_map(|source| schema.properties_of(&source)).collect::<BTreeSet<String>>()
    };
    let (good, not_yet, bad) = (used("good"), used("not_yet"), used("bad"));
    let is_missing = |location: &String, state: Option<State>| match state {
        Some(State::Works) => !good.contains(location),
        Some(State::NoEffect) => !good.contains(location) && !not_yet.contains(location),
        _ => !not_yet.contains(location) && !bad.contains(location),
    };
    let all = schema.properties();
    assert!(all.len() > 300, "{}", all.len());
    let missing: BTreeSet<String> = all
        .into_iter()
        .filter(|(location, _, state)| is_missing(location, *state))
        .map(|(_, name, state)| format!("{name} ({state:?})"))
        .collect();
    assert!(missing.is_empty(), "{}: {missing:#?}", missing.len());
}

/// What Zilla takes and this version does not yet: nothing else is wrong with these files.
#[test]
fn files_for_another_version_are_refused_for_nothing_else() {
    let directory = root().join("tests/config/not_yet");
    let files = files(&directory);
    assert!(files.len() >= 20, "{}", files.len());
    let mut failures = Vec::new();
    for file in files {
        let output = zilla(&directory, &["validate", &file]);
        let said = String::from_utf8(output.stdout).unwrap();
        let mut heads = said.lines().filter(|line| line.contains(": error["));
        if output.status.code() != Some(1) || !heads.all(|line| line.contains(": error[E0206]")) {
            failures.push(format!("{file}: {}\n{said}", output.status));
            continue;
        }
        compare(&directory.join(&file).with_extension("expected"), &said, &mut failures);
        let output = zilla(&directory, &["validate", "--format", "json", &file]);
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        for problem in said["files"][0]["problems"].as_array().unwrap() {
            let help = problem["help"].as_str().filter(|help| !help.is_empty());
            if problem["code"] == "E0206" && help.is_none() {
                failures.push(format!("{file}: nothing is said to do instead: {problem}"));
            }
        }
    }
    assert_none(&failures);
}

#[test]
fn the_example_is_valid() {
    let output = zilla(&root(), &["validate", "-c", "zilla.yaml.example"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    assert_eq!(said, "");
}
