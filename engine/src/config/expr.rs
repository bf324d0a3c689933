//! Expressions: `${{env.NAME}}` in scalars.
//!
//! They are replaced after parsing, so a value never changes the structure of the file, and
//! literally. `${params.x}` and `${guarded[…]…}`, with one brace, belong to the bindings.

use crate::config::node::Origin;
use crate::config::tree::{Content, Key, Scalar, Tree, shortened};
use crate::config::{Problem, Problems, Span, codes};

/// Where expressions find their values.
pub trait Environment {
    /// The value of an environment variable.
    fn get(&self, name: &str) -> Option<String>;
}

/// The process's environment.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    #[expect(clippy::disallowed_methods, reason = "the one place where the environment is read")]
    fn get(&self, name: &str) -> Option<String> {
        // A name with one of these makes the standard library panic on some systems.
        if name.is_empty() || name.contains(['=', '\0']) {
            return None;
        }
        std::env::var(name).ok()
    }
}

const BEGIN: &str = "${{";
const END: &str = "}}";

/// Replaces the expressions in the scalars of a document.
pub(super) fn expand(tree: &mut Tree, environment: &dyn Environment, problems: &mut Problems) {
    walk(tree, Position::Root, environment, problems);
}

/// Where a value stands, as far as it matters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Position {
    Root,
    Bindings,
    Binding,
    Kind,
    Elsewhere,
}

impl Position {
    fn below(self, key: &str) -> Self {
        match (self, key) {
            (Self::Root, "bindings") => Self::Bindings,
            (Self::Bindings, _) => Self::Binding,
            (Self::Binding, "kind") => Self::Kind,
            _ => Self::Elsewhere,
        }
    }
}

fn walk(
    tree: &mut Tree,
    position: Position,
    environment: &dyn Environment,
    problems: &mut Problems,
) {
    match &mut tree.content {
        Content::Scalar(scalar) => {
            if !scalar.text.contains(BEGIN) {
            } else if position == Position::Kind {
                let message = "`kind` cannot be an expression";
                let problem = Problem::new(codes::E0113, tree.span.clone(), message)
                    .with_help("write the kind itself; `type` may be an expression");
                problems.push(problem);
                scalar.origin = Origin::Unresolved;
            } else {
                expand_scalar(scalar, &tree.span, environment, problems);
            }
        }
        Content::List(items) => {
            for item in items {
                walk(item, Position::Elsewhere, environment, problems);
            }
        }
        Content::Map(entries) => {
            for (key, value) in entries {
                check_key(key, problems);
                walk(value, position.below(&key.text), environment, problems);
            }
        }
    }
}

fn check_key(key: &Key, problems: &mut Problems) {
    if key.text.contains(BEGIN) {
        let problem = Problem::new(codes::E0113, key.span.clone(), "a key cannot be an expression")
            .with_help("write the key itself; values may be expressions");
        problems.push(problem);
    }
}

fn expand_scalar(
    scalar: &mut Scalar,
    span: &Span,
    environment: &dyn Environment,
    problems: &mut Problems,
) {
    let mut expanded = String::with_capacity(scalar.text.len());
    let mut rest = scalar.text.as_str();
    let mut is_resolved = true;
    let mut literal = 0;
    let mut count = 0_usize;
    // Where to look for the next expression in the text of the file.
    let mut seen = 0;
    while let Some((before, after)) = rest.split_once(BEGIN) {
        let (inner, after) = match after.split_once(END) {
            Some((inner, after)) => (inner, after),
            None => (after, ""),
        };
        let written = rest.get(before.len()..rest.len() - after.len()).unwrap_or_default();
        let place = span.part(seen, written);
        if place != *span {
            seen = place.end() - span.start();
        }
        match resolve(inner, written, place, environment) {
            Ok(value) => {
                expanded.push_str(before);
                expanded.push_str(&value);
            }
            Err(problem) => {
                is_resolved = false;
                problems.push(problem);
            }
        }
        literal += before.len();
        count += 1;
        rest = after;
    }
    literal += rest.len();
    if !is_resolved {
        scalar.origin = Origin::Unresolved;
        return;
    }
    expanded.push_str(rest);
    scalar.text = expanded;
    scalar.origin = Origin::Environment;
    // What was more than an expression was a string in the file, and is one.
    scalar.is_plain &= count == 1 && literal == 0;
}

/// The value of an expression; `inner` is what stands between its braces.
fn resolve(
    inner: &str,
    written: &str,
    place: Span,
    environment: &dyn Environment,
) -> Result<String, Problem> {
    const FORM: &str = "the form is ${{env.NAME}}";
    let is_closed = written.ends_with(END);
    let written = shortened(written);
    let Some((context, name)) = inner.trim().split_once('.').filter(|_| is_closed) else {
        let message = format!("`{written}` is not an expression");
        return Err(Problem::new(codes::E0112, place, message).with_help(FORM));
    };
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || matches!(c, '{' | '}')) {
        let message = format!("`{written}` names no variable");
        return Err(Problem::new(codes::E0112, place, message).with_help(FORM));
    }
    if context != "env" {
        let message = format!("unknown context `{}` in `{written}`", shortened(context));
        let help = "`env` is the only one: ${{env.NAME}}";
        return Err(Problem::new(codes::E0111, place, message).with_help(help));
    }
    environment.get(name).ok_or_else(|| {
        let name = shortened(name);
        let message = format!("the environment variable `{name}` is not set");
        Problem::new(codes::E0110, place, message)
            .with_help(format!("set {name}, or write the value here"))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config::{Source, tree};

    struct Fixed;

    impl Environment for Fixed {
        fn get(&self, name: &str) -> Option<String> {
            Some(match name {
                "PORT" => "7183".to_owned(),
                "HOST" => "host.example".to_owned(),
                "FLAG" => "true".to_owned(),
                "EMPTY" => String::new(),
                "SECRET" => "hunter2: [}\n- $1 \\ ${{env.PORT}}".to_owned(),
                _ => return None,
            })
        }
    }

    fn expanded(text: &str) -> (Value, Problems) {
        let mut problems = Problems::default();
        let mut trees = tree::parse(&Source::new("f.yaml", text), &mut problems).unwrap();
        let mut tree = trees.remove(0);
        expand(&mut tree, &Fixed, &mut problems);
        (tree.into_document(&mut problems).value, problems)
    }

    #[test]
    fn a_plain_scalar_that_is_an_expression_takes_the_type_of_its_value() {
        let text = "a: ${{env.PORT}}\nb: \"${{env.PORT}}\"\nc: '${{ env.PORT }}'\nd: ${{env.FLAG}}\n\
                    e: ${{env.HOST}}:${{env.PORT}}\nf: ${{env.EMPTY}}\ng: !!str ${{env.PORT}}\n\
                    h: [\"${{env.PORT}}\"]\ni: 1${{env.PORT}}\nj: >-\n  ${{env.PORT}}\n";
        let (value, problems) = expanded(text);
        assert_eq!(problems.render(), "");
        let expected = json!({
            "a": 7183, "b": "7183", "c": "7183", "d": true, "e": "host.example:7183", "f": null,
            "g": "7183", "h": ["7183"], "i": "17183", "j": "7183",
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn a_value_is_literal_and_changes_no_structure() {
        let (value, problems) = expanded("a: ${{env.SECRET}}\nb: x-${{env.SECRET}}-y\n");
        assert_eq!(problems.render(), "");
        let secret = "hunter2: [}\n- $1 \\ ${{env.PORT}}";
        assert_eq!(value, json!({ "a": secret, "b": format!("x-{secret}-y") }));
    }

    #[test]
    fn expressions_with_one_brace_are_left_alone() {
        let text = "a: m-${params.site}\nb: \"${guarded['g'].identity}\"\nc: $env\n";
        let (value, problems) = expanded(text);
        assert_eq!(problems.render(), "");
        assert_eq!(value["a"], "m-${params.site}");
        assert_eq!(value["b"], "${guarded['g'].identity}");
    }

    #[test]
    fn a_variable_that_is_not_set_is_a_problem_at_its_place() {
        let (_, problems) = expanded("a: 1\nb: \"${{env.HOST}}:${{env.NONE}}\"\n");
        let rendered = problems.render();
        assert!(
            rendered.starts_with(
                "f.yaml:2:19: error[E0110]: the environment variable `NONE` is not set\n"
            ),
            "{rendered}"
        );
        assert!(rendered.contains("^^^^^^^^^^^^^ set NONE"), "{rendered}");
    }

    #[test]
    fn each_mistake_is_named() {
        for (text, code, place) in [
            ("a: ${{secret.X}}\n", "E0111", "1:4"),
            ("a: ${{aws.secrets.X}}\n", "E0111", "1:4"),
            ("a: ${{X}}\n", "E0112", "1:4"),
            ("a: ${{env.}}\n", "E0112", "1:4"),
            ("a: ${{env.A B}}\n", "E0112", "1:4"),
            ("a: ${{env.X\n", "E0112", "1:4"),
            ("a: ${{}}\n", "E0112", "1:4"),
            ("bindings:\n  x:\n    kind: ${{env.HOST}}\n", "E0113", "3:11"),
            ("\"${{env.HOST}}\": 1\n", "E0113", "1:1"),
        ] {
            let (_, problems) = expanded(text);
            let rendered = problems.render();
            assert_eq!(problems.iter().count(), 1, "{rendered}");
            assert!(rendered.starts_with(&format!("f.yaml:{place}: error[{code}]")), "{rendered}");
        }
    }
}
