//! Connections: ownership moves from binding to binding, one task owns one connection.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Instant;

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
    /// What accepted it.
    pub acceptor: Acceptor,
}

/// An instance of a binding that accepts connections, on its worker; given by
/// [`crate::spi::WorkerCx::next_acceptor`]. Numbers come again after 65,536 instances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Acceptor(pub(crate) u16);

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

    /// The binding that these connections came by is gone: they are cut off a moment after
    /// `deadline`. What serves them tells the peers then, where its protocol has words for it.
    fn end_at(self: Rc<Self>, acceptor: Acceptor, deadline: Instant) {
        let _ = (acceptor, deadline);
    }
}
