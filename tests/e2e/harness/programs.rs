//! MQTT clients of others: mosquitto's programs, paho-mqtt, mqtt.js.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::kafka::{clients, hex, root, text, unhex};
use super::process::Process;

/// A client library that speaks both versions of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Library {
    /// paho-mqtt, of Python.
    Paho,
    /// mqtt.js, of Node.
    MqttJs,
}

/// Both libraries.
pub(crate) const LIBRARIES: [Library; 2] = [Library::Paho, Library::MqttJs];

/// A client of a library, in a process of its own. Commands and events: `paho_client.py`.
pub(crate) struct Script {
    process: Process,
    waiting: Vec<Value>,
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

impl Script {
    /// Starts a client program that is not connected yet.
    pub(crate) fn start(library: Library) -> Self {
        let directory = root().join("tests/clients");
        let environment = clients();
        let mut command = match library {
            Library::Paho => {
                let python = environment.join("venv/bin/python");
                assert!(python.exists(), "{} is missing: run scripts/test", python.display());
                let mut command = Command::new(python);
                command.arg(directory.join("paho_client.py"));
                command
            }
            Library::MqttJs => {
                let modules = environment.join("node_modules");
                assert!(modules.exists(), "{} is missing: run scripts/test", modules.display());
                let mut command = Command::new("node");
                command.arg(directory.join("mqttjs_client.cjs")).env("NODE_PATH", modules);
                command
            }
        };
        Self { process: Process::start(&format!("{library:?}"), &mut command), waiting: Vec::new() }
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
        let mut script = Self::start(library);
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
        script.command(&command);
        let connack = script.event("connack");
        assert_eq!(connack["code"], 0, "{connack}");
        script
    }

    /// Gives a command.
    pub(crate) fn command(&mut self, command: &Value) {
        self.process.send(&command.to_string());
    }

    /// The next event of this name; others wait.
    pub(crate) fn event(&mut self, name: &str) -> Value {
        if let Some(at) = self.waiting.iter().position(|event| event["event"] == name) {
            return self.waiting.remove(at);
        }
        loop {
            let event: Value = serde_json::from_str(&self.process.line(name)).expect("an event");
            if event["event"] == name {
                return event;
            }
            assert_ne!(event["event"], "closed", "the connection was closed before: {name}");
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
    let port = port.to_string();
    let process = Process::start(
        "mosquitto_sub",
        // Its lines as they are written: into a pipe it would collect them.
        Command::new("stdbuf")
            .args(["-oL", "mosquitto_sub"])
            .args(["-h", "127.0.0.1", "-p", &port, "-V", version, "-d"])
            .args(["-F", "MESSAGE %t %q %r %x"])
            .args(arguments),
    );
    while !process.line("SUBACK").contains("SUBACK") {}
    process
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
