//! What becomes of a CONNECT, a PUBLISH and a SUBSCRIBE, for people.
//!
//! The packet is encoded, and from there on goes the way that a client's goes: it is decoded, and
//! decided by the functions of [`crate::state`].

use std::rc::Rc;

use engine::config::ExitName;
use engine::spi::{self, Action, Denial, Fact, Trace, Verdict};
use mqtt_plane::asked::{
    Asked, AskedFor, connect_denied, connection_ended, publish_denied, qos_of, subscription,
    subscription_denied, subscription_unavailable,
};
use mqtt_plane::{FileLimits, Publish, Qos, ReasonCode, Subscription, Version};

use crate::config::{ServerConfig, offer};
use crate::state::{
    self, Decision, Item, NO_ROUTE, NO_WILL_ROUTE, Policy, Refusal, Request, Rule, Terms,
    UNLIMITED, admit, admit_packet, is_system, stricter, unavailable,
};
use crate::wire::{
    Connect, Malformed, Packet, PublishExtras, User, WillView, decode, encode_connect,
    encode_publish, encode_subscribe, header, set_packet_id,
};

/// Stands for the client identifier that the server would assign.
const ASSIGNED: &str = "00000000-0000-4000-8000-000000000000";

/// Tells what a server decides.
pub(crate) fn explain(config: &ServerConfig, action: &Action, trace: &mut Trace<'_>) {
    let Some(asked) = Asked::read(action) else { return };
    let Some((terms, exit)) = connect(config, action, &asked, trace) else { return };
    let action = &match asked.identity.client_id.as_str() {
        "" => action.clone().with("client-id", ASSIGNED),
        _ => action.clone(),
    };
    match &asked.request {
        AskedFor::Connect => {
            tell_terms(config, action, &terms, trace);
            trace.fact("qos", Fact::Number(terms.maximum_qos as u64));
            trace.fact("keep-alive", Fact::Number(terms.keep_alive.into()));
            trace.fact("session-expiry", Fact::Number(terms.session_expiry.into()));
            trace.fact("receive-maximum", Fact::Number(terms.receive_maximum.into()));
            trace.pass(&config.exits[exit].name, action.clone());
        }
        AskedFor::Publish(message) => {
            publish(config, action, &message.publish(), &terms, trace);
        }
        AskedFor::Subscribe { filter, qos } => {
            let subscription = subscription(filter, *qos);
            let mut bytes = Vec::new();
            let user = User::NONE;
            let encoded =
                encode_subscribe(&mut bytes, terms.version, 1, None, user, &[subscription]);
            if let Err(refusal) = admit_packet(bytes.len(), terms.maximum_packet_size) {
                let rule = rule(refusal.rule, config, trace);
                return trace.deny(rule, connection_ended(refusal.reason, refusal.detail));
            }
            let subscription = match encoded.map(|()| packet(terms.version, &bytes)) {
                Ok(Ok(Packet::Subscribe(packet))) => packet.subscriptions().next(),
                Ok(Err(malformed)) => return trace.deny("", ended(&malformed)),
                Ok(Ok(_)) | Err(_) => return trace.deny("", too_long()),
            };
            let Some(subscription) = subscription else { return };
            let mut decision = None;
            let admitted = subscription.and_then(|subscription| {
                let route = || {
                    decision = decide(config, Request::Subscribe(filter), trace);
                    decision.ok_or(NO_ROUTE.reason)
                };
                terms.admit_subscription(subscription, route)
            });
            match admitted {
                Ok((decision, Subscription { qos: granted, .. })) => {
                    if granted < *qos {
                        let why =
                            format!("Maximum QoS {} in place of {}", granted as u8, *qos as u8);
                        trace.step(Verdict::Taken, maximum_qos_rule(config, trace), why);
                    }
                    if terms.policy.system_interval > 0 && is_system(filter) {
                        let why = format!("the server itself tells what `{filter}` matches");
                        trace.step(Verdict::Taken, SYSTEM_INTERVAL_RULE, why);
                        return;
                    }
                    let action = action.clone().with("qos", granted as u64);
                    trace.pass(&config.exits[decision.exit].name, action);
                }
                Err(reason) => match unavailable(reason) {
                    Some(Refusal { detail, rule: by, .. }) => {
                        let rule = rule(by, config, trace);
                        trace.deny(rule, subscription_unavailable(reason, detail));
                    }
                    None => {
                        let (rule, detail) = refused_filter(&terms, reason, filter);
                        trace.deny(rule, subscription_denied(reason, &detail));
                    }
                },
            }
        }
    }
}

/// Admits the client: the terms and the exit of its session.
fn connect(
    config: &ServerConfig,
    action: &Action,
    asked: &Asked,
    trace: &mut Trace<'_>,
) -> Option<(Terms, usize)> {
    let will_topic = action.text("will-topic");
    let connect = Connect {
        keep_alive: action.number("keep-alive").unwrap_or(60),
        user_name: asked.identity.user_name.as_deref(),
        will: will_topic
            .as_deref()
            .map(|topic| WillView::new(topic, b"", qos_of(action, "will-qos"), false)),
        ..Connect::new(asked.version, &asked.identity.client_id)
    };
    let mut connect = connect;
    connect.properties.session_expiry = action.number("session-expiry").unwrap_or_default();
    let mut bytes = Vec::new();
    let decoded = encode_connect(&mut bytes, &connect).map(|()| packet(asked.version, &bytes));
    let connect = match decoded {
        Ok(Ok(Packet::Connect(connect))) => connect,
        Ok(Err(malformed)) => {
            trace.deny("", connect_denied(malformed.reason, malformed.detail));
            return None;
        }
        Ok(Ok(_)) | Err(_) => {
            trace.deny("", too_long());
            return None;
        }
    };
    let exits = exit_limits(config, trace).map(|(_, bounds)| bounds.limits);
    let limits = exits.fold(stricter(UNLIMITED, config.bounds.limits()), stricter);
    let policy = Rc::new(Policy {
        versions: config.versions,
        offer: offer(|name| trace.property(name)),
        bounds: config.bounds,
        checks_payload_format: config.checks_payload_format,
        system_interval: config.system_interval,
        ..Policy::DEFAULT
    });
    let admitted = admit_packet(bytes.len(), limits.maximum_packet_size)
        .and_then(|()| admit(&connect, &policy, limits));
    let terms = match admitted {
        Ok(terms) => terms,
        Err(refusal) => {
            let rule = rule(refusal.rule, config, trace);
            trace.deny(rule, connect_denied(refusal.reason, refusal.detail));
            return None;
        }
    };
    let client_id = if connect.client_id.is_empty() { ASSIGNED } else { connect.client_id };
    let Some(session) = decide(config, Request::Session(client_id), trace) else {
        trace.deny("", connect_denied(NO_ROUTE.reason, NO_ROUTE.detail));
        return None;
    };
    if let Some(will) = &connect.will
        && decide(config, Request::Publish(will.topic), trace).is_none()
    {
        trace.deny("", connect_denied(NO_WILL_ROUTE.reason, NO_WILL_ROUTE.detail));
        return None;
    }
    Some((terms, session.exit))
}

fn publish(
    config: &ServerConfig,
    action: &Action,
    publish: &Publish<'_>,
    terms: &Terms,
    trace: &mut Trace<'_>,
) {
    let mut bytes = Vec::new();
    let at = encode_publish(&mut bytes, terms.version, publish, &PublishExtras::of(publish));
    let Ok(at) = at else { return trace.deny("", too_long()) };
    set_packet_id(&mut bytes, at, 1);
    let packet = match packet(terms.version, &bytes) {
        Ok(Packet::Publish(packet)) => packet,
        Ok(_) => return,
        Err(malformed) => return trace.deny("", ended(&malformed)),
    };
    let sent = admit_packet(bytes.len(), terms.maximum_packet_size)
        .and_then(|()| terms.admit_publish(packet.qos, packet.retain));
    if let Err(Refusal { reason, detail, rule: by }) = sent {
        let rule = rule(by, config, trace);
        return trace.deny(rule, connection_ended(reason, detail));
    }
    let admitted = terms.admit_message(&packet);
    let admitted = admitted.and_then(|()| terms.policy.admit_topic(packet.topic));
    let admitted = admitted.and_then(|()| terms.admit_payload(&packet));
    if let Err(Refusal { reason, detail, rule: by }) = admitted {
        let rule = rule(by, config, trace);
        return trace.deny(rule, publish_denied(reason, detail, packet.qos));
    }
    match decide(config, Request::Publish(packet.topic), trace) {
        Some(decision) => trace.pass(&config.exits[decision.exit].name, action.clone()),
        None => {
            let detail = format!("no route takes publishes to `{}`", packet.topic);
            trace.deny("", publish_denied(NO_ROUTE.reason, &detail, packet.qos));
        }
    }
}

/// Asks the routes, and tells what each says.
fn decide(config: &ServerConfig, request: Request<'_>, trace: &mut Trace<'_>) -> Option<Decision> {
    let routes = trace.node().routes().len();
    let (what, list) = match request {
        Request::Session(ASSIGNED) => ("a client with an assigned id".to_owned(), "session"),
        Request::Session(client_id) => (format!("client `{client_id}`"), "session"),
        Request::Publish(topic) => (format!("publish to `{topic}`"), "publish"),
        Request::Subscribe(filter) => (format!("subscription to `{filter}`"), "subscribe"),
    };
    config.routes.decide(request, |index, verdict| {
        // The binding's own exit comes behind its routes.
        let rule = if index < routes { format!("/routes/{index}") } else { "/exit".to_owned() };
        match verdict {
            state::Verdict::Taken(None) => trace.step(Verdict::Taken, rule, what.clone()),
            state::Verdict::Taken(Some(Item { condition, pattern })) => {
                let rule = match pattern {
                    Some(pattern) => format!("{rule}/when/{condition}/{list}/{pattern}"),
                    None => format!("{rule}/when/{condition}"),
                };
                trace.step(Verdict::Taken, rule, what.clone());
            }
            state::Verdict::Unmatched => {
                trace.step(Verdict::Skipped, rule, format!("no `{list}` takes {what}"));
            }
        }
    })
}

/// Reads the one packet of `bytes`, as it is read from a client.
fn packet(version: Version, bytes: &[u8]) -> Result<Packet<'_>, Malformed> {
    match header(bytes)? {
        Some(header) => decode(version, header, bytes),
        None => Err(Malformed {
            reason: ReasonCode::MALFORMED_PACKET,
            detail: "packet ends within its header",
        }),
    }
}

const SYSTEM_INTERVAL_RULE: &str = "/options/sys-interval";

/// The bounds of the exits, as far as the file and properties have them.
fn exit_limits<'c>(
    config: &'c ServerConfig,
    trace: &Trace<'_>,
) -> impl Iterator<Item = (&'c ExitName, FileLimits)> {
    config.exits.iter().filter_map(|exit| Some((exit, trace.bounds::<FileLimits>(&exit.name)?)))
}

/// What says that something is refused.
fn rule(rule: Rule, config: &ServerConfig, trace: &Trace<'_>) -> spi::Rule {
    match rule {
        Rule::Option(pointer) => pointer.into(),
        Rule::MaximumQos => maximum_qos_rule(config, trace),
        Rule::Property(name) => spi::Rule::property(name),
        Rule::Protocol => spi::Rule::default(),
    }
}

/// Which exit has the Maximum QoS lower than MQTT has it; or the property that has it lower still.
fn maximum_qos_rule(config: &ServerConfig, trace: &Trace<'_>) -> spi::Rule {
    let offered = offer(|name| trace.property(name)).maximum_qos;
    let exits = exit_limits(config, trace);
    let exits = exits.filter(|(_, bounds)| bounds.limits.maximum_qos <= offered);
    let lowest = exits.min_by_key(|(_, bounds)| bounds.limits.maximum_qos);
    lowest.map_or_else(
        || spi::Rule::property("zilla.binding.mqtt.publish.qos.max"),
        |(exit, bounds)| spi::Rule { of: Some(exit.name.clone()), ..bounds.maximum_qos },
    )
}

/// Tells what a client is given in place of what it asks for, or of what MQTT has.
fn tell_terms(config: &ServerConfig, action: &Action, terms: &Terms, trace: &mut Trace<'_>) {
    if terms.maximum_qos < Qos::ExactlyOnce {
        let why = format!("Maximum QoS {}", terms.maximum_qos as u8);
        trace.step(Verdict::Taken, maximum_qos_rule(config, trace), why);
    }
    let asked = action.number("keep-alive").unwrap_or(terms.keep_alive);
    if terms.keep_alive != asked {
        let property = match terms.keep_alive < asked {
            true => "zilla.binding.mqtt.keep.alive.maximum",
            false => "zilla.binding.mqtt.keep.alive.minimum",
        };
        let why = format!("Keep Alive {} s in place of {asked}", terms.keep_alive);
        trace.step(Verdict::Taken, spi::Rule::property(property), why);
    }
    if terms.session_expiry < terms.session_expiry_asked {
        let (given, asked) = (terms.session_expiry, terms.session_expiry_asked);
        let why = format!("the session is kept for {given} s in place of {asked}");
        trace.step(Verdict::Taken, "/options/limits/session-expiry", why);
    }
    const IN_FLIGHT: &str = "/options/limits/in-flight";
    if trace.node().value.pointer(IN_FLIGHT).is_some()
        && terms.receive_maximum == config.bounds.in_flight
    {
        let why = format!("Receive Maximum {}", terms.receive_maximum);
        trace.step(Verdict::Taken, IN_FLIGHT, why);
    }
}

fn ended(malformed: &Malformed) -> Denial {
    connection_ended(malformed.reason, malformed.detail)
}

/// Nobody can send it.
fn too_long() -> Denial {
    connection_ended(ReasonCode::MALFORMED_PACKET, "a text of more than 65,535 bytes")
}

/// Why a filter is refused, and where the file says so.
fn refused_filter(terms: &Terms, reason: ReasonCode, filter: &str) -> (&'static str, String) {
    if terms.policy.admit_shared(filter).is_err() {
        let detail = "subscriptions to the topics of the server cannot be shared";
        return (SYSTEM_INTERVAL_RULE, detail.to_owned());
    }
    if let Err(Refusal { detail, rule: Rule::Option(rule), .. }) =
        terms.policy.bounds.admit_topic(filter)
    {
        return (rule, detail.to_owned());
    }
    let detail = match reason {
        ReasonCode::TOPIC_FILTER_INVALID => format!("`{filter}` is not a topic filter"),
        _ => format!("no route takes subscriptions to `{filter}`"),
    };
    ("", detail)
}
