//! Parts that examples are made of.

/// A listening tcp binding and an mqtt server, which exit to `mapping`.
macro_rules! north {
    () => {
        "  north:
    type: tcp
    kind: server
    options:
      host: 0.0.0.0
      port: 7183
    exit: mqtt
  mqtt:
    type: mqtt
    kind: server
    exit: mapping
"
    };
}

/// The options of an mqtt-kafka binding, up to what follows its topics.
macro_rules! mapping {
    () => {
        "  mapping:
    type: mqtt-kafka
    kind: proxy
    options:
      topics:
        sessions: mqtt-sessions
        messages: mqtt-messages
        retained: mqtt-retained
    exit: log
"
    };
}

/// What a mapping exits to.
macro_rules! log {
    () => {
        "  log:
    type: kafka
    kind: cache_client
    exit: log_server
  log_server:
    type: kafka
    kind: cache_server
    exit: kafka
  kafka:
    type: kafka
    kind: client
    options:
      servers: [\"kafka.example:9092\"]
"
    };
}

/// A file that consists of a mapping with `$body` below its name, and what it exits to.
macro_rules! with_mapping {
    ($body:literal) => {
        concat!(
            "\
name: edge
bindings:
  mapping:
    type: mqtt-kafka
    kind: proxy
",
            $body,
            "    exit: log\n",
            log!()
        )
    };
}
