//! E0100 to E0109: the text is not YAML that this program reads.

use crate::Example;

codes! {
    SYNTAX;

    E0101: "not YAML",
    "The text does not follow the grammar of YAML 1.2. Only the first such place is reported, since what follows cannot be understood.\n\
     Values that contain `: ` or ` #`, or begin with one of `[ ] { } * & ! % @ | > ' \"`, are quoted. Indent with spaces.",
    files! {
        bad: "\
name: edge
bindings:
  south:
    type: tcp
    kind: client
    options: {host: kafka.example, port: 9092
",
        good: "\
name: edge
bindings:
  south:
    type: tcp
    kind: client
    options: {host: kafka.example, port: 9092}
",
    };

    E0102: "the file says nothing",
    "A file has one document or more, and a document has at least a `name`. An empty file is refused, so that a truncated one never means `remove everything`.",
    files! {
        bad: "# Nothing but a comment.\n",
        good: "name: edge\n",
    };

    E0103: "a key is given twice",
    "A map has each key once. Which of two values counts differs from parser to parser, so neither is taken.",
    files! {
        bad: "\
name: edge
bindings:
  south:
    type: tcp
    kind: client
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

    E0104: "an alias that cannot be used",
    "An alias (`*name`) repeats a value that an anchor (`&name`) before it marks. It cannot name an anchor that is not there, nor the value that it is part of, and all aliases of a file together may add at most 4 MiB to it.",
    files! {
        bad: "\
name: edge
bindings:
  south:
    type: tcp
    kind: client
    options: *kafka
",
        good: "\
name: edge
bindings:
  south:
    type: tcp
    kind: client
    options: &kafka
      host: kafka.example
      port: 9092
  south_too:
    type: tcp
    kind: client
    options: *kafka
",
    };

    E0105: "a key is not a word",
    "Keys are words. A list or a map as a key has no meaning in this file.",
    files! {
        bad: "\
name: edge
bindings:
  [south]:
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

    E0106: "a tag that is unknown, or does not fit its value",
    "Known tags are `!!str`, `!!int`, `!!float`, `!!bool` and `!!null`. A value that begins with `!` and is no tag is quoted.",
    files! {
        bad: "\
name: edge
bindings:
  south:
    type: tcp
    kind: client
    options:
      host: kafka.example
      port: !!int many
",
        good: "\
name: edge
bindings:
  south:
    type: tcp
    kind: client
    options:
      host: kafka.example
      port: !!int 9092
",
    };

    E0107: "values nest too deep, or are too many",
    "Lists and maps nest at most 64 levels deep, one list or map has at most 100,000 values, and the names around all values of a document have at most 256 MiB together. Nothing in a configuration needs as many.",
    files! {
        bad: "\
name: edge
bindings: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: 1}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}
",
        good: "name: edge\nbindings: {south: {type: tcp, kind: client}}\n",
    };

    E0108: "a control character",
    "YAML has no control characters but tab and the ends of lines. One usually means that the file is no text, or was cut by a crash. In double quotes it is written as an escape: `\\0`, `\\x1b`.",
    files! {
        bad: "name: edge\u{1}\n",
        good: "name: edge\n",
    };

    E0109: "the file cannot be read",
    "The file is not there, the system does not permit to read it, it is larger than 16 MiB, or it is not UTF-8 text. A file at an address: its server cannot be reached, is not to be trusted, or does not answer with all of it.",
    Example::Situation("It is about the file, not about what stands in it.");
}
