//! Configurations from an address.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;

use serde_json::Value;
use web_server::{Identity, Reply, WebServer};

use crate::program::{CHAIN, Engine, command, directory, zilla};

const SECRET: &str = "Bearer hunter2";

fn chain() -> String {
    CHAIN.replace("port: 7183", "port: 0").replace("kafka.example", "127.0.0.1")
}

/// A server that asks for credentials, and a file with its authority.
fn guarded(path: &Path) -> WebServer {
    let identity = Identity::new();
    fs::write(path.join("authority.pem"), &identity.authority).unwrap();
    WebServer::start_tls(&identity, |request| match request.header("authorization") {
        Some(SECRET) => Reply::text(chain()).header("ETag", "\"1\""),
        _ => Reply::status(401),
    })
}

#[test]
fn an_engine_runs_on_what_a_server_has_and_is_found_by_its_address() {
    let directory = directory();
    let path = directory.path();
    let server = guarded(path);
    let authority = path.join("authority.pem");
    let url = server.url("/z.yaml?token=hunter3");
    let name = server.url("/z.yaml?...");
    let properties = format!("zilla.filesystem.http.authorization = {SECRET}\n");
    fs::write(path.join("p.properties"), properties).unwrap();
    let arguments = ["-v", "-c", &url, "-p", "p.properties", "--log", "trace"];
    let mut engine = Engine::start_in(path, &arguments, &[("SSL_CERT_FILE", &authority)]);
    assert!(engine.start.iter().any(|line| line == "name: edge"), "{:?}", engine.start);
    let status = zilla(path, &["status", "-c", &url]);
    assert!(status.stdout.contains(&format!(" on {name}\n")), "{}", status.stdout);
    assert!(status.stdout.contains("file in force\n"), "{}", status.stdout);
    let status = zilla(path, &["status", "--format", "json", "-c", &url]);
    let status: Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!(status["config"], name.as_str());
    fs::write(path.join("z.yaml"), chain()).unwrap();
    assert_eq!(zilla(path, &["plan", "--against", &url, "z.yaml"]).status, 0);
    let other = server.url("/z.yaml?token=other");
    let said = zilla(path, &["stop", "-c", &other]);
    assert_eq!(
        (said.status, said.stderr),
        (1, format!("zilla: no engine of this user runs on {name}\n"))
    );
    assert_eq!(zilla(path, &["stop", "-c", &url]).status, 0);
    assert!(engine.child.wait().unwrap().success());
    let log = fs::read_to_string(path.join("engine.log")).unwrap();
    assert!(log.contains("engine.stopped") && !log.contains("hunter"), "{log}");
}

#[test]
fn what_cannot_be_fetched_is_not_started_and_why_is_said() {
    let directory = directory();
    let path = directory.path();
    let server = guarded(path);
    let authority = path.join("authority.pem");
    let url = server.url("/z.yaml?token=hunter3");
    let named = url.replace("//", "//ann:hunter2@");
    let gone = WebServer::start(0, |_| Reply::status(404));
    let plain = gone.url("/z.yaml");
    drop(gone);
    for (url, is_known, word) in [
        (url.as_str(), false, "SSL_CERT_FILE"),
        (&url, true, "401 Unauthorized; give it credentials"),
        (&named, true, "401 Unauthorized; give it credentials"),
        (&url.replace("localhost", "127.0.0.1"), true, "not valid for name"),
        (&plain, true, "refused"),
        ("ftp://ann:hunter2@host.example/z.yaml", true, "fetches nothing from ftp: addresses"),
    ] {
        let mut command = command(path, &["start", "-c", url]);
        if is_known {
            command.env("SSL_CERT_FILE", &authority);
        }
        let said = command.output().unwrap();
        let stderr = String::from_utf8(said.stderr).unwrap();
        assert_eq!((said.status.code(), said.stdout.as_slice()), (Some(1), &b""[..]), "{stderr}");
        assert!(stderr.starts_with("zilla: cannot read ") && stderr.contains(word), "{stderr}");
        assert!(!stderr.contains("hunter"), "{stderr}");
    }
}

#[test]
fn an_address_that_is_none_is_refused_without_being_shown() {
    let directory = directory();
    let wrong = "https://ann:hunter2@host.example/a b";
    for arguments in [
        &["start", "-c"][..],
        &["validate"],
        &["status", "-c"],
        &["plan", "--against", "a.yaml"],
        &["explain", "connect", "-c"],
    ] {
        let said = zilla(directory.path(), &[arguments, &[wrong]].concat());
        assert_eq!((said.status, said.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(said.stderr.contains("an address has a character at place 35"), "{}", said.stderr);
        assert!(!said.stderr.contains("hunter"), "{}", said.stderr);
    }
}

#[test]
fn problems_are_at_the_address() {
    let directory = directory();
    let server = WebServer::start(0, |_| Reply::text(chain().replace("exit: mqtt", "exti: mqtt")));
    let url = server.url("/z.yaml");
    let said = command(directory.path(), &["start", "-c", &url]).output().unwrap();
    let stderr = String::from_utf8(said.stderr).unwrap();
    assert_eq!(said.status.code(), Some(1));
    assert!(stderr.starts_with(&format!("{url}:9:5: error[E")), "{stderr}");
}

#[test]
fn a_signal_ends_an_engine_that_waits_for_its_first_answer() {
    let directory = directory();
    let (sender, asked) = channel();
    let server = WebServer::start(0, move |_| {
        sender.send(()).ok();
        Reply::silence()
    });
    let mut child = command(directory.path(), &["start", "-c", &server.url("/z.yaml")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    asked.recv().unwrap();
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert!(child.wait().unwrap().success());
}

#[test]
fn every_command_that_takes_a_file_takes_an_address() {
    let directory = directory();
    let path = directory.path();
    let server = WebServer::start(0, |request| match request.path.as_str() {
        "/good.yaml" => Reply::text(chain()),
        "/bad.yaml" => Reply::text(chain().replace("exit: mqtt", "exti: mqtt")),
        _ => Reply::status(404),
    });
    let (good, bad, none) =
        (server.url("/good.yaml"), server.url("/bad.yaml"), server.url("/none"));
    fs::write(path.join("good.yaml"), chain()).unwrap();
    for arguments in [
        &["validate", "-c"][..],
        &["graph", "-c"],
        &["explain", "publish", "--topic", "a", "--qos", "1", "-c"],
        &["plan", "good.yaml"],
        &["validate", "good.yaml"],
    ] {
        let run = |url: &str| zilla(path, &[arguments, &[url]].concat());
        let said = run(&good);
        assert_eq!(said.status, 0, "{arguments:?}: {}{}", said.stdout, said.stderr);
        for (url, word) in [
            (&bad, format!("{bad}:9:5: error[E")),
            (
                &none,
                format!(
                    "{none}:1:1: error[E0109]: the file cannot be read: the server answers 404"
                ),
            ),
        ] {
            let said = run(url);
            let all = format!("{}{}", said.stdout, said.stderr);
            assert!(said.status == 1 && all.contains(&word), "{arguments:?}: {all}");
        }
    }
    let said = zilla(path, &["validate", "--format", "sarif", &bad]);
    let log: Value = serde_json::from_str(&said.stdout).unwrap();
    let place = &log["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"], serde_json::json!({ "uri": bad }));
    // Nothing of Kafka's is at the other end; the file was read all the same.
    let said = zilla(path, &["topics", "--timeout", "0.1", "-c", &none]);
    assert!(said.status == 1 && said.stderr.contains("E0109"), "{}", said.stderr);
}
