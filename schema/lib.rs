//! The JSON Schema fragments of `zilla.yaml`: data only, so that the engine and the bindings can
//! each take their own. `README.md` says how they are written.

/// The schema of everything but the things that have a type.
pub const ENGINE: &str = include_str!("engine.schema.json");
/// Bindings of type `tcp`.
pub const TCP: &str = include_str!("binding/tcp.json");
/// Bindings of type `mqtt`.
pub const MQTT: &str = include_str!("binding/mqtt.json");
/// Bindings of type `mqtt-kafka`.
pub const MQTT_KAFKA: &str = include_str!("binding/mqtt-kafka.json");
/// Bindings of type `kafka`.
pub const KAFKA: &str = include_str!("binding/kafka.json");
/// Bindings of type `kafka-cache-client`.
pub const KAFKA_CACHE_CLIENT: &str = include_str!("binding/kafka-cache-client.json");
/// Bindings of type `kafka-cache-server`.
pub const KAFKA_CACHE_SERVER: &str = include_str!("binding/kafka-cache-server.json");
/// Bindings of type `kafka-client`.
pub const KAFKA_CLIENT: &str = include_str!("binding/kafka-client.json");

/// The schema of the things of one type.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// What they are: `binding`, `guard`, `vault`, `store`, `catalog`, `exporter` or `model`.
    pub section: &'static str,
    /// Their type.
    pub name: &'static str,
    /// The JSON text.
    pub text: &'static str,
}

const fn part(section: &'static str, name: &'static str, text: &'static str) -> Part {
    Part { section, name, text }
}

/// Every type that a file may have, in the order of the documentation.
pub const PARTS: &[Part] = &[
    part("binding", "tcp", TCP),
    part("binding", "mqtt", MQTT),
    part("binding", "mqtt-kafka", MQTT_KAFKA),
    part("binding", "kafka", KAFKA),
    part("binding", "kafka-cache-client", KAFKA_CACHE_CLIENT),
    part("binding", "kafka-cache-server", KAFKA_CACHE_SERVER),
    part("binding", "kafka-client", KAFKA_CLIENT),
    part("binding", "tls", include_str!("binding/tls.json")),
    part("binding", "ws", include_str!("binding/ws.json")),
    part("binding", "http", include_str!("binding/http.json")),
    part("binding", "echo", include_str!("binding/echo.json")),
    part("binding", "fan", include_str!("binding/fan.json")),
    part("binding", "proxy", include_str!("binding/proxy.json")),
    part("guard", "jwt", include_str!("guard/jwt.json")),
    part("guard", "x509", include_str!("guard/x509.json")),
    part("guard", "inline", include_str!("guard/inline.json")),
    part("vault", "filesystem", include_str!("vault/filesystem.json")),
    part("store", "memory", include_str!("store/memory.json")),
    part("catalog", "inline", include_str!("catalog/inline.json")),
    part("catalog", "filesystem", include_str!("catalog/filesystem.json")),
    part("catalog", "schema-registry", include_str!("catalog/schema-registry.json")),
    part("catalog", "karapace", include_str!("catalog/karapace.json")),
    part(
        "catalog",
        "karapace-schema-registry",
        include_str!("catalog/karapace-schema-registry.json"),
    ),
    part("catalog", "apicurio", include_str!("catalog/apicurio.json")),
    part("catalog", "apicurio-registry", include_str!("catalog/apicurio-registry.json")),
    part("exporter", "stdout", include_str!("exporter/stdout.json")),
    part("exporter", "prometheus", include_str!("exporter/prometheus.json")),
    part("exporter", "otlp", include_str!("exporter/otlp.json")),
    part("model", "string", include_str!("model/string.json")),
    part("model", "int32", include_str!("model/int32.json")),
    part("model", "int64", include_str!("model/int64.json")),
    part("model", "float", include_str!("model/float.json")),
    part("model", "double", include_str!("model/double.json")),
    part("model", "boolean", include_str!("model/boolean.json")),
    part("model", "bytes", include_str!("model/bytes.json")),
    part("model", "json", include_str!("model/json.json")),
    part("model", "avro", include_str!("model/avro.json")),
    part("model", "protobuf", include_str!("model/protobuf.json")),
];
/// What clients do, and what is decided of it: `verbs` and `facts`.
pub const ACTIONS: &str = include_str!("actions.json");
/// The schema of tests of a configuration, without what [`ACTIONS`] says.
pub const TEST: &str = include_str!("engine.test.schema.json");
