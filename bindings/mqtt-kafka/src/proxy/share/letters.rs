//! What groups and seats tell each other. Letters between two workers come in their order, and
//! many in one post.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use mqtt_plane::{Qos, ReasonCode};

use crate::proxy::hub::Hub;
use crate::proxy::kept::store::KeptPlace;
use crate::wire::View;

/// How long until letters are posted again that another worker's mailbox had no room for.
const AGAIN: Duration = Duration::from_millis(5);

/// A letter. `seat` is the number of a seat, which no other seat of the process has or had.
pub(in crate::proxy) enum Letter {
    /// To a group: a session of `worker` takes a seat, in place of the one that an earlier
    /// connection had.
    Join { group: Arc<str>, seat: u64, worker: usize, instead_of: Option<u64> },
    /// To a group: these messages are nobody else's any more, and the seat takes so many more.
    Settled { seat: u64, numbers: Vec<u64>, credit: u16 },
    /// To a group: the seat takes no more, and gives these back; what else it has it settles.
    Leave { seat: u64, back: Vec<u64> },
    /// To a group: the seat's client is away, and its session is kept.
    Away { seat: u64, qos: Qos },
    /// To a group: the seat is no more.
    Gone { seat: u64 },
    /// To a seat: what became of its joining.
    Joined { seat: u64, outcome: Result<(), ReasonCode>, instance: u64 },
    /// To a seat: messages for it.
    Parcels { seat: u64, parcels: Vec<Parcel> },
    /// To all seats: groups of `worker` that another instance than this one had are no more.
    Renewed { worker: usize, instance: u64 },
}

/// A message that a group hands to a seat.
#[derive(Clone)]
pub(in crate::proxy) struct Parcel {
    /// Where it stands among the group's messages.
    pub(super) number: u64,
    pub(super) view: View,
    /// Whether it was published with RETAIN, as far as that is known.
    pub(super) retain: bool,
    /// The log that it lies in.
    pub(super) place: Option<Arc<KeptPlace>>,
}

impl Hub {
    /// Sends a letter when this turn of the worker is over, with all others of the turn.
    pub(super) fn send(self: &Rc<Self>, worker: usize, letter: Letter) {
        self.desk.put(worker, letter);
        if self.desk.is_posting.replace(true) {
            return;
        }
        let hub = Rc::clone(self);
        self.cx.spawn(async move {
            while !hub.post_letters() {
                tokio::time::sleep(AGAIN).await;
            }
        });
    }

    /// Posts what is to be sent. Returns whether nothing is left.
    fn post_letters(self: &Rc<Self>) -> bool {
        self.desk.is_posting.set(false);
        let mut is_done = true;
        for (worker, letters) in self.desk.take_letters() {
            if worker == self.cx.index() {
                self.read_letters(letters);
            } else if let Err(letters) = self.cx.post(worker, &self.name, Box::new(letters)) {
                if let Ok(letters) = letters.downcast::<Vec<Letter>>() {
                    self.desk.put_back(worker, *letters);
                }
                is_done = false;
            }
        }
        if !is_done {
            self.desk.is_posting.set(true);
        }
        is_done
    }

    /// Takes letters to groups and seats of this worker.
    pub(in crate::proxy) fn read_letters(self: &Rc<Self>, letters: Vec<Letter>) {
        for letter in letters {
            match letter {
                Letter::Join { group, seat, worker, instead_of } => {
                    self.take_join(&group, seat, worker, instead_of);
                }
                Letter::Settled { seat, numbers, credit } => {
                    self.with_group(seat, |group| group.settle(seat, &numbers, credit));
                }
                Letter::Leave { seat, back } => {
                    self.with_group(seat, |group| group.leave(self, seat, &back));
                }
                Letter::Away { seat, qos } => {
                    self.with_group(seat, |group| group.away(self, seat, qos));
                }
                Letter::Gone { seat } => {
                    self.with_group(seat, |group| group.gone(self, seat));
                }
                Letter::Joined { seat, outcome, instance } => {
                    if let Some(member) = self.desk.holder(seat) {
                        member.take_joined(seat, outcome, instance);
                    }
                }
                Letter::Parcels { seat, parcels } => {
                    if let Some(member) = self.desk.holder(seat) {
                        member.take_parcels(seat, parcels);
                        self.mark(&member);
                    }
                }
                Letter::Renewed { worker, instance } => {
                    self.members().iter().for_each(|member| member.rejoin(worker, instance));
                }
            }
        }
        self.wake_dirty();
    }
}
