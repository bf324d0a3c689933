//! From an accepted stream to a session: CONNECT, its checks, CONNACK.

use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Poll, ready};
use std::time::Duration;

use engine::bytes::{Buffer, Conn, Ended, Io};
use mqtt_plane::{Closed, ReasonCode, Version};
use tokio::io::{AsyncRead, ReadBuf};

use super::connack::{refuse, write_connack};
use super::connection::Connection;
use super::counters::length;
use super::gate::{AddressCount, Admission, Handshake};
use super::node::{Server, Table, random};
use super::registry::{Order, Registration};
use super::retire::patience;
use super::sessions::Sessions;
use crate::state::{NO_ROUTE, NO_WILL_ROUTE, Request, Terms, admit, admit_packet};
use crate::wire::{Header, Packet, PacketType, connect_version, decode, header};

/// Bytes of a CONNECT that show its version: fixed header, protocol name, protocol level.
const VERSION_END: usize = 5 + 2 + 6 + 1;

/// Why a connection ends before its CONNACK of success.
pub(super) enum Refused {
    /// It is closed without an answer [MQTT-3.1.0-1].
    Silently(&'static str),
    /// It is answered, as far as its version can say it.
    Told {
        version: Version,
        /// The Maximum Packet Size of the client, bytes.
        limit: u32,
        closed: Closed,
    },
}

/// Opens the session of a connection, or refuses it.
pub(super) async fn connect(
    server: Rc<Server>,
    registration: Registration,
    conn: Conn,
    handshake: Handshake,
) -> Result<Box<Connection>, Ended> {
    let Conn { mut io, meta } = conn;
    let mut inbound = server.cx.pool().take();
    let reading = read_connect(&server, &registration, &mut io, &mut inbound);
    let timeout = server.table().policy.offer.connect_timeout;
    let read = match tokio::time::timeout(Duration::from_secs(timeout.into()), reading).await {
        Ok(read) => read,
        Err(_) => Err(Refused::Silently("no CONNECT in time")),
    };
    let refused = match read {
        Ok(header) => {
            server.counters.packets_received.increment();
            let peer = meta.peer.ip();
            let opened = open(&server, &registration, peer, header, &inbound).await;
            match opened {
                Ok(opened) => {
                    inbound.drain(..header.total_len());
                    tracing::debug!(
                        event = "mqtt.session.opened",
                        binding = %server.name,
                        peer = %meta.peer,
                        client_id = &*opened.sessions.client_id,
                    );
                    let inbound = Some(inbound).filter(|rest| !rest.is_empty());
                    drop(handshake);
                    let connection = Connection::new(server, registration, io, opened, inbound);
                    // The futures that hand it on would each have a place for all of it.
                    return Ok(Box::new(connection));
                }
                Err(refused) => refused,
            }
        }
        Err(refused) => refused,
    };
    drop(inbound);
    // The client id is free before the client is gone.
    registration.release();
    refuse(&server, io, meta.peer, &refused).await;
    Err(Ended::Closed)
}

/// Reads until a CONNECT is complete, and no further than one read behind it.
async fn read_connect(
    server: &Server,
    registration: &Registration,
    io: &mut Box<dyn Io>,
    inbound: &mut Buffer,
) -> Result<Header, Refused> {
    let limit = server.table().limits().maximum_packet_size;
    loop {
        let found = header(inbound).map_err(|malformed| Refused::Silently(malformed.detail))?;
        if let Some(header) = found {
            if header.packet_type() != PacketType::Connect {
                // [MQTT-3.1.0-1]
                return Err(Refused::Silently("first packet is not CONNECT"));
            }
            if let Err(refusal) = admit_packet(header.total_len(), limit) {
                if inbound.len() >= header.total_len().min(VERSION_END) {
                    return Err(told(header, inbound, refusal.into()));
                }
            } else if inbound.len() >= header.total_len() {
                return Ok(header);
            }
        }
        poll_fn(|cx| {
            registration.park(cx.waker());
            if registration.ordered().is_some() {
                return Poll::Ready(Err(Refused::Silently("server is shutting down")));
            }
            let mut buffer = server.cx.pool().read_buffer();
            let mut read = ReadBuf::new(&mut buffer);
            let result = ready!(Pin::new(&mut *io).poll_read(cx, &mut read));
            if result.is_err() || read.filled().is_empty() {
                return Poll::Ready(Err(Refused::Silently("client left before its CONNECT")));
            }
            server.counters.bytes_received.add(length(read.filled()));
            inbound.extend_from_slice(read.filled());
            Poll::Ready(Ok(()))
        })
        .await?;
    }
}

/// A refusal in the version that the CONNECT asks for, if it can be read that far.
fn told(header: Header, packet: &[u8], closed: Closed) -> Refused {
    match connect_version(header, packet) {
        Some(version) => Refused::Told { version, limit: u32::MAX, closed },
        None => Refused::Silently(closed.detail),
    }
}

/// What a CONNECT has opened.
pub(super) struct Opened {
    pub(super) terms: Terms,
    pub(super) table: Rc<Table>,
    pub(super) sessions: Sessions,
    /// CONNACK.
    pub(super) outbound: Buffer,
    /// Topic Alias Maximum of the client.
    pub(super) alias_maximum: u16,
    /// Whether answers may have Reason Strings [MQTT-3.1.2-29].
    pub(super) explains: bool,
    pub(super) admission: Admission,
    pub(super) address: Option<AddressCount>,
}

async fn open(
    server: &Server,
    registration: &Registration,
    peer: IpAddr,
    header: Header,
    inbound: &[u8],
) -> Result<Opened, Refused> {
    let packet = &inbound[..header.total_len()];
    let connect = match decode(Version::V5, header, packet) {
        Ok(Packet::Connect(connect)) => connect,
        Ok(_) => return Err(Refused::Silently("first packet is not CONNECT")),
        Err(malformed) => {
            // [MQTT-3.1.4-1]
            let closed = Closed { reason: malformed.reason, detail: malformed.detail };
            return Err(told(header, packet, closed));
        }
    };
    let limit = connect.properties.maximum_packet_size.unwrap_or(u32::MAX);
    let refused = |closed| Refused::Told { version: connect.version, limit, closed };
    let table = server.table();
    let (gate, bounds) = (&server.lasting.gate, &table.policy.bounds);
    gate.admit_rate(bounds, server.cx.clock().now()).map_err(refused)?;
    let terms = admit(&connect, &table.policy, table.limits());
    let terms = terms.map_err(|refusal| refused(refusal.into()))?;
    let client_id: Rc<str> = match connect.client_id {
        // [MQTT-3.1.3-6], [MQTT-3.1.3-7]
        "" => assigned_client_id(bounds.client_id_length).into(),
        client_id => client_id.into(),
    };
    let session = table.decide(Request::Session(&client_id)).ok_or(NO_ROUTE).map_err(refused)?;
    let will_route = match &connect.will {
        Some(will) => {
            let decision = table.decide(Request::Publish(will.topic));
            Some(decision.ok_or(NO_WILL_ROUTE).map_err(refused)?)
        }
        None => None,
    };
    let will_exit = will_route.map(|decision| decision.exit);
    let mut outbound = server.cx.pool().take();
    let written = write_connack(&mut outbound, &connect, &terms, &client_id, false);
    if written.is_err() || outbound.len() > limit as usize {
        // [MQTT-3.1.2-24]
        return Err(Refused::Silently("Maximum Packet Size of the client is below a CONNACK"));
    }
    let is_takeover = server.lasting.clients.owner(&client_id).is_some();
    let (admission, address) = gate.admit(bounds, peer, is_takeover).map_err(refused)?;
    let claimed = server.claim(&client_id, connect.clean_start, registration).await;
    match registration.ordered() {
        None => {}
        Some(Order::TakenOver) => {
            return Err(Refused::Silently("client identifier has connected again"));
        }
        Some(_) => {
            let detail = "server is shutting down";
            return Err(refused(Closed { reason: ReasonCode::SERVER_UNAVAILABLE, detail }));
        }
    }
    claimed.map_err(refused)?;
    let mut sessions = Sessions::new(
        Rc::clone(&client_id),
        terms.version,
        connect.clean_start,
        terms.session_expiry,
    );
    // An earlier connection may have come to use more exits than these.
    let kept = (0..table.exits.len()).filter(|exit| table.exits[*exit].1.get().keeps(&client_id));
    let exits: Vec<usize> = [session.exit].into_iter().chain(will_exit).chain(kept).collect();
    for exit in &exits {
        table.exits[*exit].1.get().admit().map_err(refused)?;
    }
    // The will goes to the exit that takes its topic; mostly there is only one.
    let mut will = connect.will.map(|will| will.to_will());
    for exit in exits {
        let will = will.take_if(|_| will_exit == Some(exit));
        if let Err(closed) = sessions.open(&table, exit, will) {
            // Those that were opened have not begun for the client.
            sessions.close(mqtt_plane::Cause::Normal, |_| None);
            return Err(refused(closed));
        }
    }
    sessions.begun();
    if sessions.is_resumed() {
        outbound.clear();
        // It fits as well as the one before did.
        write_connack(&mut outbound, &connect, &terms, &client_id, true).ok();
    }
    registration.heard.set(server.tick());
    registration.patience.set(patience(terms.keep_alive));
    server.counters.connections_opened.increment();
    server.counters.packets_sent.increment();
    let alias_maximum = connect.properties.topic_alias_maximum;
    let explains = terms.version == Version::V5 && connect.properties.request_problem_information;
    Ok(Opened { terms, table, sessions, outbound, alias_maximum, explains, admission, address })
}

/// A client id for a client that has none: a random UUID, or its first digits where that is longer
/// than `longest`. The client can name it when it comes again.
fn assigned_client_id(longest: u16) -> String {
    let (high, low) = (random(), random());
    // Version 4, variant 1 of RFC 9562.
    let (high, low) = (high & !0xF000 | 0x4000, low & (u64::MAX >> 2) | 1 << 63);
    let mut id = format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xFFFF,
        high & 0xFFFF,
        low >> 48,
        low & 0xFFFF_FFFF_FFFF
    );
    if id.len() > usize::from(longest) {
        id.retain(|digit| digit != '-');
        id.truncate(longest.into());
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::SHORTEST_ASSIGNED;

    #[test]
    fn assigned_client_ids_are_uuids_and_differ() {
        let (a, b) = (assigned_client_id(36), assigned_client_id(36));
        assert_ne!(a, b);
        let lengths: Vec<usize> = a.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(a.as_bytes()[14], b'4');
        assert!(b"89ab".contains(&a.as_bytes()[19]));
    }

    #[test]
    fn assigned_client_ids_are_no_longer_than_client_ids_may_be() {
        for (longest, len) in [(256, 36), (36, 36), (35, 32), (23, 23), (SHORTEST_ASSIGNED, 16)] {
            let (a, b) = (assigned_client_id(longest), assigned_client_id(longest));
            assert_eq!((a.len(), b.len()), (len, len));
            assert_ne!(a, b);
        }
    }
}
