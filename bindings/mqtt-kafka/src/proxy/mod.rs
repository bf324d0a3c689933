//! A worker's part of the binding: sessions, the logs that they read, and what connects the two.
//!
//! - `hub`: what a worker has once; `upstream`: an exit and what is open on it; `shared`: what
//!   workers share.
//! - `deliver`: records of a log, to what waits for each session; `member`, `events`: what a session
//!   has, and how it is pulled.
//! - `session`, `subscribe`, `holding`, `publish`: what a client asks; `retained`: its retained
//!   messages.
//! - `kept`: sessions that outlive their connection, and their wills; `share`: shared subscriptions.
//! - `reload`: a new mapping, the end, a replaced exit.

mod counters;
mod deliver;
mod events;
mod holding;
mod hub;
mod kept;
mod member;
mod publish;
mod reload;
mod retained;
mod session;
mod share;
mod shared;
mod subscribe;
mod upstream;

#[cfg(test)]
mod tests;

pub(crate) use hub::{Hub, PARTITIONS};
pub(crate) use session::MqttKafka;
pub(crate) use shared::Shared;
