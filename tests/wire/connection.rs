//! A connection to the server under test.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::harness::{Packet as Frame, hex};
use crate::seen::Seen;

/// How long anything may take that should happen at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes at each end of a packet that are written one by one.
const ENDS: usize = 64;

/// How what clients send is cut into segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A packet a write.
    AsWritten,
    /// A byte a write.
    ByteByByte,
    /// All that a client can send without an answer, in one write.
    Coalesced,
}

/// A connection of a scenario.
pub(crate) struct Connection {
    /// The protocol level that its CONNECT names.
    pub(crate) version: u8,
    stream: TcpStream,
    inbox: Vec<u8>,
    /// What was sent and received, for the report.
    history: Vec<String>,
}

/// What comes over a connection.
pub(crate) enum Incoming {
    Packet(Frame, Seen),
    Closed,
}

impl Connection {
    /// Connects.
    pub(crate) fn open(address: SocketAddr, version: u8) -> std::io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, version, inbox: Vec::new(), history: Vec::new() })
    }

    /// Writes bytes. Where the server has closed the connection, what is expected next tells.
    pub(crate) fn send(&mut self, bytes: &[u8], form: Form) {
        self.history.push(format!("> {}", shown(bytes)));
        let whole = bytes.len();
        let is_end = |at: usize| at < ENDS || at + ENDS >= whole;
        let mut rest = bytes;
        while !rest.is_empty() {
            let at = whole - rest.len();
            let count = match form {
                Form::ByteByByte if is_end(at) => 1,
                Form::ByteByByte => whole - ENDS - at,
                Form::AsWritten | Form::Coalesced => rest.len(),
            };
            if self.stream.write_all(&rest[..count]).is_err() {
                return;
            }
            rest = &rest[count..];
        }
    }

    /// The next packet, or the end.
    pub(crate) fn incoming(&mut self, awaited: &str) -> Result<Incoming, String> {
        loop {
            let taken = catch_unwind(AssertUnwindSafe(|| {
                let frame = Frame::take(&mut self.inbox)?;
                let seen = Seen::of(&frame, self.version);
                Some((frame, seen))
            }));
            match taken {
                Err(_) => return Err(format!("but came what is malformed: {}", hex(&self.inbox))),
                Ok(Some((frame, seen))) => {
                    self.history.push(format!("< {}", seen.shown()));
                    return Ok(Incoming::Packet(frame, seen));
                }
                Ok(None) => {}
            }
            let mut chunk = [0; 65536];
            match self.stream.read(&mut chunk) {
                Ok(0) if self.inbox.is_empty() => return Ok(Incoming::Closed),
                Ok(0) => return Err(format!("a packet was cut off: {}", hex(&self.inbox))),
                Ok(count) => self.inbox.extend(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                    return Ok(Incoming::Closed);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(format!("waited {PATIENCE:?} for {awaited}: {error}")),
            }
        }
    }

    /// The last that went over it.
    pub(crate) fn history(&self) -> String {
        let first = self.history.len().saturating_sub(8);
        self.history[first..].iter().map(|line| format!("      {line}\n")).collect()
    }
}

/// Bytes for the report.
pub(crate) fn shown(bytes: &[u8]) -> String {
    match bytes.get(..ENDS) {
        Some(beginning) if bytes.len() > ENDS => {
            format!("{}… {} bytes", hex(beginning), bytes.len())
        }
        _ => hex(bytes),
    }
}
