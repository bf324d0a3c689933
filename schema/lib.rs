//! The JSON Schema fragments of `zilla.yaml`: data only, so that the engine and the bindings can
//! each take their own.

/// The schema of everything but the bindings.
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
