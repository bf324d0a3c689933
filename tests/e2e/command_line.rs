//! The command line.

use std::net::TcpListener;
use std::process::Output;

use crate::harness::{
    Setup, Topics, engine_only, fill, kafka, kafka_only, root, run_zilla, text, zilla,
};

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn help_is_there_for_each_command() {
    engine_only!();
    let output = run_zilla(&["--help"]);
    assert!(output.status.success());
    let overview = stdout(&output);
    for command in
        ["start", "stop", "validate", "plan", "graph", "explain-code", "schema", "status"]
    {
        assert!(overview.contains(&format!("\n  {command} ")), "{overview}");
        let output = run_zilla(&[command, "--help"]);
        assert!(output.status.success());
        let help = stdout(&output);
        assert!(help.contains(&format!("Usage: zilla {command}")), "{help}");
    }
    for (command, option) in [
        ("start", "--workers"),
        ("start", "--config"),
        ("validate", "--config"),
        ("status", "--format"),
    ] {
        assert!(stdout(&run_zilla(&[command, "--help"])).contains(option), "{command} {option}");
    }
    assert!(stdout(&run_zilla(&["--version"])).starts_with("zilla "));
    let output = run_zilla(&["strat"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("start"), "a suggestion: {}", stderr(&output));
}

/// The example and the README's configurations are valid, without a Kafka to connect to.
#[test]
fn the_example_and_the_readme_validate() {
    engine_only!();
    let directory = tempfile::TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut files = vec![root().join("zilla.yaml.example")];
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    for (number, block) in readme.split("```yaml\n").skip(1).enumerate() {
        let block = block.split("```").next().unwrap();
        if block.contains("bindings:") {
            let file = directory.path().join(format!("readme-{number}.yaml"));
            std::fs::write(&file, block).unwrap();
            files.push(file);
        }
    }
    for file in files {
        let output = zilla(&["validate", "-c"])
            .arg(&file)
            .env("KAFKA_BOOTSTRAP_SERVER", "no-such-host.invalid:9092")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
        assert_eq!((stdout(&output), stderr(&output)), Default::default(), "{}", file.display());
    }
}

#[test]
fn problems_have_a_place_and_an_exit_status() {
    engine_only!();
    let directory = tempfile::TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let file = directory.path().join("bad.yaml");
    let good = Setup::new(1).yaml().replace('@', "t-");
    let bad = good
        .replacen("exit: mqtt", "exitt: mqtt", 1)
        .replacen("kind: proxy", "kind: prox", 1)
        .replacen("exit: log", "exit: logg", 1);
    std::fs::write(&file, &bad).unwrap();
    let output =
        zilla(&["validate"]).arg(&file).env("KAFKA_BOOTSTRAP_SERVER", "h:1").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let shown = stdout(&output);
    // Problems of one phase come together; each with its line.
    for (word, suggestion) in [("exitt", "did you mean `exit`?"), ("prox", "proxy")] {
        let line = bad.lines().position(|line| line.contains(word)).unwrap() + 1;
        let place = format!("{}:{line}:", file.display());
        assert!(shown.contains(&place), "{place} is not in {shown}");
        assert!(shown.contains(suggestion), "{suggestion} is not in {shown}");
    }
    // Where a variable is missing, its place is named.
    std::fs::write(&file, &good).unwrap();
    let output =
        zilla(&["validate"]).arg(&file).env_remove("KAFKA_BOOTSTRAP_SERVER").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("KAFKA_BOOTSTRAP_SERVER"), "{}", stdout(&output));
    let line = good.lines().position(|line| line.contains("env.")).unwrap() + 1;
    assert!(stdout(&output).contains(&format!("{}:{line}:", file.display())));
    let output = run_zilla(&["validate", "no-such-file.yaml"]);
    assert_ne!(output.status.code(), Some(0));
    assert!(stdout(&output).contains("no-such-file.yaml:1:1: error[E0109]"));
}

#[test]
fn the_schema_names_what_the_binary_contains() {
    engine_only!();
    let output = run_zilla(&["schema"]);
    assert!(output.status.success());
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let whole = schema.to_string();
    for word in ["mqtt-kafka", "cache_client", "cache_server", "retained", "$schema"] {
        assert!(whole.contains(word), "{word}");
    }
}

/// An engine that cannot listen says where the file asks for it, and serves nothing.
#[test]
fn a_port_that_is_taken_is_an_error_with_its_place() {
    kafka_only!();
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let setup = Setup { ports: vec![taken.local_addr().unwrap().port()], ..Setup::new(1) };
    let topics = Topics::create(&[]);
    let directory = tempfile::TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let file = directory.path().join("zilla.yaml");
    std::fs::write(&file, fill(&setup.yaml(), &topics)).unwrap();
    let start = || {
        zilla(&["start", "-c"])
            .arg(&file)
            .env("KAFKA_BOOTSTRAP_SERVER", &kafka().address)
            .output()
            .unwrap()
    };
    let output = start();
    assert_eq!(output.status.code(), Some(1));
    let place = format!("{}:8:", file.display());
    assert!(stderr(&output).contains(&place), "{place} is not in {}", stderr(&output));
    assert_eq!(stdout(&output), "");

    // A second engine of the same user is refused, too: SO_REUSEPORT alone would let it in.
    drop(taken);
    let engine = Setup::new(1).start();
    let setup = Setup { ports: vec![engine.port], ..Setup::new(1) };
    std::fs::write(&file, fill(&setup.yaml(), &topics)).unwrap();
    let output = start();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains(&place), "{place} is not in {}", stderr(&output));
}

/// Starting on a file with errors starts nothing; a missing file is named.
#[test]
fn starting_on_a_bad_file_fails() {
    engine_only!();
    let directory = tempfile::TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let file = directory.path().join("zilla.yaml");
    let path = text(&file.to_str().unwrap().into()).to_owned();
    let output = run_zilla(&["start", "-c", &path]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains(&path), "{}", stderr(&output));
    std::fs::write(&file, "name: x\nbindings:\n  a:\n    type: nothing\n").unwrap();
    let output = run_zilla(&["start", "-c", &path]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains(&format!("{path}:4:")), "{}", stderr(&output));
    let output = run_zilla(&["status", "-c", &path]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("no engine"), "{}", stderr(&output));
}
