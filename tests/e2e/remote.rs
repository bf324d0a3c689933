//! An engine on an address: what changes there is put in force, and what goes wrong there changes
//! nothing.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use engine::shared::Lock;
use serde_json::Value;
use web_server::{Reply, Request, WebServer};

use crate::harness::{
    Client, Engine, PATIENCE, Setup, Traffic, V5, engine_only, fate, fill, free_port,
    on_one_and_three_workers, text,
};

on_one_and_three_workers!(
    a_change_at_the_address_is_put_in_force_and_clients_stay,
    what_goes_wrong_at_the_address_changes_nothing_and_is_told_once,
);

/// As often as a test wants.
const OFTEN: &str = "zilla.filesystem.http.poll.interval=PT0.02S";

/// A server of one file, which the test replaces, and an engine that runs on it.
struct Published {
    reply: Arc<Lock<Reply>>,
    /// Each request, with the status of its answer.
    requests: Receiver<(Request, u16)>,
    server: Option<WebServer>,
    port: u16,
    path: &'static str,
}

impl Published {
    fn new() -> Self {
        let mut published = Self {
            reply: Arc::new(Lock::new(Reply::status(404))),
            requests: channel().1,
            server: None,
            port: free_port(),
            path: "/conf/zilla.yaml?key=hunter2",
        };
        published.open();
        published
    }

    /// Opens the server, again on the same port.
    fn open(&mut self) {
        let (sender, requests) = channel();
        let current = Arc::clone(&self.reply);
        self.requests = requests;
        self.server = Some(WebServer::start(self.port, move |request| {
            let reply = current.lock().clone();
            let known = request.header("if-none-match").map(str::to_owned);
            let is_known = known.is_some() && known.as_deref() == reply.named("ETag");
            let reply = if is_known { Reply::status(304) } else { reply };
            // The test may have ended.
            sender.send((request.clone(), reply.code())).ok();
            reply
        }));
    }

    fn close(&mut self) {
        self.server = None;
    }

    fn url(&self) -> String {
        self.server.as_ref().expect("it is open").url(self.path)
    }

    /// The name that the engine gives to it.
    fn name(&self) -> String {
        self.url().replace("?key=hunter2", "?...")
    }

    fn answer(&self, reply: Reply) {
        *self.reply.lock() = reply;
    }

    /// Publishes a text, with its version.
    fn put(&self, text: String) {
        let version = format!("\"{}\"", text.len());
        self.answer(Reply::text(text).header("ETag", &version));
    }

    fn start(&self, setup: &Setup, properties: &[&str]) -> Engine {
        with(setup, properties).start_from(|text| {
            self.put(text);
            self.url()
        })
    }

    /// Waits for some answers with a status.
    fn answered(&self, status: u16, count: usize) {
        let mut left = count;
        while left > 0 {
            let (_, answer) = self.requests.recv_timeout(PATIENCE).expect("a request");
            left -= usize::from(answer == status);
        }
    }
}

fn with(setup: &Setup, properties: &[&str]) -> Setup {
    let properties = properties.iter().map(|property| (*property).to_owned()).collect();
    Setup { properties, ..setup.clone() }
}

/// The next reload that was put in force, or refused.
fn reload(engine: &Engine) -> Value {
    engine.event("config.reload.…", |event| {
        event["event"].as_str().is_some_and(|name| name.starts_with("config.reload."))
    })
}

fn a_change_at_the_address_is_put_in_force_and_clients_stay(workers: usize) {
    engine_only!();
    let published = Published::new();
    let setup = Setup::new(workers).with_topics(&["one"]);
    let engine = published.start(&setup, &[OFTEN]);
    let traffic = Traffic::start(engine.port, &["r/x"]);
    let mut client = Client::connect(engine.port, V5, "c");
    // What is known is not sent again.
    published.answered(304, 3);
    let filled = |setup: &Setup| fill(&setup.yaml(), &engine.topics.borrow());
    let routed = setup.clone().with_route("r/#", "\"@one\"");
    published.put(filled(&routed));
    let event = reload(&engine);
    assert_eq!(event["event"], "config.reload.applied", "{event}");
    assert_eq!((fate(&event, "mapping"), fate(&event, "mqtt")), ("Update", "Keep"));
    traffic.flow();
    client.publish("r/y", "routed", 1);
    assert!(
        engine.records("one", 1).iter().any(|record| record.value.as_deref() == Some(b"routed"))
    );
    // The same text as another version is no change.
    published.answer(Reply::text(filled(&routed)).header("ETag", "\"other\""));
    published.answered(200, 1);
    published.answered(304, 2);
    published.put(filled(&setup));
    let event = reload(&engine);
    assert_eq!((fate(&event, "mapping"), &event["generation"]), ("Update", &3.into()));
    let status = engine.status();
    assert_eq!(
        (text(&status["config"]), &status["file"]),
        (&*published.name(), &"in force".into())
    );
    client.ping();
    traffic.finish(&[]);
}

fn what_goes_wrong_at_the_address_changes_nothing_and_is_told_once(workers: usize) {
    engine_only!();
    let mut published = Published::new();
    let setup = Setup::new(workers);
    let engine = published.start(&setup, &[OFTEN]);
    let traffic = Traffic::start(engine.port, &["w/x"]);
    let good = fill(&setup.yaml(), &engine.topics.borrow());
    let hash = engine.status()["hash"].clone();
    let refused = |word: &str| {
        let event = reload(&engine);
        assert_eq!(event["event"], "config.reload.refused", "{event}");
        assert!(text(&event["problems"]).contains(word), "{event}");
        let status = engine.status();
        assert_eq!((&status["hash"], &status["file"] == "in force"), (&hash, false));
        status
    };
    // The next that is told: nothing is told twice.
    let mended = || {
        let event = reload(&engine);
        assert_eq!(
            (text(&event["event"]), &event["unchanged"]),
            ("config.reload.applied", &true.into())
        );
        assert_eq!(engine.status()["file"], "in force");
        traffic.flow();
    };

    published.put(good.replacen("exit: mapping", "exitt: mapping", 1));
    let line = good.lines().position(|line| line.contains("exit: mapping")).unwrap() + 1;
    let status = refused(&format!("{}:{line}:5: error[E", published.name()));
    assert_eq!(status["file"], "not in force: it has errors");
    traffic.flow();
    published.put(good.clone());
    mended();

    for (reply, word) in [
        (Reply::status(404), "the server answers 404 Not Found; check the address"),
        (Reply::status(503), "the server answers 503 Service Unavailable"),
        (Reply::part("name: test\n"), "ended before all of the answer"),
    ] {
        published.answer(reply.clone());
        let status = refused(word);
        assert!(text(&status["file"]).contains(word), "{status}");
        published.answered(reply.code(), 3);
        traffic.flow();
        published.put(good.clone());
        // With the version that is known.
        mended();
    }

    published.answer(Reply::text("\n"));
    refused("the file is empty");
    published.put(good);
    mended();

    published.close();
    // One that was asked just then is told with another reason.
    loop {
        let event = reload(&engine);
        assert_eq!(event["event"], "config.reload.refused", "{event}");
        if text(&event["problems"]).contains("Connection refused") {
            break;
        }
    }
    traffic.flow();
    published.open();
    mended();
    traffic.finish(&["w/x"]);
}

#[test]
fn a_server_that_waits_is_asked_again_when_it_has_answered() {
    engine_only!();
    let (replies, script) = channel::<Reply>();
    let (sender, requests) = channel();
    let script = Lock::new(script);
    let server = WebServer::start(0, move |request| {
        sender.send(request.clone()).ok();
        // Held until the test answers.
        script.lock().recv().unwrap_or_else(|_| Reply::status(503))
    });
    let reply = |text: String, version: &str| {
        let reply = Reply::text(text).header("ETag", version);
        replies.send(reply.header("Preference-Applied", "wait")).unwrap();
    };
    let setup = Setup::new(1).with_topics(&["one"]);
    let serve = |text| {
        reply(text, "\"1\"");
        server.url("/zilla.yaml")
    };
    // Without the wait it would be tomorrow.
    let seldom = "zilla.engine.config.poll.interval.seconds=86400";
    let engine = with(&setup, &[seldom]).start_from(serve);
    let asked = || requests.recv_timeout(PATIENCE).expect("a request");
    assert_eq!(asked().header("prefer"), None);
    let filled = |setup: &Setup| fill(&setup.yaml(), &engine.topics.borrow());
    let routed = setup.clone().with_route("r/#", "\"@one\"");
    for (known, setup, version) in [("\"1\"", &routed, "\"2\""), ("\"2\"", &setup, "\"3\"")] {
        let request = asked();
        assert_eq!(request.header("if-none-match"), Some(known));
        assert_eq!(request.header("prefer"), Some("wait=45"));
        reply(filled(setup), version);
        let event = reload(&engine);
        assert_eq!(fate(&event, "mapping"), "Update");
    }
    // A hangup asks while the poll is held.
    asked();
    engine.signal("HUP");
    assert_eq!(asked().header("prefer"), None);
    // The poll's answer, and the hangup's.
    reply(filled(&setup), "\"3\"");
    reply(filled(&setup), "\"3\"");
    assert_eq!(reload(&engine)["unchanged"], true);
}

#[test]
fn without_polls_a_hangup_fetches() {
    engine_only!();
    let published = Published::new();
    let setup = Setup::new(1).with_topics(&["one"]);
    let engine = published.start(&setup, &[OFTEN, "zilla.engine.config.watch=false"]);
    published.answered(200, 1);
    published.put(fill(&setup.with_route("r/#", "\"@one\"").yaml(), &engine.topics.borrow()));
    engine.signal("HUP");
    assert_eq!(fate(&reload(&engine), "mapping"), "Update");
    engine.signal("HUP");
    assert_eq!(reload(&engine)["unchanged"], true);
    published.answer(Reply::status(404));
    for _ in 0..2 {
        engine.signal("HUP");
        assert_eq!(reload(&engine)["event"], "config.reload.refused");
    }
    published.answered(404, 2);
    assert!(published.requests.try_recv().is_err(), "nothing else was asked");
}
