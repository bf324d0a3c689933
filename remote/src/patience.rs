//! How long a server may take.

use std::time::Duration;

/// How long each part may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Resolving the name, connecting and the TLS handshake.
    pub(crate) connect: Duration,
    /// All of it, redirects and the text included; more where the server was asked to wait.
    pub(crate) total: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), total: Duration::from_secs(30) }
    }
}
