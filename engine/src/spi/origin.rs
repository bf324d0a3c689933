//! What fetches configurations from addresses.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{Address, Problem, Secret, Source, codes};

/// Fetches configurations from the addresses of some schemes.
pub trait Origin: Sync {
    /// The schemes, in small letters.
    fn schemes(&self) -> &'static [&'static str];

    /// The properties of `zilla start` that are about it, by name.
    fn properties(&self) -> &'static [(&'static str, OriginProperty)];

    /// What fetches from one address, with the credentials of the property, where it was given.
    /// Contacts nothing.
    ///
    /// # Errors
    /// Where nothing can be fetched with these.
    fn open(
        &self,
        address: &Address,
        authorization: Option<&Secret>,
    ) -> Result<Arc<dyn Fetch>, FetchError>;
}

/// What a property of an origin is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginProperty {
    /// The credentials, as the origin's protocol writes them.
    Authorization,
    /// How often is fetched, as ISO 8601 writes a duration.
    Interval,
}

/// Fetches one configuration, as often as it is asked to. Several threads may ask at once.
pub trait Fetch: Send + Sync {
    /// Fetches it. Blocks, for no longer than `ask.wait` and about a minute.
    ///
    /// # Errors
    /// Where it cannot be had, whole.
    fn fetch(&self, ask: &Ask<'_>) -> Result<Fetched, FetchError>;
}

/// What is asked of an origin.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The version that is known: it need not be sent again.
    pub known: Option<&'a str>,
    /// How long the origin may wait for another version before it answers that there is none; not
    /// every origin waits.
    pub wait: Duration,
    /// More bytes than these are not wanted: reading may end with one more.
    pub most: u64,
}

/// What an origin answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// What it has.
    pub content: FetchedContent,
    /// Whether it says that it waits for another version where it is asked to.
    pub waits: bool,
}

/// What an origin has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchedContent {
    /// The version that is known.
    Known,
    /// Another one, or the first.
    New {
        /// All of it.
        bytes: Vec<u8>,
        /// What tells it from others, where the origin says so.
        version: Option<String>,
    },
}

/// Why nothing was fetched. Has nothing in it that may be secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchError {
    /// What happened.
    pub message: String,
    /// What to do, where that can be said.
    pub help: Option<Box<str>>,
    /// How long the origin asks to be left alone, where it does.
    pub retry_after: Option<Duration>,
}

impl FetchError {
    /// What happened.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, retry_after: None }
    }

    /// Adds what to do.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into().into_boxed_str());
        self
    }

    /// Adds how long the origin asks to be left alone.
    #[must_use]
    pub fn with_retry_after(mut self, pause: Duration) -> Self {
        self.retry_after = Some(pause);
        self
    }

    /// The same as a problem of the file with this name.
    pub(crate) fn problem(self, name: &str) -> Problem {
        let message = format!("the file cannot be read: {}", self.message);
        let problem = Problem::new(codes::E0109, Source::new(name, "").span(0, 0), message);
        self.help.into_iter().fold(problem, Problem::with_help)
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.help.as_ref().map_or(Ok(()), |help| write!(f, "; {help}"))
    }
}

impl std::error::Error for FetchError {}
