//! House rules, held by tests: who may depend on whom, what the engine may name, how long files are.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Lines that a file may have.
const LONGEST: usize = 600;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The crates of this workspace, each with those of them that it depends on (other than for its
/// own tests).
fn workspace() -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--locked", "--offline"])
        .current_dir(root())
        .output()
        .expect("run cargo metadata");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().unwrap();
            let own = dependencies
                .iter()
                .filter(|dependency| dependency["path"].is_string() && dependency["kind"] != "dev")
                .map(|dependency| text(&dependency["name"]))
                .collect();
            (text(&package["name"]), own)
        })
        .collect()
}

/// The schema and the codes of problems stand alone, the engine on them, planes on the engine, bindings on those three; only the binary
/// sees all.
#[test]
fn crates_depend_in_one_direction() {
    let crates = workspace();
    let is_plane = |name: &str| name.ends_with("-plane");
    for (name, dependencies) in &crates {
        let permitted = |other: &str| match name.as_str() {
            "zilla" => true,
            "schema" | "rdkafka-wake" | "rdkafka-describe" | "problem-codes" => false,
            // Data only, of which it takes what is about no binding.
            "engine" => other == "schema" || other == "problem-codes",
            plane if is_plane(plane) => other == "engine",
            "remote" => other == "engine",
            "web-server" => false,
            // `unsafe` is forbidden outside crates made for it, which are their binding's alone.
            "kafka" if other == "rdkafka-wake" || other == "rdkafka-describe" => true,
            _binding => other == "engine" || other == "schema" || is_plane(other),
        };
        for dependency in dependencies {
            assert!(permitted(dependency), "{name} must not depend on {dependency}");
        }
    }
    for binding in ["tcp", "mqtt", "mqtt-kafka", "kafka"] {
        assert!(crates.contains_key(binding), "{binding} is not in {:?}", crates.keys());
        assert!(crates["zilla"].contains(&binding.to_owned()));
    }
}

/// The engine knows planes, not protocols: no name of one stands in its source, but in tests.
#[test]
fn the_engine_names_no_protocol() {
    const PROTOCOLS: [&str; 12] = [
        "mqtt",
        "kafka",
        "amqp",
        "http",
        "grpc",
        "websocket",
        "redis",
        "nats",
        "coap",
        "stomp",
        "pulsar",
        "rabbit",
    ];
    let source = root().join("engine/src");
    let mut found = Vec::new();
    for file in files(&source, &["rs"]) {
        let name = file.strip_prefix(&source).unwrap().to_str().unwrap().to_owned();
        if name.ends_with("tests.rs") || name.contains("/tests/") {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for (number, line) in code.lines().enumerate() {
            let lower = line.to_lowercase();
            if PROTOCOLS.iter().any(|protocol| lower.contains(protocol)) {
                found.push(format!("engine/src/{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn no_file_is_too_long() {
    let mut found = Vec::new();
    for file in sources() {
        let lines = std::fs::read_to_string(&file).unwrap().lines().count();
        if lines > LONGEST {
            found.push(format!("{}: {lines} lines", shown(&file)));
        }
    }
    assert!(found.is_empty(), "at most {LONGEST} lines: {found:#?}");
}

/// What is left to do stands in issues, and what it was for in the commits: neither stands in the
/// files.
#[test]
fn no_file_has_reminders_or_issue_numbers() {
    let reminders = ["TODO", "FIXME", "XXX", "HACK"].map(|word| word.to_owned());
    let mut found = Vec::new();
    for file in sources().into_iter().chain(files(root(), &["md", "yaml", "example"])) {
        if file == root().join("tests/tidy.rs") {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        for (number, line) in text.lines().enumerate() {
            let is_reminder = words(line).any(|word| reminders.iter().any(|other| other == word));
            if is_reminder || names_an_issue(line) {
                found.push(format!("{}:{}: {}", shown(&file), number + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_')
}

/// `#12` after a space or a bracket, or `issue 12`.
fn names_an_issue(line: &str) -> bool {
    let digit_follows = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
    let hash = line.split('#').zip(line.split('#').skip(1)).any(|(before, after)| {
        // Not `"#0` of a raw string or a colour.
        before.ends_with([' ', '(', '[']) && digit_follows(after)
    });
    let lower = line.to_lowercase();
    hash || lower.split("issue ").skip(1).any(digit_follows)
}

/// The source files of this repository, of any language.
fn sources() -> Vec<PathBuf> {
    let mut all = files(root(), &["rs", "py", "cjs", "java", "c", "sh"]);
    let scripts = ["start", "test", "bench", "fuzz", "hostile", "soak-faults"]
        .map(|name| format!("scripts/{name}"));
    for script in scripts.iter().map(String::as_str).chain([".ci/run"]) {
        all.push(root().join(script));
    }
    all
}

/// The files below `folder` with one of these extensions, without what is built.
fn files(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let mut all = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            let (path, name) = (entry.path(), entry.file_name());
            let kind = entry.file_type().unwrap();
            let is_left_out = ["target", ".git", "node_modules"].iter().any(|out| name == *out);
            if kind.is_dir() && !is_left_out {
                folders.push(path);
            } else if kind.is_file()
                && path.extension().is_some_and(|own| extensions.iter().any(|other| own == *other))
            {
                all.push(path);
            }
        }
    }
    all.sort();
    assert!(!all.is_empty(), "no files below {}", folder.display());
    all
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}
