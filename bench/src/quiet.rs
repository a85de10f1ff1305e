//! Whether the machine is quiet: what others use of it, from /proc/stat, and what the hypervisor takes.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// What happened on the machine beside a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Disturbance {
    /// What other processes used, in per cent of one core.
    pub others_percent: f64,
    /// What the hypervisor gave to somebody else, in per cent of one core.
    pub steal_percent: f64,
    /// Runnable on average over a minute (/proc/loadavg); for information only, since it contains ourselves.
    pub load: f64,
}

impl Disturbance {
    /// Whether it is too much, in per cent of one core.
    pub fn is_quiet(&self, allowed_percent: f64) -> bool {
        self.others_percent.max(self.steal_percent) <= allowed_percent
    }
}

/// The machine and ourselves at one moment.
pub struct Moment {
    at: Instant,
    ticks: Ticks,
    own_seconds: f64,
}

/// The first line of /proc/stat (proc_stat(5)), in ticks of all cores together.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Ticks {
    /// user + nice + system: what processes use. Interrupts have no owner and are left out.
    busy: u64,
    steal: u64,
}

impl Ticks {
    fn parse(stat: &str) -> Option<Self> {
        let line = stat.lines().next()?.strip_prefix("cpu ")?;
        let fields: Vec<u64> = line.split_whitespace().map_while(|field| field.parse().ok()).collect();
        let [user, nice, system, _idle, _iowait, _irq, _softirq, steal, ..] = fields[..] else { return None };
        Some(Self { busy: user + nice + system, steal })
    }
}

impl Moment {
    /// This one.
    pub fn now() -> Result<Self> {
        let stat = std::fs::read_to_string("/proc/stat").context("reading /proc/stat")?;
        let ticks = Ticks::parse(&stat).context("/proc/stat does not begin with the processors' times")?;
        Ok(Self { at: Instant::now(), ticks, own_seconds: own_seconds() })
    }

    /// What happened since. Our own actors have to be over by now: only then the kernel counts them as ours.
    pub fn disturbance_since(&self) -> Result<Disturbance> {
        let now = Self::now()?;
        let seconds = (now.at - self.at).as_secs_f64().max(1e-3);
        // SAFETY: a question without arguments.
        let ticks_a_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) }.max(1) as f64;
        let busy = (now.ticks.busy - self.ticks.busy) as f64 / ticks_a_second;
        let steal = (now.ticks.steal.saturating_sub(self.ticks.steal)) as f64 / ticks_a_second;
        let others = (busy - (now.own_seconds - self.own_seconds)).max(0.0);
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(0.0);
        Ok(Disturbance { others_percent: others / seconds * 100.0, steal_percent: steal / seconds * 100.0, load })
    }
}

/// What the machine does while we do nothing.
pub fn watch(time: Duration) -> Result<Disturbance> {
    let moment = Moment::now()?;
    std::thread::sleep(time);
    moment.disturbance_since()
}

/// What this process and its children that have ended used of the processors.
fn own_seconds() -> f64 {
    let used = |who| {
        // SAFETY: a rusage is made of numbers, of which all zeros are values, and is written by the call.
        let usage = unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            libc::getrusage(who, &mut usage);
            usage
        };
        [usage.ru_utime, usage.ru_stime].iter().map(|time| time.tv_sec as f64 + time.tv_usec as f64 / 1e6).sum::<f64>()
    };
    used(libc::RUSAGE_SELF) + used(libc::RUSAGE_CHILDREN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_what_processes_use_and_what_is_stolen() {
        let stat = "cpu  100 20 3 4000 50 60 70 8 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\n";
        assert_eq!(Ticks::parse(stat), Some(Ticks { busy: 123, steal: 8 }));
        assert_eq!(Ticks::parse("cpu  1 2 3\n"), None);
        assert_eq!(Ticks::parse("intr 1 2 3\n"), None);
    }

    #[test]
    fn steal_and_others_both_disturb() {
        let disturbance = |others_percent, steal_percent| Disturbance { others_percent, steal_percent, load: 9.0 };
        assert!(disturbance(3.0, 2.0).is_quiet(10.0));
        assert!(!disturbance(11.0, 0.0).is_quiet(10.0));
        assert!(!disturbance(0.0, 11.0).is_quiet(10.0));
    }

    #[test]
    fn our_own_work_counts_as_ours() {
        let used = own_seconds();
        let begun = Instant::now();
        while own_seconds() - used < 0.05 && begun.elapsed() < Duration::from_secs(60) {
            std::hint::black_box(begun.elapsed());
        }
        assert!(own_seconds() - used >= 0.05);
    }
}
