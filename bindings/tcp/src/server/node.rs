//! A tcp server on one worker: accepts, places each connection on the least loaded worker, and
//! passes it to the exit that its route names.

use std::any::Any;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use engine::bytes::{Accept, Acceptor, Bytes, Conn, ConnMeta};
use engine::config::NodeName;
use engine::runtime::{Listeners, Placed};
use engine::spi::{
    Definition, Link, Links, Node, Prepared, Retire, WorkerCx, definition_as, prepared_as,
};
use engine::telemetry::Counter;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use super::connections::Connections;
use super::{Sockets, TcpServer};
use crate::state::{Condition, route};

/// How long accepting pauses where the process has no file descriptor left.
const PAUSE: Duration = Duration::from_millis(100);

/// Connections that are taken one after the other: those that are open come first then, and what
/// their clients have sent meanwhile.
const AT_ONCE: usize = 16;

/// The instance.
pub(super) struct TcpServerNode {
    this: Weak<Self>,
    name: NodeName,
    cx: WorkerCx,
    acceptor: Acceptor,
    routes: RefCell<Rc<[Route]>>,
    /// What connections were passed to, also by earlier routes.
    served_by: RefCell<Vec<Weak<dyn Accept>>>,
    accepting: RefCell<Vec<Accepting>>,
    connections: Rc<Connections>,
    accepted: Counter,
    unrouted: Counter,
    accept_failures: Counter,
}

struct Route {
    conditions: Vec<Condition>,
    exit: Link<Bytes>,
}

/// An address that is listened on.
struct Accepting {
    listeners: Arc<Listeners>,
    /// This worker's handle of the socket. The task does not hold it, and so cannot keep the socket
    /// open until it is polled next.
    listener: Rc<TcpListener>,
    task: AbortHandle,
}

/// A connection that another worker accepted.
struct Handoff {
    stream: TcpStream,
    meta: ConnMeta,
    placed: Placed,
}

impl TcpServerNode {
    pub(super) fn new(name: &NodeName, cx: &WorkerCx) -> Rc<Self> {
        let unrouted = cx.counter(name, "connections_without_route");
        Rc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            name: name.clone(),
            cx: cx.clone(),
            acceptor: cx.next_acceptor(),
            routes: RefCell::new(Rc::new([])),
            served_by: RefCell::default(),
            accepting: RefCell::default(),
            connections: Connections::new(cx, unrouted.clone()),
            accepted: cx.counter(name, "connections_accepted"),
            unrouted,
            accept_failures: cx.counter(name, "accept_failures"),
        })
    }

    /// Takes a definition: its routes for the next connection, its sockets now. A socket that it
    /// shares with the definition before goes on undisturbed.
    pub(super) fn take(&self, definition: &TcpServer, sockets: &Sockets, links: &Links<'_>) {
        let routes = definition.routes.iter().map(|route| Route {
            conditions: route.conditions.clone(),
            exit: links.link(&route.exit.name),
        });
        *self.routes.borrow_mut() = routes.collect();
        let mut accepting = self.accepting.borrow_mut();
        let is_wanted =
            |old: &Accepting| sockets.0.iter().any(|new| Arc::ptr_eq(&old.listeners, new));
        for gone in accepting.extract_if(.., |old| !is_wanted(old)) {
            self.stop(gone);
        }
        for listeners in &sockets.0 {
            if accepting.iter().any(|old| Arc::ptr_eq(&old.listeners, listeners)) {
                continue;
            }
            match self.listen(listeners) {
                Ok((listener, task)) => {
                    let listeners = Arc::clone(listeners);
                    accepting.push(Accepting { listeners, listener, task });
                }
                Err(error) => {
                    self.accept_failures.increment();
                    tracing::error!(
                        event = "tcp.listen.failed",
                        binding = %self.name,
                        address = %listeners.address(),
                        %error,
                        "this worker cannot accept on the address; the others do",
                    );
                }
            }
        }
    }

    fn listen(&self, listeners: &Listeners) -> io::Result<(Rc<TcpListener>, AbortHandle)> {
        let listener = Rc::new(TcpListener::from_std(listeners.socket(self.cx.index())?)?);
        let (this, weak) = (Weak::clone(&self.this), Rc::downgrade(&listener));
        let task = tokio::task::spawn_local(async move {
            let mut is_paused = false;
            let mut accepted_at_once = 0;
            while let Some(accepted) = accept(&weak).await {
                let Some(node) = this.upgrade() else { return };
                match accepted {
                    Ok((stream, peer)) => {
                        if std::mem::take(&mut is_paused) {
                            tracing::info!(event = "tcp.accept.resumed", binding = %node.name);
                        }
                        node.place(stream, peer);
                        drop(node);
                        accepted_at_once += 1;
                        if accepted_at_once == AT_ONCE {
                            accepted_at_once = 0;
                            tokio::task::yield_now().await;
                        }
                    }
                    Err(error) if is_of_the_connection(&error) => node.accept_failures.increment(),
                    Err(error) => {
                        node.accept_failures.increment();
                        if !std::mem::replace(&mut is_paused, true) {
                            tracing::error!(
                                event = "tcp.accept.paused",
                                binding = %node.name,
                                %error,
                                "connections wait; those that are open go on",
                            );
                        }
                        drop(node);
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        });
        Ok((listener, task.abort_handle()))
    }

    /// Stops listening on an address. What its queue holds was connected before, and is served:
    /// closing the socket would reset it.
    fn stop(&self, gone: Accepting) {
        gone.task.abort();
        let listener = Rc::into_inner(gone.listener).map(TcpListener::into_std);
        let Some(Ok(listener)) = listener else { return };
        // The socket does not block: an error is the end of its queue.
        while let Ok((stream, peer)) = listener.accept() {
            match stream
                .set_nonblocking(true)
                .and_then(|()| tokio::net::TcpStream::from_std(stream))
            {
                Ok(stream) => self.place(stream, peer),
                Err(_) => self.accept_failures.increment(),
            }
        }
    }

    /// Serves a connection here, or hands it to a worker with fewer of them.
    fn place(&self, stream: tokio::net::TcpStream, peer: SocketAddr) {
        self.accepted.increment();
        // Fails only where the peer is gone already; then the first read says so.
        stream.set_nodelay(true).ok();
        let Ok(local) = stream.local_addr() else {
            self.accept_failures.increment();
            return;
        };
        let meta = ConnMeta { peer, local, acceptor: self.acceptor };
        let here = self.cx.index();
        let placed = self.cx.loads().place(here);
        let there = placed.worker();
        if there == here {
            self.serve(stream, meta, placed);
            return;
        }
        let Ok(stream) = stream.into_std() else {
            self.accept_failures.increment();
            return;
        };
        let handoff = Box::new(Handoff { stream, meta, placed });
        if let Err(back) = self.cx.post(there, &self.name, handoff) {
            // That worker has more to do than it can: the connection stays.
            if let Ok(handoff) = back.downcast::<Handoff>() {
                self.take_over(Handoff { placed: self.cx.loads().place_on(here), ..*handoff });
            }
        }
    }

    /// Goes on with a connection that was a plain socket in between.
    fn take_over(&self, handoff: Handoff) {
        match tokio::net::TcpStream::from_std(handoff.stream) {
            Ok(stream) => self.serve(stream, handoff.meta, handoff.placed),
            Err(_) => self.accept_failures.increment(),
        }
    }

    /// Passes a connection to the exit of its route.
    fn serve(&self, stream: tokio::net::TcpStream, meta: ConnMeta, placed: Placed) {
        // Another worker may have accepted it: there the instance has another name.
        let meta = ConnMeta { acceptor: self.acceptor, ..meta };
        let routes = Rc::clone(&self.routes.borrow());
        let conditions = routes.iter().map(|route| route.conditions.as_slice());
        let found = route(conditions, meta.local, |_, _| {});
        let Some(found) = found else {
            self.unrouted.increment();
            return;
        };
        let exit = routes[found].exit.get();
        self.remember(&exit);
        self.connections.spawn(placed, exit.serve(Conn { io: Box::new(stream), meta }));
    }

    fn remember(&self, exit: &Rc<dyn Accept>) {
        let mut all = self.served_by.borrow_mut();
        let exit = Rc::downgrade(exit);
        if !all.iter().any(|known| known.ptr_eq(&exit)) {
            all.retain(|known| known.strong_count() > 0);
            all.push(exit);
        }
    }
}

/// The next connection; `None` once the listener is gone, which this does not keep.
async fn accept(
    listener: &Weak<TcpListener>,
) -> Option<io::Result<(tokio::net::TcpStream, SocketAddr)>> {
    poll_fn(|cx| match listener.upgrade() {
        Some(listener) => listener.poll_accept(cx).map(Some),
        None => Poll::Ready(None),
    })
    .await
}

/// Whether an error of accept concerns the one connection only (accept(2)).
fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
            | io::ErrorKind::PermissionDenied
    )
}

impl Node for TcpServerNode {
    fn update(
        &self,
        definition: &Arc<dyn Definition>,
        prepared: &Prepared,
        _: &WorkerCx,
        links: &mut Links<'_>,
    ) {
        if let Some(definition) = definition_as::<TcpServer>(&**definition) {
            self.take(definition, &prepared_as(prepared), links);
        }
    }

    fn retire(&self, retire: Retire) {
        for gone in self.accepting.borrow_mut().drain(..) {
            self.stop(gone);
        }
        let Some(deadline) = retire.deadline else { return };
        self.connections.cut_off_at(deadline);
        if retire.is_shutdown {
            // They are told of that themselves.
            return;
        }
        for exit in self.served_by.borrow().iter().filter_map(Weak::upgrade) {
            exit.end_at(self.acceptor, deadline);
        }
    }

    fn receive(&self, payload: Box<dyn Any + Send>) {
        let Ok(handoff) = payload.downcast::<Handoff>() else { return };
        self.take_over(*handoff);
    }

    fn connections(&self) -> usize {
        self.connections.len()
    }
}

#[cfg(test)]
mod tests {
    use engine::runtime::ListenerPool;

    use super::*;

    #[test]
    fn connections_are_taken_a_few_at_a_time() {
        const WAITING: usize = 4 * AT_ONCE;
        let name = NodeName::new("test", "tcp");
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let listeners = ListenerPool::new(1).acquire(&name, 0, anywhere).unwrap();
        let connect = |_| TcpStream::connect(listeners.address()).unwrap();
        let _clients: Vec<_> = (0..WAITING).map(connect).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let node = TcpServerNode::new(&name, &WorkerCx::detached());
            let (_listener, _task) = node.listen(&listeners).unwrap();
            let taken = || usize::try_from(node.accepted.value()).unwrap();
            let mut before = 0;
            while before < WAITING {
                tokio::task::yield_now().await;
                let now = taken();
                assert!(now - before <= AT_ONCE, "{} before others had their turn", now - before);
                before = now;
            }
        });
    }
}
