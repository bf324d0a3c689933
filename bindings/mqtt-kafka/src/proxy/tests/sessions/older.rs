//! Sessions whose place has left memory.

use super::*;

/// A world with a client that is away, which was sent `a` and then missed so many messages. Memory
/// holds none of them.
fn away(messages: usize) -> World {
    let world = World::new();
    let mut publisher = world.open("p");
    let mut publish = |text: &str| {
        publisher.publish(&message("t", text, Qos::ExactlyOnce)).unwrap();
    };
    let (mut client, _) = world.connect("c", false);
    client.client.subscribe(&[subscription("t", Qos::ExactlyOnce)]);
    ["a", "b"].into_iter().for_each(&mut publish);
    world.kafka.run();
    assert_eq!(client.told(1), ["t a 2"]);
    client.leave();
    (0..messages).for_each(|number| publish(&number.to_string()));
    world.kafka.run();
    world.kafka.trim("messages");
    world
}

/// What that client is to be told.
fn missed(messages: usize) -> Vec<String> {
    let first = ["again 1 t a 2".to_owned(), "t b 2".to_owned()];
    first.into_iter().chain((0..messages).map(|number| format!("t {number} 2"))).collect()
}

// [MQTT-4.4.0-1] [MQTT-4.6.0-6]
#[test]
fn what_memory_no_longer_holds_comes_from_kafka() {
    on_worker(async {
        const COUNT: usize = 300;
        let world = away(COUNT);
        let mut client = world.resume("c");
        assert_eq!(client.told(9999), [""; 0], "Kafka is asked");
        assert_eq!(client.told_in_time(9999), missed(COUNT));
        let counters = &world.hub.counters;
        assert_eq!(counters.resumes_incomplete.value(), 0);
        assert_eq!(counters.redeliveries_gone.value(), 0);
        let mut publisher = world.open("p");
        publisher.publish(&message("t", "live", Qos::ExactlyOnce)).unwrap();
        world.kafka.run();
        assert_eq!(client.told(9), ["t live 2"]);
        assert!(world.hub.members().iter().all(|m| m.state.borrow().behind.is_empty()));
    });
}

/// No more is asked for than the client takes.
#[test]
fn what_comes_from_kafka_waits_for_the_clients_receive_maximum() {
    on_worker(async {
        const COUNT: usize = 300;
        let world = away(COUNT);
        let mut client = world.resume("c");
        let mut all = client.told_in_time(2);
        assert_eq!(all, missed(COUNT)[..2]);
        let asked = world.hub.counters.older_asked.value();
        for _ in 0..20 {
            assert!(client.told_in_time(0).is_empty());
        }
        assert!(world.hub.counters.older_asked.value() <= asked + 1);
        client.complete_all();
        while all.len() < COUNT + 2 {
            let more = client.told_in_time(3);
            assert_eq!(more.len(), 3.min(COUNT + 2 - all.len()));
            all.extend(more);
            client.complete_all();
        }
        assert_eq!(all, missed(COUNT));
    });
}

#[test]
fn a_session_waits_until_kafka_answers() {
    on_worker(async {
        let world = away(20);
        let fault = kafka_plane::Fault::Unavailable;
        world.kafka.faults.borrow_mut().insert("messages".to_owned(), fault);
        let mut client = world.resume("c");
        for _ in 0..10 {
            assert_eq!(client.told_in_time(99), [""; 0]);
            assert_eq!(client.client.wakes(), 0, "it does not spin");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        world.kafka.faults.borrow_mut().clear();
        let mut told = Vec::new();
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            told.extend(client.told_in_time(99));
        }
        assert_eq!(told, missed(20));
    });
}

#[test]
fn a_client_that_goes_while_kafka_is_asked_misses_nothing() {
    on_worker(async {
        let world = away(20);
        for round in 0..5 {
            let mut client = world.beside().resume("c");
            client.told(99);
            if round % 2 == 0 {
                // The first answer comes, and what follows is asked for.
                while world.kafka.answer_one() {}
                assert_eq!(client.told(0), [""; 0]);
            }
            client.leave();
            world.kafka.run();
        }
        assert_eq!(world.resume("c").told_in_time(99), missed(20));
    });
}

#[test]
fn what_was_asked_of_an_exit_that_is_replaced_is_asked_anew() {
    on_worker(async {
        let world = away(20);
        let mut client = world.resume("c");
        assert_eq!(client.told(99), [""; 0]);
        let new = Kafka::new("one");
        new.begin_like(&world.kafka, "messages", true);
        world.reload(mapping(&[]), &new);
        client.client.kafka = new;
        assert_eq!(client.told_in_time(99), missed(20));
    });
}

#[test]
fn what_kafka_has_deleted_too_is_counted_once_and_the_rest_is_delivered() {
    on_worker(async {
        let world = away(20);
        let mut publisher = world.open("p");
        world.kafka.delete("messages");
        for text in ["x", "y"] {
            publisher.publish(&message("t", text, Qos::ExactlyOnce)).unwrap();
            world.kafka.run();
            if text == "x" {
                world.kafka.trim("messages");
            }
        }
        let mut client = world.resume("c");
        assert_eq!(client.told_in_time(99), ["gone 1", "t x 2", "t y 2"]);
        assert_eq!(world.hub.counters.resumes_incomplete.value(), 1);
    });
}
