//! Bindings and ports that are removed: who is connected through them, and who comes meanwhile.

use std::net::TcpStream;

use crate::harness::{
    Bystanders, Client, Connect, Engine, Setup, Sockets, V5, V311, engine_only, fate, free_port,
    message, on_one_and_three_workers,
};

on_one_and_three_workers!(
    tcp_port_added_and_removed,
    tcp_port_removed_while_connections_wait,
    bindings_removed,
    tcp_binding_alone_removed,
    mqtt_kafka_binding_removed,
);

fn tcp_port_added_and_removed(workers: usize) {
    engine_only!();
    let (first, second) = (free_port(), free_port());
    let on = |ports: &[u16]| Setup { ports: ports.to_vec(), ..Setup::new(workers) };
    let engine = on(&[first]).start();
    assert_eq!(engine.port, first);
    assert!(TcpStream::connect(("127.0.0.1", second)).is_err());
    let mut bystanders = Bystanders::start(&engine, &["p/x"]);
    let event = bystanders.reload(&engine, &on(&[first, second]));
    assert_eq!((fate(&event, "tcp"), fate(&event, "mqtt")), ("Update", "Keep"));
    assert_eq!(Sockets::of(engine.id()).listening_on(second), workers);
    // Several, so that each worker's listener serves one.
    let mut there: Vec<Client> =
        (0..8).map(|number| Client::connect(second, V5, &format!("there-{number}"))).collect();
    there.iter_mut().for_each(|client| client.subscribe("there", 1));
    let mut here = Client::connect(first, V5, "here");
    here.publish("there", "hello", 1);
    there.iter_mut().for_each(|client| assert_eq!(client.receive().text(), "hello"));
    let before = Sockets::of(engine.id());
    let event = bystanders.reload_without(&engine, &on(&[first]).yaml(), &[second]);
    assert_eq!(fate(&event, "tcp"), "Update");
    assert!(TcpStream::connect(("127.0.0.1", second)).is_err(), "it is closed");
    // Those who came by it stay.
    here.publish("there", "still", 1);
    there.iter_mut().for_each(|client| assert_eq!(client.receive().text(), "still"));
    there[0].publish("there", "both ways", 1);
    there.iter_mut().for_each(|client| assert_eq!(client.receive().text(), "both ways"));
    before.assert_kept(&Sockets::of(engine.id()), &[second]);
    Client::connect(first, V5, "another").ping();
    bystanders.finish(&["p/x"]);
}

/// Connections that the kernel has taken when their port is removed are served: closing a
/// listening socket would reset them. They wait since the engine had no descriptor for them, and
/// looks again only some time after it has.
fn tcp_port_removed_while_connections_wait(workers: usize) {
    engine_only!();
    let (first, second) = (free_port(), free_port());
    let on = |ports: &[u16]| Setup { ports: ports.to_vec(), ..Setup::new(workers) };
    let engine = on(&[first, second]).start();
    let mut bystanders = Bystanders::start(&engine, &["p/x"]);
    let mut waiting = bystanders.during(&engine, &[second], || {
        let (count, highest) = engine.descriptors();
        engine.limit_descriptors(highest);
        let waiting: Vec<Client> = (0..highest - count + 20)
            .map(|number| {
                let mut client = Client::open(second, V5);
                client.send(&Connect::new(V5, &format!("waiting-{number}")).encode());
                client
            })
            .collect();
        engine.event_named("tcp.accept.paused");
        engine.limit_descriptors(1024);
        let event = engine.reload(&on(&[first]));
        assert_eq!(fate(&event, "tcp"), "Update", "{event}");
        waiting
    });
    for client in &mut waiting {
        let connack = client.packet("CONNACK");
        assert_eq!((connack.kind(), connack.reason()), (2, 0));
        client.ping();
    }
    bystanders.finish(&["p/x"]);
}

/// How long removed bindings go on in these tests, seconds.
const DRAIN: &str = "2";

/// Clients of both versions at `port`.
fn clients(port: u16) -> Vec<Client> {
    let connect = |version| {
        let mut client = Client::connect(port, version, &format!("removed-{version}"));
        client.subscribe("r/x", 1);
        client
    };
    [V311, V5].map(connect).into()
}

/// They go on until the drain has passed: each receives what another publishes, and is answered.
fn assert_served(clients: &mut [Client], from: &mut Client) {
    for text in ["one", "two"] {
        from.publish("r/x", text, 1);
        for client in &mut *clients {
            assert_eq!(client.receive().text(), text);
        }
    }
    for client in clients {
        let id = client.send_publish(&message("r/own", "in flight", 1));
        assert!(client.puback(id) < 0x80);
    }
}

/// Waits until each is told that an administrator has ended its connection, and it is closed.
fn assert_ended(engine: &Engine, clients: &mut [Client]) {
    clients.iter_mut().for_each(|client| client.refused(ADMINISTRATIVE_ACTION));
    assert_eq!(engine.status()["file"], "in force");
}

/// The reason code of DISCONNECT.
const ADMINISTRATIVE_ACTION: u8 = 0x98;

/// A listener with all that is behind it.
fn bindings_removed(workers: usize) {
    engine_only!();
    let second = free_port();
    let one = Setup { arguments: vec!["--drain", DRAIN], ..Setup::new(workers) };
    let two = one
        .clone()
        .with_mapping("other", "r/#", "\"@messages\"")
        .with_second_server(second, "other");
    let engine = two.start();
    let mut bystanders = Bystanders::start(&engine, &["r/here"]);
    let mut here = Client::connect(engine.port, V5, "here");
    let mut removed = clients(second);
    let event = bystanders.reload_without(&engine, &one.yaml(), &[second]);
    for binding in ["tcp2", "mqtt2", "other"] {
        assert_eq!(fate(&event, binding), "Retire", "{event}");
    }
    for binding in ["tcp", "mqtt", "mapping", "cache", "log", "kafka"] {
        assert_eq!(fate(&event, binding), "Keep", "{event}");
    }
    assert_eq!(event["connections_draining"], 2, "{event}");
    assert!(TcpStream::connect(("127.0.0.1", second)).is_err(), "it is closed");
    assert_served(&mut removed, &mut here);
    assert_ended(&engine, &mut removed);
    bystanders.finish(&["r/here"]);
}

/// A listener alone: the mqtt server has other clients, which stay.
fn tcp_binding_alone_removed(workers: usize) {
    engine_only!();
    let second = free_port();
    let one = Setup { arguments: vec!["--drain", DRAIN], ..Setup::new(workers) };
    let two = one.clone().with_second_listener(second);
    let engine = two.start();
    let mut bystanders = Bystanders::start(&engine, &["r/here"]);
    let mut here = Client::connect(engine.port, V5, "here");
    let mut removed = clients(second);
    // So many that each worker accepts some that another serves.
    let mut more: Vec<Client> = (0..8)
        .map(|number| Client::connect(second, V5, &format!("removed-too-{number}")))
        .collect();
    let event = bystanders.reload_without(&engine, &one.yaml(), &[second]);
    assert_eq!((fate(&event, "tcp2"), fate(&event, "mqtt")), ("Retire", "Keep"), "{event}");
    assert!(TcpStream::connect(("127.0.0.1", second)).is_err(), "it is closed");
    assert_served(&mut removed, &mut here);
    assert_ended(&engine, &mut removed);
    assert_ended(&engine, &mut more);
    // What is listened on later is another one, whose clients stay.
    let event = bystanders.reload(&engine, &two);
    assert_eq!(fate(&event, "tcp2"), "Start", "{event}");
    Client::connect(second, V5, "newcomer").ping();
    here.ping();
    bystanders.finish(&["r/here"]);
}

/// Only what the sessions are on: who comes now is led elsewhere.
fn mqtt_kafka_binding_removed(workers: usize) {
    engine_only!();
    let second = free_port();
    let one = Setup { arguments: vec!["--drain", DRAIN], ..Setup::new(workers) };
    let before = one
        .clone()
        .with_mapping("other", "r/#", "\"@messages\"")
        .with_second_server(second, "other");
    let after = one.with_second_server(second, "mapping");
    let engine = before.start();
    let mut bystanders = Bystanders::start(&engine, &["r/here"]);
    let mut here = Client::connect(engine.port, V5, "here");
    let mut removed = clients(second);
    let event = bystanders.reload(&engine, &after);
    let fates = ["tcp2", "mqtt2", "other", "mapping"].map(|binding| fate(&event, binding));
    assert_eq!(fates, ["Keep", "Update", "Retire", "Keep"], "{event}");
    assert_eq!(event["connections_draining"], 2, "{event}");
    let mut newcomer = Client::connect(second, V5, "newcomer");
    newcomer.subscribe("r/new", 1);
    assert_served(&mut removed, &mut here);
    assert_ended(&engine, &mut removed);
    newcomer.publish("r/new", "stays", 1);
    assert_eq!(newcomer.receive().text(), "stays");
    bystanders.finish(&["r/here"]);
}
