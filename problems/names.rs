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

    E0305: "a guard that does not exist",
    "A guard is named as `guards` of the same document has it, or as `namespace:name` of another. Zilla lets a misspelt one load: on an mqtt server it admits everyone, on a Kafka client it connects without credentials.",
    Example::Situation("No guard works yet, so that a file with one has E0206 or W0201 too.");

    E0306: "a vault that does not exist",
    "A vault is named as `vaults` of the same document has it, or as `namespace:name` of another.",
    Example::Situation("Vaults and what uses them are not supported yet, so that the file has E0206 too.");

    E0307: "a store that does not exist",
    "A store is named as `stores` of the same document has it, or as `namespace:name` of another.",
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
stores:
  memory:
    type: memory
bindings:
  mqtt:
    type: mqtt
    kind: server
    options:
      store: memory
    exit: mapping
", mapping!(), log!()),
    };

    E0308: "a catalog that does not exist",
    "A catalog is named as `catalogs` of the same document has it, or as `namespace:name` of another.",
    Example::Situation("Models are not supported yet, so that the file has E0206 too.");

    E0309: "roles that no client is asked for",
    "A route with `guarded` is taken by clients that the guard knows. It knows those who came through a binding with `options.authorization` for it: this one, or one before it.",
    Example::Situation("Guards are not supported yet, so that the file has E0206 too.");

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
