//! Measures how the producer collects records: rate, acknowledgement, append to read, CPU.
//!
//! `cargo run --release -p kafka --example batching -- ADDRESS TOPIC RATE SECONDS COLLECT_US
//! LINGER_MS IN_FLIGHT [KAFKA_PID]`. The topic must exist. See
//! `docs/decisions/0002-producer-batching.md`.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a program of its own"
)]

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::shared::Store;
use engine::spi::WorkerCx;
use engine::telemetry::Metrics;
use kafka::librdkafka::{Batching, Settings, open};
use kafka_plane::{Appended, Completion, Draft, DraftHeaders, Fault, Listener, Read, TopicLog};

struct Headers;

impl DraftHeaders for Headers {
    fn count(&self) -> usize {
        5
    }
    fn for_each<'s>(&'s self, visit: &mut dyn FnMut(&'s str, Option<&'s [u8]>)) {
        for level in [&b"sensors"[..], b"floor-1", b"temperature"] {
            visit("zilla:filter", Some(level));
        }
        visit("zilla:local", Some(b"client-1"));
        visit("zilla:qos", Some(b"1"));
    }
}

struct Measures {
    began: Instant,
    warm: Duration,
    acked: RefCell<Vec<u32>>,
    seen: RefCell<Vec<u32>>,
    failed: Cell<u64>,
    log: Rc<dyn TopicLog>,
    next: RefCell<Vec<i64>>,
}

impl Measures {
    fn micros(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap()
    }

    fn note(&self, list: &RefCell<Vec<u32>>, due: u64) {
        if due >= u64::try_from(self.warm.as_micros()).unwrap() {
            list.borrow_mut().push(u32::try_from(self.micros().saturating_sub(due)).unwrap());
        }
    }
}

impl Appended for Measures {
    fn appended(&self, token: u64, outcome: Result<(), Fault>) {
        match outcome {
            Ok(()) => self.note(&self.acked, token),
            Err(_) => self.failed.set(self.failed.get() + 1),
        }
    }
}

impl Listener for Measures {
    fn advanced(&self) {
        let mut batches = Vec::new();
        for (partition, next) in self.next.borrow_mut().iter_mut().enumerate() {
            batches.clear();
            let partition = u32::try_from(partition).unwrap();
            let from = *next;
            if let Read::Next(at) = self.log.read(partition, from, usize::MAX, &mut batches) {
                *next = at;
            }
            for batch in &batches {
                for index in batch.index_of(from)..batch.len() {
                    let value = batch.record(index).value().unwrap();
                    self.note(&self.seen, u64::from_be_bytes(value[..8].try_into().unwrap()));
                }
            }
        }
    }
}

fn cpu_millis(pid: &str) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    (ticks(11) + ticks(12)) * 10
}

fn quantiles(list: &RefCell<Vec<u32>>) -> String {
    let mut list = list.take();
    list.sort_unstable();
    let at = |share: f64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
        let index = (list.len() as f64 * share) as usize;
        list.get(index).map_or(f64::NAN, |micros| f64::from(*micros) / 1000.0)
    };
    format!("{:.1}/{:.1} ms (n={})", at(0.5), at(0.99), list.len())
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [address, topic, rate, seconds, collect, linger, in_flight, rest @ ..] = &args[..] else {
        println!("ADDRESS TOPIC RATE SECONDS COLLECT_US LINGER_MS IN_FLIGHT [KAFKA_PID]");
        return;
    };
    let rate: u64 = rate.parse().unwrap();
    let run = Duration::from_secs(seconds.parse().unwrap());
    let batching = Batching {
        collect: Duration::from_micros(collect.parse().unwrap()),
        linger_ms: linger.parse().unwrap(),
        max_in_flight: in_flight.parse().unwrap(),
    };
    let kafka = rest.first().map_or("0", String::as_str);
    let settings = Settings { batching, ..Settings::plaintext(vec![address.clone()]) };
    let metrics = Arc::<Metrics>::default();
    let lease = open(&Store::default(), &settings, "bench:kafka", &metrics, 64 << 20).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        assert!(lease.warm(std::slice::from_ref(topic), Duration::from_secs(5)).await);
        let cx = WorkerCx::detached();
        let exit = kafka::exit(&lease, &cx);
        let log = exit.log(topic);
        let ends = Rc::new(RefCell::new(None));
        let kept = Rc::clone(&ends);
        log.ends(Box::new(move |found| *kept.borrow_mut() = Some(found.unwrap())));
        while ends.borrow().is_none() {
            cx.serve_raised().await;
        }
        let next = ends.borrow().as_ref().unwrap().to_vec();
        let measures = Rc::new(Measures {
            began: Instant::now(),
            warm: Duration::from_millis(500),
            acked: RefCell::default(),
            seen: RefCell::default(),
            failed: Cell::new(0),
            log: Rc::clone(&log),
            next: RefCell::new(next),
        });
        let listener: Rc<dyn Listener> = Rc::<Measures>::clone(&measures);
        log.listen(Rc::downgrade(&listener));
        let producer = exit.producer();
        let cpu = (cpu_millis("self"), cpu_millis(kafka));
        let mut sent = 0_u64;
        let mut tick = tokio::time::interval(Duration::from_millis(1));
        while measures.began.elapsed() < run + measures.warm {
            tokio::select! {
                _ = tick.tick() => {}
                () = cx.serve_raised() => continue,
            }
            while sent * 1_000_000 / rate <= measures.micros() {
                let due = sent * 1_000_000 / rate;
                let mut value = [b'x'; 64];
                value[..8].copy_from_slice(&due.to_be_bytes());
                let key = format!("sensors/{:04}/temp", sent % 1000);
                let draft = Draft {
                    topic,
                    key: Some(key.as_bytes()),
                    hash_key: None,
                    value: Some(&value),
                    timestamp: None,
                    headers: &Headers,
                };
                let owner: Rc<dyn Appended> = Rc::<Measures>::clone(&measures);
                let completion = Completion { owner, token: due };
                if producer.append(&[draft], false, Some(completion)).is_err() {
                    break;
                }
                sent += 1;
            }
        }
        let micros = |after: u64, before: u64| {
            #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
            let each = (after - before) as f64 * 1000.0 / sent as f64;
            format!("{each:.0}")
        };
        println!(
            "rate {rate}, collect {collect} us, linger {linger} ms, in flight {in_flight}: sent {sent}, \
             failed {}, ack {}, read {}, CPU ours {} us, Kafka {} us",
            measures.failed.get(),
            quantiles(&measures.acked),
            quantiles(&measures.seen),
            micros(cpu_millis("self"), cpu.0),
            micros(cpu_millis(kafka), cpu.1),
        );
        for (_, metric, value) in metrics.read() {
            println!("  {metric} {value}");
        }
        lease.release(Duration::from_secs(5)).await;
    });
}
