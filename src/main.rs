//! `zilla`: an MQTT broker engine on Apache Kafka, declared in `zilla.yaml`.

mod catalog;

use std::process::ExitCode;

/// One that librdkafka uses too: it allocates each record header by itself, and frees it on another
/// thread.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    engine::cli::main(&catalog::CATALOG)
}
