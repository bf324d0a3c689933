use std::sync::mpsc::{Sender, channel};

use super::*;
use crate::config::{Address, Location, Reader, Secret};
use crate::spi::{Ask, Fetch, FetchError, Fetched, FetchedContent, Origin, OriginProperty};

/// Longer than anything takes; only a failure waits for it.
const LONG: Duration = Duration::from_secs(10);

/// As often as can be: the tests answer each question.
const OFTEN: Duration = Duration::from_millis(1);

/// A question, which the test answers.
struct Question {
    known: Option<String>,
    wait: Duration,
    reply: Sender<Result<Fetched, FetchError>>,
}

impl Question {
    fn answer(self, content: FetchedContent) {
        // Who asked may have ended.
        self.reply.send(Ok(Fetched { content, waits: false })).ok();
    }

    fn text(self, text: &str, version: &str) {
        let version = Some(version.to_owned()).filter(|version| !version.is_empty());
        self.answer(FetchedContent::New { bytes: text.as_bytes().to_vec(), version });
    }

    fn fail(self, message: &str) {
        self.reply.send(Err(FetchError::new(message).with_help("mend it"))).ok();
    }
}

/// An origin that asks the test.
struct Asker(Sender<Question>);

impl Fetch for Asker {
    fn fetch(&self, ask: &Ask<'_>) -> Result<Fetched, FetchError> {
        let (reply, answer) = channel();
        let known = ask.known.map(str::to_owned);
        self.0.send(Question { known, wait: ask.wait, reply }).ok();
        // A test that has ended answers nothing.
        answer.recv().unwrap_or_else(|_| Err(FetchError::new("the test has ended")))
    }
}

struct Fixture {
    poller: Poller,
    questions: Receiver<Question>,
    changes: Receiver<Change>,
}

/// A poller that knows the text `a` as version `1`.
fn fixture(interval: Option<Duration>) -> Fixture {
    let (asker, questions) = channel();
    let address = Address::parse("test://host.example/z.yaml").unwrap();
    let remote = Remote { address, fetch: Arc::new(Asker(asker)) };
    let known = Version {
        source: Source::new("test://host.example/z.yaml", "a"),
        name: Some("1".to_owned()),
    };
    let (sender, changes) = channel();
    let on_change = move |change| sender.send(change).unwrap();
    let poller = Poller::start_after(remote, known, interval, on_change).unwrap();
    Fixture { poller, questions, changes }
}

impl Fixture {
    #[track_caller]
    fn asked(&self) -> Question {
        self.questions.recv_timeout(LONG).expect("a question")
    }

    /// What was told next: a text, `empty`, or a failure.
    #[track_caller]
    fn told(&self) -> String {
        match self.changes.recv_timeout(LONG).expect("a change") {
            Change::Content(source) => source.text().to_owned(),
            Change::Empty => "empty".to_owned(),
            Change::Unreadable(error) => error,
            Change::Missing => "missing".to_owned(),
        }
    }

    /// Nothing was told that the given text, answered now, does not explain.
    #[track_caller]
    fn told_only(&self, text: &str) {
        self.asked().text(text, text);
        assert_eq!(self.told(), text);
    }
}

#[test]
fn what_is_known_is_not_told_again_whatever_its_version() {
    let fixture = fixture(Some(OFTEN));
    let question = fixture.asked();
    assert_eq!((question.known.as_deref(), question.wait), (Some("1"), OFTEN));
    question.answer(FetchedContent::Known);
    fixture.asked().text("a", "2");
    let question = fixture.asked();
    assert_eq!(question.known.as_deref(), Some("2"));
    question.text("a", "");
    let question = fixture.asked();
    // There is nothing to wait for.
    assert_eq!((question.known.as_deref(), question.wait), (None, Duration::ZERO));
    question.text("b", "3");
    assert_eq!(fixture.told(), "b");
    assert_eq!(fixture.asked().known.as_deref(), Some("3"));
}

#[test]
fn a_failure_is_told_once_and_its_end_is_too() {
    let fixture = fixture(Some(OFTEN));
    fixture.asked().fail("gone");
    assert_eq!(fixture.told(), "gone; mend it");
    fixture.asked().fail("gone");
    fixture.asked().fail("shut");
    assert_eq!(fixture.told(), "shut; mend it");
    let question = fixture.asked();
    assert_eq!(question.known.as_deref(), Some("1"));
    question.answer(FetchedContent::Known);
    assert_eq!(fixture.told(), "a");
    fixture.told_only("b");
    // Not UTF-8, and more than a configuration may be.
    for (bytes, word) in [(vec![b'\n', 0xff], "line 2"), (vec![b' '; (16 << 20) + 1], "16 MiB")] {
        fixture.asked().answer(FetchedContent::New { bytes, version: Some("bad".to_owned()) });
        assert!(fixture.told().contains(word));
        let question = fixture.asked();
        assert_eq!(question.known.as_deref(), Some("b"), "what was not taken is not known");
        question.text("b", "b");
        assert_eq!(fixture.told(), "b");
    }
}

#[test]
fn how_long_an_origin_wants_to_be_left_alone_is_heard() {
    let (asker, questions) = channel();
    let address = Address::parse("test://host.example/z.yaml").unwrap();
    let remote = Remote { address, fetch: Arc::new(Asker(asker)) };
    let answer = std::thread::spawn(move || {
        let question: Question = questions.recv().unwrap();
        let error = FetchError::new("busy").with_retry_after(Duration::from_secs(90));
        question.reply.send(Err(error)).unwrap();
    });
    let source = Source::new("test://host.example/z.yaml", "a");
    let poll = Poll {
        begun: AtomicU64::new(1),
        state: Lock::new(State {
            told: Told::Text(source.clone()),
            latest: Version { source, name: None },
            answered: 0,
            failures: 0,
        }),
        is_stopped: Arc::new(AtomicBool::new(false)),
        clock: Clock::new(),
        on_change: Box::new(|_| ()),
        remote: remote.clone(),
    };
    let outcome = poll.take(1, remote.ask(None, Duration::ZERO), false);
    let retry_after = Some(Duration::from_secs(90));
    assert_eq!(outcome, Outcome::Failed { times: 1, retry_after });
    answer.join().unwrap();
}

#[test]
fn an_empty_answer_is_told_as_such() {
    let fixture = fixture(Some(OFTEN));
    fixture.asked().text(" \n", "2");
    assert_eq!(fixture.told(), "empty");
    fixture.asked().answer(FetchedContent::Known);
    fixture.told_only("a");
}

#[test]
fn who_asks_now_is_told_in_any_case_and_does_not_wait_for_the_poll() {
    let fixture = fixture(Some(OFTEN));
    let poll = fixture.asked();
    fixture.poller.ask_now();
    let question = fixture.asked();
    assert_eq!((question.known.as_deref(), question.wait), (None, Duration::ZERO));
    question.text("a", "1");
    assert_eq!(fixture.told(), "a");
    fixture.poller.ask_now();
    fixture.asked().fail("gone");
    assert_eq!(fixture.told(), "gone; mend it");
    fixture.poller.ask_now();
    fixture.asked().text("c", "3");
    assert_eq!(fixture.told(), "c");
    // What was asked before counts no more.
    poll.text("b", "2");
    let question = fixture.asked();
    assert_eq!(question.known.as_deref(), Some("3"));
    question.text("d", "4");
    assert_eq!(fixture.told(), "d");
}

#[test]
fn without_an_interval_only_who_asks_is_told() {
    let fixture = fixture(None);
    fixture.poller.ask_now();
    fixture.asked().text("b", "2");
    assert_eq!(fixture.told(), "b");
    assert!(fixture.questions.try_recv().is_err());
}

#[test]
fn a_poller_that_is_dropped_tells_nothing_and_ends() {
    let Fixture { poller, questions, changes } = fixture(Some(OFTEN));
    let question = questions.recv_timeout(LONG).unwrap();
    drop(poller);
    question.text("b", "2");
    // The senders are gone with the threads.
    assert!(questions.recv().is_err());
    assert!(changes.recv().is_err());
}

#[test]
fn an_origin_that_waits_is_asked_again_soon_and_one_that_fails_ever_more_seldom() {
    let seconds = Duration::from_secs;
    let answered = |waits| Outcome::Answered { waits };
    let after = |took, outcome| next(seconds(30), seconds(30), seconds(took), outcome);
    assert_eq!(after(0, answered(false)), seconds(30));
    assert_eq!(after(10, answered(false)), seconds(20));
    assert_eq!(after(30, answered(false)), PAUSE);
    assert_eq!(after(3, answered(true)), PAUSE);
    let outcome = |times, retry_after| Outcome::Failed { times, retry_after };
    let failed = |times| after(7, outcome(times, None)).as_secs();
    assert_eq!([1, 2, 3, 4, 5, 40].map(failed), [30, 60, 120, 240, 300, 300]);
    let day = seconds(86_400);
    assert_eq!(next(day, WAIT, seconds(0), outcome(3, None)), day);
    // It says when: neither sooner than usual, nor in a year.
    let told = |pause| after(7, outcome(5, Some(seconds(pause)))).as_secs();
    assert_eq!([0, 7, 90, 3600, 31_536_000].map(told), [30, 30, 90, 3600, 3600]);
    assert_eq!(next(day, WAIT, seconds(0), outcome(1, Some(seconds(90)))), day);
    // No version was known: nothing was waited for.
    assert_eq!(next(day, Duration::ZERO, seconds(400), answered(false)), day - seconds(400));
    assert_eq!(next(OFTEN, OFTEN, seconds(1), answered(true)), OFTEN);
}

struct NoOrigin;

impl Origin for NoOrigin {
    fn schemes(&self) -> &'static [&'static str] {
        &["test"]
    }

    fn properties(&self) -> &'static [(&'static str, OriginProperty)] {
        &[]
    }

    fn open(&self, _: &Address, _: Option<&Secret>) -> Result<Arc<dyn Fetch>, FetchError> {
        Err(FetchError::new("cannot"))
    }
}

#[test]
fn an_address_is_read_by_the_origin_of_its_scheme() {
    let location = |text: &str| Location::parse(text.into()).unwrap();
    let error = |text: &str| Reader::new(&location(text), &[&NoOrigin], None).err().unwrap();
    assert_eq!(error("test://a/b").to_string(), "cannot");
    let none = error("other://a/b").to_string();
    assert_eq!(none, "this program fetches nothing from other: addresses; fetch the file first");
    assert!(Reader::new(&location("a.yaml"), &[], None).is_ok());
}
