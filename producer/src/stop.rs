//! When to end: Ctrl-C, a termination signal, a closed terminal, or the time being over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use anyhow::Context;
use framebus::now_ns;

/// Says when to end; shared by all threads.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    asked: Arc<AtomicBool>,
    /// Time of the bus's clock; `u64::MAX`: none.
    until_ns: Arc<AtomicU64>,
}

impl Stop {
    /// One that nothing but [`ask`](Self::ask) and [`end_at_ns`](Self::end_at_ns) triggers.
    pub(crate) fn never() -> Self {
        Self { asked: Arc::default(), until_ns: Arc::new(AtomicU64::new(u64::MAX)) }
    }

    /// One that the first SIGINT, SIGTERM or SIGHUP triggers. A SIGINT or SIGTERM behind it kills the process: its stream then
    /// stays, for the next producer to take over.
    pub(crate) fn on_signals() -> anyhow::Result<Self> {
        let stop = Self::never();
        framebus_program::on_interrupt(&stop.asked).context("can not install the handler of Ctrl-C")?;
        Ok(stop)
    }

    /// Ends the run.
    pub(crate) fn ask(&self) {
        self.asked.store(true, Relaxed);
    }

    /// Whether somebody asked, in contrast to the time being over.
    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Relaxed)
    }

    /// Ends the run at this time of the bus's clock.
    pub(crate) fn end_at_ns(&self, until_ns: u64) {
        self.until_ns.store(until_ns, Relaxed);
    }

    /// When the time is over; `u64::MAX` where there is no such time.
    pub(crate) fn until_ns(&self) -> u64 {
        self.until_ns.load(Relaxed)
    }

    /// Whether it is time to end.
    pub(crate) fn is_due(&self) -> bool {
        self.is_asked() || now_ns() >= self.until_ns()
    }
}
