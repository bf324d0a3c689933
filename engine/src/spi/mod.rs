//! What a binding implements, and what it may use. Read this to write one.
//!
//! A binding has three lifetimes. A [`BindingKind`] is a `static`, one a `type` of the YAML. A
//! [`Definition`] is one binding of one file: validated, immutable, shared by workers and by
//! generations. A [`Node`] is a definition at work on one worker.

mod binding;
mod catalog;
mod check;
mod explain;
mod link;
mod origin;
mod plane;
mod prepare;
mod word;
mod worker;

pub use binding::{
    Attached, BindingKind, BoxFuture, Coupling, Definition, Exit, External, Node, Prepared,
    Resource, Retire, definition_as, prepared_as,
};
pub use catalog::{Catalog, Property, PropertyValues, Setting};
pub use check::{CheckCx, Checkup, Keeps, Purpose, TopicNeed, TopicReport, TopicState};
pub use explain::{Action, Denial, Explained, Fact, Rule, Step, Trace, Verdict};
pub use link::{Entry, Link, Links};
pub use origin::{Ask, Fetch, FetchError, Fetched, FetchedContent, Origin, OriginProperty};
pub use plane::Plane;
pub use prepare::PrepareCx;
pub use word::shell_word;
pub use worker::{SignalGuard, WorkerCx};
