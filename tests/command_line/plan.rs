//! `zilla plan`: what a change would do, from files and from what runs.

use std::fs;
use std::net::TcpStream;
use std::path::Path;

use serde_json::Value;

use crate::program::{CHAIN, Engine, Said, directory, zilla};

fn write(directory: &Path, name: &str, text: &str) {
    fs::write(directory.join(name), text).unwrap();
}

/// The fate of each binding that is not kept.
fn fates(said: &Said) -> Vec<String> {
    let plan: Value = serde_json::from_str(&said.stdout).unwrap();
    let nodes = plan["nodes"].as_array().unwrap().iter();
    let fate = |node: &Value| {
        let text = |key: &str| node[key].as_str().unwrap().to_owned();
        format!("{} {}", text("name"), text("fate"))
    };
    nodes.map(fate).filter(|fate| !fate.ends_with(" Keep")).collect()
}

/// A document with one more listening binding.
fn with_west() -> String {
    let west = "  west:\n    type: tcp\n    kind: server\n    options:\n      host: 127.0.0.1\n      \
                port: 7184\n    exit: mqtt\n";
    format!("{CHAIN}{west}")
}

#[test]
fn the_exit_status_says_what_becomes_of_connections() {
    let directory = directory();
    let path = directory.path();
    let route = "    exit: mapping\n    routes:\n      - when:\n          - session:\n              \
                 - client-id: a\n        exit: mapping\n";
    write(path, "old.yaml", CHAIN);
    write(path, "same.yaml", &format!("# A comment.\n{CHAIN}"));
    write(path, "route.yaml", &CHAIN.replacen("    exit: mapping\n", route, 1));
    write(path, "cluster.yaml", &CHAIN.replace("kafka.example", "other.example"));
    write(path, "west.yaml", &with_west());
    write(path, "bad.yaml", "name: 1\n");
    for (old, new, status, expected) in [
        ("old.yaml", "same.yaml", 0, &[][..]),
        ("old.yaml", "route.yaml", 3, &["edge:mqtt Update"]),
        ("old.yaml", "west.yaml", 3, &["edge:west Start"]),
        ("west.yaml", "old.yaml", 4, &["edge:west Retire"]),
    ] {
        let said = zilla(path, &["plan", "--format", "json", old, new]);
        assert_eq!((said.status, said.stderr.as_str()), (status, ""), "{new}: {}", said.stdout);
        assert_eq!(fates(&said), expected, "{old} {new}");
    }
    let said = zilla(path, &["plan", "old.yaml", "cluster.yaml"]);
    assert_eq!(said.status, 3);
    assert!(
        said.stdout.contains("edge:kafka       kafka       client        Replace"),
        "{}",
        said.stdout
    );
    assert!(said.stdout.ends_with("changes in place: no connection ends\n"), "{}", said.stdout);
    for (arguments, status) in [
        (&["plan", "old.yaml", "bad.yaml"][..], 1),
        (&["plan", "old.yaml", "absent.yaml"], 1),
        (&["plan", "old.yaml"], 2),
        (&["plan"], 2),
        (&["plan", "--against", "old.yaml", "old.yaml", "same.yaml"], 2),
        (&["plan", "--against", "old.yaml", "same.yaml"], 1),
    ] {
        let said = zilla(path, arguments);
        assert_eq!((said.status, said.stdout.as_str()), (status, ""), "{arguments:?}");
        assert!(!said.stderr.is_empty());
    }
}

#[test]
fn against_what_runs_the_connections_are_counted() {
    let directory = directory();
    let path = directory.path();
    let free = |text: &str| text.replace("port: 7183", "port: 0").replace("port: 7184", "port: 0");
    write(path, "zilla.yaml", &free(&with_west()));
    write(path, "without.yaml", &free(CHAIN));
    let engine = Engine::start(path, &["--drain", "7"]);
    let plan =
        |file: &str| zilla(path, &["plan", "--format", "json", "--against", "zilla.yaml", file]);
    assert_eq!(plan("zilla.yaml").status, 0);
    let said = plan("without.yaml");
    assert_eq!(fates(&said), ["edge:west Retire"]);
    // Nobody is connected to it.
    assert_eq!(said.status, 3, "{}", said.stdout);

    let client = TcpStream::connect(engine.address("edge:west")).unwrap();
    // The connection is accepted when the engine gets to it.
    let mut said = plan("without.yaml");
    while said.status != 4 {
        assert_eq!(said.status, 3, "{}{}", said.stdout, said.stderr);
        said = plan("without.yaml");
    }
    assert!(said.stdout.contains("\"connections\": 1"), "{}", said.stdout);
    let said = zilla(path, &["plan", "--against", "zilla.yaml", "without.yaml"]);
    assert!(said.stdout.contains("1: end within 7 s"), "{}", said.stdout);
    write(path, "bad.yaml", "name: edge\nbindings: {south: {type: tcpp}}\n");
    let said = plan("bad.yaml");
    assert_eq!((said.status, said.stdout.as_str()), (1, ""));
    assert!(said.stderr.starts_with("bad.yaml:2:"), "{}", said.stderr);
    drop(client);
}

/// What was foretold is what the reload does.
#[test]
fn a_reload_does_what_its_plan_says() {
    let directory = directory();
    let path = directory.path();
    let free = |text: &str| text.replace("port: 7183", "port: 0").replace("port: 7184", "port: 0");
    let before = free(&with_west());
    // One binding goes, one comes, one takes routes, one is replaced.
    let after = free(CHAIN)
        .replacen(
            "    exit: mapping\n",
            "    exit: mapping\n    routes:\n      - exit: mapping\n",
            1,
        )
        .replace("kafka.example", "other.example")
        + "  east: {type: tcp, kind: server, options: {host: 127.0.0.1, port: 0}, exit: mqtt}\n";
    write(path, "zilla.yaml", &before);
    write(path, "new.yaml", &after);
    let _engine = Engine::start(path, &[]);
    let said = zilla(path, &["plan", "--format", "json", "--against", "zilla.yaml", "new.yaml"]);
    let plan: Value = serde_json::from_str(&said.stdout).unwrap();
    write(path, "zilla.yaml", &after);
    let status = loop {
        let said = zilla(path, &["status", "--format", "json"]);
        let status: Value = serde_json::from_str(&said.stdout).unwrap();
        if status["generation"] == 2 {
            break status;
        }
        let log = fs::read_to_string(path.join("engine.log")).unwrap();
        assert!(!log.contains("config.reload.refused"), "{log}");
    };
    let fate = |node: &Value| (node["name"].clone(), node["fate"].clone());
    let nodes = plan["nodes"].as_array().unwrap().iter();
    let (gone, foretold): (Vec<_>, Vec<_>) =
        nodes.map(fate).partition(|(_, fate)| fate == "Retire");
    let done: Vec<_> = status["bindings"].as_array().unwrap().iter().map(fate).collect();
    assert_eq!(foretold, done);
    assert_eq!(gone.len(), 1);
    for fate in ["Keep", "Update", "Replace", "Start"] {
        assert!(done.iter().any(|(_, done)| done == fate), "{fate}: {done:?}");
    }
}
