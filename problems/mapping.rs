//! E0220 to E0229: MQTT topics as Kafka topics.

codes! {
    MAPPING;

    E0221: "not a name of a Kafka topic",
    "Kafka permits 1 to 249 of the characters a-z, A-Z, 0-9, `.`, `_` and `-`. A name that MQTT permits, with slashes, is not one.",
    files! {
        bad: with_mapping!("    options:
      topics:
        sessions: mqtt-sessions
        messages: mqtt/messages
        retained: mqtt-retained
"),
        good: with_mapping!("    options:
      topics:
        sessions: mqtt-sessions
        messages: mqtt-messages
        retained: mqtt-retained
"),
    };

    E0222: "not a pattern of MQTT topics",
    "A pattern is a topic filter: `+` stands for one level, `#` for all that follow and is last. `{name}` stands for one level and gives it a name.",
    files! {
        bad: with_mapping!("    options:
      topics:
        sessions: mqtt-sessions
        messages: mqtt-messages
        retained: mqtt-retained
    routes:
      - when:
          - publish:
              - topic: sites/#/readings
        with:
          messages: readings
"),
        good: with_mapping!("    options:
      topics:
        sessions: mqtt-sessions
        messages: mqtt-messages
        retained: mqtt-retained
    routes:
      - when:
          - publish:
              - topic: sites/+/readings
        with:
          messages: readings
"),
    };

    E0223: "a pattern of `clients` without `{identity}`",
    "`clients` says which level of a topic names the client that it is about: the level is written `{identity}`.",
    files! {
        bad: with_mapping!("    options:
      topics:
        sessions: mqtt-sessions
        messages: mqtt-messages
        retained: mqtt-retained
      clients:
        - place/+/device/#
"),
        good: with_mapping!("    options:
      topics:
        sessions: mqtt-sessions
        messages: mqtt-messages
        retained: mqtt-retained
      clients:
        - place/{identity}/device/#
"),
    };

    E0224: "a route that leads nowhere",
    "A route without `exit` takes that of its binding. Here neither has one.",
    files! {
        bad: concat!("\
name: edge
bindings:
  mapping:
    type: mqtt-kafka
    kind: proxy
    options:
      topics:
        sessions: mqtt-sessions
        messages: mqtt-messages
        retained: mqtt-retained
    routes:
      - when:
          - publish:
              - topic: sites/#
        with:
          messages: sites
", log!()),
        good: concat!("\
name: edge
bindings:
  mapping:
    type: mqtt-kafka
    kind: proxy
    options:
      topics:
        sessions: mqtt-sessions
        messages: mqtt-messages
        retained: mqtt-retained
    routes:
      - when:
          - publish:
              - topic: sites/#
        with:
          messages: sites
        exit: log
", log!()),
    };

    E0225: "a parameter that no topic of the route has",
    "`${params.name}` in the Kafka topic of a route takes the level that `{name}` stands for in the topic that matched.",
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
        with:
          messages: site-${params.sitte}
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

    E0226: "one Kafka topic for two purposes",
    "Sessions, messages and retained messages each need a Kafka topic of their own: the records of one would be read as those of the other, and the compacted topics would lose messages.",
    files! {
        bad: with_mapping!("    options:
      topics:
        sessions: mqtt-sessions
        messages: mqtt-messages
        retained: mqtt-messages
"),
        good: with_mapping!("    options:
      topics:
        sessions: mqtt-sessions
        messages: mqtt-messages
        retained: mqtt-retained
"),
    };
}
