//! What the program prints for other programs, held against the schemas of those.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{clients, root};

/// The configurations of a directory of `tests/config`.
fn files(directory: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("tests/config").join(directory)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let is_yaml = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "yaml");
    let mut paths: Vec<PathBuf> = paths.filter(is_yaml).collect();
    paths.sort();
    paths
}

fn zilla(arguments: &[&str], files: &[PathBuf]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zilla"));
    command.args(arguments).args(files).current_dir(root()).output().unwrap()
}

/// What a program says that holds files against a schema; it must be able to.
fn held(command: &mut Command, files: &[PathBuf]) -> Vec<String> {
    let output = command.args(files).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn node(arguments: &[&str]) -> Command {
    let mut command = Command::new("node");
    command.arg(root().join("tests/clients/forms.cjs"));
    command.args(arguments).env("NODE_PATH", clients().join("node_modules"));
    command
}

fn written(directory: &TempDir, name: &str, output: &Output) -> PathBuf {
    let path = directory.path().join(name);
    fs::write(&path, &output.stdout).unwrap();
    path
}

/// Those of the files that an editor marks.
fn marked(schema: &Path, files: &[PathBuf]) -> Vec<String> {
    let lines = held(&mut node(&["schema", schema.to_str().unwrap()]), files);
    let file = |line: &String| {
        let found: Value = serde_json::from_str(line).unwrap();
        let path = Path::new(found["file"].as_str().unwrap());
        path.file_name().unwrap().to_str().unwrap().to_owned()
    };
    lines.iter().map(file).collect()
}

/// A file as it is written, with its expressions: the schema of editors is right about it, and
/// still finds mistakes.
#[test]
fn an_editor_marks_no_good_file_and_most_mistakes() {
    let directory = tempfile::tempdir().unwrap();
    let schema = written(&directory, "schema.json", &zilla(&["schema"], &[]));
    let mut good = files("good");
    good.push(root().join("zilla.yaml.example"));
    assert!(good.len() > 60, "{}", good.len());
    // What YAML 1.2 reads as the number 15 is a string in the dialect of this file.
    assert_eq!(marked(&schema, &good), ["dialect.yaml"]);
    let yaml = |path: &PathBuf| !path.file_name().unwrap().to_str().unwrap().starts_with("syntax");
    let bad: Vec<PathBuf> = files("bad").into_iter().filter(yaml).collect();
    let bad = marked(&schema, &bad);
    assert!(bad.len() > 90, "{}: {bad:?}", bad.len());
    for file in ["tcp_host_number.yaml", "mqtt_version.yaml", "expression_in_kind.yaml"] {
        assert!(bad.iter().any(|marked| marked == file), "{file} is not marked");
    }
}

#[test]
fn sarif_is_as_its_schema_wants() {
    let directory = tempfile::tempdir().unwrap();
    let bad = zilla(&["validate", "--format", "sarif"], &files("bad"));
    let none = zilla(&["validate", "--format", "sarif"], &files("good")[..1]);
    let logs = [written(&directory, "bad.sarif", &bad), written(&directory, "none.sarif", &none)];
    let log: Value = serde_json::from_slice(&bad.stdout).unwrap();
    assert!(log["runs"][0]["results"].as_array().unwrap().len() > 200);
    assert_eq!(held(&mut node(&["sarif"]), &logs), [""; 0]);
}

#[test]
fn junit_is_as_its_schema_wants() {
    let directory = tempfile::tempdir().unwrap();
    let bad = zilla(&["validate", "--format", "junit"], &files("bad"));
    let good = zilla(&["validate", "--format", "junit"], &files("good"));
    let test = zilla(&["test", "--format", "junit", "zilla.test.yaml"], &[]);
    assert!(String::from_utf8_lossy(&test.stdout).contains("<testcase "));
    let reports = [("bad.xml", bad), ("good.xml", good), ("test.xml", test)]
        .map(|(name, output)| written(&directory, name, &output));
    let mut python = Command::new(clients().join("venv/bin/python"));
    python.arg(root().join("tests/clients/junit.py"));
    assert_eq!(held(&mut python, &reports), [""; 0]);
}
