//! `framebus trace`: a running log of what became of frames that were not simply published and seen, and who is to blame.
//!
//! ```text
//!   framebus::Trace, one a stream ─► streams ─► wanted (--only) ─┬─► join ─► line ─► text
//!                                                                ├─► json ─► one object an event
//!                                                                └─► summary ─► a table, at the end
//! ```
//!
//! It only reads what publisher and subscribers have written into shared memory anyway, every [`PAUSE`], so nobody notices.

mod clock;
mod event;
mod facts;
mod join;
mod json;
mod line;
mod streams;
mod summary;
#[cfg(test)]
mod testing;
mod wanted;

use std::io::{self, BufWriter, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use framebus::{Backend, now_ns};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use clock::Clock;
use join::Joiner;
use line::{Columns, Line};
use streams::{Streams, Told, What};
use summary::Summary;
use wanted::Wanted;

/// From one look to the next. The rings have room for some thirty events of each one who writes.
const PAUSE: Duration = Duration::from_millis(20);

/// Follows streams, and prints what becomes of frames that are not simply published and seen: refused, late, abandoned, skipped,
/// missed, too old; with time, sequence, cause and culprit. It only looks, and disturbs nobody.
#[derive(clap::Args)]
pub struct Arguments {
    /// BUS/STREAM, or BUS for all its streams, also those that come later.
    #[arg(required = true)]
    names: Vec<String>,
    /// Only those made of this: sysv, file, or file:/DIRECTORY [default: sysv and file].
    #[arg(long, value_name = "BACKEND")]
    backend: Option<Backend>,
    /// Also what is known from before: about the last thirty events of each publisher and subscriber.
    #[arg(long)]
    past: bool,
    /// Only these fates, with commas: held, unread (both: refused), late, abandoned, evicted, skipped, missed (both: lost),
    /// all_held, too_old, too_many_skipped, stale (all three: violations), was_evicted, began, attached, left, died, gone,
    /// closed (all six: comings).
    #[arg(long, value_name = "FATE,…", value_delimiter = ',', conflicts_with = "violations")]
    only: Vec<String>,
    /// Only where a contract was not kept.
    #[arg(long)]
    violations: bool,
    /// End after so many events.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End after so many seconds.
    #[arg(long = "for", value_name = "S", value_parser = seconds)]
    time: Option<Duration>,
    /// A line for each event. Without it, those of one kind, by one and within a second, have one line behind the first.
    #[arg(long)]
    all: bool,
    /// Times as CLOCK_MONOTONIC has them, in ns, instead of the local time.
    #[arg(long, conflicts_with = "json")]
    monotonic: bool,
    /// At the end, also how often which fate met whom, and because of whom.
    #[arg(long)]
    summary: bool,
    /// One JSON object an event.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    let stop = Arc::new(AtomicBool::new(false));
    framebus_program::on_interrupt(&stop).context("can not catch Ctrl-C")?;
    let wanted = Wanted::new(&arguments.only, arguments.violations)?;
    let began = Instant::now();
    let since_ns = if arguments.past { 0 } else { now_ns() };
    let mut streams = Streams::new(&arguments.names, framebus_program::backends(arguments.backend.as_ref()), since_ns)?;
    let mut log = Log::new(arguments);
    loop {
        // Asked before the look, which is then the last one, and misses nothing of what came before.
        let over = stop.load(Ordering::Relaxed) || arguments.time.is_some_and(|time| began.elapsed() >= time);
        for told in streams.poll()? {
            if log.left > 0 && wanted.has(&told) {
                log.take(&told)?;
            }
        }
        log.go_on()?;
        if over || log.left == 0 || is_closed() {
            return log.finish(began.elapsed()).map(|()| 0);
        }
        std::thread::sleep(PAUSE);
    }
}

/// Whether who read our standard output has gone: with nothing to write, writing would not tell.
fn is_closed() -> bool {
    let stdout = io::stdout();
    let mut asked = [PollFd::new(&stdout, PollFlags::empty())];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut asked, Some(&at_once)).is_ok_and(|ready| ready > 0) && asked[0].revents().contains(PollFlags::ERR)
}

/// What is printed.
struct Log {
    out: BufWriter<io::Stdout>,
    columns: Columns,
    joiner: Joiner,
    summary: Option<Summary>,
    json: bool,
    all: bool,
    /// Events until the end.
    left: u64,
}

impl Log {
    fn new(arguments: &Arguments) -> Self {
        let out = io::stdout();
        let clock = if arguments.monotonic { Clock::Monotonic } else { Clock::local() };
        let several = arguments.names.len() > 1 || arguments.names.iter().any(|name| !name.contains('/'));
        Self {
            columns: Columns::new(clock, several, out.is_terminal()),
            out: BufWriter::new(out),
            joiner: Joiner::default(),
            summary: arguments.summary.then(Summary::default),
            json: arguments.json,
            all: arguments.all,
            left: arguments.count.unwrap_or(u64::MAX),
        }
    }

    fn take(&mut self, told: &Told) -> io::Result<()> {
        if let What::Event(_) = &told.what {
            self.left -= 1;
        }
        if let Some(summary) = &mut self.summary {
            summary.count(told);
        }
        if self.json {
            return writeln!(self.out, "{}", json::object(told));
        }
        let lines = match &told.what {
            What::Lost(events) => vec![Line::lost(told, *events)],
            What::Event(event) if self.all => vec![Line::of(&told.stream, event)],
            What::Event(event) => self.joiner.take(&told.stream, event),
        };
        lines.iter().try_for_each(|line| self.columns.write(&mut self.out, line))
    }

    /// Prints what was held back for a second, and lets all of it out.
    fn go_on(&mut self) -> io::Result<()> {
        for line in self.joiner.due(now_ns()) {
            self.columns.write(&mut self.out, &line)?;
        }
        self.out.flush()
    }

    fn finish(mut self, time: Duration) -> anyhow::Result<()> {
        for line in self.joiner.due(u64::MAX) {
            self.columns.write(&mut self.out, &line)?;
        }
        match &self.summary {
            Some(summary) if self.json => writeln!(self.out, "{}", summary.object(time))?,
            Some(summary) => summary.write(&mut self.out, time, self.columns.several)?,
            None => {}
        }
        Ok(self.out.flush()?)
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("{text:?} is no number of seconds"))?;
    match (0.0..=1e9).contains(&seconds) {
        true => Ok(Duration::from_secs_f64(seconds)),
        false => Err(format!("{text} s is out of range: expected 0 to 1000000000")),
    }
}
