//! A scenario against a server.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use crate::connection::{Connection, Form, Incoming, shown};
use crate::encode::{Names, connect_version, encode};
use crate::harness::Packet as Frame;
use crate::notation::{self, Word};
use crate::scenario::{Action, Packet, Scenario, Sent, Step};
use crate::seen::Seen;

/// The server that scenarios run against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    /// Whether it is to say why before it closes a connection. The specification leaves that to the
    /// server.
    pub(crate) says_why: bool,
}

/// Runs a scenario. What is wrong, where something is.
pub(crate) fn run(
    scenario: &Scenario,
    target: Target,
    form: Form,
    own: &str,
) -> Result<(), String> {
    let (connections, ids) = (BTreeMap::new(), BTreeMap::new());
    let mut run = Run { scenario, target, form, own, connections, ids };
    let mut next = 0;
    while let Some(step) = scenario.steps.get(next) {
        let taken = run.take(next).map_err(|error| {
            let connections: Vec<String> =
                run.connections.values().map(Connection::history).collect();
            format!(
                "{}:{}, {form:?}: {}\n    expected: {}\n    {error}\n{}",
                scenario.file,
                step.line,
                scenario.title,
                step.text,
                connections.concat(),
            )
        })?;
        next += taken;
    }
    Ok(())
}

struct Run<'a> {
    scenario: &'a Scenario,
    target: Target,
    form: Form,
    own: &'a str,
    connections: BTreeMap<char, Connection>,
    ids: BTreeMap<String, u16>,
}

impl Run<'_> {
    /// Takes the step at `at`, and in [`Form::Coalesced`] what goes with it; how many they were.
    fn take(&mut self, at: usize) -> Result<usize, String> {
        let steps = &self.scenario.steps;
        match &steps[at].action {
            Action::Send(name, _) if self.form == Form::Coalesced => {
                return self.take_at_once(*name, at);
            }
            Action::Send(name, sent) => {
                let (bytes, form) = (self.bytes(*name, sent)?, self.form);
                self.connection(*name)?.send(&bytes, form);
            }
            Action::Close(name) => drop(self.connections.remove(name)),
            Action::Receive(name, expected) => self.receive(*name, VecDeque::from([expected]))?,
            // It was closed without the last words.
            Action::Closed(name) if !self.connections.contains_key(name) => {
                if self.target.says_why {
                    return Err("the connection is closed".to_owned());
                }
            }
            Action::Closed(name) => {
                match self.open(*name)?.incoming("the end of the connection")? {
                    Incoming::Closed => drop(self.connections.remove(name)),
                    Incoming::Packet(frame, seen) => return Err(came(&frame, &seen)),
                }
            }
            Action::Nothing(name) => {
                let connection = self.open(*name)?;
                connection.send(&[0xc0, 0], Form::AsWritten);
                match connection.incoming("PINGRESP")? {
                    Incoming::Packet(_, seen) if seen.name == "PINGRESP" => {}
                    Incoming::Packet(frame, seen) => return Err(came(&frame, &seen)),
                    Incoming::Closed => return Err("the connection was closed".to_owned()),
                }
            }
            Action::Wait(time) => std::thread::sleep(*time),
        }
        Ok(1)
    }

    /// Sends at once all that one connection sends from here on without another's part in it, then
    /// receives the answers: those of one type in the order of the scenario.
    fn take_at_once(&mut self, name: char, at: usize) -> Result<usize, String> {
        let steps = &self.scenario.steps[at..];
        let taken = coalescible(steps, name);
        let mut bytes = Vec::new();
        let mut expected = VecDeque::new();
        for step in &steps[..taken] {
            match &step.action {
                Action::Send(_, sent) => bytes.extend(self.bytes(name, sent)?),
                Action::Receive(_, packets) => expected.push_back(packets),
                _ => {}
            }
        }
        self.connection(name)?.send(&bytes, Form::Coalesced);
        self.receive(name, expected)?;
        Ok(taken)
    }

    /// Receives groups of packets: in any order within a group, and between groups in any order of
    /// packets of different types.
    fn receive(&mut self, name: char, groups: VecDeque<&Vec<Packet>>) -> Result<(), String> {
        let mut groups: Vec<Vec<&Packet>> =
            groups.into_iter().map(|group| group.iter().collect()).collect();
        while groups.iter().any(|group| !group.is_empty()) {
            let connection = self.connections.get_mut(&name);
            let connection = connection.ok_or("the connection is closed")?;
            let awaited = groups.iter().flatten().map(|packet| &*packet.name).collect::<Vec<_>>();
            let (frame, seen) = match connection.incoming(&awaited.join(", "))? {
                Incoming::Packet(frame, seen) => (frame, seen),
                Incoming::Closed => {
                    let only_words = groups.iter().flatten().all(|packet| is_refusal(packet));
                    if only_words && !self.target.says_why {
                        self.connections.remove(&name);
                        return Ok(());
                    }
                    return Err("the connection was closed".to_owned());
                }
            };
            let of_type =
                |group: &&mut Vec<&Packet>| group.iter().any(|packet| packet.name == seen.name);
            let Some(group) = groups.iter_mut().find(of_type) else {
                return Err(came(&frame, &seen));
            };
            let mut reasons = Vec::new();
            let found = group.iter().position(|packet| {
                let mut ids = self.ids.clone();
                match seen.check(packet, connection.version, self.own, &mut ids) {
                    Ok(()) => {
                        self.ids = ids;
                        true
                    }
                    Err(reason) => {
                        reasons.push(reason);
                        false
                    }
                }
            });
            match found {
                Some(found) => drop(group.remove(found)),
                None => return Err(format!("{}, {}", came(&frame, &seen), reasons.join("; "))),
            }
        }
        Ok(())
    }

    fn bytes(&mut self, name: char, sent: &Sent) -> Result<Vec<u8>, String> {
        match sent {
            Sent::Bytes(words) => notation::bytes(words, self.own),
            Sent::Packet(packet) => {
                let version = if packet.name == "CONNECT" {
                    let version = connect_version(packet, self.scenario.version)?;
                    self.connection(name)?.version = version;
                    version
                } else {
                    self.connection(name)?.version
                };
                let names = Names { own: self.own, ids: &self.ids, connection: name };
                encode(packet, version, &names)
            }
        }
    }

    /// The connection, opened where it is not open yet or not any more.
    fn connection(&mut self, name: char) -> Result<&mut Connection, String> {
        use std::collections::btree_map::Entry;
        match self.connections.entry(name) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let version = self.scenario.version;
                let opened = Connection::open(self.target.address, version);
                Ok(entry.insert(opened.map_err(|error| format!("cannot connect: {error}"))?))
            }
        }
    }

    fn open(&mut self, name: char) -> Result<&mut Connection, String> {
        self.connections.get_mut(&name).ok_or_else(|| "the connection is closed".to_owned())
    }
}

/// How many of the steps go at once, with their answers: as far as only answers lie between that
/// clients need not wait for. Whether an identifier is free, or a message retained, they cannot know
/// before PUBACK.
fn coalescible(steps: &[Step], name: char) -> usize {
    let mut taken = 0;
    let mut is_decided = true;
    for step in steps {
        match &step.action {
            Action::Send(other, sent) if *other == name => {
                // DISCONNECT does not wait for what is undecided.
                let is_last = matches!(sent, Sent::Packet(packet) if packet.name == "DISCONNECT");
                if taken > 0 && (needs_names(step) || is_last && !is_decided) {
                    break;
                }
            }
            Action::Receive(other, packets) if *other == name => {
                for packet in packets {
                    match &*packet.name {
                        "CONNACK" | "PINGRESP" => {}
                        "SUBACK" | "UNSUBACK" => is_decided = false,
                        _ => return taken,
                    }
                }
            }
            _ => break,
        }
        taken += 1;
    }
    taken
}

/// Whether a step sends a packet whose identifier is that of one received.
fn needs_names(step: &Step) -> bool {
    match &step.action {
        Action::Send(_, Sent::Packet(packet)) => packet.words.iter().any(|word| match word {
            Word::Field(name, value) => name == "id" && value.parse::<u16>().is_err(),
            Word::Code(_) | Word::Absent(_) => false,
        }),
        _ => false,
    }
}

/// Whether a packet only says why a connection is closed.
fn is_refusal(packet: &Packet) -> bool {
    let is_error = |word: &Word| matches!(word, Word::Code(code) if *code > 0);
    match &*packet.name {
        "DISCONNECT" => true,
        "CONNACK" => packet.words.iter().any(is_error),
        _ => false,
    }
}

fn came(frame: &Frame, seen: &Seen) -> String {
    let bytes = frame.encode();
    format!("but came: {} ({})", seen.shown(), shown(&bytes))
}
