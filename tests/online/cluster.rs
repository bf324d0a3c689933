//! A cluster that is not there, or is named by the environment.

use std::time::{Duration, Instant};

use crate::broker::Broker;
use crate::file::File;
use crate::harness::{PATIENCE, free_port};

#[test]
fn a_kafka_that_does_not_answer_is_a_problem_of_the_servers_line_in_time() {
    let server = format!("- 127.0.0.1:{}", free_port());
    let file = File::new(&format!("      servers:\n        {server}\n"));
    let began = Instant::now();
    let output = file.zilla(&["validate", "--online", "--timeout", "0.5", "--format", "json"]);
    assert!(began.elapsed() < PATIENCE, "--timeout is not kept");
    let found = file.found(&output);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((&*found[0].code, &*found[0].line), ("E0613", &*server));
    assert!(found[0].message.contains("Connection refused"), "{found:?}");

    // The commands are known all the same.
    let output = file.zilla(&["topics", "--timeout", "0.5"]);
    assert_eq!(output.status.code(), Some(1));
    let printed = String::from_utf8_lossy(&output.stdout);
    assert_eq!(printed.matches("kafka-topics.sh ").count(), 4, "{printed}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("error[E0613]"));
}

#[test]
fn a_name_without_an_address_is_a_problem_of_its_line() {
    let broker = Broker::start();
    let wrong = "- no-such-host.invalid:9092";
    let file =
        File::new(&format!("      servers:\n        - {}\n        {wrong}\n", broker.address));
    let found = file.validate();
    let first = found.iter().find(|found| found.code == "E0504").unwrap();
    assert_eq!(first.line, wrong);
    assert!(found.iter().any(|found| found.code == "E0607"), "the other server is asked");
    let file = File::new(&format!("      servers:\n        {wrong}\n"));
    file.assert_finds(&[("E0504", wrong)]);
}

/// The commands run in the environment that the file is read in.
#[test]
fn a_value_of_the_environment_is_taken_from_there_by_the_commands_too() {
    let broker = Broker::start();
    let mut file = File::new("      servers: [\"${{env.KAFKA}}\"]\n");
    file.environment.insert("KAFKA".to_owned(), broker.address.clone());
    for found in file.validate() {
        let command = found.command();
        assert!(command.contains("--bootstrap-server \"$KAFKA\" "), "{command}");
        broker.run(&command.replace("\"$KAFKA\"", &broker.address));
    }
    file.assert_is_mended();
    drop(broker);
    let output = file.zilla(&["validate", "--online", "--timeout", "0.5"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("at ${{env.KAFKA}}") && !said.contains("127.0.0.1:"), "{said}");
}

#[test]
fn a_broker_that_is_paused_is_waited_for_no_longer_than_told() {
    let broker = Broker::start();
    let file = File::plain(&broker);
    broker.pause();
    let began = Instant::now();
    let output = file.zilla(&["validate", "--online", "--timeout", "1", "--format", "json"]);
    let took = began.elapsed();
    broker.go_on();
    assert_eq!(file.found(&output)[0].code, "E0613");
    assert!(took < PATIENCE && took >= Duration::from_secs(1), "{took:?}");
}
