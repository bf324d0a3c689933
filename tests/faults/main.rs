//! Faults that the engine carries on through, against the built binary on a real Kafka of each
//! test's own: the broker killed, paused, cut off, unreachable from the start, rolled back; leaders
//! and controllers of three brokers changed; topics missing, of the wrong kind, denied, grown, made
//! again; clients that are cut off at random, do not read, send what is malformed or mean harm; no
//! file descriptor left; the engine itself killed. What asks for no Kafka outside the engine runs on
//! the embedded log, too.
//!
//! A checker records every publish, every acknowledgement and every delivery. It decides that no
//! acknowledged QoS 1 message was lost, and that each publisher's order was kept.
//!
//! `scripts/test --test faults` runs them; `ZILLA_FAULTS_ROUNDS` and `ZILLA_FAULTS_PAUSE` (seconds)
//! make them longer, as `scripts/soak-faults` does.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::let_underscore_must_use,
    reason = "a test ends at the first surprise, waits on the clock, and cleans up as far as it can"
)]

mod backlog;
mod broker;
mod checker;
mod crash;
mod cuts;
mod descriptors;
#[path = "../e2e/harness/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the end-to-end tests use the rest")]
mod harness;
mod hostile;
mod malformed;
mod network;
mod older;
mod outage;
mod permissions;
mod producer;
mod proxy;
mod quorum;
mod reader;
mod start;
mod topics;
