//! Sessions whose client is away: what one costs, and how soon clients have theirs again.

use std::io;

use crate::blocking::Blocking;
use crate::cli::Common;
use crate::clock::{Clock, nanos_of};
use crate::process::{Cpu, Memory};
use crate::report::{Keeping, Report};
use crate::wire;

/// Connections that are there at a time.
const TOGETHER: u32 = 200;

/// Has `sessions` kept, and resumes each.
///
/// # Errors
///
/// A connection or a subscription that is refused.
pub(crate) fn run(common: &Common, sessions: u32) -> io::Result<Report> {
    let clock = Clock::start();
    let server = || (!common.pid.is_empty()).then(|| Cpu::of(&common.pid));
    let mut keeping = Keeping { sessions, ..Keeping::default() };
    // The first connections make what a broker has once.
    visit(common, "first", TOGETHER, false)?;
    let (memory, cpu, began) = (Memory::of(&common.pid), server(), clock.nanos());
    visit(common, "kept", sessions, true)?;
    keeping.took(seconds(clock, began), cpu.zip(server()));
    clock.sleep_until(clock.nanos() + nanos_of(common.warm_up));
    if !common.pid.is_empty() {
        keeping.sized(memory, Memory::of(&common.pid));
    }
    let (cpu, began) = (server(), clock.nanos());
    let present = visit(common, "kept", sessions, true)?;
    keeping.resumed(present, seconds(clock, began), cpu.zip(server()));
    let clients = usize::try_from(sessions).unwrap_or(usize::MAX);
    Ok(Report { load: "kept", clients, keeping: Some(keeping), ..Report::default() })
}

fn seconds(clock: Clock, began: u64) -> f64 {
    (clock.nanos() - began) as f64 / 1e9
}

/// Connects so many clients, some at a time; those without a session subscribe; and disconnects
/// them. Returns how many had a session.
fn visit(common: &Common, kind: &str, clients: u32, keeps: bool) -> io::Result<u32> {
    let mut present = 0;
    for first in (0..clients).step_by(TOGETHER as usize) {
        let all = first..clients.min(first + TOGETHER);
        let id = |at: u32| format!("{}-{kind}-{at}", common.prefix);
        let mut open = all
            .clone()
            .map(|at| Blocking::connect(common, &id(at), keeps))
            .collect::<Result<Vec<_>, _>>()?;
        let mut fresh = Vec::new();
        for (at, client) in all.zip(&mut open) {
            if client.accepted()? {
                present += 1;
                continue;
            }
            let filter = [format!("{}/{kind}/{at}", common.prefix)];
            let mut out = Vec::new();
            wire::subscribe(&mut out, common.version, 1, &filter, common.qos);
            client.write(&out)?;
            fresh.push(at - first);
        }
        for at in fresh {
            open[at as usize].packet()?;
        }
        for client in &mut open {
            client.write(&wire::DISCONNECT)?;
        }
    }
    Ok(present)
}
