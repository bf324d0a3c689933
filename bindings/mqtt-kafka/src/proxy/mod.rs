//! A worker's part of the binding: sessions, the logs that they read, and what connects the two.
//!
//! - `hub`: what a worker has once; `upstream`: an exit and what is open on it.
//! - `reader`, `dispatch`, `run`: records of a log, once through its subscriptions, to sessions.
//! - `member`, `ring`, `events`, `catch_up`, `retained`: what a session has, and how it is pulled.
//! - `subscribe`, `holding`, `publish`, `session`: what a client asks; `marks`, `pairs`: retained publishes.
//! - `kept`, `keep`, `resume`, `lasting`, `due`: sessions that outlive their connection; `wills`: theirs.
//! - `share`: shared subscriptions.
//! - `reload`, `retarget`, `leave`, `moving`: a new mapping, the end, a replaced exit; `shared`: what workers share.

mod catch_up;
mod counters;
mod dispatch;
mod due;
mod events;
mod holding;
mod hub;
mod keep;
mod kept;
mod lasting;
mod leave;
mod marks;
mod member;
mod moving;
mod pairs;
mod publish;
mod reader;
mod reload;
mod resume;
mod retained;
mod retarget;
mod ring;
mod run;
mod session;
mod share;
mod shared;
mod subscribe;
mod upstream;
mod wills;

#[cfg(test)]
mod tests;

pub(crate) use hub::{Hub, PARTITIONS};
pub(crate) use session::MqttKafka;
pub(crate) use shared::Shared;
