//! The mqtt plane's side: the exit, and a client's session.

use std::any::Any;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use engine::spi::{Definition, Links, Node, Prepared, Retire, WorkerCx, definition_as};
use mqtt_plane::{
    Appetite, Cause, Closed, Event, Keep, Limits, MqttExit, Opened, Position, Publish, ReasonCode,
    Session, SessionBegin, Stage, Subscription, Ticket, Will,
};

use super::hub::Hub;
use super::kept::store::KeptWill;
use super::member::Member;
use super::share::{Letter, is_shared};
use super::subscribe::Request;
use crate::config::MqttKafkaDefinition;

/// A definition at work on a worker.
pub(crate) struct MqttKafka(pub(crate) Rc<Hub>);

impl MqttExit for MqttKafka {
    fn limits(&self) -> Limits {
        self.0.limits()
    }

    fn admit(&self) -> Result<(), Closed> {
        if let Some(reason) = self.0.refusal.get() {
            return Err(Closed { reason, detail: "the binding is being shut down" });
        }
        if !self.0.is_available() {
            let detail = "Kafka has not answered yet";
            return Err(Closed { reason: ReasonCode::SERVER_UNAVAILABLE, detail });
        }
        Ok(())
    }

    fn open(&self, begin: SessionBegin<'_>) -> Result<Opened, Closed> {
        self.admit()?;
        let hub = &self.0;
        let kept = if begin.clean_start {
            hub.discard_kept(begin.client_id);
            None
        } else {
            hub.take_kept(begin.client_id)
        };
        let member = hub.enter(&begin);
        let resumed = kept.map(|kept| member.resume(*kept));
        let will = begin.will.map(Box::new);
        let session = Box::new(ClientSession { member, will, is_closed: false });
        Ok(Opened { session, resumed })
    }

    fn keeps(&self, client_id: &str) -> bool {
        self.0.shared.kept.holds(client_id, self.0.cx.clock().now())
    }
}

impl Node for MqttKafka {
    fn update(
        &self,
        definition: &Arc<dyn Definition>,
        _: &Prepared,
        _: &WorkerCx,
        links: &mut Links<'_>,
    ) {
        let Some(new) = definition_as::<MqttKafkaDefinition>(&**definition) else { return };
        let exits = new.exits.iter().map(|exit| (exit.name.clone(), links.link(&exit.name)));
        self.0.update(self.0.shared.bound(&new.mapping), exits.collect());
    }

    fn relinked(&self, _: u64) {
        self.0.relink();
    }

    fn retire(&self, retire: Retire) {
        self.0.retire(retire);
    }

    fn receive(&self, payload: Box<dyn Any + Send>) {
        if let Ok(letters) = payload.downcast::<Vec<Letter>>() {
            self.0.read_letters(*letters);
        }
    }

    fn connections(&self) -> usize {
        self.0.len()
    }
}

/// A client's session. The client's task owns it.
struct ClientSession {
    member: Rc<Member>,
    /// Boxed, since few clients have one.
    will: Option<Box<Will>>,
    is_closed: bool,
}

impl Session for ClientSession {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        self.member.poll_ready(cx)
    }

    fn publish(&mut self, ticket: Ticket, publish: &Publish<'_>) -> Result<(), ReasonCode> {
        self.member.publish(ticket, publish)
    }

    fn subscribe(&mut self, ticket: Ticket, subscriptions: &[Subscription<'_>]) {
        let wanted = subscriptions.iter().map(Into::into).collect();
        self.member.request(Request::Subscribe { ticket, wanted });
    }

    fn unsubscribe(&mut self, ticket: Ticket, filters: &[&str]) {
        let filters = filters.iter().map(|filter| Rc::from(*filter)).collect();
        self.member.request(Request::Unsubscribe { ticket, filters });
    }

    fn poll_events(
        &mut self,
        cx: &mut Context<'_>,
        appetite: Appetite,
        out: &mut Vec<Event>,
    ) -> Poll<Result<(), Closed>> {
        self.member.poll_events(cx, appetite, out)
    }

    fn acknowledge(&mut self, position: Position, stage: Stage) {
        if is_shared(position) {
            self.member.acknowledge_shared(position, stage);
        } else {
            self.member.acknowledge(position);
        }
    }

    fn close(&mut self, cause: Cause, keep: Option<Keep>) {
        if std::mem::replace(&mut self.is_closed, true) {
            return;
        }
        let hub = Rc::clone(&self.member.hub);
        let mut will = self.will.take();
        if cause != Cause::Abnormal && will.take().is_some() {
            hub.counters.wills_discarded.increment();
        }
        // Of a binding that ends, nothing is left to keep it.
        let keep = keep.filter(|_| hub.refusal.get().is_none());
        let kept = keep.map(|keep| {
            let mut kept = self.member.to_keep(keep);
            // Section 3.1.3.2.2: from the end of the connection on.
            let delayed = will.take_if(|will| will.delay > 0);
            kept.will = delayed.map(|will| {
                let delay = Duration::from_secs(will.delay.into());
                KeptWill { at: kept.since + delay, will }
            });
            kept
        });
        hub.leave(&self.member);
        if let Some(kept) = kept {
            hub.keep(&self.member.client_id, kept);
        }
        if let Some(will) = will {
            hub.publish_will(&self.member.client_id, will);
        }
    }
}

impl Drop for ClientSession {
    fn drop(&mut self) {
        self.close(Cause::Abnormal, None);
    }
}
