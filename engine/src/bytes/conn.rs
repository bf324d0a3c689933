//! Connections: ownership moves from binding to binding, one task owns one connection.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::spi::Plane;

/// The byte plane.
pub struct Bytes;

impl Plane for Bytes {
    const NAME: &'static str = "bytes";
    type Exit = dyn Accept;
}

/// A stream of bytes in both directions. Not `Send`: it stays on its worker.
pub trait Io: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

/// A connection, with what is known of it so far.
pub struct Conn {
    /// The bytes.
    pub io: Box<dyn Io>,
    /// The facts.
    pub meta: ConnMeta,
}

/// Facts about a connection; each binding that it passes adds what it learns.
#[derive(Clone, Debug)]
pub struct ConnMeta {
    /// The peer's address.
    pub peer: SocketAddr,
    /// The address that it connected to.
    pub local: SocketAddr,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By the peer or by agreement.
    Closed,
    /// No route or binding took it.
    Refused,
}

/// What a binding offers to bindings that pass connections on.
pub trait Accept {
    /// Serves a connection until it ends. Called on the worker that accepted it; the future is the
    /// connection's one task.
    fn serve(self: Rc<Self>, conn: Conn) -> Pin<Box<dyn Future<Output = Ended>>>;
}
