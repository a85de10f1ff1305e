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
use framebus_program::{Level, Listing, list_each, say, unlisted};

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

/// What a look found.
struct Looked {
    look: Look,
    /// The same as it was listed.
    statuses: Vec<StreamStatus>,
    /// Why there may be more.
    unlisted: Vec<String>,
}

impl Source {
    /// Looks at all streams that were asked for.
    ///
    /// # Errors
    /// Nothing at all can be listed.
    fn look(&self) -> anyhow::Result<Looked> {
        let Listing { streams: mut statuses, mut failures } = list_each(&self.backends);
        if failures.len() == self.backends.len() {
            return Err(failures.remove(0));
        }
        statuses.retain(|stream| stream.name.to_string().starts_with(&self.prefix));
        let look = Look::new(now_ns(), &statuses);
        Ok(Looked { look, statuses, unlisted: failures.iter().map(unlisted).collect() })
    }
}

/// What is not seen of this machine, and was told.
#[derive(Default)]
struct Told {
    /// At the last look.
    unlisted: Vec<String>,
    /// At some look there was something.
    any: bool,
}

impl Told {
    /// Says what was not said at the look before.
    fn say(&mut self, unlisted: Vec<String>) {
        let news = unlisted.iter().filter(|fault| !self.unlisted.contains(fault));
        news.for_each(|fault| say(Level::Error, format_args!("error: {fault}")));
        self.any |= !unlisted.is_empty();
        self.unlisted = unlisted;
    }

    /// As `ls` has it.
    fn exit_code(&self) -> u8 {
        u8::from(self.any)
    }
}

pub fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    let stop = Arc::new(AtomicBool::new(false));
    let source = Source {
        backends: framebus_program::backends(arguments.backend.as_ref()),
        prefix: arguments.prefix.clone().unwrap_or_default(),
    };
    framebus_program::on_interrupt(&stop).context("can not catch Ctrl-C")?;
    if arguments.once || arguments.json {
        return print(arguments, &source, &stop);
    }
    terminal::run(arguments, &source, &stop).map(|()| 0)
}

/// Prints a look, or one after the other, until Ctrl-C. Returns the exit code.
fn print(arguments: &Arguments, source: &Source, stop: &AtomicBool) -> anyhow::Result<u8> {
    let (mut watch, mut told) = (Watch::default(), Told::default());
    let Looked { look, unlisted, .. } = source.look()?;
    told.say(unlisted);
    watch.take(look);
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
                return Ok(told.exit_code());
            }
            std::thread::sleep(left.min(Duration::from_millis(100)));
        }
        let Looked { look, statuses, unlisted } = source.look()?;
        told.say(unlisted);
        watch.take(look);
        probes.end_interval();
        watch.note(probes.readings());
        let mut out = std::io::stdout().lock();
        match arguments.json {
            true => print::json(&mut out, &watch, &statuses)?,
            false if watch.streams.is_empty() => {
                let (what, remedy) = framebus_program::no_streams(&source.prefix);
                say(Level::Note, format_args!("{what}; {remedy}"));
            }
            false => print::text(&mut out, &watch, &ui)?,
        }
        if arguments.once {
            return Ok(told.exit_code());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_that_can_not_be_listed_hides_no_other_and_is_no_success() {
        // A file is no directory.
        let broken = Backend::File { directory: std::env::current_exe().unwrap() };
        let source = |backends: &[&Backend]| Source {
            backends: backends.iter().map(|&backend| backend.clone()).collect(),
            prefix: format!("no-such-bus-{}/", std::process::id()),
        };
        let looked = source(&[&broken, &Backend::SysV]).look().unwrap();
        assert!(looked.unlisted.len() == 1 && looked.statuses.is_empty(), "{:?}", looked.unlisted);
        let mut told = Told::default();
        told.say(looked.unlisted.clone());
        told.say(Vec::new());
        assert_eq!((told.exit_code(), told.unlisted.len()), (1, 0), "it is told again when it comes again");
        assert!(source(&[&broken]).look().is_err());
        let mut told = Told::default();
        told.say(source(&[&Backend::SysV]).look().unwrap().unlisted);
        assert_eq!(told.exit_code(), 0);
        // What was told before the screen was drawn does not stand there for ever.
        let news = "another".to_owned();
        assert_eq!(terminal::news(&looked.unlisted, &[looked.unlisted[0].clone(), news.clone()]), Some(news));
        assert_eq!(terminal::news(&looked.unlisted, &looked.unlisted), None);
    }
}
