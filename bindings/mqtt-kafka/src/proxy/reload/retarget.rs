//! Subscriptions on the move: from the logs that served them to those that a reload gives to them.

use std::rc::Rc;

use crate::proxy::deliver::reader::Reader;
use crate::proxy::hub::Hub;
use crate::proxy::member::{Held, Member};

impl Held {
    /// Where the subscription begins in a log that a reload gives to it; `None` where that is not
    /// known yet: then it is joined when it is, whatever further reloads say.
    fn start_on(
        &mut self,
        reader: &Rc<Reader>,
        begun: Option<&Rc<Reader>>,
        hub: &Hub,
    ) -> Option<Vec<i64>> {
        let joining = self.joining.iter().position(|joining| Rc::ptr_eq(joining, reader));
        // Workers apply a reload one after another, and what the first publishes by it is to reach
        // those that follow.
        let Some(ends) = reader.log().ends_at(hub.cx.reloaded_at()) else {
            if reader.is_placed() {
                return Some(reader.positions());
            }
            if joining.is_none() {
                self.joining.push(Rc::clone(reader));
            }
            return None;
        };
        let is_begun = begun.is_some_and(|begun| Rc::ptr_eq(begun, reader));
        let begin = reader.begin();
        let starts = match joining {
            Some(at) => {
                self.joining.swap_remove(at);
                begin
            }
            None if is_begun && !begin.is_empty() => begin,
            None => ends.to_vec(),
        };
        reader.place(&starts);
        Some(starts)
    }
}

impl Member {
    pub(in crate::proxy) fn retarget(&self, begun: Option<&Rc<Reader>>) {
        let filters: Vec<Rc<str>> = self.state.borrow().held.keys().map(Rc::clone).collect();
        for filter in filters {
            self.retarget_filter(&filter, begun);
        }
    }

    fn retarget_filter(&self, filter: &Rc<str>, begun: Option<&Rc<Reader>>) {
        let hub = &self.hub;
        let wanted = hub.readers_of(filter);
        let mut state = self.state.borrow_mut();
        let Some(mut held) = state.held.remove(filter) else { return };
        let is_wanted = |reader: &Rc<Reader>| wanted.iter().any(|w| Rc::ptr_eq(w, reader));
        let number = hub.retargets.get();
        let was_routed = !held.targets.is_empty();
        let (kept, left): (Vec<_>, Vec<_>) =
            held.targets.drain(..).partition(|target| is_wanted(&target.reader));
        held.targets = kept;
        held.leaving.extend(left.into_iter().map(|target| (target, number)));
        for reader in &wanted {
            if held.targets.iter().any(|target| Rc::ptr_eq(&target.reader, reader)) {
                continue;
            }
            // Back before it was left: it goes on.
            let left = held.leaving.iter().position(|(t, _)| Rc::ptr_eq(&t.reader, reader));
            if let Some((target, _)) = left.and_then(|at| held.leaving.swap_remove(at)) {
                held.targets.push(target);
                continue;
            }
            match held.start_on(reader, begun, hub) {
                Some(starts) => {
                    state.start_at(reader, &starts);
                    held.join(filter, self.key, reader, starts);
                }
                None => hub.ask(reader),
            }
        }
        // A log that was still to be joined when this reload took it: what was published there in
        // the meantime is delivered all the same.
        let joining = held.joining.to_vec();
        for reader in &joining {
            if is_wanted(reader) {
                continue;
            }
            if let Some(starts) = held.start_on(reader, begun, hub) {
                state.start_at(reader, &starts);
                held.join(filter, self.key, reader, starts);
                held.leaving.extend(held.targets.pop().map(|target| (target, number)));
            }
        }
        if was_routed && wanted.is_empty() {
            self.report_unrouted(filter);
        }
        state.held.insert(Rc::clone(filter), held);
    }

    /// Tells and counts that a reload has left a subscription without a log.
    pub(in crate::proxy) fn report_unrouted(&self, filter: &str) {
        self.hub.counters.subscriptions_unrouted.increment();
        tracing::warn!(
            event = "mqtt_kafka.subscription.unrouted",
            binding = %self.hub.name,
            client = %self.client_id,
            filter,
            "no route serves this subscription any more"
        );
    }

    /// A log that was to be joined cannot be read. A subscription that still wants it asks anew.
    pub(in crate::proxy) fn forget_joining(&self, reader: &Rc<Reader>) {
        for held in self.state.borrow_mut().held.values_mut() {
            held.joining.retain(|joining| !Rc::ptr_eq(joining, reader));
        }
    }
}
