//! The mqtt binding: MQTT 3.1.1 and 5.0 on a byte stream, sessions on the mqtt plane
