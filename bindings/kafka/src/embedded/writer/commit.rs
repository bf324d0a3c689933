//! From records in memory to records on disk and in the hands of readers.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use kafka_plane::Fault;

use super::part::Part;
use super::{Failing, Writer};
use crate::cluster::{Answer, Lane};
use crate::embedded::files::Active;
use crate::embedded::keeper::Job;
use crate::embedded::recover::Sealed;
use crate::embedded::syncer::Request;
use crate::embedded::wire::reserve;

/// How much memory is kept for the next round, bytes.
const OUT: usize = 4 << 20;

impl Writer {
    /// Writes what the partitions hold and shows it to readers; whether that was done.
    pub(super) fn commit(&mut self) -> bool {
        let is_reserving = self.close_parts();
        if self.out.is_empty() {
            // All of it was refused.
            self.finish_round(false);
            return false;
        }
        let now = self.clock.now();
        let written = self.write();
        self.out.clear();
        self.out.shrink_to(OUT);
        if let Err(error) = written {
            self.fail("write", &error);
            self.finish_round(false);
            return false;
        }
        self.has_reserved |= is_reserving;
        self.begun_at.get_or_insert(now);
        if self.log.options.is_synced {
            self.unsynced_since.get_or_insert(now);
            if self.is_ahead() && !self.make_reservations_durable() {
                self.finish_round(false);
                return false;
            }
        } else {
            self.recovered();
        }
        // Those who read work while the disk does.
        self.finish_round(true);
        let records: u32 = self.taken.iter().map(|taken| taken.records).sum();
        self.counts.records.add(i64::from(records));
        self.last_fault = None;
        true
    }

    /// Closes all chunks, each before the reservation that it needs; whether there is one.
    fn close_parts(&mut self) -> bool {
        let out = &mut self.out;
        let mut is_reserving = false;
        for slot in &self.touched {
            let Some(Some(known)) = self.known.get_mut(*slot) else { continue };
            for (index, part) in (0..).zip(&mut known.parts) {
                if part.is_touched {
                    part.close(known.number, index, out);
                    if let Some(upto) = part.offsets.reserve() {
                        reserve(known.number, index, upto, out);
                        is_reserving = true;
                    }
                }
            }
        }
        is_reserving
    }

    fn write(&mut self) -> io::Result<()> {
        let length = self.out.len() as u64;
        if self.active.tail > 0 && self.active.tail + length > self.log.options.segment_bytes {
            self.roll()?;
        }
        self.active.append(&self.out)?;
        self.counts.bytes.add(i64::try_from(length).unwrap_or(i64::MAX));
        Ok(())
    }

    /// Whether records have offsets that are not reserved durably.
    fn is_ahead(&self) -> bool {
        let touched = self.touched.iter().filter_map(|slot| self.known.get(*slot)?.as_ref());
        touched.flat_map(|known| &known.parts).any(|part| part.offsets.is_ahead())
    }

    fn make_reservations_durable(&mut self) -> bool {
        let is_durable = self.sync();
        if is_durable {
            self.note_reservations();
        } else {
            self.look_at_syncs();
            self.refuse_all();
        }
        is_durable
    }

    /// Ends a round for the partitions: shows their batches to readers, or forgets them.
    fn finish_round(&mut self, is_written: bool) {
        let now = self.clock.now();
        for slot in self.touched.drain(..) {
            let Some(Some(known)) = self.known.get_mut(slot) else { continue };
            known.is_touched = false;
            let mut has_advanced = false;
            for part in known.parts.iter_mut().filter(|part| part.is_touched) {
                part.is_touched = false;
                if !is_written {
                    part.chunk.clear();
                    part.batches.clear();
                    part.offsets.unreserve();
                    continue;
                }
                let Some(shared) = &part.shared else {
                    part.batches.clear();
                    continue;
                };
                for batch in part.batches.drain(..) {
                    let batch = batch.with_read_at(now);
                    known.topic.take(shared, batch, &mut part.builder, &self.counts.tables);
                }
                has_advanced = true;
            }
            if has_advanced {
                known.topic.advance();
                known.topic.settle_syncs();
            }
        }
    }

    /// Asks for a sync of all that was written, after which `answers` are given.
    pub(super) fn ask_sync(
        &mut self,
        answers: Vec<(Arc<Lane>, Vec<Answer>)>,
        weight: (usize, usize),
    ) -> u64 {
        self.ticket += 1;
        self.unsynced_since = None;
        if std::mem::take(&mut self.has_reserved) {
            self.reserved_by = Some(self.ticket);
        }
        let syncs = &self.log.syncs;
        syncs.requests.push(Request {
            ticket: self.ticket,
            epoch: syncs.epoch(),
            file: self.active.file(),
            upto: (self.active.number, self.active.tail),
            answers,
            weight,
        });
        self.ticket
    }

    /// Waits until all that was written is durable; false where it will not be.
    fn sync(&mut self) -> bool {
        let ticket = self.ask_sync(Vec::new(), (0, 0));
        self.log.syncs.wait(ticket, &self.log.cluster)
    }

    /// Takes note of what became of syncs.
    pub(super) fn look_at_syncs(&mut self) {
        let syncs = Arc::clone(&self.log.syncs);
        if let Some(error) = syncs.failure() {
            let (segment, bytes) = syncs.durable();
            let tail = if segment == self.active.number { bytes } else { 0 };
            syncs.begin_epoch(|| self.active.forsake(tail));
            self.parts().for_each(|part| part.offsets.unreserve());
            self.has_reserved = false;
            self.reserved_by = None;
            self.unsynced_since = None;
            self.tell("sync", &error);
        }
        let done = syncs.done();
        if !self.has_reserved && self.reserved_by.is_some_and(|ticket| done >= ticket) {
            self.note_reservations();
        }
        if self.is_failing.is_some_and(|failing| done > failing.ticket) {
            self.recovered();
        }
    }

    fn note_reservations(&mut self) {
        self.reserved_by = None;
        self.parts().for_each(|part| part.offsets.synced());
    }

    fn parts(&mut self) -> impl Iterator<Item = &mut Part> {
        self.known.iter_mut().flatten().flat_map(|known| &mut known.parts)
    }

    /// Goes on in a new segment.
    fn roll(&mut self) -> io::Result<()> {
        if self.log.options.is_synced && !self.sync() {
            return Err(io::Error::other("what was written before could not be synced"));
        }
        self.active.cut()?;
        let fresh = Active::create(&self.log.options.dir, self.active.number + 1)?;
        let full = std::mem::replace(&mut self.active, fresh);
        self.log.syncs.set_durable((self.active.number, 0));
        self.begun_at = None;
        let mut ends = self.ends.clone();
        for known in self.known.iter().flatten() {
            for (index, part) in (0..).zip(&known.parts) {
                ends.insert((known.number, index), part.offsets.reserved());
            }
        }
        let sealed = Sealed { number: full.number, bytes: full.tail, ends };
        self.log.keep.push(Job::Sealed(sealed));
        Ok(())
    }

    /// Goes on in a new segment where the present one would keep its records for too long.
    pub(super) fn roll_if_old(&mut self) {
        let Some(begun_at) = self.begun_at else { return };
        let age = Duration::from_millis(self.log.options.retention_ms.unsigned_abs() / 8);
        if self.clock.now().saturating_duration_since(begun_at) < age {
            return;
        }
        if let Err(error) = self.roll() {
            self.tell("write", &error);
        }
    }

    /// Refuses all that was taken, and says why.
    fn fail(&mut self, what: &'static str, error: &io::Error) {
        self.refuse_all();
        self.tell(what, error);
    }

    fn refuse_all(&mut self) {
        for taken in &mut self.taken {
            taken.fault = taken.fault.or(Some(Fault::Unavailable));
            self.counts.refused.add(i64::from(taken.records));
        }
    }

    /// Says what the disk refuses, once a cause.
    pub(super) fn tell(&mut self, what: &'static str, error: &io::Error) {
        let failing = Failing { kind: error.kind(), ticket: self.ticket };
        let before = self.is_failing.replace(failing);
        if before.is_none_or(|before| before.kind != error.kind()) {
            tracing::error!(
                event = "kafka.log.unwritable",
                cluster = %self.log.cluster.name,
                dir = %self.log.options.dir.display(),
                what,
                %error,
                "appends are refused until the disk takes them; what is there is read on",
            );
        }
    }

    fn recovered(&mut self) {
        if self.is_failing.take().is_some() {
            tracing::info!(event = "kafka.log.writable", cluster = %self.log.cluster.name);
        }
    }

    /// Ends in order: what is reserved and was not used is given back.
    pub(super) fn end(&mut self) {
        for known in self.known.iter().flatten() {
            for (index, part) in (0..).zip(&known.parts) {
                if part.offsets.reserved() > part.offsets.next() {
                    reserve(known.number, index, part.offsets.next(), &mut self.out);
                }
            }
        }
        let ended = self.active.append(&self.out);
        let ended = ended.and_then(|()| {
            if self.sync() { self.active.cut() } else { Err(io::Error::other("not synced")) }
        });
        if let Err(error) = ended {
            self.tell("end", &error);
        }
    }
}
