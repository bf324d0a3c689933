//! PUBLISH to the client.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use mqtt_plane::{Event, Qos, Version};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

use super::script::{Asked, Bench, Client, delivery, run, settle};
use crate::wire::Connect;

fn deliver(bench: &Bench, payload: &[u8], qos: Qos, offset: i64) {
    bench.exit().push(Event::Deliver(delivery("t", payload, qos, offset, None)));
}

/// [MQTT-3.1.2-24], [MQTT-3.1.2-25]
#[test]
fn what_the_client_cannot_take_is_skipped_counted_and_complete() {
    run(async {
        let bench = Bench::new();
        let mut connect = Connect::new(Version::V5, "c");
        connect.properties.maximum_packet_size = Some(40);
        let mut client = bench.stream(Version::V5);
        client.connect(&connect).await;
        client.expect_connack().await;
        bench.exit().asked();
        deliver(&bench, &[b'x'; 100], Qos::AtMostOnce, 0);
        deliver(&bench, &[b'x'; 100], Qos::AtLeastOnce, 1);
        deliver(&bench, b"y", Qos::AtLeastOnce, 2);
        client.expect(&[0x32, 7, 0, 1, b't', 0, 1, 0, b'y']).await;
        assert_eq!(bench.exit().asked(), [Asked::Acknowledge { offset: 1 }]);
        assert_eq!(bench.count(|counters| &counters.deliveries_skipped_too_large), 2);
        assert_eq!(bench.count(|counters| &counters.deliveries_sent), 1);
    });
}

/// [MQTT-3.3.2-5], [MQTT-3.3.2-6]
#[test]
fn an_expired_message_is_skipped_and_another_carries_what_is_left() {
    run(async {
        let bench = Bench::new();
        let mut client = bench.client(Version::V5, "c").await;
        let expiring =
            |expiry| Event::Deliver(delivery("t", b"x", Qos::AtLeastOnce, 4, Some(expiry)));
        bench.exit().push(expiring(0));
        bench.exit().push(expiring(30));
        client.expect(&[0x32, 12, 0, 1, b't', 0, 1, 5, 2, 0, 0, 0, 30, b'x']).await;
        assert_eq!(bench.exit().asked(), [Asked::Acknowledge { offset: 4 }]);
        assert_eq!(bench.count(|counters| &counters.deliveries_skipped_expired), 1);
    });
}

/// [MQTT-3.3.4-9], [MQTT-4.9.0-1], [MQTT-4.9.0-2], [MQTT-4.9.0-3]
#[test]
fn the_receive_maximum_of_the_client_is_kept_and_other_packets_go_on() {
    run(async {
        let bench = Bench::new();
        let mut connect = Connect::new(Version::V5, "c");
        connect.properties.receive_maximum = 2;
        let mut client = bench.stream(Version::V5);
        client.connect(&connect).await;
        client.expect_connack().await;
        bench.exit().asked();
        for offset in 10..13 {
            deliver(&bench, b"", Qos::AtLeastOnce, offset);
        }
        client.expect(&[0x32, 6, 0, 1, b't', 0, 1, 0, 0x32, 6, 0, 1, b't', 0, 2, 0]).await;
        client.expect_silence().await;
        client.send(b"\xC0\x00").await;
        client.expect(b"\xD0\x00").await;
        client.send(b"\x40\x02\x00\x01").await;
        client.expect(&[0x32, 6, 0, 1, b't', 0, 3, 0]).await;
        // Also a refusal ends the delivery [MQTT-4.4.0-2].
        client.send(b"\x40\x03\x00\x02\x80\x40\x02\x00\x02").await;
        let offsets = [10, 11].map(|offset| Asked::Acknowledge { offset });
        assert_eq!(bench.exit().asked(), offsets);
        assert_eq!(bench.count(|counters| &counters.acknowledgements_unknown), 1);
    });
}

#[test]
fn a_shared_message_is_encoded_once_for_each_version_and_patched_for_each_receiver() {
    run(async {
        let bench = Bench::new();
        let mut new = bench.client(Version::V5, "new").await;
        let mut shared = delivery("t", b"x", Qos::AtLeastOnce, 0, None);
        shared.is_shared = true;
        // The session that polls first takes an event, so each client is served in turn.
        bench.exit().push(Event::Deliver(shared.clone()));
        new.expect(&[0x32, 7, 0, 1, b't', 0, 1, 0, b'x']).await;
        shared.retain = true;
        bench.exit().push(Event::Deliver(shared.clone()));
        new.expect(&[0x33, 7, 0, 1, b't', 0, 2, 0, b'x']).await;
        shared.qos = Qos::AtMostOnce;
        bench.exit().push(Event::Deliver(shared.clone()));
        new.expect(&[0x31, 5, 0, 1, b't', 0, b'x']).await;
        // With an identifier of its subscription it is this client's alone.
        shared.subscription_ids = Some([7].into());
        shared.retain = false;
        bench.exit().push(Event::Deliver(shared.clone()));
        new.expect(&[0x30, 7, 0, 1, b't', 2, 0x0B, 7, b'x']).await;
        drop(new);
        settle().await;
        let mut old = bench.client(Version::V311, "old").await;
        bench.exit().push(Event::Deliver(shared.clone()));
        old.expect(&[0x30, 4, 0, 1, b't', b'x']).await;
        let mut arena = Vec::new();
        let kind = mqtt_plane::FrameKind::new(Version::V5, Qos::AtLeastOnce);
        shared.messages.frames().copy_into(0, kind, &mut arena, |_| panic!("encoded twice"));
        assert_eq!(arena.len(), 9);
    });
}

#[test]
fn a_client_that_does_not_read_costs_no_more_than_its_bound() {
    run(async {
        let bench = Bench::new();
        let mut client = bench.stream_of(Version::V311, 1024);
        client.connect(&Connect::new(Version::V311, "c")).await;
        client.expect_connack().await;
        bench.exit().set(|script| {
            for offset in 0..1000 {
                let delivery = delivery("t", &[b'x'; 1000], Qos::AtMostOnce, offset, None);
                script.events.push_back(Event::Deliver(delivery));
            }
        });
        settle().await;
        // What lies between is the out-buffer; the rest stays with the exit.
        let left = bench.exit().0.borrow().events.len();
        assert!((900..1000).contains(&left), "{left} of 1000 are left");
        for _ in 0..1000 {
            let mut frame = vec![0x30, 0xEB, 0x07, 0, 1, b't'];
            frame.extend_from_slice(&[b'x'; 1000]);
            client.expect(&frame).await;
        }
        assert_eq!(bench.exit().0.borrow().events.len(), 0);
    });
}

/// The client is not excused from reading its answers, but neither is it cut off for being slow.
#[test]
fn a_client_that_does_not_read_its_answers_is_not_read_either() {
    run(async {
        let bench = Bench::new();
        let mut client = bench.stream_of(Version::V311, 1024);
        client.connect(&Connect::new(Version::V311, "c")).await;
        client.expect_connack().await;
        let pings = b"\xC0\x00".repeat(100_000);
        let mut sent = 0;
        while sent < pings.len() {
            use tokio::io::AsyncWriteExt;
            let write = client.io.write(&pings[sent..]);
            match tokio::time::timeout(std::time::Duration::from_millis(5), write).await {
                Ok(written) => sent += written.unwrap(),
                Err(_) => break,
            }
        }
        assert!(sent < 190_000, "{sent} bytes of pings were taken");
        let (mut read, mut write) = tokio::io::split(client.io);
        let writing = tokio::task::spawn_local(async move {
            use tokio::io::AsyncWriteExt;
            write.write_all(&pings[sent..]).await.unwrap();
            write
        });
        let mut answers = vec![0; 200_000];
        tokio::io::AsyncReadExt::read_exact(&mut read, &mut answers).await.unwrap();
        assert_eq!(answers, b"\xD0\x00".repeat(100_000));
        drop(writing.await);
    });
}

/// A stream that counts the writes to it.
struct CountingWrites(DuplexStream, Rc<Cell<usize>>);

impl AsyncRead for CountingWrites {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for CountingWrites {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.1.set(self.1.get() + 1);
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[test]
fn a_wake_makes_one_write_of_all_that_there_is_to_send() {
    run(async {
        let bench = Bench::new();
        let writes = Rc::new(Cell::new(0));
        let (io, theirs) = tokio::io::duplex(64 * 1024);
        bench.serve(Box::new(CountingWrites(theirs, Rc::clone(&writes))));
        let mut client = Client { io, version: Version::V311 };
        // CONNACK, two acknowledgements and an answer to a ping leave in one write.
        client
            .send(
                b"\x10\x0D\x00\x04MQTT\x04\x02\x00\x00\x00\x01a\
                  \x32\x05\x00\x01t\x00\x07\x32\x05\x00\x01t\x00\x08\xC0\x00",
            )
            .await;
        client.expect(b"\x20\x02\x00\x00\xD0\x00\x40\x02\x00\x07\x40\x02\x00\x08").await;
        assert_eq!(writes.get(), 1);
        bench.exit().set(|script| {
            for offset in 0..100 {
                let delivery = delivery("t", b"x", Qos::AtMostOnce, offset, None);
                script.events.push_back(Event::Deliver(delivery));
            }
        });
        client.expect(&b"\x30\x04\x00\x01tx".repeat(100)).await;
        assert_eq!(writes.get(), 2);
    });
}
