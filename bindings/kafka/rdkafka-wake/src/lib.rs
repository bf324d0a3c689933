//! A producer of rdkafka that calls when it has something to be polled for. rdkafka offers this for
//! a consumer's partition queues; without it a thread that also waits for other work can only poll
//! a producer by the clock.

use std::ffi::c_void;
use std::ops::Deref;
use std::ptr::{self, NonNull};

use rdkafka::bindings as native;
use rdkafka::producer::{BaseProducer, Producer as _, ProducerContext};

type Wake = Box<dyn Fn() + Send + Sync>;

/// A [`BaseProducer`] that calls a function whenever its queue of events, delivery reports above
/// all, is no longer empty.
pub struct WakingProducer<C: ProducerContext> {
    // First: it must be gone before the producer is.
    _events: Events,
    producer: BaseProducer<C>,
}

impl<C: ProducerContext> WakingProducer<C> {
    /// Has `wake` called from a thread of librdkafka's, which holds the queue's lock: it must not
    /// wait and not call the producer. It is called once until the queue has been found empty by
    /// [`BaseProducer::poll`]; and here, since the queue may hold something already.
    #[must_use]
    pub fn new(producer: BaseProducer<C>, wake: impl Fn() + Send + Sync + 'static) -> Self {
        let _events = Events::new(producer.client().native_ptr(), Box::new(wake));
        Self { _events, producer }
    }
}

impl<C: ProducerContext> Deref for WakingProducer<C> {
    type Target = BaseProducer<C>;

    fn deref(&self) -> &BaseProducer<C> {
        &self.producer
    }
}

/// The main queue of a producer, with what it calls.
struct Events {
    queue: Option<NonNull<native::rd_kafka_queue_t>>,
    // On the heap, so that its address stays; twice boxed, since the outer pointer must be thin.
    _wake: Box<Wake>,
}

// SAFETY: the pointer is a counted reference to a queue, whose functions any thread may call; what
// it calls is `Send` and `Sync`.
unsafe impl Send for Events {}

impl Events {
    /// `producer` is that of a live producer, which outlives what is returned.
    fn new(producer: *mut native::rd_kafka_t, wake: Wake) -> Self {
        let wake = Box::new(wake);
        // SAFETY: the producer is alive; the reference returned is given back when this is dropped.
        let queue = NonNull::new(unsafe { native::rd_kafka_queue_get_main(producer) });
        if let Some(queue) = queue {
            let opaque = ptr::from_ref::<Wake>(&wake).cast_mut().cast::<c_void>();
            // SAFETY: the queue is alive. `opaque` points to `wake`, which is kept until the call
            // has been taken back, and not before.
            unsafe {
                native::rd_kafka_queue_cb_event_enable(queue.as_ptr(), Some(call), opaque);
            }
        }
        wake();
        Self { queue, _wake: wake }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let Some(queue) = self.queue else { return };
        // SAFETY: the reference is ours. librdkafka calls while it holds the queue's lock and takes
        // that lock here, so no call is under way once this has returned.
        unsafe {
            native::rd_kafka_queue_cb_event_enable(queue.as_ptr(), None, ptr::null_mut());
            native::rd_kafka_queue_destroy(queue.as_ptr());
        }
    }
}

unsafe extern "C" fn call(_: *mut native::rd_kafka_t, wake: *mut c_void) {
    // SAFETY: `Events` gave it, keeps it until no call is under way, and shares it only.
    let wake = unsafe { &*wake.cast_const().cast::<Wake>() };
    wake();
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use rdkafka::config::ClientConfig;
    use rdkafka::producer::BaseRecord;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[test]
    fn each_report_after_an_empty_queue_calls_once_more() {
        // Nobody answers there: a record is given up, which is reported.
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", "127.0.0.1:1")
            .set("message.timeout.ms", "5")
            .create()
            .unwrap();
        let (called, calls) = mpsc::channel();
        let producer = WakingProducer::new(producer, move || called.send(()).unwrap());
        for _ in 0..3 {
            producer.send(BaseRecord::<(), str>::to("t").payload("x")).unwrap();
            // A call may be for an error of the connection: until the record is reported.
            while producer.in_flight_count() > 0 {
                calls.recv_timeout(PATIENCE).expect("it calls when there is something to poll for");
                // One event a poll, and no more than a few at a time.
                (0..100).for_each(|_| producer.poll(Duration::ZERO));
            }
        }
        drop(producer);
        assert!(calls.iter().count() < 10, "what it called is gone with it");
    }
}
