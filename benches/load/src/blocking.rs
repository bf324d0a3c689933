//! A connection that waits for each packet, for clients that are not measured one by one.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::cli::Common;
use crate::wire;

/// How long the broker may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection.
#[derive(Debug)]
pub(crate) struct Blocking(TcpStream);

impl Blocking {
    /// Connects and writes CONNECT; `keeps` asks for a session that stays for an hour.
    pub(crate) fn connect(common: &Common, client_id: &str, keeps: bool) -> io::Result<Self> {
        let stream = TcpStream::connect(common.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut blocking = Self(stream);
        let mut out = Vec::new();
        wire::connect(&mut out, common.version, client_id, keeps);
        blocking.write(&out)?;
        Ok(blocking)
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    /// Reads CONNACK. Returns whether there was a session.
    pub(crate) fn accepted(&mut self) -> io::Result<bool> {
        match &*self.packet()? {
            [flags, 0, ..] => Ok(flags & 1 == 1),
            body => Err(io::Error::other(format!("CONNECT refused: {body:02x?}"))),
        }
    }

    /// Reads one packet and returns what follows its length.
    pub(crate) fn packet(&mut self) -> io::Result<Vec<u8>> {
        let mut byte = [0];
        self.0.read_exact(&mut byte)?;
        let (mut length, mut shift) = (0_usize, 0);
        loop {
            self.0.read_exact(&mut byte)?;
            length |= usize::from(byte[0] & 0x7f) << shift;
            shift += 7;
            if byte[0] & 0x80 == 0 {
                break;
            }
            if shift > 21 {
                return Err(io::Error::other("a length of more than four bytes"));
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok(body)
    }
}
