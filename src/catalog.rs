//! The one list of what this program contains.

use engine::spi::Catalog;

/// What this program contains.
pub(crate) const CATALOG: Catalog = Catalog {
    about: "MQTT broker engine on Apache Kafka, declared in zilla.yaml",
    bindings: &[
        &tcp::KIND,
        &mqtt::KIND,
        &mqtt_kafka::KIND,
        &kafka_binding::KIND,
        &kafka_binding::CACHE_CLIENT_KIND,
        &kafka_binding::CACHE_SERVER_KIND,
        &kafka_binding::CLIENT_KIND,
    ],
    origins: &[
        #[cfg(feature = "remote")]
        remote::HTTP,
    ],
    settings: &[kafka_binding::BACK_END],
    properties: &[mqtt::PROPERTIES, mqtt_kafka::PROPERTIES],
    actions: mqtt::ACTIONS,
};
