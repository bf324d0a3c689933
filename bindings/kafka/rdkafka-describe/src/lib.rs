//! DescribeTopics of librdkafka, which rdkafka does not have: of each topic its partitions, and what
//! Kafka lets this principal do with it. It asks only: nothing is made, read or written.

use std::ffi::CString;
use std::ptr::{self, NonNull};
use std::slice;
use std::time::Duration;

use rdkafka::bindings as native;
use rdkafka::bindings::rd_kafka_AclOperation_t as Acl;
use rdkafka::client::{Client, ClientContext};
use rdkafka::error::RDKafkaErrorCode;

/// What Kafka says of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Whether each partition has a leader, by partition.
    pub has_leader: Vec<bool>,
    /// How many replicas each partition has, and how many of them are in sync.
    pub replicas: Vec<(usize, usize)>,
    /// What this principal may do; `None` where the broker does not say.
    pub permitted: Option<Permitted>,
}

/// What a principal may do with a topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Permitted {
    /// Read its records.
    pub read: bool,
    /// Append records.
    pub write: bool,
    /// Learn its configuration.
    pub describe_configs: bool,
}

/// Asks about topics, each named once, by one request; in the order of `names`. Blocks, at most for
/// `timeout`.
///
/// # Errors
/// Where Kafka does not answer in time, or does not know the request (before 2.3); of a single
/// topic, where it does not exist or nothing of it may be known.
pub fn describe_topics<C: ClientContext>(
    client: &Client<C>,
    names: &[&str],
    timeout: Duration,
) -> Result<Vec<Result<Topic, RDKafkaErrorCode>>, RDKafkaErrorCode> {
    let invalid = || RDKafkaErrorCode::InvalidArgument;
    let names: Vec<CString> = names
        .iter()
        .map(|name| CString::new(*name))
        .collect::<Result<_, _>>()
        .map_err(|_| invalid())?;
    let mut pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
    let millis = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the pointers are to `names`, which librdkafka copies.
    let topics = unsafe {
        native::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len())
    };
    let topics =
        Owned::new(topics, native::rd_kafka_TopicCollection_destroy).ok_or_else(invalid)?;
    // SAFETY: the client is alive while it is borrowed.
    let options = unsafe {
        native::rd_kafka_AdminOptions_new(
            client.native_ptr(),
            native::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
        )
    };
    let options = Owned::new(options, native::rd_kafka_AdminOptions_destroy).ok_or_else(invalid)?;
    // SAFETY: the options are alive; without room for a message none is written. A failure leaves
    // the default, which the poll below does not wait for.
    unsafe {
        native::rd_kafka_AdminOptions_set_request_timeout(
            options.as_ptr(),
            millis,
            ptr::null_mut(),
            0,
        );
        let error =
            native::rd_kafka_AdminOptions_set_include_authorized_operations(options.as_ptr(), 1);
        drop(Owned::new(error, native::rd_kafka_error_destroy));
    }
    // SAFETY: the client is alive.
    let queue = unsafe { native::rd_kafka_queue_new(client.native_ptr()) };
    let queue = Owned::new(queue, native::rd_kafka_queue_destroy).ok_or_else(invalid)?;
    // SAFETY: all are alive; what is asked is copied, and the queue is counted.
    let event = unsafe {
        native::rd_kafka_DescribeTopics(
            client.native_ptr(),
            topics.as_ptr(),
            options.as_ptr(),
            queue.as_ptr(),
        );
        native::rd_kafka_queue_poll(queue.as_ptr(), millis)
    };
    let event = Owned::new(event, native::rd_kafka_event_destroy)
        .ok_or(RDKafkaErrorCode::OperationTimedOut)?;
    // SAFETY: the event is alive.
    let code = RDKafkaErrorCode::from(unsafe { native::rd_kafka_event_error(event.as_ptr()) });
    if code != RDKafkaErrorCode::NoError {
        return Err(code);
    }
    // SAFETY: the event is alive, and with it all that it has; `list` is given a list of `count`.
    let descriptions = unsafe {
        let result = native::rd_kafka_event_DescribeTopics_result(event.as_ptr());
        if result.is_null() {
            return Err(RDKafkaErrorCode::BadMessage);
        }
        list(|count| native::rd_kafka_DescribeTopics_result_topics(result, count))
    };
    // SAFETY: as above.
    Ok(descriptions.iter().map(|topic| unsafe { read(*topic) }).collect())
}

/// What a description says.
///
/// # Safety
/// It is alive.
unsafe fn read(
    topic: *const native::rd_kafka_TopicDescription_t,
) -> Result<Topic, RDKafkaErrorCode> {
    // SAFETY: the description is alive, and with it all that it has.
    unsafe {
        let error = native::rd_kafka_TopicDescription_error(topic);
        if !error.is_null() {
            let code = RDKafkaErrorCode::from(native::rd_kafka_error_code(error));
            if code != RDKafkaErrorCode::NoError {
                return Err(code);
            }
        }
        let partitions = list(|count| native::rd_kafka_TopicDescription_partitions(topic, count));
        let has_leader = |part: &*const native::rd_kafka_TopicPartitionInfo_t| -> bool {
            let leader = native::rd_kafka_TopicPartitionInfo_leader(*part);
            !leader.is_null() && native::rd_kafka_Node_id(leader) >= 0
        };
        let replicas = |part: &*const native::rd_kafka_TopicPartitionInfo_t| -> (usize, usize) {
            let all = list(|count| native::rd_kafka_TopicPartitionInfo_replicas(*part, count));
            let in_sync = list(|count| native::rd_kafka_TopicPartitionInfo_isr(*part, count));
            (all.len(), in_sync.len())
        };
        let mut count = 0;
        let operations = native::rd_kafka_TopicDescription_authorized_operations(topic, &mut count);
        let permitted = (!operations.is_null()).then(|| {
            let operations = slice::from_raw_parts(operations, count);
            let has = |wanted: Acl| operations.contains(&wanted);
            Permitted {
                read: has(Acl::RD_KAFKA_ACL_OPERATION_READ),
                write: has(Acl::RD_KAFKA_ACL_OPERATION_WRITE),
                describe_configs: has(Acl::RD_KAFKA_ACL_OPERATION_DESCRIBE_CONFIGS),
            }
        });
        Ok(Topic {
            has_leader: partitions.iter().map(has_leader).collect(),
            replicas: partitions.iter().map(replicas).collect(),
            permitted,
        })
    }
}

/// The list that `get` returns, whose length it writes where it is told.
///
/// # Safety
/// `get` returns null, or a list of that length that lives for `'a`.
unsafe fn list<'a, T>(get: impl FnOnce(*mut usize) -> *mut T) -> &'a [T] {
    let mut count = 0;
    let first = get(&mut count);
    // SAFETY: as `get` promises.
    if first.is_null() { &[] } else { unsafe { slice::from_raw_parts(first, count) } }
}

/// Something of librdkafka's that is ours to end.
struct Owned<T> {
    pointer: NonNull<T>,
    end: unsafe extern "C" fn(*mut T),
}

impl<T> Owned<T> {
    /// `end` is librdkafka's function for what `pointer` is, if it is not null.
    fn new(pointer: *mut T, end: unsafe extern "C" fn(*mut T)) -> Option<Self> {
        Some(Self { pointer: NonNull::new(pointer)?, end })
    }

    fn as_ptr(&self) -> *mut T {
        self.pointer.as_ptr()
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: it is ours, and is used no more.
        unsafe { (self.end)(self.pointer.as_ptr()) }
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::config::ClientConfig;
    use rdkafka::consumer::{BaseConsumer, Consumer as _};

    use super::*;

    fn consumer(servers: &str) -> BaseConsumer {
        ClientConfig::new().set("bootstrap.servers", servers).create().unwrap()
    }

    #[test]
    fn what_does_not_answer_is_an_error_in_time() {
        let consumer = consumer("127.0.0.1:1");
        let described = describe_topics(consumer.client(), &["t"], Duration::from_millis(50));
        assert_eq!(described, Err(RDKafkaErrorCode::OperationTimedOut));
    }

    #[test]
    fn a_name_that_cannot_be_one_is_refused() {
        let consumer = consumer("127.0.0.1:1");
        let described = describe_topics(consumer.client(), &["t\0"], Duration::from_millis(50));
        assert_eq!(described, Err(RDKafkaErrorCode::InvalidArgument));
    }
}
