//! E06xx: Kafka.

codes! {
    KAFKA;

    E0601: "an option of a topic that is not supported",
    "Records pass as they are: their content is neither checked nor changed, and deltas are not made.",
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
          deltaType: json_patch
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
          deltaType: none
    exit: kafka
  kafka:
    type: kafka
    kind: client
    options:
      servers: [\"kafka.example:9092\"]
",
    };

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
    "The mechanisms are `plain`, `scram-sha-256` and `scram-sha-512`, each with a username and a password of the engine itself. Credentials that a guard takes from the client are not supported yet.",
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
        mechanism: scram-sha-1
        username: engine
        password: ${{env.PASSWORD}}
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
    "All topics of a Kafka binding go to one exit. A route with `when`, or a second exit, would split them, which is not supported yet.",
    files! {
        bad: "\
name: edge
bindings:
  log:
    type: kafka
    kind: cache_server
    routes:
      - when:
          - topic: readings
        exit: kafka
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
    exit: kafka
  kafka:
    type: kafka
    kind: client
    options:
      servers: [\"kafka.example:9092\"]
",
    };
}
