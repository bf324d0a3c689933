//! What librdkafka's clients tell beside their results.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};

use engine::shared::Lock;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{DeliveryResult, NoCustomPartitioner, ProducerContext};

use super::eof::eof_offset;

/// Tells librdkafka's warnings as events, and forgets its chatter.
fn tell(client: &'static str, level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error => {
            tracing::debug!(event = "kafka.client.error", client, facility, "{message}");
        }
        RDKafkaLogLevel::Warning | RDKafkaLogLevel::Notice => {
            tracing::debug!(event = "kafka.client.warning", client, facility, "{message}");
        }
        RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
            tracing::trace!(event = "kafka.client.log", client, facility, "{message}");
        }
    }
}

/// The context of the admin client: keeps the reason of the last error, which the failing call
/// itself does not name.
#[derive(Default)]
pub(crate) struct AdminContext {
    last: Lock<Trouble>,
}

/// Why a cluster cannot be used.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trouble {
    /// As librdkafka says it.
    pub(crate) reason: String,
    /// Whether a broker refused our credentials.
    pub(crate) is_unauthenticated: bool,
}

impl AdminContext {
    /// Why the cluster could not be used when that was said last.
    pub(crate) fn trouble(&self) -> Trouble {
        self.last.lock().clone()
    }
}

impl ClientContext for AdminContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tell("admin", level, facility, message);
    }

    // Failing calls say it too, and those are told once a cause.
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(event = "kafka.client.error", client = "admin", %error, "{reason}");
        let mut last = self.last.lock();
        let code = error.rdkafka_error_code();
        // That all brokers are down follows from what was said of each before.
        if code != Some(RDKafkaErrorCode::AllBrokersDown) || last.reason.is_empty() {
            reason.clone_into(&mut last.reason);
            last.is_unauthenticated = code == Some(RDKafkaErrorCode::Authentication);
        }
    }
}

impl ConsumerContext for AdminContext {}

/// The context of the fetcher.
pub(super) struct FetchContext {
    eof: AtomicI64,
}

impl FetchContext {
    pub(super) fn new() -> Self {
        Self { eof: AtomicI64::new(-1) }
    }

    /// The offset of the end that was reported last. The report is handled on the thread that
    /// polls, just before the poll returns.
    pub(super) fn take_eof(&self) -> Option<i64> {
        let eof = self.eof.swap(-1, Ordering::Relaxed);
        (eof >= 0).then_some(eof)
    }
}

impl ClientContext for FetchContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tell("fetcher", level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::PartitionEOF) {
            self.eof.store(eof_offset(reason).unwrap_or(-1), Ordering::Relaxed);
        } else {
            tracing::debug!(event = "kafka.client.error", client = "fetcher", %error, "{reason}");
        }
    }
}

impl ConsumerContext for FetchContext {}

/// What became of a record.
pub(super) struct Delivery {
    pub(super) opaque: usize,
    pub(super) error: Option<RDKafkaErrorCode>,
    /// The topic, of a record that failed or where that was asked for.
    pub(super) topic: Option<Box<str>>,
}

/// The context of the producer: collects delivery reports for the thread that polls.
pub(super) struct ProduceContext {
    pub(super) shared: Arc<Reports>,
}

/// Delivery reports, and whether the producer has its id.
#[derive(Default)]
pub(super) struct Reports {
    deliveries: Lock<Vec<Delivery>>,
    is_initialised: AtomicBool,
    has_call: AtomicBool,
    served: AtomicUsize,
    /// See [`super::Client`].
    are_named: Arc<AtomicBool>,
}

impl Reports {
    pub(super) fn new(are_named: &Arc<AtomicBool>) -> Self {
        Self { are_named: Arc::clone(are_named), ..Self::default() }
    }

    /// Takes the reports by exchanging them for `empty`.
    pub(super) fn swap(&self, empty: &mut Vec<Delivery>) {
        std::mem::swap(&mut *self.deliveries.lock(), empty);
    }

    /// Notes that the producer has something to be polled for.
    pub(super) fn call(&self) {
        self.has_call.store(true, Ordering::SeqCst);
    }

    /// Whether there was a call since this was asked last.
    pub(super) fn take_call(&self) -> bool {
        self.has_call.swap(false, Ordering::SeqCst)
    }

    /// How many events were served so far.
    pub(super) fn served(&self) -> usize {
        self.served.load(Ordering::Relaxed)
    }

    /// Whether the producer has its id.
    pub(super) fn is_initialised(&self) -> bool {
        self.is_initialised.load(Ordering::Acquire)
    }
}

impl ClientContext for ProduceContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.shared.served.fetch_add(1, Ordering::Relaxed);
        if message.contains("Acquired PID") {
            self.shared.is_initialised.store(true, Ordering::Release);
        }
        tell("producer", level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.shared.served.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(event = "kafka.client.error", client = "producer", %error, "{reason}");
    }
}

impl ProducerContext<NoCustomPartitioner> for ProduceContext {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, opaque: usize) {
        let (message, error) = match result {
            Ok(message) => (message, None),
            Err((error, message)) => {
                (message, Some(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown)))
            }
        };
        self.shared.served.fetch_add(1, Ordering::Relaxed);
        let is_named = error.is_some() || self.shared.are_named.load(Ordering::Relaxed);
        let topic = is_named.then(|| message.topic().into());
        self.shared.deliveries.lock().push(Delivery { opaque, error, topic });
    }
}
