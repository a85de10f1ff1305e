//! What the user sees: a live line, remarks, JSON, and the last words.
//!
//! Words go to standard error, and errors in writing them are ignored: nobody is there to be told. JSON goes to standard
//! output, unless frames go there.

use crate::arguments::Arguments;
use crate::contract;
use crate::figures::{Interval, Summary};
use crate::run::End;
/// Times, as the viewer tells them.
pub(crate) use framebus_program::fine_duration as time_text;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

/// An event for an operator's log. In the journal it is one, in place of the words; elsewhere words say the same, and the event is
/// for debugging. With --quiet, too, standard error has nothing but objects and errors.
macro_rules! event {
    ($status:expr, $($field:tt)*) => {
        if $status.is_logged() { tracing::info!($($field)*) } else { tracing::debug!($($field)*) }
    };
}
pub(crate) use event;

/// How the figures of an interval are shown.
#[derive(Debug)]
enum Live {
    Off,
    /// A line that renews itself, on a terminal.
    Line(ProgressBar),
    /// A line an interval.
    Lines,
}

/// Where JSON objects go.
#[derive(Clone, Copy, Debug)]
enum Json {
    Off,
    Stdout,
    Stderr,
}

/// Shows how the run is going.
#[derive(Debug)]
pub(crate) struct Status {
    live: Live,
    json: Json,
    quiet: bool,
    /// Standard error is the journal of systemd, and may have words.
    logged: bool,
    /// Nothing is said before the summary: the picture is where it would be read.
    covered: bool,
    /// The counts of torn frames are shown.
    verify: bool,
    /// The counts of recorded frames, likewise.
    record: bool,
}

impl Status {
    pub(crate) fn new(arguments: &Arguments) -> Self {
        let json = match (arguments.json, arguments.pipe.is_some() || arguments.terminal) {
            (false, _) => Json::Off,
            (true, false) => Json::Stdout,
            (true, true) => Json::Stderr,
        };
        let covered = arguments.terminal && io::stderr().is_terminal();
        let live = if arguments.quiet || arguments.json || covered {
            Live::Off
        } else if io::stderr().is_terminal() {
            let bar = ProgressBar::new_spinner();
            bar.set_style(
                ProgressStyle::with_template("{spinner} {wide_msg}").unwrap_or(ProgressStyle::default_spinner()),
            );
            Live::Line(bar)
        } else {
            Live::Lines
        };
        Self {
            live,
            json,
            quiet: arguments.quiet,
            logged: framebus_program::is_journal() && !arguments.quiet,
            covered,
            verify: arguments.verify,
            record: arguments.record.is_some(),
        }
    }

    /// Whether events stand in place of words.
    pub(crate) fn is_logged(&self) -> bool {
        self.logged
    }

    /// Tells the log how the run ended.
    pub(crate) fn ended(&self, end: End, summary: &Summary) {
        let Summary { stream, frames, skipped, missed, torn, restarts, epochs, .. } = summary;
        let cause = match end {
            End::Frames => "all frames came",
            End::Seconds => "the time is over",
            End::Interrupted => framebus_program::signal_name().unwrap_or("interrupted"),
            End::Closed => "the producer has closed the stream",
            End::PipeClosed => "nobody reads standard output",
            End::Quit => "the user has quit",
        };
        let sequence = summary.last_sequence.unwrap_or(0);
        event!(self, stream, sequence, cause, frames, skipped, missed, torn, restarts, epochs, "viewer ended");
    }

    /// The picture is gone from where words are read.
    pub(crate) fn uncover(&mut self) {
        self.covered = false;
    }

    /// Says something once.
    pub(crate) fn say(&self, text: &str) {
        match &self.live {
            _ if self.quiet || self.covered => {}
            Live::Line(bar) => bar.suspend(|| write_line(text)),
            Live::Off | Live::Lines => write_line(text),
        }
    }

    /// Says that something is not as it should be.
    pub(crate) fn warn(&self, text: &str) {
        match &self.live {
            _ if self.quiet || self.covered => {}
            Live::Line(bar) => bar.suspend(|| tracing::warn!("{text}")),
            Live::Off | Live::Lines => tracing::warn!("{text}"),
        }
    }

    /// Shows that we are still alive.
    pub(crate) fn beat(&self) {
        if let Live::Line(bar) = &self.live {
            bar.tick();
        }
    }

    /// Shows an interval's figures.
    ///
    /// # Errors
    /// Where JSON can not be written.
    pub(crate) fn interval(&self, interval: &Interval<'_>) -> io::Result<()> {
        match &self.live {
            Live::Line(bar) => bar.set_message(interval_text(interval, self.verify, self.record)),
            Live::Lines => write_line(&interval_text(interval, self.verify, self.record)),
            Live::Off => {}
        }
        self.write_json(interval)
    }

    /// Says how it was with a stream that is left for another one.
    ///
    /// # Errors
    /// Where JSON can not be written.
    pub(crate) fn turn(&self, summary: &Summary) -> io::Result<()> {
        self.say(&summary_text(summary, self.verify, self.record));
        self.write_json(summary)
    }

    /// Says how it was, in words, then why the run failed in spite of that, and then all in JSON, which is the last line.
    ///
    /// # Errors
    /// Where JSON can not be written.
    pub(crate) fn summary(&self, summary: &Summary, fault: Option<&str>) -> io::Result<()> {
        if let Live::Line(bar) = &self.live {
            bar.finish_and_clear();
        }
        if !self.quiet {
            write_line(&summary_text(summary, self.verify, self.record));
        }
        if let Some(fault) = fault {
            tracing::error!("{fault}");
        }
        self.write_json(summary)
    }

    fn write_json(&self, object: &impl Serialize) -> io::Result<()> {
        let line = |out: &mut dyn Write| {
            let mut text = serde_json::to_vec(object)?;
            text.push(b'\n');
            out.write_all(&text)?;
            out.flush()
        };
        match self.json {
            Json::Off => Ok(()),
            Json::Stdout => line(&mut io::stdout().lock()),
            Json::Stderr => line(&mut io::stderr().lock()),
        }
    }
}

fn write_line(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

fn interval_text(interval: &Interval<'_>, verify: bool, record: bool) -> String {
    let Interval { stream, fps, skipped, missed, held, torn, .. } = interval;
    let mut text = format!("{stream}  {fps:.1} Hz");
    let latency = &interval.latency;
    match (latency.latency_p50_ns, latency.latency_p99_ns, latency.latency_max_ns) {
        (Some(p50), Some(p99), Some(max)) => {
            let [p50, p99, max] = [p50, p99, max].map(time_text);
            text.push_str(&format!("  latency p50 {p50} p99 {p99} max {max}"));
        }
        _ => text.push_str("  no new frame"),
    }
    if let Some(age_ns) = interval.age_ns {
        text.push_str(&format!("  age {}", time_text(age_ns)));
    }
    text.push_str(&format!("  skipped {skipped}  missed {missed}  held {held}"));
    if verify {
        text.push_str(&format!("  torn {torn}"));
    }
    if record {
        text.push_str(&format!("  recorded {}", interval.recorded));
    }
    if interval.record_skipped > 0 {
        text.push_str(&format!("  not recorded {}", interval.record_skipped));
    }
    for (count, what) in [(interval.violations.total(), "violations"), (interval.evicted, "evicted")] {
        if count > 0 {
            text.push_str(&format!("  {what} {count}"));
        }
    }
    text
}

fn summary_text(summary: &Summary, verify: bool, record: bool) -> String {
    let Summary { stream, frames, skipped, missed, .. } = summary;
    let seconds = Duration::from_secs_f64(summary.seconds);
    let mut text = format!("{stream}: {frames} frames in {seconds:.1?}");
    if let (Some(first), Some(last)) = (summary.first_sequence, summary.last_sequence) {
        text.push_str(&format!(", {:.2} Hz, sequences {first} to {last}", summary.fps));
    }
    if let (Some(p50), Some(p99), Some(max)) = (summary.latency_p50_ns, summary.latency_p99_ns, summary.latency_max_ns)
    {
        let [p50, p99, max] = [p50, p99, max].map(time_text);
        text.push_str(&format!("\nlatency p50 {p50}, p99 {p99}, max {max}"));
    }
    let foretold = summary.predicted + summary.mispredicted;
    if foretold > 0 {
        let spun = 100.0 * summary.spun_ns as f64 / 1e9 / summary.seconds;
        text.push_str(&format!("\nforetold {} of {foretold}, spinning for {spun:.2} % of the time", summary.predicted));
    }
    let published = summary.published();
    text.push_str(&match skipped {
        0 => "\nskipped 0".to_owned(),
        _ => format!("\nskipped {skipped} of {published}: newer frames were taken"),
    });
    if *missed > 0 {
        text.push_str(&format!(
            "\nmissed {missed} of {published}: gone before they were asked for; a longer history keeps them longer, and \
             on_full = \"wait\" until they are read"
        ));
    }
    if verify {
        text.push_str(&format!("\ntorn {} of {} verified", summary.torn, summary.verified));
    }
    if record {
        text.push_str(&format!("\nrecorded {}", summary.recorded));
    }
    if summary.record_skipped > 0 {
        text.push_str(&format!(
            ", skipped {}: encoder or disk were too slow; more --record-threads may help, --record-kind raw or jpg, or \
             --mode every on a stream that waits",
            summary.record_skipped
        ));
    }
    text.push_str(&contract::summary_text(summary));
    if summary.restarts > 0 {
        text.push_str(&format!("\nthe producer came back {} times", summary.restarts));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::{Counts, Figures};

    #[test]
    fn the_last_words_explain_what_was_not_seen() {
        let mut figures = Figures::new("robot/front".into(), "viewer".into());
        figures.saw(3, 0, 0, Some(1500));
        figures.saw(13, 0, 500_000_000, Some(2500));
        let counts = Counts {
            frames: 2,
            skipped: 7,
            missed: 2,
            verified: 2,
            torn: 1,
            recorded: 1,
            record_skipped: 1,
            ..Counts::default()
        };
        let text = summary_text(&figures.summary(counts, Duration::from_secs(2)), true, true);
        assert_eq!(
            text,
            "robot/front: 2 frames in 2.0s, 2.00 Hz, sequences 3 to 13\nlatency p50 1.50 µs, p99 2.50 µs, max 2.50 \
             µs\nskipped 7 of 11: newer frames were taken\nmissed 2 of 11: gone before they were asked for; a longer \
             history keeps them longer, and on_full = \"wait\" until they are read\ntorn 1 of 2 verified\nrecorded 1, skipped \
             1: encoder or disk were too slow; more --record-threads may help, --record-kind raw or jpg, or --mode every on a \
             stream that waits"
        );
    }

    #[test]
    fn a_live_line_has_all_figures() {
        let mut figures = Figures::new("robot/front".into(), "viewer".into());
        let counts = Counts::default();
        let text = interval_text(&figures.end_interval(counts, Duration::from_secs(1), 0, 0), false, false);
        assert_eq!(text, "robot/front  0.0 Hz  no new frame  skipped 0  missed 0  held 0");
        figures.saw(1, 1_000, 2_000, Some(800));
        let counts = Counts { frames: 1, skipped: 2, ..counts };
        let text = interval_text(&figures.end_interval(counts, Duration::from_secs(2), 17_000, 1), true, true);
        assert_eq!(
            text,
            "robot/front  1.0 Hz  latency p50 800 ns p99 800 ns max 800 ns  age 16.0 µs  skipped 2  missed 0  held 1  torn 0  recorded 0"
        );
    }
}
