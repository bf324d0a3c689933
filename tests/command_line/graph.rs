//! `zilla graph`. The drawings of one file with what is hard to draw are kept beside it: look at
//! them after ZILLA_BLESS=1.

use std::fs;

use crate::program::{CHAIN, assert_is_file, directory, root, zilla};

const PLANT: &str = "tests/command_line/graph/plant.yaml";

#[test]
fn each_form_is_drawn_as_kept() {
    for (format, extension) in [("text", "txt"), ("mermaid", "mmd"), ("dot", "dot"), ("svg", "svg")]
    {
        let said = zilla(&root(), &["graph", "-c", PLANT, "--format", format]);
        assert_eq!((said.status, said.stderr.as_str()), (0, ""));
        // Its address comes from the environment.
        assert!(!said.stdout.contains("kafka.example"), "{}", said.stdout);
        assert_is_file(&said.stdout, &PLANT.replace("yaml", extension));
    }
}

#[test]
fn a_chain_is_a_line_a_binding() {
    let directory = directory();
    fs::write(directory.path().join("zilla.yaml"), CHAIN).unwrap();
    let said = zilla(directory.path(), &["graph"]);
    let names: Vec<&str> = said.stdout.lines().filter_map(|line| line.split("  ").next()).collect();
    assert_eq!(names[0], "north", "{}", said.stdout);
    assert!(said.stdout.contains("└─bytes─▶ mqtt "), "{}", said.stdout);
    assert!(said.stdout.contains("topics mqtt-sessions, mqtt-messages"), "{}", said.stdout);
}

#[test]
fn a_file_with_errors_is_not_drawn_and_its_problems_are_shown() {
    let directory = directory();
    let text = CHAIN.replace("exit: mapping", "exit: maping");
    fs::write(directory.path().join("zilla.yaml"), text).unwrap();
    let said = zilla(directory.path(), &["graph"]);
    assert_eq!((said.status, said.stdout.as_str()), (1, ""));
    assert!(said.stderr.contains("error[E0302]"), "{}", said.stderr);
}
