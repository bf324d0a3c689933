//! `embedded[:DIR][?OPTION=VALUE&…]`.

use std::fmt;
use std::path::PathBuf;

use engine::config::Environment;

/// How an embedded log is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The directory, which one process uses at a time.
    pub dir: PathBuf,
    /// Whether an append is acknowledged only once it is on disk (`sync=none`: it is not).
    pub is_synced: bool,
    /// `partitions`: how many a topic has that is made from now on.
    pub partitions: u32,
    /// `retention.bytes`: the size of all logs together above which the oldest records go.
    pub retention_bytes: u64,
    /// `retention.ms`: the age from which on records go.
    pub retention_ms: i64,
    /// `segment.bytes`: the size of the files in which logs are kept and go.
    pub segment_bytes: u64,
    /// `gaps`: leaves out offsets at random, from this seed. For tests.
    pub gaps: Option<u64>,
}

/// What the options are called, for messages.
const NAMES: &str = "sync, partitions, retention.bytes, retention.ms, segment.bytes, gaps";

impl Options {
    /// The usual log in a directory.
    #[must_use]
    pub fn of(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            is_synced: true,
            partitions: 1,
            retention_bytes: 1 << 30,
            retention_ms: 7 * 24 * 3600 * 1000,
            segment_bytes: 0,
            gaps: None,
        }
        .with_segments()
    }

    fn with_segments(mut self) -> Self {
        if self.segment_bytes == 0 {
            self.segment_bytes = (self.retention_bytes / 16).clamp(1 << 20, 64 << 20);
        }
        self
    }

    /// Reads `embedded[:DIR][?OPTION=VALUE&…]`.
    ///
    /// # Errors
    /// What is wrong with the text, for whoever wrote it.
    pub fn parse(text: &str, environment: &dyn Environment) -> Result<Self, String> {
        let (place, query) = text.split_once('?').unwrap_or((text, ""));
        let dir = match place.split_once(':') {
            None if place == "embedded" => default_dir(environment)?,
            Some(("embedded", dir)) if !dir.is_empty() => PathBuf::from(dir),
            _ => {
                return Err(format!("`{place}` is not a back end: write embedded or embedded:DIR"));
            }
        };
        let mut options = Self { segment_bytes: 0, ..Self::of(dir) };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            options.set(name, value)?;
        }
        Ok(options.with_segments())
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let number = |least: u64, most: u64| {
            let number: Option<u64> = value.parse().ok();
            number
                .filter(|number| (least..=most).contains(number))
                .ok_or_else(|| format!("`{name}={value}`: a number from {least} to {most}"))
        };
        match name {
            "sync" if value == "none" => self.is_synced = false,
            "sync" => return Err(format!("`sync={value}`: only none can be chosen")),
            "partitions" => self.partitions = u32::try_from(number(1, 64)?).unwrap_or(1),
            "retention.bytes" => self.retention_bytes = number(1 << 16, u64::MAX >> 1)?,
            "retention.ms" => {
                self.retention_ms = i64::try_from(number(1, u64::MAX >> 1)?).unwrap_or(i64::MAX);
            }
            "segment.bytes" => self.segment_bytes = number(1 << 12, 1 << 30)?,
            "gaps" => self.gaps = Some(number(0, u64::MAX)?),
            _ => return Err(format!("`{name}` is not an option of it: {NAMES}")),
        }
        Ok(())
    }
}

/// `$XDG_STATE_HOME/zilla/log`, or below `~/.local/state`.
fn default_dir(environment: &dyn Environment) -> Result<PathBuf, String> {
    let path = |name: &str| {
        let path = environment.get(name).map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    };
    path("XDG_STATE_HOME")
        .or_else(|| path("HOME").map(|home| home.join(".local/state")))
        .map(|state| state.join("zilla/log"))
        .ok_or_else(|| "neither XDG_STATE_HOME nor HOME is set: write embedded:DIR".to_owned())
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "embedded log in {}", self.dir.display())?;
        if !self.is_synced {
            f.write_str(" (sync=none: a power cut may lose what was acknowledged)")?;
        }
        if self.gaps.is_some() {
            f.write_str(" (with gaps, for tests)")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    struct Home(Option<&'static str>);

    impl Environment for Home {
        fn get(&self, name: &str) -> Option<String> {
            match name {
                "HOME" => Some("/home/u".to_owned()),
                "XDG_STATE_HOME" => self.0.map(str::to_owned),
                _ => None,
            }
        }
    }

    #[test]
    fn the_directory_is_the_one_named_or_the_users_state() {
        let dir = |text, home| Options::parse(text, &home).unwrap().dir;
        assert_eq!(dir("embedded", Home(None)), Path::new("/home/u/.local/state/zilla/log"));
        assert_eq!(dir("embedded?sync=none", Home(Some("/s"))), Path::new("/s/zilla/log"));
        assert_eq!(dir("embedded:/a:b", Home(None)), Path::new("/a:b"));
        assert_eq!(dir("embedded:a?gaps=3", Home(None)), Path::new("a"));
    }

    #[test]
    fn options_are_read_and_wrong_ones_refused() {
        let text = "embedded:/d?sync=none&partitions=3&retention.bytes=1000000&retention.ms=60000\
                    &segment.bytes=65536&gaps=0";
        let options = Options::parse(text, &Home(None)).unwrap();
        let expected = Options {
            dir: "/d".into(),
            is_synced: false,
            partitions: 3,
            retention_bytes: 1_000_000,
            retention_ms: 60_000,
            segment_bytes: 65_536,
            gaps: Some(0),
        };
        assert_eq!(options, expected);
        assert!(options.to_string().contains("sync=none"), "said wherever it is shown");
        let usual = Options::parse("embedded:/d", &Home(None)).unwrap();
        assert_eq!(usual, Options::of("/d"));
        assert!(!usual.to_string().contains("sync"));
        for bad in [
            "",
            "kafka",
            "embedded:",
            "embedded:?sync=none",
            "embedded?sync=all",
            "embedded?partitions=0",
            "embedded?retention.bytes=1e9",
            "embedded?colour=red",
        ] {
            assert!(Options::parse(bad, &Home(None)).is_err(), "{bad}");
        }
    }
}
