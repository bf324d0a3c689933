//! E06xx: Kafka.

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
    "A mechanism has a username and a password of the engine itself. Credentials that a guard takes from the client are not supported yet.",
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
}
