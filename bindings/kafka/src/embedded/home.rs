//! The directory of a log: its lock, its id, and small files that are written as a whole.

use std::fs::{DirBuilder, File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What the file `id` begins with.
const FORMAT: &str = "zilla log, format 1";

/// How long the lock of this very process is waited for: of a log that is being closed.
const CLOSING: Duration = Duration::from_secs(5);

/// A directory in use by this process.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) dir: PathBuf,
    /// The id that the log keeps for its life.
    pub(super) id: Arc<str>,
    /// Released by the system when the process ends, however it ends.
    _lock: File,
}

impl Home {
    /// Makes the directory if it is missing, and takes it.
    ///
    /// # Errors
    /// Where another process uses it, where it holds something else, or what the system says.
    pub(super) fn open(dir: &Path) -> Result<Self, String> {
        let told = |what: &str, error: &io::Error| format!("{what} {}: {error}", dir.display());
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|error| told("cannot make", &error))?;
        let lock = lock(dir)?;
        let id = match read_whole(&dir.join("id")).map_err(|error| told("cannot use", &error))? {
            Some(text) => {
                match text.strip_prefix(FORMAT).and_then(|rest| rest.strip_prefix('\n')) {
                    Some(id) => id.trim_end().to_owned(),
                    None => {
                        let first = text.lines().next().unwrap_or_default();
                        return Err(format!("{} holds `{first}`, not `{FORMAT}`", dir.display()));
                    }
                }
            }
            None => new_id(dir).map_err(|error| told("cannot write to", &error))?,
        };
        Ok(Self { dir: dir.to_owned(), id: id.into(), _lock: lock })
    }
}

fn lock(dir: &Path) -> Result<File, String> {
    let told = |error: io::Error| format!("cannot lock {}: {error}", dir.display());
    let mut options = File::options();
    let mut file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(dir.join("lock"))
        .map_err(told)?;
    let me = std::process::id().to_string();
    let pause = Duration::from_millis(10);
    let mut waited = Duration::ZERO;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::Error(error)) => return Err(told(error)),
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                io::Seek::rewind(&mut file).map_err(told)?;
                file.read_to_string(&mut holder).map_err(told)?;
                if holder != me || waited >= CLOSING {
                    return Err(format!(
                        "{} is in use by another process (pid {holder}); one directory serves one \
                         engine",
                        dir.display()
                    ));
                }
                std::thread::sleep(pause);
                waited += pause;
            }
        }
    }
    file.set_len(0).map_err(told)?;
    io::Seek::rewind(&mut file).map_err(told)?;
    file.write_all(me.as_bytes()).map_err(told)?;
    Ok(file)
}

fn new_id(dir: &Path) -> io::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let id = format!("{:032x}", u128::from_le_bytes(bytes));
    write_whole(&dir.join("id"), &format!("{FORMAT}\n{id}\n"))?;
    Ok(id)
}

/// Writes a file such that after a crash it holds the old text or the new one.
pub(super) fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let sum = crc32fast::hash(text.as_bytes());
    replace(path, &[text.as_bytes(), format!("crc {sum:08x}\n").as_bytes()])
}

/// Puts a file of these parts in the place of another, durably.
pub(super) fn replace(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let fresh = path.with_extension("fresh");
    let mut file = File::create(&fresh)?;
    for part in parts {
        file.write_all(part)?;
    }
    file.sync_all()?;
    std::fs::rename(&fresh, path)?;
    sync_dir(path)
}

/// Makes the name of a file durable.
pub(super) fn sync_dir(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

/// Reads what [`write_whole`] wrote; `None` where there is no such file.
///
/// # Errors
/// Where the text is not what was written, too.
pub(super) fn read_whole(path: &Path) -> io::Result<Option<String>> {
    let mut text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let length = text.rfind("crc ").unwrap_or(0);
    let sum = text.split_off(length);
    if sum.trim_end() != format!("crc {:08x}", crc32fast::hash(text.as_bytes())) {
        let message = format!("{} is damaged", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_stays_and_something_else_is_not_taken_for_a_log() {
        let dir = tempfile::tempdir().unwrap();
        let id = Home::open(dir.path()).unwrap().id;
        assert_eq!(Home::open(dir.path()).unwrap().id, id);
        let other = tempfile::tempdir().unwrap();
        assert_ne!(Home::open(other.path()).unwrap().id, id);
        write_whole(&dir.path().join("id"), "zilla log, format 2\nx\n").unwrap();
        assert!(Home::open(dir.path()).unwrap_err().contains("format 2"));
        std::fs::write(dir.path().join("id"), "zilla log, format 1\nx\ncrc 00000000\n").unwrap();
        assert!(Home::open(dir.path()).unwrap_err().contains("damaged"));
    }
}
