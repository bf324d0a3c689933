//! A worker's view of the producer.

use std::rc::Rc;
use std::task::{Context, Poll};

use kafka_plane::{Completion, Draft, Fault, Producer};

use super::View;
use crate::cluster::Answer;
use crate::state::BurstAppend;

pub(super) struct ProducerView {
    view: Rc<View>,
}

impl ProducerView {
    #[expect(clippy::expect_used, reason = "a view is only used through the Rc that holds it")]
    pub(super) fn new(view: &View) -> Self {
        Self { view: view.this().expect("held while it is called") }
    }
}

/// Bytes of key, value and headers.
fn weight(draft: &Draft<'_>) -> usize {
    let mut bytes = draft.key.map_or(0, <[u8]>::len) + draft.value.map_or(0, <[u8]>::len);
    draft.headers.for_each(&mut |name, value| {
        bytes += name.len() + value.map_or(0, <[u8]>::len);
    });
    bytes
}

impl Producer for ProducerView {
    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        let view = &self.view;
        if view.cluster.is_stopped() {
            return Poll::Ready(Err(Fault::Unavailable));
        }
        if view.cluster.has_room() {
            return Poll::Ready(Ok(()));
        }
        let mut wakers = view.wakers.borrow_mut();
        if !wakers.last().is_some_and(|last| last.will_wake(cx.waker())) {
            wakers.push(cx.waker().clone());
        }
        view.lane.ask_for_room();
        // Room may have come before the producer's thread could know that it is waited for.
        if view.cluster.has_room() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn append(
        &self,
        records: &[Draft<'_>],
        atomic: bool,
        completion: Option<Completion>,
    ) -> Result<(), Fault> {
        let view = &self.view;
        if atomic {
            return Err(Fault::Refused("transactions are not supported"));
        }
        if view.cluster.is_stopped() {
            return Err(Fault::Unavailable);
        }
        let most = view.cluster.limits().record_bytes as usize;
        let mut bytes = 0;
        for draft in records {
            let weight = weight(draft);
            if weight > most {
                return Err(Fault::TooLarge);
            }
            bytes += weight;
            match view.topic(draft.topic).append_fault() {
                None | Some(Fault::Unavailable) => {}
                Some(fault) => return Err(fault),
            }
        }
        let key = completion.map(|completion| {
            let key = view.completions.borrow_mut().insert(completion);
            u32::try_from(key).unwrap_or(u32::MAX)
        });
        if records.is_empty() {
            if let Some(key) = key {
                view.lane.answers.push(Answer::Appended(key, Ok(())));
            }
            return Ok(());
        }
        // Before the producer can see them, which subtracts them.
        view.cluster.reserve(records.len(), bytes);
        let mut burst = view.lane.burst.lock();
        let count = u32::try_from(records.len()).unwrap_or(u32::MAX);
        burst.open_append(BurstAppend { completion: key, records: count, bytes });
        for draft in records {
            burst.push(view.topic(draft.topic).id, draft);
        }
        drop(burst);
        view.caller.appended();
        Ok(())
    }
}
