//! E0200 to E0219: the file does not have the form that the schema gives.

use crate::Example;

codes! {
    SCHEMA;

    E0200: "the schema of this program is broken",
    "A fault of the program, not of the file. Please report it, with the version.",
    Example::Situation("No file can cause it.");

    E0201: "a document that is no configuration",
    "The document is a list or a text. Each document of a zilla.yaml, between lines of `---`, is a map of properties with `name` and `bindings` among them; a `*.test.yaml` is one with `tests`. Mostly another file is meant, or what belongs below a property lost its indentation and its key.",
    files! {
        bad: "\
- name: edge
- bindings:
    south:
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

    E0202: "an unknown property",
    "The binding, or the object within it, has no property of this name. Where a name is close, it is suggested; otherwise all that are allowed are listed.",
    files! {
        bad: "\
name: edge
bindings:
  south:
    type: tcp
    kind: client
    optoins:
      host: kafka.example
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

    E0203: "a property is missing",
    "The property must be there: without it the binding has nothing to do, or nowhere to lead.",
    files! {
        bad: "\
name: edge
bindings:
  south:
    type: tcp
    kind: client
    options:
      host: kafka.example
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

    E0204: "a value of the wrong type",
    "A number where a text is wanted, a text where a list is wanted, and so on. In YAML `7183` and `true` are a number and a boolean; in quotes they are texts. A key with nothing after it has no value, and is not an empty list or map.",
    files! {
        bad: "\
name: edge
bindings:
  south:
    type: tcp
    kind: client
    options: kafka.example
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

    E0205: "a value that is not one of those allowed",
    "Only the values that are listed are allowed here.",
    files! {
        bad: "\
name: edge
bindings:
  south:
    type: tcp
    kind: cliemt
",
        good: "\
name: edge
bindings:
  south:
    type: tcp
    kind: client
",
    };

    E0206: "not supported by this version",
    "Zilla has it; this program knows the word and does not have what it stands for. It is refused because to ignore it would run something else than the file says: a guard that guards nothing, for example.",
    files! {
        bad: "\
name: edge
telemetry:
  exporters:
    out:
      type: stdout
bindings:
  south:
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

    E0207: "a value that is out of bounds or has the wrong form",
    "The type is right and the value is not: a port above 65535, a name with a space, an empty list where something must be.",
    files! {
        bad: "\
name: edge
bindings:
  south:
    type: tcp
    kind: client
    options:
      host: kafka.example
      port: 90920
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

    E0208: "a property that must not stand here",
    "Other kinds of the type have the property, and on this one it would do nothing; or it excludes another that is there.",
    files! {
        bad: "\
name: edge
bindings:
  south:
    type: tcp
    kind: client
    exit: north
",
        good: "\
name: edge
bindings:
  south:
    type: tcp
    kind: client
",
    };

    E0209: "a value that the binding cannot read",
    "The schema let the value pass and the binding that reads it did not. The schema ought to be stricter: please report it, with the value.",
    Example::Situation("No file is known to cause it.");
}
