//! Three brokers, each of which is also a controller: leaders and controllers change.
//!
//! What this engine uses of Kafka's coordinators is next to nothing. It assigns itself the partitions
//! that it reads, as no member of a group, and commits no offsets: no group coordinator. Its producer
//! is idempotent and not transactional: no transaction coordinator. The producer's id comes from
//! whichever broker answers, which has it from the active controller in blocks. So what must be
//! survived is that the leader of a partition changes, that the active controller does, and that the
//! broker is gone which a client asked for metadata, offsets or an id.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::broker::Broker;
use crate::checker::{Checker, Load};
use crate::harness::{Client, Engine, PATIENCE, Records, Setup, Topics, V5, free_port, kafka_only};
use crate::outage::setting;

/// Brokers of the cluster.
const NODES: usize = 3;

/// A cluster with three replicas of everything, two of which acknowledge.
struct Quorum {
    /// Node `n` is the `n - 1`th.
    nodes: Vec<Broker>,
    records: Records,
}

impl Quorum {
    fn start() -> Self {
        let ports: Vec<(u16, u16)> = (0..NODES).map(|_| (free_port(), free_port())).collect();
        let voters: Vec<String> = ports
            .iter()
            .zip(1..)
            .map(|((_, controller), id)| format!("{id}@127.0.0.1:{controller}"))
            .collect();
        let voters = voters.join(",");
        let node = |((port, controller), id): ((u16, u16), usize)| {
            let extra = format!(
                "node.id={id}\n\
                 controller.quorum.voters={voters}\n\
                 default.replication.factor=3\n\
                 min.insync.replicas=2\n\
                 replica.lag.time.max.ms=3000\n\
                 auto.leader.rebalance.enable=false"
            );
            Broker::with_controller(port, controller, &extra)
        };
        let mut nodes: Vec<Broker> = ports.into_iter().zip(1..).map(node).collect();
        nodes.iter_mut().for_each(Broker::launch);
        nodes.iter_mut().for_each(Broker::await_answer);
        let addresses: Vec<&str> = nodes.iter().map(|node| &*node.address).collect();
        let records = Records::start(&addresses.join(","));
        Self { nodes, records }
    }

    fn node(&mut self, id: usize) -> &mut Broker {
        &mut self.nodes[id - 1]
    }

    /// An engine that knows all brokers.
    fn engine(&self) -> Engine {
        let mut topics = Topics::of(&self.records);
        topics.create_all(&[]);
        let servers: Vec<&str> = self.nodes.iter().map(|node| &*node.address).collect();
        let kafka = format!("      servers: {servers:?}\n");
        Setup { kafka, ..Setup::new(1) }.start_at(servers[0], topics)
    }
}

/// The leader of partition 0 of the messages, the leader that is preferred, and how many replicas are
/// in sync.
fn partition(engine: &Engine) -> (i64, i64, i64) {
    let topic = engine.topic("messages");
    let question = json!({"do": "partition", "topic": topic, "partition": 0});
    let answer = engine.topics.borrow_mut().ask(question);
    let number = |name: &str| answer[name].as_i64().unwrap();
    (number("leader"), number("preferred"), number("in_sync"))
}

/// The node that is the active controller.
fn controller(engine: &Engine) -> usize {
    let answer = engine.topics.borrow_mut().ask(json!({"do": "controller"}));
    usize::try_from(answer["controller"].as_i64().unwrap()).expect("a controller")
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + 2 * PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited for: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn until_all_are_in_sync(engine: &Engine) {
    until("all replicas in sync", || partition(engine).2 == NODES as i64);
}

/// Says how long publishes waited since `began`.
fn resumes(checker: &Checker, what: &str, began: Instant) {
    let first = checker.flow();
    eprintln!("{what}: acknowledges again after {:?}", first.duration_since(began));
}

#[test]
fn leaders_and_controllers_that_change_cost_nothing_acknowledged() {
    kafka_only!();
    let mut quorum = Quorum::start();
    let engine = quorum.engine();
    // Few enough for three brokers, their replicas and all else on a small machine.
    let load = Load { pause: Duration::from_millis(5), ..Load::default() };
    let checker = Checker::start(engine.port, load);
    let rounds = setting("ZILLA_FAULTS_ROUNDS", 1);
    for round in 0..rounds {
        // The leader, which is the preferred one.
        let (leader, preferred, _) = partition(&engine);
        assert_eq!(leader, preferred);
        let killed = usize::try_from(leader).unwrap();
        quorum.node(killed).kill();
        let began = Instant::now();
        until("another leader", || ![leader, -1].contains(&partition(&engine).0));
        resumes(&checker, "leader killed", began);
        quorum.node(killed).restart();
        until_all_are_in_sync(&engine);
        let began = Instant::now();
        engine.topics.borrow_mut().ask(json!({"do": "elect"}));
        until("the preferred leader", || partition(&engine).0 == leader);
        resumes(&checker, "preferred leader back", began);

        // The active controller, who gives out the producers' ids, and a client that is new.
        let active = controller(&engine);
        quorum.node(active).kill();
        let began = Instant::now();
        until("another controller", || controller(&engine) != active);
        resumes(&checker, "controller killed", began);
        let mut new = Client::connect(engine.port, V5, &format!("new-{round}"));
        new.subscribe("new", 1);
        new.publish("new", "x", 1);
        assert_eq!(new.receive().text(), "x");
        quorum.node(active).restart();
        until_all_are_in_sync(&engine);

        // One after the other is ended and started again, as for a new version; in the short form
        // only one that was not killed.
        let left = (1..=NODES).rfind(|id| ![killed, active].contains(id)).unwrap();
        let nodes = if rounds > 1 { 1..=NODES } else { left..=left };
        for id in nodes {
            let began = Instant::now();
            quorum.node(id).stop();
            resumes(&checker, "broker stopped", began);
            quorum.node(id).restart();
            until_all_are_in_sync(&engine);
        }
        engine.topics.borrow_mut().ask(json!({"do": "elect"}));
        until("the preferred leader", || partition(&engine).0 == leader);
    }
    checker.flow();
    let verdict = checker.finish(&engine);
    assert_eq!(verdict.refused, 0);
}
