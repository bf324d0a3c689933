//! From the validator's errors to problems that say what to do.

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use serde_json::Value;

use crate::config::node::Origin;
use crate::config::schema::{BINDING, words};
use crate::config::tree::{Document, push_segment, shortened};
use crate::config::{Problem, Problems, Span, codes, suggest};

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
        let path = error.schema_path().as_str();
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        let schema = self.schema.pointer(parent).unwrap_or(&Value::Null);
        let case = Case { pointer, value: error.instance().as_ref(), schema };
        if schema.get("x-not-supported") == Some(&Value::Bool(true)) {
            let message = format!("{} is not supported by this version yet", self.subject(pointer));
            problems.push(
                Problem::new(codes::E0206, self.key(pointer), message).with_help("remove it"),
            );
            return;
        }
        match error.kind() {
            Kind::AdditionalProperties { unexpected }
            | Kind::UnevaluatedProperties { unexpected } => {
                // An expression as a key has been reported.
                for name in unexpected.iter().filter(|name| !name.contains("${{")) {
                    problems.push(self.unexpected(&case, name));
                }
            }
            Kind::Required { property } => problems.push(self.missing(&case, &[property])),
            Kind::Type { kind } => problems.push(self.wrong_type(&case, &expected(kind))),
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

    fn key(&self, pointer: &str) -> Span {
        words::place(self.document, pointer).key.clone()
    }

    pub(super) fn value(&self, pointer: &str) -> Span {
        words::place(self.document, pointer).value.clone()
    }

    fn unexpected(&self, case: &Case<'_>, name: &str) -> Problem {
        let mut pointer = case.pointer.to_owned();
        push_segment(&mut pointer, name);
        let place = self.key(&pointer);
        let (shown, owner) = (shortened(name), self.owner(case.pointer));
        if self.is_unsupported(case, name) {
            let message = format!("`{shown}` {owner} is not supported by this version yet");
            return Problem::new(codes::E0206, place, message).with_help("remove it");
        }
        let properties = case.schema.get("properties").and_then(Value::as_object);
        let Some(properties) = properties.filter(|properties| !properties.is_empty()) else {
            let patterns = case.schema.get("patternProperties").and_then(Value::as_object);
            let pattern = patterns.and_then(|patterns| patterns.keys().next());
            return self.bad_name(case, name, pattern.map(String::as_str));
        };
        let message = format!("unknown property `{shown}` {owner}");
        let allowed = || properties.keys().map(String::as_str);
        let help = if name == "<<" {
            "YAML 1.2 has no merge keys: write the properties out".to_owned()
        } else if let Some(close) = suggest(name, allowed()) {
            format!("did you mean `{close}`?")
        } else {
            let names: Vec<String> = allowed().map(|name| format!("`{name}`")).collect();
            format!("allowed here: {}", names.join(", "))
        };
        Problem::new(codes::E0202, place, message).with_help(help)
    }

    /// Whether Zilla has the property and this version has not.
    fn is_unsupported(&self, case: &Case<'_>, name: &str) -> bool {
        let everywhere =
            self.schema.pointer(BINDING).filter(|_| case.pointer.starts_with("/bindings/"));
        let lists = [Some(case.schema), everywhere];
        lists.into_iter().flatten().any(|schema| lists_as_unsupported(schema, name))
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
        if let [Value::String(name)] = properties {
            let property = case.schema.pointer(&format!("/properties/{name}"));
            let options = property.and_then(|property| property.get("enum")?.as_array());
            let what = match options {
                Some(options) => Some(words::alternatives(
                    &options.iter().map(words::literal).collect::<Vec<_>>(),
                )),
                None => property.and_then(description).map(str::to_owned),
            };
            if let Some(what) = what {
                problem = problem.with_help(format!("add `{name}`: {what}"));
            }
        }
        problem
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
        let mut problem = Problem::new(codes::E0204, self.value(case.pointer), message);
        if expected == words::type_name("string") && !case.value.is_object() {
            problem = problem.with_help("quote it");
        }
        problem
    }

    fn not_listed(&self, case: &Case<'_>, options: &[Value]) -> Problem {
        let shown = words::shown(self.document, case.pointer, case.value);
        let place = self.value(case.pointer);
        let subject = self.subject(case.pointer);
        if let Some(name) = case.value.as_str().filter(|name| self.is_unsupported_value(case, name))
        {
            // `options` of the type are not known, so the value itself is the subject.
            let shown = if self.is_from_file(case.pointer) { format!("`{name}`") } else { shown };
            let message = format!("{subject}: {shown} is not supported by this version yet");
            return Problem::new(codes::E0206, place, message);
        }
        let names: Vec<String> = options.iter().map(words::literal).collect();
        let message = format!("{subject} cannot be {shown}");
        let close = case.value.as_str().filter(|_| self.is_from_file(case.pointer));
        let close =
            close.and_then(|value| suggest(value, options.iter().filter_map(Value::as_str)));
        let close = close.map(|close| format!("did you mean `{close}`? ")).unwrap_or_default();
        let allowed = format!("{close}allowed: {}", names.join(", "));
        Problem::new(codes::E0205, place, message).with_help(allowed)
    }

    fn is_unsupported_value(&self, case: &Case<'_>, value: &str) -> bool {
        if lists_as_unsupported(case.schema, value) {
            return true;
        }
        let segments = words::segments(case.pointer);
        let [section, name, property] = segments.as_slice() else { return false };
        let kinds = self.schema.pointer(&format!("{BINDING}/x-not-supported-kinds"));
        let binding = self.document.value.get(section).and_then(|section| section.get(name));
        let type_name = binding.and_then(|binding| binding.get("type")).and_then(Value::as_str);
        let kinds = kinds.zip(type_name).and_then(|(kinds, type_name)| kinds.get(type_name));
        property == "kind"
            && kinds
                .and_then(Value::as_array)
                .is_some_and(|kinds| kinds.iter().any(|kind| kind == value))
    }

    fn is_from_file(&self, pointer: &str) -> bool {
        self.document.places.get(pointer).is_none_or(|place| place.origin == Origin::File)
    }

    fn forbidden(&self, case: &Case<'_>) -> Problem {
        let (parent, name) = case.pointer.rsplit_once('/').unwrap_or_default();
        let name = shortened(&words::segments(&format!("/{name}")).concat());
        let message = format!("`{name}` is not allowed {}", self.owner(parent));
        Problem::new(codes::E0208, self.key(case.pointer), message).with_help("remove it")
    }
}

fn lists_as_unsupported(schema: &Value, name: &str) -> bool {
    let list = schema.get("x-not-supported").and_then(Value::as_array);
    list.is_some_and(|list| list.iter().any(|entry| entry == name))
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
            let names: Vec<String> =
                names.iter().map(|name| words::type_name(name.as_str()).to_owned()).collect();
            words::alternatives(&names)
        }
    }
}
