//! Expressions: `${{env.NAME}}` in scalars.
//!
//! They are replaced after parsing, so a value never changes the structure of the file, and
//! literally. `${params.x}` and `${guarded[…]…}`, with one brace, belong to the bindings.

use crate::config::codes::{self, Code};
use crate::config::node::Origin;
use crate::config::tree::{Content, Key, Scalar, Tree, shortened};
use crate::config::{Problem, Problems, Span};

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

/// So many expressions of a scalar are looked for in vain in what the file has written, where that is
/// not the text of the scalar: it may have escapes.
const MISSES: usize = 16;

/// What expressions put into a file is at most so large in all, bytes.
const ROOM: usize = 16 << 20;

/// Replaces the expressions in the scalars of a file's documents.
pub(super) struct Expander<'e> {
    environment: &'e dyn Environment,
    /// How many bytes may still be put in.
    room: usize,
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

impl<'e> Expander<'e> {
    pub(super) fn new(environment: &'e dyn Environment) -> Self {
        Self { environment, room: ROOM }
    }

    /// Replaces those of one document.
    pub(super) fn expand(&mut self, tree: &mut Tree, problems: &mut Problems) {
        self.walk(tree, Position::Root, problems);
    }

    fn walk(&mut self, tree: &mut Tree, position: Position, problems: &mut Problems) {
        match &mut tree.content {
            Content::Scalar(scalar) => {
                if !scalar.text.contains(BEGIN) {
                } else if position == Position::Kind {
                    problems.push_with(codes::E0113, || {
                        let message = "`kind` cannot be an expression";
                        Problem::new(codes::E0113, tree.span.clone(), message)
                            .with_help("write the kind itself; `type` may be an expression")
                    });
                    scalar.origin = Origin::Unresolved;
                } else {
                    self.scalar(scalar, &tree.span, problems);
                }
            }
            Content::List(items) => {
                for item in items {
                    self.walk(item, Position::Elsewhere, problems);
                }
            }
            Content::Map(entries) => {
                for (key, value) in entries {
                    check_key(key, problems);
                    self.walk(value, position.below(&key.text), problems);
                }
            }
        }
    }

    /// The value of an expression; `inner` is what stands between its braces.
    fn resolve<'t>(&mut self, inner: &'t str, is_closed: bool) -> Result<String, Fault<'t>> {
        let Some((context, name)) = inner.trim().split_once('.').filter(|_| is_closed) else {
            return Err(Fault::NoExpression);
        };
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || matches!(c, '{' | '}')) {
            return Err(Fault::NoName);
        }
        if context != "env" {
            return Err(Fault::Context(context));
        }
        let value = self.environment.get(name).ok_or(Fault::Unset(name))?;
        self.room = self.room.checked_sub(value.len()).ok_or(Fault::TooMuch)?;
        Ok(value)
    }

    fn scalar(&mut self, scalar: &mut Scalar, span: &Span, problems: &mut Problems) {
        let mut expanded = String::with_capacity(scalar.text.len());
        let mut rest = scalar.text.as_str();
        let mut is_resolved = true;
        let mut literal = 0;
        let mut count = 0;
        // How far in the span the expressions were found so far.
        let mut seen = 0;
        let mut misses = 0;
        while let Some((before, after)) = rest.split_once(BEGIN) {
            let (inner, after) = match after.split_once(END) {
                Some((inner, after)) => (inner, after),
                None => (after, ""),
            };
            let written = rest.get(before.len()..rest.len() - after.len()).unwrap_or_default();
            let place = (misses < MISSES).then(|| span.part(seen, written)).flatten();
            match &place {
                Some(place) => seen = place.end() - span.start(),
                None => misses += 1,
            }
            match self.resolve(inner, written.ends_with(END)) {
                Ok(value) => {
                    expanded.push_str(before);
                    expanded.push_str(&value);
                }
                Err(fault) => {
                    is_resolved = false;
                    let place = place.unwrap_or_else(|| span.clone());
                    problems.push_with(fault.code(), || fault.problem(written, place));
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
}

fn check_key(key: &Key, problems: &mut Problems) {
    if key.text.contains(BEGIN) {
        let problem = Problem::new(codes::E0113, key.span.clone(), "a key cannot be an expression")
            .with_help("write the key itself; values may be expressions");
        problems.push(problem);
    }
}

/// Why an expression has no value.
enum Fault<'t> {
    NoExpression,
    NoName,
    /// Of this context nothing is known.
    Context(&'t str),
    /// The environment has no variable of this name.
    Unset(&'t str),
    /// There is no room for the value.
    TooMuch,
}

impl Fault<'_> {
    fn code(&self) -> &'static Code {
        match self {
            Self::NoExpression | Self::NoName => codes::E0112,
            Self::Context(_) => codes::E0111,
            Self::Unset(_) => codes::E0110,
            Self::TooMuch => codes::E0114,
        }
    }

    fn problem(&self, written: &str, place: Span) -> Problem {
        const FORM: &str = "the form is ${{env.NAME}}";
        let written = shortened(written);
        let (message, help) = match self {
            Self::NoExpression => (format!("`{written}` is not an expression"), FORM.to_owned()),
            Self::NoName => (format!("`{written}` names no variable"), FORM.to_owned()),
            Self::Context(context) => (
                format!("unknown context `{}` in `{written}`", shortened(context)),
                "`env` is the only one: ${{env.NAME}}".to_owned(),
            ),
            Self::Unset(name) => {
                let name = shortened(name);
                let message = format!("the environment variable `{name}` is not set");
                (message, format!("set {name}, or write the value here"))
            }
            Self::TooMuch => (
                "expressions make this file larger than 16 MiB".to_owned(),
                "use fewer, or a shorter value".to_owned(),
            ),
        };
        Problem::new(self.code(), place, message).with_help(help)
    }
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
                "LONG" => "x".repeat(1 << 17),
                "SECRET" => "hunter2: [}\n- $1 \\ ${{env.PORT}}".to_owned(),
                _ => return None,
            })
        }
    }

    fn expanded(text: &str) -> (Value, Problems) {
        let mut problems = Problems::default();
        let mut trees = tree::parse(&Source::new("f.yaml", text), &mut problems).unwrap();
        let mut tree = trees.remove(0);
        Expander::new(&Fixed).expand(&mut tree, &mut problems);
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
    fn values_have_room_and_no_more() {
        let text = format!("a: &a \"{}\"\nb: [{}]\n", "${{env.LONG}}".repeat(10), "*a, ".repeat(9));
        let (value, problems) = expanded(&text);
        assert_eq!(problems.render(), "");
        assert_eq!(value["b"][8].as_str().unwrap().len(), 10 << 17);
        let (_, problems) = expanded(&format!("{text}c: [{}]\n", "*a, ".repeat(4)));
        let rendered = problems.render();
        assert!(rendered.contains("f.yaml:3:13: error[E0114]"), "{rendered}");
    }

    #[test]
    fn places_are_found_where_the_text_has_escapes() {
        let text = "a: \"\\u0024{{env.X}} ${{env.Y}}\"\n";
        let rendered = expanded(text).1.render();
        assert!(rendered.starts_with("f.yaml:1:4: error[E0110]"), "{rendered}");
        assert!(rendered.contains("f.yaml:1:21: error[E0110]"), "{rendered}");
        // Looked for again and again, in vain, they would take minutes.
        let text = format!("a: \"{}\"\n", "\\u0024{{env.X}}".repeat(200_000));
        let (_, problems) = expanded(&text);
        assert_eq!(problems.iter().count(), 1);
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
