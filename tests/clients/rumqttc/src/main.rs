//! One rumqttc client, driven by JSON commands on standard input: see ../../README.md.

mod v4;
mod v5;

use std::io::{BufRead, Write};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Between two attempts to connect again.
const PAUSE: Duration = Duration::from_millis(100);

/// What the library may hold unsent, and the largest packet, bytes.
const CAPACITY: usize = 100;
const LARGEST: u32 = 20_000_000;

/// QoS 1 and 2 publishes under way, at most.
const IN_FLIGHT: u16 = 200;

/// Longer payloads are not printed, but held against the pattern.
const LONGEST: usize = 65_536;

type Commands = UnboundedReceiver<Value>;

fn emit(event: &str, fields: Value) {
    let Value::Object(mut fields) = fields else { unreachable!("fields") };
    fields.insert("event".to_owned(), event.into());
    let mut output = std::io::stdout().lock();
    writeln!(output, "{}", Value::Object(fields)).unwrap();
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn pattern(size: usize) -> Vec<u8> {
    (0..251).cycle().take(size).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digits).collect()
}

fn payload_of(command: &Value) -> Vec<u8> {
    match command["size"].as_u64() {
        Some(size) => pattern(usize::try_from(size).unwrap()),
        None => unhex(command["payload"].as_str().unwrap_or_default()),
    }
}

/// The event of a message, without properties.
fn message(topic: &str, payload: &[u8], qos: u8, retain: bool, dup: bool) -> Map<String, Value> {
    let event = json!({"topic": topic, "qos": qos, "retain": retain, "dup": dup});
    let Value::Object(mut event) = event else { unreachable!("an object") };
    if payload.len() > LONGEST {
        event.insert("size".to_owned(), payload.len().into());
        event.insert("is_pattern".to_owned(), (payload == pattern(payload.len())).into());
    } else {
        event.insert("payload".to_owned(), hex(payload).into());
    }
    event
}

/// What was published and is not acknowledged.
#[derive(Default)]
struct Pending {
    /// Of `publish_many`: how many are left, of how many.
    many: Option<(u64, u64)>,
}

impl Pending {
    fn begin(&mut self, command: &Value) {
        if command["do"] == "publish_many" {
            let count = command["count"].as_u64().unwrap();
            self.many = Some((count, count));
        }
    }

    fn done(&mut self, code: u8) {
        let Some((left, of)) = &mut self.many else {
            return emit("published", json!({"code": code}));
        };
        *left -= 1;
        if *left == 0 {
            emit("published_all", json!({"count": of}));
            self.many = None;
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (sender, mut commands) = unbounded_channel::<Value>();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let command = serde_json::from_str(&line.unwrap()).unwrap();
            if sender.send(command).is_err() {
                return;
            }
        }
        std::process::exit(0);
    });
    while let Some(command) = commands.recv().await {
        assert_eq!(command["do"], "connect", "not connected: {command}");
        if command["version"] == 5 {
            v5::run(&command, &mut commands).await;
        } else {
            v4::run(&command, &mut commands).await;
        }
    }
}
