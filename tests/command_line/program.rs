//! Running the program.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use tempfile::TempDir;

/// A configuration without problems, from a listening socket to Kafka.
pub(crate) const CHAIN: &str = "\
name: edge
bindings:
  north:
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
        sessions: mqtt-sessions
        messages: mqtt-messages
        retained: mqtt-retained
    exit: log
  log:
    type: kafka
    kind: cache_client
    exit: log_server
  log_server:
    type: kafka
    kind: cache_server
    exit: kafka
  kafka:
    type: kafka
    kind: client
    options:
      servers:
        - kafka.example:9092
";

/// The repository.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A directory that ends with the test.
pub(crate) fn directory() -> TempDir {
    TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// The program with `arguments`, in an environment that has only what examples ask for.
pub(crate) fn command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zilla"));
    command
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("XDG_RUNTIME_DIR", directory)
        .env("HOST", "kafka.example")
        .env("PASSWORD", "hunter2");
    command
}

/// What a run of the program said.
pub(crate) struct Said {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Runs the program to its end.
pub(crate) fn zilla(directory: &Path, arguments: &[&str]) -> Said {
    command(directory, arguments).output().unwrap().into()
}

/// An engine that runs; ended, if need be, with the test.
pub(crate) struct Engine {
    pub(crate) child: Child,
    /// What it printed before the line that says that it is ready.
    pub(crate) start: Vec<String>,
    /// Open, so that it can go on to print.
    _stdout: Lines<BufReader<ChildStdout>>,
}

impl Engine {
    /// Starts on `zilla.yaml` of a directory, with the log of its own process, and waits until it
    /// is ready.
    pub(crate) fn start(directory: &Path, arguments: &[&str]) -> Self {
        Self::start_in(directory, arguments, &[])
    }

    /// The same with more variables in its environment.
    pub(crate) fn start_in(
        directory: &Path,
        arguments: &[&str],
        variables: &[(&str, &Path)],
    ) -> Self {
        let log = format!("embedded:{}", directory.join("log").display());
        let mut child = command(directory, &["start", "--kafka", &log])
            .args(arguments)
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(File::create(directory.join("engine.log")).unwrap())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut start = Vec::new();
        for line in lines.by_ref() {
            let line = line.unwrap();
            if line == "zilla: ready" {
                break;
            }
            start.push(line);
        }
        let engine = Self { child, start, _stdout: lines };
        let log = fs::read_to_string(directory.join("engine.log")).unwrap();
        assert!(!engine.start.is_empty(), "the engine did not start: {log}");
        engine
    }

    /// The address of a binding, `host:port`.
    pub(crate) fn address(&self, binding: &str) -> String {
        let end = format!(" ({binding})");
        let line = self.start.iter().find(|line| line.ends_with(&end)).unwrap();
        line.split("://").nth(1).unwrap().trim_end_matches(&end).to_owned()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Compares what was said with a file of the repository, or with `ZILLA_BLESS=1` writes it there.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "a switch for the developer, not configuration")]
pub(crate) fn assert_is_file(said: &str, path: &str) {
    let path = root().join(path);
    if std::env::var("ZILLA_BLESS").is_ok_and(|value| value == "1") {
        fs::write(&path, said).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(said == expected, "{} differs (ZILLA_BLESS=1 writes it):\n{said}", path.display());
}
