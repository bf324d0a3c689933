//! MQTT 5.0.

use std::time::Duration;

use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::v5::{
    ConnAckProperties, ConnectProperties, ConnectReturnCode, Filter, LastWill, LastWillProperties,
    Packet, PubAckReason, PubRecReason, PublishProperties, RetainForwardRule, SubscribeProperties,
    SubscribeReasonCode, UnsubAckReason,
};
use rumqttc::v5::mqttbytes::{Error, QoS};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, MqttOptions, StateError};
use serde_json::{Map, Value, json};

use crate::{
    CAPACITY, Commands, IN_FLIGHT, LARGEST, PAUSE, Pending, emit, hex, message, payload_of, text,
    unhex,
};

fn qos(value: &Value) -> QoS {
    rumqttc::v5::mqttbytes::qos(value.as_u64().unwrap_or(0) as u8).unwrap()
}

fn number(value: &Value) -> Option<u32> {
    value.as_u64().map(|number| number as u32)
}

fn owned(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn user(value: &Value) -> Vec<(String, String)> {
    let pairs = value.as_array().map(Vec::as_slice).unwrap_or_default();
    pairs.iter().map(|pair| (text(&pair[0]), text(&pair[1]))).collect()
}

fn publish_properties(from: &Value) -> PublishProperties {
    PublishProperties {
        payload_format_indicator: number(&from["payload_format"]).map(|format| format as u8),
        message_expiry_interval: number(&from["message_expiry"]),
        topic_alias: None,
        response_topic: owned(&from["response_topic"]),
        correlation_data: from["correlation_data"].as_str().map(|data| unhex(data).into()),
        user_properties: user(&from["user"]),
        subscription_identifiers: Vec::new(),
        content_type: owned(&from["content_type"]),
    }
}

fn will_properties(from: &Value) -> LastWillProperties {
    let publish = publish_properties(from);
    LastWillProperties {
        delay_interval: number(&from["will_delay"]),
        payload_format_indicator: publish.payload_format_indicator,
        message_expiry_interval: publish.message_expiry_interval,
        content_type: publish.content_type,
        response_topic: publish.response_topic,
        correlation_data: publish.correlation_data,
        user_properties: publish.user_properties,
    }
}

fn described(properties: Option<PublishProperties>) -> Value {
    let mut result = Map::new();
    let Some(from) = properties else { return Value::Object(result) };
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            result.insert(name.to_owned(), value);
        }
    };
    put("payload_format", from.payload_format_indicator.map(Value::from));
    put("message_expiry", from.message_expiry_interval.map(Value::from));
    put("content_type", from.content_type.map(Value::from));
    put("response_topic", from.response_topic.map(Value::from));
    put("correlation_data", from.correlation_data.map(|data| hex(&data).into()));
    put("user", (!from.user_properties.is_empty()).then(|| json!(from.user_properties)));
    let identifiers = from.subscription_identifiers;
    put("identifiers", (!identifiers.is_empty()).then(|| json!(identifiers)));
    Value::Object(result)
}

fn described_connack(properties: Option<ConnAckProperties>) -> Value {
    let Some(from) = properties else { return json!({}) };
    let all = json!({
        "session_expiry": from.session_expiry_interval,
        "receive_maximum": from.receive_max,
        "maximum_packet_size": from.max_packet_size,
        "maximum_qos": from.max_qos,
        "assigned_client_id": from.assigned_client_identifier,
        "server_keep_alive": from.server_keep_alive,
        "reason_string": from.reason_string,
    });
    let Value::Object(mut all) = all else { unreachable!("an object") };
    all.retain(|_, value| !value.is_null());
    Value::Object(all)
}

fn options(command: &Value) -> MqttOptions {
    let port = command["port"].as_u64().unwrap() as u16;
    let mut options = MqttOptions::new(text(&command["client_id"]), text(&command["host"]), port);
    let properties = &command["properties"];
    options
        .set_connect_properties(ConnectProperties {
            session_expiry_interval: number(&properties["session_expiry"]),
            receive_maximum: number(&properties["receive_maximum"]).map(|most| most as u16),
            max_packet_size: Some(number(&properties["maximum_packet_size"]).unwrap_or(LARGEST)),
            topic_alias_max: None,
            request_response_info: None,
            request_problem_info: None,
            user_properties: user(&properties["user"]),
            authentication_method: None,
            authentication_data: None,
        })
        .set_clean_start(command["clean"].as_bool().unwrap_or(true))
        .set_keep_alive(Duration::from_secs(command["keep_alive"].as_u64().unwrap_or(60)))
        .set_outgoing_inflight_upper_limit(IN_FLIGHT);
    let will = &command["will"];
    if will.is_object() {
        let more = will["properties"].is_object().then(|| will_properties(&will["properties"]));
        let is_retained = will["retain"].as_bool().unwrap_or(false);
        let (topic, payload) = (text(&will["topic"]), payload_of(will));
        options.set_last_will(LastWill::new(topic, payload, qos(&will["qos"]), is_retained, more));
    }
    options
}

/// Connects and does what it is told, until it is disconnected.
pub(crate) async fn run(connect: &Value, commands: &mut Commands) {
    let (client, mut events) = AsyncClient::new(options(connect), CAPACITY);
    let reconnects = connect["reconnect"].as_bool().unwrap_or(false);
    let mut pending = Pending::default();
    let mut is_leaving = false;
    loop {
        let polled = tokio::select! {
            polled = events.poll() => polled,
            Some(command) = commands.recv() => {
                is_leaving |= command["do"] == "disconnect";
                pending.begin(&command);
                // The event loop makes the room that it waits for.
                tokio::spawn(act(client.clone(), command));
                continue;
            }
        };
        match polled {
            Ok(event) => tell(event, &mut pending),
            Err(error) => {
                tell_end(&error);
                if is_leaving || !reconnects {
                    return;
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn tell_end(error: &ConnectionError) {
    let code = match error {
        ConnectionError::ConnectionRefused(code)
        | ConnectionError::MqttState(StateError::ConnFail { reason: code }) => {
            emit("connack", json!({"code": format!("{code:?}"), "session_present": false}));
            None
        }
        ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, .. }) => {
            Some(*reason_code as u8)
        }
        ConnectionError::MqttState(StateError::Deserialization(
            Error::OutgoingPacketTooLarge { .. },
        )) => {
            return emit("refused", json!({"detail": error.to_string()}));
        }
        _ => None,
    };
    emit("closed", json!({"code": code, "detail": error.to_string()}));
}

async fn act(client: AsyncClient, command: Value) {
    match command["do"].as_str().unwrap() {
        "subscribe" => {
            let filters = command["filters"].as_array().unwrap().iter().map(|each| Filter {
                path: text(&each["filter"]),
                qos: qos(&each["qos"]),
                nolocal: each["no_local"].as_bool().unwrap_or(false),
                preserve_retain: each["retain_as_published"].as_bool().unwrap_or(false),
                retain_forward_rule: match each["retain_handling"].as_u64() {
                    Some(1) => RetainForwardRule::OnNewSubscribe,
                    Some(2) => RetainForwardRule::Never,
                    _ => RetainForwardRule::OnEverySubscribe,
                },
            });
            let id = number(&command["identifier"]).map(|id| id as usize);
            let properties = SubscribeProperties { id, user_properties: Vec::new() };
            client.subscribe_many_with_properties(filters, properties).await.unwrap();
        }
        "unsubscribe" => {
            for filter in command["filters"].as_array().unwrap() {
                client.unsubscribe(text(filter)).await.unwrap();
            }
        }
        "publish" => {
            let is_retained = command["retain"].as_bool().unwrap_or(false);
            let properties = publish_properties(&command["properties"]);
            let (topic, payload) = (text(&command["topic"]), payload_of(&command));
            let qos = qos(&command["qos"]);
            client
                .publish_with_properties(topic, qos, is_retained, payload, properties)
                .await
                .unwrap();
        }
        "publish_many" => {
            for number in 0..command["count"].as_u64().unwrap() {
                let topic = text(&command["topic"]);
                let payload = number.to_string();
                client.publish(topic, qos(&command["qos"]), false, payload).await.unwrap();
            }
        }
        "disconnect" => client.disconnect().await.unwrap(),
        other => panic!("{other}"),
    }
}

fn tell(event: Event, pending: &mut Pending) {
    match event {
        Event::Incoming(Packet::ConnAck(ack)) => {
            let code = if ack.code == ConnectReturnCode::Success { 0 } else { 0x80 };
            let properties = described_connack(ack.properties);
            let is_present = ack.session_present;
            emit(
                "connack",
                json!({"code": code, "session_present": is_present, "properties": properties}),
            );
        }
        Event::Incoming(Packet::SubAck(ack)) => {
            let code = |code: &SubscribeReasonCode| match code {
                SubscribeReasonCode::Success(qos) => *qos as u8,
                _ => 0x80,
            };
            let codes: Vec<u8> = ack.return_codes.iter().map(code).collect();
            emit("suback", json!({"codes": codes}));
        }
        Event::Incoming(Packet::UnsubAck(ack)) => {
            let code = |code: &UnsubAckReason| match code {
                UnsubAckReason::Success => 0,
                UnsubAckReason::NoSubscriptionExisted => 0x11,
                _ => 0x80,
            };
            let codes: Vec<u8> = ack.reasons.iter().map(code).collect();
            emit("unsuback", json!({"codes": codes}));
        }
        Event::Incoming(Packet::Publish(publish)) => {
            let topic = std::str::from_utf8(&publish.topic).unwrap();
            let (qos, retain, dup) = (publish.qos as u8, publish.retain, publish.dup);
            let mut event = message(topic, &publish.payload, qos, retain, dup);
            event.insert("properties".to_owned(), described(publish.properties));
            emit("message", Value::Object(event));
        }
        Event::Incoming(Packet::PubAck(ack)) => pending.done(match ack.reason {
            PubAckReason::Success => 0,
            PubAckReason::NoMatchingSubscribers => 0x10,
            _ => 0x80,
        }),
        Event::Incoming(Packet::PubRec(ack))
            if !matches!(
                ack.reason,
                PubRecReason::Success | PubRecReason::NoMatchingSubscribers
            ) =>
        {
            pending.done(0x80);
        }
        Event::Incoming(Packet::PubComp(_)) | Event::Outgoing(Outgoing::Publish(0)) => {
            pending.done(0);
        }
        _ => {}
    }
}
