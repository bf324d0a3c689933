//! Files that are broken or missing, and what is told about it.

use crate::harness::{
    Bystanders, Client, Setup, Traffic, V5, engine_only, fate, free_port, on_one_and_three_workers,
    run_zilla, text,
};

on_one_and_three_workers!(
    a_broken_file_changes_nothing_and_is_reported_with_its_place,
    status_prints_the_last_receipt,
    process_settings_are_refused_and_named,
);

fn a_broken_file_changes_nothing_and_is_reported_with_its_place(workers: usize) {
    engine_only!();
    let setup = Setup::new(workers);
    let engine = setup.start();
    let traffic = Traffic::start(engine.port, &["b/x"]);
    let good = setup.yaml();
    let generation = engine.status()["generation"].clone();
    let file = engine.file.to_str().unwrap();
    let line_of = |text: &str, what: &str| {
        text.lines().position(|line| line.contains(what)).map(|at| at + 1).unwrap()
    };
    let misspelt = good.replacen("exit: mapping", "exitt: mapping", 1);
    let dangling = good.replacen("exit: mapping", "exit: nowhere", 1);
    let no_yaml = good.replacen("    kind: proxy", "\t kind: [proxy", 1);
    let wrong_plane = good.replacen("exit: mapping", "exit: cache", 1);
    let cases = [
        (misspelt, "exitt", 5),
        (dangling, "nowhere", 11),
        (no_yaml, "[proxy", 0),
        (wrong_plane, "exit: cache", 11),
    ];
    for (broken, what, column) in cases {
        assert_ne!(broken, good, "{what}");
        engine.skip_events();
        engine.write(&broken);
        let event = engine.event("config.reload.refused or config.reload.applied", |event| {
            text(event.get("event").unwrap_or(&"".into())).starts_with("config.reload.")
        });
        assert_eq!(event["event"], "config.reload.refused", "{what}");
        let problems = text(&event["problems"]);
        let line = line_of(&broken, what);
        let place = format!("{file}:{line}:");
        assert!(problems.contains(&place), "{what}: {place} is not in {problems}");
        if column > 0 {
            assert!(problems.contains(&format!("{place}{column}: error[E")), "{what}: {problems}");
        }
        let status = engine.status();
        assert_eq!(status["generation"], generation);
        assert!(text(&status["file"]).contains("it has errors"), "{status}");
        traffic.flow();
    }
    // Mended, in force again.
    let event = engine.reload_text(&good);
    assert_eq!(event["unchanged"], true, "it is what was in force");
    assert_eq!(engine.status()["file"], "in force");
    traffic.finish(&["b/x"]);
}

#[test]
fn a_missing_or_empty_file_changes_nothing() {
    engine_only!();
    let setup = Setup::new(1);
    let engine = setup.start();
    let mut client = Client::connect(engine.port, V5, "c");
    std::fs::remove_file(&engine.file).unwrap();
    let event = engine.event_named("config.reload.refused");
    assert_eq!(event["problems"], "the file is missing");
    client.ping();
    let status = engine.status();
    assert!(text(&status["file"]).contains("missing"), "{status}");
    engine.write("");
    let event = engine.event_named("config.reload.refused");
    assert_eq!(event["problems"], "the file is empty");
    client.ping();
    let event = engine.reload(&setup.with_topics(&[]));
    assert_eq!(event["unchanged"], true);
    client.ping();
}

/// A port that cannot be had: nothing changes, and the problem names the place in the file.
#[test]
fn a_port_that_is_taken_refuses_the_change() {
    engine_only!();
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let number = taken.local_addr().unwrap().port();
    let setup = Setup::new(1);
    let engine = setup.start();
    let mut client = Client::connect(engine.port, V5, "c");
    engine.skip_events();
    engine.write(&Setup { ports: vec![0, number], ..setup }.yaml());
    let event = engine.event_named("config.reload.refused");
    let problems = text(&event["problems"]);
    let place = format!("{}:8:", engine.file.display());
    assert!(problems.contains(&place) && problems.contains("error[E05"), "{problems}");
    client.ping();
    Client::connect(engine.port, V5, "d").ping();
}

/// `zilla status` prints what the last reload did, and why the file is not in force until it is.
fn status_prints_the_last_receipt(workers: usize) {
    engine_only!();
    let second = free_port();
    let one = Setup { arguments: vec!["--drain", "1"], ..Setup::new(workers) };
    let two = one.clone().with_second_server(second, "mapping");
    let engine = two.start();
    let file = engine.file.to_str().unwrap();
    let shown = || String::from_utf8(run_zilla(&["status", "-c", file]).stdout).unwrap();
    let here = Client::connect(engine.port, V5, "here");
    let mut there: Vec<Client> =
        (0..3).map(|number| Client::connect(second, V5, &format!("there-{number}"))).collect();
    let event = engine.reload(&one);
    let receipt = engine.status()["reload"].clone();
    for (of_receipt, of_event) in [
        ("generation", "generation"),
        ("hash", "hash"),
        ("unchanged", "unchanged"),
        ("kept", "connections_kept"),
        ("draining", "connections_draining"),
        ("duration_us", "duration_us"),
    ] {
        assert_eq!(receipt[of_receipt], event[of_event], "{receipt} {event}");
    }
    let (kept, draining, closed) = (&receipt["kept"], &receipt["draining"], &receipt["closed"]);
    assert_eq!([kept, draining, closed], [1, 3, 0], "{receipt}");
    let fates = receipt["fates"].as_array().unwrap();
    let of = |name: &str| fates.iter().find(|fate| fate[0] == format!("test:{name}")).unwrap();
    assert_eq!((&of("tcp")[1], &of("tcp2")[1]), (&"Keep".into(), &"Retire".into()));
    assert!(shown().contains("connections: 1 kept, 3 draining, 0 closed"), "{}", shown());
    there.iter_mut().for_each(|client| drop(client.end()));
    let event = engine.event_named("config.reload.drained");
    assert_eq!((&event["generation"], &event["connections_closed"]), (&2.into(), &3.into()));
    assert!(shown().contains("connections: 1 kept, 0 draining, 3 closed"), "{}", shown());
    assert_eq!(engine.status()["refused"], serde_json::Value::Null);
    // Refused: the receipt stays, and what is wrong is there until it is mended.
    engine.write(&one.yaml().replacen("exit: mapping", "exit: nowhere", 1));
    engine.event_named("config.reload.refused");
    let status = engine.status();
    assert_eq!(status["reload"]["generation"], 2);
    let problems = text(&status["refused"]["problems"]);
    assert!(problems.contains(&format!("{file}:")) && problems.contains("nowhere"), "{status}");
    assert!(shown().contains("file not in force: it has errors"), "{}", shown());
    assert!(shown().contains("binding `nowhere` does not exist"), "{}", shown());
    engine.reload(&one);
    assert_eq!(engine.status()["refused"], serde_json::Value::Null);
    assert!(!shown().contains("nowhere"), "{}", shown());
    drop(here);
}

/// What is given to `zilla start` is no matter of the file.
fn process_settings_are_refused_and_named(workers: usize) {
    engine_only!();
    let setup = Setup::new(workers);
    let engine = setup.start();
    let mut bystanders = Bystanders::start(&engine, &["s/x"]);
    bystanders.during(&engine, &[], || {
        engine.skip_events();
        let workers = "name: test\nengine:\n  workers: 7\n";
        engine.write(&setup.yaml().replacen("name: test\n", workers, 1));
        let event = engine.event_named("config.reload.refused");
        let place = format!("{}:2:1: error[E", engine.file.display());
        let problems = text(&event["problems"]);
        for words in [&*place, "`engine`", "--workers"] {
            assert!(problems.contains(words), "{event}");
        }
    });
    assert_eq!(engine.status()["workers"], workers);
    bystanders.finish(&["s/x"]);
}

/// Written in place, as `cat >` does, and read again at SIGHUP.
#[test]
fn the_file_may_be_written_in_place() {
    engine_only!();
    let setup = Setup::new(1).with_topics(&["one"]);
    let engine = setup.start();
    let filled = |setup: &Setup| crate::harness::fill(&setup.yaml(), &engine.topics.borrow());
    engine.skip_events();
    let routed = setup.with_route("r/#", "\"@one\"");
    std::fs::write(&engine.file, filled(&routed)).unwrap();
    let event = engine.event_named("config.reload.applied");
    assert_eq!(fate(&event, "mapping"), "Update");
    engine.signal("HUP");
    let event = engine.event_named("config.reload.applied");
    assert_eq!(event["unchanged"], true);
}

/// What `zilla status` shows.
#[test]
fn status_shows_generation_bindings_connections_and_counters() {
    engine_only!();
    let engine = Setup::new(1).start();
    let mut clients: Vec<Client> =
        (0..3).map(|number| Client::connect(engine.port, V5, &format!("c{number}"))).collect();
    clients[0].subscribe("t", 1);
    clients[1].publish("t", "x", 1);
    clients[0].receive();
    let status = engine.status();
    assert_eq!((&status["generation"], &status["workers"]), (&1.into(), &1.into()));
    assert_eq!(status["file"], "in force");
    let bindings = status["bindings"].as_array().unwrap();
    let names: Vec<_> = bindings.iter().map(|binding| text(&binding["name"])).collect();
    let order = ["tcp", "mqtt", "mapping", "cache", "log", "kafka"];
    assert_eq!(names, order.map(|name| format!("test:{name}")));
    assert_eq!(bindings[1]["connections"], 3);
    assert_eq!(
        (&bindings[1]["type"], &bindings[1]["kind"], &bindings[1]["fate"]),
        (&"mqtt".into(), &"server".into(), &"Start".into())
    );
    assert_eq!(engine.counter("publishes_received"), 1);
    assert_eq!(engine.counter("deliveries_sent"), 1);
    let file = engine.file.to_str().unwrap();
    let output = run_zilla(&["status", "-c", file]);
    let shown = String::from_utf8(output.stdout).unwrap();
    for part in ["generation 1", "in force", "test:mqtt", "publishes_received"] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
}
