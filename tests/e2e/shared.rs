//! Shared subscriptions (MQTT 5.0 section 4.8.2).

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{
    Client, Connect, Engine, LIBRARIES, PATIENCE, Publish, Script, Setup, V5, V311, Value, engine,
    engine_only, identifier, message, on_one_and_three_workers,
};

on_one_and_three_workers!(
    messages_are_spread_evenly_in_order_and_each_once,
    each_group_gets_all_and_so_do_plain_subscriptions,
    what_a_killed_member_had_not_acknowledged_reaches_another,
    a_qos_2_message_stays_with_the_client_that_was_sent_it,
    what_a_client_refuses_goes_to_nobody_else,
    each_member_has_its_own_qos_identifier_and_retain_flag,
    retained_messages_are_not_sent,
    a_session_that_comes_back_is_a_member_again,
    a_group_whose_members_are_all_away_misses_nothing,
    unsubscribing_leaves_the_group,
    a_member_that_does_not_read_holds_up_nobody,
    clients_of_others_share,
);

/// A client whose session outlives its connection.
fn lasting(client_id: &str, clean: bool) -> Connect {
    Connect { clean, ..Connect::new(V5, client_id) }.with_property(0x11, Value::Four(600))
}

fn member(engine: &Engine, version: u8, client_id: &str, filter: &str, qos: u8) -> Client {
    let mut client = Client::connect(engine.port, version, client_id);
    client.subscribe(filter, qos);
    client
}

fn lasting_member(engine: &Engine, client_id: &str, filter: &str, qos: u8) -> Client {
    let mut client = Client::connect_as(engine.port, &lasting(client_id, true));
    client.subscribe(filter, qos);
    client
}

fn await_counter(engine: &Engine, name: &str, value: i64) {
    let began = Instant::now();
    while engine.counter(name) != value {
        assert!(began.elapsed() < PATIENCE, "{name} is not {value}");
    }
}

/// Subscribers on all workers: what each has received, no worker still has to read.
fn watchers(engine: &Engine, workers: usize, filter: &str) -> Vec<Client> {
    let name = |number| format!("watcher-{number}");
    (0..4 * workers).map(|number| member(engine, V5, &name(number), filter, 0)).collect()
}

fn publisher(engine: &Engine) -> Client {
    Client::connect(engine.port, V5, "publisher")
}

/// Publishes numbers, many at a time.
fn publish(publisher: &mut Client, topic: &str, numbers: std::ops::Range<usize>, qos: u8) {
    let numbers: Vec<usize> = numbers.collect();
    for chunk in numbers.chunks(50) {
        let send =
            |number: &usize| publisher.send_publish(&message(topic, &number.to_string(), qos));
        let ids: Vec<u16> = chunk.iter().map(send).collect();
        for id in ids {
            assert_eq!(publisher.puback(id), 0);
        }
    }
}

/// Lets members receive at once, until they have `count` messages together: what each had.
fn gather(members: &mut [Client], count: usize) -> Vec<Vec<usize>> {
    let total = AtomicUsize::new(0);
    let receive = |client: &mut Client| {
        let (mut had, began) = (Vec::new(), Instant::now());
        while total.load(Ordering::SeqCst) < count {
            assert!(began.elapsed() < PATIENCE, "{} of {count}", total.load(Ordering::SeqCst));
            if let Some(publish) = client.receive_within(Duration::from_millis(20)) {
                had.push(publish.text().parse().unwrap());
                total.fetch_add(1, Ordering::SeqCst);
            }
        }
        had
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            members.iter_mut().map(|client| scope.spawn(move || receive(client))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn messages_are_spread_evenly_in_order_and_each_once(workers: usize) {
    // Each member takes 64 before it has acknowledged any.
    const COUNT: usize = 180;
    let engine = engine(workers);
    let mut publisher = publisher(&engine);
    for qos in [0, 1, 2] {
        for version in [V5, V311] {
            let connect = |name| member(&engine, version, name, "$share/g/t/#", qos);
            let mut members = ["a", "b", "c"].map(connect);
            publish(&mut publisher, "t/x", 0..COUNT, 1);
            let had = gather(&mut members, COUNT);
            for numbers in &had {
                // A third each, but for the first messages, which may come before the group knows
                // that all members take some.
                assert!((COUNT / 3 - 10..=COUNT / 3 + 20).contains(&numbers.len()), "{had:?}");
                assert!(numbers.is_sorted(), "{numbers:?}");
            }
            let all: BTreeSet<usize> = had.concat().into_iter().collect();
            assert_eq!(all, (0..COUNT).collect());
            for mut client in members {
                assert!(client.receive_within(Duration::from_millis(1)).is_none(), "twice");
                client.disconnect(0);
            }
        }
    }
}

fn each_group_gets_all_and_so_do_plain_subscriptions(workers: usize) {
    let engine = engine(workers);
    let mut publisher = publisher(&engine);
    let mut plain = member(&engine, V5, "plain", "t", 1);
    let mut one = ["a", "b"].map(|name| member(&engine, V5, name, "$share/one/t", 1));
    let mut two = ["c", "d"].map(|name| member(&engine, V311, name, "$share/two/t", 1));
    let mut other = ["e"].map(|name| member(&engine, V5, name, "$share/one/+", 1));
    publish(&mut publisher, "t", 0..100, 1);
    for members in [&mut one[..], &mut two[..], &mut other[..]] {
        let mut all = gather(members, 100).concat();
        all.sort_unstable();
        assert_eq!(all, (0..100).collect::<Vec<_>>());
    }
    for number in 0..100 {
        assert_eq!(plain.receive().text(), number.to_string());
    }
    // Two subscriptions of one session are two.
    let mut both = member(&engine, V5, "both", "$share/three/t", 1);
    both.subscribe("t", 0);
    publish(&mut publisher, "t", 7..8, 1);
    let mut qos = [both.receive(), both.receive()].map(|publish| publish.qos);
    qos.sort_unstable();
    assert_eq!(qos, [0, 1]);
}

fn what_a_killed_member_had_not_acknowledged_reaches_another(workers: usize) {
    engine_only!();
    let engine = engine(workers);
    let mut publisher = publisher(&engine);
    for is_kept in [false, true] {
        let mut killed = if is_kept {
            lasting_member(&engine, "killed", "$share/g/t", 1)
        } else {
            member(&engine, V5, "killed", "$share/g/t", 1)
        };
        let mut other = [member(&engine, V311, "other", "$share/g/t", 1)];
        publish(&mut publisher, "t", 0..100, 1);
        let mut acknowledged = BTreeSet::new();
        let mut unacknowledged = BTreeSet::new();
        for turn in 0..20 {
            let publish = killed.receive_unacknowledged();
            let number: usize = publish.text().parse().unwrap();
            if turn < 10 {
                killed.acknowledge(publish.id.unwrap());
                acknowledged.insert(number);
            } else {
                unacknowledged.insert(number);
            }
        }
        killed.ping();
        drop(killed);
        publish(&mut publisher, "t", 100..150, 1);
        let had = gather(&mut other, 140).concat();
        let all: BTreeSet<usize> = had.iter().copied().collect();
        assert_eq!(all.len(), had.len(), "one member had none twice");
        assert!(unacknowledged.is_subset(&all));
        assert!(acknowledged.is_disjoint(&all));
        let [other] = other;
        other.disconnect(0);
        Client::connect(engine.port, V5, "killed").disconnect(0);
    }
}

/// [MQTT-4.8.2-4] [MQTT-4.8.2-5]
fn a_qos_2_message_stays_with_the_client_that_was_sent_it(workers: usize) {
    engine_only!();
    let engine = engine(workers);
    let mut publisher = publisher(&engine);
    for comes_back in [true, false] {
        let mut first = lasting_member(&engine, "first", "$share/g/t", 2);
        for text in ["received", "sent"] {
            publisher.publish("t", text, 2);
        }
        let [received, sent] = std::array::from_fn(|_| first.receive_unacknowledged());
        let received_id = received.id.unwrap();
        first.send_packet(0x50, received_id.to_be_bytes().to_vec());
        assert_eq!(first.acknowledged(6, received_id, "PUBREL"), 0);
        let mut other = member(&engine, V5, "other", "$share/g/t", 2);
        drop(first);
        await_counter(&engine, "sessions_kept", 1);
        publisher.publish("t", "next", 2);
        assert_eq!(other.receive().text(), "next");
        let mut first = Client::open(engine.port, V5);
        first.send(&lasting("first", !comes_back).encode());
        let connack = first.packet("CONNACK");
        assert_eq!(connack.body[0] == 1, comes_back);
        if comes_back {
            let mut packets = [first.packet("PUBREL"), first.packet("PUBLISH")];
            packets.sort_by_key(|packet| std::cmp::Reverse(packet.kind()));
            assert_eq!(packets[0].body[..2], received_id.to_be_bytes());
            let again = Publish::of(&packets[1], V5);
            assert_eq!((again.id, again.dup, again.text()), (sent.id, true, "sent"));
            first.send_packet(0x70, received_id.to_be_bytes().to_vec());
            first.complete(sent.id.unwrap());
        }
        first.disconnect(0);
        let nobody = Client::connect(engine.port, V5, "first");
        nobody.disconnect(0);
        publisher.publish("t", "last", 2);
        assert_eq!(other.receive().text(), "last", "the others have gone nowhere else");
        other.disconnect(0);
    }
}

/// [MQTT-4.8.2-6]
fn what_a_client_refuses_goes_to_nobody_else(workers: usize) {
    let engine = engine(workers);
    let mut publisher = publisher(&engine);
    let mut first = member(&engine, V5, "first", "$share/g/t", 2);
    publisher.publish("t", "one", 1);
    publisher.publish("t", "two", 2);
    for kind in [0x40, 0x50] {
        let id = first.receive_unacknowledged().id.unwrap();
        let mut body = id.to_be_bytes().to_vec();
        body.push(0x97);
        first.send_packet(kind, body);
    }
    first.ping();
    let mut other = member(&engine, V5, "other", "$share/g/t", 2);
    drop(first);
    publisher.publish("t", "three", 1);
    publisher.publish("t", "four", 1);
    // Where the first was not known to be gone yet, one of them comes to it first.
    let mut had = [other.receive(), other.receive()];
    had.sort_by_key(|publish| publish.text().to_owned());
    assert_eq!(had.iter().map(Publish::text).collect::<Vec<_>>(), ["four", "three"]);
}

/// [MQTT-4.8.2-3]
fn each_member_has_its_own_qos_identifier_and_retain_flag(workers: usize) {
    let engine = engine(workers);
    let mut publisher = publisher(&engine);
    let mut members: Vec<Client> = (0..3)
        .map(|qos| {
            let mut client = Client::connect(engine.port, V5, &format!("qos {qos}"));
            let options = qos | 0b1000;
            let id = identifier(u32::from(qos) + 10);
            assert_eq!(client.subscribe_with(&[("$share/g/t", options)], &[id]), [qos]);
            client
        })
        .collect();
    // Without Retain As Published.
    let mut plain = member(&engine, V5, "plain", "$share/g/t", 2);
    for number in 0..4 {
        publisher.retain("t", &number.to_string(), 2);
    }
    for (qos, client) in (0..).zip(&mut members) {
        let publish = client.receive();
        assert_eq!((publish.qos, publish.retain), (qos, true));
        assert!(publish.properties.contains(&identifier(u32::from(qos) + 10)));
    }
    let publish = plain.receive();
    assert_eq!((publish.qos, publish.retain), (2, false));
    assert_eq!(publish.properties, []);
}

fn retained_messages_are_not_sent(workers: usize) {
    let engine = engine(workers);
    let mut publisher = publisher(&engine);
    publisher.retain("t", "old", 1);
    let mut client = member(&engine, V5, "c", "$share/g/t", 1);
    client.subscribe("$share/g/t", 1);
    publisher.publish("t", "new", 1);
    assert_eq!(client.receive().text(), "new");
}

fn a_session_that_comes_back_is_a_member_again(workers: usize) {
    engine_only!();
    let engine = engine(workers);
    let mut publisher = publisher(&engine);
    let first = lasting_member(&engine, "first", "$share/g/t", 1);
    let mut other = member(&engine, V5, "other", "$share/g/t", 1);
    first.disconnect(0);
    for number in 0..5 {
        publisher.publish("t", &number.to_string(), 1);
        assert_eq!(other.receive().text(), number.to_string(), "no turn for who is away");
    }
    for _ in 0..5 {
        let first = Client::connect_as(engine.port, &lasting("first", false));
        let mut both = [first, other];
        let (mut had, began) = ([0, 0], Instant::now());
        while had.contains(&0) {
            assert!(began.elapsed() < PATIENCE);
            publish(&mut publisher, "t", 0..10, 1);
            for (had, numbers) in had.iter_mut().zip(gather(&mut both, 10)) {
                *had += numbers.len();
            }
        }
        let [first, still] = both;
        other = still;
        first.disconnect(0);
    }
}

fn a_group_whose_members_are_all_away_misses_nothing(workers: usize) {
    let engine = engine(workers);
    let mut publisher = publisher(&engine);
    let away = ["a", "b"].map(|name| lasting_member(&engine, name, "$share/g/t", 1));
    // Some are sent to them and not acknowledged.
    publish(&mut publisher, "t", 0..10, 1);
    for mut client in away {
        client.receive_unacknowledged();
        client.disconnect(0);
    }
    publish(&mut publisher, "t", 10..500, 1);
    // What nobody acknowledges is not kept.
    for number in 500..510 {
        publisher.publish("t", &number.to_string(), 0);
    }
    // Members that come back while those are still on their way get them as live ones.
    let mut watchers = watchers(&engine, workers, "t");
    publish(&mut publisher, "t", 510..520, 1);
    for watcher in &mut watchers {
        while watcher.receive().text() != "519" {}
    }
    let mut members = ["a", "b"].map(|name| Client::connect_as(engine.port, &lasting(name, false)));
    let mut had = gather(&mut members, 510).concat();
    had.sort_unstable();
    assert_eq!(had, (0..500).chain(510..520).collect::<Vec<_>>());
}

fn unsubscribing_leaves_the_group(workers: usize) {
    let engine = engine(workers);
    let mut publisher = publisher(&engine);
    for version in [V5, V311] {
        let mut leaver = member(&engine, version, "leaver", "$share/g/t", 1);
        let mut other = member(&engine, version, "other", "$share/g/t", 1);
        let reasons = leaver.unsubscribe(&["$share/g/t", "$share/h/t", "t", "$share/g/t"]);
        let expected: &[u8] = if version == V5 { &[0, 0x11, 0x11, 0x11] } else { &[] };
        assert_eq!(reasons, expected);
        for number in 0..10 {
            publisher.publish("t", &number.to_string(), 1);
            assert_eq!(other.receive().text(), number.to_string());
        }
        assert!(leaver.receive_within(Duration::from_millis(1)).is_none());
        leaver.disconnect(0);
        other.disconnect(0);
    }
}

fn a_member_that_does_not_read_holds_up_nobody(workers: usize) {
    engine_only!();
    const COUNT: usize = 2000;
    const WINDOW: usize = 64;
    let engine = engine(workers);
    let mut publisher = publisher(&engine);
    let mut slow = [member(&engine, V5, "slow", "$share/g/t", 1)];
    let connect = Connect::new(V5, "small").with_property(0x21, Value::Two(2));
    let mut small = [Client::connect_as(engine.port, &connect)];
    small[0].subscribe("$share/g/t", 1);
    let mut quick = [member(&engine, V5, "quick", "$share/g/t", 1)];
    let mut had = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| publish(&mut publisher, "t", 0..COUNT, 1));
        had.push(gather(&mut quick, COUNT - WINDOW - 2).concat());
    });
    had.push(gather(&mut slow, WINDOW).concat());
    had.push(gather(&mut small, 2).concat());
    let mut all = had.concat();
    all.sort_unstable();
    assert_eq!(all, (0..COUNT).collect::<Vec<_>>());
}

fn clients_of_others_share(workers: usize) {
    const COUNT: usize = 100;
    let engine = engine(workers);
    let mut publisher = publisher(&engine);
    for version in [V5, V311] {
        let mut scripts = LIBRARIES.map(|library| {
            let id = format!("{library:?}");
            let mut script =
                Script::connect_with(library, engine.port, version, &id, json!({"clean": true}));
            script.subscribe("$share/g/t", 1);
            script
        });
        let mut had = BTreeSet::new();
        for number in 0..COUNT {
            publisher.publish("t", &number.to_string(), 1);
        }
        // A half each, but for the first messages.
        for script in &mut scripts {
            for _ in 0..COUNT / 2 - 10 {
                had.insert(String::from_utf8(script.message().payload).unwrap());
            }
        }
        assert_eq!(had.len(), COUNT - 20);
        scripts.iter_mut().for_each(Script::kill);
    }
}

#[test]
fn groups_are_counted_and_end_with_their_last_member() {
    engine_only!();
    let engine = engine(3);
    let mut publisher = publisher(&engine);
    let mut clients: Vec<Client> = (0..6)
        .map(|number| {
            let filter = format!("$share/{}/t", number % 2);
            let client = member(&engine, V5, &number.to_string(), &filter, 1);
            await_counter(&engine, "subscriptions", number + 1);
            client
        })
        .collect();
    await_counter(&engine, "shared_groups", 2);
    publish(&mut publisher, "t", 0..9, 1);
    await_counter(&engine, "shared_handed_out", 18);
    clients.pop();
    await_counter(&engine, "subscriptions", 5);
    drop(clients);
    await_counter(&engine, "shared_groups", 0);
    assert!(engine.counter("shared_redelivered") >= 3);
}

#[test]
fn filters_that_are_wrong_are_refused() {
    let engine = engine(1);
    let mut old = Client::connect(engine.port, V311, "old");
    let filters = [("$share/g/t", 1), ("$share//t", 1), ("$share/g/a#", 1)];
    assert_eq!(old.subscribe_with(&filters, &[]), [1, 0x80, 0x80]);
}

/// No Local on a shared subscription [MQTT-3.8.3-4].
#[test]
fn no_local_is_refused() {
    engine_only!();
    let engine = engine(1);
    let mut client = Client::connect(engine.port, V5, "c");
    client.send_subscribe("$share/g/t", 0b101);
    client.refused(0x82);
}

/// A reload takes the group to the topics that its plain filter leads to now.
#[test]
fn a_reload_moves_a_group() {
    engine_only!();
    let setup = Setup::new(3).with_topics(&["sensors"]);
    let engine = setup.start();
    let mut publisher = publisher(&engine);
    let mut members = ["a", "b"].map(|name| member(&engine, V5, name, "$share/g/sensors/1", 1));
    publish(&mut publisher, "sensors/1", 0..20, 1);
    engine.reload(&setup.with_route("sensors/#", "\"@sensors\""));
    publish(&mut publisher, "sensors/1", 20..40, 1);
    let mut had = gather(&mut members, 40).concat();
    had.sort_unstable();
    assert_eq!(had, (0..40).collect::<Vec<_>>());
    assert_eq!(engine.records("sensors", 20).len(), 20);
}
