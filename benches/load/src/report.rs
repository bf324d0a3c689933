//! What a run found, for people and for programs.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::histogram::Histogram;
use crate::ledger::{Counts, Faults};
use crate::process::{Cpu, Memory};

/// Quantiles of latency, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Latency {
    pub(crate) count: u64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
}

impl Latency {
    /// Of a histogram of nanoseconds; `None` if it is empty.
    pub(crate) fn of(histogram: &Histogram) -> Option<Self> {
        let millis = |nanos: u64| nanos as f64 / 1e6;
        let at = |share| histogram.quantile(share).map(millis);
        Some(Self {
            count: histogram.total(),
            p50: at(0.5)?,
            p99: at(0.99)?,
            p999: at(0.999)?,
            max: millis(histogram.max()),
        })
    }
}

/// A run of a load.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) load: &'static str,
    pub(crate) qos: u8,
    pub(crate) version: &'static str,
    pub(crate) payload: usize,
    pub(crate) window: Option<u16>,
    pub(crate) rate: Option<u32>,
    pub(crate) clients: usize,
    /// How long was measured.
    pub(crate) seconds: f64,
    /// Messages that arrived in that time, each copy counted.
    pub(crate) received: u64,
    pub(crate) received_per_second: f64,
    pub(crate) published_per_second: f64,
    /// Of the whole run, from the first message on.
    pub(crate) published: u64,
    pub(crate) missing: u64,
    pub(crate) duplicates: u64,
    pub(crate) late: u64,
    pub(crate) unexpected: u64,
    pub(crate) stale: u64,
    pub(crate) refused: u64,
    pub(crate) stalled: u64,
    pub(crate) dropped: u64,
    pub(crate) reason: Option<String>,
    pub(crate) latency_ms: Option<Latency>,
    /// Microseconds of CPU time of the broker for each message that arrived, in all and by thread.
    pub(crate) server_us: Option<f64>,
    pub(crate) server_us_by_thread: BTreeMap<String, f64>,
    /// Cores that the broker and this program kept busy.
    pub(crate) server_cores: Option<f64>,
    pub(crate) generator_cores: f64,
    /// Bytes of the broker's memory at the end.
    pub(crate) resident: Option<u64>,
    pub(crate) anonymous: Option<u64>,
    /// What each client added to that.
    pub(crate) resident_per_client: Option<f64>,
    pub(crate) anonymous_per_client: Option<f64>,
    /// Where it was measured what a subscription costs.
    pub(crate) subscribing: Option<Subscribing>,
    /// Where it was measured what a session costs whose client is away.
    pub(crate) keeping: Option<Keeping>,
}

/// What sessions cost whose clients are away, and to have them again.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Keeping {
    pub(crate) sessions: u32,
    /// Clients a second that connect, subscribe and go.
    pub(crate) kept_per_second: f64,
    /// Microseconds of CPU time of the broker for each of them.
    pub(crate) kept_server_us: Option<f64>,
    /// Bytes of the broker's memory for each session.
    pub(crate) resident: Option<f64>,
    /// Clients that had their session again.
    pub(crate) present: u32,
    /// Clients a second that connect, have their session again and go.
    pub(crate) resumed_per_second: f64,
    pub(crate) resumed_server_us: Option<f64>,
}

impl Keeping {
    fn server_us(&self, cpu: Option<(Cpu, Cpu)>) -> Option<f64> {
        cpu.map(|(before, after)| after.since(&before).total as f64 / f64::from(self.sessions))
    }

    /// Having the sessions kept took so long; `cpu` of the broker before and after.
    pub(crate) fn took(&mut self, seconds: f64, cpu: Option<(Cpu, Cpu)>) {
        self.kept_per_second = f64::from(self.sessions) / seconds;
        self.kept_server_us = self.server_us(cpu);
    }

    /// Sets the memory.
    pub(crate) fn sized(&mut self, before: Memory, after: Memory) {
        let grown = after.resident.saturating_sub(before.resident);
        self.resident = Some(grown as f64 / f64::from(self.sessions));
    }

    /// Resuming them took so long.
    pub(crate) fn resumed(&mut self, present: u32, seconds: f64, cpu: Option<(Cpu, Cpu)>) {
        self.present = present;
        self.resumed_per_second = f64::from(self.sessions) / seconds;
        self.resumed_server_us = self.server_us(cpu);
    }
}

impl fmt::Display for Keeping {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "kept {} sessions at {:.0}/s", self.sessions, self.kept_per_second)?;
        let micros = |micros: Option<f64>| {
            micros.map_or(String::new(), |us| format!(", server {us:.0} us each"))
        };
        write!(out, "{}", micros(self.kept_server_us))?;
        if let Some(resident) = self.resident {
            write!(out, ", {resident:.0} B resident each")?;
        }
        write!(out, "; resumed {} at {:.0}/s", self.present, self.resumed_per_second)?;
        write!(out, "{}", micros(self.resumed_server_us))
    }
}

/// What subscriptions cost.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Subscribing {
    pub(crate) subscriptions: u64,
    /// From the first SUBSCRIBE to the last SUBACK.
    pub(crate) seconds: f64,
    pub(crate) per_second: f64,
    /// Microseconds of CPU time of the broker for each.
    pub(crate) server_us: Option<f64>,
    /// What each added to the broker's memory, bytes.
    pub(crate) resident: Option<f64>,
    pub(crate) anonymous: Option<f64>,
    /// Further subscriptions that were made and given up a second, while messages were published.
    pub(crate) churn_per_second: Option<f64>,
}

impl Subscribing {
    /// So many subscriptions took so long, and so much of the broker's CPU time.
    pub(crate) fn timed(subscriptions: u64, seconds: f64, server: Option<&Cpu>) -> Self {
        let each = subscriptions.max(1) as f64;
        Self {
            subscriptions,
            seconds,
            per_second: subscriptions as f64 / seconds,
            server_us: server.map(|server| server.total as f64 / each),
            ..Self::default()
        }
    }

    /// Sets the memory.
    pub(crate) fn sized(&mut self, before: Memory, after: Memory) {
        let subscriptions = self.subscriptions.max(1) as f64;
        let each = |after: u64, before: u64| after.saturating_sub(before) as f64 / subscriptions;
        self.resident = Some(each(after.resident, before.resident));
        self.anonymous = Some(each(after.anonymous, before.anonymous));
    }
}

impl fmt::Display for Subscribing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} subscriptions at {:.0}/s", self.subscriptions, self.per_second)?;
        if let Some(micros) = self.server_us {
            write!(out, ", server {micros:.2} us each")?;
        }
        if let (Some(resident), Some(anonymous)) = (self.resident, self.anonymous) {
            write!(out, ", {resident:.0} B resident each, {anonymous:.0} B of it anonymous")?;
        }
        if let Some(rate) = self.churn_per_second {
            write!(out, ", {rate:.0}/s made and given up meanwhile")?;
        }
        Ok(())
    }
}

impl Report {
    pub(crate) fn counted(&mut self, published: u64, counts: &Counts, faults: Faults) {
        self.published = published;
        self.missing = faults.missing;
        self.duplicates = faults.duplicates;
        self.late = faults.late;
        self.unexpected = counts.unexpected;
        self.stale = counts.stale;
        self.refused = counts.refused;
        self.stalled = counts.stalled;
    }

    /// Sets the rates. `server` is absent where no process was named.
    pub(crate) fn timed(&mut self, seconds: f64, published: u64, server: Option<&Cpu>, own: &Cpu) {
        let messages = self.received.max(1) as f64;
        self.seconds = seconds;
        self.received_per_second = self.received as f64 / seconds;
        self.published_per_second = published as f64 / seconds;
        self.generator_cores = own.total as f64 / 1e6 / seconds;
        if let Some(server) = server {
            self.server_us = Some(server.total as f64 / messages);
            self.server_cores = Some(server.total as f64 / 1e6 / seconds);
            let threads = server.threads.iter().filter(|(_, micros)| **micros > 0);
            self.server_us_by_thread =
                threads.map(|(name, micros)| (name.clone(), *micros as f64 / messages)).collect();
        }
    }

    /// Sets the memory; `before` the clients were there, to tell what each of them added.
    pub(crate) fn sized(&mut self, before: Memory, after: Memory) {
        let each = |after: u64, before: u64| {
            after.saturating_sub(before) as f64 / self.clients.max(1) as f64
        };
        self.resident = Some(after.resident);
        self.anonymous = Some(after.anonymous);
        self.resident_per_client = Some(each(after.resident, before.resident));
        self.anonymous_per_client = Some(each(after.anonymous, before.anonymous));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} QoS {} MQTT {}", self.load, self.qos, self.version)?;
        if let Some(keeping) = &self.keeping {
            return write!(out, ": {keeping}");
        }
        if let Some(window) = self.window {
            write!(out, " window {window}")?;
        }
        if let Some(rate) = self.rate {
            write!(out, " rate {rate}/s")?;
        }
        write!(out, ", {} clients:", self.clients)?;
        if self.load == "idle" {
            if let (Some(resident), Some(anonymous)) =
                (self.resident_per_client, self.anonymous_per_client)
            {
                write!(out, " {resident:.0} B resident each, {anonymous:.0} B of it anonymous,")?;
            }
            write!(out, " dropped {}", self.dropped)?;
        } else {
            write!(out, " {:.0} msg/s", self.received_per_second)?;
            if let (Some(micros), Some(cores)) = (self.server_us, self.server_cores) {
                write!(out, ", server {micros:.2} us/msg ({cores:.2} cores)")?;
            }
            if let Some(latency) = self.latency_ms {
                let Latency { p50, p99, max, .. } = latency;
                write!(out, ", latency p50 {p50:.2} p99 {p99:.2} max {max:.2} ms")?;
            }
            write!(out, ", missing {}, duplicates {}", self.missing, self.duplicates)?;
            write!(out, ", generator {:.2} cores", self.generator_cores)?;
            for (what, count) in [
                ("late", self.late),
                ("unexpected", self.unexpected),
                ("stale", self.stale),
                ("refused", self.refused),
                ("stalled", self.stalled),
                ("dropped", self.dropped),
            ] {
                if count > 0 {
                    write!(out, ", {what} {count}")?;
                }
            }
        }
        if let Some(subscribing) = &self.subscribing {
            write!(out, "; {subscribing}")?;
        }
        match &self.reason {
            Some(reason) => write!(out, " ({reason})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_shares_are_of_the_measured_time() {
        let mut report = Report { load: "pairs", received: 2000, clients: 2, ..Report::default() };
        let cpu =
            |total| Cpu { total, threads: [("w".to_owned(), 4000), ("idle".to_owned(), 0)].into() };
        report.timed(2.0, 2000, Some(&cpu(10_000)), &cpu(1_000_000));
        report.sized(
            Memory { resident: 0, anonymous: 0 },
            Memory { resident: 8192, anonymous: 4096 },
        );
        assert_eq!((report.received_per_second, report.generator_cores), (1000.0, 0.5));
        assert_eq!((report.server_us, report.anonymous_per_client), (Some(5.0), Some(2048.0)));
        assert_eq!(report.server_us_by_thread, [("w".to_owned(), 2.0)].into());
        let mut keeping = Keeping { sessions: 100, ..Keeping::default() };
        keeping.took(0.5, Some((cpu(0), cpu(5000))));
        keeping.resumed(99, 1.0, None);
        let line = "kept 100 sessions at 200/s, server 50 us each; resumed 99 at 100/s";
        assert_eq!(keeping.to_string(), line);
        report.missing = 3;
        let mut subscribing = Subscribing::timed(1000, 0.5, Some(&cpu(10_000)));
        subscribing.sized(
            Memory { resident: 1000, anonymous: 0 },
            Memory { resident: 301_000, anonymous: 200_000 },
        );
        report.subscribing = Some(subscribing);
        let line = report.to_string();
        assert!(line.contains("1000 msg/s, server 5.00 us/msg"), "{line}");
        assert!(line.contains("missing 3, duplicates 0, generator 0.50 cores"), "{line}");
        let costs =
            "1000 subscriptions at 2000/s, server 10.00 us each, 300 B resident each, 200 B";
        assert!(line.contains(costs), "{line}");
    }
}
