//! Looks for scripts and logs: as text, or one JSON object a stream.

use std::io::Write;
use std::time::Duration;

use framebus::StreamStatus;
use framebus_program::{duration, publisher_state, stream_json};
use serde_json::{Value, json};

use super::format::{memory, rate};
use super::look::StreamKey;
use super::paint::sign;
use super::rows;
use super::trouble::{self, Severity, Trouble};
use super::ui::{Sort, Ui};
use super::watch::{Watch, Watched, WatchedSubscriber};

/// One look as text, in the order asked for.
pub fn text(out: &mut impl Write, watch: &Watch, sort: Sort) -> std::io::Result<()> {
    let width = watch.streams.values().map(width).max().unwrap_or(0).max(22);
    writeln!(
        out,
        "  {:<width$} {:>7} {:>6} {:>8} {:>6} {:>6} {:>6} {:>6} {:>8}  TROUBLE",
        "STREAM / subscriber", "PID", "HZ", "AGE", "SKIP/s", "MISS/s", "DROP/s", "HELD", "MEMORY"
    )?;
    for stream in rows::streams(watch, &Ui::new(Duration::ZERO, sort)) {
        let (now, rates) = (&stream.now, &stream.rates);
        let troubles = trouble::of_stream(stream, watch.at_ns);
        let pid = now.publisher_pid.map_or_else(|| pid_word(stream).to_owned(), |pid| pid.to_string());
        let line = format!(
            "{} {:<width$} {pid:>7} {:>6} {:>8} {:>6} {:>6} {:>6} {:>6} {:>8}  {}",
            sign(trouble::severity(&troubles)),
            now.key.name,
            hz(rates.published_hz),
            now.age_ns.map_or("–".to_owned(), duration),
            "",
            "",
            hz(rates.refused_hz),
            format!("{}/{}", now.held(), now.slots),
            memory(now.resident_bytes),
            words(&troubles)
        );
        writeln!(out, "{}", line.trim_end())?;
        for subscriber in &stream.subscribers {
            text_of_subscriber(out, stream, subscriber, width)?;
        }
    }
    Ok(())
}

fn text_of_subscriber(
    out: &mut impl Write,
    stream: &Watched,
    subscriber: &WatchedSubscriber,
    width: usize,
) -> std::io::Result<()> {
    let (now, rates) = (&subscriber.now, &subscriber.rates);
    let troubles = trouble::of_subscriber(stream, subscriber);
    let severity = trouble::severity(&troubles);
    let line = format!(
        "{} {:<width$} {:>7} {:>6} {:>8} {:>6} {:>6} {:>6} {:>6} {:>8}  {}",
        if severity > Severity::Good { sign(severity) } else { " " },
        format!("  {}", now.holder.name()),
        now.holder.pid.map_or("?".to_owned(), |pid| pid.to_string()),
        hz(rates.seen_hz),
        match stream.now.last_sequence.saturating_sub(now.last_sequence) {
            0 => String::new(),
            frames => format!("-{frames} fr"),
        },
        hz(rates.skipped_hz),
        hz(rates.missed_hz),
        hz(rates.blamed_hz),
        format!("{}/{}", now.held, stream.now.max_held),
        "",
        words(&troubles)
    );
    writeln!(out, "{}", line.trim_end())
}

fn width(stream: &Watched) -> usize {
    let labels = stream.subscribers.iter().map(|one| one.now.holder.name().chars().count() + 2);
    labels.chain([stream.now.key.name.chars().count()]).max().unwrap_or(0)
}

fn pid_word(stream: &Watched) -> &'static str {
    match stream.now.publisher {
        framebus::PublisherState::Alive => "?",
        publisher => publisher_state(publisher),
    }
}

fn hz(hz: Option<f64>) -> String {
    hz.map_or("–".to_owned(), rate)
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
