//! E03xx names, E04xx planes: how the bindings fit together.

use crate::Example;

codes! {
    NAMES;

    E0301: "a binding type that is not in this program",
    "The schema knows the type and the program was built without it.",
    Example::Situation("It depends on how the program was built.");

    E0302: "an exit that leads to no binding",
    "`exit` names a binding of the same document, or `namespace:name` one of another. A misspelt one is refused: every stream that took it would be dropped.",
    files! {
        bad: "\
name: edge
bindings:
  log:
    type: kafka
    kind: cache_server
    exit: kafak
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

    E0303: "bindings exit in a circle",
    "A stream would go round for ever. Exits lead from the side of the clients to the side of Kafka, and end there.",
    Example::Situation("Some exit of a circle always leads to a binding that offers something else than is wanted, so that the file has E0401 too.");

    E0304: "a name that is taken",
    "Each document of a file has its own `name`, and each binding a name of its own in it.",
    files! {
        bad: "\
name: edge
bindings:
  south:
    type: tcp
    kind: client
---
name: edge
bindings:
  west:
    type: tcp
    kind: client
",
        good: "\
name: edge
bindings:
  south:
    type: tcp
    kind: client
---
name: west
bindings:
  west:
    type: tcp
    kind: client
",
    };

    E0401: "an exit to a binding that speaks something else",
    "Each binding takes one thing (bytes, sessions, records) and wants one thing of those it exits to. `zilla graph` shows what each offers.",
    files! {
        bad: "\
name: edge
bindings:
  log:
    type: kafka
    kind: cache_server
    exit: south
  south:
    type: tcp
    kind: client
    options:
      host: kafka.example
      port: 9092
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
    exit: south
  south:
    type: tcp
    kind: client
    options:
      host: kafka.example
      port: 9092
",
    };
}
