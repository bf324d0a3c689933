//! The program's commands, from outside and without a Kafka.

#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod codes;
mod explain;
mod graph;
mod online;
mod plan;
mod program;
mod remote;
mod start;
mod stop;
mod test_files;
mod validate;
