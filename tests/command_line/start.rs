//! `zilla start` as start scripts and containers that were made for Zilla call it.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::program::{CHAIN, Engine, command, directory, root, zilla};

fn write(directory: &Path, name: &str) {
    let text = CHAIN.replace("port: 7183", "port: 0").replace("kafka.example", "${{env.HOST}}");
    fs::write(directory.join(name), text).unwrap();
}

#[test]
fn the_file_ready_is_there_while_the_engine_serves() {
    let directory = directory();
    let path = directory.path();
    write(path, "zilla.yaml");
    let ready = path.join("run/ready");
    let property = format!("-Pzilla.engine.directory={}", path.join("run").display());
    // What a killed engine left is not believed.
    fs::create_dir(path.join("run")).unwrap();
    fs::write(&ready, "").unwrap();
    let pipe = path.join("pipe.yaml");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut starting = command(path, &["start", "-c", "pipe.yaml", &property])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Opened when the engine reads its configuration.
    let configuration = File::options().write(true).open(&pipe).unwrap();
    assert!(!ready.exists());
    drop(configuration);
    assert_eq!(starting.wait().unwrap().code(), Some(1));

    let mut engine = Engine::start(path, &[&property]);
    // It follows the line.
    while !ready.exists() {
        assert!(engine.child.try_wait().unwrap().is_none(), "the engine ended");
        std::thread::yield_now();
    }
    assert_eq!(zilla(path, &["stop"]).status, 0);
    assert!(engine.child.wait().unwrap().success());
    assert!(!ready.exists());
}

#[test]
fn the_file_is_named_by_an_option_a_uri_or_a_property() {
    let directory = directory();
    let path = directory.path();
    write(path, "a.yaml");
    fs::write(path.join("p.properties"), "# c\nzilla.engine.config.url = file:a.yaml\n").unwrap();
    let uri = format!("file://{}", path.join("a.yaml").display());
    let by_uri = format!("--property=zilla.engine.config.uri={uri}");
    for arguments in [
        &["-c", &uri][..],
        &["-P", "zilla.engine.config.url=file:a.yaml"],
        &["-p", "p.properties"],
        &["-c", "absent.yaml", &by_uri],
        &["-c", "a.yaml", "-Pzilla.engine.config.url=absent.yaml"],
    ] {
        let engine = Engine::start(path, arguments);
        assert!(engine.address("edge:north").starts_with("127.0.0.1:"), "{arguments:?}");
    }
}

#[test]
fn a_file_that_is_not_watched_is_read_on_a_hangup() {
    let directory = directory();
    let path = directory.path();
    write(path, "zilla.yaml");
    let watches = |engine: &Engine| {
        let descriptors = fs::read_dir(format!("/proc/{}/fd", engine.child.id())).unwrap();
        let targets = descriptors.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        targets.into_iter().any(|target| target.ends_with("anon_inode:inotify"))
    };
    let engine = Engine::start(path, &[]);
    assert!(watches(&engine));
    drop(engine);
    let engine = Engine::start(path, &["-Pzilla.engine.config.watch=false"]);
    assert!(!watches(&engine));
    let text = fs::read_to_string(path.join("zilla.yaml")).unwrap();
    let west =
        "  west: {type: tcp, kind: server, options: {host: 127.0.0.1, port: 0}, exit: mqtt}\n";
    fs::write(path.join("zilla.yaml"), format!("{text}{west}")).unwrap();
    let pid = engine.child.id().to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    while !zilla(path, &["status"]).stdout.contains("\nedge:west ") {
        let log = fs::read_to_string(path.join("engine.log")).unwrap();
        assert!(!log.contains("config.reload.refused"), "{log}");
    }
}

#[test]
fn verbose_prints_the_file_with_expressions_and_what_has_no_effect_is_named() {
    let directory = directory();
    let path = directory.path();
    write(path, "zilla.yaml");
    let arguments =
        ["-v", "-l", "-e", "-w", "1", "-Pzilla.engine.verbose.events", "-Pzilla.other=1"];
    let engine = Engine::start(path, &arguments);
    assert!(engine.start.iter().any(|line| line.trim() == "- ${{env.HOST}}:9092"));
    let log = fs::read_to_string(path.join("engine.log")).unwrap();
    assert!(log.contains("zilla: the property zilla.other has no effect here\n"), "{log}");
    assert!(!log.contains("verbose.events"), "{log}");
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let directory = directory();
    let path = directory.path();
    write(path, "zilla.yaml");
    for (arguments, word) in [
        (&["-c", "https:///zilla.yaml"][..], "an address names a host"),
        (&["-P", "zilla.filesystem.http.poll.interval=30"], "a duration such as PT30S"),
        (&["-P", "zilla.engine.workers=many"], "a number from 1 to 256"),
        (&["-p", "absent.properties"], "absent.properties"),
    ] {
        let said = command(path, &["start"]).args(arguments).output().unwrap();
        assert_eq!(said.status.code(), Some(2), "{arguments:?}");
        let stderr = String::from_utf8(said.stderr).unwrap();
        assert!(stderr.contains(word), "{stderr}");
    }
}

#[test]
fn a_value_of_the_environment_is_not_shown_when_a_start_is_refused() {
    let directory = directory();
    let path = directory.path();
    fs::write(path.join("zilla.yaml"), CHAIN.replace("exit: mapping", "exit: ${{env.PASSWORD}}"))
        .unwrap();
    let said = zilla(path, &["start"]);
    assert_eq!(said.status, 1);
    assert!(said.stderr.contains("`${{env.PASSWORD}}` does not exist"), "{}", said.stderr);
    assert!(!said.stderr.contains("hunter2"), "{}", said.stderr);
}

/// The page that walks through the switch names every property that means something.
#[test]
fn the_properties_are_in_the_page() {
    let page = fs::read_to_string(root().join("docs/from-zilla.md")).unwrap();
    let source = fs::read_to_string(root().join("engine/src/cli/properties.rs")).unwrap();
    let table = source.split("const KNOWN").nth(1).unwrap().split("];").next().unwrap();
    let origin = fs::read_to_string(root().join("remote/src/lib.rs")).unwrap();
    let words = table.split('"').chain(origin.split('"'));
    let names: Vec<&str> = words.filter(|text| text.starts_with("zilla.")).collect();
    assert!(names.len() >= 11, "{names:?}");
    for name in names {
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
}

/// So does the page's table of events, with the names that the program gives them.
#[test]
fn the_events_of_the_page_are_the_programs() {
    let page = fs::read_to_string(root().join("docs/from-zilla.md")).unwrap();
    let events = page.split("\n## Events\n").nth(1).unwrap();
    let here = events.lines().filter_map(|line| line.split(" | ").nth(1));
    let names: Vec<&str> = here
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .filter(|name| name.contains('.') && !name.starts_with("--"))
        .collect();
    assert!(names.len() >= 10, "{names:?}");
    let mut sources = String::new();
    let mut folders = ["engine/src", "bindings"].map(|name| root().join(name)).to_vec();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources += &fs::read_to_string(path).unwrap();
            }
        }
    }
    for name in names {
        assert!(sources.contains(&format!("event = \"{name}\"")), "{name}");
    }
}

#[test]
fn a_command_that_is_not_here_says_what_to_use_instead() {
    for (arguments, word) in [
        (&["metrics", "--namespace", "edge", "north"][..], "`zilla status`"),
        (&["logs", "-f", "--format", "json"], "standard error"),
        (&["dump", "--help"], "`zilla explain`"),
        (&["tune", "edge.north=1"], "--workers"),
    ] {
        let said = zilla(&root(), arguments);
        assert_eq!((said.status, said.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(said.stderr.contains(word), "{}", said.stderr);
        let start = format!("zilla: there is no command {} here: ", arguments[0]);
        assert!(said.stderr.starts_with(&start), "{}", said.stderr);
    }
    let said = zilla(&root(), &["help"]);
    assert!(!said.stdout.contains("metrics") && !said.stdout.contains("tune"), "{}", said.stdout);
}

/// Zilla zips its state on it.
#[test]
fn a_signal_that_asks_for_diagnostics_does_not_end_the_engine() {
    let directory = directory();
    let path = directory.path();
    write(path, "zilla.yaml");
    let mut engine = Engine::start(path, &[]);
    let pid = engine.child.id().to_string();
    assert!(Command::new("kill").args(["-USR2", &pid]).status().unwrap().success());
    while !fs::read_to_string(path.join("engine.log")).unwrap().contains("engine.signal.ignored") {
        assert!(engine.child.try_wait().unwrap().is_none(), "the engine ended");
        std::thread::yield_now();
    }
    assert_eq!(zilla(path, &["stop"]).status, 0);
}

#[test]
fn version_and_help_are_commands() {
    let said = zilla(&root(), &["version"]);
    assert_eq!(said.status, 0);
    assert!(said.stdout.starts_with("zilla version "), "{}", said.stdout);
    let said = zilla(&root(), &["help", "validate"]);
    assert_eq!(said.status, 0);
    assert!(said.stdout.contains("--deny-warnings"), "{}", said.stdout);
}
