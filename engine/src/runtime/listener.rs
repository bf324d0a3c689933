//! Listening sockets. They belong to the engine; bindings borrow them, so that a reload that keeps
//! an address keeps its socket and the connections that wait in its queue.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Weak};

use socket2::{Domain, Protocol, Socket, Type};

use crate::config::NodeName;
use crate::shared::Lock;

/// Connections that may wait to be accepted, by socket.
const BACKLOG: i32 = 1024;

/// The process's listening sockets, by the address that was asked for.
#[derive(Debug)]
pub struct ListenerPool {
    workers: usize,
    listeners: Lock<HashMap<Key, Weak<Listeners>>>,
}

/// An address; where the system chooses the port, who asked, and for which of its ports.
type Key = (SocketAddr, Option<(NodeName, usize)>);

/// The listening sockets of one address, one a worker.
#[derive(Debug)]
pub struct Listeners {
    address: SocketAddr,
    sockets: Vec<TcpListener>,
}

impl Listeners {
    /// The address bound: with the port that the system chose where 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A handle of a worker's socket.
    ///
    /// # Errors
    /// Where the process has no file descriptor left.
    pub fn socket(&self, worker: usize) -> io::Result<TcpListener> {
        self.sockets[worker].try_clone()
    }
}

impl ListenerPool {
    /// A pool without sockets.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self { workers, listeners: Lock::default() }
    }

    /// The sockets of an address: those that are open, or newly bound ones. For port 0 the system
    /// chooses a port, which `owner` keeps for its `index`th address as long as it listens there.
    ///
    /// # Errors
    /// Where the address cannot be bound, also because another process of the same user holds it:
    /// SO_REUSEPORT would let both have it and share its clients, so that is tried first without.
    pub fn acquire(
        &self,
        owner: &NodeName,
        index: usize,
        address: SocketAddr,
    ) -> io::Result<Arc<Listeners>> {
        let key = (address, (address.port() == 0).then(|| (owner.clone(), index)));
        let mut listeners = self.listeners.lock();
        if let Some(open) = listeners.get(&key).and_then(Weak::upgrade) {
            return Ok(open);
        }
        let mut bound = address;
        let probe = socket(address, false)?;
        probe.bind(&address.into())?;
        if let Some(assigned) = probe.local_addr()?.as_socket() {
            bound.set_port(assigned.port());
        }
        drop(probe);
        let mut sockets = Vec::with_capacity(self.workers);
        for _ in 0..self.workers {
            let socket = socket(bound, true)?;
            socket.bind(&bound.into())?;
            socket.listen(BACKLOG)?;
            socket.set_nonblocking(true)?;
            sockets.push(socket.into());
        }
        let open = Arc::new(Listeners { address: bound, sockets });
        listeners.retain(|_, listeners| listeners.strong_count() > 0);
        listeners.insert(key, Arc::downgrade(&open));
        Ok(open)
    }
}

fn socket(address: SocketAddr, reuse_port: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restarted engine takes its port again while old connections are in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(reuse_port)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shared_within_the_process_and_refused_to_another() {
        let ours = ListenerPool::new(2);
        let (a, b) = (NodeName::new("n", "a"), NodeName::new("n", "b"));
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        let open = ours.acquire(&a, 0, any).expect("a free port");
        assert_eq!(ours.acquire(&a, 0, any).expect("the same").address(), open.address());
        assert_ne!(ours.acquire(&b, 0, any).expect("another").address(), open.address());
        let theirs = ListenerPool::new(1);
        let refused = theirs.acquire(&a, 0, open.address()).expect_err("held by the first");
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
        let address = open.address();
        drop(open);
        theirs.acquire(&a, 0, address).expect("free again");
    }
}
