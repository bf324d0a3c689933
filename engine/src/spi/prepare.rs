//! What a definition may use while it prepares.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::config::NodeName;
use crate::runtime::{ListenerPool, Mailbox};
use crate::shared::Store;
use crate::spi::{Prepared, PropertyValues, prepared_as};
use crate::telemetry::Metrics;

/// The control side of a reload, as a definition sees it while it prepares.
pub struct PrepareCx<'a> {
    pub(crate) name: &'a NodeName,
    pub(crate) prepared: &'a HashMap<NodeName, Prepared>,
    pub(crate) previous: Option<&'a Prepared>,
    pub(crate) listeners: &'a ListenerPool,
    pub(crate) store: &'a Store,
    pub(crate) mailboxes: &'a [Arc<Mailbox>],
    pub(crate) metrics: &'a Arc<Metrics>,
    pub(crate) settings: &'a BTreeMap<&'static str, String>,
    pub(crate) properties: &'a PropertyValues,
}

impl PrepareCx<'_> {
    /// The name of the binding that prepares.
    #[must_use]
    pub fn name(&self) -> &NodeName {
        self.name
    }

    /// What an exit held by [`crate::spi::Coupling::Value`] prepared.
    ///
    /// # Panics
    /// Where the definition did not name the exit so, or its plane is another's.
    #[must_use]
    pub fn exit<T: Send + Sync + 'static>(&self, name: &NodeName) -> Arc<T> {
        prepared_as(&self.prepared[name])
    }

    /// What the running generation of this binding prepared, where it is of the same type.
    #[must_use]
    pub fn previous<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.previous.and_then(|prepared| Arc::clone(prepared).downcast().ok())
    }

    /// The process's listening sockets.
    #[must_use]
    pub fn listeners(&self) -> &ListenerPool {
        self.listeners
    }

    /// What generations share.
    #[must_use]
    pub fn store(&self) -> &Store {
        self.store
    }

    /// The workers' mailboxes, by worker.
    #[must_use]
    pub fn mailboxes(&self) -> &[Arc<Mailbox>] {
        self.mailboxes
    }

    /// What the command line chose for a [`crate::spi::Setting`], checked.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }

    /// The value of a [`crate::spi::Property`], checked, where it was given.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties.get(name).map(String::as_str)
    }

    /// The process's metrics.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        self.metrics
    }
}
