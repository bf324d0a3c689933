//! Keep alive, takeover, retirement: connections that this side ends.

use std::time::Duration;

use engine::spi::Retire;
use mqtt_plane::{Cause, Event, ReasonCode, Version};

use super::script::{Asked, Bench, SUCCESS, run};
use crate::server::takeover::Owner;
use crate::wire::Connect;

/// [MQTT-3.1.2-22]
#[test]
fn a_silent_client_is_ended_after_one_and_a_half_times_its_keep_alive() {
    run(async {
        for version in [Version::V5, Version::V311] {
            let bench = Bench::new();
            let mut connect = Connect::new(version, "c");
            connect.keep_alive = 20;
            let mut client = bench.stream(version);
            client.connect(&connect).await;
            client.expect_connack().await;
            tokio::time::sleep(Duration::from_secs(25)).await;
            client.send(b"\xC0\x00").await;
            client.expect(b"\xD0\x00").await;
            tokio::time::sleep(Duration::from_millis(29_500)).await;
            client.expect_silence().await;
            tokio::time::sleep(Duration::from_secs(3)).await;
            client.expect_end(ReasonCode::KEEP_ALIVE_TIMEOUT).await;
            assert_eq!(bench.count(|counters| &counters.keep_alive_timeouts), 1);
            let asked = bench.exit().asked();
            let cause = Cause::Abnormal;
            assert_eq!(asked.last(), Some(&Asked::Close { client_id: "c".to_owned(), cause }));
        }
    });
}

#[test]
fn without_a_keep_alive_a_client_may_be_silent() {
    run(async {
        let bench = Bench::new();
        let mut client = bench.client(Version::V5, "c").await;
        tokio::time::sleep(Duration::from_secs(100_000)).await;
        client.send(b"\xC0\x00").await;
        client.expect(b"\xD0\x00").await;
    });
}

#[test]
fn keep_alive_is_suspended_while_the_exit_holds_the_client_up() {
    run(async {
        let bench = Bench::new();
        let mut connect = Connect::new(Version::V311, "c");
        connect.keep_alive = 10;
        let mut client = bench.stream(Version::V311);
        client.connect(&connect).await;
        client.expect_connack().await;
        bench.exit().set(|script| script.is_ready = false);
        client.send(b"\x30\x03\x00\x01t").await;
        tokio::time::sleep(Duration::from_secs(100)).await;
        client.send(b"\xC0\x00").await;
        bench.exit().set(|script| script.is_ready = true);
        client.expect(b"\xD0\x00").await;
        tokio::time::sleep(Duration::from_secs(20)).await;
        client.expect_close().await;
    });
}

/// [MQTT-3.1.4-3]
#[test]
fn the_newer_connection_of_a_client_id_takes_over_when_the_older_has_ended() {
    run(async {
        let bench = Bench::new();
        let mut older = bench.client(Version::V5, "c").await;
        let mut newer = bench.client(Version::V5, "c").await;
        older.expect_end(ReasonCode::SESSION_TAKEN_OVER).await;
        newer.send(b"\xC0\x00").await;
        newer.expect(b"\xD0\x00").await;
        let newest = bench.stream(Version::V311);
        let mut newest = newest;
        newest.connect(&Connect::new(Version::V311, "c")).await;
        newest.expect(b"\x20\x02\x00\x00").await;
        let asked = bench.exit().asked();
        let closed = Asked::Close { client_id: "c".to_owned(), cause: Cause::Abnormal };
        assert_eq!(asked.first(), Some(&closed), "the will is due before the next session begins");
        assert!(matches!(asked.last(), Some(Asked::Open { .. })));
        newer.expect_end(ReasonCode::SESSION_TAKEN_OVER).await;
        assert_eq!(bench.count(|counters| &counters.connections_taken_over), 2);
        assert_eq!(bench.count(|counters| &counters.takeovers_refused), 0);
        newest.send(b"\xE0\x00").await;
        newest.expect_close().await;
        assert_eq!(bench.server.lasting.clients.owner("c"), None);
    });
}

#[test]
fn an_owner_that_is_gone_or_does_not_answer_holds_a_takeover_up_for_two_seconds_at_most() {
    run(async {
        let bench = Bench::new();
        // A connection that has ended without releasing, as after a panic: answered at once.
        let gone = Owner { worker: 0, token: 1 };
        bench.server.lasting.clients.set_owner("c", gone);
        let started = tokio::time::Instant::now();
        let _client = bench.client(Version::V5, "c").await;
        assert_eq!(started.elapsed(), Duration::ZERO);
        assert_eq!(bench.count(|counters| &counters.takeovers_refused), 0);
        // Three connections at once: each waits for the one before it and is taken over meanwhile.
        let mut waiting: Vec<_> = (0..3).map(|_| bench.stream(Version::V5)).collect();
        for client in &mut waiting {
            client.connect(&Connect::new(Version::V5, "c")).await;
        }
        let mut newest = waiting.pop().unwrap();
        newest.expect_connack().await;
        assert_eq!(bench.server.registry.len(), 4);
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(bench.server.registry.len(), 1);
    });
}

/// [MQTT-3.14.4-1]
#[test]
fn a_shutdown_finishes_what_is_in_flight_and_tells_5_0_clients() {
    run(async {
        let bench = Bench::new();
        bench.exit().set(|script| script.answers = false);
        let mut idle = bench.client(Version::V5, "idle").await;
        let mut old = bench.client(Version::V311, "old").await;
        let mut busy = bench.client(Version::V5, "busy").await;
        busy.send(b"\x32\x06\x00\x01t\x00\x07\x00").await;
        let ticket = bench.exit().tickets()[0];
        let now = bench.server.cx.clock().now();
        let deadline = Some(now + Duration::from_secs(5));
        bench.server.retire_all(Retire { is_shutdown: true, deadline });
        idle.expect_end(ReasonCode::SERVER_SHUTTING_DOWN).await;
        old.expect_close().await;
        busy.expect_silence().await;
        bench.exit().push(Event::Published { ticket, reason: SUCCESS });
        busy.expect(&[0x40, 2, 0, 7]).await;
        busy.expect_end(ReasonCode::SERVER_SHUTTING_DOWN).await;
        let mut late = bench.stream(Version::V5);
        late.expect_close().await;
    });
}

#[test]
fn a_shutdown_does_not_wait_beyond_its_deadline() {
    run(async {
        let bench = Bench::new();
        bench.exit().set(|script| script.answers = false);
        let mut busy = bench.client(Version::V5, "busy").await;
        busy.send(b"\x32\x06\x00\x01t\x00\x07\x00").await;
        let now = bench.server.cx.clock().now();
        bench
            .server
            .retire_all(Retire { is_shutdown: true, deadline: Some(now + Duration::from_secs(5)) });
        tokio::time::sleep(Duration::from_millis(4500)).await;
        busy.expect_silence().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        busy.expect_end(ReasonCode::SERVER_SHUTTING_DOWN).await;
    });
}

#[test]
fn a_shutdown_waits_idly_and_leaves_what_was_not_taken() {
    run(async {
        let bench = Bench::new();
        bench.exit().set(|script| script.answers = false);
        let mut busy = bench.client(Version::V311, "busy").await;
        // SUBSCRIBE, UNSUBSCRIBE, and a PUBLISH that waits for the former.
        let requests = b"\x82\x06\x00\x05\x00\x01t\x00\xA2\x05\x00\x06\x00\x01u";
        busy.send(&[&requests[..], b"\x30\x03\x00\x01t"].concat()).await;
        let [Asked::Subscribe { ticket, .. }, Asked::Unsubscribe { ticket: last, .. }] =
            bench.exit().asked()[..]
        else {
            panic!("both are undecided");
        };
        bench.server.retire_all(Retire { is_shutdown: true, deadline: None });
        bench.exit().push(Event::Subscribed { ticket, reasons: Box::new([SUCCESS]) });
        busy.expect(&[0x90, 3, 0, 5, 0]).await;
        // Paused time goes on only while nobody works.
        busy.expect_silence().await;
        bench.exit().push(Event::Unsubscribed { ticket: last, reasons: Box::new([SUCCESS]) });
        busy.expect(&[0xB0, 2, 0, 6]).await;
        busy.expect_close().await;
        assert!(bench.exit().tickets().is_empty());
    });
}

#[test]
fn a_removed_server_serves_its_clients_until_the_deadline() {
    run(async {
        let bench = Bench::new();
        let mut client = bench.client(Version::V5, "c").await;
        let now = bench.server.cx.clock().now();
        let deadline = Some(now + Duration::from_secs(30));
        bench.server.retire_all(Retire { is_shutdown: false, deadline });
        tokio::time::sleep(Duration::from_secs(20)).await;
        client.send(b"\xC0\x00").await;
        client.expect(b"\xD0\x00").await;
        tokio::time::sleep(Duration::from_secs(11)).await;
        client.expect_end(ReasonCode::ADMINISTRATIVE_ACTION).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(bench.server.registry.len(), 0);
    });
}

#[test]
fn an_idle_connection_owns_no_buffer_and_little_else() {
    // The task of a connection: its future and what the server keeps of it.
    let connection = size_of::<crate::server::connection::Connection>();
    assert!(connection <= 400, "{connection} bytes");
    run(async {
        let bench = Bench::new();
        let (io, _client) = tokio::io::duplex(64);
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
        let meta = engine::bytes::ConnMeta {
            peer: address,
            local: address,
            acceptor: engine::bytes::Acceptor::default(),
        };
        let conn = engine::bytes::Conn { io: Box::new(io), meta };
        let server = std::rc::Rc::clone(&bench.server);
        let serving = engine::bytes::Accept::serve(server, conn);
        let future = size_of_val(&*serving);
        assert!(future <= 96, "{future} bytes");
    });
}
