//! Zilla's properties, `-P NAME=VALUE`, as far as they mean something here.

use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use crate::cli::duration::iso_duration;
use crate::config::{Location, Secret};
use crate::spi::{Catalog, Origin, OriginProperty, Property, PropertyValues};

/// The options that give properties.
#[derive(Debug, clap::Args)]
pub(super) struct PropertyOptions {
    /// A property of Zilla, as the engine is started with; may be repeated. Those that mean
    /// something here have effect, of the others a warning says that they have none.
    #[arg(short = 'P', long = "property", value_name = "NAME[=VALUE]", global = true)]
    properties: Vec<String>,
    /// A file of properties, in Java's format. --property goes before it.
    #[arg(short = 'p', long = "properties", value_name = "FILE", global = true)]
    properties_file: Option<PathBuf>,
}

impl PropertyOptions {
    /// What they ask for.
    ///
    /// # Errors
    /// What to say where the file cannot be read, or a value has no meaning.
    pub(super) fn read(&self, catalog: &Catalog) -> Result<Properties, String> {
        let offered = Offered { of_bindings: catalog.properties, origins: catalog.origins };
        Properties::read(self.properties_file.as_deref(), &self.properties, offered)
    }

    /// The same, with where the configuration is if `given` is what the command line says of it.
    ///
    /// # Errors
    /// The status to exit with; what is wrong has been said.
    pub(super) fn locate(
        &self,
        catalog: &Catalog,
        given: Option<&String>,
    ) -> Result<(Location, Properties), ExitCode> {
        let read = self.read(catalog);
        let located = read.and_then(|properties| Ok((properties.location(given)?, properties)));
        located.map_err(|error| {
            eprintln!("zilla: {error}");
            ExitCode::from(2)
        })
    }
}

/// What properties ask for.
#[derive(Debug, Default)]
pub(super) struct Properties {
    /// The configuration, as newer versions name it.
    config_uri: Option<String>,
    /// The same, as older ones do.
    config_url: Option<String>,
    /// Where the file `ready` is.
    pub(super) directory: Option<PathBuf>,
    pub(super) workers: Option<u16>,
    pub(super) watches: bool,
    /// The credentials for the configuration's address.
    pub(super) authorization: Option<Secret>,
    /// What lies between two questions for changes of an address.
    pub(super) poll_interval: Option<Duration>,
    pub(super) is_verbose: bool,
    /// Those that bindings read, by name.
    pub(super) of_bindings: PropertyValues,
    /// What has no effect, in words.
    warnings: Vec<String>,
}

/// What a property is here.
#[derive(Clone, Copy, Debug)]
enum Meaning {
    ConfigUri,
    ConfigUrl,
    Directory,
    Workers,
    Watch,
    /// A number of seconds.
    PollInterval,
    /// One of what fetches from addresses.
    Origin(OriginProperty),
    Verbose,
    /// What it asks for is always so.
    Always,
}

/// How often an address can be asked: every hundredth of a second, up to once a day.
const INTERVALS: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(86_400);

/// The properties that the engine reads; what bindings and origins read, the catalog lists.
/// docs/from-zilla.md has all.
const KNOWN: &[(&str, Meaning)] = &[
    ("zilla.engine.config.uri", Meaning::ConfigUri),
    ("zilla.engine.config.url", Meaning::ConfigUrl),
    ("zilla.engine.config.watch", Meaning::Watch),
    ("zilla.engine.config.poll.interval.seconds", Meaning::PollInterval),
    ("zilla.engine.directory", Meaning::Directory),
    ("zilla.engine.workers", Meaning::Workers),
    ("zilla.engine.verbose", Meaning::Verbose),
    ("zilla.engine.verbose.events", Meaning::Always),
    ("zilla.engine.verbose.exceptions", Meaning::Always),
];

/// The properties of the catalog.
#[derive(Clone, Copy, Default)]
struct Offered<'a> {
    of_bindings: &'a [&'a [Property]],
    origins: &'a [&'a dyn Origin],
}

impl Properties {
    /// Those of a file, and then those of the command line.
    ///
    /// # Errors
    /// What to say where the file cannot be read, or a value has no meaning.
    fn read(file: Option<&Path>, given: &[String], offered: Offered<'_>) -> Result<Self, String> {
        let mut properties = Self { watches: true, ..Self::default() };
        if let Some(file) = file {
            let text = fs::read_to_string(file)
                .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
            for (name, value) in entries(&text) {
                properties.set(&name, &value, offered)?;
            }
        }
        for property in given {
            // Without a value, a property is switched on.
            let (name, value) = property.split_once('=').unwrap_or((property, "true"));
            properties.set(name, value, offered)?;
        }
        Ok(properties)
    }

    /// Where the configuration is, if `given` is what the command line says. A property that names
    /// it as Zilla's newer versions do goes before that, and that before the older one.
    ///
    /// # Errors
    /// What is wrong with it.
    fn location(&self, given: Option<&String>) -> Result<Location, String> {
        let named = self.config_uri.as_ref().or(given).or(self.config_url.as_ref());
        Location::parse(named.map_or("./zilla.yaml", String::as_str).into())
    }

    /// Says what has no effect.
    pub(super) fn warn(&self) {
        for warning in &self.warnings {
            eprintln!("zilla: {warning}");
        }
    }

    fn set(&mut self, name: &str, value: &str, offered: Offered<'_>) -> Result<(), String> {
        let wrong = |what: &str| format!("the property {name} cannot be `{value}`: {what}");
        if let Some(property) =
            offered.of_bindings.iter().copied().flatten().find(|property| property.name == name)
        {
            (property.check)(value).map_err(wrong)?;
            self.of_bindings.insert(property.name, value.to_owned());
            return Ok(());
        }
        let of_origins = offered.origins.iter().flat_map(|origin| origin.properties());
        let of_origins = of_origins.map(|(name, property)| (*name, Meaning::Origin(*property)));
        let known = KNOWN.iter().copied().chain(of_origins).find(|(known, _)| *known == name);
        let Some((_, meaning)) = known else {
            self.warnings.push(format!("the property {name} has no effect here"));
            return Ok(());
        };
        let flag = || value.parse::<bool>().map_err(|_| wrong("it is true or false"));
        match meaning {
            Meaning::ConfigUri => self.config_uri = Some(value.to_owned()),
            Meaning::ConfigUrl => self.config_url = Some(value.to_owned()),
            Meaning::Directory => match Location::parse(value.into()) {
                Ok(Location::File(path)) => self.directory = Some(path),
                _ => return Err(wrong("it is a path or a URI of the form file:PATH")),
            },
            Meaning::Workers => {
                let workers = value.parse().ok().filter(|workers| (1..=256).contains(workers));
                self.workers = Some(workers.ok_or_else(|| wrong("it is a number from 1 to 256"))?);
            }
            Meaning::Watch => self.watches = flag()?,
            Meaning::PollInterval => {
                let interval = value.parse().ok().map(Duration::from_secs);
                let interval = interval.filter(|interval| INTERVALS.contains(interval));
                let interval = interval.ok_or_else(|| wrong("it is a number from 1 to 86400"))?;
                self.poll_interval = Some(interval);
            }
            Meaning::Origin(OriginProperty::Authorization) => {
                self.authorization = Some(Secret::new(value));
            }
            Meaning::Origin(OriginProperty::Interval) => {
                let interval = iso_duration(value).filter(|found| INTERVALS.contains(found));
                let form = "it is a duration such as PT30S, from PT0.01S to P1D";
                self.poll_interval = Some(interval.ok_or_else(|| wrong(form))?);
            }
            Meaning::Verbose => self.is_verbose = flag()?,
            Meaning::Always => {}
        }
        Ok(())
    }
}

/// The entries of a file in Java's format of properties: `#` and `!` begin a comment; `=`, `:` or
/// white space ends a name; a backslash at the end joins the next line, elsewhere it escapes.
fn entries(text: &str) -> Vec<(String, String)> {
    let mut entries = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let mut logical = line.trim_start().to_owned();
        if logical.is_empty() || logical.starts_with(['#', '!']) {
            continue;
        }
        // An even number of backslashes at the end are themselves escaped.
        while logical.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1 {
            logical.pop();
            let Some(next) = lines.next() else { break };
            logical.push_str(next.trim_start());
        }
        entries.push(entry(&logical));
    }
    entries
}

fn entry(line: &str) -> (String, String) {
    let (mut name, mut value) = (String::new(), String::new());
    let mut is_name = true;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        let c = match c {
            '\\' => match chars.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\u{c}',
                Some('u') => {
                    let digits: String = chars.by_ref().take(4).collect();
                    let code = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
                    code.unwrap_or(char::REPLACEMENT_CHARACTER)
                }
                Some(other) => other,
                None => break,
            },
            '=' | ':' | ' ' | '\t' if is_name => {
                is_name = false;
                // White space, then one separator, then white space.
                let mut has_separator = matches!(c, '=' | ':');
                while let Some(next) = chars.peek() {
                    match next {
                        ' ' | '\t' => {}
                        '=' | ':' if !has_separator => has_separator = true,
                        _ => break,
                    }
                    chars.next();
                }
                continue;
            }
            c => c,
        };
        if is_name { name.push(c) } else { value.push(c) }
    }
    (name, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_properties_is_read_as_java_does() {
        let text = "# c\n! c\n\n a = 1\nb:2\nc 3 4\nd\\=e=x\\\n   y\nf=\\u00e9\\t\\\\\ng\nh==i\n";
        let expected = [
            ("a", "1"),
            ("b", "2"),
            ("c", "3 4"),
            ("d=e", "xy"),
            ("f", "é\t\\"),
            ("g", ""),
            ("h", "=i"),
        ];
        let expected: Vec<_> =
            expected.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        assert_eq!(entries(text), expected);
    }

    #[test]
    fn the_command_line_goes_before_the_file_and_what_is_unknown_is_named() {
        let given = ["zilla.engine.workers=3", "zilla.engine.verbose", "zilla.other=1"];
        let properties =
            Properties::read(None, &given.map(str::to_owned), Offered::default()).unwrap();
        assert_eq!((properties.workers, properties.is_verbose), (Some(3), true));
        assert_eq!(properties.warnings, ["the property zilla.other has no effect here"]);
        assert!(properties.watches);
        for wrong in [
            "zilla.engine.workers=0",
            "zilla.engine.config.watch=maybe",
            "zilla.engine.config.poll.interval.seconds=0",
            "zilla.engine.config.poll.interval.seconds=90000",
            "zilla.engine.directory=ftp://host/directory",
        ] {
            assert!(
                Properties::read(None, &[wrong.to_owned()], Offered::default()).is_err(),
                "{wrong}"
            );
        }
    }

    #[test]
    fn what_a_binding_reads_is_checked_and_the_last_value_holds() {
        let check = |value: &str| value.parse::<u8>().map(drop).map_err(|_| "it is a small number");
        let known = [Property { name: "zilla.binding.a.size", check }];
        let known = Offered { of_bindings: &[&known], origins: &[] };
        let given = ["zilla.binding.a.size=1", "zilla.binding.a.size=2"].map(str::to_owned);
        let properties = Properties::read(None, &given, known).unwrap();
        assert_eq!(properties.of_bindings["zilla.binding.a.size"], "2");
        assert!(properties.warnings.is_empty());
        let wrong = Properties::read(None, &["zilla.binding.a.size=x".to_owned()], known);
        let message = "the property zilla.binding.a.size cannot be `x`: it is a small number";
        assert_eq!(wrong.unwrap_err(), message);
    }
}
