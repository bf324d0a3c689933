//! A new mapping, a replaced exit, the end: sessions stay where they are and are moved.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use engine::config::NodeName;
use engine::spi::{Link, Retire};
use kafka_plane::Kafka;
use mqtt_plane::ReasonCode;

use crate::proxy::deliver::reader::Reader;
use crate::proxy::hub::Hub;
use crate::proxy::member::Member;
use crate::proxy::upstream::{Upstream, hold};
use crate::state::Mapping;

/// How long until a log that a reload asks for, and that cannot be read, is tried again.
pub(in crate::proxy) const RETRY: Duration = Duration::from_secs(1);

impl Hub {
    /// Puts another mapping in force: publishes take it from the next on, and every subscription
    /// moves to the logs that it is served from now.
    pub(in crate::proxy) fn update(
        self: &Rc<Self>,
        mapping: Arc<Mapping>,
        exits: Vec<(NodeName, Link<Kafka>)>,
    ) {
        let old = self.upstreams();
        let upstreams = exits.into_iter().map(|(name, link)| {
            match old.iter().find(|upstream| upstream.name == name) {
                Some(known) => {
                    known.set_link(link);
                    Rc::clone(known)
                }
                None => self.upstream(name, link, &mapping.retained),
            }
        });
        let upstreams: Rc<[Rc<Upstream>]> = upstreams.collect();
        self.set_mapping(mapping, upstreams);
        hold(&self.cx, old);
        // An exit may have been replaced by the same reload.
        self.reopen();
        self.open_fixed();
        let number = self.retargets.get() + 1;
        self.retargets.set(number);
        self.retarget(None);
        for member in self.members() {
            member.begin_again();
        }
        self.leave_later(number);
    }

    /// Moves the subscriptions of all sessions to the logs that they are served from now.
    /// `begun`: a log that begins with what these subscriptions are to see first.
    pub(in crate::proxy) fn retarget(self: &Rc<Self>, begun: Option<&Rc<Reader>>) {
        for member in self.members() {
            member.retarget(begun);
        }
        for reader in self.readers() {
            self.advance(&reader);
        }
    }

    /// Asks for the start of a log that this process did not read before the reload. What it
    /// holds by then was written after, so that all of it is delivered.
    pub(in crate::proxy) fn ask(self: &Rc<Self>, reader: &Rc<Reader>) {
        if reader.is_asking.replace(true) {
            return;
        }
        let (hub, asked) = (Rc::downgrade(self), Rc::clone(reader));
        let log = reader.log();
        log.ends(Box::new(move |ends| {
            let Some(hub) = hub.upgrade() else { return };
            if !asked.is_asking.replace(false) {
                // The exit was replaced meanwhile, and asked anew.
                return;
            }
            match ends {
                Ok(ends) => {
                    let begin = asked.begin();
                    asked.place(if begin.is_empty() { &ends } else { &begin });
                    hub.retarget(Some(&asked));
                    hub.leave_later(hub.retargets.get());
                }
                Err(fault) => {
                    hub.members().iter().for_each(|member| member.forget_joining(&asked));
                    tracing::warn!(
                        event = "mqtt_kafka.topic.failed",
                        binding = %hub.name,
                        topic = %asked.topic,
                        fault = %fault,
                        "open subscriptions need a Kafka topic that cannot be read; trying again"
                    );
                    let weak = Rc::downgrade(&hub);
                    hub.cx.spawn(async move {
                        tokio::time::sleep(RETRY).await;
                        if let Some(hub) = weak.upgrade() {
                            hub.retarget(None);
                        }
                    });
                }
            }
        }));
    }

    /// Takes no more sessions if the process ends, and ends those that are left at the deadline.
    pub(in crate::proxy) fn retire(self: &Rc<Self>, retire: Retire) {
        let reason = if retire.is_shutdown {
            ReasonCode::SERVER_SHUTTING_DOWN
        } else {
            ReasonCode::ADMINISTRATIVE_ACTION
        };
        if self.refusal.replace(Some(reason)).is_none() {
            self.end_delays();
            self.try_wills();
        }
        self.end_groups(false);
        let Some(deadline) = retire.deadline else { return };
        let hub = Rc::downgrade(self);
        self.cx.spawn(async move {
            tokio::time::sleep_until(deadline.into()).await;
            if let Some(hub) = hub.upgrade() {
                hub.end_groups(true);
                for member in hub.members() {
                    member.end(reason, "the binding was removed or shut down");
                }
            }
        });
    }
}

impl Member {
    /// Offsets of this log mean other records now.
    pub(in crate::proxy) fn forget_offsets(&self, reader: &Rc<Reader>) {
        let mut state = self.state.borrow_mut();
        state.behind.retain(|behind| !Rc::ptr_eq(&behind.reader, reader));
        for target in state.held.values().flat_map(|held| held.all_targets()) {
            if Rc::ptr_eq(&target.reader, reader) {
                target.interest.reset();
            }
        }
    }
}
