//! One connection of the load.

use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;

use mio::net::TcpStream;

use crate::wire::{self, Packet, Version};

/// Filters in one SUBSCRIBE at most.
const FILTERS: usize = 100;

/// How far a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// CONNECT is sent.
    Connecting,
    /// So many SUBACKs are due.
    Subscribing(usize),
    Ready,
    /// The connection ended.
    Gone,
}

/// A connection, with what it has of a packet and what it has to write.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    pub(crate) stage: Stage,
    /// A second handle of the socket, for a thread that writes.
    pub(crate) writer: Option<std::net::TcpStream>,
    /// A packet that is not all there.
    partial: Vec<u8>,
    pub(crate) out: Vec<u8>,
    written: usize,
    /// On the list of those that have something to do.
    pub(crate) is_dirty: bool,
}

impl Client {
    /// Connects and leaves CONNECT to be written.
    pub(crate) fn connect(
        address: SocketAddr,
        version: Version,
        id: &str,
        second: bool,
    ) -> io::Result<Self> {
        let stream = std::net::TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let writer = second.then(|| stream.try_clone()).transpose()?;
        let mut out = Vec::new();
        wire::connect(&mut out, version, id, false);
        Ok(Self {
            stream: TcpStream::from_std(stream),
            stage: Stage::Connecting,
            writer,
            partial: Vec::new(),
            out,
            written: 0,
            is_dirty: false,
        })
    }

    /// Subscribes, once the server has accepted the connection.
    pub(crate) fn subscribe(&mut self, version: Version, filters: &[String], qos: u8) {
        for (id, chunk) in (1..).zip(filters.chunks(FILTERS)) {
            wire::subscribe(&mut self.out, version, id, chunk, qos);
        }
        self.stage = match filters.len().div_ceil(FILTERS) {
            0 => Stage::Ready,
            packets => Stage::Subscribing(packets),
        };
    }

    /// Reads until nothing is left, and hands every packet to `visit`. `buffer` is shared by all
    /// clients; a client keeps only what it has of an unfinished packet. `Ok(false)`: the server
    /// closed the connection.
    pub(crate) fn read(
        &mut self,
        buffer: &mut [u8],
        version: Version,
        mut visit: impl FnMut(&mut Self, Packet) -> io::Result<()>,
    ) -> io::Result<bool> {
        loop {
            let kept = self.partial.len();
            buffer[..kept].copy_from_slice(&self.partial);
            self.partial.clear();
            let count = match self.stream.read(&mut buffer[kept..]) {
                Ok(0) => return Ok(false),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.partial.extend_from_slice(&buffer[..kept]);
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    self.partial.extend_from_slice(&buffer[..kept]);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let room = buffer.len() - kept;
            let mut bytes = &buffer[..kept + count];
            while let Some((packet, length)) =
                wire::read(bytes, version).map_err(io::Error::other)?
            {
                bytes = &bytes[length..];
                visit(self, packet)?;
            }
            self.partial.extend_from_slice(bytes);
            // A short read left nothing: there will be another event.
            if count < room {
                return Ok(true);
            }
        }
    }

    /// Whether all of it is written.
    pub(crate) fn is_flushed(&self) -> bool {
        self.out.is_empty()
    }

    /// Writes what the socket takes.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while self.written < self.out.len() {
            match self.stream.write(&self.out[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.out.clear();
        self.written = 0;
        Ok(())
    }
}
