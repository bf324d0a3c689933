//! `zilla stop`.

use std::fs;

use crate::program::{CHAIN, Engine, directory, zilla};

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
