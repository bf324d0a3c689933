//! What is wrong with a value that fits no branch of a union.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Kind;
use serde_json::Value;

use crate::config::schema::applies::referred;
use crate::config::schema::explain::{Case, Explainer, description, is_misspelt};
use crate::config::schema::words;
use crate::config::{Problem, Problems, codes};

impl Explainer<'_> {
    /// The branch that was probably meant says what is wrong; where none stands out, one message
    /// says what is accepted.
    pub(super) fn union(
        &self,
        case: &Case<'_>,
        branches: &[Vec<ValidationError<'static>>],
        problems: &mut Problems,
    ) {
        let required: Vec<&Value> =
            branches.iter().filter_map(|errors| only_missing(errors)).collect();
        if required.len() == branches.len() {
            if !required.iter().any(|name| is_misspelt(case, name)) {
                problems.push(self.missing(case, &required));
            }
            return;
        }
        let unknown = self.unknown_to_all(case);
        if !unknown.is_empty() {
            unknown.into_iter().for_each(|problem| problems.push(problem));
            return;
        }
        let depth = |error: &ValidationError<'_>| error.instance_path().segments().count();
        let is_other_type = |errors: &&Vec<ValidationError<'static>>| {
            errors.iter().any(|error| {
                matches!(error.kind(), Kind::Type { .. })
                    && error.instance_path().as_str() == case.pointer
            })
        };
        let fitting: Vec<_> = branches.iter().filter(|errors| !is_other_type(errors)).collect();
        let is_deeper = |errors: &[ValidationError<'_>]| {
            errors.iter().any(|error| error.instance_path().as_str() != case.pointer)
        };
        let rank = |errors: &[ValidationError<'_>]| {
            (errors.iter().map(depth).max().unwrap_or(0), usize::MAX - errors.len())
        };
        // Of objects, the branch whose properties it has lacks the fewest.
        let stands_out = |errors: &[ValidationError<'_>]| {
            let others = fitting.iter().filter(|other| other.len() <= errors.len());
            case.value.is_object() && others.count() == 1
        };
        let best = fitting.iter().max_by_key(|errors| rank(errors));
        let accepted = self.accepted(case);
        match best {
            Some(errors) if fitting.len() == 1 || is_deeper(errors) || stands_out(errors) => {
                for error in *errors {
                    self.explain_in(Some(&accepted), error, problems);
                }
            }
            Some(_) => {
                let shown = words::shown(self.document, case.pointer, case.value);
                let message = format!("{} cannot be {shown}", self.subject(case.pointer));
                problems.push(
                    Problem::new(codes::E0207, self.value(case.pointer), message)
                        .with_help(accepted),
                );
            }
            None => {
                let expected = words::types(self.schema, branches_of(case));
                problems.push(self.wrong_type(case, &expected).with_help(accepted));
            }
        }
    }

    /// The properties of an object that no branch for objects knows: a name that is misspelt is
    /// that, whichever branch was meant.
    fn unknown_to_all(&self, case: &Case<'_>) -> Vec<Problem> {
        let Value::Object(object) = case.value else { return Vec::new() };
        let mut known: Vec<&str> = Vec::new();
        for branch in branches_of(case) {
            let branch = referred(self.schema, branch).map_or(branch, |(target, _)| target);
            if branch.get("type").is_some_and(|name| name != "object")
                || branch.get("enum").is_some()
            {
                continue;
            }
            let properties = branch.get("properties").and_then(Value::as_object);
            // A branch that takes any name, or leaves its names to its own branches.
            let Some(properties) = properties
                .filter(|_| branch.get("additionalProperties") == Some(&Value::Bool(false)))
            else {
                return Vec::new();
            };
            known.extend(properties.keys().map(String::as_str));
        }
        let unknown = object.keys().filter(|name| !known.contains(&name.as_str()));
        unknown.map(|name| self.unknown(case, name, &known)).collect()
    }

    fn any_of(&self, case: &Case<'_>) -> String {
        words::any_of(self.schema, branches_of(case))
    }

    /// What a union accepts: its description, or else its branches.
    fn accepted(&self, case: &Case<'_>) -> String {
        description(case.schema)
            .map_or_else(|| format!("accepted: {}", self.any_of(case)), str::to_owned)
    }
}

/// The branches of a union, as the schema has them.
fn branches_of<'a>(case: &Case<'a>) -> &'a [Value] {
    let branches = case.schema.get("anyOf").or(case.schema.get("oneOf"));
    branches.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The property that a branch misses, if that is all that is wrong with it.
fn only_missing<'e>(errors: &'e [ValidationError<'static>]) -> Option<&'e Value> {
    match errors {
        [error] => match error.kind() {
            Kind::Required { property } => Some(property),
            _ => None,
        },
        _ => None,
    }
}
