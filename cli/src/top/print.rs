//! Looks for scripts and logs: as text, or one JSON object a stream.

use std::io::Write;

use framebus::StreamStatus;
use framebus_program::stream_json;
use serde_json::{Value, json};

use super::cells::{self, Column};
use super::look::StreamKey;
use super::paint::sign;
use super::rows;
use super::trouble::{self, Severity, Trouble};
use super::ui::{Probed, Ui};
use super::watch::{Watch, Watched};

/// The columns between name and trouble, and their widths.
const COLUMNS: [(Column, usize); 10] = [
    (Column::Pid, 7),
    (Column::Hz, 6),
    (Column::Age, 8),
    (Column::LatencyP50, 7),
    (Column::LatencyP99, 7),
    (Column::Skipped, 6),
    (Column::Missed, 6),
    (Column::Drops, 6),
    (Column::Held, 6),
    (Column::Memory, 8),
];

/// One look as text, in the order asked for.
pub fn text(out: &mut impl Write, watch: &Watch, ui: &Ui) -> std::io::Result<()> {
    let probed = ui.probed != Probed::Nobody;
    let is_shown = |column| probed || !matches!(column, Column::LatencyP50 | Column::LatencyP99);
    let columns: Vec<_> = COLUMNS.into_iter().filter(|&(column, _)| is_shown(column)).collect();
    let width = watch.streams.values().map(width).max().unwrap_or(0).max(22);
    let row = |sign: &str, name: &str, cell: &dyn Fn(Column) -> String, trouble: &str| {
        let cells: String = columns.iter().map(|&(column, width)| format!(" {:>width$}", cell(column))).collect();
        format!("{sign} {name:<width$}{cells}  {trouble}").trim_end().to_owned()
    };
    let head = |column: Column| column.head().to_owned();
    writeln!(out, "{}", row(" ", Column::Name.head().trim(), &head, Column::Trouble.head()))?;
    for stream in rows::streams(watch, ui) {
        let troubles = trouble::of_stream(stream, watch.at_ns);
        let cell = |column| cells::of_stream(column, stream);
        let sign = sign(trouble::severity(&troubles));
        writeln!(out, "{}", row(sign, &stream.now.key.name, &cell, &words(&troubles)))?;
        for subscriber in &stream.subscribers {
            let troubles = trouble::of_subscriber(stream, subscriber);
            let cell = |column| cells::of_subscriber(column, stream, subscriber);
            let name = format!("  {}", cells::name(subscriber));
            writeln!(out, "{}", row(sign_of_subscriber(&troubles), &name, &cell, &words(&troubles)))?;
        }
    }
    Ok(())
}

/// Below their stream, only those that need it have a sign.
fn sign_of_subscriber(troubles: &[Trouble]) -> &'static str {
    match trouble::severity(troubles) {
        Severity::Good => " ",
        severity => sign(severity),
    }
}

fn width(stream: &Watched) -> usize {
    let labels = stream.subscribers.iter().map(|one| cells::name(one).chars().count() + 2);
    labels.chain([stream.now.key.name.chars().count()]).max().unwrap_or(0)
}

fn words(troubles: &[Trouble]) -> String {
    let texts: Vec<_> = troubles.iter().map(|trouble| trouble.text.as_str()).collect();
    texts.join("; ")
}

/// One object a stream; the keys are in docs/json.md.
pub fn json(out: &mut impl Write, watch: &Watch, statuses: &[StreamStatus]) -> std::io::Result<()> {
    for status in statuses {
        let Some(stream) = watch.streams.get(&StreamKey::of(status)) else { continue };
        // Of two of one name, only the one that counts.
        if stream.now.segment_id == status.segment_id {
            writeln!(out, "{}", object(status, stream, watch))?;
        }
    }
    out.flush()
}

fn object(status: &StreamStatus, stream: &Watched, watch: &Watch) -> Value {
    let mut object = stream_json(status);
    let rates = &stream.rates;
    object["seconds"] = json!(watch.seconds.map(thousandths));
    object["published"] = json!(rates.published);
    object["published_hz"] = json!(rates.published_hz.map(thousandths));
    object["refused_hz"] = json!(rates.refused_hz.map(thousandths));
    object["abandoned_hz"] = json!(rates.abandoned_hz.map(thousandths));
    object["late_hz"] = json!(rates.late_hz.map(thousandths));
    object["evicted_now"] = json!(rates.evicted);
    let latency = stream.probe.as_ref().and_then(|probe| probe.latency);
    object["latency_p50_ns"] = json!(latency.map(|latency| latency.p50_ns));
    object["latency_p99_ns"] = json!(latency.map(|latency| latency.p99_ns));
    object["latency_max_ns"] = json!(latency.map(|latency| latency.max_ns));
    object["probe_error"] =
        json!(stream.probe.as_ref().and_then(|probe| probe.fault.as_ref()).map(|fault| &fault.text));
    object["restarts"] = json!(stream.restarts);
    object["trouble"] = troubles(&trouble::of_stream(stream, watch.at_ns));
    for (index, subscriber) in stream.subscribers.iter().enumerate() {
        let object = &mut object["subscribers"][index];
        let rates = &subscriber.rates;
        object["seen_hz"] = json!(rates.seen_hz.map(thousandths));
        object["skipped_hz"] = json!(rates.skipped_hz.map(thousandths));
        object["missed_hz"] = json!(rates.missed_hz.map(thousandths));
        object["refused_hz"] = json!(rates.refused_hz.map(thousandths));
        object["blamed_hz"] = json!(rates.blamed_hz.map(thousandths));
        object["violations_hz"] = json!(rates.violations_hz.map(|kinds| thousandths(kinds.iter().sum())));
        for (name, times) in [("latency", rates.latency), ("age", rates.age), ("hold", rates.hold)] {
            object[format!("interval_{name}_p50_ns")] = json!(times.map(|times| times.p50_ns));
            object[format!("interval_{name}_p99_ns")] = json!(times.map(|times| times.p99_ns));
            object[format!("interval_{name}_max_ns")] = json!(times.map(|times| times.max_ns));
        }
        object["trouble"] = troubles(&trouble::of_subscriber(stream, subscriber));
    }
    object
}

fn troubles(troubles: &[Trouble]) -> Value {
    let word = |severity| if severity == Severity::Bad { "bad" } else { "attention" };
    troubles.iter().map(|trouble| json!({ "severity": word(trouble.severity), "text": trouble.text })).collect()
}

fn thousandths(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::top::testing::{look, measured, robot};
    use crate::top::ui::Sort;

    fn printed(watch: &Watch, probed: Probed) -> String {
        let mut out = Vec::new();
        let mut ui = Ui::new(Duration::ZERO, Sort::Name);
        ui.probed = probed;
        text(&mut out, watch, &ui).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn one_look_as_text_has_what_the_table_has() {
        let mut watch = Watch::default();
        robot().into_iter().for_each(|look| watch.take(look));
        let expected = "\
\u{20} STREAM / subscriber        PID     HZ      AGE SKIP/s MISS/s DROP/s   HELD   MEMORY  TROUBLE
✖ robot/front               4000    2.0    10 ms                 28.0    2/3  2.6 MiB  drops 28.0/s due to slow (pid 4200)
    recorder                4100    2.0        –      0      0      0    0/2
✖   slow                    4200    2.0        –      0      0   28.0    2/2           the culprit: 28.0 frames/s \
refused; holds all 2 it may
✖ robot/imu                 gone      0    8.0 s                    0   0/18  4.0 KiB  publisher gone
● robot/rear                4000   30.0    10 ms                    0   0/18  2.6 MiB
    web                     4300   10.0    -2 fr   20.0      0      0    0/2
";
        assert_eq!(printed(&watch, Probed::Nobody), expected);
        // What has gone has no process and no figures any more.
        watch.take(look(2.0, Vec::new()));
        let text = printed(&watch, Probed::Nobody);
        let words: Vec<_> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(words.join(" "), "▲ robot/front – closed and removed 0 ns ago");
    }

    #[test]
    fn latencies_are_those_of_our_probes_and_a_full_stream_says_so() {
        let mut watch = Watch::default();
        robot().into_iter().for_each(|look| watch.take(look));
        watch.note(&measured());
        let text = printed(&watch, Probed::Shown);
        let lines: Vec<_> = text.lines().collect();
        let head = "  STREAM / subscriber        PID     HZ      AGE LAT p50 LAT p99 SKIP/s";
        assert!(lines[0].starts_with(head), "{text}");
        let front = "✖ robot/front               4000    2.0    10 ms   24 µs  591 µs                 28.0";
        assert!(lines[1].starts_with(front), "{text}");
        let rear = "● robot/rear                4000   30.0    10 ms    full       –                    0";
        assert!(lines[5].starts_with(rear), "{text}");
        // Nobody publishes it, so it has no probe; nor has a subscriber.
        for line in [lines[2], lines[4]] {
            assert_eq!(line.chars().skip(51).take(16).collect::<String>().trim(), "", "{text}");
        }
    }
}
