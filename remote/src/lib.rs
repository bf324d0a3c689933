//! Fetches configurations from `http:` and `https:` addresses.
//!
//! One request a question, on a connection of its own: polls are rare, and a connection that was
//! kept would be one more thing that can have gone bad meanwhile. `If-None-Match` spares what is
//! known, `Prefer: wait` (RFC 7240) asks the server to answer when there is something new. The
//! proxy is that of the environment (`HTTPS_PROXY`, `NO_PROXY`), authorities those of the system
//! (`SSL_CERT_FILE`, `SSL_CERT_DIR`).

mod client;
mod failure;
mod patience;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use engine::config::{Address, Secret};
use engine::spi::{Fetch, FetchError, Origin, OriginProperty};

use client::Client;
use patience::Patience;

/// What fetches from `http:` and `https:` addresses.
pub const HTTP: &dyn Origin = &Http;

struct Http;

impl Origin for Http {
    fn schemes(&self) -> &'static [&'static str] {
        &["http", "https"]
    }

    fn properties(&self) -> &'static [(&'static str, OriginProperty)] {
        &[
            ("zilla.filesystem.http.authorization", OriginProperty::Authorization),
            ("zilla.filesystem.http.poll.interval", OriginProperty::Interval),
        ]
    }

    fn open(
        &self,
        address: &Address,
        authorization: Option<&Secret>,
    ) -> Result<Arc<dyn Fetch>, FetchError> {
        Ok(Arc::new(Client::new(address, authorization, Patience::default())?))
    }
}
