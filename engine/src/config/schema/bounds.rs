//! What is wrong with a value that has the right type.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Kind;

use crate::config::schema::explain::{Case, Explainer, description};
use crate::config::schema::words;
use crate::config::{Problem, codes};

impl Explainer<'_> {
    /// `around` says what is accepted where nothing nearer does.
    pub(super) fn wrong_value(
        &self,
        case: &Case<'_>,
        kind: &Kind,
        error: &ValidationError<'_>,
        around: Option<&str>,
    ) -> Problem {
        let subject = self.subject(case.pointer);
        let shown = words::shown(self.document, case.pointer, case.value);
        let cannot = format!("{subject} cannot be {shown}");
        let items = |limit: &u64| if *limit == 1 { "item" } else { "items" };
        let message = match kind {
            Kind::Pattern { pattern } => format!("{cannot}: it does not match {pattern}"),
            Kind::Format { format } => format!("{cannot}: it is not a valid {format}"),
            Kind::Minimum { limit } => format!("{cannot}: the least is {limit}"),
            Kind::Maximum { limit } => format!("{cannot}: the most is {limit}"),
            Kind::ExclusiveMinimum { limit } => format!("{cannot}: it must be more than {limit}"),
            Kind::ExclusiveMaximum { limit } => format!("{cannot}: it must be less than {limit}"),
            Kind::MultipleOf { multiple_of } => {
                format!("{cannot}: it must be a multiple of {multiple_of}")
            }
            Kind::MinLength { limit: 1 } => format!("{subject} cannot be empty"),
            Kind::MinLength { limit } => format!("{cannot}: at least {limit} characters"),
            Kind::MaxLength { limit } => format!("{cannot}: at most {limit} characters"),
            Kind::MinItems { limit } => {
                format!("{subject} needs at least {limit} {}", items(limit))
            }
            Kind::MaxItems { limit } => {
                format!("{subject} can have at most {limit} {}", items(limit))
            }
            Kind::MinProperties { limit } => {
                format!("{subject} needs at least {limit} of its properties")
            }
            Kind::MaxProperties { limit } => {
                format!("{subject} can have at most {limit} of its properties")
            }
            Kind::UniqueItems => format!("{subject} has an item twice"),
            Kind::OneOfMultipleValid { .. } => format!("{subject} is ambiguous"),
            Kind::Not { .. } => format!("{subject} is not allowed to be so"),
            // A value of the file is not repeated: it may be long, or secret.
            _ => format!("{subject}: {}", error.masked_with("the value")),
        };
        let problem = Problem::new(codes::E0207, self.value(case.pointer), message);
        match description(case.schema).or(around) {
            Some(help) => problem.with_help(help),
            None => problem,
        }
    }
}
