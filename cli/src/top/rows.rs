//! Which rows the table has, and in which order: streams, and their subscribers below them.

use std::cmp::Ordering;

use super::look::{Holder, StreamKey};
use super::trouble::{self, Severity, Trouble};
use super::ui::{Sort, Ui};
use super::watch::{Watch, Watched, WatchedSubscriber};

/// What makes a row the same one at the next look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowKey {
    pub stream: StreamKey,
    /// `None`: the row of the stream itself.
    pub holder: Option<Holder>,
}

/// A row of the table.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    pub stream: &'a Watched,
    pub what: What<'a>,
    pub troubles: Vec<Trouble>,
}

/// Whose row it is.
#[derive(Clone, Debug)]
pub enum What<'a> {
    Stream { fold: Fold },
    Subscriber { subscriber: &'a WatchedSubscriber, is_last: bool },
}

/// Whether a stream's subscribers are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    /// It has none.
    Nothing,
    Open,
    Closed,
}

impl Row<'_> {
    pub fn key(&self) -> RowKey {
        let holder = match &self.what {
            What::Stream { .. } => None,
            What::Subscriber { subscriber, .. } => Some(subscriber.now.holder.clone()),
        };
        RowKey { stream: self.stream.now.key.clone(), holder }
    }

    pub fn severity(&self) -> Severity {
        trouble::severity(&self.troubles)
    }
}

/// The rows of the table.
pub fn rows<'a>(watch: &'a Watch, ui: &Ui) -> Vec<Row<'a>> {
    let mut rows = Vec::new();
    for stream in streams(watch, ui) {
        let shown = shown_subscribers(stream, &ui.filter);
        let fold = match ui.folded.contains(&stream.now.key) {
            _ if shown.is_empty() => Fold::Nothing,
            true => Fold::Closed,
            false => Fold::Open,
        };
        rows.push(Row { stream, what: What::Stream { fold }, troubles: trouble::of_stream(stream, watch.at_ns) });
        let last = shown.len().saturating_sub(1);
        let below = shown.into_iter().enumerate().filter(|_| fold == Fold::Open);
        rows.extend(below.map(|(index, subscriber)| Row {
            stream,
            what: What::Subscriber { subscriber, is_last: index == last },
            troubles: trouble::of_subscriber(stream, subscriber),
        }));
    }
    rows
}

/// The streams that pass the filter, in the order asked for.
pub fn streams<'a>(watch: &'a Watch, ui: &Ui) -> Vec<&'a Watched> {
    let mut streams: Vec<_> = watch.streams.values().filter(|stream| passes(stream, &ui.filter)).collect();
    // Stable, so that equal ones stay in the order of their names.
    streams.sort_by(|a, b| {
        let order = compare(a, b, ui.sort, watch.at_ns);
        if ui.reverse { order.reverse() } else { order }
    });
    streams
}

fn passes(stream: &Watched, filter: &str) -> bool {
    contains(&stream.now.key.name, filter)
        || stream.subscribers.iter().any(|one| contains(&one.now.holder.label, filter))
}

/// All of them where the stream itself passes the filter, else those that do.
fn shown_subscribers<'a>(stream: &'a Watched, filter: &str) -> Vec<&'a WatchedSubscriber> {
    let all = contains(&stream.now.key.name, filter);
    stream.subscribers.iter().filter(|one| all || contains(&one.now.holder.label, filter)).collect()
}

fn contains(text: &str, filter: &str) -> bool {
    text.to_lowercase().contains(&filter.to_lowercase())
}

/// Names from a to z, everything else with the most first.
fn compare(a: &Watched, b: &Watched, sort: Sort, at_ns: u64) -> Ordering {
    let most = |value: fn(&Watched) -> f64| value(b).total_cmp(&value(a));
    match sort {
        Sort::Name => a.now.key.cmp(&b.now.key),
        Sort::Rate => most(|stream| stream.rates.published_hz.unwrap_or(-1.0)),
        // One without any frame is older than all.
        Sort::Age => most(|stream| stream.now.age_ns.map_or(f64::MAX, |age_ns| age_ns as f64)),
        Sort::Drops => most(|stream| stream.rates.refused_hz.unwrap_or(0.0)),
        Sort::Skipped => most(skipped_hz),
        Sort::Memory => b.now.resident_bytes.cmp(&a.now.resident_bytes),
        Sort::Trouble => worst(b, at_ns).cmp(&worst(a, at_ns)),
    }
}

fn skipped_hz(stream: &Watched) -> f64 {
    stream.subscribers.iter().filter_map(|one| one.rates.skipped_hz).sum()
}

/// How badly off a stream and its subscribers are.
pub fn worst(stream: &Watched, at_ns: u64) -> Severity {
    let subscribers = stream.subscribers.iter().map(|one| trouble::severity(&trouble::of_subscriber(stream, one)));
    subscribers.chain([trouble::severity(&trouble::of_stream(stream, at_ns))]).max().unwrap_or(Severity::Good)
}
