//! A Kafka of one test's own, to be killed, paused and cut off.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::harness::{Engine, PATIENCE, Records, Setup, Topics, free_port, root};
use crate::proxy::Proxy;

/// The id of each cluster: none of them hears of another.
const CLUSTER_ID: &str = "ZmF1bHRzLW9uLWthZmthIQ";

/// A broker whose data and port outlive its process.
pub(crate) struct Broker {
    /// Where clients of this test find it, host:port.
    pub(crate) address: String,
    /// Where it listens itself.
    port: u16,
    directory: PathBuf,
    extra: String,
    /// `kafka.sh run`: ends the broker when its standard input ends, with this process.
    guard: Option<Child>,
    records: Option<Records>,
}

impl Broker {
    /// A running broker.
    pub(crate) fn start() -> Self {
        let mut broker = Self::stopped();
        broker.restart();
        broker
    }

    /// A broker that does not run yet, and the port that it will have.
    pub(crate) fn stopped() -> Self {
        Self::new(free_port(), String::new())
    }

    /// A running broker that clients reach only through the proxy, and the proxy.
    pub(crate) fn behind_proxy() -> (Self, Proxy) {
        let (port, direct) = (free_port(), free_port());
        let proxy = Proxy::start(port);
        let extra = format!(
            "listeners=PLAINTEXT://127.0.0.1:{port},DIRECT://127.0.0.1:{direct},\
             CONTROLLER://127.0.0.1:CONTROLLER_PORT\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{},DIRECT://127.0.0.1:{direct}\n\
             listener.security.protocol.map=PLAINTEXT:PLAINTEXT,DIRECT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
             inter.broker.listener.name=DIRECT",
            proxy.port
        );
        let mut broker = Self::new(port, extra);
        broker.restart();
        broker.records = Some(Records::start(&format!("127.0.0.1:{direct}")));
        broker.address = format!("127.0.0.1:{}", proxy.port);
        (broker, proxy)
    }

    /// A running broker that asks clients for SASL and knows the users `zilla` and `admin`, whose
    /// passwords are `secret`. Only `admin` may do anything.
    pub(crate) fn with_users() -> Self {
        let (port, direct) = (free_port(), free_port());
        let login = "org.apache.kafka.common.security";
        let extra = format!(
            "listeners=CLIENT://127.0.0.1:{port},DIRECT://127.0.0.1:{direct},\
             CONTROLLER://127.0.0.1:CONTROLLER_PORT\n\
             advertised.listeners=CLIENT://127.0.0.1:{port},DIRECT://127.0.0.1:{direct}\n\
             listener.security.protocol.map=CLIENT:SASL_PLAINTEXT,DIRECT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
             inter.broker.listener.name=DIRECT\n\
             sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512\n\
             listener.name.client.plain.sasl.jaas.config={login}.plain.PlainLoginModule required \
             user_zilla=\"secret\" user_admin=\"secret\";\n\
             listener.name.client.scram-sha-256.sasl.jaas.config={login}.scram.ScramLoginModule required;\n\
             listener.name.client.scram-sha-512.sasl.jaas.config={login}.scram.ScramLoginModule required;\n\
             authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
             super.users=User:ANONYMOUS;User:admin"
        );
        let mut broker = Self::new(port, extra);
        let admin = format!(
            "security.protocol=SASL_PLAINTEXT\n\
             sasl.mechanism=PLAIN\n\
             sasl.jaas.config={login}.plain.PlainLoginModule required \
             username=\"admin\" password=\"secret\";\n"
        );
        std::fs::write(broker.directory.join("admin.properties"), admin).unwrap();
        broker.restart();
        broker.records = Some(Records::start(&format!("127.0.0.1:{direct}")));
        broker
    }

    /// One that listens at `port` with these further settings, in which `CONTROLLER_PORT` stands for
    /// the port of its controller.
    pub(crate) fn new(port: u16, extra: String) -> Self {
        Self::with_controller(port, free_port(), &extra)
    }

    /// As [`Broker::new`], with this port of its controller.
    pub(crate) fn with_controller(port: u16, controller: u16, extra: &str) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(1);
        let name =
            format!("faults-kafka-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("ports"), format!("{port} {controller}\n")).unwrap();
        Self {
            address: format!("127.0.0.1:{port}"),
            port,
            directory,
            extra: extra.replace("CONTROLLER_PORT", &controller.to_string()),
            guard: None,
            records: None,
        }
    }

    /// Starts it with the data that it has, and returns when it answers.
    pub(crate) fn restart(&mut self) {
        self.launch();
        self.await_answer();
    }

    /// Starts it, and returns at once.
    pub(crate) fn launch(&mut self) {
        let guard = script(&["run", self.directory.to_str().unwrap()])
            .env("KAFKA_EXTRA", &self.extra)
            .env("KAFKA_CLUSTER_ID", CLUSTER_ID)
            .env("KAFKA_HEAP", "256m")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start scripts/kafka/kafka.sh");
        self.guard = Some(guard);
    }

    /// Returns when it answers after [`Broker::launch`].
    pub(crate) fn await_answer(&mut self) {
        let output = self.guard.as_mut().unwrap().stdout.take().unwrap();
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "Kafka did not start; see what kafka.sh says above");
    }

    /// Ends it as an operator does: it hands over what it leads.
    pub(crate) fn stop(&mut self) {
        if let Some(mut guard) = self.guard.take() {
            drop(guard.stdin.take());
            let _ = guard.wait();
        }
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        let killed = script(&["kill", self.directory.to_str().unwrap()]).status().unwrap();
        assert!(killed.success(), "kafka.sh kill");
        if let Some(mut guard) = self.guard.take() {
            drop(guard.stdin.take());
            let _ = guard.wait();
        }
    }

    /// Keeps a copy of its data, while it does not run.
    pub(crate) fn save(&self) {
        self.copy("data", "saved");
    }

    /// Puts the copy in the place of its data, while it does not run: what came since is lost.
    pub(crate) fn roll_back(&self) {
        std::fs::remove_dir_all(self.directory.join("data")).unwrap();
        self.copy("saved", "data");
    }

    fn copy(&self, from: &str, to: &str) {
        let [from, to] = [from, to].map(|name| self.directory.join(name));
        let copied = Command::new("cp").arg("-a").args([from, to]).status().expect("run cp");
        assert!(copied.success());
    }

    /// Stops its process, as a long pause of the machine would.
    pub(crate) fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub(crate) fn go_on(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let id = std::fs::read_to_string(self.directory.join("pid")).unwrap();
        let sent = Command::new("kill").args(["-s", name, id.trim()]).status().unwrap();
        assert!(sent.success(), "cannot send {name} to the broker");
    }

    /// Measures, on a thread of its own, when the broker takes connections again.
    pub(crate) fn when_back(&self) -> std::thread::JoinHandle<Instant> {
        let port = self.port;
        std::thread::spawn(move || {
            let deadline = Instant::now() + 4 * PATIENCE;
            while TcpStream::connect(("127.0.0.1", port)).is_err() {
                assert!(Instant::now() < deadline, "the broker did not come back");
                std::thread::sleep(Duration::from_millis(5));
            }
            Instant::now()
        })
    }

    /// Names of topics that do not exist yet, and a client that reads and writes them.
    pub(crate) fn names(&mut self) -> Topics {
        let address = &self.address;
        Topics::of(self.records.get_or_insert_with(|| Records::start(address)))
    }

    /// The usual topics.
    pub(crate) fn topics(&mut self) -> Topics {
        let mut topics = self.names();
        topics.create_all(&[]);
        topics
    }

    /// An engine on this broker and the usual topics.
    pub(crate) fn engine(&mut self, workers: usize) -> Engine {
        let topics = self.topics();
        Setup::new(workers).start_at(&self.address, topics)
    }

    /// How many records a topic has, where none of its offsets is a gap.
    pub(crate) fn count(&self, topic: &str) -> usize {
        let command =
            format!("kafka-get-offsets --bootstrap-server {} --topic {topic}", self.address);
        // TOPIC:PARTITION:END
        let ends = self.run(&command);
        ends.lines().map(|line| line.rsplit(':').next().unwrap().parse::<usize>().unwrap()).sum()
    }

    /// Runs a command of Kafka's as an event names it, `kafka-topics.sh …` for instance; what it
    /// prints.
    pub(crate) fn run(&self, command: &str) -> String {
        let mut words = command.split_whitespace();
        let class = match words.next() {
            Some("kafka-topics.sh") => "org.apache.kafka.tools.TopicCommand",
            Some("kafka-get-offsets") => "org.apache.kafka.tools.GetOffsetShell",
            Some("kafka-configs.sh") => "kafka.admin.ConfigCommand",
            Some("kafka-acls.sh") => "org.apache.kafka.tools.AclCommand",
            Some("kafka-consumer-groups") => {
                "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
            }
            other => panic!("{other:?} is no command of Kafka's"),
        };
        let Output { status, stdout, stderr } =
            script(&["cli", class]).args(words).current_dir(&self.directory).output().unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        assert!(status.success(), "{command}: {}{}", text(&stdout), text(&stderr));
        text(&stdout)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if self.guard.is_some() {
            self.kill();
        }
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn script(arguments: &[&str]) -> Command {
    let mut command = Command::new("bash");
    command
        .arg(root().join("scripts/kafka/kafka.sh"))
        .args(arguments)
        // Started often, and never busy for long: half of the start is the second compiler's.
        .env("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1");
    command
}
