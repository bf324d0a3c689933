//! E0110 to E0119: `${{…}}`.

use crate::Example;

codes! {
    EXPRESSIONS;

    E0110: "an environment variable is not set",
    "`${{env.NAME}}` takes the value of an environment variable of the process. A variable that is not set is refused: to go on with an empty text would be worse. A variable that is set to nothing is taken as it is.",
    files! {
        bad: "\
name: edge
bindings:
  south:
    type: tcp
    kind: client
    options:
      host: ${{env.NO_SUCH_VARIABLE}}
      port: 9092
",
        good: "\
name: edge
bindings:
  south:
    type: tcp
    kind: client
    options:
      host: kafka.example
      port: 9092
",
    };

    E0111: "an expression of an unknown context",
    "`env`, the environment of the process, is the only context: `${{env.NAME}}`. Other places for secrets put them into the environment first.",
    files! {
        bad: "\
name: edge
bindings:
  south:
    type: tcp
    kind: client
    options:
      host: ${{secrets.HOST}}
      port: 9092
",
        good: "\
name: edge
bindings:
  south:
    type: tcp
    kind: client
    options:
      host: ${{env.HOST}}
      port: 9092
",
    };

    E0112: "not an expression",
    "What begins with `${{` ends with `}}` and names a variable between: `${{env.NAME}}`. With one brace (`${params.x}`) it is another thing: a parameter of a route.",
    files! {
        bad: "\
name: edge
bindings:
  south:
    type: tcp
    kind: client
    options:
      host: ${{HOST}}
      port: 9092
",
        good: "\
name: edge
bindings:
  south:
    type: tcp
    kind: client
    options:
      host: ${{env.HOST}}
      port: 9092
",
    };

    E0113: "an expression where there can be none",
    "Keys and `kind` decide what else is allowed in their place, and are written out. All other values may be expressions.",
    files! {
        bad: "\
name: edge
bindings:
  south:
    type: tcp
    kind: ${{env.HOST}}
",
        good: "\
name: edge
bindings:
  south:
    type: tcp
    kind: client
",
    };

    E0114: "expressions make the file too large",
    "The values that expressions put into a file have at most 16 MiB together, as the file itself. A value that is used thousands of times, through aliases of aliases, is not meant.",
    Example::Situation("It depends on the length of the variables.");
}
