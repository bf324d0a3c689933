//! Routes: which exit takes a session, a publish, a subscription, and what no route takes.

use mqtt_plane::{Qos, ReasonCode, Version};

use super::script::{Asked, Bench, run};
use crate::state::{ClientPattern, Condition, Route, TopicPattern, Versions};
use crate::wire::{Connect, Packet, WillView};

fn topics(text: &str) -> Option<Vec<TopicPattern>> {
    Some(vec![TopicPattern::parse(text, |_| None).unwrap()])
}

fn route(exit: usize, client_id: &str, publish: &str, subscribe: &str) -> Route {
    let session = Some(vec![ClientPattern::new(client_id)]);
    let (publish, subscribe) = (topics(publish), topics(subscribe));
    Route { exit, when: vec![Condition { session, publish, subscribe }] }
}

/// Clients `dev-*` use exit 0 for `a/#`, and exit 1 for `b/#`.
fn two_exits() -> Bench {
    let routes = vec![route(0, "dev-*", "a/#", "a/#"), route(1, "none", "b/#", "b/+")];
    Bench::with(routes, Versions::ALL)
}

#[test]
fn a_session_that_no_route_takes_is_refused() {
    run(async {
        let bench = two_exits();
        let mut client = bench.stream(Version::V5);
        client.connect(&Connect::new(Version::V5, "other")).await;
        client
            .expect_packet(|packet| match packet {
                Packet::Connack(connack) => assert_eq!(connack.reason, ReasonCode::NOT_AUTHORIZED),
                other => panic!("{other:?}"),
            })
            .await;
        client.expect_close().await;
        let mut old = bench.stream(Version::V311);
        old.connect(&Connect::new(Version::V311, "other")).await;
        old.expect(b"\x20\x02\x00\x05").await;
        old.expect_close().await;
        // So is one whose will no route takes: it could not be published.
        let mut connect = Connect::new(Version::V311, "dev-1");
        connect.will = Some(WillView::new("c", b"", Qos::AtMostOnce, false));
        let mut willing = bench.stream(Version::V311);
        willing.connect(&connect).await;
        willing.expect(b"\x20\x02\x00\x05").await;
        assert!(bench.exits.iter().all(|exit| exit.asked().is_empty()));
    });
}

#[test]
fn a_publish_that_no_route_takes_is_refused_in_5_0_and_counted_in_3_1_1() {
    run(async {
        let bench = two_exits();
        let mut client = bench.client(Version::V5, "dev-1").await;
        client.send(b"\x32\x06\x00\x01c\x00\x07\x00\x30\x04\x00\x01c\x00").await;
        client.expect(&[0x40, 3, 0, 7, 0x87]).await;
        let mut old = bench.client(Version::V311, "dev-2").await;
        old.send(b"\x32\x05\x00\x01c\x00\x07").await;
        old.expect(&[0x40, 2, 0, 7]).await;
        assert_eq!(bench.count(|counters| &counters.publishes_dropped_no_route), 3);
        assert_eq!(bench.count(|counters| &counters.publishes_received), 3);
        assert!(bench.exits.iter().all(|exit| exit.asked().is_empty()));
    });
}

#[test]
fn each_exit_gets_a_session_at_first_use_and_the_acknowledgements_stay_in_order() {
    run(async {
        let bench = two_exits();
        let mut connect = Connect::new(Version::V5, "dev-1");
        connect.will = Some(WillView::new("a/will", b"", Qos::AtMostOnce, false));
        connect.properties.request_problem_information = false;
        let mut client = bench.stream(Version::V5);
        client.connect(&connect).await;
        client.expect_connack().await;
        let open = |will: Option<&str>| Asked::Open {
            client_id: "dev-1".to_owned(),
            clean_start: true,
            session_expiry: 0,
            will: will.map(ToOwned::to_owned),
        };
        assert_eq!(bench.exits[0].asked(), [open(Some("a/will"))]);
        assert_eq!(bench.exits[1].asked(), []);
        bench.exits[0].set(|script| script.answers = false);
        client.send(b"\x32\x08\x00\x03a/x\x00\x01\x00\x32\x08\x00\x03b/x\x00\x02\x00").await;
        let ticket = bench.exits[0].tickets()[0];
        let second = bench.exits[1].asked();
        assert_eq!(second[0], open(None));
        assert!(matches!(second[1], Asked::Publish { .. }));
        client.expect_silence().await;
        bench.exits[0].push(mqtt_plane::Event::Published { ticket, reason: ReasonCode::SUCCESS });
        client.expect(&[0x40, 2, 0, 1, 0x40, 2, 0, 2]).await;
        // A wildcard is granted only where all that it matches is permitted.
        client.send(b"\x82\x15\x00\x05\x00\x00\x03b/#\x00\x00\x03b/+\x00\x00\x03a/#\x00").await;
        bench.exits[0].set(|script| script.answers = true);
        let asked = bench.exits[0].asked();
        // [MQTT-3.8.4-3]: what goes to exit 1 now may have been subscribed here.
        let filters = vec!["b/+".to_owned()];
        assert_eq!(asked[1], Asked::Unsubscribe { ticket: 0, filters });
        let Asked::Subscribe { ticket, .. } = asked[0] else { panic!("{asked:?}") };
        let reasons = Box::new([ReasonCode::SUCCESS]);
        bench.exits[0].push(mqtt_plane::Event::Subscribed { ticket, reasons });
        client.expect(&[0x90, 6, 0, 5, 0, 0x87, 0, 0]).await;
        bench.exits[1].asked();
        client.send(b"\xA2\x08\x00\x06\x00\x00\x03b/+").await;
        client.expect(&[0xB0, 4, 0, 6, 0, 0]).await;
        client.send(b"\xE0\x00").await;
        for exit in &bench.exits {
            assert!(matches!(exit.asked()[..], [Asked::Unsubscribe { .. }, Asked::Close { .. }]));
        }
    });
}

#[test]
fn a_reload_keeps_the_connection_and_holds_for_the_next_decision() {
    run(async {
        let bench = two_exits();
        let mut client = bench.client(Version::V5, "dev-1").await;
        let publish = b"\x32\x08\x00\x03b/x\x00\x01\x00";
        client.send(publish).await;
        client.expect(&[0x40, 2, 0, 1]).await;
        assert_eq!(bench.exits[1].tickets().len(), 1);
        bench.set_routes(vec![route(0, "dev-*", "b/#", "b/#"), route(1, "x", "c/#", "c/#")]);
        client.send(publish).await;
        client.expect(&[0x40, 2, 0, 1]).await;
        assert_eq!(bench.exits[0].tickets().len(), 1);
        assert_eq!(bench.exits[1].tickets().len(), 0);
        bench.set_routes(vec![route(0, "none", "c/#", "c/#"), route(1, "x", "c/#", "c/#")]);
        client.send(publish).await;
        client.expect(&[0x40, 3, 0, 1, 0x87]).await;
    });
}
