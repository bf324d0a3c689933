//! A server on one worker.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::future::{Future, ready};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::bytes::{Accept, Acceptor, Conn, Ended};
use engine::config::NodeName;
use engine::spi::{
    Definition, Link, Links, Node, Prepared, Retire, WorkerCx, definition_as, prepared_as,
};
use mqtt_plane::{Event, Limits, Mqtt, MqttExit};

use super::connect::connect;
use super::counters::{Counters, LogLimits};
use super::registry::{Order, Registration, Registry};
use super::system::{System, SystemExit};
use super::{Lasting, MqttServer, Shared};
use crate::state::{Decision, Policy, Request, Routes, UNLIMITED, is_system, stricter};

/// The configuration in force: replaced as a whole by a reload.
pub(super) struct Table {
    routes: Routes,
    pub(super) policy: Rc<Policy>,
    pub(super) exits: Vec<(NodeName, Link<Mqtt>)>,
    /// The exit that takes subscriptions to `$SYS/…`, where there is one: the server's own.
    pub(super) system: Option<usize>,
}

impl Table {
    pub(super) fn new(routes: Routes, policy: Policy, exits: Vec<(NodeName, Link<Mqtt>)>) -> Self {
        Self { routes, policy: Rc::new(policy), exits, system: None }
    }

    pub(super) fn decide(&self, request: Request<'_>) -> Option<Decision> {
        self.routes.decide(request, |_, _| {})
    }

    /// The exit that takes subscriptions to `filter`, where the routes permit it: a filter of the
    /// server's own topics needs a route as any other, and then leads to the server.
    pub(super) fn subscribe_exit(&self, filter: &str) -> Option<usize> {
        let decision = self.decide(Request::Subscribe(filter))?;
        Some(self.system.filter(|_| is_system(filter)).unwrap_or(decision.exit))
    }

    /// Has the server take subscriptions to its own topics, unless the file says otherwise.
    fn with_system(mut self, system: &Rc<System>) -> Self {
        let interval = Duration::from_secs(self.policy.system_interval.into());
        system.configure(interval, self.exits.iter().map(|(name, _)| name));
        if !interval.is_zero() {
            let exit: Rc<dyn MqttExit> = Rc::new(SystemExit(Rc::clone(system)));
            self.system = Some(self.exits.len());
            self.exits.push((NodeName::new("", "$SYS"), Link::to(exit)));
        }
        self
    }

    /// The route that takes everything, if the first one does.
    pub(super) fn only(&self) -> Option<Decision> {
        self.routes.only()
    }

    /// The bounds that hold here and on every exit: a client may come to use each of them.
    pub(super) fn limits(&self) -> Limits {
        let exits = self.exits.iter().map(|(_, link)| link.get().limits());
        exits.fold(stricter(UNLIMITED, self.policy.bounds.limits()), stricter)
    }
}

/// A server on one worker.
pub(super) struct Server {
    pub(super) cx: WorkerCx,
    pub(super) name: NodeName,
    pub(super) lasting: Arc<Lasting>,
    pub(super) counters: Counters,
    pub(super) limits: LogLimits,
    pub(super) registry: Registry,
    pub(super) is_ticking: Cell<bool>,
    pub(super) is_retired: Cell<bool>,
    system: Rc<System>,
    table: RefCell<Rc<Table>>,
    /// Ticks of service, for keep alive.
    tick: Cell<u32>,
    /// What the packets that were taken in the present turn of a connection cost.
    pub(super) spent: Cell<usize>,
    /// Emptied within each poll that uses it, so that no connection owns one.
    events: RefCell<Vec<Event>>,
}

impl Server {
    pub(super) fn new(cx: &WorkerCx, name: &NodeName, lasting: Arc<Lasting>, table: Table) -> Self {
        let system = System::new(cx, name, Arc::clone(&lasting));
        Self {
            cx: cx.clone(),
            name: name.clone(),
            lasting,
            counters: Counters::new(cx, name),
            limits: LogLimits::default(),
            registry: Registry::new(random()),
            is_ticking: Cell::new(false),
            is_retired: Cell::new(false),
            table: RefCell::new(Rc::new(table.with_system(&system))),
            system,
            tick: Cell::new(0),
            spent: Cell::new(0),
            events: RefCell::default(),
        }
    }

    /// The configuration in force.
    pub(super) fn table(&self) -> Rc<Table> {
        Rc::clone(&self.table.borrow())
    }

    /// Whether `table` is still in force.
    pub(super) fn is_current(&self, table: &Rc<Table>) -> bool {
        Rc::ptr_eq(&self.table.borrow(), table)
    }

    pub(super) fn set_table(&self, table: Table) {
        *self.table.borrow_mut() = Rc::new(table.with_system(&self.system));
    }

    pub(super) fn tick(&self) -> u32 {
        self.tick.get()
    }

    pub(super) fn set_tick(&self, tick: u32) {
        self.tick.set(tick);
    }

    /// A connection ends before it has said anything.
    fn refuse_unheard(&self, peer: SocketAddr) {
        self.counters.connections_refused.increment();
        self.counters.connections_refused_by_limit.increment();
        tracing::debug!(
            event = "mqtt.connection.refused",
            binding = %self.name,
            %peer,
            detail = "as many connections without CONNECT as the server takes",
        );
    }

    /// Notes that the present turn of a connection cost so many packets more.
    pub(super) fn spend(&self, packets: usize) {
        self.spent.set(self.spent.get().saturating_add(packets));
    }

    /// Lends the scratch list of events, empty.
    pub(super) fn take_events(&self) -> Vec<Event> {
        self.events.take()
    }

    pub(super) fn return_events(&self, mut events: Vec<Event>) {
        events.clear();
        self.events.replace(events);
    }
}

impl Accept for Server {
    fn serve(self: Rc<Self>, conn: Conn) -> Pin<Box<dyn Future<Output = Ended>>> {
        if self.is_retired.get() {
            self.counters.connections_refused.increment();
            return Box::pin(ready(Ended::Refused));
        }
        let Some(handshake) = self.lasting.gate.begin(&self.table().policy.bounds) else {
            self.refuse_unheard(conn.meta.peer);
            return Box::pin(ready(Ended::Closed));
        };
        let registration = Registration::new(&self, conn.meta.acceptor);
        // Boxed, and before the connection's own future: what the handshake holds is gone when the
        // session begins.
        let connecting = Box::pin(connect(self, registration, conn, handshake));
        Box::pin(async move {
            match connecting.await {
                Ok(connection) => connection.run().await,
                Err(ended) => ended,
            }
        })
    }

    fn end_at(self: Rc<Self>, acceptor: Acceptor, deadline: Instant) {
        self.order_at(deadline, Order::Remove, move |handle| handle.acceptor == acceptor);
    }
}

/// What the engine holds of a server.
pub(super) struct ServerNode(pub(super) Rc<Server>);

impl Node for ServerNode {
    fn update(
        &self,
        definition: &Arc<dyn Definition>,
        prepared: &Prepared,
        _: &WorkerCx,
        links: &mut Links<'_>,
    ) {
        if let Some(definition) = definition_as::<MqttServer>(&**definition) {
            let shared = prepared_as::<Shared>(prepared);
            self.0.set_table(definition.table(&shared, links));
        }
    }

    fn retire(&self, retire: Retire) {
        self.0.retire_all(retire);
    }

    fn receive(&self, payload: Box<dyn Any + Send>) {
        self.0.receive_letter(&*payload);
    }

    fn connections(&self) -> usize {
        self.0.registry.len()
    }
}

/// 64 bits that others cannot guess: a hash under a key that the process drew at random.
pub(super) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
