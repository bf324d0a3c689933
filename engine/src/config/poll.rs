//! What changes at an address.
//!
//! An origin is asked again and again, with the version that is known: it answers that there is no
//! other, or sends it. One that waits for changes is asked again as soon as it has answered. One
//! that fails is asked ever more seldom, or when it says, and what it failed with changes nothing.

#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use crate::config::{Change, Remote, Source, Version};
use crate::runtime::Clock;
use crate::shared::Lock;
use crate::spi::FetchError;

/// An origin is asked to wait for a change no longer than this: what lies between, such as a load
/// balancer, ends a request on which nothing happens for a minute.
const WAIT: Duration = Duration::from_secs(45);

/// An origin that waits is asked again so soon after it has answered.
const PAUSE: Duration = Duration::from_secs(1);

/// An origin that fails is asked at least so often, or each interval where that is longer.
const SELDOM: Duration = Duration::from_secs(300);

/// One that says when to ask again is asked no later than this all the same, or after each interval
/// where that is longer: it may have meant something else.
const LATEST: Duration = Duration::from_secs(3600);

/// Asks an origin for changes; ends when dropped. What it is asking then is not waited for, and
/// its answer counts for nothing.
#[derive(Debug)]
pub struct Poller {
    is_stopped: Arc<AtomicBool>,
    now: SyncSender<()>,
    /// Closed by the drop.
    _rounds: Option<SyncSender<()>>,
}

impl Poller {
    /// Asks for changes from `known` and calls `on_change`, on a thread of its own, with each. That
    /// an origin fails is told when it begins, and whenever it fails in another way; its first good
    /// answer after that is told, changed or not. `on_change` is called by one thread at a time and
    /// returns at once. `interval` lies between two questions; without
    /// one, only [`Poller::ask_now`] asks.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn start_after(
        remote: Remote,
        known: Version,
        interval: Option<Duration>,
        on_change: impl Fn(Change) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let is_stopped = Arc::new(AtomicBool::new(false));
        let poll = Arc::new(Poll {
            remote,
            begun: AtomicU64::new(0),
            state: Lock::new(State {
                told: Told::Text(known.source.clone()),
                latest: known,
                answered: 0,
                failures: 0,
            }),
            is_stopped: Arc::clone(&is_stopped),
            clock: Clock::new(),
            on_change: Box::new(on_change),
        });
        // One that waits to be taken out is enough: it asks after it was put in.
        let (now, inbox) = sync_channel(1);
        let asker = Arc::clone(&poll);
        let thread = std::thread::Builder::new().name("ask".to_owned());
        thread.spawn(move || inbox.iter().for_each(|()| asker.ask_now()))?;
        let rounds = match interval {
            Some(interval) => {
                let (rounds, inbox) = sync_channel(1);
                let thread = std::thread::Builder::new().name("poll".to_owned());
                thread.spawn(move || poll.run(&inbox, interval))?;
                Some(rounds)
            }
            None => None,
        };
        Ok(Self { is_stopped, now, _rounds: rounds })
    }

    /// Asks at once, and tells what is answered, changed or not.
    pub fn ask_now(&self) {
        // One that is full asks all the same.
        self.now.try_send(()).ok();
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.is_stopped.store(true, Ordering::Release);
    }
}

/// The threads'.
struct Poll {
    remote: Remote,
    /// How many questions have begun.
    begun: AtomicU64,
    state: Lock<State>,
    is_stopped: Arc<AtomicBool>,
    clock: Clock,
    on_change: Box<dyn Fn(Change) + Send + Sync>,
}

struct State {
    /// What was had last.
    latest: Version,
    /// What was told last.
    told: Told,
    /// The latest question that was answered: answers to earlier ones are old.
    answered: u64,
    /// How many questions failed since the last that did not.
    failures: u32,
}

/// Equal exactly where there is nothing new to tell.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Text(Source),
    Failure(String),
}

/// What came of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It was answered; whether the origin says that it waits for changes.
    Answered { waits: bool },
    /// It failed, for the how many-th time in a row, and the origin may have said for how long it
    /// is to be left alone.
    Failed { times: u32, retry_after: Option<Duration> },
}

impl Poll {
    fn run(&self, inbox: &Receiver<()>, interval: Duration) {
        // The first at once: an origin that waits for changes is listened to from the start.
        let mut pause = Duration::ZERO;
        while let Err(RecvTimeoutError::Timeout) = inbox.recv_timeout(pause) {
            let began = self.clock.now();
            let known = self.state.lock().latest.name.clone();
            // Without a version an origin cannot know what is a change.
            let wait = known.as_ref().map_or(Duration::ZERO, |_| interval.min(WAIT));
            let number = self.begin();
            let answer = self.remote.ask(known.as_deref(), wait);
            let took = self.clock.now() - began;
            pause = next(interval, wait, took, self.take(number, answer, false));
        }
    }

    /// Asks for what there is, and tells it.
    fn ask_now(&self) {
        let number = self.begin();
        let answer = self.remote.read().map(|version| (Some(version), false));
        self.take(number, answer, true);
    }

    fn begin(&self) -> u64 {
        self.begun.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Takes an answer and tells what is new; with `tells_all`, what is not new, too.
    fn take(
        &self,
        number: u64,
        answer: io::Result<(Option<Version>, bool)>,
        tells_all: bool,
    ) -> Outcome {
        let mut state = self.state.lock();
        let is_old = number < state.answered;
        state.answered = number.max(state.answered);
        let (outcome, told) = match answer {
            Ok((version, waits)) => {
                state.failures = 0;
                if let Some(version) = version.filter(|_| !is_old) {
                    state.latest = version;
                }
                (Outcome::Answered { waits }, Told::Text(state.latest.source.clone()))
            }
            Err(error) => {
                state.failures = state.failures.saturating_add(1);
                let refusal = error.get_ref().and_then(|error| error.downcast_ref::<FetchError>());
                let retry_after = refusal.and_then(|error| error.retry_after);
                let outcome = Outcome::Failed { times: state.failures, retry_after };
                (outcome, Told::Failure(error.to_string()))
            }
        };
        let is_new = tells_all || told != state.told;
        if is_new && !is_old && !self.is_stopped.load(Ordering::Acquire) {
            let change = told.change();
            state.told = told;
            // Under the lock, so that the last that is told is the last that was answered.
            (self.on_change)(change);
        }
        outcome
    }
}

impl Told {
    fn change(&self) -> Change {
        match self {
            Self::Text(source) if source.text().trim().is_empty() => Change::Empty,
            Self::Text(source) => Change::Content(source.clone()),
            Self::Failure(error) => Change::Unreadable(error.clone()),
        }
    }
}

/// How long to pause before the next question, after one that took so long.
fn next(interval: Duration, wait: Duration, took: Duration, outcome: Outcome) -> Duration {
    match outcome {
        // It held the question as it was asked to, or says that it does.
        Outcome::Answered { waits } if waits || (!wait.is_zero() && took >= wait) => {
            PAUSE.min(interval)
        }
        Outcome::Answered { .. } => interval.saturating_sub(took).max(PAUSE.min(interval)),
        // Who says when to ask again knows better than a guess.
        Outcome::Failed { retry_after: Some(pause), .. } => pause.min(LATEST).max(interval),
        Outcome::Failed { times, retry_after: None } => {
            let factor = 1_u32.checked_shl(times.saturating_sub(1)).unwrap_or(u32::MAX);
            interval.saturating_mul(factor).min(SELDOM.max(interval))
        }
    }
}
