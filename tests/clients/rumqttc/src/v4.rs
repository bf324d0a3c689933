//! MQTT 3.1.1.

use std::time::Duration;

use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, Event, LastWill, MqttOptions, Outgoing,
    Packet, QoS, SubscribeFilter, SubscribeReasonCode,
};
use serde_json::{Value, json};

use crate::{
    CAPACITY, Commands, IN_FLIGHT, LARGEST, PAUSE, Pending, emit, message, payload_of, text,
};

fn qos(value: &Value) -> QoS {
    rumqttc::qos(value.as_u64().unwrap_or(0) as u8).unwrap()
}

fn options(command: &Value) -> MqttOptions {
    let port = command["port"].as_u64().unwrap() as u16;
    let mut options = MqttOptions::new(text(&command["client_id"]), text(&command["host"]), port);
    options
        .set_clean_session(command["clean"].as_bool().unwrap_or(true))
        .set_keep_alive(Duration::from_secs(command["keep_alive"].as_u64().unwrap_or(60)))
        .set_max_packet_size(LARGEST as usize, LARGEST as usize)
        .set_inflight(IN_FLIGHT);
    let will = &command["will"];
    if will.is_object() {
        let is_retained = will["retain"].as_bool().unwrap_or(false);
        let (topic, payload) = (text(&will["topic"]), payload_of(will));
        options.set_last_will(LastWill::new(topic, payload, qos(&will["qos"]), is_retained));
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
                if let ConnectionError::ConnectionRefused(code) = &error {
                    emit("connack", json!({"code": code_of(*code), "session_present": false}));
                }
                emit("closed", json!({"code": null, "detail": error.to_string()}));
                if is_leaving || !reconnects {
                    return;
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn act(client: AsyncClient, command: Value) {
    match command["do"].as_str().unwrap() {
        "subscribe" => {
            let filter =
                |each: &Value| SubscribeFilter::new(text(&each["filter"]), qos(&each["qos"]));
            let filters = command["filters"].as_array().unwrap().iter().map(filter);
            client.subscribe_many(filters).await.unwrap();
        }
        "unsubscribe" => {
            for filter in command["filters"].as_array().unwrap() {
                client.unsubscribe(text(filter)).await.unwrap();
            }
        }
        "publish" => {
            let is_retained = command["retain"].as_bool().unwrap_or(false);
            let topic = text(&command["topic"]);
            let payload = payload_of(&command);
            client.publish(topic, qos(&command["qos"]), is_retained, payload).await.unwrap();
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
        Event::Incoming(Packet::ConnAck(ack)) => emit(
            "connack",
            json!({"code": code_of(ack.code), "session_present": ack.session_present}),
        ),
        Event::Incoming(Packet::SubAck(ack)) => {
            let code = |code: &SubscribeReasonCode| match code {
                SubscribeReasonCode::Success(qos) => *qos as u8,
                SubscribeReasonCode::Failure => 0x80,
            };
            let codes: Vec<u8> = ack.return_codes.iter().map(code).collect();
            emit("suback", json!({"codes": codes}));
        }
        Event::Incoming(Packet::UnsubAck(_)) => emit("unsuback", json!({"codes": []})),
        Event::Incoming(Packet::Publish(publish)) => {
            let (qos, retain, dup) = (publish.qos as u8, publish.retain, publish.dup);
            let mut event = message(&publish.topic, &publish.payload, qos, retain, dup);
            event.insert("properties".to_owned(), json!({}));
            emit("message", Value::Object(event));
        }
        Event::Incoming(Packet::PubAck(_) | Packet::PubComp(_))
        | Event::Outgoing(Outgoing::Publish(0)) => pending.done(0),
        _ => {}
    }
}

fn code_of(code: ConnectReturnCode) -> u8 {
    match code {
        ConnectReturnCode::Success => 0,
        ConnectReturnCode::RefusedProtocolVersion => 1,
        ConnectReturnCode::BadClientId => 2,
        ConnectReturnCode::ServiceUnavailable => 3,
        ConnectReturnCode::BadUserNamePassword => 4,
        ConnectReturnCode::NotAuthorized => 5,
    }
}
