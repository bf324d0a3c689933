use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use engine::config::{Address, Secret};
use engine::spi::{Ask, Fetch as _, FetchError, Fetched, FetchedContent};
use web_server::{Identity, Reply, Request, WebServer};

use crate::client::{Client, follow};
use crate::patience::Patience;

/// As a configuration's.
const MOST: u64 = 100_000;

const ONCE: Ask<'static> = Ask { known: None, wait: Duration::ZERO, most: MOST };

fn client_with(url: &str, authorization: Option<&str>, patience: Patience) -> Client {
    let authorization = authorization.map(Secret::new);
    Client::new(&Address::parse(url).unwrap(), authorization.as_ref(), patience).unwrap()
}

fn fetch(url: &str) -> Result<Fetched, FetchError> {
    client_with(url, None, Patience::default()).fetch(&ONCE)
}

#[track_caller]
fn error(url: &str) -> String {
    fetch(url).unwrap_err().to_string()
}

fn new(text: &str, version: Option<&str>) -> FetchedContent {
    let version = version.map(str::to_owned);
    FetchedContent::New { bytes: text.as_bytes().to_vec(), version }
}

/// A server whose requests the test sees.
fn server(
    answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) -> (WebServer, Receiver<Request>) {
    let (sender, requests) = channel();
    let server = WebServer::start(0, move |request| {
        // The test may have ended.
        sender.send(request.clone()).ok();
        answer(request)
    });
    (server, requests)
}

#[test]
fn a_text_has_the_version_that_its_server_gives_and_is_not_sent_again() {
    let (server, requests) = server(|request| match request.header("if-none-match") {
        Some("\"1\"") => Reply::status(304),
        _ => Reply::text("name: a\n").header("ETag", "\"1\""),
    });
    let client = client_with(&server.url("/z.yaml?ref=main"), None, Patience::default());
    let fetched = client.fetch(&ONCE).unwrap();
    assert_eq!(fetched, Fetched { content: new("name: a\n", Some("\"1\"")), waits: false });
    let request = requests.recv().unwrap();
    assert_eq!(request.path, "/z.yaml?ref=main");
    assert!(request.header("user-agent").unwrap().starts_with("zilla/"));
    for absent in ["prefer", "if-none-match", "authorization", "accept-encoding"] {
        assert_eq!(request.header(absent), None, "{absent}");
    }
    let ask = Ask { known: Some("\"1\""), wait: Duration::from_secs(7), most: MOST };
    assert_eq!(client.fetch(&ask).unwrap().content, FetchedContent::Known);
    assert_eq!(requests.recv().unwrap().header("prefer"), Some("wait=7"));
}

#[test]
fn a_text_without_a_version_is_known_by_when_it_was_modified() {
    const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    let dated = |date: &'static str| {
        server(move |request| match request.header("if-modified-since") {
            Some(MODIFIED) => Reply::status(304),
            _ => Reply::text("a").header("Last-Modified", MODIFIED).header("Date", date),
        })
    };
    let (own, requests) = dated("Sun, 06 Nov 1994 08:49:38 GMT");
    let client = client_with(&own.url("/"), None, Patience::default());
    assert_eq!(client.fetch(&ONCE).unwrap().content, new("a", Some(MODIFIED)));
    assert_eq!(requests.recv().unwrap().header("if-modified-since"), None);
    let ask = Ask { known: Some(MODIFIED), ..ONCE };
    assert_eq!(client.fetch(&ask).unwrap().content, FetchedContent::Known);
    assert_eq!(requests.recv().unwrap().header("if-none-match"), None);
    // It may be modified again within the second that has not ended.
    let (own, _) = dated(MODIFIED);
    assert_eq!(fetch(&own.url("/")).unwrap().content, new("a", None));
    // A tag says more.
    let (own, _) = server(|_| {
        let reply = Reply::text("a").header("ETag", "\"1\"").header("Last-Modified", MODIFIED);
        reply.header("Date", "Sun, 06 Nov 1994 08:49:38 GMT")
    });
    assert_eq!(fetch(&own.url("/")).unwrap().content, new("a", Some("\"1\"")));
}

#[test]
fn a_server_that_wants_to_be_left_alone_says_for_how_long() {
    for (after, seconds) in [
        ("120", Some(120)),
        ("0", Some(0)),
        ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
        // That was a minute ago, by its own clock.
        ("Sun, 06 Nov 1994 08:48:37 GMT", Some(0)),
        ("-1", None),
        ("soon", None),
    ] {
        let (server, _) = server(move |_| {
            let reply = Reply::status(503).header("Retry-After", after);
            reply.header("Date", "Sun, 06 Nov 1994 08:49:37 GMT")
        });
        let error = fetch(&server.url("/")).unwrap_err();
        assert_eq!(error.retry_after, seconds.map(Duration::from_secs), "{after}");
    }
}

#[test]
fn a_server_that_waits_says_so() {
    for (preferences, waits) in [
        ("wait", true),
        ("Wait=45", true),
        ("respond-async, wait", true),
        ("handling=strict", false),
    ] {
        let (server, _) =
            server(move |_| Reply::text("").header("Preference-Applied", preferences));
        assert_eq!(fetch(&server.url("/")).unwrap().waits, waits, "{preferences}");
    }
}

#[test]
fn a_status_that_is_no_answer_is_a_failure_that_says_what_to_do() {
    for (status, word) in [
        (401, "401 Unauthorized; give it credentials"),
        (403, "403 Forbidden; give it credentials"),
        (404, "404 Not Found; check the address"),
        (500, "500 Internal Server Error"),
        (204, "204 No Content"),
        // It was not asked for.
        (304, "304 Not Modified"),
    ] {
        let (server, _) = server(move |_| Reply::status(status));
        let error = error(&server.url("/"));
        assert!(error.starts_with("the server answers ") && error.contains(word), "{error}");
    }
}

#[test]
fn a_redirect_is_followed_and_the_credentials_stay_with_their_origin() {
    let (other, elsewhere) = server(|_| Reply::text("elsewhere"));
    let away = other.url("/away");
    let (own, requests) = server(move |request| match request.path.as_str() {
        "/moved" => Reply::status(308).header("Location", "sub/here?x"),
        "/sub/here?x" => Reply::text("here"),
        "/away" => Reply::status(302).header("Location", &away),
        _ => Reply::status(404),
    });
    for (url, given, sent) in [
        (own.url("/moved"), Some("Bearer hunter2"), "Bearer hunter2"),
        // As the specification of the scheme has it.
        (
            own.url("/moved").replace("//", "//Aladdin:open%20sesame@"),
            None,
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        ),
        (own.url("/moved").replace("//", "//ann@"), None, "Basic YW5uOg=="),
        (own.url("/moved").replace("//", "//ann@"), Some("Bearer hunter2"), "Bearer hunter2"),
    ] {
        let client = client_with(&url, given, Patience::default());
        assert_eq!(client.fetch(&ONCE).unwrap().content, new("here", None));
        for _ in 0..2 {
            assert_eq!(requests.recv().unwrap().header("authorization"), Some(sent));
        }
    }
    // Another port is another origin.
    let client = client_with(&own.url("/away"), Some("Bearer hunter2"), Patience::default());
    assert_eq!(client.fetch(&ONCE).unwrap().content, new("elsewhere", None));
    assert_eq!(requests.recv().unwrap().header("authorization"), Some("Bearer hunter2"));
    assert_eq!(elsewhere.recv().unwrap().header("authorization"), None);
}

#[test]
fn a_redirect_that_leads_astray_is_not_followed() {
    for (location, word) in [
        (Some("/again"), "redirects more than 5 times"),
        (None, "says not where it leads"),
        (Some("ftp://host.example/z.yaml"), "something else than http or https"),
        (Some("http://[/"), "leads to no address"),
    ] {
        let (server, _) = server(move |_| {
            let reply = Reply::status(301);
            location.map_or_else(
                || reply.clone(),
                |location| reply.clone().header("Location", location),
            )
        });
        let error = error(&server.url("/"));
        assert!(error.contains(word), "{error}");
    }
    let (missing, _) = server(|_| Reply::status(404));
    let away = missing.url("/away?token=hunter2");
    let (server, _) = server(move |_| Reply::status(301).header("Location", &away));
    let error = error(&server.url("/"));
    assert!(error.contains(&format!("(redirected to {}?...)", missing.url("/away"))), "{error}");
}

#[test]
fn a_redirect_does_not_lead_out_of_tls() {
    let from = |text: &str| Address::parse(text).unwrap();
    let (secure, plain) = (from("https://host.example/a"), from("http://host.example/a"));
    let error = follow(&secure, Some("http://host.example/b")).unwrap_err().to_string();
    assert!(error.contains("it leads from https to http"), "{error}");
    assert_eq!(follow(&secure, Some("b")).unwrap(), from("https://host.example/b"));
    assert_eq!(follow(&plain, Some("https://host.example/a")).unwrap(), secure);
    assert_eq!(follow(&plain, Some("//other.example/b")).unwrap(), from("http://other.example/b"));
}

#[test]
fn a_text_that_is_not_whole_is_a_failure() {
    let (server, _) = server(|request| match request.path.as_str() {
        "/part" => Reply::part("name: a\n"),
        "/bare" => Reply::bare("name: a\n"),
        _ => Reply::text("packed").header("Content-Encoding", "gzip"),
    });
    for (path, word) in
        [("/part", "connection ended"), ("/bare", "Content-Length"), ("/gz", "compressed")]
    {
        let error = error(&server.url(path));
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn a_text_without_end_is_read_to_the_bound() {
    let (server, _) = server(|_| Reply::endless());
    let FetchedContent::New { bytes, .. } = fetch(&server.url("/")).unwrap().content else {
        panic!("nothing was known");
    };
    assert_eq!(bytes.len() as u64, MOST + 1);
}

#[test]
fn a_server_that_is_too_slow_is_a_failure() {
    let short = Patience { total: Duration::from_millis(100), ..Patience::default() };
    for reply in [Reply::drip(), Reply::silence()] {
        let (server, _) = server(move |_| reply.clone());
        let error = client_with(&server.url("/"), None, short).fetch(&ONCE).unwrap_err();
        assert!(error.to_string().contains("not all of it came in time"), "{error}");
    }
    // It was asked to wait.
    let (go, gone) = channel::<()>();
    let gone = engine::shared::Lock::new(gone);
    let (server, _) = server(move |_| {
        // The client stays beyond its patience.
        gone.lock().recv_timeout(Duration::from_millis(300)).ok();
        Reply::text("late")
    });
    let ask = Ask { known: Some("\"1\""), wait: Duration::from_secs(30), most: MOST };
    let fetched = client_with(&server.url("/"), None, short).fetch(&ask).unwrap();
    assert_eq!(fetched.content, new("late", None));
    drop(go);
}

#[test]
fn a_server_that_is_not_there_is_a_failure() {
    let (server, _) = server(|_| Reply::text(""));
    let url = server.url("/");
    drop(server);
    assert!(error(&url).contains("refused"), "{}", error(&url));
    let unknown = error("http://host.invalid/z.yaml");
    assert!(unknown.contains("address information") || unknown.contains("not known"), "{unknown}");
}

/// Of an authority that the system does not have. The tests of the program have one that it has.
#[test]
fn a_certificate_that_nobody_vouches_for_is_a_failure() {
    let server = WebServer::start_tls(&Identity::new(), |_| Reply::text("name: a\n"));
    let error = error(&server.url("/"));
    assert!(error.contains("invalid peer certificate: UnknownIssuer"), "{error}");
    assert!(error.contains("SSL_CERT_FILE"), "{error}");
}

#[test]
fn a_server_without_tls_is_a_failure() {
    let (server, _) = server(|_| Reply::text("name: a\n"));
    let error = error(&server.url("/").replace("http:", "https:"));
    assert!(error.contains("connection"), "{error}");
}

#[test]
fn credentials_that_no_header_can_have_are_refused_without_being_shown() {
    let address = Address::parse("http://host.example/").unwrap();
    let secret = Secret::new("Bearer hunter2\nx: y");
    let error = Client::new(&address, Some(&secret), Patience::default()).err().unwrap();
    assert!(!error.to_string().contains("hunter2"), "{error}");
}
