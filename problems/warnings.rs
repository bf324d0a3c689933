//! Warnings: the configuration works, and probably not as it was meant.

use crate::Example;

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
    "Zilla does something with the property that this program does otherwise, does not do, or need not do; the message says why. `docs/configuration.md` lists all of them.",
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

    W0301: "a guarded route that keeps nobody out",
    "A client without the roles of a route is not refused: it goes on to the next route. If that takes everything, the guard has decided nothing.",
    Example::Situation("Guards are not supported yet, so that the file has E0206 too.");

    W0302: "a route that is never taken",
    "Routes are tried in order. Behind one that takes everything no other is reached, nor is `exit`.",
    files! {
        bad: concat!("\
name: edge
bindings:
  mqtt:
    type: mqtt
    kind: server
    routes:
      - exit: mapping
      - when:
          - publish:
              - topic: sites/#
        exit: mapping
", mapping!(), log!()),
        good: concat!("\
name: edge
bindings:
  mqtt:
    type: mqtt
    kind: server
    routes:
      - when:
          - publish:
              - topic: sites/#
        exit: mapping
      - exit: mapping
", mapping!(), log!()),
    };

    W0303: "a condition that never decides",
    "Routes are tried in order. What an earlier route takes whole, or what nobody listens for, never reaches the condition.",
    files! {
        bad: concat!("\
name: edge
bindings:
  mqtt:
    type: mqtt
    kind: server
    routes:
      - when:
          - publish:
              - topic: sites/#
        exit: mapping
      - when:
          - publish:
              - topic: sites/berlin
        exit: mapping
", mapping!(), log!()),
        good: concat!("\
name: edge
bindings:
  mqtt:
    type: mqtt
    kind: server
    routes:
      - when:
          - publish:
              - topic: sites/berlin
        exit: mapping
      - when:
          - publish:
              - topic: sites/#
        exit: mapping
", mapping!(), log!()),
    };

    W0304: "a condition that admits every client",
    "An item of `when` without `session` admits every client, also beside one that names some: any item suffices.",
    files! {
        bad: concat!("\
name: edge
bindings:
  mqtt:
    type: mqtt
    kind: server
    routes:
      - when:
          - session:
              - client-id: sensor-*
          - publish:
              - topic: sensors/#
        exit: mapping
", mapping!(), log!()),
        good: concat!("\
name: edge
bindings:
  mqtt:
    type: mqtt
    kind: server
    routes:
      - when:
          - session:
              - client-id: sensor-*
            publish:
              - topic: sensors/#
        exit: mapping
", mapping!(), log!()),
    };

    W0305: "a server that refuses every client",
    "With an empty list of versions no version of MQTT is accepted.",
    files! {
        bad: concat!("\
name: edge
bindings:
  mqtt:
    type: mqtt
    kind: server
    options:
      versions: []
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

    W0306: "a pattern that no declared metric matches",
    "A binding counts those of the metrics that the file declares under `telemetry.metrics` whose whole name one of its patterns matches. A pattern that matches none counts nothing.",
    Example::Situation("`telemetry: {metrics: [streams.*]}` at a binding, where the file declares `stream.opens.received`.");

    W0307: "a guard that takes no token",
    "A token says who made it (`iss`) and whom it is for (`aud`). A guard that does not say which of these it wants takes no token, and so nobody gets past it.",
    Example::Situation("`guards: {jwt0: {type: jwt, options: {issuer: https://id.example}}}`, which has no `audience`.");

    W0602: "a topic of messages that is compacted",
    "Of the records of one MQTT topic, Kafka keeps only the last: a subscriber that falls behind, or an engine that starts anew, misses those before it.",
    Example::Situation("It is found by `zilla validate --online`.");

    W0603: "a topic that takes smaller records than others",
    "Clients are told one Maximum Packet Size, which all topics of the cluster must take. The topic with the smallest `max.message.bytes` says what it is.",
    Example::Situation("It is found by `zilla validate --online`.");

    W0604: "a topic with one replica",
    "The cluster has more brokers, and all that a partition holds lies on one of them: while that broker is away nothing can be published to it or read from it, and with its disk all of it is lost. A cluster of one broker has no other choice, and no warning.",
    Example::Situation("It is found by `zilla validate --online`.");
}
