//! Looking whether what a binding needs outside of this process is there, without beginning to use
//! it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::{NodeName, Problem, RecordingEnvironment, Source, Span};
use crate::spi::shell_word;

/// A topic that a binding needs, and what it must be.
#[derive(Clone, Debug)]
pub struct TopicNeed {
    /// Its name; where `is_template`, as the file writes it.
    pub name: String,
    /// Whether the name is completed by what clients send, so that no topic can be looked for.
    pub is_template: bool,
    /// Where the file names it.
    pub span: Span,
    /// The binding that it is asked of. What that exits to is asked in turn.
    pub exit: NodeName,
    /// What it must keep; `None`: that is another binding's matter.
    pub keeps: Option<Keeps>,
    /// Whether it is read.
    pub is_read: bool,
    /// Whether it is written.
    pub is_written: bool,
    /// The largest record that it must at least take, bytes.
    pub least_record_bytes: u32,
    /// What a record has beyond what a client may send, bytes.
    pub record_overhead: u32,
    /// So many partitions can be told apart.
    pub most_partitions: u32,
}

/// Which of its records a topic must keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeps {
    /// Each, for a time.
    All,
    /// The last of each key, for good.
    LastOfKey,
}

/// What a check is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To find all that is wrong.
    Problems,
    /// To tell which topics there are, and how those that are missing are made.
    Topics {
        /// Whether they are made at once.
        creates: bool,
        /// With how many partitions.
        partitions: u32,
    },
}

/// What a check found.
#[derive(Debug, Default)]
pub struct Checkup {
    /// What is wrong. Values that the file takes from the environment are not in them: see
    /// [`CheckCx::shown`].
    pub problems: Vec<Problem>,
    /// The topics that were asked of this binding, each once.
    pub topics: Vec<TopicReport>,
}

/// What is known of a topic; no value of the environment is in it.
#[derive(Clone, Debug)]
pub struct TopicReport {
    /// Its name.
    pub name: String,
    /// Where the file names it.
    pub span: Span,
    /// What is there.
    pub state: TopicState,
    /// The command that makes it; `None` where there is nothing to make.
    pub command: Option<String>,
}

/// Whether a topic is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicState {
    /// It is, and what it is in words.
    Present(String),
    /// It was made just now.
    Created,
    /// It is not.
    Missing,
    /// That is not known, and why.
    Unknown(String),
}

/// What a definition may use while it is checked.
pub struct CheckCx<'a> {
    name: &'a NodeName,
    purpose: Purpose,
    timeout: Duration,
    topics: &'a [TopicNeed],
    addresses: &'a BTreeMap<NodeName, Vec<String>>,
    environment: &'a RecordingEnvironment<'a>,
    source: &'a Source,
}

impl<'a> CheckCx<'a> {
    /// What a definition is checked with: the topics that are asked of it, the addresses of
    /// bindings, and what was taken of the environment for a file.
    #[must_use]
    pub fn new(
        name: &'a NodeName,
        (purpose, timeout): (Purpose, Duration),
        topics: &'a [TopicNeed],
        addresses: &'a BTreeMap<NodeName, Vec<String>>,
        environment: &'a RecordingEnvironment<'a>,
        source: &'a Source,
    ) -> Self {
        Self { name, purpose, timeout, topics, addresses, environment, source }
    }

    /// The name of the binding that is checked.
    #[must_use]
    pub fn name(&self) -> &NodeName {
        self.name
    }

    /// What the check is for.
    #[must_use]
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// How long it may take.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The topics that bindings before this one ask of it, in the order of the file.
    #[must_use]
    pub fn topics(&self) -> &[TopicNeed] {
        self.topics
    }

    /// The addresses of an exit, `host:port` each.
    #[must_use]
    pub fn addresses(&self, exit: &NodeName) -> &[String] {
        self.addresses.get(exit).map_or(&[], Vec::as_slice)
    }

    /// A text with the expression of the file in place of each value that it takes from the
    /// environment: for messages.
    #[must_use]
    pub fn shown(&self, text: &str) -> String {
        self.environment.redact(self.source, text)
    }

    /// A value as one word of a shell's command, which takes from the environment what the file
    /// takes from there.
    #[must_use]
    pub fn word(&self, value: &str) -> String {
        let mut word = String::new();
        let shown = self.shown(value);
        let mut rest = shown.as_str();
        while let Some((before, name, after)) = next_variable(rest) {
            if !before.is_empty() {
                word.push_str(&shell_word(before));
            }
            word.push_str(&format!("\"${name}\""));
            rest = after;
        }
        if !rest.is_empty() || word.is_empty() {
            word.push_str(&shell_word(rest));
        }
        word
    }
}

/// The first `${{env.NAME}}` of a text: what is before it, the name, what is after it.
fn next_variable(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("${{env.")?;
    let (name, after) = rest.split_once("}}")?;
    Some((before, name, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;

    struct Fixed;

    impl Environment for Fixed {
        fn get(&self, name: &str) -> Option<String> {
            Some(if name == "HOST" { "kafka-1.example" } else { "o'hara" }.to_owned())
        }
    }

    #[test]
    fn a_word_takes_from_the_environment_what_the_file_does() {
        let environment = RecordingEnvironment::new(&Fixed);
        let source = Source::new("z.yaml", "a: ${{env.HOST}}:9092\n");
        let name = NodeName::new("n", "b");
        let addresses = BTreeMap::new();
        let (purpose, timeout) = (Purpose::Problems, Duration::ZERO);
        let cx = CheckCx::new(&name, (purpose, timeout), &[], &addresses, &environment, &source);
        assert_eq!(cx.word("kafka-1.example:9092"), "kafka-1.example:9092", "not taken");
        environment.get("HOST");
        environment.get("USER");
        assert_eq!(cx.word("kafka-1.example:9092"), "\"$HOST\":9092");
        assert_eq!(cx.word("User:o'hara"), "User:\"$USER\"");
        assert_eq!(cx.word("it's"), r"'it'\''s'");
        assert_eq!(cx.word(""), "''");
    }
}
