//! A client's whole connection, from packets in any order, or from any bytes, to the exit and back:
//! no panic, no hang, bounded output; every answer is asked for and in its order, every delivery in
//! its order and within Receive Maximum.

#![no_main]

#[path = "session/client.rs"]
mod client;
#[path = "session/exit.rs"]
mod exit;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use client::Client;
use engine::bytes::{Acceptor, Conn, ConnMeta};
use engine::spi::WorkerCx;
use exit::{Exit, RECEIVE_MAXIMUM, State};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use mqtt_plane::{Qos, Version};
use tokio::runtime::{Builder, Runtime};

/// Bytes that the stream holds each way.
const STREAM: usize = 8 * 1024;

/// Payload bytes that may be on their way: two of the server's bounds, the stream, the messages that
/// pass a bound and their headers.
const BOUND: usize = 3 * 64 * 1024 + STREAM + 3 * 8 * 1024;

thread_local! {
    static RUNTIME: Runtime =
        Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
}

fuzz_target!(|data: &[u8]| {
    RUNTIME.with(|runtime| {
        tokio::task::LocalSet::new().block_on(runtime, async {
            // Too few bytes for another step: the connection ends.
            let _ = serve(&mut Unstructured::new(data)).await;
        });
    });
});

async fn serve(source: &mut Unstructured<'_>) -> Result<()> {
    let flags: u8 = source.arbitrary()?;
    let version = if flags & 1 == 0 { Version::V311 } else { Version::V5 };
    let state = Rc::new(RefCell::new(State::new(flags & 2 == 0)));
    let server = mqtt::detached(&WorkerCx::detached(), Rc::new(Exit(Rc::clone(&state))));
    let (io, theirs) = tokio::io::duplex(STREAM);
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    let meta = ConnMeta { peer: address, local: address, acceptor: Acceptor::default() };
    let serving = tokio::task::spawn_local(server.serve(Conn { io: Box::new(theirs), meta }));
    let mut client = Client::new(version, io);
    connect(&mut client, flags);
    let stopped = act(source, &mut client, &state).await;
    finish(&mut client, &state).await;
    tokio::time::timeout(Duration::from_secs(30), serving)
        .await
        .expect("it ends")
        .expect("no panic");
    let state = state.borrow();
    assert_eq!(state.closed, state.opened, "each session is closed once");
    stopped
}

fn connect(client: &mut Client, flags: u8) {
    let mut body = b"\x00\x04MQTT".to_vec();
    let will = flags & 4 != 0;
    let level = if client.version == Version::V5 { 5 } else { 4 };
    // Clean start; a keep alive of 2 s where `flags` say so.
    body.extend([level, 2 | u8::from(will) << 2, 0, flags >> 2 & 2]);
    if client.version == Version::V5 {
        body.extend([3, 0x21, 0, RECEIVE_MAXIMUM as u8]);
    }
    body.extend(b"\x00\x01c");
    if will {
        body.extend(if client.version == Version::V5 { &b"\x00"[..] } else { b"" });
        body.extend(b"\x00\x01w\x00\x01w");
    }
    client.packet(0x10, &body);
}

/// What the client and the exit do, one step after the other.
async fn act(
    source: &mut Unstructured<'_>,
    client: &mut Client,
    state: &RefCell<State>,
) -> Result<()> {
    while !source.is_empty() && !client.is_over {
        match source.int_in_range(0..=24u8)? {
            0..=4 => publish(source, client)?,
            5..=6 => subscribe(source, client)?,
            7 => {
                let id = id(source)?;
                let properties = properties(client);
                client.packet(0xA2, &[&id[..], properties, b"\x00\x01t"].concat());
            }
            8..=11 => acknowledge(source, client)?,
            12 => client.packet(0xC0, &[]),
            13 => client.packet(0xE0, source.choose(&[&b""[..], &b"\x04"[..], &b"\x00"[..]])?),
            14 => {
                let len = source.int_in_range(0..=64usize)?;
                let bytes = source.bytes(len.min(source.len()))?;
                client.bytes(bytes);
            }
            15 => connect(client, source.arbitrary()?),
            16..=17 => client.flush(usize::MAX).await,
            18 => client.flush(source.int_in_range(1..=16)?).await,
            19 => {
                client.read().await;
                // As a client should.
                for (qos, packet_id) in std::mem::take(&mut client.owed) {
                    let [high, low] = packet_id.to_be_bytes();
                    match qos {
                        Qos::ExactlyOnce => {
                            client.packet(0x50, &[high, low]);
                            client.packet(0x70, &[high, low]);
                        }
                        _ => client.packet(0x40, &[high, low]),
                    }
                }
            }
            20 => state.borrow_mut().answer(source.int_in_range(1..=4)?),
            21 => {
                let qos = *source.choose(&[Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce])?;
                let (count, len) = (source.int_in_range(1..=32)?, source.int_in_range(0..=8000)?);
                (0..count).for_each(|_| state.borrow_mut().message(qos, len));
            }
            22 => {
                client.was_away = true;
                tokio::time::sleep(Duration::from_millis(source.int_in_range(1..=2000)?)).await;
            }
            23 => {
                let mut state = state.borrow_mut();
                state.is_ready = !state.is_ready;
                state.wake();
            }
            _ => {
                // Seldom, since nothing comes after it.
                let mut state = state.borrow_mut();
                state.ends = source.ratio(1, 8)?;
                state.wake();
            }
        }
        let on_their_way = state.borrow().handed - client.payload;
        assert!(on_their_way <= BOUND, "{on_their_way} bytes on their way");
    }
    Ok(())
}

/// The exit answers all there is, and the client takes it: then nothing is owed. Then it leaves.
async fn finish(client: &mut Client, state: &RefCell<State>) {
    for round in 0.. {
        {
            let mut state = state.borrow_mut();
            (state.is_ready, state.is_prompt) = (true, true);
            state.answer(usize::MAX);
        }
        client.flush(usize::MAX).await;
        client.read().await;
        if client.is_over || !client.has_unsent() && round >= 4 {
            break;
        }
        assert!(round < 10_000, "the server takes what is sent");
    }
    if !client.is_over && client.is_understood() {
        client.check_answered();
    }
    client.close();
}

fn id(source: &mut Unstructured<'_>) -> Result<[u8; 2]> {
    Ok([0, source.int_in_range(1..=8)?])
}

fn properties(client: &Client) -> &'static [u8] {
    if client.version == Version::V5 { &[0] } else { &[] }
}

fn publish(source: &mut Unstructured<'_>, client: &mut Client) -> Result<()> {
    let first = 0x30 | source.int_in_range(0..=0b1101u8)?;
    let mut body = b"\x00\x01t".to_vec();
    if first & 0b0110 != 0 {
        body.extend(id(source)?);
    }
    body.extend(properties(client));
    let len = *source.choose(&[0, 1, 1, 1, 300, 8000])?;
    body.extend(std::iter::repeat_n(*source.choose(b"xx!")?, len));
    client.packet(first, &body);
    Ok(())
}

fn subscribe(source: &mut Unstructured<'_>, client: &mut Client) -> Result<()> {
    let mut body = id(source)?.to_vec();
    body.extend(properties(client));
    for _ in 0..source.int_in_range(1..=3u8)? {
        let filter = *source.choose(&["t", "#", "+/t", "t#", "$share/g/t", ""])?;
        body.extend([0, filter.len() as u8]);
        body.extend(filter.as_bytes());
        body.push(source.int_in_range(0..=2)?);
    }
    client.packet(0x82, &body);
    Ok(())
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP, for something or for nothing.
fn acknowledge(source: &mut Unstructured<'_>, client: &mut Client) -> Result<()> {
    let first = *source.choose(&[0x40, 0x50, 0x62, 0x70])?;
    let mut body = id(source)?.to_vec();
    if client.version == Version::V5 && source.ratio(1, 4)? {
        body.push(if first < 0x60 { 0x80 } else { 0x92 });
    }
    client.packet(first, &body);
    Ok(())
}
