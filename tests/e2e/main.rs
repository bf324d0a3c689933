//! Black-box tests of the built binary, over sockets and on a real Kafka.
//!
//! `scripts/test` runs them with what they need. `ZILLA_TEST_BROKER=mosquitto` runs them against
//! mosquitto instead, leaving out what only the engine has: a check of the tests.
//! `ZILLA_TEST_KAFKA=embedded` runs them on the log that the engine keeps in its own process.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::let_underscore_must_use,
    reason = "a test ends at the first surprise, waits on the clock, and cleans up as far as it can"
)]

mod aliases;
mod bounds;
mod clients;
mod command_line;
mod connections;
mod exchange;
mod explain;
mod forms;
#[expect(dead_code, unused_imports, reason = "the tests of faults use the rest")]
mod harness;
mod limits;
mod mosquitto;
mod offer;
mod older;
#[path = "../faults/proxy.rs"]
#[expect(dead_code, reason = "the tests of faults use the rest")]
mod proxy;
mod qos2;
mod record_read;
mod record_written;
mod refusals;
mod reload;
mod reload_files;
mod reload_flood;
mod reload_kafka;
mod reload_removed;
mod reload_watch;
mod remote;
mod request_response;
mod retained;
mod routes;
mod sessions;
mod shared;
mod shutdown;
mod subscriptions;
mod system;
mod wills;
