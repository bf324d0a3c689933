//! The floor of latency: a record from librdkafka's producer to its consumer, in one process.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, Headers as _, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{Offset, TopicPartitionList};
use serde::Serialize;

use crate::cli::Floor;
use crate::clock::{Clock, nanos_of};
use crate::histogram::Histogram;
use crate::pacer::due_after;
use crate::process::Cpu;
use crate::report::Latency;

/// MQTT topics, which are the records' keys.
const TOPICS: u64 = 1000;

/// How long a call to Kafka may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long to wait for records that do not come.
const REST: u64 = 5_000_000_000;

/// Why a setting could not be measured.
type Failure = Box<KafkaError>;

/// What one setting gave.
#[derive(Debug, Serialize)]
struct Outcome {
    setting: String,
    rate: u32,
    produced: u64,
    consumed: u64,
    latency_ms: Option<Latency>,
    /// Microseconds of CPU time of this process for each record.
    own_us: f64,
}

/// Measures each setting.
///
/// # Errors
///
/// Where Kafka cannot be reached or has no such topic.
pub(crate) fn run(floor: &Floor) -> io::Result<()> {
    for setting in &floor.setting {
        let outcome = measure(floor, setting).map_err(io::Error::other)?;
        print(&outcome, floor.json)?;
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this is what talks to a person")]
fn print(outcome: &Outcome, json: bool) -> io::Result<()> {
    if json {
        println!("{}", serde_json::to_string(outcome)?);
        return Ok(());
    }
    let Outcome { setting, rate, produced, consumed, latency_ms, own_us } = outcome;
    let (p50, p99) = latency_ms.map_or((f64::NAN, f64::NAN), |latency| (latency.p50, latency.p99));
    println!(
        "floor linger {setting} at {rate}/s: p50 {p50:.2} p99 {p99:.2} ms, {own_us:.1} us/record, \
         missing {}",
        produced.saturating_sub(*consumed)
    );
    Ok(())
}

fn producer(floor: &Floor, setting: &str) -> Result<BaseProducer, Failure> {
    let (linger, in_flight) = setting.split_once('/').unwrap_or((setting, "5"));
    ClientConfig::new()
        .set("bootstrap.servers", &floor.bootstrap)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("linger.ms", linger)
        .set("max.in.flight", in_flight)
        .set("queue.buffering.max.messages", "1000000")
        .create()
        .map_err(Failure::new)
}

/// A consumer of all partitions from their ends on.
fn consumer(floor: &Floor) -> Result<BaseConsumer, Failure> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &floor.bootstrap)
        .set("group.id", "zilla-load")
        .set("enable.auto.commit", "false")
        .set("check.crcs", "false")
        .set("fetch.wait.max.ms", "100")
        .set("fetch.queue.backoff.ms", "5")
        .create()
        .map_err(Failure::new)?;
    let metadata = consumer.fetch_metadata(Some(&floor.topic), PATIENCE)?;
    let mut list = TopicPartitionList::new();
    for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
        let (_, end) = consumer.fetch_watermarks(&floor.topic, partition.id(), PATIENCE)?;
        list.add_partition_offset(&floor.topic, partition.id(), Offset::Offset(end))?;
    }
    consumer.assign(&list)?;
    Ok(consumer)
}

/// The headers of a message of a client at QoS 0 to a topic of three levels.
fn headers(topic: &str) -> OwnedHeaders {
    let mut headers = OwnedHeaders::new_with_capacity(5);
    for level in topic.split('/') {
        headers = headers.insert(Header { key: "zilla:filter", value: Some(level) });
    }
    headers
        .insert(Header { key: "zilla:local", value: Some("load-p1") })
        .insert(Header { key: "zilla:qos", value: Some("0") })
}

fn measure(floor: &Floor, setting: &str) -> Result<Outcome, Failure> {
    let producer = producer(floor, setting)?;
    let consumer = consumer(floor)?;
    // The first record of an idempotent producer waits for its id.
    let first = BaseRecord::to(&floor.topic).key("warm").payload("");
    producer.send::<str, str>(first).map_err(|(error, _)| error)?;
    producer.flush(PATIENCE)?;

    let clock = Clock::start();
    let start = clock.nanos() + 10_000_000;
    let from = start + nanos_of(floor.warm_up);
    let until = from + nanos_of(floor.duration);
    let is_over = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&is_over);
    let reader = std::thread::spawn(move || read(&consumer, clock, from..until, &flag));
    let mut value = vec![b'x'; floor.payload.max(crate::wire::LABEL)];
    let mut own = None;
    let mut produced = 0;
    for number in 0.. {
        let due = start + due_after(number, floor.rate);
        if due >= until {
            break;
        }
        clock.sleep_until(due);
        if due >= from && own.is_none() {
            own = Some(Cpu::own());
        }
        let topic = format!("sensors/{:04}/temp", number % TOPICS);
        value[..8].copy_from_slice(&due.to_be_bytes());
        let record =
            BaseRecord::to(&floor.topic).key(&topic).payload(&value).headers(headers(&topic));
        producer.send(record).map_err(|(error, _)| error)?;
        producer.poll(Duration::ZERO);
        produced += u64::from(due >= from);
    }
    let spent = Cpu::own().since(&own.unwrap_or_default());
    producer.flush(PATIENCE)?;
    let end = clock.nanos() + REST;
    while !reader.is_finished() && clock.nanos() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    is_over.store(true, Ordering::Relaxed);
    let latency = reader.join().unwrap_or_default();
    Ok(Outcome {
        setting: setting.to_owned(),
        rate: floor.rate,
        produced,
        consumed: latency.total(),
        latency_ms: Latency::of(&latency),
        own_us: spent.total as f64 / produced.max(1) as f64,
    })
}

/// Reads until the last record that is due before the end of `measured` was seen, or `is_over`.
fn read(
    consumer: &BaseConsumer,
    clock: Clock,
    measured: std::ops::Range<u64>,
    is_over: &AtomicBool,
) -> Histogram {
    let mut latency = Histogram::default();
    let mut unread_headers = 0;
    while !is_over.load(Ordering::Relaxed) {
        let wait = Duration::from_millis(20);
        let Some(Ok(message)) = consumer.poll(wait) else {
            // Nothing for a while after the end: all is there.
            if clock.nanos() > measured.end + REST / 5 {
                break;
            }
            continue;
        };
        // As who serves them must.
        unread_headers += message.headers().map_or(1, |headers| usize::from(headers.count() != 5));
        let stamp = message.payload().and_then(|value| value.first_chunk());
        let Some(stamp) = stamp.map(|bytes| u64::from_be_bytes(*bytes)) else { continue };
        if measured.contains(&stamp) {
            latency.record(clock.nanos().saturating_sub(stamp));
        }
    }
    debug_assert!(unread_headers <= 1, "only the first record is without headers");
    latency
}
