use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::config::Fragment;

/// Bindings of any form.
const ANY: &str = r#"{"type": "object"}"#;

/// Bindings that refer to others.
const HUB: &str = r#"{"properties": {
  "options": {"properties": {
    "authorization": {"type": "object", "x-zilla": {"refers-to": "guards"}},
    "store": {"x-zilla": {"refers-to": "stores"}}
  }},
  "exit": {"x-zilla": {"refers-to": "bindings"}},
  "routes": {"x-zilla": {"state": "works", "first-match": true}, "items": {"properties": {
    "guarded": {"type": "object", "x-zilla": {"refers-to": "guards"}},
    "exit": {"x-zilla": {"refers-to": "bindings"}}
  }}}
}}"#;

struct Nothing;

impl Environment for Nothing {
    fn get(&self, _: &str) -> Option<String> {
        None
    }
}

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    Schema::compose(&[Fragment::binding("any", ANY), Fragment::binding("hub", HUB)])
});

fn loaded(text: &str) -> (Option<Config>, String) {
    let mut problems = Problems::default();
    let config = load(&Source::new("f.yaml", text), &SCHEMA, &Nothing, &mut problems);
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
    let config = load(&source, &SCHEMA, &Secret, &mut problems).unwrap();
    let node = &config.namespaces[0].nodes[0];
    assert_eq!(node.value["from_environment"], "hunter2");
    assert_eq!(node.shown("/from_environment", "hunter2"), "${{env.SECRET}}");
    assert_eq!(node.shown("/from_file", "ex"), "ex");
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

/// The heads of the problems of a file with these bindings, a guard `g` and a store `s`, and a
/// second document `other` with a binding `far` and a guard `g2`.
fn heads(bindings: &str) -> Vec<String> {
    let text = format!(
        "name: a\nguards: {{g: {{type: inline}}}}\nstores: {{s: {{type: memory}}}}\nbindings:\n\
         {bindings}---\nname: other\nguards: {{g2: {{type: inline}}}}\nbindings: {{far: {{type: any}}}}\n"
    );
    let (_, problems) = loaded(&text);
    let heads = problems.lines().filter(|line| line.starts_with("f.yaml") && line.contains('['));
    heads.filter(|line| !line.contains("inline guard")).map(str::to_owned).collect()
}

#[test]
fn a_name_that_means_nothing_is_refused_whatever_it_should_name() {
    let fine = "  h: {type: hub, exit: i, options: {store: s, authorization: {g: {}}}}\n  \
                i: {type: hub, exit: \"other:far\", options: {authorization: {\"other:g2\": {}}}}\n";
    assert_eq!(heads(fine), [""; 0]);
    for (from, to, expected) in [
        ("exit: i", "exit: j", "f.yaml:5:24: error[E0302]: binding `j` does not exist"),
        (
            "other:far",
            "other:near",
            "f.yaml:6:24: error[E0302]: binding `other:near` does not exist",
        ),
        ("store: s", "store: t", "f.yaml:5:44: error[E0307]: store `t` does not exist"),
        ("{g: {}}", "{gg: {}}", "f.yaml:5:63: error[E0305]: guard `gg` does not exist"),
        ("{g: {}}", "{g2: {}}", "f.yaml:5:63: error[E0305]: guard `g2` does not exist"),
    ] {
        assert_eq!(heads(&fine.replace(from, to)), [expected]);
    }
    // What comes from the environment is shown as the file writes it, and nothing is guessed from it.
    let mut problems = Problems::default();
    let text =
        "name: a\nbindings:\n  hunter: {type: any}\n  h:\n    type: hub\n    exit: ${{env.S}}\n";
    assert!(load(&Source::new("f.yaml", text), &SCHEMA, &Secret, &mut problems).is_none());
    let said = problems.render();
    assert!(said.contains("error[E0302]: binding `${{env.S}}` does not exist"), "{said}");
    assert!(!said.contains("hunter2") && !said.contains("did you mean"), "{said}");
}

#[test]
fn roles_need_a_binding_that_asks_for_them() {
    let asks = "options: {authorization: {g: {}}}, ";
    let file = |first: &str, second: &str| {
        format!(
            "  h: {{type: hub, {first}exit: i}}\n  i: {{type: hub, {second}routes: [{{exit: j, \
             guarded: {{g: []}}}}]}}\n  j: {{type: any}}\n"
        )
    };
    assert_eq!(heads(&file(asks, "")), [""; 0]);
    assert_eq!(heads(&file("", asks)), [""; 0]);
    let found = heads(&file("", ""));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains(": error[E0309]: nobody can take this route"), "{found:?}");
    // Bindings that lead to each other are looked at once.
    let circle = file("", "").replace("{type: any}", "{type: hub, exit: h}");
    assert_eq!(heads(&circle).len(), 1);
}

#[test]
fn routes_that_keep_nobody_out_and_routes_that_nobody_takes_are_warned_of() {
    let routes = |routes: &str, exit: &str| {
        heads(&format!(
            "  h: {{type: hub, options: {{authorization: {{g: {{}}}}}}, routes: {routes}{exit}}}\n  \
             i: {{type: any}}\n"
        ))
    };
    let (guarded, open) = ("{guarded: {g: [r]}, exit: i}", "{exit: i}");
    let narrow = "{when: [{x: 1}], exit: i}";
    assert_eq!(routes(&format!("[{guarded}, {narrow}]"), ""), [""; 0]);
    assert_eq!(routes(&format!("[{narrow}, {open}]"), ""), [""; 0]);
    for (list, exit, expected) in [
        (format!("[{guarded}]"), ", exit: i", "W0301]: a client without the roles"),
        (format!("[{guarded}, {narrow}, {open}]"), "", "W0301]: a client without the roles"),
        (format!("[{open}, {narrow}]"), "", "W0302]: this route is never taken"),
        (format!("[{narrow}, {open}]"), ", exit: i", "W0302]: this `exit` is never taken"),
        ("[{when: [], exit: i}]".to_owned(), ", exit: i", "W0302]: this `exit` is never taken"),
    ] {
        let found = routes(&list, exit);
        assert_eq!(found.len(), 1, "{list}: {found:?}");
        assert!(found[0].contains(expected), "{list}: {found:?}");
    }
}

#[test]
fn problems_of_another_file_do_not_count() {
    let mut problems = Problems::default();
    assert!(load(&Source::new("a.yaml", ""), &SCHEMA, &Nothing, &mut problems).is_none());
    let other = Source::new("b.yaml", "name: b\n");
    assert!(load(&other, &SCHEMA, &Nothing, &mut problems).is_some());
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

/// A file of one line is as good as any, and what is wrong with it has a place.
#[test]
fn megabytes_of_one_line_are_read() {
    let entries: Vec<String> =
        (0..20_000).map(|i| format!("n{i}: {{type: any, a: {i}}}")).collect();
    let good = format!("{{name: x, bindings: {{{}}}}}\n", entries.join(", "));
    let (config, problems) = loaded(&good);
    assert_eq!(problems, "");
    assert_eq!(config.unwrap().namespaces[0].nodes.len(), 20_000);
    let bad = good.replace("n19999: {type: any", "n19999: {type: many");
    let (config, problems) = loaded(&bad);
    assert!(config.is_none());
    let column = bad.find("many").unwrap() + 1;
    let head = format!("f.yaml:1:{column}: error[E0205]: `type` of binding `n19999` cannot be");
    assert!(problems.starts_with(&head), "{problems}");
    assert!(problems.lines().all(|line| line.chars().count() < 1000));
    let text = format!("name: \"{}\"\n", "x".repeat(2 << 20));
    assert!(loaded(&text).0.is_some());
}

#[test]
fn bytes_that_are_no_part_of_yaml_are_refused_at_their_place() {
    for (text, expected) in [
        ("name: x\0\n", "f.yaml:1:8: error[E0108]: the control character U+0000"),
        ("name: x\nbindings:\n\ta: {type: any}\n", "f.yaml:3:1: error[E0101]: a tab"),
        ("\u{feff}name: \u{7}x\r\n", "f.yaml:1:7: error[E0108]: the control character U+0007"),
        ("name: x\r\nname: y\r\n", "f.yaml:2:1: error[E0103]: the key `name` is given twice"),
    ] {
        let (config, problems) = loaded(text);
        assert!(config.is_none(), "{text:?}");
        assert!(problems.starts_with(expected), "{text:?}: {problems}");
    }
    for text in ["\u{feff}name: x\r\nbindings:\r\n  a: {type: any}\r\n", "name: x # \u{1f600}\tä\n"]
    {
        assert_eq!(loaded(text).1, "", "{text:?}");
    }
}

/// Each unit is repeated to some 50 kB, alone and as a value.
#[test]
fn hostile_texts_end_quickly() {
    let clock = crate::runtime::Clock::new();
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
            let config = load(&source, &SCHEMA, &Nothing, &mut problems);
            assert_eq!(config.is_none(), problems.has_errors(), "{begin:?} {unit:?}");
            drop(problems.render());
            let elapsed = (clock.now() - began).as_millis();
            // Some ms in a release build; quadratic would be minutes.
            assert!(elapsed < 3000, "{begin:?} {unit:?}: {elapsed} ms");
        }
    }
}
