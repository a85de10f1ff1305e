//! Tells the user how the run goes, once an interval, from a thread of its own: neither a slow terminal nor a full pipe
//! delays a frame.
//!
//! `--json`: one object a line on standard output. Otherwise words on standard error: a line that is rewritten where that
//! is a terminal, else one line an interval.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use framebus::StreamName;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::stop::Stop;
use crate::summary::{Counts, Interval, Summary, thousandths};

/// The thread that reports.
#[derive(Debug)]
pub(crate) struct Reporter {
    /// Dropping it ends the thread.
    running: Sender<()>,
    thread: JoinHandle<io::Result<()>>,
    json: bool,
}

impl Reporter {
    pub(crate) fn start(
        stream: &StreamName,
        counts: &Arc<Counts>,
        interval: Duration,
        json: bool,
        stop: &Stop,
    ) -> anyhow::Result<Self> {
        let (running, ended) = bounded(0);
        let (stream, counts, stop) = (stream.to_string(), counts.clone(), stop.clone());
        let thread = std::thread::Builder::new()
            .name("report".to_owned())
            .spawn(move || {
                let result = report(&stream, &counts, interval, json, &ended);
                if result.is_err() {
                    // Nobody reads what we were asked to write.
                    stop.ask();
                }
                result
            })
            .context("can not start the thread that reports")?;
        Ok(Self { running, thread, json })
    }

    /// Ends the thread, and tells the whole run. A reader of standard output that has gone is no failure.
    pub(crate) fn finish(self, summary: &Summary) -> anyhow::Result<()> {
        drop(self.running);
        let reported = self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread that reports panicked")));
        let told = reported.and_then(|()| if self.json { print_json(summary) } else { print_words(summary) });
        match told {
            Err(error) if framebus_program::has_no_reader(&error) => Ok(()),
            told => told.context("can not write to standard output"),
        }
    }
}

fn report(stream: &str, counts: &Counts, interval: Duration, json: bool, ended: &Receiver<()>) -> io::Result<()> {
    let status = (!json).then(Status::new);
    let (mut begun, mut before) = (Instant::now(), counts.tally());
    let mut due = begun + interval;
    while ended.recv_deadline(due) == Err(RecvTimeoutError::Timeout) {
        let (now, tally) = (Instant::now(), counts.tally());
        let seconds = (now - begun).as_secs_f64();
        let line = Interval {
            stream: stream.to_owned(),
            published: tally.published - before.published,
            drops: tally.drops - before.drops,
            late: tally.late - before.late,
            abandoned: tally.abandoned - before.abandoned,
            restarts: tally.restarts - before.restarts,
            lost: tally.lost - before.lost,
            evicted: tally.evicted - before.evicted,
            rate_hz: thousandths((tally.published - before.published) as f64 / seconds),
            seconds: thousandths(seconds),
            last_sequence: counts.last_sequence(),
        };
        tell_trouble(stream, counts, line.drops);
        match &status {
            Some(status) => status.show(&line),
            None => print_json(&line)?,
        }
        (begun, before) = (now, tally);
        due = (due + interval).max(now);
    }
    tell_trouble(stream, counts, counts.tally().drops - before.drops);
    Ok(())
}

/// Why frames were refused, and who was evicted.
fn tell_trouble(stream: &str, counts: &Counts, refused: u64) {
    let sequence = counts.last_sequence().unwrap_or(0);
    for why in counts.take_trouble().into_iter().chain(counts.take_evictions()) {
        aside(|| tracing::warn!(stream, sequence, refused, "{why}"));
    }
}

fn print_json(line: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_string(line)?;
    text.push('\n');
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn print_words(summary: &Summary) -> io::Result<()> {
    let sequences = match (summary.first_sequence, summary.last_sequence) {
        (Some(first), Some(last)) => format!(", sequences {first} to {last}"),
        _ => String::new(),
    };
    let Summary { stream, published, seconds, rate_hz, drops, late, abandoned, restarts, lost, evicted, .. } = summary;
    // Of most sources there is nothing to say here.
    let more: String =
        [(restarts, "new starts of the source"), (lost, "lost by the camera"), (evicted, "viewers evicted")]
            .into_iter()
            .filter(|(count, _)| **count > 0)
            .map(|(count, what)| format!(", {count} {what}"))
            .collect();
    // Whoever closed standard error does not want to know.
    let _ = writeln!(
        io::stderr(),
        "{stream}: {published} frames in {seconds:.1} s, {rate_hz:.2} Hz; {drops} dropped, {late} late, {abandoned} \
         abandoned{more}{sequences}"
    );
    Ok(())
}

/// The line on the terminal that is rewritten, where there is one: a process has one standard error.
static LINE: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Prints something else to standard error, without the status line in between.
pub(crate) fn aside(print: impl FnOnce()) {
    let line = LINE.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match line {
        Some(line) => line.suspend(print),
        None => print(),
    }
}

/// The status on standard error.
struct Status {
    /// The line that is rewritten, on a terminal.
    line: Option<ProgressBar>,
}

impl Status {
    fn new() -> Self {
        let line = io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{spinner} {msg}").ok();
            let line = ProgressBar::new_spinner();
            style.into_iter().fold(line, ProgressBar::with_style)
        });
        LINE.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&line);
        Self { line }
    }

    fn show(&self, interval: &Interval) {
        let Interval { stream, rate_hz, published, drops, late, evicted, .. } = interval;
        let mut text = format!("{stream}: {rate_hz:.1} Hz, {published} published, {drops} dropped, {late} late");
        if *evicted > 0 {
            text.push_str(&format!(", {evicted} evicted"));
        }
        match &self.line {
            Some(line) => {
                line.set_message(text);
                line.tick();
            }
            None => {
                let _ = writeln!(io::stderr(), "{text}");
            }
        }
    }
}

impl Drop for Status {
    fn drop(&mut self) {
        if let Some(line) = &self.line {
            *LINE.lock().unwrap_or_else(PoisonError::into_inner) = None;
            line.finish_and_clear();
        }
    }
}
