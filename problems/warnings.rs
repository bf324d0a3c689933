//! Warnings: the configuration works, and probably not as it was meant.

codes! {
    WARNINGS;

    W0001: "an `allow` that allows nothing",
    "A comment `# zilla: allow W…` names a warning that is not there: the file was mended and the comment was left, or it stands on the wrong line. At the end of a line it is about that line; on a line of its own, about the next line that says something; before anything else in the file, about the whole file.",
    files! {
        bad: "\
name: edge
bindings:
  south:
    type: tcp # zilla: allow W0201
    kind: client
",
        good: "\
name: edge
bindings:
  south:
    type: tcp
    kind: client
",
    };

    W0002: "an `allow` that names no warning",
    "A comment `# zilla: allow` is followed by the codes of warnings. Errors cannot be allowed: a configuration that has one does not run.",
    files! {
        bad: "\
name: edge
bindings:
  south: # zilla: allow E0202
    type: tcp
    kind: client
",
        good: "\
name: edge
bindings:
  south:
    type: tcp
    kind: client
",
    };

    W0201: "a property that has no effect here",
    "Zilla does something with the property that this program does otherwise or need not do. What the file asks for works without it.",
    files! {
        bad: concat!("\
name: edge
bindings:
  mqtt:
    type: mqtt
    kind: server
    options:
      store: memory
    exit: mapping
", mapping!(), log!()),
        good: concat!("\
name: edge
bindings:
  mqtt:
    type: mqtt
    kind: server
    exit: mapping
", mapping!(), log!()),
    };

    W0221: "clients are not redirected",
    "`server` has no effect: a client that connects here is served here.",
    files! {
        bad: with_mapping!("    options:
      server: edge.example:7183
      topics:
        sessions: mqtt-sessions
        messages: mqtt-messages
        retained: mqtt-retained
"),
        good: with_mapping!("    options:
      topics:
        sessions: mqtt-sessions
        messages: mqtt-messages
        retained: mqtt-retained
"),
    };

    W0222: "topics of a route that never take it",
    "The Kafka topic of the route has a parameter that some of its MQTT topics do not have. There the name of the Kafka topic is not known, and the route is passed over.",
    files! {
        bad: with_mapping!("    options:
      topics:
        sessions: mqtt-sessions
        messages: mqtt-messages
        retained: mqtt-retained
    routes:
      - when:
          - publish:
              - topic: sites/{site}/#
              - topic: places/#
        with:
          messages: site-${params.site}
"),
        good: with_mapping!("    options:
      topics:
        sessions: mqtt-sessions
        messages: mqtt-messages
        retained: mqtt-retained
    routes:
      - when:
          - publish:
              - topic: sites/{site}/#
        with:
          messages: site-${params.site}
"),
    };

    W0223: "subscriptions with a wildcard pass over a route",
    "A subscription that has a wildcard where the route has a parameter does not say which Kafka topic to read, so messages of this route reach only subscriptions that name the level itself.",
    files! {
        bad: with_mapping!("    options:
      topics:
        sessions: mqtt-sessions
        messages: mqtt-messages
        retained: mqtt-retained
    routes:
      - when:
          - publish:
              - topic: sites/{site}/#
            subscribe:
              - topic: sites/{site}/#
        with:
          messages: site-${params.site}
"),
        good: with_mapping!("    options:
      topics:
        sessions: mqtt-sessions
        messages: mqtt-messages
        retained: mqtt-retained
    routes:
      - when:
          - publish:
              - topic: sites/#
            subscribe:
              - topic: sites/#
        with:
          messages: sites
"),
    };

    W0601: "`historical` has no effect",
    "A topic of messages is read from the end that it has at first use, a compacted one from its earliest record.",
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
          defaultOffset: historical
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
          defaultOffset: live
    exit: kafka
  kafka:
    type: kafka
    kind: client
    options:
      servers: [\"kafka.example:9092\"]
",
    };
}
