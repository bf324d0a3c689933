//! A client that makes and gives up subscriptions while others publish.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::blocking::Blocking;
use crate::cli::Common;
use crate::clock::Clock;
use crate::wire::{self, Version};

/// How often it subscribes.
const TICK: Duration = Duration::from_millis(5);

/// Subscriptions that come and go, on a connection and a thread of their own.
#[derive(Debug)]
pub(crate) struct Churn {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<f64>>,
}

impl Churn {
    /// Connects, and makes about `rate` subscriptions a second, each of which it gives up again
    /// with the next.
    ///
    /// # Errors
    ///
    /// A connection that is refused.
    pub(crate) fn begin(common: &Common, rate: u32) -> io::Result<Self> {
        let mut client = Blocking::connect(common, &format!("{}-churn", common.prefix), false)?;
        client.accepted()?;
        let is_over = Arc::new(AtomicBool::new(false));
        let (flag, version, prefix) =
            (Arc::clone(&is_over), common.version, format!("{}/churn", common.prefix));
        let thread = std::thread::spawn(move || run(&mut client, version, &prefix, rate, &flag));
        Ok(Self { is_over, thread })
    }

    /// Ends it, and tells how many subscriptions a second it made.
    ///
    /// # Errors
    ///
    /// What ended it earlier.
    pub(crate) fn end(self) -> io::Result<f64> {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| io::Error::other("the thread that subscribes failed"))?
    }
}

fn run(
    client: &mut Blocking,
    version: Version,
    prefix: &str,
    rate: u32,
    is_over: &AtomicBool,
) -> io::Result<f64> {
    let clock = Clock::start();
    let (mut made, mut out) = (0_u64, Vec::new());
    let mut held: Vec<String> = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let due = clock.nanos() / 1000 * u64::from(rate) / 1_000_000;
        let fresh: Vec<String> = (made..due.max(made + 1).min(made + 500))
            .map(|number| format!("{prefix}/{number}/+"))
            .collect();
        made += fresh.len() as u64;
        out.clear();
        wire::subscribe(&mut out, version, 1, &fresh, 0);
        let mut answers = 1;
        if !held.is_empty() {
            wire::unsubscribe(&mut out, version, 2, &held);
            answers += 1;
        }
        client.write(&out)?;
        for _ in 0..answers {
            client.packet()?;
        }
        held = fresh;
        std::thread::sleep(TICK);
    }
    Ok(made as f64 * 1e9 / clock.nanos() as f64)
}
