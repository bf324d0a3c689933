use serde_json::{Value, json};

use super::*;

fn documents(text: &str) -> (Vec<Document>, Problems) {
    let mut problems = Problems::default();
    let source = Source::new("f.yaml", text);
    let trees = parse(&source, &mut problems).unwrap_or_default();
    let documents = trees.into_iter().map(|tree| tree.into_document(&mut problems)).collect();
    (documents, problems)
}

fn value(text: &str) -> Value {
    let (mut documents, problems) = documents(text);
    assert_eq!(problems.render(), "", "{text}");
    assert_eq!(documents.len(), 1, "{text}");
    documents.remove(0).value
}

/// The first line of what is said about the text.
fn refusal(text: &str) -> String {
    let (_, problems) = documents(text);
    assert!(problems.has_errors(), "{text}");
    problems.render().lines().next().unwrap_or_default().to_owned()
}

#[test]
fn collections_and_scalars_of_every_style() {
    let text = "\
%YAML 1.2
---
a: [1, two, \"3\", {x: y}]
b:
  - c: null
    d:
  - |
    line 1
    line 2
  - >-
    folded
    text
'q': 'it''s'
\"r\": \"tab\\tn\"
1: key
true: key
:scheme: x
url: x://h:1/x#y
range: 12347-12348
any: ::0
";
    let expected = json!({
        "a": [1, "two", "3", {"x": "y"}],
        "b": [{"c": null, "d": null}, "line 1\nline 2\n", "folded text"],
        "q": "it's", "r": "tab\tn", "1": "key", "true": "key", ":scheme": "x",
        "url": "x://h:1/x#y", "range": "12347-12348", "any": "::0",
    });
    assert_eq!(value(text), expected);
    assert_eq!(value("{\"a\": [1, true, null, \"x\"]}"), json!({"a": [1, true, null, "x"]}));
}

#[test]
fn keys_keep_the_order_of_the_file() {
    let text = "z: 1\na: 2\nm: 3\n";
    let keys: Vec<String> = value(text).as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["z", "a", "m"]);
}

#[test]
fn tags_decide_the_type() {
    let text = "a: !!str 1\nb: !!int \"1\"\nc: !!float 1\nd: !!bool \"true\"\ne: !!null \"\"\n\
                f: ! 1\ng: !!map {x: 1}\nh: !!seq [1]\n";
    let expected = json!({
        "a": "1", "b": 1, "c": 1, "d": true, "e": null, "f": "1", "g": {"x": 1}, "h": [1],
    });
    assert_eq!(value(text), expected);
    assert!(refusal("a: !!int x\n").starts_with("f.yaml:1:10: error[E0106]"));
    assert!(refusal("a: !mine x\n").starts_with("f.yaml:1:4: error[E0106]: unknown tag `!mine`"));
    assert!(refusal("a: !!map x\n").starts_with("f.yaml:1:4: error[E0106]"));
    assert!(refusal("a: !!map [x]\n").starts_with("f.yaml:1:4: error[E0106]"));
    assert!(refusal("a: !!binary aGk=\n").starts_with("f.yaml:1:4: error[E0106]"));
}

#[test]
fn every_value_has_its_place_and_that_of_its_key() {
    let text = "name: x\nbindings:\n  a/b:\n    port: [1, 22]\n    empty:\n";
    let (mut documents, _) = documents(text);
    let places = documents.remove(0).places;
    let at = |pointer: &str| {
        let place = &places[pointer];
        format!("{} {}", place.key.column(), place.value)
    };
    assert_eq!(at(""), "1 f.yaml:1:1");
    assert_eq!(at("/name"), "1 f.yaml:1:7");
    assert_eq!(at("/bindings"), "1 f.yaml:3:3");
    assert_eq!(at("/bindings/a~1b/port"), "5 f.yaml:4:11");
    assert_eq!(at("/bindings/a~1b/port/1"), "15 f.yaml:4:15");
    assert_eq!(places["/bindings/a~1b/port/1"].value.text(), "22");
    assert_eq!(places["/bindings/a~1b/port"].value.text(), "[1, 22]");
    // Nothing is shown where nothing is written, but the key.
    assert_eq!(at("/bindings/a~1b/empty"), "5 f.yaml:5:5");
}

#[test]
fn an_alias_repeats_its_anchor_and_is_placed_where_it_stands() {
    let text = "a: &a {x: 1}\nb: *a\nc: &c x\nd: [*c, *c]\n*c : key\n";
    let expected = json!({"a": {"x": 1}, "b": {"x": 1}, "c": "x", "d": ["x", "x"], "x": "key"});
    assert_eq!(value(text), expected);
    let (documents, _) = documents(text);
    assert_eq!(documents[0].places["/b"].value.to_string(), "f.yaml:2:4");
    assert_eq!(documents[0].places["/b/x"].value.to_string(), "f.yaml:1:11");
    assert!(refusal("a: *b\n").starts_with("f.yaml:1:4: error[E0104]"));
    assert!(refusal("a: &a [*a]\n").starts_with("f.yaml:1:8: error[E0104]"));
    // Anchors end with their document.
    assert!(refusal("a: &a 1\n---\nb: *a\n").starts_with("f.yaml:3:4: error[E0104]"));
}

#[test]
fn a_merge_key_is_a_key() {
    assert_eq!(value("a: &a {x: 1}\nb:\n  <<: *a\n")["b"], json!({"<<": {"x": 1}}));
}

#[test]
fn a_key_given_twice_names_both_places() {
    let (_, problems) = documents("a: 1\nb: 2\n\"a\": 3\n1: x\n\"1\": y\n");
    let rendered = problems.render();
    assert!(rendered.contains("f.yaml:3:1: error[E0103]: the key `a` is given twice"));
    assert!(rendered.contains("f.yaml:1:1: first given here"), "{rendered}");
    assert!(rendered.contains("f.yaml:5:1: error[E0103]"), "{rendered}");
}

#[test]
fn keys_are_scalars() {
    assert!(refusal("? [a]\n: 1\n").starts_with("f.yaml:1:3: error[E0105]"));
    assert!(refusal("{ {a: 1}: 1 }\n").starts_with("f.yaml:1:3: error[E0105]"));
}

#[test]
fn documents_are_read_one_by_one() {
    let (documents, problems) = documents("a: 1\n---\nb: 2\n...\n---\n");
    assert_eq!(problems.render(), "");
    let values: Vec<Value> = documents.into_iter().map(|document| document.value).collect();
    assert_eq!(values, [json!({"a": 1}), json!({"b": 2}), json!(null)]);
    assert!(self::documents("").0.is_empty());
    assert!(self::documents("# nothing\n").0.is_empty());
    assert!(self::documents("\u{feff}").0.is_empty());
}

#[test]
fn a_byte_order_mark_and_any_line_end_are_taken() {
    for text in ["\u{feff}a: 1\r\nb: x\r\n", "a: 1\rb: x\r", "a: 1\nb: x"] {
        assert_eq!(value(text), json!({"a": 1, "b": "x"}), "{text:?}");
    }
    let (documents, _) = documents("\u{feff}a: 1\r\nb: x\r\n");
    assert_eq!(documents[0].places["/a"].value.to_string(), "f.yaml:1:4");
    assert_eq!(documents[0].places["/b"].value.to_string(), "f.yaml:2:4");
}

#[test]
fn what_is_not_yaml_is_refused_at_its_place() {
    for (text, expected) in [
        ("a: \"x\nb: 1\n", "f.yaml:1:4: error[E0101]: the quote is never closed"),
        ("a: [1, 2\nb: 1\n", "f.yaml:2:2: error[E0101]: a `:` is not allowed here"),
        ("a: [1, 2\n", "f.yaml:1:4: error[E0101]: `[` is never closed"),
        ("a: {x: 1\n", "f.yaml:1:4: error[E0101]: `{` is never closed"),
        ("a: [1}\n", "f.yaml:1:4: error[E0101]: `[` is closed by `}`"),
        ("a:\n\tb: 1\n", "f.yaml:2:1: error[E0101]: a tab is used as indentation"),
        ("a:\n  b: 1\n \tc: 1\n", "f.yaml:3:2: error[E0101]: a tab is used as indentation"),
        ("a: b: c\n", "f.yaml:1:5: error[E0101]: a `: ` is not allowed here"),
        ("a: 1\n b: 2\n", "f.yaml:2:3: error[E0101]: a `: ` is not allowed here"),
        ("a: x\nb\nc: 1\n", "f.yaml:2:1: error[E0101]: expected `:` after the key"),
        ("a: \"\\q\"\n", "f.yaml:1:4: error[E0101]: unknown escape in double quotes"),
        ("a: `x`\n", "f.yaml:1:4: error[E0101]: a value cannot begin with ``"),
        ("a: @x\n", "f.yaml:1:4: error[E0101]: a value cannot begin with `@`"),
        ("a: 1\0b\n", "f.yaml:1:5: error[E0108]: the control character U+0000 is not allowed"),
        ("a: !x!y z\n", "f.yaml:1:4: error[E0106]"),
    ] {
        let refused = refusal(text);
        assert!(refused.starts_with(expected), "{text:?}: {refused}");
    }
}

#[test]
fn an_expression_that_needs_quotes_says_so() {
    for text in ["a: [${{env.X}}]\n", "a: {b: ${{env.X}}}\n", "a: [x, ${{env.X}}:1, y]\n"] {
        let (_, problems) = documents(text);
        assert!(problems.render().contains("quote an expression between"), "{}", problems.render());
    }
}

#[test]
fn deep_values_are_refused_and_do_not_exhaust_the_stack() {
    for open in ["[", "{a: ", "- ", "? ", "[{a: "] {
        let refused = refusal(&open.repeat(100_000));
        assert!(refused.contains("E0107") || refused.contains("E0101"), "{open}: {refused}");
    }
    let nested: String = (0..200).map(|i| format!("{}a:\n", " ".repeat(i))).collect();
    assert!(refusal(&nested).contains("error[E0107]: values nest deeper than 64 levels"));
    // Each line deepens what it repeats.
    let mut text = "a0: &a0 [x]\n".to_owned();
    for i in 1..200 {
        text.push_str(&format!("a{i}: &a{i} [*a{}]\n", i - 1));
    }
    assert!(refusal(&text).contains("error[E0107]"));
}

#[test]
fn too_many_values_are_refused_at_the_first_that_is_too_much() {
    for (begin, item) in [("a: [", "1, "), ("a:\n", "- 1\n"), ("a: {", "")] {
        let text = |count: usize| match item {
            "" => (0..count).fold(begin.to_owned(), |text, n| text + &format!("{n}: 1, ")) + "}",
            item => begin.to_owned() + &item.repeat(count) + if item == "1, " { "]" } else { "" },
        };
        let (_, problems) = documents(&text(100_000));
        assert_eq!(problems.render(), "", "{begin}");
        let refused = refusal(&text(100_001));
        assert!(refused.contains("error[E0107]: one "), "{begin}: {refused}");
        assert!(refused.contains(" has more than 100000 values"), "{begin}: {refused}");
    }
}

#[test]
fn aliases_of_aliases_do_not_fill_the_memory() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..10 {
        let alias = format!("*a{}", i - 1);
        text.push_str(&format!("a{i}: &a{i} [{}]\n", vec![alias; 9].join(", ")));
    }
    assert!(refusal(&text).contains("error[E0104]: aliases make this file larger than 4 MiB"));
    let text = format!("a: &a \"{}\"\nb: [{}]\n", "x".repeat(100_000), "*a, ".repeat(100_000));
    assert!(refusal(&text).contains("error[E0104]"));
}
