//! `framebus top`: all streams and their subscribers, live, and who is to blame for what.
//!
//! ```text
//!   framebus_program::list_each ─► look ─► watch (rates, history) ─► trouble (what is wrong)
//!                                                                    │
//!            keys ─► ui (what is asked for) ─► rows (order, filter) ─┴─► screen (table, detail), print (text, JSON)
//! ```
//!
//! It only looks: the segments are mapped read-only for a moment, once an interval, and nobody notices. The one exception are
//! probes, subscribers of its own, which run only where somebody presses `l` or says `--probe`.

mod cells;
mod detail;
pub(crate) mod format;
mod history;
mod look;
mod paint;
mod people;
mod print;
mod probe;
mod rates;
mod rows;
mod screen;
mod sparks;
mod table;
mod terminal;
#[cfg(test)]
mod testing;
mod trouble;
mod ui;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use framebus::{Backend, StreamStatus, now_ns};
use framebus_program::{Listing, list_each, unlisted};

use look::Look;
use probe::Probes;
use ui::{Probed, Sort, Ui};
use watch::Watch;

/// Shows streams live: rates, ages, drops, and who is to blame. It only looks, and disturbs nobody; --probe alone takes
/// places.
#[derive(clap::Args)]
pub struct Arguments {
    /// Only streams whose BUS/STREAM begins so.
    prefix: Option<String>,
    /// Time from a look to the next, in seconds (0.05 to 3600).
    #[arg(long, value_name = "S", default_value = "1", value_parser = interval)]
    interval: Duration,
    /// What the streams are sorted by at first.
    #[arg(long, value_enum, default_value_t)]
    sort: Sort,
    /// Print one look as text, after one interval, and end.
    #[arg(long)]
    once: bool,
    /// Print one JSON object a stream and interval; with --once, of one interval.
    #[arg(long)]
    json: bool,
    /// Measure latencies with a subscriber of our own on each stream that has a place free.
    #[arg(long)]
    probe: bool,
    /// Only those made of this: sysv, file, or file:/DIRECTORY [default: sysv and file].
    #[arg(long, value_name = "BACKEND")]
    backend: Option<Backend>,
}

/// Where looks come from.
struct Source {
    backends: Vec<Backend>,
    prefix: String,
}

impl Source {
    /// Looks at all streams that were asked for; also as they were listed.
    fn look(&self) -> anyhow::Result<(Look, Vec<StreamStatus>)> {
        let Listing { streams: mut statuses, mut failures } = list_each(&self.backends);
        if failures.len() == self.backends.len() {
            return Err(failures.remove(0));
        }
        statuses.retain(|stream| stream.name.to_string().starts_with(&self.prefix));
        Ok((Look::new(now_ns(), &statuses), statuses))
    }
}

pub fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    let stop = Arc::new(AtomicBool::new(false));
    let source = Source {
        backends: framebus_program::backends(arguments.backend.as_ref()),
        prefix: arguments.prefix.clone().unwrap_or_default(),
    };
    framebus_program::on_interrupt(&stop).context("can not catch Ctrl-C")?;
    // Above the table, and once: what it does not show.
    let failures = list_each(&source.backends).failures;
    if failures.len() < source.backends.len() {
        failures.iter().for_each(|failure| eprintln!("{}", unlisted(failure)));
    }
    if arguments.once || arguments.json {
        print(arguments, &source, &stop)?;
    } else {
        terminal::run(arguments, &source, &stop)?;
    }
    Ok(0)
}

/// Prints a look, or one after the other, until Ctrl-C.
fn print(arguments: &Arguments, source: &Source, stop: &AtomicBool) -> anyhow::Result<()> {
    let mut watch = Watch::default();
    watch.take(source.look()?.0);
    let mut ui = Ui::new(arguments.interval, arguments.sort);
    if arguments.probe {
        ui.probed = Probed::Shown;
    }
    let mut probes = Probes::default();
    probes.follow(&ui.wanted(&watch));
    let mut due = Instant::now();
    loop {
        // A look that took longer than an interval delays the next one, and is not made up for.
        due = (due + arguments.interval).max(Instant::now());
        while let Some(left) = due.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            if stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            std::thread::sleep(left.min(Duration::from_millis(100)));
        }
        let (look, statuses) = source.look()?;
        watch.take(look);
        probes.end_interval();
        watch.note(probes.readings());
        let mut out = std::io::stdout().lock();
        match arguments.json {
            true => print::json(&mut out, &watch, &statuses)?,
            false if watch.streams.is_empty() => {
                let (what, remedy) = framebus_program::no_streams(&source.prefix);
                eprintln!("{what}; {remedy}");
            }
            false => print::text(&mut out, &watch, &ui)?,
        }
        if arguments.once {
            return Ok(());
        }
        probes.follow(&ui.wanted(&watch));
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("{text:?} is no number of seconds"))?;
    match (0.05..=3600.0).contains(&seconds) {
        true => Ok(Duration::from_secs_f64(seconds)),
        false => Err(format!("{text} s is out of range: expected 0.05 to 3600")),
    }
}
