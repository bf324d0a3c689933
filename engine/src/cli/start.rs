//! `zilla start`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is what talks to a person")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::ArgMatches;

use crate::cli::out;
use crate::cli::properties::PropertyOptions;
use crate::runtime::{self, EngineOptions, Milestone, StartError};
use crate::spi::Catalog;
use crate::telemetry::{LogFormat, init_logging};

/// What lies between two questions for changes of an address, where no property says otherwise.
const POLL_INTERVAL: Duration = Duration::from_secs(30);

/// The arguments of `zilla start`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The configuration: a path, a URI of the form file:PATH, or an address that it is fetched
    /// from and asked for changes [default: ./zilla.yaml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<String>,
    /// Worker threads [default: one a core; one where there are two cores or fewer]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: Option<u16>,
    /// How events are written to standard error.
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
    /// Which events: a level (error, warn, info, debug, trace) or a list of TARGET=LEVEL.
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log: String,
    /// Print the configuration before it is put in force, expressions unresolved.
    #[arg(short, long)]
    verbose: bool,
    /// How long connections may go on when the file no longer has their binding, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = runtime::REMOVED.as_secs(),
          value_parser = clap::value_parser!(u64).range(..=604_800))]
    drain: u64,
    #[command(flatten)]
    properties: PropertyOptions,
    /// No effect: events are always written, to standard error.
    #[arg(short, long, hide = true)]
    logs: bool,
    /// No effect: an error is always printed whole.
    #[arg(short, long, hide = true)]
    exception_traces: bool,
    /// No effect.
    #[arg(long, value_name = "DIR", hide = true)]
    diagnostics_directory: Option<PathBuf>,
}

/// A setting that was chosen: its name, the value as written, the value in words.
type Chosen = (&'static str, String, String);

/// The settings of the catalog that the command line chose.
fn chosen(catalog: &Catalog, matches: Option<&ArgMatches>) -> Vec<Chosen> {
    let find = |name: &'static str| {
        let matches = matches?;
        let written = matches.get_raw(name)?.next()?.to_str()?.to_owned();
        Some((name, written, matches.get_one::<String>(name)?.clone()))
    };
    catalog.settings.iter().filter_map(|setting| find(setting.name)).collect()
}

pub(super) fn run(
    arguments: Arguments,
    catalog: Catalog,
    matches: Option<&ArgMatches>,
) -> ExitCode {
    if let Err(error) = init_logging(arguments.log_format, &arguments.log) {
        eprintln!("zilla: --log: {error}");
        return ExitCode::from(2);
    }
    let located = arguments.properties.locate(&catalog, arguments.config.as_ref());
    let (config, properties) = match located {
        Ok(found) => found,
        Err(status) => return status,
    };
    if arguments.diagnostics_directory.is_some() {
        eprintln!(
            "zilla: --diagnostics-directory has no effect: `zilla status` shows the engine's state"
        );
    }
    properties.warn();
    let ready = properties.directory.as_deref().map(Ready::new);
    let ready = match ready.transpose() {
        Ok(ready) => ready,
        Err(error) => {
            eprintln!("zilla: {error}");
            return ExitCode::FAILURE;
        }
    };
    let chosen = chosen(&catalog, matches);
    let settings: BTreeMap<_, _> =
        chosen.iter().map(|(name, written, _)| (*name, written.clone())).collect();
    let workers = arguments.workers.or(properties.workers).map(usize::from);
    let options = EngineOptions {
        config,
        authorization: properties.authorization,
        poll_interval: properties.poll_interval.unwrap_or(POLL_INTERVAL),
        workers,
        drain: Duration::from_secs(arguments.drain),
        settings,
        properties: properties.of_bindings,
        watches: properties.watches,
    };
    let is_verbose = arguments.verbose || properties.is_verbose;
    let result = runtime::run(options, catalog, |milestone| {
        let engine = match milestone {
            Milestone::Read(source) if is_verbose => return out(source.text()),
            Milestone::Read(_) => return,
            Milestone::Serves(engine) => engine,
        };
        for (name, _, words) in &chosen {
            println!("zilla: {name}: {words}");
        }
        for (address, binding) in &engine.addresses {
            println!("zilla: serving {address} ({binding})");
        }
        println!("zilla: ready");
        // Whoever waits for the line is waiting for it now. If nobody reads, nobody waits.
        std::io::stdout().flush().ok();
        if let Some(error) = ready.as_ref().and_then(Ready::raise) {
            eprintln!("zilla: {error}");
        }
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(StartError::Config(problems)) => {
            eprint!("{problems}");
            eprintln!("zilla: the configuration has errors; nothing was started");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("zilla: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The file `ready`, which is there while the engine serves: what a container's probe tests.
struct Ready(PathBuf);

impl Ready {
    /// Removes what an earlier engine left.
    fn new(directory: &Path) -> Result<Self, String> {
        let failed = |error| format!("cannot use {}: {error}", directory.display());
        fs::create_dir_all(directory).map_err(failed)?;
        let path = directory.join("ready");
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(error)),
            _ => Ok(Self(path)),
        }
    }

    /// Says that the engine serves; or why that cannot be said.
    fn raise(&self) -> Option<String> {
        let error = fs::File::create(&self.0).err()?;
        Some(format!("cannot write {}: {error}", self.0.display()))
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        fs::remove_file(&self.0).ok();
    }
}
