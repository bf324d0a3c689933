//! The status socket: a Unix socket that only this user can reach, found from the path or the
//! address of the configuration. One question a connection, both it and its answer a JSON document.

mod leftovers;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use tokio::sync::oneshot;

use crate::config::{Location, Source};
use crate::graph::Forecast;
use crate::runtime::Status;

/// How long either side waits for the other.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long until a connection is accepted where that failed.
const PAUSE: Duration = Duration::from_millis(100);

/// A question is at most so large, bytes: twice what a configuration file can be, for the escapes
/// of JSON.
const MOST: u64 = 32 << 20;

/// What can be asked of a running engine.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Question {
    /// Its state.
    Status,
    /// What a configuration would do to it.
    Plan {
        /// The name of the configuration's file.
        name: String,
        /// The configuration.
        text: String,
    },
    /// To end. The connection stays open until it has.
    Stop,
}

/// What a running engine answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    /// Its state.
    Status(Box<Status>),
    /// What the configuration would do.
    Plan(Forecast),
    /// The problems of the configuration, as text.
    Refused(String),
    /// It ends.
    Stopping,
}

/// The path of the status socket of an engine that runs on `config`.
///
/// # Errors
/// Where the file or the directory for sockets cannot be reached, or the directory is another
/// user's.
pub fn admin_path(config: &Location) -> io::Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    match config {
        Location::File(path) => std::path::absolute(path)?.hash(&mut hasher),
        Location::Address(address) => address.target().hash(&mut hasher),
    }
    let directory = directory()?;
    Ok(directory.join(format!("{:016x}.sock", hasher.finish())))
}

fn directory() -> io::Result<PathBuf> {
    let own = std::fs::metadata("/proc/self")?.uid();
    let directory = match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(runtime) if !runtime.is_empty() => PathBuf::from(runtime).join("zilla"),
        _ => std::env::temp_dir().join(format!("zilla-{own}")),
    };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
    let metadata = std::fs::symlink_metadata(&directory)?;
    if !metadata.is_dir() || metadata.uid() != own {
        let message = format!("{} belongs to another user", directory.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
    }
    Ok(directory)
}

/// Asks the engine that runs on `config` for its state.
///
/// # Errors
/// Where none runs on it, or it does not answer.
pub fn ask(config: &Location) -> io::Result<Status> {
    match exchange(config, &Question::Status, PATIENCE)? {
        Answer::Status(status) => Ok(*status),
        _ => Err(something_else()),
    }
}

/// Asks the engine that runs on `config` what another configuration would do to it; or what is
/// wrong with that one, as text.
///
/// # Errors
/// Where none runs on it, or it does not answer.
pub fn foretell(config: &Location, new: &Source) -> io::Result<Result<Forecast, String>> {
    let question = Question::Plan { name: new.name().to_owned(), text: new.text().to_owned() };
    match exchange(config, &question, PATIENCE)? {
        Answer::Plan(forecast) => Ok(Ok(forecast)),
        Answer::Refused(problems) => Ok(Err(problems)),
        _ => Err(something_else()),
    }
}

/// Tells the engine that runs on `config` to end, and waits until it has.
///
/// # Errors
/// Where none runs on it, or it has not ended in time.
pub fn stop(config: &Location, patience: Duration) -> io::Result<()> {
    match exchange(config, &Question::Stop, patience) {
        Ok(Answer::Stopping) => Ok(()),
        Ok(_) => Err(something_else()),
        // It may end before it answers: then nobody listens any more.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            match UnixStream::connect(admin_path(config)?) {
                Err(_) => Ok(()),
                Ok(_) => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

/// The engine is of another version.
fn something_else() -> io::Error {
    io::Error::other("it answers something else than was asked")
}

fn exchange(config: &Location, question: &Question, patience: Duration) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(admin_path(config)?)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(&serde_json::to_vec(question)?)?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.is_empty() {
        let message = "it closed the connection without an answer";
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
    }
    serde_json::from_str(&answer).map_err(io::Error::other)
}

/// The serving side. Ends, and removes the socket, when dropped; one that is killed does not, so
/// that the next engine of the user does.
pub(super) struct Admin {
    path: PathBuf,
    task: tokio::task::JoinHandle<()>,
}

impl Admin {
    pub(super) fn start(
        config: &Location,
        ask: impl Fn(Question, oneshot::Sender<Answer>) + 'static,
    ) -> io::Result<Self> {
        let path = admin_path(config)?;
        let directory = directory()?;
        let turn = leftovers::turn(&directory)?;
        if leftovers::is_dead(&path) {
            // Left by a process that was killed.
            std::fs::remove_file(&path)?;
        }
        let listener = UnixListener::bind(&path)?;
        leftovers::clear(&directory);
        drop(turn);
        let task = tokio::task::spawn_local(async move {
            let ask = Rc::new(ask);
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    // There is no descriptor: who asks waits for one.
                    tokio::time::sleep(PAUSE).await;
                    continue;
                };
                let ask = Rc::clone(&ask);
                // Who asks slowly keeps nobody else waiting. Who asked and left needs no answer.
                tokio::task::spawn_local(async move { answer(stream, &*ask).await });
            }
        });
        Ok(Self { path, task })
    }
}

/// Answers one connection. `None` where it asks nothing, or has left.
async fn answer(
    mut stream: tokio::net::UnixStream,
    ask: &dyn Fn(Question, oneshot::Sender<Answer>),
) -> Option<()> {
    let mut text = Vec::new();
    let (reader, mut writer) = stream.split();
    let mut reader = reader.take(MOST);
    tokio::time::timeout(PATIENCE, reader.read_to_end(&mut text)).await.ok()?.ok()?;
    let question: Question = serde_json::from_slice(&text).ok()?;
    let (reply, answer) = oneshot::channel();
    ask(question, reply);
    let answer = answer.await.ok()?;
    writer.write_all(&serde_json::to_vec(&answer).ok()?).await.ok()?;
    if matches!(answer, Answer::Stopping) {
        // The end of the process ends this, and says so to who waits.
        std::future::pending::<()>().await;
    }
    Some(())
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.task.abort();
        std::fs::remove_file(&self.path).ok();
    }
}
