//! Configurations of the engine, in pieces.

use tempfile::TempDir;

use super::engine::{Engine, is_stand_in};
use super::kafka::{Topics, is_embedded};

/// A configuration. `@name` in the pieces stands for this test's Kafka topic `name`.
#[derive(Clone)]
pub(crate) struct Setup {
    /// Worker threads.
    pub(crate) workers: usize,
    /// The ports of the tcp binding; 0: a free one.
    pub(crate) ports: Vec<u16>,
    /// Lines of the mqtt binding, indented by four.
    pub(crate) mqtt: String,
    /// The exit of the mqtt binding.
    pub(crate) mqtt_exit: Option<&'static str>,
    /// Lines of the options of the mqtt-kafka binding, indented by six.
    pub(crate) mapping: String,
    /// Lines of the routes of the mqtt-kafka binding, indented by six.
    pub(crate) routes: String,
    /// The topic for messages without a route.
    pub(crate) messages: String,
    /// More Kafka topics to create.
    pub(crate) topics: Vec<&'static str>,
    /// Lines of the options of the kafka cache_server, indented by six.
    pub(crate) cache: String,
    /// Lines of the options of the kafka client, indented by six.
    pub(crate) kafka: String,
    /// Properties of Zilla, `NAME=VALUE`.
    pub(crate) properties: Vec<String>,
    /// More bindings, indented by two.
    pub(crate) more: String,
    /// More arguments of `zilla start`.
    pub(crate) arguments: Vec<&'static str>,
    /// Whether the file lies as a mounted ConfigMap of Kubernetes does.
    pub(crate) is_volume: bool,
    /// Whether the engine runs where the system gives no notices of changed files.
    pub(crate) lacks_inotify: bool,
}

impl Setup {
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            workers,
            ports: vec![0],
            mqtt: String::new(),
            mqtt_exit: Some("mapping"),
            mapping: String::new(),
            routes: String::new(),
            messages: "@messages".to_owned(),
            topics: Vec::new(),
            cache: String::new(),
            kafka: "      servers: [\"${{env.KAFKA_BOOTSTRAP_SERVER}}\"]\n".to_owned(),
            properties: Vec::new(),
            more: String::new(),
            arguments: Vec::new(),
            is_volume: false,
            lacks_inotify: false,
        }
    }

    /// Sets a property `zilla.binding.mqtt.NAME`.
    pub(crate) fn with_property(mut self, name: &str, value: &str) -> Self {
        self.properties.push(format!("zilla.binding.mqtt.{name}={value}"));
        self
    }

    pub(crate) fn with_topics(mut self, topics: &[&'static str]) -> Self {
        self.topics.extend(topics);
        self
    }

    /// Bounds what is held in memory of each partition, bytes.
    pub(crate) fn with_cache_bytes(mut self, bytes: usize) -> Self {
        self.cache = format!("      cache:\n        bytes: {bytes}\n");
        self
    }

    /// Adds a route of the mqtt-kafka binding that sends `filter` to the Kafka topic `messages`.
    pub(crate) fn with_route(mut self, filter: &str, messages: &str) -> Self {
        self.routes += &route(filter, messages);
        self
    }

    /// Adds a tcp server `tcp2` on `port` that exits to the mqtt server that there is.
    pub(crate) fn with_second_listener(mut self, port: u16) -> Self {
        self.more += &second_listener(port, "mqtt");
        self
    }

    /// Adds a tcp server on `port` and an mqtt server that exits to `mapping`; names that end in 2.
    pub(crate) fn with_second_server(mut self, port: u16, mapping: &str) -> Self {
        self.more += &second_listener(port, "mqtt2");
        self.more += &format!(
            "  mqtt2:
    type: mqtt
    kind: server
    exit: {mapping}
"
        );
        self
    }

    /// Adds an mqtt-kafka binding `name` that sends `filter` to the Kafka topic `messages`, and does
    /// else as the one that there is.
    pub(crate) fn with_mapping(mut self, name: &str, filter: &str, messages: &str) -> Self {
        self.more += &mapping(name, &self.messages, "", &route(filter, messages));
        self
    }

    /// The text of the file, before topic names are put in.
    pub(crate) fn yaml(&self) -> String {
        let Self { ports, mqtt, mqtt_exit, messages, cache, kafka, more, .. } = self;
        let exit = mqtt_exit.map(|exit| format!("    exit: {exit}\n")).unwrap_or_default();
        let mapping = mapping("mapping", messages, &self.mapping, &self.routes);
        format!(
            "\
name: test
bindings:
  tcp:
    type: tcp
    kind: server
    options:
      host: 127.0.0.1
      port: {ports:?}
    exit: mqtt
  mqtt:
    type: mqtt
    kind: server
{mqtt}{exit}{mapping}{more}  cache:
    type: kafka
    kind: cache_client
    exit: log
  log:
    type: kafka
    kind: cache_server
    options:
      bootstrap:
        - \"@messages\"
        - \"@retained\"
{cache}    exit: kafka
  kafka:
    type: kafka
    kind: client
    options:
{kafka}"
        )
    }

    /// Starts the engine on this configuration, with topics of its own.
    pub(crate) fn start(&self) -> Engine {
        if is_stand_in() {
            return Engine::stand_in();
        }
        let topics = Topics::create(&self.topics);
        let address = topics.address().to_owned();
        self.start_at(&address, topics)
    }

    /// As [`Setup::start`], on topics that take large records: the engine, and the size of a payload
    /// that it takes, bytes. That is 10 MB, or what fits into the log of the engine's own process.
    pub(crate) fn start_large(&self) -> (Engine, usize) {
        const SIZE: usize = 10_000_000;
        if is_stand_in() {
            return (Engine::stand_in(), SIZE);
        }
        let topics = Topics::create_large(11_000_000);
        let address = topics.address().to_owned();
        (self.start_at(&address, topics), if is_embedded() { 1_000_000 } else { SIZE })
    }

    /// Starts the engine on an address in place of a file: `serve` has the text served, and says
    /// where.
    pub(crate) fn start_from(&self, serve: impl FnOnce(String) -> String) -> Engine {
        let topics = Topics::create(&self.topics);
        let address = topics.address().to_owned();
        let location = serve(fill(&self.yaml(), &topics));
        let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        Engine::start_on(location, directory, self, &address, topics)
    }

    /// Starts the engine on this configuration and the Kafka at `address`.
    pub(crate) fn start_at(&self, address: &str, topics: Topics) -> Engine {
        Engine::start(self, address, topics)
    }
}

/// A tcp server `tcp2` on `port` that exits to `exit`.
fn second_listener(port: u16, exit: &str) -> String {
    format!(
        "  tcp2:
    type: tcp
    kind: server
    options:
      host: 127.0.0.1
      port: {port}
    exit: {exit}
"
    )
}

/// A route of an mqtt-kafka binding.
fn route(filter: &str, messages: &str) -> String {
    format!(
        "      - when:\n          - publish:\n              - topic: {filter}\n          \
         - subscribe:\n              - topic: {filter}\n        with:\n          \
         messages: {messages}\n        exit: cache\n"
    )
}

/// An mqtt-kafka binding.
fn mapping(name: &str, messages: &str, options: &str, routes: &str) -> String {
    let routes = match routes {
        "" => String::new(),
        routes => format!("    routes:\n{routes}"),
    };
    format!(
        "  {name}:
    type: mqtt-kafka
    kind: proxy
    options:
      topics:
        sessions: \"@sessions\"
        messages: \"{messages}\"
        retained: \"@retained\"
{options}{routes}    exit: cache
"
    )
}

/// Puts the names of Kafka topics in the place of `@name`.
pub(crate) fn fill(text: &str, topics: &Topics) -> String {
    let mut pieces = text.split('@');
    let mut filled = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        filled += &topics.name(piece);
    }
    filled
}
