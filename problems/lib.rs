//! Every code that a problem of a configuration can have: data only, so that the engine and the
//! bindings share one list.
//!
//! A problem is made from one of these constants, and only this crate makes them: a code that is
//! not listed here cannot be used. `zilla explain-code` and `docs/problems.md` print the list.
//! E01xx is syntax, E02xx the schema, E03xx names, E04xx planes, E05xx what the machine does not
//! give, E06xx Kafka, E07xx tests of a configuration; W is a warning. A code keeps its meaning for good; a new meaning has a new
//! code.

#[macro_use]
mod entry;
#[macro_use]
mod parts;

mod expressions;
mod kafka;
mod machine;
mod mapping;
mod names;
mod schema;
mod syntax;
mod tests;
mod warnings;

pub use entry::{Code, Example};
pub use expressions::*;
pub use kafka::*;
pub use machine::*;
pub use mapping::*;
pub use names::*;
pub use schema::*;
pub use syntax::*;
pub use tests::*;
pub use warnings::*;

/// All codes, by group.
const GROUPS: &[&[&Code]] =
    &[SYNTAX, EXPRESSIONS, SCHEMA, MAPPING, NAMES, MACHINE, KAFKA, TESTS, WARNINGS];

/// All codes, in order.
#[must_use]
pub fn all() -> Vec<&'static Code> {
    let mut all: Vec<_> = GROUPS.iter().flat_map(|group| group.iter().copied()).collect();
    all.sort_by_key(|code| code.id());
    all
}

/// The code of an id (`E0202`), in any case.
#[must_use]
pub fn find(id: &str) -> Option<&'static Code> {
    GROUPS.iter().flat_map(|group| group.iter().copied()).find(|code| code.is(id))
}
