//! `zilla validate --online` and `zilla topics` where there is no Kafka to ask.

use std::fs;

use crate::program::{CHAIN, directory, zilla};

#[cfg(feature = "embedded")]
#[test]
fn with_another_back_end_there_is_nothing_to_look_at_and_that_is_said() {
    let directory = directory();
    let path = directory.path();
    fs::write(path.join("zilla.yaml"), CHAIN).unwrap();
    for arguments in [&["validate", "--online"][..], &["topics"], &["topics", "--create"]] {
        let said = zilla(path, &[arguments, &["--kafka", "embedded:log"]].concat());
        assert_eq!((said.status, said.stdout.as_str()), (2, ""), "{arguments:?}");
        let expected = "zilla: --kafka: it stands in for Kafka, so that there is no cluster";
        assert!(said.stderr.starts_with(expected), "{}", said.stderr);
    }
    // Offline it changes nothing.
    let said = zilla(path, &["validate", "--kafka", "embedded:log"]);
    assert_eq!((said.status, said.stdout.as_str()), (0, ""));
}

#[test]
fn a_time_needs_something_to_bound_and_is_one() {
    let directory = directory();
    let path = directory.path();
    fs::write(path.join("zilla.yaml"), CHAIN).unwrap();
    for arguments in [
        &["validate", "--timeout", "1"][..],
        &["validate", "--online", "--timeout", "0"],
        &["topics", "--timeout", "soon"],
        &["topics", "--partitions", "0"],
    ] {
        assert_eq!(zilla(path, arguments).status, 2, "{arguments:?}");
    }
}

/// Of Kafka's hosts only who has a client of Kafka's can tell.
#[cfg(feature = "kafka")]
#[test]
fn a_host_without_an_address_is_a_problem_of_its_line() {
    let directory = directory();
    let path = directory.path();
    let file = CHAIN.replacen("host: 127.0.0.1", "host: no-such-host.invalid", 1).replacen(
        "kafka.example:9092",
        "no-such-kafka.invalid:9092",
        1,
    );
    fs::write(path.join("zilla.yaml"), file).unwrap();
    let said = zilla(path, &["validate", "--online", "--timeout", "10"]);
    assert_eq!(said.status, 1);
    for place in ["7:13", "36:11"] {
        let expected = format!("./zilla.yaml:{place}: error[E0504]: ");
        assert!(said.stdout.contains(&expected), "{}", said.stdout);
    }
}

#[test]
fn a_file_with_errors_is_not_looked_at_outside() {
    let directory = directory();
    let path = directory.path();
    fs::write(path.join("zilla.yaml"), CHAIN.replacen("kind: server", "kind: serverr", 1)).unwrap();
    let said = zilla(path, &["topics"]);
    assert_eq!((said.status, said.stdout.as_str()), (1, ""));
    assert!(said.stderr.contains("error[E0205]"), "{}", said.stderr);
}

#[cfg(not(feature = "kafka"))]
#[test]
fn a_program_without_the_kafka_client_says_that_it_cannot_look() {
    let directory = directory();
    let path = directory.path();
    fs::write(path.join("zilla.yaml"), CHAIN).unwrap();
    for command in [&["validate", "--online"][..], &["topics"]] {
        let said = zilla(path, command);
        assert_eq!(said.status, 1, "{command:?}");
        let all = said.stdout + &said.stderr;
        assert!(all.contains("error[E0503]: this program was built without the Kafka"), "{all}");
    }
}
