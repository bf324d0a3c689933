//! A configuration, and what the program says of it.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Output};
use std::time::Instant;

use serde_json::Value;
use tempfile::TempDir;

use crate::broker::Broker;
use crate::harness::{PATIENCE, text};

/// A file in a directory of its own.
pub(crate) struct File {
    directory: TempDir,
    lines: Vec<String>,
    /// The only environment that the program has.
    pub(crate) environment: BTreeMap<String, String>,
}

/// A problem that the program found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) code: String,
    /// The line of the file that it is about, without spaces around it.
    pub(crate) line: String,
    pub(crate) message: String,
    pub(crate) help: String,
}

impl Found {
    /// The command that mends it.
    pub(crate) fn command(&self) -> String {
        let (_, rest) =
            self.help.split_once(": ").unwrap_or_else(|| panic!("no command: {self:?}"));
        assert!(rest.starts_with("kafka-"), "{self:?}");
        rest.to_owned()
    }
}

impl File {
    /// A file whose client has these options, indented by six. The topics are `sessions`,
    /// `messages`, `retained` and `site` of a route.
    pub(crate) fn new(client: &str) -> Self {
        let text = format!(
            "\
name: test
bindings:
  tcp:
    type: tcp
    kind: server
    options:
      host: 127.0.0.1
      port: 7183
    exit: mqtt
  mqtt:
    type: mqtt
    kind: server
    exit: mapping
  mapping:
    type: mqtt-kafka
    kind: proxy
    options:
      topics:
        sessions: sessions
        messages: messages
        retained: retained
    routes:
      - when:
          - publish:
              - topic: site/#
          - subscribe:
              - topic: site/#
        with:
          messages: site
        exit: cache
    exit: cache
  cache:
    type: kafka
    kind: cache_client
    exit: log
  log:
    type: kafka
    kind: cache_server
    options:
      bootstrap:
        - messages
    exit: kafka
  kafka:
    type: kafka
    kind: client
    options:
{client}"
        );
        let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let lines = text.lines().map(str::to_owned).collect();
        let file = Self { directory, lines, environment: BTreeMap::new() };
        fs::write(file.directory.path().join("zilla.yaml"), text).unwrap();
        file
    }

    /// A file for a broker without SASL.
    pub(crate) fn plain(broker: &Broker) -> Self {
        Self::new(&format!("      servers: [\"{}\"]\n", broker.address))
    }

    /// Changes a text of the file, which must be there.
    pub(crate) fn replace(&mut self, from: &str, to: &str) {
        let text = self.lines.join("\n");
        assert!(text.contains(from), "{text}");
        let text = text.replace(from, to);
        fs::write(self.directory.path().join("zilla.yaml"), &text).unwrap();
        self.lines = text.lines().map(str::to_owned).collect();
    }

    /// Runs the program.
    pub(crate) fn zilla(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_zilla"))
            .args(arguments)
            .current_dir(self.directory.path())
            .env_clear()
            .envs(&self.environment)
            .output()
            .unwrap()
    }

    /// What `zilla validate --online` finds.
    pub(crate) fn validate(&self) -> Vec<Found> {
        let output = self.zilla(&["validate", "--online", "--timeout", "20", "--format", "json"]);
        self.found(&output)
    }

    /// What is in an output of `zilla validate --format json`.
    pub(crate) fn found(&self, output: &Output) -> Vec<Found> {
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!("{error}: {}", String::from_utf8_lossy(&output.stderr));
        });
        let problems = report["files"][0]["problems"].as_array().unwrap();
        let found = |problem: &Value| {
            let number = usize::try_from(problem["line"].as_u64().unwrap()).unwrap();
            Found {
                code: text(&problem["code"]).to_owned(),
                line: self.lines[number - 1].trim().to_owned(),
                message: text(&problem["message"]).to_owned(),
                help: problem["help"].as_str().unwrap_or_default().to_owned(),
            }
        };
        let has_errors = report["errors"].as_u64().unwrap() > 0;
        assert_eq!(output.status.code(), Some(i32::from(has_errors)), "{report}");
        problems.iter().map(found).collect()
    }

    /// That there are these problems, each a code and the line that it is about.
    #[track_caller]
    pub(crate) fn assert_finds(&self, expected: &[(&str, &str)]) -> Vec<Found> {
        let found = self.validate();
        let places: Vec<_> =
            found.iter().map(|found| (found.code.as_str(), found.line.as_str())).collect();
        assert_eq!(places, expected, "{found:#?}");
        found
    }

    /// That nothing is wrong once the broker has heard of what was changed, a little after the
    /// controller has.
    #[track_caller]
    pub(crate) fn assert_is_mended(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self.validate();
            if found.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "still wrong: {found:#?}");
        }
    }
}
