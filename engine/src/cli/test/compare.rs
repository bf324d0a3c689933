//! What is decided against what is expected.

use serde_json::Value;

use crate::config::{Config, Plain, Problem, Problems, Span, codes, suggest};
use crate::graph::{Asked, Explanation};
use crate::spi::{Fact, Verdict};

/// One test of a document.
pub(super) struct Comparison<'a> {
    pub(super) document: &'a Plain,
    pub(super) config: &'a Config,
    /// The JSON pointer of the test.
    pub(super) at: &'a str,
    pub(super) verb: &'a str,
}

impl Comparison<'_> {
    /// The problem of an action that nothing decides.
    pub(super) fn undecided(&self, why: &str) -> Problem {
        Problem::new(codes::E0705, self.action(), format!("nothing decides this: {why}"))
    }

    fn action(&self) -> Span {
        self.document.key_span_of(&format!("{}/{}", self.at, self.verb))
    }

    /// Adds a problem for each expectation that is not met.
    pub(super) fn compare(
        &self,
        explanation: &Explanation<'_>,
        expect: &Value,
        problems: &mut Problems,
    ) {
        let expected = expect.as_object().into_iter().flatten();
        self.compare_denial(explanation, &expect["denied"], problems);
        for (name, expected) in expected {
            let place = format!("{}/expect/{}", self.at, escaped(name));
            match name.as_str() {
                "denied" => {}
                "route" => self.compare_routes(explanation, expected, &place, problems),
                // What was denied has no facts, which is a problem already where not expected.
                _ if explanation.denial.is_some() && expect["denied"].is_null() => {}
                _ => self.compare_fact(explanation, name, expected, &place, problems),
            }
        }
    }

    fn compare_denial(
        &self,
        explanation: &Explanation<'_>,
        expected: &Value,
        problems: &mut Problems,
    ) {
        let place = self.document.span_of(&format!("{}/expect/denied", self.at));
        match (&explanation.denial, expected.as_u64()) {
            (None, None) => {}
            (Some(denial), Some(code)) if u64::from(denial.code) == code => {}
            (Some(denial), Some(code)) => {
                let message =
                    format!("denied with 0x{:02X} {}, not 0x{code:02X}", denial.code, denial.name);
                problems.push(decided(
                    Problem::new(codes::E0701, place, message).with_help(&denial.detail),
                    explanation,
                ));
            }
            (Some(denial), None) => {
                let (code, name, detail) = (denial.code, denial.name, &denial.detail);
                let message = format!("denied with 0x{code:02X} {name}: {detail}");
                let help = format!("if that is meant: `expect: {{denied: 0x{code:02X}}}`");
                problems.push(decided(
                    Problem::new(codes::E0702, self.action(), message).with_help(help),
                    explanation,
                ));
            }
            (None, Some(code)) => {
                let message = format!("not denied, with 0x{code:02X} or otherwise");
                problems.push(decided(Problem::new(codes::E0703, place, message), explanation));
            }
        }
    }

    fn compare_routes(
        &self,
        explanation: &Explanation<'_>,
        expected: &Value,
        place: &str,
        problems: &mut Problems,
    ) {
        for (name, rule) in expected.as_object().into_iter().flatten() {
            let place = format!("{place}/{}", escaped(name));
            let nodes = || self.config.namespaces.iter().flat_map(|namespace| &namespace.nodes);
            let is_meant = |own: &str, full: &str| own == name || full == name;
            let mut named =
                nodes().filter(|node| is_meant(&node.name, &node.node_name().to_string()));
            if named.next().is_none() {
                let message = format!("the configuration has no binding `{name}`");
                let problem =
                    Problem::new(codes::E0706, self.document.key_span_of(&place), message);
                problems.push(match suggest(name, nodes().map(|node| &*node.name)) {
                    Some(close) => problem.with_help(format!("did you mean `{close}`?")),
                    None => problem,
                });
                continue;
            }
            let expected = rule.as_str().unwrap_or_default();
            let visits = explanation.visits.iter();
            let visits = visits
                .filter(|visit| is_meant(&visit.node.name, &visit.node.node_name().to_string()));
            let asked = visits.flat_map(|visit| &visit.asked);
            let taken: Vec<String> = asked
                .filter(|asked| asked.verdict == Verdict::Taken && !asked.pointer.is_empty())
                .map(Asked::rule)
                .collect();
            if taken.iter().any(|rule| is_at_or_below(rule, expected)) {
                continue;
            }
            let message = match taken.as_slice() {
                [] => format!("`{name}` takes it by no rule, not by `{expected}`"),
                taken => format!("`{name}` takes it by `{}`, not `{expected}`", taken.join("`, `")),
            };
            let span = self.document.span_of(&place);
            problems.push(decided(Problem::new(codes::E0701, span, message), explanation));
        }
    }

    fn compare_fact(
        &self,
        explanation: &Explanation<'_>,
        name: &str,
        expected: &Value,
        place: &str,
        problems: &mut Problems,
    ) {
        let mut differs = |place: &str, message: String| {
            let span = self.document.span_of(place);
            problems.push(decided(Problem::new(codes::E0701, span, message), explanation));
        };
        let fact = explanation.facts.iter().find(|(other, _)| *other == name);
        let Some((_, fact)) = fact else {
            return differs(place, format!("nothing is decided about `{name}`"));
        };
        match fact {
            Fact::Pairs(pairs) => {
                for (key, expected) in expected.as_object().into_iter().flatten() {
                    let values = pairs.iter().filter(|(other, _)| other == key);
                    let actual: Vec<Value> =
                        values.map(|(_, value)| value.as_str().into()).collect();
                    let wanted = match expected {
                        Value::Null => Vec::new(),
                        Value::Array(list) => list.clone(),
                        one => vec![one.clone()],
                    };
                    if actual != wanted {
                        let place = format!("{place}/{}", escaped(key));
                        let (actual, wanted) = (words(&actual), words(&wanted));
                        differs(&place, format!("`{key}` is {actual}, not {wanted}"));
                    }
                }
            }
            fact => {
                let actual: Value = match fact {
                    Fact::Text(text) => text.as_str().into(),
                    Fact::Number(number) => (*number).into(),
                    Fact::List(list) => list.iter().map(String::as_str).collect(),
                    Fact::Pairs(_) => Value::Null,
                };
                if actual != *expected {
                    let message = format!("`{name}` is {}, not {}", word(&actual), word(expected));
                    differs(place, message);
                }
            }
        }
    }
}

/// A problem with the rule of the configuration that decided last.
fn decided(problem: Problem, explanation: &Explanation<'_>) -> Problem {
    let asked = explanation.visits.iter().flat_map(|visit| &visit.asked);
    let mut asked = asked.filter(|asked| match asked.verdict {
        Verdict::Denied => true,
        Verdict::Taken => asked.pointer.starts_with("/routes/") || asked.pointer == "/exit",
        Verdict::Skipped => false,
    });
    match asked.next_back() {
        Some(asked) => {
            let label = format!("{} here: {}", asked.verdict.name(), asked.why);
            problem.with_related(asked.span(), label)
        }
        None => problem,
    }
}

/// Whether `rule` is `path`, or a part of what that names.
fn is_at_or_below(rule: &str, path: &str) -> bool {
    let rest = rule.strip_prefix(path);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// A segment of a JSON pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// A value in a message.
fn word(value: &Value) -> String {
    match value {
        Value::String(text) => format!("`{text}`"),
        Value::Array(list) => words(list),
        other => format!("`{other}`"),
    }
}

/// Values in a message.
fn words(values: &[Value]) -> String {
    match values {
        [] => "absent".to_owned(),
        values => values.iter().map(word).collect::<Vec<_>>().join(", "),
    }
}
