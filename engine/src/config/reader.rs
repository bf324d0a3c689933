//! The one place that opens a configuration, wherever it is.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::config::source::MOST;
use crate::config::{Address, Location, Problem, Secret, Source};
use crate::spi::{Ask, Fetch, FetchError, FetchedContent, Origin};

/// Reads the configuration of a location.
#[derive(Clone)]
pub enum Reader {
    /// From a file.
    File(PathBuf),
    /// From an address.
    Remote(Remote),
}

/// Fetches the configuration of an address.
#[derive(Clone)]
pub struct Remote {
    pub(super) address: Address,
    pub(super) fetch: Arc<dyn Fetch>,
}

/// The text of a configuration, and what tells it from others.
#[derive(Clone, Debug)]
pub struct Version {
    /// The text.
    pub source: Source,
    /// What the origin calls it, where it is fetched and the origin says so.
    pub name: Option<String>,
}

impl Reader {
    /// What reads `location`; from an address, with one of `origins`.
    ///
    /// # Errors
    /// Where no origin fetches from the address, or not with the credentials.
    pub fn new(
        location: &Location,
        origins: &[&'static dyn Origin],
        authorization: Option<&Secret>,
    ) -> Result<Self, FetchError> {
        let address = match location {
            Location::File(path) => return Ok(Self::File(path.clone())),
            Location::Address(address) => address,
        };
        let scheme = address.scheme();
        let origin = origins.iter().find(|origin| origin.schemes().contains(&scheme));
        let Some(origin) = origin else {
            let message = format!("this program fetches nothing from {scheme}: addresses");
            return Err(FetchError::new(message).with_help("fetch the file first"));
        };
        let fetch = origin.open(address, authorization)?;
        Ok(Self::Remote(Remote { address: address.clone(), fetch }))
    }

    /// Reads it. Blocks.
    ///
    /// # Errors
    /// Where it cannot be had, is larger than 16 MiB, or is not UTF-8.
    pub fn read(&self) -> io::Result<Version> {
        match self {
            Self::File(path) => Ok(Version { source: Source::read(path)?, name: None }),
            Self::Remote(remote) => remote.read(),
        }
    }

    /// Reads it as [`Reader::read`] does, or says as a problem why it cannot.
    ///
    /// # Errors
    /// The problem, which has a source of its own; of a text that is not UTF-8, at its place.
    pub fn open(&self) -> Result<Source, Problem> {
        let remote = match self {
            Self::File(path) => return Source::open(path),
            Self::Remote(remote) => remote,
        };
        let name = remote.address.to_string();
        let (bytes, _) = remote.fetch().map_err(|error| error.problem(&name))?;
        Source::open_from(&name, bytes.as_slice())
    }
}

impl Remote {
    /// Asks for another version than `known`, which an origin that waits may wait for. The other
    /// version, or `None` where there is none; and whether the origin says that it waits.
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub(super) fn ask(
        &self,
        known: Option<&str>,
        wait: Duration,
    ) -> io::Result<(Option<Version>, bool)> {
        let fetched =
            self.fetch.fetch(&Ask { known, wait, most: MOST }).map_err(io::Error::other)?;
        let version = match fetched.content {
            FetchedContent::Known => None,
            FetchedContent::New { bytes, version } => Some(self.version(&bytes, version)?),
        };
        Ok((version, fetched.waits))
    }

    /// Asks for what there is.
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub(super) fn read(&self) -> io::Result<Version> {
        let (bytes, version) = self.fetch().map_err(io::Error::other)?;
        self.version(&bytes, version)
    }

    fn version(&self, bytes: &[u8], name: Option<String>) -> io::Result<Version> {
        Ok(Version { source: Source::read_from(self.address.to_string(), bytes)?, name })
    }

    fn fetch(&self) -> Result<(Vec<u8>, Option<String>), FetchError> {
        let ask = Ask { known: None, wait: Duration::ZERO, most: MOST };
        match self.fetch.fetch(&ask)?.content {
            FetchedContent::New { bytes, version } => Ok((bytes, version)),
            FetchedContent::Known => Err(FetchError::new("it says that nothing has changed")),
        }
    }
}
