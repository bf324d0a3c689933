//! Sockets that engines left because they were killed.
//!
//! Nobody listens on them, and what tells them from others is that a connection is refused. That is
//! so, too, of a socket which is bound and does not listen yet: hence engines take turns.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use socket2::{Domain, SockAddr, Socket, Type};

/// Entries of a directory that one start looks at.
const MOST: usize = 1000;

/// A turn at the sockets of a directory: to bind one and listen, or to remove others. Whoever else
/// wants one waits. It ends when the file is dropped, at the latest with the process.
pub(super) fn turn(directory: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.create(true).append(true).mode(0o600).open(directory.join(".lock"))?;
    file.lock()?;
    Ok(file)
}

/// Removes what was left in a directory, in a turn. Looks at a bounded number of entries, and goes
/// neither through links nor below: what is no socket with the name of one stays.
pub(super) fn clear(directory: &Path) {
    let entries = fs::read_dir(directory).into_iter().flatten();
    for entry in entries.take(MOST).flatten() {
        let is_socket = entry.file_type().is_ok_and(|kind| kind.is_socket());
        if is_socket && is_name(&entry.file_name()) && is_dead(&entry.path()) {
            // One that stays is looked at again by the next start.
            fs::remove_file(entry.path()).ok();
        }
    }
}

/// Whether nobody listens on a socket. Does not wait for who is slow to accept.
pub(super) fn is_dead(path: &Path) -> bool {
    let connect = || {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.connect(&SockAddr::unix(path)?)
    };
    connect().is_err_and(|error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused)
}

/// Whether a file has the name of a status socket.
fn is_name(name: &OsStr) -> bool {
    let stem = name.to_str().and_then(|name| name.strip_suffix(".sock"));
    stem.is_some_and(|stem| stem.len() == 16 && stem.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use std::fs::TryLockError;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn only_sockets_on_which_nobody_listens_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        drop(UnixListener::bind(at("00000000000000aa.sock")).unwrap());
        let lives = UnixListener::bind(at("00000000000000ab.sock")).unwrap();
        drop(UnixListener::bind(at("another.sock")).unwrap());
        fs::write(at("00000000000000ac.sock"), "").unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let target = elsewhere.path().join("00000000000000ad.sock");
        drop(UnixListener::bind(&target).unwrap());
        symlink(&target, at("00000000000000ad.sock")).unwrap();
        fs::create_dir(at("below")).unwrap();
        drop(UnixListener::bind(at("below/00000000000000ae.sock")).unwrap());
        clear(directory.path());
        let stay = ["00000000000000ab.sock", "00000000000000ac.sock", "00000000000000ad.sock"];
        assert_eq!(names(directory.path()), [&stay[..], &["another.sock", "below"]].concat());
        assert_eq!(names(&at("below")), ["00000000000000ae.sock"]);
        assert!(target.exists());
        drop(lives);
    }

    /// One whose backlog is full is not waited for, and stays.
    #[test]
    fn an_engine_that_accepts_nothing_is_not_dead() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("00000000000000aa.sock");
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        socket.bind(&SockAddr::unix(&path).unwrap()).unwrap();
        assert!(is_dead(&path), "it does not listen yet: hence the turns");
        socket.listen(0).unwrap();
        let waiting = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        waiting.connect(&SockAddr::unix(&path).unwrap()).unwrap();
        clear(directory.path());
        assert!(path.exists());
    }

    #[test]
    fn engines_take_turns() {
        let directory = tempfile::tempdir().unwrap();
        let held = turn(directory.path()).unwrap();
        let other = File::open(directory.path().join(".lock")).unwrap();
        assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
        drop(held);
        other.try_lock().unwrap();
    }

    #[test]
    fn one_start_looks_at_a_thousand() {
        let directory = tempfile::tempdir().unwrap();
        for number in 0..MOST + 100 {
            let name = format!("{number:016x}.sock");
            drop(UnixListener::bind(directory.path().join(name)).unwrap());
        }
        clear(directory.path());
        assert_eq!(names(directory.path()).len(), 100);
        clear(directory.path());
        assert!(names(directory.path()).is_empty());
    }
}
