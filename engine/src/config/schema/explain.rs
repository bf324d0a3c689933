//! From the validator's errors to problems that say what to do.

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use serde_json::Value;

use crate::config::node::Origin;
use crate::config::problem::codes::Code;
use crate::config::schema::state::{State, Stated};
use crate::config::schema::words;
use crate::config::tree::{Document, push_segment, shortened};
use crate::config::{Problem, Problems, Span, codes, suggest};

/// So many of the values that a property may have are listed.
const MOST_LISTED: usize = 16;

/// What people look for at the top of the file, and is an argument of `zilla start`.
const OF_THE_PROCESS: [&str; 2] = ["engine", "workers"];

/// Explains the errors of one document.
pub(super) struct Explainer<'a> {
    /// The merged schema.
    pub(super) schema: &'a Value,
    pub(super) document: &'a Document,
}

/// An error, looked up in the schema and the document.
pub(super) struct Case<'a> {
    /// The JSON pointer of the value that is wrong.
    pub(super) pointer: &'a str,
    pub(super) value: &'a Value,
    /// The schema whose keyword failed.
    pub(super) schema: &'a Value,
}

impl Explainer<'_> {
    pub(super) fn explain(&self, error: &ValidationError<'_>, problems: &mut Problems) {
        self.explain_in(None, error, problems);
    }

    /// `around` says what is accepted where the error is that of a branch of a union.
    pub(super) fn explain_in(
        &self,
        around: Option<&str>,
        error: &ValidationError<'_>,
        problems: &mut Problems,
    ) {
        let pointer = error.instance_path().as_str();
        let place = self.document.places.get(pointer);
        // What could not be resolved has been reported.
        if place.is_some_and(|place| place.origin == Origin::Unresolved) {
            return;
        }
        if problems.is_full_for(codes::E0202) {
            count(error.kind(), pointer, problems);
            return;
        }
        let path = error.schema_path().as_str();
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        let schema = self.schema.pointer(parent).unwrap_or(&Value::Null);
        let case = Case { pointer, value: error.instance().as_ref(), schema };
        match error.kind() {
            Kind::AdditionalProperties { unexpected }
            | Kind::UnevaluatedProperties { unexpected } => {
                // An expression as a key has been reported.
                for name in unexpected.iter().filter(|name| !name.contains("${{")) {
                    problems.push_with(codes::E0202, || self.unexpected(&case, name));
                }
            }
            // What is misspelt has been reported, with what was meant, where nothing else is allowed.
            Kind::Required { property } if is_misspelt(&case, property) => {
                let name = misspelt(&case, property).filter(|_| is_open(&case));
                let meant = property.as_str().unwrap_or_default();
                if let Some(name) = name {
                    problems.push(self.unknown(&case, name, &[meant]));
                }
            }
            Kind::Required { property } => problems.push(self.missing(&case, &[property])),
            Kind::Type { kind } => problems.push(self.wrong_type(&case, &expected(kind))),
            // What Zilla has and this program has not is reported with the states of properties.
            Kind::Enum { .. } if is_unsupported(&case) => {}
            Kind::Enum { options } => {
                let none = Vec::new();
                problems.push(self.not_listed(&case, options.as_array().unwrap_or(&none)));
            }
            Kind::Constant { expected_value } => {
                problems.push(self.not_listed(&case, std::slice::from_ref(expected_value)));
            }
            Kind::PropertyNames { error } => {
                let name = error.instance().as_str().unwrap_or_default();
                let pattern = match error.kind() {
                    Kind::Pattern { pattern } => Some(pattern.as_str()),
                    _ => None,
                };
                problems.push(self.bad_name(&case, name, pattern));
            }
            // Of what is no object that has been reported, and nothing more is known.
            Kind::Not { schema } if schema.get("required").is_some() => {
                if case.value.is_object() {
                    problems.push(self.excluded(&case, schema));
                }
            }
            Kind::FalseSchema => problems.push(self.forbidden(&case)),
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
                self.union(&case, context, problems);
            }
            kind => problems.push(self.wrong_value(&case, kind, error, around)),
        }
    }

    pub(super) fn subject(&self, pointer: &str) -> String {
        words::subject(self.schema, self.document, pointer)
    }

    fn owner(&self, pointer: &str) -> String {
        words::owner(self.schema, self.document, pointer)
    }

    pub(super) fn key(&self, pointer: &str) -> Span {
        words::place(self.document, pointer).key.clone()
    }

    pub(super) fn value(&self, pointer: &str) -> Span {
        words::place(self.document, pointer).value.clone()
    }

    fn unexpected(&self, case: &Case<'_>, name: &str) -> Problem {
        let properties = case.schema.get("properties").and_then(Value::as_object);
        let Some(properties) = properties.filter(|properties| !properties.is_empty()) else {
            let patterns = case.schema.get("patternProperties").and_then(Value::as_object);
            let pattern = patterns.and_then(|patterns| patterns.keys().next());
            return self.bad_name(case, name, pattern.map(String::as_str));
        };
        let known: Vec<&str> = properties.keys().map(String::as_str).collect();
        self.unknown(case, name, &known)
    }

    /// A property that is none of those that are `known`.
    pub(super) fn unknown(&self, case: &Case<'_>, name: &str, known: &[&str]) -> Problem {
        let mut pointer = case.pointer.to_owned();
        push_segment(&mut pointer, name);
        let message =
            format!("unknown property `{}` {}", shortened(name), self.owner(case.pointer));
        let help = if name == "<<" {
            "YAML 1.2 has no merge keys: write the properties out".to_owned()
        } else if case.pointer.is_empty() && OF_THE_PROCESS.contains(&name) {
            "what holds for the process is given where it starts, and changes with a restart: \
             `zilla start --workers N`"
                .to_owned()
        } else if let Some(close) = suggest(name, known.iter().copied()) {
            format!("did you mean `{close}`?")
        } else {
            let names: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
            format!("allowed here: {}", names.join(", "))
        };
        Problem::new(codes::E0202, self.key(&pointer), message).with_help(help)
    }

    /// The name of an entry of a map whose names have a form.
    fn bad_name(&self, case: &Case<'_>, name: &str, pattern: Option<&str>) -> Problem {
        let mut pointer = case.pointer.to_owned();
        push_segment(&mut pointer, name);
        let place = self.key(&pointer);
        let (name, owner) = (shortened(name), self.owner(case.pointer));
        let Some(pattern) = pattern else {
            let message = format!("unknown property `{name}` {owner}");
            return Problem::new(codes::E0202, place, message).with_help("nothing is allowed here");
        };
        let message = format!("the name `{name}` {owner} does not have the form of a name");
        Problem::new(codes::E0207, place, message).with_help(format!("names match {pattern}"))
    }

    pub(super) fn missing(&self, case: &Case<'_>, properties: &[&Value]) -> Problem {
        let names: Vec<String> = properties.iter().map(|name| words::literal(name)).collect();
        let names = words::alternatives(&names);
        let message = format!("{names} is missing {}", self.owner(case.pointer));
        let mut problem = Problem::new(codes::E0203, self.key(case.pointer), message);
        let Some(name) = properties.first().and_then(|name| name.as_str()) else { return problem };
        let property = self.property(case, name);
        let options = property.and_then(|property| property.get("enum")?.as_array());
        let what = match options {
            Some(options) => {
                Some(words::alternatives(&options.iter().map(words::literal).collect::<Vec<_>>()))
            }
            None => property.and_then(description).map(str::to_owned),
        };
        if let Some(what) = what {
            problem = problem.with_help(format!("add `{name}`: {what}"));
        }
        problem
    }

    /// The schema of a property of an object, also where a condition on the object lacks it.
    fn property<'c>(&'c self, case: &Case<'c>, name: &str) -> Option<&'c Value> {
        let pointer = format!("/properties/{name}");
        let thing = || words::definition_of(self.schema, self.document, case.pointer);
        case.schema.pointer(&pointer).or_else(|| thing()?.pointer(&pointer))
    }

    pub(super) fn wrong_type(&self, case: &Case<'_>, expected: &str) -> Problem {
        let found = words::shown_with_type(self.document, case.pointer, case.value);
        let subject = self.subject(case.pointer);
        if case.value.is_null() {
            let message = format!("{subject} must be {expected}, but has no value");
            let help = "give it a value, or remove the key";
            return Problem::new(codes::E0204, self.value(case.pointer), message).with_help(help);
        }
        let message = format!("{subject} must be {expected}, not {found}");
        let code = code_of_type(case.pointer);
        let mut problem = Problem::new(code, self.value(case.pointer), message);
        if expected == words::type_name("string") && !case.value.is_object() {
            problem = problem.with_help("quote it");
        } else if let Some(help) = description(case.schema) {
            problem = problem.with_help(help);
        }
        problem
    }

    fn not_listed(&self, case: &Case<'_>, options: &[Value]) -> Problem {
        let shown = words::shown(self.document, case.pointer, case.value);
        let place = self.value(case.pointer);
        let subject = self.subject(case.pointer);
        let names: Vec<String> = options.iter().map(words::literal).collect();
        let message = format!("{subject} cannot be {shown}");
        let close = case.value.as_str().filter(|_| self.is_from_file(case.pointer));
        let close =
            close.and_then(|value| suggest(value, options.iter().filter_map(Value::as_str)));
        let close = close.map(|close| format!("did you mean `{close}`? ")).unwrap_or_default();
        // Nobody looks for a word in a longer list.
        let shown = names.get(..MOST_LISTED).unwrap_or(&names);
        let more = if shown.len() < names.len() { " and others" } else { "" };
        let allowed = format!("{close}allowed: {}{more}", shown.join(", "));
        Problem::new(codes::E0205, place, message).with_help(allowed)
    }

    fn is_from_file(&self, pointer: &str) -> bool {
        self.document.places.get(pointer).is_none_or(|place| place.origin == Origin::File)
    }

    /// Properties that must not stand together, of the schema of a `not`.
    fn excluded(&self, case: &Case<'_>, not: &Value) -> Problem {
        let names = not.get("required").and_then(Value::as_array);
        let names: Vec<&str> = names.into_iter().flatten().filter_map(Value::as_str).collect();
        let mut pointer = case.pointer.to_owned();
        push_segment(&mut pointer, names.last().copied().unwrap_or_default());
        let shown: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        let (shown, owner) = (shown.join(" and "), self.owner(case.pointer));
        let message = format!("{shown} exclude each other {owner}");
        Problem::new(codes::E0208, self.key(&pointer), message).with_help("remove one of them")
    }

    fn forbidden(&self, case: &Case<'_>) -> Problem {
        let (parent, name) = case.pointer.rsplit_once('/').unwrap_or_default();
        let name = shortened(&words::segments(&format!("/{name}")).concat());
        let message = format!("`{name}` is not allowed {}", self.owner(parent));
        Problem::new(codes::E0208, self.key(case.pointer), message).with_help("remove it")
    }
}

/// The code of a wrong type: whole documents have one of their own.
fn code_of_type(pointer: &str) -> &'static Code {
    if pointer.is_empty() { codes::E0201 } else { codes::E0204 }
}

/// Counts what is wrong where no more is said, without looking at it closely.
fn count(kind: &Kind, pointer: &str, problems: &mut Problems) {
    let (code, times) = match kind {
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            (codes::E0202, unexpected.len())
        }
        Kind::Required { .. } => (codes::E0203, 1),
        Kind::Type { .. } => (code_of_type(pointer), 1),
        Kind::Enum { .. } | Kind::Constant { .. } => (codes::E0205, 1),
        Kind::Not { .. } | Kind::FalseSchema => (codes::E0208, 1),
        _ => (codes::E0207, 1),
    };
    (0..times).for_each(|_| problems.count_more(code));
}

/// So many properties of an object are compared with one that is missing.
const MOST_COMPARED: usize = 1000;

/// Whether an object has a property whose name is nearly this one.
pub(super) fn is_misspelt(case: &Case<'_>, name: &Value) -> bool {
    misspelt(case, name).is_some()
}

/// Whether the schema does not say which properties there are: of a thing without a type.
fn is_open(case: &Case<'_>) -> bool {
    case.schema.get("additionalProperties").is_none()
}

/// The property of an object whose name is nearly this one.
fn misspelt<'c>(case: &Case<'c>, name: &Value) -> Option<&'c str> {
    let known = case.schema.get("properties").and_then(Value::as_object);
    let is_known = |name: &str| known.is_some_and(|known| known.contains_key(name));
    let names = case.value.as_object().into_iter().flat_map(|object| object.keys());
    let mut unknown = names.filter(|name| !is_known(name)).take(MOST_COMPARED);
    unknown
        .find(|other| name.as_str().is_some_and(|name| suggest(other, [name]).is_some()))
        .map(String::as_str)
}

/// Whether the schema says of this very value that it is not supported.
fn is_unsupported(case: &Case<'_>) -> bool {
    let stated = Stated::of_value(case.schema, case.value).filter(|stated| stated.is_of_value);
    stated.is_some_and(|stated| stated.state == State::NotSupported)
}

/// The first sentence of a schema's description.
pub(super) fn description(schema: &Value) -> Option<&str> {
    let text = schema.get("description")?.as_str()?;
    Some(text.split_once(". ").map_or(text, |(first, _)| first).trim_end_matches('.'))
}

fn expected(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(name) => words::type_name(name.as_str()).to_owned(),
        TypeKind::Multiple(names) => {
            let (nothing, something): (Vec<&str>, Vec<&str>) =
                names.iter().map(|name| name.as_str()).partition(|name| *name == "null");
            let names = something.into_iter().chain(nothing).map(words::type_name);
            words::alternatives(&names.map(str::to_owned).collect::<Vec<_>>())
        }
    }
}
