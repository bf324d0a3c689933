use proptest::prelude::*;

use super::*;
use crate::config::Fragment;

const ANY: &str = r#"{"type": "object"}"#;

struct Nothing;

impl Environment for Nothing {
    fn get(&self, _: &str) -> Option<String> {
        None
    }
}

fn schema() -> Schema {
    Schema::compose(&[Fragment::binding("any", ANY)])
}

fn loaded(text: &str) -> (Option<Config>, String) {
    let mut problems = Problems::default();
    let config = load(&Source::new("f.yaml", text), &schema(), &Nothing, &mut problems);
    (config, problems.render())
}

#[test]
fn documents_are_namespaces_and_bindings_are_nodes_in_file_order() {
    let text = "---\nname: a\nbindings:\n  z: {type: any, kind: k, exit: y}\n  \
                y: {type: any, routes: [{exit: \"b:x\"}]}\n---\nname: b\n---\n";
    let (config, problems) = loaded(text);
    assert_eq!(problems, "");
    let config = config.unwrap();
    let names: Vec<&str> = config.namespaces.iter().map(|space| &*space.name).collect();
    assert_eq!(names, ["a", "b"]);
    let [z, y] = config.namespaces[0].nodes.as_slice() else { panic!("two nodes") };
    assert_eq!((z.node_name().to_string(), z.kind.as_str()), ("a:z".to_owned(), "k"));
    assert_eq!((y.type_name.as_str(), y.kind.as_str()), ("any", ""));
    assert_eq!(z.span.to_string(), "f.yaml:4:3");
    let exit = z.exit().unwrap();
    assert_eq!((exit.name.to_string(), exit.span.column()), ("a:y".to_owned(), 33));
    let routes = y.routes();
    let exit = routes[0].exit.as_ref().unwrap();
    assert_eq!((exit.name.to_string(), exit.span.column()), ("b:x".to_owned(), 34));
    assert!(config.namespaces[1].nodes.is_empty());
}

struct Secret;

impl Environment for Secret {
    fn get(&self, _: &str) -> Option<String> {
        Some("hunter2".to_owned())
    }
}

#[test]
fn what_comes_from_the_environment_is_not_said_by_a_binding() {
    let text = "name: a\nbindings:\n  x:\n    type: any\n    from_file: text\n    \
                from_environment: ${{env.SECRET}}\n";
    let mut problems = Problems::default();
    let source = Source::new("f.yaml", text);
    let config = load(&source, &schema(), &Secret, &mut problems).unwrap();
    let node = &config.namespaces[0].nodes[0];
    assert_eq!(node.value["from_environment"], "hunter2");
    assert_eq!(node.written("/from_environment"), "${{env.SECRET}}");
    assert!(node.parse::<u16>("/from_environment", &mut problems).is_none());
    assert!(node.parse::<u16>("", &mut problems).is_none());
    assert!(node.parse::<u16>("/from_file", &mut problems).is_none());
    let rendered = problems.render();
    assert!(!rendered.contains("hunter2"), "{rendered}");
    assert!(rendered.contains("f.yaml:5:16: error[E0209]: invalid type: string \"text\""));
    assert!(rendered.contains("f.yaml:6:23: error[E0209]: a value here does not have"));
}

#[test]
fn a_file_without_a_document_says_nothing() {
    for text in ["", "\n\n", "# comment\n", "---\n", "---\n...\n---\n", "\u{feff}", "~\n"] {
        let (config, problems) = loaded(text);
        assert!(config.is_none(), "{text:?}");
        assert!(problems.starts_with("f.yaml:1:1: error[E0102]"), "{text:?}: {problems}");
    }
}

#[test]
fn names_that_are_taken_are_problems_with_both_places() {
    let text = "name: a\nbindings:\n  x: {type: any}\n---\nname: a\nbindings:\n  \
                x: {type: any}\n  y: {type: any}\n---\nname: b\nbindings: {x: {type: any}}\n";
    let (config, problems) = loaded(text);
    assert!(config.is_none());
    let heads: Vec<&str> = problems.lines().filter(|line| line.starts_with('f')).collect();
    assert_eq!(
        heads,
        [
            "f.yaml:5:7: error[E0304]: two documents have the name `a`",
            "f.yaml:1:7: the first is here",
            "f.yaml:7:3: error[E0304]: two bindings have the name `a:x`",
            "f.yaml:3:3: the first is here",
        ]
    );
}

#[test]
fn problems_of_another_file_do_not_count() {
    let mut problems = Problems::default();
    assert!(load(&Source::new("a.yaml", ""), &schema(), &Nothing, &mut problems).is_none());
    let other = Source::new("b.yaml", "name: b\n");
    assert!(load(&other, &schema(), &Nothing, &mut problems).is_some());
    assert!(problems.has_errors());
}

/// Texts that are more often YAML, or nearly so, than any characters are.
fn text() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "name: x\n",
        "bindings:\n",
        "  a:\n",
        "    type: any\n",
        "- ",
        "? ",
        ": ",
        "[",
        "]",
        "{",
        "}",
        ",",
        "\"",
        "'",
        "&a ",
        "*a",
        "!!str ",
        "!x ",
        "|\n",
        ">-\n",
        "#",
        "\n",
        " ",
        "\t",
        "\r\n",
        "\r",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "%TAG ! x\n",
        "${{env.X}}",
        "${{",
        "}}",
        "~",
        "0x",
        "1e9",
        "<<: ",
        "\u{feff}",
        "\u{85}",
        "ä",
        "\0",
        "\\",
        "\"\\x41\"",
    ]);
    prop::collection::vec(words, 0..60).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn no_text_panics_the_loader(text in text()) {
        let (config, problems) = loaded(&text);
        prop_assert_eq!(config.is_none(), problems.contains("error["));
    }

    #[test]
    fn no_characters_panic_the_loader(text in any::<String>()) {
        let (config, problems) = loaded(&text);
        prop_assert_eq!(config.is_none(), problems.contains("error["));
    }
}

/// Each unit is repeated to some 50 kB, alone and as a value.
#[test]
fn hostile_texts_end_quickly() {
    let clock = crate::runtime::Clock::new();
    let schema = schema();
    for unit in [
        "[",
        "{",
        "]",
        "- ",
        "? ",
        ": ",
        "a: ",
        "\"",
        "'",
        "&a ",
        "*a ",
        "!!str ",
        "!",
        "%",
        "#",
        "|\n",
        ">\n",
        "\n",
        " ",
        "\t",
        "\r",
        "a\n",
        "a: b\n",
        "- a\n",
        "---\n",
        "...\n",
        "[],",
        "{},",
        "a: [",
        "\\",
        "${{",
        "}}",
        "${{env.X}}",
        "&a [*a",
        "- - ",
        "x: &x y\n",
        "? a\n",
        "? [a]\n: b\n",
        "%YAML 1.2\n",
        "\u{feff}",
        "\u{85}",
        "--- a\n",
        "'' ",
        ",",
        "- &a b\n- *a\n",
        "a:\n",
        "\"a\": ",
        "<<: ",
        "bindings: {a: 1}\n",
    ] {
        for begin in ["", "name: ", "name: x\nbindings: ", "name: x\nbindings: [", "name: \""] {
            let text = format!("{begin}{}", unit.repeat(50_000 / unit.len()));
            let began = clock.now();
            let mut problems = Problems::default();
            let source = Source::new("f.yaml", text);
            let config = load(&source, &schema, &Nothing, &mut problems);
            assert_eq!(config.is_none(), problems.has_errors(), "{begin:?} {unit:?}");
            drop(problems.render());
            let elapsed = (clock.now() - began).as_millis();
            // Some ms in a release build; quadratic would be minutes.
            assert!(elapsed < 3000, "{begin:?} {unit:?}: {elapsed} ms");
        }
    }
}
