//! Scenario files: what a line says.

use std::path::Path;
use std::time::Duration;

use crate::harness::{V5, V311, root};
use crate::notation::{Word, split, words};

/// A scenario, for one version of the protocol.
#[derive(Clone)]
pub(crate) struct Scenario {
    /// Its file, from the root of the repository.
    pub(crate) file: String,
    /// What it shows.
    pub(crate) title: String,
    /// The protocol level of its connections that name no other.
    pub(crate) version: u8,
    /// What happens, in order.
    pub(crate) steps: Vec<Step>,
}

impl Scenario {
    /// How it is called in what tests print: file, version and title.
    pub(crate) fn name(&self) -> String {
        let version = if self.version == V5 { "5.0" } else { "3.1.1" };
        format!("{} ({version}): {}", self.file, self.title)
    }
}

/// A line of a scenario.
#[derive(Clone)]
pub(crate) struct Step {
    /// Its number in the file, from 1.
    pub(crate) line: usize,
    /// The line itself.
    pub(crate) text: String,
    /// What it says.
    pub(crate) action: Action,
}

/// What a line says.
#[derive(Clone)]
pub(crate) enum Action {
    /// `a> …`: the client on this connection sends a packet or bytes.
    Send(char, Sent),
    /// `a> close`: the client closes the connection without DISCONNECT.
    Close(char),
    /// `a< …`: the client receives these packets, in any order, and nothing else before them.
    Receive(char, Vec<Packet>),
    /// `a< closed`: the server closes the connection; nothing comes before that.
    Closed(char),
    /// `a< nothing`: nothing has come that was not expected; a PINGREQ is answered at once.
    Nothing(char),
    /// `wait 1500ms`: nothing happens for this long.
    Wait(Duration),
}

/// What a client sends.
#[derive(Clone)]
pub(crate) enum Sent {
    /// A packet.
    Packet(Packet),
    /// The words of `hex`.
    Bytes(Vec<String>),
}

/// A packet: its name and the words behind it.
#[derive(Clone)]
pub(crate) struct Packet {
    pub(crate) name: String,
    pub(crate) words: Vec<Word>,
}

/// The names of packets, by their type.
pub(crate) const PACKETS: [&str; 16] = [
    "reserved",
    "CONNECT",
    "CONNACK",
    "PUBLISH",
    "PUBACK",
    "PUBREC",
    "PUBREL",
    "PUBCOMP",
    "SUBSCRIBE",
    "SUBACK",
    "UNSUBSCRIBE",
    "UNSUBACK",
    "PINGREQ",
    "PINGRESP",
    "DISCONNECT",
    "AUTH",
];

/// All scenarios, in the order of their files; those of `both` for each version.
pub(crate) fn all() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for (folder, versions) in [("v5", &[V5][..]), ("v311", &[V311]), ("both", &[V5, V311])] {
        let folder = root().join("tests/wire").join(folder);
        let mut files: Vec<_> =
            std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in &files {
            for version in versions {
                scenarios.extend(read_file(file, *version));
            }
        }
    }
    scenarios
}

fn read_file(path: &Path, version: u8) -> Vec<Scenario> {
    let file = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
    let text = std::fs::read_to_string(path).unwrap();
    let mut scenarios: Vec<Scenario> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let (number, line) = (number + 1, line.trim());
        if let Some(title) = line.strip_prefix("## ") {
            let title = title.to_owned();
            let is_new = scenarios.iter().all(|other| other.title != title);
            assert!(is_new, "{file}:{number}: there are two scenarios of this name");
            scenarios.push(Scenario { file: file.clone(), title, version, steps: Vec::new() });
            continue;
        }
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let action = read_line(line, version)
            .unwrap_or_else(|error| panic!("{file}:{number}: {error}: {line}"));
        let scenario = scenarios.last_mut();
        let scenario = scenario.unwrap_or_else(|| panic!("{file}:{number}: `## title` is missing"));
        if let Some(action) = action {
            scenario.steps.push(Step { line: number, text: line.to_owned(), action });
        }
    }
    scenarios
}

/// What a line says; `None`: nothing in this version.
fn read_line(line: &str, version: u8) -> Result<Option<Action>, String> {
    let line = match (line.strip_prefix("[v5] "), line.strip_prefix("[v311] ")) {
        (Some(_), _) if version != V5 => return Ok(None),
        (_, Some(_)) if version != V311 => return Ok(None),
        (rest, other) => rest.or(other).unwrap_or(line),
    };
    if let Some(time) = line.strip_prefix("wait ") {
        let millis = time.strip_suffix("ms").and_then(|millis| millis.parse().ok());
        return Ok(Some(Action::Wait(Duration::from_millis(millis.ok_or("`wait 100ms`")?))));
    }
    let mut parts = line.chars();
    let connection = parts.next().filter(char::is_ascii_lowercase);
    let connection = connection.ok_or("a line begins with `a>` or `a<`")?;
    let direction = parts.next();
    let rest = split(parts.as_str())?;
    let first = rest.first().map_or("", |word| &**word);
    Ok(Some(match (direction, first) {
        (Some('>'), "close") => Action::Close(connection),
        (Some('>'), "hex") => Action::Send(connection, Sent::Bytes(rest[1..].to_vec())),
        (Some('>'), _) => Action::Send(connection, Sent::Packet(packet(&rest)?)),
        (Some('<'), "closed") => Action::Closed(connection),
        (Some('<'), "nothing") => Action::Nothing(connection),
        (Some('<'), _) => {
            let packets = rest.split(|word| word == "&").map(packet);
            let mut packets = packets.collect::<Result<Vec<_>, _>>()?;
            // A server has no DISCONNECT in 3.1.1.
            packets.retain(|packet| version == V5 || packet.name != "DISCONNECT");
            if packets.is_empty() {
                return Ok(None);
            }
            Action::Receive(connection, packets)
        }
        _ => return Err("a line begins with `a>` or `a<`".to_owned()),
    }))
}

fn packet(rest: &[String]) -> Result<Packet, String> {
    let (name, rest) = rest.split_first().ok_or("a packet is missing")?;
    if !PACKETS.contains(&&**name) {
        return Err(format!("no packet is called {name}"));
    }
    Ok(Packet { name: name.clone(), words: words(rest)? })
}
