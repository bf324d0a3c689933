//! Zilla's properties, `-P NAME=VALUE`, as far as they mean something here.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::spi::Property;

/// What properties ask for.
#[derive(Debug, Default)]
pub(super) struct Properties {
    /// The configuration file, as newer versions name it.
    pub(super) config_uri: Option<String>,
    /// The same, as older ones do.
    pub(super) config_url: Option<String>,
    /// Where the file `ready` is.
    pub(super) directory: Option<PathBuf>,
    pub(super) workers: Option<u16>,
    pub(super) watches: bool,
    pub(super) is_verbose: bool,
    /// Those that bindings read, by name.
    pub(super) of_bindings: BTreeMap<&'static str, String>,
    /// What has no effect, in words.
    pub(super) warnings: Vec<String>,
}

/// What a property is here.
#[derive(Clone, Copy, Debug)]
enum Meaning {
    ConfigUri,
    ConfigUrl,
    Directory,
    Workers,
    Watch,
    Verbose,
    /// What it asks for is always so.
    Always,
}

/// The properties that the engine reads; what bindings read, the catalog lists. docs/from-zilla.md
/// has both.
const KNOWN: &[(&str, Meaning)] = &[
    ("zilla.engine.config.uri", Meaning::ConfigUri),
    ("zilla.engine.config.url", Meaning::ConfigUrl),
    ("zilla.engine.config.watch", Meaning::Watch),
    ("zilla.engine.directory", Meaning::Directory),
    ("zilla.engine.workers", Meaning::Workers),
    ("zilla.engine.verbose", Meaning::Verbose),
    ("zilla.engine.verbose.events", Meaning::Always),
    ("zilla.engine.verbose.exceptions", Meaning::Always),
];

impl Properties {
    /// Those of a file, and then those of the command line.
    ///
    /// # Errors
    /// What to say where the file cannot be read, or a value has no meaning.
    pub(super) fn read(
        file: Option<&Path>,
        given: &[String],
        of_bindings: &[Property],
    ) -> Result<Self, String> {
        let mut properties = Self { watches: true, ..Self::default() };
        if let Some(file) = file {
            let text = fs::read_to_string(file)
                .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
            for (name, value) in entries(&text) {
                properties.set(&name, &value, of_bindings)?;
            }
        }
        for property in given {
            // Without a value, a property is switched on.
            let (name, value) = property.split_once('=').unwrap_or((property, "true"));
            properties.set(name, value, of_bindings)?;
        }
        Ok(properties)
    }

    fn set(&mut self, name: &str, value: &str, of_bindings: &[Property]) -> Result<(), String> {
        let wrong = |what: &str| format!("the property {name} cannot be `{value}`: {what}");
        if let Some(property) = of_bindings.iter().find(|property| property.name == name) {
            (property.check)(value).map_err(wrong)?;
            self.of_bindings.insert(property.name, value.to_owned());
            return Ok(());
        }
        let known = KNOWN.iter().find(|(known, _)| *known == name);
        let Some((_, meaning)) = known else {
            self.warnings.push(format!("the property {name} has no effect here"));
            return Ok(());
        };
        let flag = || value.parse::<bool>().map_err(|_| wrong("it is true or false"));
        match meaning {
            Meaning::ConfigUri => self.config_uri = Some(value.to_owned()),
            Meaning::ConfigUrl => self.config_url = Some(value.to_owned()),
            Meaning::Directory => self.directory = Some(path_of(value)?),
            Meaning::Workers => {
                let workers = value.parse().ok().filter(|workers| (1..=256).contains(workers));
                self.workers = Some(workers.ok_or_else(|| wrong("it is a number from 1 to 256"))?);
            }
            Meaning::Watch => self.watches = flag()?,
            Meaning::Verbose => self.is_verbose = flag()?,
            Meaning::Always => {}
        }
        Ok(())
    }
}

/// The path that a path or a URI of a file means.
///
/// # Errors
/// What to say where it is the URI of something else.
pub(super) fn path_of(text: &str) -> Result<PathBuf, String> {
    let Some((scheme, rest)) = text.split_once(':') else { return Ok(PathBuf::from(text)) };
    let is_scheme = scheme.len() > 1 && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !is_scheme || scheme.contains('/') {
        return Ok(PathBuf::from(text));
    }
    if scheme.eq_ignore_ascii_case("file") {
        let path = rest.strip_prefix("//localhost/").map(|path| format!("/{path}"));
        let path = path.unwrap_or_else(|| rest.strip_prefix("//").unwrap_or(rest).to_owned());
        return Ok(PathBuf::from(path));
    }
    Err(format!("{text}: a configuration is a file; fetch it first"))
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
    fn a_file_is_named_by_path_or_uri() {
        for (text, path) in [
            ("zilla.yaml", "zilla.yaml"),
            ("/etc/a:b.yaml", "/etc/a:b.yaml"),
            ("file:zilla.yaml", "zilla.yaml"),
            ("file:/etc/zilla.yaml", "/etc/zilla.yaml"),
            ("file:///etc/zilla.yaml", "/etc/zilla.yaml"),
            ("file://localhost/etc/zilla.yaml", "/etc/zilla.yaml"),
        ] {
            assert_eq!(path_of(text).unwrap(), Path::new(path), "{text}");
        }
        assert!(path_of("ftp://host.example/zilla.yaml").is_err());
    }

    #[test]
    fn the_command_line_goes_before_the_file_and_what_is_unknown_is_named() {
        let given = ["zilla.engine.workers=3", "zilla.engine.verbose", "zilla.other=1"];
        let properties = Properties::read(None, &given.map(str::to_owned), &[]).unwrap();
        assert_eq!((properties.workers, properties.is_verbose), (Some(3), true));
        assert_eq!(properties.warnings, ["the property zilla.other has no effect here"]);
        assert!(properties.watches);
        for wrong in ["zilla.engine.workers=0", "zilla.engine.config.watch=maybe"] {
            assert!(Properties::read(None, &[wrong.to_owned()], &[]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_a_binding_reads_is_checked_and_the_last_value_holds() {
        let check = |value: &str| value.parse::<u8>().map(drop).map_err(|_| "it is a small number");
        let known = [Property { name: "zilla.binding.a.size", check }];
        let given = ["zilla.binding.a.size=1", "zilla.binding.a.size=2"].map(str::to_owned);
        let properties = Properties::read(None, &given, &known).unwrap();
        assert_eq!(properties.of_bindings["zilla.binding.a.size"], "2");
        assert!(properties.warnings.is_empty());
        let wrong = Properties::read(None, &["zilla.binding.a.size=x".to_owned()], &known);
        let message = "the property zilla.binding.a.size cannot be `x`: it is a small number";
        assert_eq!(wrong.unwrap_err(), message);
    }
}
