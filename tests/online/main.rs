//! `zilla validate --online` and `zilla topics`, from outside, against a real Kafka: each problem has
//! its line and the command that mends it, which is run, and then the problem is gone.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::let_underscore_must_use,
    reason = "a test ends at the first surprise, waits on the clock, and cleans up as far as it can"
)]

#[path = "../faults/broker.rs"]
#[expect(dead_code, reason = "the tests of faults use the rest")]
mod broker;
mod cluster;
mod file;
#[path = "../e2e/harness/mod.rs"]
#[expect(dead_code, unused_imports, unused_macros, reason = "the end-to-end tests use the rest")]
mod harness;
mod permissions;
#[path = "../faults/proxy.rs"]
#[expect(dead_code, reason = "the tests of faults use the rest")]
mod proxy;
mod topics;
