//! Requests and answers: Response Topic and Correlation Data, between MQTT clients and to and from
//! programs that have Kafka only.

use serde_json::json;

use crate::harness::{
    Client, Connect, Engine, LIBRARIES, Publish, Record, Script, Setup, V5, Value, engine,
    engine_only, kafka_only, message, on_one_and_three_workers, text_property,
};

on_one_and_three_workers!(
    a_responder_answers_where_the_requester_waits,
    a_kafka_program_answers_a_request,
    a_kafka_program_asks_and_reads_the_answer,
);

const RESPONSE_TOPIC: u8 = 0x08;
const CORRELATION_DATA: u8 = 0x09;

fn request(topic: &str, response_topic: &str, correlation_data: &[u8]) -> Publish {
    Publish {
        properties: vec![
            text_property(RESPONSE_TOPIC, response_topic),
            (CORRELATION_DATA, Value::Bytes(correlation_data.to_vec())),
        ],
        ..message(topic, "2+2", 1)
    }
}

fn bytes_of(publish: &Publish, property: u8) -> Vec<u8> {
    let found = publish.properties.iter().find(|(identifier, _)| *identifier == property);
    match &found.unwrap().1 {
        Value::Bytes(bytes) => bytes.clone(),
        other => panic!("{other:?}"),
    }
}

/// The topic and the properties of the answer to a request, as a responder makes them.
fn answer(request: &Publish) -> Publish {
    let topic = String::from_utf8(bytes_of(request, RESPONSE_TOPIC)).unwrap();
    let correlation_data = bytes_of(request, CORRELATION_DATA);
    Publish {
        properties: vec![(CORRELATION_DATA, Value::Bytes(correlation_data))],
        ..message(&topic, "4", 1)
    }
}

/// [MQTT-3.3.2-15] [MQTT-3.3.2-16]
fn a_responder_answers_where_the_requester_waits(workers: usize) {
    let engine = engine(workers);
    let mut requester = Client::connect(engine.port, V5, "requester");
    requester.subscribe("answers/requester/#", 1);
    let mut responder = Client::connect(engine.port, V5, "responder");
    responder.subscribe("sum/#", 1);
    for correlation_data in [&b"1"[..], b"\x00\xff", b""] {
        requester.publish_with(&request("sum/now", "answers/requester/1", correlation_data));
        let asked = responder.receive();
        assert_eq!(asked.text(), "2+2");
        assert!(responder.publish_with(&answer(&asked)) < 0x80);
        let answered = requester.receive();
        assert_eq!((&*answered.topic, answered.text()), ("answers/requester/1", "4"));
        assert_eq!(bytes_of(&answered, CORRELATION_DATA), correlation_data);
    }
    libraries_answer_each_other(&engine);
}

/// [MQTT-3.1.2-28]: a client has its answers sent where it is told.
#[test]
fn a_client_is_told_where_answers_may_go_if_it_asks() {
    engine_only!();
    let mqtt = "    options: {response-information: \"answers/{client-id}\"}\n".to_owned();
    let engine = Setup { mqtt, ..Setup::new(1) }.start();
    let told = |client_id: &str, asks: u8| {
        let connect = Connect::new(V5, client_id).with_property(0x19, Value::Byte(asks));
        Client::connect_as(engine.port, &connect).announced(0x1a).cloned()
    };
    let expected = Value::Bytes(b"answers/requester".to_vec());
    assert_eq!(told("requester", 1), Some(expected));
    assert_eq!(told("requester", 0), None);
    // An assigned identifier, too.
    let Some(Value::Bytes(text)) = told("", 1) else { panic!("nothing is told") };
    assert_eq!(text.len(), "answers/".len() + 36);
}

fn libraries_answer_each_other(engine: &Engine) {
    for (number, library) in LIBRARIES.into_iter().enumerate() {
        let other = LIBRARIES[(number + 1) % LIBRARIES.len()];
        let mut requester = Script::connect(library, engine.port, V5, "asks");
        requester.subscribe("answers/library", 1);
        let mut responder = Script::connect(other, engine.port, V5, "answers");
        responder.subscribe("ask/library", 1);
        let properties = json!({"response_topic": "answers/library", "correlation_data": "00ff"});
        requester.publish_with("ask/library", b"2+2", 1, false, &properties);
        let asked = responder.message();
        let topic = asked.properties["response_topic"].as_str().unwrap();
        let properties = json!({"correlation_data": asked.properties["correlation_data"]});
        responder.publish_with(topic, b"4", 1, false, &properties);
        let answered = requester.message();
        assert_eq!((&*answered.topic, &*answered.payload), ("answers/library", &b"4"[..]));
        assert_eq!(answered.properties["correlation_data"], "00ff");
    }
}

fn header<'a>(record: &'a Record, name: &str) -> Vec<&'a [u8]> {
    let named = record.headers.iter().filter(|(each, _)| each == name);
    named.map(|(_, value)| value.as_deref().unwrap()).collect()
}

/// The program does what the headers say, and knows nothing of MQTT.
fn a_kafka_program_answers_a_request(workers: usize) {
    kafka_only!();
    // Answers have a Kafka topic of their own, which the request has to name.
    let setup = Setup::new(workers).with_topics(&["answers"]);
    let engine = setup.with_route("answers/#", "\"@answers\"").start();
    let mut requester = Client::connect(engine.port, V5, "requester");
    requester.subscribe("answers/+/1", 1);
    requester.publish_with(&request("sum/now", "answers/requester/1", b"\x00\xff"));
    let asked = engine.records("messages", 1).remove(0);
    assert_eq!(header(&asked, "zilla:reply-to"), [engine.topic("answers").as_bytes()]);
    let filters = header(&asked, "zilla:reply-filter");
    assert_eq!(filters, [&b"answers"[..], b"requester", b"1"]);
    let mut headers: Vec<(&str, &[u8])> =
        filters.into_iter().map(|level| ("zilla:filter", level)).collect();
    headers.push(("zilla:correlation-id", header(&asked, "zilla:correlation-id")[0]));
    headers.push(("zilla:qos", b"1"));
    let key = header(&asked, "zilla:reply-key")[0];
    engine.topics.borrow_mut().produce("answers", Some(key), Some(b"4"), &headers);
    let answered = requester.receive();
    assert_eq!((&*answered.topic, answered.text()), ("answers/requester/1", "4"));
    assert_eq!(bytes_of(&answered, CORRELATION_DATA), b"\x00\xff");
}

/// The responder sees the MQTT topic, and not the one of Kafka that it lies in.
fn a_kafka_program_asks_and_reads_the_answer(workers: usize) {
    kafka_only!();
    let engine = engine(workers);
    let mut responder = Client::connect(engine.port, V5, "responder");
    responder.subscribe("sum/#", 1);
    let reply_to = engine.topic("messages");
    engine.topics.borrow_mut().produce(
        "messages",
        Some(b"sum/now"),
        Some(b"2+2"),
        &[
            ("zilla:filter", b"sum"),
            ("zilla:filter", b"now"),
            ("zilla:reply-to", reply_to.as_bytes()),
            ("zilla:reply-key", b"answers/program"),
            ("zilla:reply-filter", b"answers"),
            ("zilla:reply-filter", b"program"),
            ("zilla:correlation-id", b"\x00\xff"),
            ("zilla:qos", b"1"),
        ],
    );
    let asked = responder.receive();
    assert_eq!(bytes_of(&asked, RESPONSE_TOPIC), b"answers/program");
    assert!(responder.publish_with(&answer(&asked)) < 0x80);
    let records = engine.records("messages", 2);
    let of_answer = |record: &&Record| record.key.as_deref() == Some(b"answers/program");
    let answered = records.iter().find(of_answer).unwrap();
    assert_eq!(answered.value.as_deref(), Some(&b"4"[..]));
    assert_eq!(header(answered, "zilla:correlation-id"), [b"\x00\xff"]);
    assert_eq!(header(answered, "zilla:filter"), [&b"answers"[..], b"program"]);
}
