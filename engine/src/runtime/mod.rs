//! The running engine: a control thread that plans and prepares, workers that apply and serve.

mod admin;
mod application;
mod clock;
mod control;
mod input;
mod listener;
mod loads;
mod mailbox;
mod receipt;
mod reload;
mod status;
mod worker;

pub use admin::{admin_path, ask, foretell, stop};
pub use clock::Clock;
pub use control::{Engine, EngineOptions, Milestone, REMOVED, StartError, run};
pub use listener::{ListenerPool, Listeners};
pub use loads::{Loads, Placed};
pub use mailbox::{Mailbox, Post};
pub use receipt::{Receipt, Refusal};
pub use status::{NodeStatus, Status};
