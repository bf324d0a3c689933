//! The mqtt-kafka binding: MQTT sessions over Kafka topics
