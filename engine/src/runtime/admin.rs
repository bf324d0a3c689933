//! The status socket: a Unix socket that only this user can reach, found from the path of the
//! configuration file. One question a connection, answered with one JSON document.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::UnixListener;
use tokio::sync::oneshot;

use crate::runtime::Status;

/// How long `zilla status` waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The path of the status socket of an engine that runs on `config`.
///
/// # Errors
/// Where the file or the directory for sockets cannot be reached, or the directory is another
/// user's.
pub fn admin_path(config: &Path) -> io::Result<PathBuf> {
    let config = std::path::absolute(config)?;
    let mut hasher = DefaultHasher::new();
    config.hash(&mut hasher);
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
pub fn ask(config: &Path) -> io::Result<Status> {
    let mut stream = UnixStream::connect(admin_path(config)?)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    serde_json::from_str(&answer).map_err(io::Error::other)
}

/// The serving side. Ends, and removes the socket, when dropped.
pub(super) struct Admin {
    path: PathBuf,
    task: tokio::task::JoinHandle<()>,
}

impl Admin {
    pub(super) fn start(
        config: &Path,
        ask: impl Fn(oneshot::Sender<Status>) + 'static,
    ) -> io::Result<Self> {
        let path = admin_path(config)?;
        if path.exists() && UnixStream::connect(&path).is_err() {
            // Left by a process that was killed.
            std::fs::remove_file(&path)?;
        }
        let listener = UnixListener::bind(&path)?;
        let task = tokio::task::spawn_local(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (reply, answer) = oneshot::channel();
                ask(reply);
                let Ok(status) = answer.await else { continue };
                let Ok(text) = serde_json::to_vec(&status) else { continue };
                // Who asked and left needs no answer.
                stream.write_all(&text).await.ok();
            }
        });
        Ok(Self { path, task })
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.task.abort();
        std::fs::remove_file(&self.path).ok();
    }
}
