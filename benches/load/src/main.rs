//! `zilla-load`: a load generator for MQTT brokers.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is what talks to a person")]

mod blocking;
mod churn;
mod cli;
mod client;
mod clock;
#[cfg(feature = "floor")]
mod floor;
mod histogram;
mod kept;
mod ledger;
mod pacer;
mod plan;
mod process;
mod report;
mod swarm;
mod tracker;
mod wire;

use std::io::{self, Read as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Parser as _;

use churn::Churn;
use cli::{Cli, Common, Load};
use clock::{Clock, nanos_of};
use pacer::Pacer;
use plan::Plan;
use process::{Cpu, Memory};
use report::{Latency, Report, Subscribing};
use swarm::Swarm;
use wire::Version;

fn main() -> ExitCode {
    let load = Cli::parse().load;
    let result = match &load {
        #[cfg(feature = "floor")]
        Load::Floor(floor) => floor::run(floor),
        Load::Kept { common, sessions } => {
            kept::run(common, *sessions).and_then(|report| print(report, common))
        }
        Load::Pairs { common, .. }
        | Load::FanOut { common, .. }
        | Load::FanIn { common, .. }
        | Load::Rate { common, .. }
        | Load::Subscriptions { common, .. } => {
            run(&load, common, |plan, common| measure(plan, common, &load))
        }
        Load::Idle { common, hold, .. } => {
            let hold = *hold;
            run(&load, common, move |plan, common| idle(plan, common, hold))
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("zilla-load: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a load and prints what it found.
fn run(
    load: &Load,
    common: &Common,
    measure: impl FnOnce(Plan, &Common) -> io::Result<Report>,
) -> io::Result<()> {
    let plan = Plan::of(load).map_err(io::Error::other)?;
    let (window, rate) = (plan.window, plan.rate);
    let report = measure(plan, common)?;
    print(Report { window, rate, ..report }, common)
}

/// Prints what a load found.
fn print(report: Report, common: &Common) -> io::Result<()> {
    let version = match common.version {
        Version::V3 => "3.1.1",
        Version::V5 => "5.0",
    };
    let Common { qos, payload, .. } = *common;
    let report = Report { qos, version, payload, ..report };
    if common.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        println!("{report}");
    }
    Ok(())
}

fn server(common: &Common) -> Option<Cpu> {
    (!common.pid.is_empty()).then(|| Cpu::of(&common.pid))
}

/// Publishes and counts what arrives.
fn measure(plan: Plan, common: &Common, load: &Load) -> io::Result<Report> {
    let clock = Clock::start();
    let before = Memory::of(&common.pid);
    let mut swarm = Swarm::connect(plan, common.clone(), clock)?;
    let mut report = Report { load: swarm.plan.name, clients: swarm.len(), ..Report::default() };

    report.subscribing = subscribe(&mut swarm, common)?;
    let churn = churn(load, common)?;

    let start = clock.nanos() + 10_000_000;
    let from = start + nanos_of(common.warm_up);
    let until = from + nanos_of(common.duration);
    swarm.ledger.measured = from..until;
    let pacer = swarm.plan.rate.map(|rate| {
        let frames =
            swarm.ledger.flows.iter().map(|flow| flow.frames[0].clone()).collect::<Vec<_>>();
        let publishers = swarm.take_writers().into_iter().zip(frames).collect();
        let pacer = Pacer { publishers, rate, clock, from: start, until };
        std::thread::spawn(move || pacer.run())
    });
    if pacer.is_none() {
        swarm.publish();
    }
    swarm.run_until(from)?;
    let (cpu, own, began) = (server(common), Cpu::own(), clock.nanos());
    let (received, published) = (swarm.ledger.counts.received, swarm.ledger.published());
    swarm.run_until(until)?;
    let (cpu_after, own_after, ended) = (server(common), Cpu::own(), clock.nanos());
    report.received = swarm.ledger.counts.received - received;
    let mut published = swarm.ledger.published() - published;
    if let Some(pacer) = pacer {
        while !pacer.is_finished() {
            swarm.turn(Duration::from_millis(1))?;
        }
        let counts =
            pacer.join().map_err(|_| io::Error::other("the publishing thread failed"))??;
        for (flow, count) in swarm.ledger.flows.iter_mut().zip(counts) {
            flow.published = count;
        }
        // At a fixed rate as many as were due.
        published = u64::from(swarm.plan.rate.unwrap_or(0)) * (until - from) / 1_000_000_000;
    }
    if let Some(churn) = churn {
        let rate = churn.end()?;
        report.subscribing.get_or_insert_default().churn_per_second = Some(rate);
    }
    swarm.stop();
    swarm.drain()?;

    let seconds = (ended - began) as f64 / 1e9;
    let spent = cpu_after.zip(cpu).map(|(after, before)| after.since(&before));
    report.timed(seconds, published, spent.as_ref(), &own_after.since(&own));
    report.counted(
        swarm.ledger.published(),
        &swarm.ledger.counts,
        swarm.ledger.faults(&swarm.plan),
    );
    report.latency_ms = Latency::of(&swarm.ledger.latency);
    if !common.pid.is_empty() {
        report.sized(before, Memory::of(&common.pid));
    }
    (report.dropped, report.reason) = (swarm.dropped, swarm.reason.take());
    swarm.disconnect();
    Ok(report)
}

/// Subscribes, where it is to be measured what that costs, lets the broker come to rest, and tells.
fn subscribe(swarm: &mut Swarm, common: &Common) -> io::Result<Option<Subscribing>> {
    if !swarm.plan.counts_subscriptions {
        return Ok(None);
    }
    let subscriptions: usize = swarm.plan.subscribers.iter().map(|each| each.filters.len()).sum();
    let (memory, cpu, began) = (Memory::of(&common.pid), server(common), swarm.clock.nanos());
    swarm.subscribe()?;
    let seconds = (swarm.clock.nanos() - began) as f64 / 1e9;
    swarm.run_until(swarm.clock.nanos() + nanos_of(common.warm_up))?;
    // What the broker has still to do for them counts too.
    let spent = server(common).zip(cpu).map(|(after, before)| after.since(&before));
    let mut found = Subscribing::timed(subscriptions as u64, seconds, spent.as_ref());
    if !common.pid.is_empty() {
        found.sized(memory, Memory::of(&common.pid));
    }
    Ok(Some(found))
}

/// Begins to make and give up subscriptions, where the load has that.
fn churn(load: &Load, common: &Common) -> io::Result<Option<Churn>> {
    match load {
        Load::Subscriptions { shape, .. } if shape.churn > 0 => {
            Churn::begin(common, shape.churn).map(Some)
        }
        _ => Ok(None),
    }
}

/// Connects clients, lets the broker come to rest, and tells what they cost it.
fn idle(plan: Plan, common: &Common, hold: bool) -> io::Result<Report> {
    let clock = Clock::start();
    let before = Memory::of(&common.pid);
    let mut swarm = Swarm::connect(plan, common.clone(), clock)?;
    let mut report = Report { load: swarm.plan.name, clients: swarm.len(), ..Report::default() };
    swarm.run_until(clock.nanos() + nanos_of(common.warm_up))?;
    let (cpu, own, began) = (server(common), Cpu::own(), clock.nanos());
    swarm.run_until(began + nanos_of(common.duration))?;
    let spent = server(common).zip(cpu).map(|(after, before)| after.since(&before));
    let seconds = (clock.nanos() - began) as f64 / 1e9;
    report.timed(seconds, 0, spent.as_ref(), &Cpu::own().since(&own));
    if !common.pid.is_empty() {
        report.sized(before, Memory::of(&common.pid));
    }
    if hold {
        println!("connected");
        let is_over = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&is_over);
        std::thread::spawn(move || {
            // Whether it ends well or not, nobody holds the clients any more.
            io::stdin().read_to_end(&mut Vec::new()).ok();
            flag.store(true, Ordering::Relaxed);
        });
        while !is_over.load(Ordering::Relaxed) {
            swarm.turn(Duration::from_millis(10))?;
        }
    }
    (report.dropped, report.reason) = (swarm.dropped, swarm.reason.take());
    swarm.disconnect();
    Ok(report)
}
