//! Values of the environment stay out of what is printed.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::config::{Environment, Problem, Problems, Source};

/// An environment that remembers what it was asked for, so that no value of it is printed.
pub struct RecordingEnvironment<'e> {
    inner: &'e dyn Environment,
    /// Names by value, of those that were taken.
    taken: RefCell<BTreeMap<String, String>>,
}

impl Environment for RecordingEnvironment<'_> {
    fn get(&self, name: &str) -> Option<String> {
        let value = self.inner.get(name)?;
        self.taken.borrow_mut().insert(value.clone(), name.to_owned());
        Some(value)
    }
}

impl<'e> RecordingEnvironment<'e> {
    /// Records what is taken from `inner`.
    #[must_use]
    pub fn new(inner: &'e dyn Environment) -> Self {
        Self { inner, taken: RefCell::default() }
    }

    /// A text that has the expression in place of each value that was taken. A value that the
    /// file itself contains gives nothing away, and is left.
    #[must_use]
    pub fn redact(&self, source: &Source, text: &str) -> String {
        let mut text = text.to_owned();
        // Longer values first: one may contain another.
        let taken = self.taken.borrow();
        let mut values: Vec<_> = taken.iter().collect();
        values.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        for (value, name) in values {
            if !value.is_empty() && text.contains(value) && !source.text().contains(value) {
                text = replaced(&text, value, &format!("${{{{env.{name}}}}}"));
            }
        }
        text
    }

    /// The problems of a file without values of the environment.
    #[must_use]
    pub fn redacted(&self, source: &Source, problems: Problems) -> Problems {
        if self.taken.borrow().is_empty() {
            return problems;
        }
        problems.map(|problem| self.redacted_problem(source, problem))
    }

    fn redacted_problem(&self, source: &Source, problem: Problem) -> Problem {
        let message = self.redact(source, problem.message());
        // Where a value is the matter, help may have a part of it, or what is made from it.
        let help = problem.help().filter(|_| message == problem.message());
        let mut redacted = Problem::new(problem.code(), problem.span().clone(), message);
        if let Some(help) = help {
            redacted = redacted.with_help(self.redact(source, help));
        }
        for (span, label) in problem.related() {
            redacted = redacted.with_related(span.clone(), self.redact(source, label));
        }
        redacted
    }
}

/// A shorter value is replaced only where it is a word of its own: `1` is part of much.
const ANYWHERE: usize = 6;

/// A text with `value` replaced.
fn replaced(text: &str, value: &str, by: &str) -> String {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(value) {
        let touches_before = before.chars().next_back().is_some_and(is_word)
            && value.chars().next().is_some_and(is_word);
        let touches_after = after.chars().next().is_some_and(is_word)
            && value.chars().next_back().is_some_and(is_word);
        result.push_str(before);
        let is_part = value.len() < ANYWHERE && (touches_before || touches_after);
        result.push_str(if is_part { value } else { by });
        rest = after;
    }
    result.push_str(rest);
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::codes;

    struct Fixed;

    impl Environment for Fixed {
        fn get(&self, name: &str) -> Option<String> {
            Some(match name {
                "SECRET" => "hunter2".to_owned(),
                "LONGER" => "hunter2-too".to_owned(),
                "SHORT" => "17".to_owned(),
                "TYPE" => "tcp".to_owned(),
                _ => String::new(),
            })
        }
    }

    #[test]
    fn a_value_is_replaced_by_its_expression_unless_the_file_has_it() {
        let environment = RecordingEnvironment::new(&Fixed);
        for name in ["SECRET", "LONGER", "TYPE", "SHORT", "EMPTY"] {
            environment.get(name);
        }
        let source = Source::new("f.yaml", "type: tcp\n");
        let redacted = |text| environment.redact(&source, text);
        assert_eq!(redacted("`hunter2` on tcp"), "`${{env.SECRET}}` on tcp");
        assert_eq!(redacted("x:hunter2-too"), "x:${{env.LONGER}}");
        assert_eq!(redacted("xhunter2s"), "x${{env.SECRET}}s");
        assert_eq!(redacted("17 of 170"), "${{env.SHORT}} of 170");
    }

    #[test]
    fn help_and_places_show_no_value_and_no_part_of_one() {
        let environment = RecordingEnvironment::new(&Fixed);
        environment.get("SECRET");
        let source = Source::new("f.yaml", "a: ${{env.SECRET}}\n");
        let mut problems = Problems::default();
        let problem = Problem::new(codes::E0302, source.span(3, 9), "`hunter2` does not exist");
        problems.push(
            problem.with_help("did you mean unter2?").with_related(source.span(0, 1), "hunter2"),
        );
        problems.push(Problem::new(codes::E0302, source.span(0, 1), "none").with_help("help"));
        let listed = Problem::new(codes::E0302, source.span(0, 1), "no such name");
        problems
            .push(listed.with_help("there is hunter2").with_related(source.span(0, 1), "hunter2"));
        let text = environment.redacted(&source, problems).render();
        assert!(!text.contains("unter2"), "{text}");
        assert!(text.contains("`${{env.SECRET}}` does not exist") && text.contains("^ help"));
    }
}
