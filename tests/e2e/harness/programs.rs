//! MQTT clients of others: mosquitto's programs, and libraries, each behind a driver of
//! `tests/clients`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::client::{V5, V311};
use super::kafka::{class_path, clients, hex, root, text, unhex};
use super::process::Process;

/// A client library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Library {
    /// paho-mqtt, of Python.
    Paho,
    /// aiomqtt, of Python.
    Aiomqtt,
    /// gmqtt, of Python.
    Gmqtt,
    /// mqtt.js, of Node.
    MqttJs,
    /// rumqttc, of Rust.
    Rumqttc,
    /// Eclipse Paho C.
    PahoC,
    /// Eclipse Paho Java.
    PahoJava,
}

/// The libraries that tests of one thing use: those that hide least.
pub(crate) const LIBRARIES: [Library; 2] = [Library::Paho, Library::MqttJs];

impl Library {
    /// The driver, for this version of the protocol.
    fn command(self, version: u8) -> Command {
        match self {
            Self::Paho => python("paho_client.py"),
            Self::Aiomqtt => python("aiomqtt_client.py"),
            Self::Gmqtt => python("gmqtt_client.py"),
            Self::MqttJs => {
                let mut command = Command::new("node");
                command
                    .arg(drivers().join("mqttjs_client.cjs"))
                    .env("NODE_PATH", installed("node_modules"));
                command
            }
            Self::Rumqttc => Command::new(installed("rumqttc/debug/rumqttc-client")),
            Self::PahoC => Command::new(installed("c/paho_client")),
            Self::PahoJava => {
                let path = format!(
                    "{}:{}/*:{}",
                    installed("java/classes").display(),
                    installed("java/jars").display(),
                    class_path()
                );
                let mut command = Command::new("java");
                command
                    .args(["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", &path])
                    .arg(if version == V5 { "PahoV5" } else { "PahoV3" });
                command
            }
        }
    }
}

fn drivers() -> PathBuf {
    root().join("tests/clients")
}

/// What `scripts/test` has installed.
fn installed(name: impl AsRef<Path>) -> PathBuf {
    let path = clients().join(name);
    assert!(path.exists(), "{} is missing: run scripts/test", path.display());
    path
}

fn python(driver: &str) -> Command {
    let mut command = Command::new(installed("venv/bin/python"));
    // Without bytecode beside the sources.
    command.arg("-B").arg(drivers().join(driver));
    command
}

/// A client of a library, in a process of its own. Commands and events: `paho_client.py`.
pub(crate) struct Script {
    process: Process,
    waiting: Vec<Value>,
    /// Whether its connection may be lost, and come again, at any time: it was told how soon to
    /// connect again by itself.
    reconnects: bool,
}

/// A message as a client program shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) qos: u64,
    pub(crate) retain: bool,
    pub(crate) properties: Value,
}

impl Message {
    /// The payload, which must be text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.payload.clone()).unwrap()
    }
}

impl Script {
    /// Starts a client program that is not connected yet, for one version.
    pub(crate) fn start(library: Library, version: u8) -> Self {
        assert!(version == V5 || version == V311);
        let mut command = library.command(version);
        let process = Process::start(&format!("{library:?}"), &mut command);
        Self { process, waiting: Vec::new(), reconnects: false }
    }

    /// Starts a client program and connects it.
    pub(crate) fn connect(library: Library, port: u16, version: u8, client_id: &str) -> Self {
        Self::connect_with(library, port, version, client_id, json!({}))
    }

    /// As [`Script::connect`], with more of the CONNECT.
    pub(crate) fn connect_with(
        library: Library,
        port: u16,
        version: u8,
        client_id: &str,
        more: Value,
    ) -> Self {
        let mut script = Self::start(library, version);
        let connack = script.connect_again(port, version, client_id, more);
        assert_eq!(connack["code"], 0, "{connack}");
        script
    }

    /// Connects a program that is not connected; the event that says what came of it.
    pub(crate) fn connect_again(
        &mut self,
        port: u16,
        version: u8,
        client_id: &str,
        more: Value,
    ) -> Value {
        let mut command = json!({
            "do": "connect",
            "host": "127.0.0.1",
            "port": port,
            "version": version,
            "client_id": client_id,
        });
        for (name, value) in more.as_object().unwrap() {
            command[name] = value.clone();
        }
        self.reconnects = command["reconnect"].is_u64();
        self.command(&command);
        self.event("connack")
    }

    /// Gives a command.
    pub(crate) fn command(&mut self, command: &Value) {
        self.process.send(&command.to_string());
    }

    /// The next event of this name; others wait.
    pub(crate) fn event(&mut self, name: &str) -> Value {
        self.event_of(&[name])
    }

    /// The next event of one of these names; others wait.
    pub(crate) fn event_of(&mut self, names: &[&str]) -> Value {
        let is_awaited = |event: &Value| names.iter().any(|name| event["event"] == *name);
        if let Some(at) = self.waiting.iter().position(is_awaited) {
            return self.waiting.remove(at);
        }
        loop {
            let line = self.process.line(&names.join(" or "));
            let event: Value = serde_json::from_str(&line).expect("an event");
            if is_awaited(&event) {
                return event;
            }
            if self.reconnects {
                if ["closed", "connack", "error"].iter().any(|usual| event["event"] == *usual) {
                    continue;
                }
            } else {
                assert_ne!(event["event"], "closed", "the connection was closed before: {names:?}");
            }
            self.waiting.push(event);
        }
    }

    /// Subscribes at `qos`; must be granted.
    pub(crate) fn subscribe(&mut self, filter: &str, qos: u8) {
        self.command(&json!({"do": "subscribe", "filters": [{"filter": filter, "qos": qos}]}));
        let suback = self.event("suback");
        assert_eq!(suback["codes"], json!([qos]), "{suback}");
    }

    /// Publishes and waits until the client holds it for done; must be accepted.
    pub(crate) fn publish(&mut self, topic: &str, payload: &[u8], qos: u8) {
        self.publish_with(topic, payload, qos, false, &json!({}));
    }

    /// As [`Script::publish`], with more.
    pub(crate) fn publish_with(
        &mut self,
        topic: &str,
        payload: &[u8],
        qos: u8,
        retain: bool,
        properties: &Value,
    ) {
        self.command(&json!({
            "do": "publish",
            "topic": topic,
            "payload": hex(payload),
            "qos": qos,
            "retain": retain,
            "properties": properties,
        }));
        let published = self.event("published");
        assert!(published["code"].as_u64().is_some_and(|code| code < 128), "{published}");
    }

    /// The next message.
    pub(crate) fn message(&mut self) -> Message {
        let event = self.event("message");
        Message {
            topic: text(&event["topic"]).to_owned(),
            payload: unhex(text(&event["payload"])),
            qos: event["qos"].as_u64().unwrap(),
            retain: event["retain"].as_bool().unwrap(),
            properties: event["properties"].clone(),
        }
    }

    /// Ends the program as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }
}

/// `mosquitto_sub`, subscribed; it prints `MESSAGE TOPIC QOS RETAIN PAYLOAD-IN-HEX` a message.
pub(crate) fn mosquitto_sub(port: u16, version: &str, arguments: &[&str]) -> Process {
    let process = mosquitto_sub_again(port, version, arguments);
    while !process.line("SUBACK").contains("SUBACK") {}
    process
}

/// As [`mosquitto_sub`], where messages may come before it is subscribed.
pub(crate) fn mosquitto_sub_again(port: u16, version: &str, arguments: &[&str]) -> Process {
    let port = port.to_string();
    Process::start(
        "mosquitto_sub",
        // Its lines as they are written: into a pipe it would collect them.
        Command::new("stdbuf")
            .args(["-oL", "mosquitto_sub"])
            .args(["-h", "127.0.0.1", "-p", &port, "-V", version, "-d"])
            .args(["-F", "MESSAGE %t %q %r %x"])
            .args(arguments),
    )
}

/// The next message that `mosquitto_sub` prints.
pub(crate) fn mosquitto_message(process: &Process) -> String {
    loop {
        if let Some(message) = process.line("a message").strip_prefix("MESSAGE ") {
            return message.to_owned();
        }
    }
}

/// `mosquitto_pub`, until it has ended.
pub(crate) fn mosquitto_pub(port: u16, version: &str, arguments: &[&str]) {
    let output = Command::new("mosquitto_pub")
        .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-V", version])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("run mosquitto_pub");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
