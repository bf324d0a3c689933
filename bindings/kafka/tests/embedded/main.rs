//! The binding on the embedded log.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../suite/mod.rs"]
mod suite;

mod crash;
mod disk;
mod support;
mod upkeep;

use kafka::embedded::Options;
use suite::*;
use support::*;

/// An embedded log in a directory of its own for each test, with gaps between offsets.
struct Embedded;

impl BackEnd for Embedded {
    async fn serve(&self, _: &str, partitions: u32, _: bool) -> Served {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { partitions, gaps: Some(7), ..Options::of(dir.path()) };
        Served::new(lease(&options), Some(dir))
    }
}

run_scenarios! { Embedded }
