//! The text of a configuration file, with no binding type known: no panic, and whatever keeps it
//! from being loaded is reported, with a place that can be shown.

#![no_main]

use std::sync::LazyLock;

use engine::config::{Environment, Problems, Schema, Source, load};
use libfuzzer_sys::fuzz_target;

struct OneVariable;

impl Environment for OneVariable {
    fn get(&self, name: &str) -> Option<String> {
        (name == "NAME").then(|| "value: [1, \"${{env.NAME}}\"]".to_owned())
    }
}

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema::compose(&[]));

fuzz_target!(|text: &str| {
    let source = Source::new("zilla.yaml", text);
    let mut problems = Problems::default();
    let config = load(&source, &SCHEMA, &OneVariable, &mut problems);
    assert_eq!(config.is_none(), problems.has_errors());
    let rendered = problems.render();
    assert_eq!(rendered.is_empty(), problems.is_empty());
    for problem in problems.iter() {
        assert!(problem.span().line() >= 1 && problem.span().column() >= 1);
    }
});
