//! What stands in the cells, as plain text: the same on a screen and in `--once`.

use framebus::PublisherState;
use framebus_program::{duration, publisher_state};

use super::format::{memory, rate};
use super::probe;
use super::watch::{Watched, WatchedSubscriber};

/// A column: what it tells of a stream, and what of a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// How well it is, its name or label.
    Name,
    /// Process.
    Pid,
    /// Frames published, or seen, a second.
    Hz,
    /// The nominal rate.
    Nominal,
    /// Of the newest frame; of a subscriber, how many frames it is behind.
    Age,
    /// What our own probe measured in the last interval; of a subscriber, what it measured itself.
    LatencyP50,
    LatencyP99,
    /// Of a subscriber: from capture until it took the frame, 99th percentile of the last interval.
    FrameAge,
    /// Of a subscriber: how long it held a frame, likewise.
    Hold,
    Skipped,
    Missed,
    /// Frames refused, or refused because of it.
    Drops,
    Late,
    /// Frames held: of the slots, or of what one may hold.
    Held,
    Memory,
    Backend,
    Trouble,
}

impl Column {
    pub fn head(self) -> &'static str {
        match self {
            Column::Name => "  STREAM / subscriber",
            Column::Pid => "PID",
            Column::Hz => "HZ",
            Column::Nominal => "OF",
            Column::Age => "AGE",
            Column::LatencyP50 => "LAT p50",
            Column::LatencyP99 => "LAT p99",
            Column::FrameAge => "AGE p99",
            Column::Hold => "HOLD99",
            Column::Skipped => "SKIP/s",
            Column::Missed => "MISS/s",
            Column::Drops => "DROP/s",
            Column::Late => "LATE/s",
            Column::Held => "HELD",
            Column::Memory => "MEMORY",
            Column::Backend => "BACKEND",
            Column::Trouble => "TROUBLE",
        }
    }
}

/// What a subscriber calls itself; our own probe is told from others of its label.
pub fn name(subscriber: &WatchedSubscriber) -> String {
    let holder = &subscriber.now.holder;
    let is_ours = holder.pid == Some(std::process::id()) && holder.label == probe::LABEL;
    format!("{}{}", holder.name(), if is_ours { " (our probe)" } else { "" })
}

/// A stream's cell; names and troubles are told by whoever draws them. Of one that has vanished there is nothing to tell.
pub fn of_stream(column: Column, stream: &Watched) -> String {
    let (now, rates) = (&stream.now, &stream.rates);
    match column {
        Column::Pid if stream.vanished_ns.is_some() => "–".to_owned(),
        _ if stream.vanished_ns.is_some() => String::new(),
        Column::Pid => match now.publisher {
            PublisherState::Alive => pid(now.publisher_pid),
            publisher => publisher_state(publisher).to_owned(),
        },
        Column::Hz => number(rates.published_hz),
        Column::Nominal => now.nominal_hz.map_or_else(String::new, rate),
        Column::Age => now.age_ns.map_or_else(|| "–".to_owned(), duration),
        Column::LatencyP50 | Column::LatencyP99 => stream.probe.as_ref().map_or_else(String::new, |probe| {
            match (probe.latency, &probe.fault, column) {
                (Some(latency), _, Column::LatencyP50) => duration(latency.p50_ns),
                (Some(latency), ..) => duration(latency.p99_ns),
                // There is no place for a probe.
                (None, Some(fault), Column::LatencyP50) if fault.is_full => "full".to_owned(),
                _ => "–".to_owned(),
            }
        }),
        Column::Drops => number(rates.refused_hz),
        Column::Late => number(rates.late_hz),
        Column::Held => format!("{}/{}", now.held(), now.slots),
        Column::Memory => memory(now.resident_bytes),
        Column::Backend => now.key.backend.clone(),
        Column::Name | Column::FrameAge | Column::Hold | Column::Skipped | Column::Missed | Column::Trouble => {
            String::new()
        }
    }
}

/// A subscriber's cell.
pub fn of_subscriber(column: Column, stream: &Watched, subscriber: &WatchedSubscriber) -> String {
    let (now, rates) = (&subscriber.now, &subscriber.rates);
    match column {
        Column::Pid => pid(now.holder.pid),
        Column::Hz => number(rates.seen_hz),
        Column::Age => behind(stream.now.last_sequence, now.last_sequence),
        Column::Skipped => number(rates.skipped_hz),
        Column::Missed => number(rates.missed_hz),
        Column::Drops => number(rates.blamed_hz),
        Column::Held => format!("{}/{}", now.held, stream.now.max_held),
        Column::LatencyP50 => time(rates.latency.map(|times| times.p50_ns)),
        Column::LatencyP99 => time(rates.latency.map(|times| times.p99_ns)),
        Column::FrameAge => time(rates.age.map(|times| times.p99_ns)),
        Column::Hold => time(rates.hold.map(|times| times.p99_ns)),
        _ => String::new(),
    }
}

fn pid(pid: Option<u32>) -> String {
    pid.map_or_else(|| "?".to_owned(), |pid| pid.to_string())
}

fn time(ns: Option<u64>) -> String {
    ns.map_or_else(String::new, duration)
}

fn number(hz: Option<f64>) -> String {
    hz.map_or_else(|| "–".to_owned(), rate)
}

/// How many frames are newer than the newest one taken.
fn behind(newest: u64, taken: u64) -> String {
    match newest.saturating_sub(taken) {
        0 => "–".to_owned(),
        _ if taken == 0 => "none".to_owned(),
        frames if frames < 10_000 => format!("-{frames} fr"),
        frames => format!("-{}k fr", frames / 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_behind_is_so_by_frames() {
        let texts = [(7, 7), (7, 0), (7, 9), (300, 298), (50_000, 1)].map(|(newest, taken)| behind(newest, taken));
        assert_eq!(texts, ["–", "none", "–", "-2 fr", "-49k fr"]);
    }
}
