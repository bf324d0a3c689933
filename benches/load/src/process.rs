//! What a process costs, from /proc.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Microseconds of a tick of `utime` and `stime`: Linux tells them in hundredths of a second
/// (`USER_HZ`), whatever its own clock.
const TICK: u64 = 10_000;

/// CPU time of some processes so far, with that of threads that have ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cpu {
    /// Microseconds, in steps of 10,000.
    pub(crate) total: u64,
    /// Microseconds of each thread that lives, to the nanosecond, by the thread's name.
    pub(crate) threads: BTreeMap<String, u64>,
}

impl Cpu {
    /// Of all `pids`. One that cannot be read counts nothing.
    pub(crate) fn of(pids: &[u32]) -> Self {
        let mut cpu = Self::default();
        for pid in pids {
            let process = format!("/proc/{pid}");
            cpu.total += ticks(Path::new(&process)) * TICK;
            let Ok(tasks) = fs::read_dir(format!("{process}/task")) else { continue };
            for task in tasks.flatten().map(|task| task.path()) {
                let read = |name| fs::read_to_string(task.join(name)).unwrap_or_default();
                let name = read("comm").trim_end().to_owned();
                let first = read("schedstat").split(' ').next().and_then(|text| text.parse().ok());
                *cpu.threads.entry(name).or_default() += first.unwrap_or(0_u64) / 1000;
            }
        }
        cpu
    }

    /// Of this process.
    pub(crate) fn own() -> Self {
        Self::of(&[std::process::id()])
    }

    /// What was used between `before` and this.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let threads = self.threads.iter().map(|(name, micros)| {
            let earlier = before.threads.get(name).copied().unwrap_or(0);
            (name.clone(), micros.saturating_sub(earlier))
        });
        Self { total: self.total.saturating_sub(before.total), threads: threads.collect() }
    }
}

fn ticks(process: &Path) -> u64 {
    let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
    ticks_of(&stat).unwrap_or(0)
}

/// `utime` + `stime`, fields 14 and 15 of proc_pid_stat(5). The name, field 2, may have spaces and
/// brackets itself.
fn ticks_of(stat: &str) -> Option<u64> {
    let (_, after) = stat.rsplit_once(')')?;
    let mut fields = after.split_ascii_whitespace().skip(11);
    let utime: u64 = fields.next()?.parse().ok()?;
    let stime: u64 = fields.next()?.parse().ok()?;
    Some(utime + stime)
}

/// Memory of some processes, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    /// All that is resident.
    pub(crate) resident: u64,
    /// What belongs to no file: heap and stacks.
    pub(crate) anonymous: u64,
}

impl Memory {
    /// Of all `pids`, from `smaps_rollup`. One that cannot be read counts nothing.
    pub(crate) fn of(pids: &[u32]) -> Self {
        let mut memory = Self::default();
        for pid in pids {
            let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
            memory.resident += field(&text, "Rss:");
            memory.anonymous += field(&text, "Anonymous:");
        }
        memory
    }
}

fn field(rollup: &str, name: &str) -> u64 {
    let line = rollup.lines().find_map(|line| line.strip_prefix(name));
    let kib: Option<u64> =
        line.and_then(|rest| rest.trim().strip_suffix(" kB")).and_then(|text| text.parse().ok());
    kib.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_stat_are_counted_from_the_last_bracket() {
        let stat = "12 (a b) 1) S 1 12 12 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 3 0 100 1 2";
        assert_eq!(ticks_of(stat), Some(300));
        assert_eq!(ticks_of("12 (a"), None);
    }

    #[test]
    fn memory_is_told_in_bytes() {
        let text = "00-ff ---p 00 00:00 0 [rollup]\nRss:       2048 kB\nAnonymous:     12 kB\n";
        assert_eq!((field(text, "Rss:"), field(text, "Anonymous:")), (2 << 20, 12 << 10));
        assert_eq!(field(text, "Swap:"), 0);
    }

    #[test]
    fn this_process_uses_memory_and_has_a_thread() {
        assert!(Memory::of(&[std::process::id()]).resident > 1 << 20);
        assert!(!Cpu::own().threads.is_empty());
    }
}
