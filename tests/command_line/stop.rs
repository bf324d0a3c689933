//! `zilla stop`.

use std::collections::HashSet;
use std::fs;

use crate::program::{CHAIN, Engine, command, directory, zilla};

#[test]
fn stop_returns_when_the_engine_has_ended() {
    let directory = directory();
    let path = directory.path();
    fs::write(path.join("zilla.yaml"), CHAIN.replace("port: 7183", "port: 0")).unwrap();
    let mut engine = Engine::start(path, &[]);
    let said = zilla(path, &["stop"]);
    assert_eq!((said.status, said.stdout.as_str(), said.stderr.as_str()), (0, "", ""));
    // At once: it does not answer any more, and does not listen.
    let said = zilla(path, &["stop"]);
    assert_eq!(said.status, 1);
    assert_eq!(said.stderr, "zilla: no engine of this user runs on ./zilla.yaml\n");
    assert!(engine.child.wait().unwrap().success());
}

/// The socket that `zilla status` and `zilla stop` find an engine by is gone when the next one of
/// the same user starts, whatever it runs on. That of an engine which runs stays.
#[test]
fn what_an_engine_leaves_that_is_killed_the_next_one_removes() {
    let runtime = directory();
    let variables = [("XDG_RUNTIME_DIR", runtime.path())];
    let start = || {
        let directory = directory();
        let path = directory.path();
        fs::write(path.join("zilla.yaml"), CHAIN.replace("port: 7183", "port: 0")).unwrap();
        let engine = Engine::start_in(path, &[], &variables);
        (engine, directory)
    };
    let sockets = || {
        let entries = fs::read_dir(runtime.path().join("zilla")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".sock")).collect::<HashSet<String>>()
    };
    let (_runs, directory) = start();
    let before = sockets();
    assert_eq!(before.len(), 1);
    // The signal that no process can do anything about.
    let (mut killed, _directory) = start();
    killed.child.kill().unwrap();
    killed.child.wait().unwrap();
    let left = sockets();
    assert_eq!(left.len(), 2, "{left:?}");
    let (_later, _directory) = start();
    let after = sockets();
    assert_eq!(after.len(), 2, "{after:?}");
    assert!(after.is_superset(&before) && !after.is_superset(&left), "{left:?} {after:?}");
    let status = command(directory.path(), &["status"]).envs(variables).output().unwrap();
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
}
