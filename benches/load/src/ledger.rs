//! What was published, what arrived, what may be published next.

use std::collections::VecDeque;
use std::ops::Range;

use crate::histogram::Histogram;
use crate::plan::Plan;
use crate::tracker::{Arrival, Tracker};
use crate::wire::{Frame, Label, Version};

/// How many checks in a row may find a publisher without progress until what it has under way is
/// given up, so that a broker that loses messages is still measured.
const PATIENCE: u32 = 4;

/// One publisher's messages.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) frames: Vec<Frame>,
    pub(crate) published: u64,
    /// PUBACKs; those with an error code count too.
    acked: u64,
    /// For each message from `base` on, how many subscribers do not have it yet.
    open: VecDeque<u32>,
    base: u64,
    copies: u32,
    /// `None` where a rate decides.
    window: Option<u16>,
    awaits_acks: bool,
    progress: u64,
    quiet_checks: u32,
    /// On the list of those that may publish again.
    is_due: bool,
}

impl Flow {
    /// How many messages may be published now.
    fn credit(&self) -> u64 {
        let Some(window) = self.window else { return 0 };
        let unacked = if self.awaits_acks { self.published - self.acked } else { 0 };
        u64::from(window).saturating_sub(unacked.max(self.open.len() as u64))
    }

    /// Publishes what may be published now.
    pub(crate) fn fill(&mut self, out: &mut Vec<u8>, now: u64) {
        for _ in 0..self.credit() {
            let at = self.published % self.frames.len() as u64;
            self.frames[usize::try_from(at).unwrap_or(0)].write(out, self.published, now);
            self.open.push_back(self.copies);
            self.published += 1;
        }
    }

    /// A subscriber has, or will never have, message `number`.
    fn settle(&mut self, number: u64) {
        let Some(at) = number.checked_sub(self.base) else { return };
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        let Some(copies) = self.open.get_mut(at) else { return };
        *copies = copies.saturating_sub(1);
        while self.open.front() == Some(&0) {
            self.open.pop_front();
            self.base += 1;
        }
    }

    /// Lets the publisher use no more than the server takes.
    pub(crate) fn limit(&mut self, receive_maximum: u16) {
        if self.awaits_acks {
            self.window = self.window.map(|window| window.min(receive_maximum));
        }
    }

    /// Gives up what is under way, if it has been for long. Returns whether it was.
    fn give_up_if_stalled(&mut self) -> bool {
        let seen = std::mem::take(&mut self.progress);
        let is_quiet = self.window.is_some() && seen == 0 && self.credit() == 0;
        self.quiet_checks = if is_quiet { self.quiet_checks + 1 } else { 0 };
        if self.quiet_checks < PATIENCE {
            return false;
        }
        self.quiet_checks = 0;
        self.open.clear();
        self.base = self.published;
        self.acked = self.published;
        true
    }
}

/// The counts of a run.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Messages that arrived the first time.
    pub(crate) received: u64,
    /// PUBACKs.
    pub(crate) acked: u64,
    /// PUBACKs with an error code.
    pub(crate) refused: u64,
    /// Messages that are not ours, or reached a subscriber that they were not for.
    pub(crate) unexpected: u64,
    /// Messages of an earlier run.
    pub(crate) stale: u64,
    /// How often a publisher's messages under way were given up.
    pub(crate) stalled: u64,
}

/// Messages that are not there as they should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    pub(crate) missing: u64,
    pub(crate) duplicates: u64,
    /// Messages that arrived after a later one of the same publisher and topic.
    pub(crate) late: u64,
}

/// All publishers' flows and all subscribers' trackers.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) flows: Vec<Flow>,
    /// The publisher of each channel.
    owners: Vec<u32>,
    trackers: Vec<Tracker>,
    /// Where each subscriber's trackers begin.
    starts: Vec<usize>,
    run: u32,
    pub(crate) counts: Counts,
    /// Of messages whose stamp lies in `measured`, in nanoseconds.
    pub(crate) latency: Histogram,
    pub(crate) measured: Range<u64>,
    /// Publishers that may publish again.
    due: Vec<u32>,
}

impl Ledger {
    pub(crate) fn new(plan: &Plan, version: Version, qos: u8, payload: usize) -> Self {
        let mut owners = vec![0; plan.topics.len()];
        let mut flows = Vec::new();
        for (at, publisher) in (0..).zip(&plan.publishers) {
            let channels = publisher.first..publisher.first + publisher.count;
            let frame = |channel: u32| {
                let topic = &plan.topics[channel as usize];
                Frame::new(version, topic, channel, qos, payload)
            };
            flows.push(Flow {
                frames: channels.clone().map(frame).collect(),
                published: 0,
                acked: 0,
                open: VecDeque::new(),
                base: 0,
                copies: publisher.copies,
                window: plan.window,
                awaits_acks: qos > 0,
                progress: 0,
                quiet_checks: 0,
                is_due: false,
            });
            channels.for_each(|channel| owners[channel as usize] = at);
        }
        let mut starts = Vec::new();
        let mut trackers = 0;
        for subscriber in &plan.subscribers {
            starts.push(trackers);
            trackers += subscriber.count as usize;
        }
        Self {
            flows,
            owners,
            trackers: vec![Tracker::default(); trackers],
            starts,
            run: std::process::id(),
            counts: Counts::default(),
            latency: Histogram::default(),
            measured: 0..0,
            due: Vec::new(),
        }
    }

    /// A message arrived.
    pub(crate) fn delivered(
        &mut self,
        plan: &Plan,
        subscriber: usize,
        label: Option<Label>,
        now: u64,
    ) {
        if label.is_some_and(|label| label.run != self.run) {
            self.counts.stale += 1;
            return;
        }
        let all = u32::try_from(self.owners.len()).unwrap_or(u32::MAX);
        let place = label.and_then(|label| {
            let position = plan.subscribers[subscriber].position(label.channel, all)?;
            Some((label, self.starts[subscriber] + position as usize))
        });
        let Some((label, tracker)) = place else {
            self.counts.unexpected += 1;
            return;
        };
        let owner = self.owners[label.channel as usize];
        let flow = &mut self.flows[owner as usize];
        // The publisher takes its topics in turn.
        let turns = flow.frames.len() as u64;
        let fresh = match self.trackers[tracker].note(label.number / turns) {
            Arrival::Next(fresh) => fresh,
            Arrival::Late => 0..0,
            Arrival::Duplicate => return,
        };
        self.counts.received += 1;
        flow.progress += 1;
        if self.measured.contains(&label.stamp) {
            self.latency.record(now.saturating_sub(label.stamp));
        }
        if flow.window.is_some() {
            for turn in fresh {
                flow.settle(turn * turns + label.number % turns);
            }
            self.make_due(owner);
        }
    }

    /// A PUBACK arrived.
    pub(crate) fn acknowledged(&mut self, publisher: u32, reason: u8) {
        let flow = &mut self.flows[publisher as usize];
        flow.acked = (flow.acked + 1).min(flow.published);
        flow.progress += 1;
        self.counts.acked += 1;
        self.counts.refused += u64::from(reason >= 0x80);
        self.make_due(publisher);
    }

    fn make_due(&mut self, publisher: u32) {
        let flow = &mut self.flows[publisher as usize];
        if flow.credit() > 0 && !std::mem::replace(&mut flow.is_due, true) {
            self.due.push(publisher);
        }
    }

    /// Moves the publishers that may publish again to `due`.
    pub(crate) fn take_due(&mut self, due: &mut Vec<u32>) {
        std::mem::swap(&mut self.due, due);
        for publisher in due.iter() {
            self.flows[*publisher as usize].is_due = false;
        }
    }

    /// Makes every publisher due.
    pub(crate) fn make_all_due(&mut self) {
        for publisher in (0..).take(self.flows.len()) {
            self.make_due(publisher);
        }
    }

    /// Gives up what has been under way for several checks.
    pub(crate) fn give_up_stalled(&mut self) {
        for publisher in (0..).take(self.flows.len()) {
            if self.flows[publisher as usize].give_up_if_stalled() {
                self.counts.stalled += 1;
                self.make_due(publisher);
            }
        }
    }

    /// How many messages were published.
    pub(crate) fn published(&self) -> u64 {
        self.flows.iter().map(|flow| flow.published).sum()
    }

    /// What is missing, repeated or out of order, of all subscribers.
    pub(crate) fn faults(&self, plan: &Plan) -> Faults {
        let mut faults = Faults::default();
        let all = u32::try_from(self.owners.len()).unwrap_or(u32::MAX);
        for (subscriber, start) in plan.subscribers.iter().zip(&self.starts) {
            for position in 0..subscriber.count {
                let channel = (subscriber.first + position) % all;
                let tracker = &self.trackers[start + position as usize];
                faults.missing += tracker.missing(self.published_to(plan, channel));
                faults.duplicates += tracker.duplicates();
                faults.late += tracker.late();
            }
        }
        faults
    }

    fn published_to(&self, plan: &Plan, channel: u32) -> u64 {
        let owner = self.owners[channel as usize] as usize;
        let flow = &self.flows[owner];
        let (turns, turn) =
            (flow.frames.len() as u64, u64::from(channel - plan.publishers[owner].first));
        if turn >= turns {
            // Nobody publishes to it.
            return 0;
        }
        flow.published / turns + u64::from(flow.published % turns > turn)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::Cli;
    use crate::wire::{self, Packet};

    fn ledger(args: &[&str], qos: u8) -> (Plan, Ledger) {
        let args = ["zilla-load"].iter().chain(args);
        let plan = Plan::of(&Cli::try_parse_from(args).unwrap().load).unwrap();
        let ledger = Ledger::new(&plan, Version::V3, qos, 20);
        (plan, ledger)
    }

    fn published(ledger: &mut Ledger, publisher: usize) -> Vec<Label> {
        let mut out = Vec::new();
        ledger.flows[publisher].fill(&mut out, 5);
        let mut bytes = &out[..];
        let mut labels = Vec::new();
        while let Some((packet, length)) = wire::read(bytes, Version::V3).unwrap() {
            let Packet::Publish { label, .. } = packet else { panic!("{packet:?}") };
            labels.push(label.unwrap());
            bytes = &bytes[length..];
        }
        labels
    }

    #[test]
    fn a_window_opens_when_all_subscribers_have_the_message_and_it_is_acknowledged() {
        let (plan, mut ledger) = ledger(&["fan-out", "--subscribers", "2", "--window", "2"], 1);
        let first = published(&mut ledger, 0);
        assert_eq!(first.iter().map(|label| label.number).collect::<Vec<_>>(), [0, 1]);
        ledger.acknowledged(0, 0);
        ledger.delivered(&plan, 0, Some(first[0]), 6);
        assert_eq!(published(&mut ledger, 0), [], "one subscriber does not have it");
        ledger.delivered(&plan, 1, Some(first[0]), 6);
        assert_eq!(published(&mut ledger, 0).len(), 1);
        let mut due = Vec::new();
        ledger.take_due(&mut due);
        assert_eq!(due, [0]);
        let faults = ledger.faults(&plan);
        assert_eq!((faults.missing, faults.duplicates), (4, 0), "two messages to two subscribers");
        ledger.delivered(&plan, 1, Some(first[0]), 6);
        assert_eq!(ledger.faults(&plan).duplicates, 1);
    }

    #[test]
    fn topics_without_a_publisher_miss_nothing() {
        let args = ["subscriptions", "--subscriptions", "4", "--topics", "4", "--clients", "2"];
        let (plan, mut ledger) = ledger(&[&args[..], &["--round", "1"]].concat(), 0);
        assert_eq!(published(&mut ledger, 0).len(), 1);
        assert_eq!(ledger.faults(&plan).missing, 1);
    }

    #[test]
    fn a_lost_message_opens_the_window_and_stays_missing() {
        let (plan, mut ledger) = ledger(&["pairs", "--pairs", "1", "--window", "3"], 0);
        let labels = published(&mut ledger, 0);
        ledger.delivered(&plan, 0, Some(labels[2]), 6);
        assert_eq!(ledger.faults(&plan).missing, 2);
        assert_eq!(published(&mut ledger, 0).len(), 3);
        for _ in 0..=PATIENCE {
            ledger.give_up_stalled();
        }
        assert_eq!(ledger.counts.stalled, 1);
        assert_eq!(published(&mut ledger, 0).len(), 3);
        assert_eq!(ledger.faults(&plan).missing, 8);
    }

    #[test]
    fn topics_in_turn_are_counted_each_by_itself() {
        let load = ["subscriptions", "--subscriptions", "6", "--topics", "3", "--clients", "2"];
        let (plan, mut ledger) = ledger(&[&load[..], &["--window", "4"]].concat(), 0);
        let labels = published(&mut ledger, 0);
        assert_eq!(labels.iter().map(|label| label.channel).collect::<Vec<_>>(), [0, 1, 2, 0]);
        assert_eq!(ledger.faults(&plan).missing, 8);
        for label in labels {
            ledger.delivered(&plan, 0, Some(label), 6);
            ledger.delivered(&plan, 1, Some(label), 6);
        }
        assert_eq!(ledger.faults(&plan), Faults::default());
        assert_eq!(ledger.counts.received, 8);
        let run = std::process::id();
        let other = Label { run, channel: 3, number: 0, stamp: 0 };
        ledger.delivered(&plan, 0, Some(other), 6);
        ledger.delivered(&plan, 0, None, 6);
        ledger.delivered(&plan, 0, Some(Label { run: run + 1, channel: 0, ..other }), 6);
        assert_eq!((ledger.counts.unexpected, ledger.counts.stale), (2, 1));
        assert_eq!(ledger.faults(&plan), Faults::default());
    }
}
