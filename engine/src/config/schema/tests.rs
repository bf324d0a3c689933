use std::sync::LazyLock;

use super::*;
use crate::config::{Environment, Source, load};

/// The bindings of an imagined program.
const PUMP: &str = r##"{
  "type": "object",
  "properties": {
    "type": {"const": "pump"},
    "kind": {
      "description": "Which end.",
      "enum": ["server", "client", "proxy"],
      "x-zilla": {"state": "works", "except": [{"values": ["proxy"], "state": "not-supported"}]}
    },
    "vault": {"x-zilla": {"state": "not-supported"}},
    "options": {
      "type": "object",
      "properties": {
        "host": {"description": "Where. More.", "type": "string", "minLength": 1},
        "port": {"$ref": "#/$defs/port"},
        "mode": {"enum": ["slow", "fast"], "x-zilla": {"state": "works", "except": [
          {"values": ["slow"], "state": "no-effect", "why": "it is always fast"},
          {"values": ["later"], "state": "not-supported", "instead": "use fast"}
        ]}},
        "rate": {"type": "number", "exclusiveMinimum": 0, "maximum": 10},
        "secret": {"x-zilla": {"state": "not-supported", "instead": "remove it", "why": "it leaks"}},
        "vanes": {
          "type": "object",
          "properties": {"angle": {"x-zilla": {"state": "not-supported"}}},
          "additionalProperties": false,
          "x-zilla": {"state": "no-effect", "why": "the wind decides"}
        },
        "target": {"anyOf": [
          {"type": "string"},
          {"type": "object", "properties": {"level": {"type": "integer"}}, "additionalProperties": false}
        ]},
        "lookup": {"oneOf": [
          {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"],
           "additionalProperties": false},
          {"type": "object", "properties": {"subject": {}, "version": {}}, "required": ["subject"],
           "additionalProperties": false}
        ]},
        "unixSocket": {"type": "string"},
        "params": {"type": "object", "propertyNames": {"pattern": "^[a-z]+$"}},
        "labels": {"type": "array", "maxItems": 2, "uniqueItems": true, "items": {"type": "string"}}
      },
      "required": ["host"],
      "not": {"required": ["host", "unixSocket"]},
      "additionalProperties": false
    },
    "exit": {"description": "Where it flows.", "type": "string"},
    "routes": {"type": "array", "items": {
      "type": "object",
      "properties": {"exit": {"type": "string"}},
      "required": ["exit"],
      "additionalProperties": false
    }}
  },
  "required": ["type", "kind"],
  "additionalProperties": false,
  "allOf": [
    {
      "if": {"properties": {"kind": {"const": "client"}}},
      "then": {"properties": {"exit": false, "routes": false}}
    },
    {
      "if": {"properties": {"kind": {"const": "server"}}, "required": ["kind"]},
      "then": {"anyOf": [{"required": ["exit"]}, {"required": ["routes"]}]}
    }
  ],
  "$defs": {
    "port": {"description": "A port or a range: 1 or 1-2. Or several.", "anyOf": [
      {"type": "integer", "minimum": 0, "maximum": 65535},
      {"type": "string", "pattern": "^[0-9]+(-[0-9]+)?$"},
      {"type": "array", "items": {"anyOf": [
        {"type": "integer", "minimum": 0, "maximum": 65535},
        {"type": "string", "pattern": "^[0-9]+(-[0-9]+)?$"}
      ]}}
    ]}
  }
}"##;

const SINK: &str = r##"{
  "type": "object",
  "properties": {"type": {"const": "sink"}},
  "additionalProperties": false
}"##;

const TURBINE: &str = r##"{
  "title": "turbine binding",
  "type": "object",
  "properties": {
    "type": {"const": "turbine", "x-zilla": {"state": "not-supported", "instead": "use a pump"}},
    "blades": {"type": "integer", "x-zilla": {"state": "no-effect", "why": "unsaid"}}
  },
  "additionalProperties": false
}"##;

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let bindings = [
        Fragment::binding("pump", PUMP),
        Fragment::binding("sink", SINK),
        Fragment::binding("turbine", TURBINE),
    ];
    Schema::compose_on(schema::ENGINE, &bindings)
});

struct Fixed;

impl Environment for Fixed {
    fn get(&self, name: &str) -> Option<String> {
        (name == "SECRET").then(|| "hunter2".to_owned())
    }
}

/// The problems of a text: `line:col code message | help`, without the file.
fn problems(text: &str) -> Vec<String> {
    let mut problems = Problems::default();
    let source = Source::new("f.yaml", text);
    let config = load(&source, &SCHEMA, &Fixed, &mut problems);
    assert_eq!(config.is_none(), problems.has_errors());
    let mut lines = Vec::new();
    for problem in problems.iter() {
        let help = problem.help().map(|help| format!(" | {help}")).unwrap_or_default();
        let span = problem.span();
        let (line, column) = (span.line(), span.column());
        lines.push(format!("{line}:{column} {} {}{help}", problem.code(), problem.message()));
    }
    lines.sort();
    lines
}

/// The problems of a pump that is a client, whose options are `options`.
fn of_options(options: &str) -> Vec<String> {
    problems(&format!(
        "name: x\nbindings:\n  p:\n    type: pump\n    kind: client\n    options:\n      {options}\n"
    ))
}

/// The problems of a document whose bindings are `bindings`.
fn of_bindings(bindings: &str) -> Vec<String> {
    problems(&format!("name: x\nbindings:\n{bindings}"))
}

#[test]
fn a_valid_document_has_no_problems() {
    assert!(problems("name: x\n").is_empty());
    assert!(problems("name: x\nbindings: {}\nvaults: {}\ntelemetry:\n").is_empty());
    assert!(of_options("{host: a, port: [1, 2-3], rate: 0.5, target: {level: 1.0}}").is_empty());
    assert!(
        of_bindings("  a: {type: sink}\n  b: {type: pump, kind: server, exit: a}\n").is_empty()
    );
}

#[test]
fn an_unknown_property_is_shown_at_its_key_with_what_was_meant() {
    assert_eq!(
        of_bindings("  p:\n    type: pump\n    kind: server\n    exit: a\n    exitt: a\n"),
        ["7:5 E0202 unknown property `exitt` on pump server `p` | did you mean `exit`?"]
    );
    assert_eq!(
        of_options("{host: a, zzz: 1}"),
        ["7:17 E0202 unknown property `zzz` in `options` of pump client `p` | allowed here: \
          `host`, `port`, `mode`, `rate`, `secret`, `vanes`, `target`, \
          `lookup`, `unixSocket`, `params`, `labels`"]
    );
    assert_eq!(
        problems("name: x\nbinding: {}\n"),
        ["2:1 E0202 unknown property `binding` at the top level | did you mean `bindings`?"]
    );
    assert_eq!(
        of_options("{host: a, <<: {mode: slow}}"),
        [
            "7:17 E0202 unknown property `<<` in `options` of pump client `p` | YAML 1.2 has no merge \
          keys: write the properties out"
        ]
    );
}

#[test]
fn a_missing_property_is_shown_at_the_key_of_its_object() {
    assert_eq!(
        of_options("{port: 1}"),
        ["6:5 E0203 `host` is missing in `options` of pump client `p` | add `host`: Where"]
    );
    assert_eq!(
        of_bindings("  p: {kind: server}\n"),
        ["3:3 E0203 `type` is missing on binding `p` | add `type`: `pump`, `sink` or `turbine`"]
    );
    // Nothing is said of what only some kinds have.
    assert_eq!(
        of_bindings("  p: {type: pump, exit: a}\n"),
        [
            "3:3 E0203 `kind` is missing on pump binding `p` | add `kind`: `server`, `client` or `proxy`"
        ]
    );
    assert!(problems("bindings: {}\n")[0].starts_with("1:1 E0203 `name` is missing at the top"));
    assert_eq!(
        of_bindings("  p: {type: pump, kind: server}\n"),
        ["3:3 E0203 `exit` or `routes` is missing on pump server `p` | add `exit`: Where it flows"]
    );
    assert_eq!(
        of_bindings("  p:\n    type: pump\n    kind: server\n    routes:\n      - {}\n"),
        ["7:9 E0203 `exit` is missing in `routes[0]` of pump server `p`"]
    );
}

#[test]
fn a_wrong_type_is_shown_with_what_was_found() {
    assert_eq!(
        of_options("{host: 1}"),
        ["7:14 E0204 `options.host` of pump client `p` must be a string, not the number `1` | \
          quote it"]
    );
    assert_eq!(
        of_options("{host: a, rate: fast}"),
        ["7:23 E0204 `options.rate` of pump client `p` must be a number, not the string `fast`"]
    );
    assert_eq!(
        of_bindings("  p:\n    type: pump\n    kind: client\n    options:\n"),
        ["6:5 E0204 `options` of pump client `p` must be an object, but has no value | give it a \
          value, or remove the key"]
    );
    assert_eq!(
        of_bindings("  p:\n"),
        ["3:3 E0204 binding `p` must be an object, but has no value | give it a value, or remove \
          the key"]
    );
    assert_eq!(
        problems("- a\n"),
        ["1:1 E0201 the document must be an object, not a list | One document of a zilla.yaml: \
          a namespace with its bindings"]
    );
}

#[test]
fn a_value_that_is_not_listed_is_shown_with_those_that_are() {
    assert_eq!(
        of_bindings("  p: {type: pump, kind: sever}\n"),
        ["3:25 E0205 `kind` of pump binding `p` cannot be `sever` | did you mean `server`? \
          allowed: `server`, `client`, `proxy`"]
    );
    assert_eq!(
        of_bindings("  p: {type: pimp}\n"),
        ["3:13 E0205 `type` of binding `p` cannot be `pimp` | did you mean `pump`? allowed: \
          `pump`, `sink`, `turbine`"]
    );
}

#[test]
fn what_zilla_has_and_this_version_has_not_is_said_so() {
    assert_eq!(
        of_bindings("  p: {type: sse, kind: server}\n"),
        ["3:13 E0206 `sse` as `type` of binding `p` is not supported: this engine serves MQTT on \
          Kafka | remove it; an instance of Zilla can serve it beside this engine"]
    );
    assert_eq!(
        of_bindings("  p: {type: pump, kind: client, vault: v}\n"),
        ["3:33 E0206 `vault` of pump client `p` is not supported yet | remove it"]
    );
    let subject = |what: &str| format!("`options.{what}` of pump client `p`");
    let found = of_options("{host: a, mode: later, secret: 1}");
    let later =
        format!("7:23 E0206 `later` as {} is not supported yet | use fast", subject("mode"));
    let secret = subject("secret");
    let secret = format!("7:30 E0206 {secret} is not supported: it leaks | remove it");
    assert_eq!(found, [later, secret]);
}

#[test]
fn a_thing_or_a_kind_that_is_not_supported_is_said_once() {
    assert_eq!(
        of_bindings("  p: {blades: 3, type: turbine}\n"),
        ["3:24 E0206 turbine binding `p` is not supported yet | use a pump"]
    );
    assert_eq!(
        of_bindings("  p: {options: {host: a, secret: 1}, type: pump, kind: proxy}\n"),
        ["3:56 E0206 pump proxy `p` is not supported yet | remove it"]
    );
    // Its properties are validated all the same.
    let found = of_bindings("  p: {type: turbine, blades: many, vanes: 2}\n");
    let codes: Vec<&str> = found.iter().filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!(codes, ["E0206", "E0204", "E0202"]);
}

#[test]
fn what_has_no_effect_is_warned_of_once_and_taken_out() {
    assert_eq!(
        of_options("{host: a, mode: slow, vanes: {angle: 1}}"),
        [
            "7:23 W0201 `slow` as `options.mode` of pump client `p` has no effect: it is always fast",
            "7:29 W0201 `options.vanes` of pump client `p` has no effect: the wind decides"
        ]
    );
    let text = "name: x\nbindings:\n  p:\n    type: pump\n    kind: client\n    options: {host: a, \
                mode: slow, vanes: {angle: 1}}\n";
    let mut problems = Problems::default();
    let config = load(&Source::new("f.yaml", text), &SCHEMA, &Fixed, &mut problems).unwrap();
    assert_eq!(config.namespaces[0].nodes[0].value["options"], serde_json::json!({"host": "a"}));
}

#[test]
fn a_value_out_of_bounds_is_shown_with_the_bound() {
    assert_eq!(
        of_options("{host: a, rate: 11}"),
        ["7:23 E0207 `options.rate` of pump client `p` cannot be `11`: the most is 10"]
    );
    assert_eq!(
        of_options("{host: a, rate: 0}"),
        ["7:23 E0207 `options.rate` of pump client `p` cannot be `0`: it must be more than 0"]
    );
    assert_eq!(
        of_options("{host: ''}"),
        ["7:14 E0207 `options.host` of pump client `p` cannot be empty | Where"]
    );
    assert_eq!(
        of_options("{host: a, labels: [a, b, c]}"),
        ["7:25 E0207 `options.labels` of pump client `p` can have at most 2 items"]
    );
    assert_eq!(
        of_options("{host: a, labels: [a, a]}"),
        ["7:25 E0207 `options.labels` of pump client `p` has an item twice"]
    );
    assert_eq!(
        of_options("{host: a, params: {a: 1, b-c: 2}}"),
        [
            "7:32 E0207 the name `b-c` in `options.params` of pump client `p` does not have the form \
          of a name | names match ^[a-z]+$"
        ]
    );
    assert!(problems("name: 1x\n")[0].starts_with("1:7 E0207 `name` cannot be `1x`: it does not"));
    assert!(of_bindings("  1p: {type: sink}\n")[0].starts_with(
        "3:3 E0207 the name `1p` in `bindings` does not have the form of a name | names match ^"
    ));
}

#[test]
fn what_a_kind_does_not_have_is_not_allowed() {
    assert_eq!(
        of_bindings("  p: {type: pump, kind: client, exit: a}\n"),
        ["3:33 E0208 `exit` is not allowed on pump client `p` | remove it"]
    );
}

#[test]
fn a_union_says_what_it_accepts_or_what_its_best_branch_says() {
    let help = "A port or a range: 1 or 1-2";
    let subject = "`options.port` of pump client `p`";
    assert_eq!(
        of_options("{host: a, port: 70000}"),
        [format!("7:23 E0207 {subject} cannot be `70000`: the most is 65535 | {help}")]
    );
    assert_eq!(
        of_options("{host: a, port: x}"),
        [format!(
            "7:23 E0207 {subject} cannot be `x`: it does not match ^[0-9]+(-[0-9]+)?$ | {help}"
        )]
    );
    assert_eq!(
        of_options("{host: a, port: true}"),
        [format!(
            "7:23 E0204 {subject} must be an integer, a string or a list, not the boolean `true` \
             | {help}"
        )]
    );
    assert_eq!(
        of_options("{host: a, port: [1, x]}"),
        ["7:27 E0207 `options.port[1]` of pump client `p` cannot be `x`: it does not match \
          ^[0-9]+(-[0-9]+)?$ | accepted: an integer from 0 to 65535 or a string that matches \
          ^[0-9]+(-[0-9]+)?$"]
    );
    assert_eq!(
        of_options("{host: a, target: {levle: 1}}"),
        ["7:26 E0202 unknown property `levle` in `options.target` of pump client `p` | did you \
          mean `level`?"]
    );
}

#[test]
fn a_misspelt_property_is_that_whichever_branch_of_a_union_was_meant() {
    assert_eq!(
        of_options("{host: a, lookup: {subjct: x}}"),
        ["7:26 E0202 unknown property `subjct` in `options.lookup` of pump client `p` | did you \
          mean `subject`?"]
    );
    assert_eq!(
        of_options("{host: a, lookup: {id: 1, vesion: 2}}"),
        ["7:33 E0202 unknown property `vesion` in `options.lookup` of pump client `p` | did you \
          mean `version`?"]
    );
    assert_eq!(
        of_options("{host: a, lookup: {}}"),
        ["7:17 E0203 `id` or `subject` is missing in `options.lookup` of pump client `p`"]
    );
    assert_eq!(
        of_options("{host: a, lookup: {version: 2}}"),
        ["7:17 E0203 `subject` is missing in `options.lookup` of pump client `p`"]
    );
    // Where the name of a required property is nearly there, it is not said to be missing too.
    assert_eq!(
        of_bindings("  p: {type: pump, kind: server, exti: x}\n"),
        ["3:33 E0202 unknown property `exti` on pump server `p` | did you mean `exit`?"]
    );
    assert_eq!(
        of_options("{hots: a}"),
        [
            "7:8 E0202 unknown property `hots` in `options` of pump client `p` | did you mean `host`?"
        ]
    );
}

#[test]
fn properties_that_exclude_each_other_are_named() {
    assert_eq!(
        of_options("{host: a, port: 1, unixSocket: b}"),
        [
            "7:26 E0208 `host` and `unixSocket` exclude each other in `options` of pump client `p` | \
          remove one of them"
        ]
    );
}

#[test]
fn all_problems_of_all_documents_are_reported_at_once() {
    let text = "name: x\nbindings:\n  p: {type: pimp}\n  q: {type: sink, a: 1}\n\
                  r: ${{env.NONE}}\n---\nname: 2\n";
    let text = text.replace("r: ", "  r: ");
    let found = problems(&text);
    let heads: Vec<_> = found.iter().filter_map(|line| line.split_once(" E0")).collect();
    let places: Vec<_> =
        heads.iter().map(|(place, rest)| (*place, rest.get(..3).unwrap())).collect();
    let expected = [("3:13", "205"), ("4:19", "202"), ("5:6", "110"), ("7:7", "204")];
    assert_eq!(places, expected);
}

#[test]
fn what_comes_from_the_environment_is_never_shown() {
    for options in [
        "{host: a, port: \"${{env.SECRET}}\"}",
        "{host: a, mode: \"${{env.SECRET}}\"}",
        "{host: a, rate: \"${{env.SECRET}}\"}",
        "{host: \"${{env.SECRET}}\", rate: \"x${{env.SECRET}}\"}",
        "{host: a, labels: [\"${{env.SECRET}}\", \"${{env.SECRET}}\"]}",
        "\"${{env.SECRET}}\"",
    ] {
        let found = of_options(options);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(!found[0].contains("hunter2"), "{found:?}");
    }
    let found = of_bindings("  p: {type: \"${{env.SECRET}}\"}\n");
    assert!(found[0].contains("cannot be `\"${{env.SECRET}}\"`"), "{found:?}");
}

#[test]
fn references_within_a_fragment_hold_in_the_merged_schema() {
    let merged = SCHEMA.merged();
    let port = merged.pointer("/$defs/binding-pump/properties/options/properties/port/$ref");
    assert_eq!(port, Some(&Value::from("#/$defs/binding-pump/$defs/port")));
    let types = merged.pointer("/$defs/binding/properties/type/enum");
    assert_eq!(types, Some(&serde_json::json!(["pump", "sink", "turbine"])));
}

#[test]
fn a_part_that_is_no_schema_is_reported_when_a_file_is_loaded() {
    for fragment in ["{", "{\"type\": 1}", "{\"$ref\": \"#/nowhere\"}"] {
        let schema = Schema::compose(&[Fragment::binding("pump", fragment)]);
        let mut problems = Problems::default();
        let source = Source::new("f.yaml", "name: x\n");
        assert!(load(&source, &schema, &Fixed, &mut problems).is_none());
        let codes: Vec<&str> = problems.iter().map(|problem| problem.code().id()).collect();
        assert_eq!(codes, ["E0200"], "{fragment}");
    }
}
