//! E06xx: Kafka.

use crate::Example;

codes! {
    KAFKA;

    E0602: "no address of a broker",
    "A Kafka client needs at least one broker to begin with: `options.servers`, each `host:port`, or an `exit` to a tcp client with a host and a port.",
    files! {
        bad: "\
name: edge
bindings:
  kafka:
    type: kafka
    kind: client
    options:
      servers: [\"kafka.example\"]
",
        good: "\
name: edge
bindings:
  kafka:
    type: kafka
    kind: client
    options:
      servers: [\"kafka.example:9092\"]
",
    };

    E0603: "credentials that cannot be used",
    "A mechanism has a username and a password of the engine itself: written out, or those that a guard of type `inline` holds (`{identity}`, `{credentials}`). Credentials that a guard takes from the client are not supported yet.",
    files! {
        bad: "\
name: edge
bindings:
  kafka:
    type: kafka
    kind: client
    options:
      servers: [\"kafka.example:9092\"]
      sasl:
        mechanism: scram-sha-512
        username: engine
",
        good: "\
name: edge
bindings:
  kafka:
    type: kafka
    kind: client
    options:
      servers: [\"kafka.example:9092\"]
      sasl:
        mechanism: scram-sha-512
        username: engine
        password: ${{env.PASSWORD}}
",
    };

    E0604: "topics that go two ways",
    "All topics of a Kafka binding go to one exit. A second exit would split them, which is not supported yet.",
    files! {
        bad: "\
name: edge
bindings:
  log:
    type: kafka
    kind: cache_server
    routes:
      - exit: kafka
      - exit: kafka_2
  kafka:
    type: kafka
    kind: client
    options:
      servers: [\"kafka.example:9092\"]
  kafka_2:
    type: kafka
    kind: client
    options:
      servers: [\"kafka-2.example:9092\"]
",
        good: "\
name: edge
bindings:
  log:
    type: kafka
    kind: cache_server
    exit: kafka
  kafka:
    type: kafka
    kind: client
    options:
      servers: [\"kafka.example:9092\"]
",
    };

    E0605: "a topic that is listed twice",
    "Each topic has one entry in `options.topics`.",
    files! {
        bad: "\
name: edge
bindings:
  log:
    type: kafka
    kind: cache_server
    options:
      topics:
        - name: readings
        - name: readings
    exit: kafka
  kafka:
    type: kafka
    kind: client
    options:
      servers: [\"kafka.example:9092\"]
",
        good: "\
name: edge
bindings:
  log:
    type: kafka
    kind: cache_server
    options:
      topics:
        - name: readings
    exit: kafka
  kafka:
    type: kafka
    kind: client
    options:
      servers: [\"kafka.example:9092\"]
",
    };

    E0606: "credentials that Kafka refuses",
    "Kafka does not know the user, or the password is not the user's, or the mechanism is another.",
    Example::Situation("It is found by `zilla validate --online`.");

    E0607: "a Kafka topic that does not exist",
    "The engine makes no topics: they would have whatever partitions and policy the broker defaults to. `zilla topics` prints the commands that make all that a file needs, and `zilla topics --create` makes them.",
    Example::Situation("It is found by `zilla validate --online`.");

    E0608: "a topic that must be compacted",
    "Retained messages and sessions are the last record of each key. With another `cleanup.policy` than `compact` Kafka deletes them when they are old.",
    Example::Situation("It is found by `zilla validate --online`.");

    E0609: "something that Kafka does not permit",
    "The access control lists of the cluster do not let the user of `options.sasl` (`User:ANONYMOUS` without it) do what the engine does with the topic: reading, writing, learning its configuration, which says how large a record may be.",
    Example::Situation("It is found by `zilla validate --online`.");

    E0610: "partitions that cannot be used",
    "A topic of messages has more partitions than can be told apart, or partitions have no leader, so that they can be neither read nor written. A few partitions serve best: each costs a read of its own.",
    Example::Situation("It is found by `zilla validate --online`.");

    E0611: "a topic that takes too small records",
    "Its `max.message.bytes` (of the topic, or `message.max.bytes` of the broker) is below what MQTT clients are told that they may send at least.",
    Example::Situation("It is found by `zilla validate --online`.");

    E0612: "a topic that Kafka refuses",
    "Kafka answers with an error where it is asked about the topic or asked to make it. The message has what it said.",
    Example::Situation("It is found by `zilla validate --online`.");

    E0613: "a cluster that does not answer",
    "None of the servers answered in time. Either the address is wrong, or Kafka does not run there, or the network between does not let the connection pass. `--timeout` gives it longer. An engine that is started all the same tries on until the cluster answers.",
    Example::Situation("It is found by `zilla validate --online`.");

    E0614: "a topic that Kafka takes no writes for",
    "A record is acknowledged when `min.insync.replicas` replicas of its partition have it. Where fewer are in sync, Kafka refuses it: clients are told so at QoS 1 and 2, and lose it at QoS 0.",
    Example::Situation("It is found by `zilla validate --online`.");
}
