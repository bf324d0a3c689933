//! A child process that talks in lines and ends with the test.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How long anything may take that should happen at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A running program. Killed when dropped.
pub(crate) struct Process {
    name: String,
    child: Child,
    lines: Receiver<String>,
}

impl Process {
    /// Starts `command`; its standard output is read line by line.
    pub(crate) fn start(name: &str, command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let lines = lines(child.stdout.take().unwrap());
        Self { name: name.to_owned(), child, lines }
    }

    /// What the program writes to standard error, line by line; once, where that is piped.
    pub(crate) fn errors(&mut self) -> Receiver<String> {
        lines(self.child.stderr.take().expect("standard error is not piped"))
    }

    /// The next line of standard output.
    pub(crate) fn line(&self, awaited: &str) -> String {
        self.line_or_end(awaited).unwrap_or_else(|| panic!("{} ended before: {awaited}", self.name))
    }

    /// The next line, or `None` where the program has closed its output.
    pub(crate) fn line_or_end(&self, awaited: &str) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                panic!("waited {PATIENCE:?} for {}: {awaited}", self.name)
            }
        }
    }

    /// Writes a line to the program's standard input.
    pub(crate) fn send(&mut self, line: &str) {
        let input = self.child.stdin.as_mut().unwrap();
        writeln!(input, "{line}")
            .unwrap_or_else(|error| panic!("{} took no line: {error}", self.name));
    }

    /// Ends the program as `kill -9` does, and waits until it has ended.
    pub(crate) fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }

    /// The process's id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, by name.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status()
            .expect("run kill");
        assert!(status.success(), "cannot send {name} to {}", self.name);
    }

    /// Waits until the program has ended; the lines that it wrote until then, and its status.
    pub(crate) fn end(&mut self) -> (Vec<String>, ExitStatus) {
        let deadline = Instant::now() + PATIENCE;
        let mut rest = Vec::new();
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => rest.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("waited {PATIENCE:?} for the end of {}; it wrote {rest:?}", self.name)
                }
            }
        }
        (rest, self.child.wait().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of a stream, read by a thread of their own until it ends.
fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { break };
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}
