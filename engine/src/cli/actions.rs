//! The actions that the bindings of a program know, as commands and as a schema.

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Map, Value};

use crate::spi::{Action, Catalog};

/// What [`Catalog::actions`] says.
pub(super) struct Actions(Value);

impl Actions {
    pub(super) fn new(catalog: &Catalog) -> Self {
        Self(serde_json::from_str(catalog.actions).unwrap_or_default())
    }

    /// The schema of the arguments of each verb.
    pub(super) fn verbs(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.0.get("verbs").and_then(Value::as_object).into_iter().flatten()
    }

    /// What a fact is called.
    pub(super) fn title<'a>(&'a self, fact: &'a str) -> &'a str {
        self.0["facts"][fact]["title"].as_str().unwrap_or(fact)
    }

    fn arguments<'a>(&'a self, verb: &'a Value) -> impl Iterator<Item = (&'a String, &'a Value)> {
        let properties = verb.get("properties").and_then(Value::as_object).into_iter().flatten();
        properties.map(|(name, schema)| (name, self.resolved(schema)))
    }

    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let target = schema.get("$ref").and_then(Value::as_str);
        let target = target.and_then(|target| self.0.pointer(target.trim_start_matches('#')));
        target.unwrap_or(schema)
    }

    /// A command for each verb.
    pub(super) fn commands(&self) -> Vec<Command> {
        let describe =
            |schema: &Value| schema["description"].as_str().unwrap_or_default().to_owned();
        let command = |(verb, schema): (&String, &Value)| {
            let required = schema["required"].as_array().cloned().unwrap_or_default();
            let arguments = self.arguments(schema).map(|(name, schema)| {
                let argument = Arg::new(name.clone())
                    .long(name.clone())
                    .required(required.iter().any(|required| required == name))
                    .help(describe(schema));
                argument_of(argument, schema)
            });
            // `--version` is an argument here.
            let command = Command::new(verb.clone()).disable_version_flag(true);
            command.about(describe(schema)).args(arguments)
        };
        self.verbs().map(command).collect()
    }

    /// What a command line asks for.
    pub(super) fn action(&self, verb: &str, matches: &ArgMatches) -> Action {
        let mut arguments = Map::new();
        let schema = self.verbs().find(|(name, _)| *name == verb).map(|(_, schema)| schema);
        for (name, schema) in schema.into_iter().flat_map(|schema| self.arguments(schema)) {
            let value = match schema["type"].as_str() {
                Some("boolean") => matches.get_flag(name).then_some(Value::Bool(true)),
                Some("integer") => matches.get_one::<u64>(name).map(|&number| number.into()),
                Some("array") => matches.get_many::<String>(name).map(|all| all.cloned().collect()),
                _ => matches.get_one::<String>(name).map(|text| as_written(text, schema)),
            };
            arguments.extend(value.map(|value| (name.clone(), value)));
        }
        Action::new(verb, arguments)
    }

    /// The schema of tests: that of the engine, with an action a verb and what is expected of each
    /// fact.
    pub(super) fn test_schema(&self) -> Result<Value, String> {
        let schema = serde_json::from_str::<Value>(schema::TEST);
        let mut schema = schema.map_err(|error| format!("tests: {error}"))?;
        let verbs: Vec<&String> = self.verbs().map(|(verb, _)| verb).collect();
        let one = |verb: &String| Value::Array(vec![verb.clone().into()]);
        let branches = verbs.iter().map(|verb| Value::from_iter([("required", one(verb))]));
        schema["$defs"]["test"]["oneOf"] = branches.collect();
        for (verb, arguments) in self.verbs() {
            schema["$defs"]["test"]["properties"][verb] = arguments.clone();
        }
        let facts = self.0.get("facts").and_then(Value::as_object).into_iter().flatten();
        for (fact, value) in facts {
            schema["$defs"]["expect"]["properties"][fact] = value.clone();
        }
        let shared = self.0.get("$defs").and_then(Value::as_object).into_iter().flatten();
        for (name, value) in shared {
            schema["$defs"][name] = value.clone();
        }
        Ok(schema)
    }
}

/// An argument of the type that its schema says.
fn argument_of(argument: Arg, schema: &Value) -> Arg {
    let bound = |keyword: &str| schema[keyword].as_u64();
    match schema["type"].as_str() {
        Some("boolean") => argument.action(ArgAction::SetTrue),
        Some("integer") => {
            let least = bound("minimum").unwrap_or(0);
            let most = bound("maximum").unwrap_or(u64::MAX);
            argument.value_name("N").value_parser(clap::value_parser!(u64).range(least..=most))
        }
        Some("array") => argument.value_name("TEXT").action(ArgAction::Append),
        _ => match schema["enum"].as_array() {
            Some(options) => {
                let mut words: Vec<String> = options.iter().map(word).collect();
                words.sort();
                words.dedup();
                argument
                    .value_name("VALUE")
                    .value_parser(clap::builder::PossibleValuesParser::new(words))
            }
            None => argument.value_name("TEXT"),
        },
    }
}

/// A value as a command line has it.
fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The value that a word of the command line stands for.
fn as_written(text: &str, schema: &Value) -> Value {
    let options = schema["enum"].as_array().into_iter().flatten();
    let option = options.into_iter().find(|option| word(option) == text);
    option.cloned().unwrap_or_else(|| text.into())
}
