//! The books: what each second had, what happened, and which promise was broken.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use framebus::{PlaceHolder, StreamStatus, now_ns};

use super::arguments::Settings;
use super::events::{Event, Events};
use super::timeline::{Row, Timeline};
use super::verdict::{Finding, Findings, Promise};
use super::witness::{self, Remark, Tally, Witness};

/// A stream that stands still for longer than this does not go on.
pub(super) const LONGEST_SILENCE_S: u64 = 15;

/// So many are remembered.
const CAUSES: usize = 32;

/// Something that was done to a producer, and may explain a pause.
#[derive(Clone, Debug)]
struct Cause {
    at_ns: u64,
    what: String,
    label: String,
    pid: u32,
}

/// A stream's page.
#[derive(Default)]
pub(super) struct Page {
    pub timeline: Timeline,
    /// The present second, so far.
    pub row: Row,
    /// What was done last to the producers. Several: a witness's remark may be a moment old.
    causes: VecDeque<Cause>,
    /// What the stream's header had at the last look: its segment, refused and late frames.
    header: Option<(i32, u64, u64)>,
    /// Refused frames that each place was blamed for, at the last look.
    blamed: HashMap<usize, u64>,
    /// Refused frames as the producers themselves told.
    pub told_refused: u64,
}

/// All of them.
pub(super) struct Ledger<'a> {
    pub settings: &'a Settings,
    pub begun: Instant,
    begun_ns: u64,
    pub pages: Vec<Page>,
    pub events: Events,
    pub findings: Findings,
}

/// Who it is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Who<'a> {
    pub stream: usize,
    pub label: &'a str,
    pub pid: Option<u32>,
}

impl<'a> Ledger<'a> {
    pub(super) fn new(settings: &'a Settings) -> Self {
        let pages = settings.streams.iter().map(|_| Page::default()).collect();
        let (events, findings) = (Events::default(), Findings::default());
        Self { settings, begun: Instant::now(), begun_ns: now_ns(), pages, events, findings }
    }

    /// Seconds since the soak began, to thousandths.
    fn seconds(&self, at_ns: u64) -> f64 {
        (at_ns.saturating_sub(self.begun_ns) as f64 / 1e6).round() / 1e3
    }

    fn name(&self, stream: usize) -> String {
        self.settings.streams[stream].name.to_string()
    }

    /// Something happened now.
    pub(super) fn note(&mut self, who: Who, event: &'static str, frames: u64, detail: String) {
        self.note_at(now_ns(), who, event, frames, detail);
    }

    fn note_at(&mut self, at_ns: u64, who: Who, event: &'static str, frames: u64, detail: String) {
        let (at_s, stream) = (self.seconds(at_ns), self.name(who.stream));
        self.events.push(Event { at_s, event, stream, label: who.label.to_owned(), pid: who.pid, frames, detail });
    }

    /// A promise was broken. `stream` is `None` where it is not known whose it is.
    pub(super) fn broken(&mut self, promise: Promise, stream: Option<usize>, culprit: &str, detail: String) {
        self.broken_at(now_ns(), promise, stream, culprit, detail);
    }

    fn broken_at(&mut self, at_ns: u64, promise: Promise, stream: Option<usize>, culprit: &str, detail: String) {
        let (at_s, culprit) = (self.seconds(at_ns), culprit.to_owned());
        let stream = stream.map_or(String::new(), |stream| self.name(stream));
        self.findings.push(Finding { promise, at_s, stream, culprit, detail });
    }

    /// Something was done to a producer; a pause that follows is its doing.
    pub(super) fn explain(&mut self, who: Who, what: &str) {
        let (at_ns, label, pid) = (now_ns(), who.label.to_owned(), who.pid.unwrap_or(0));
        let causes = &mut self.pages[who.stream].causes;
        if causes.len() == CAUSES {
            causes.pop_front();
        }
        causes.push_back(Cause { at_ns, what: what.to_owned(), label, pid });
    }

    /// What a witness had to say.
    pub(super) fn hear(&mut self, stream: usize, remark: Remark) {
        let witness = Who { stream, label: witness::LABEL, pid: None };
        match remark {
            Remark::Broken { promise, at_ns, detail } => {
                let culprit = match self.pages[stream].causes.iter().rfind(|cause| cause.at_ns <= at_ns) {
                    Some(cause) => format!("after {} of {} (pid {})", cause.what, cause.label, cause.pid),
                    None => "producer".to_owned(),
                };
                self.broken_at(at_ns, promise, Some(stream), &culprit, detail);
            }
            Remark::Missed { at_ns, frames, before } => {
                let detail = format!("gone before they could be taken, before frame {before}");
                self.note_at(at_ns, witness, "missed", frames, detail);
            }
            Remark::Pause { from_ns, until_ns, last, next, epoch } => {
                self.pause(witness, (from_ns, until_ns), (last, next), epoch.as_deref());
            }
        }
    }

    fn pause(
        &mut self,
        witness: Who,
        (from_ns, until_ns): (u64, u64),
        (before, after): (u64, u64),
        epoch: Option<&str>,
    ) {
        let page = &mut self.pages[witness.stream];
        let length_ns = until_ns - from_ns;
        page.row.longest_pause_ns = page.row.longest_pause_ns.max(length_ns);
        // What is to blame was done in it, or just before.
        let period_ns = self.settings.rate.time_of(2).as_nanos() as u64;
        let last = page.causes.iter().rfind(|cause| cause.at_ns <= until_ns);
        let cause = last.filter(|cause| cause.at_ns + period_ns >= from_ns).cloned();
        let (label, pid, why) = match &cause {
            Some(cause) => (cause.label.as_str(), Some(cause.pid), cause.what.as_str()),
            None => ("producer", None, "nothing was done to the producer"),
        };
        let ms = length_ns as f64 / 1e6;
        let mut detail = format!("no frame for {ms:.0} ms between frames {before} and {after}: {why}");
        if let Some(content) = epoch {
            detail.push_str(&format!("; a new epoch of {content}"));
        }
        // At the nominal rate, so many frames are not there.
        let frames = (length_ns as f64 / 1e9 * self.settings.rate.hz()) as u64;
        self.note_at(from_ns, Who { label, pid, ..witness }, "pause", frames.saturating_sub(1), detail);
        if length_ns > LONGEST_SILENCE_S * 1_000_000_000 {
            let detail = format!("no frame for {:.1} s, between frames {before} and {after}", ms / 1e3);
            self.broken(Promise::GoesOn, Some(witness.stream), label, detail);
        }
    }

    /// What the kernel's table has of a stream at this moment: refused frames, and because of whom.
    pub(super) fn look(&mut self, stream: usize, status: &StreamStatus) {
        let page = &mut self.pages[stream];
        let (refused, late) = (status.counters.refused, status.counters.late);
        let before = page.header.filter(|&(segment, ..)| segment == status.segment_id);
        if before.is_none() {
            page.blamed.clear();
        }
        let (_, refused_before, late_before) = before.unwrap_or_default();
        page.header = Some((status.segment_id, refused, late));
        page.row.late += late.saturating_sub(late_before);
        let more = refused.saturating_sub(refused_before);
        page.row.refused += more;
        let mut culprits = Vec::new();
        for subscriber in &status.subscribers {
            let before = page.blamed.insert(subscriber.holder.place, subscriber.blamed).unwrap_or(0);
            if subscriber.blamed > before {
                culprits.push((subscriber.holder.clone(), subscriber.held, subscriber.blamed - before));
            }
        }
        if more > 0 {
            self.refused(stream, more, &culprits, status.last_sequence);
        }
    }

    fn refused(&mut self, stream: usize, frames: u64, culprits: &[(PlaceHolder, usize, u64)], last: u64) {
        let named: Vec<String> = culprits
            .iter()
            .map(|(holder, held, blamed)| format!("{holder} holds {held} and is blamed for {blamed}"))
            .collect();
        let by = if named.is_empty() { "the place is free again".to_owned() } else { named.join("; ") };
        let (label, pid) = culprits.first().map_or(("", None), |(holder, ..)| (holder.label.as_str(), holder.pid));
        let detail = format!("{frames} found no free slot, near frame {last}: {by}");
        self.note(Who { stream, label, pid }, "refused", frames, detail.clone());
        self.broken(Promise::Refused, Some(stream), label, detail);
    }

    /// Ends the present second of a stream. `before`: the witness's counts at its beginning.
    pub(super) fn end_second(&mut self, stream: usize, witness: &Witness, before: &Tally, tally: &Tally) -> Row {
        let now_s = self.seconds(now_ns());
        let page = &mut self.pages[stream];
        let mut row = std::mem::take(&mut page.row);
        row.at_s = page.timeline.end_s();
        row.seconds = ((now_s - row.at_s) * 1e3).round().max(1.0) / 1e3;
        row.witness_missed = tally.missed - before.missed;
        row.torn += tally.torn - before.torn;
        row.published = tally.taken - before.taken + row.witness_missed;
        row.rate_hz = (row.published as f64 / row.seconds * 1e3).round() / 1e3;
        [row.latency_p50_ns, row.latency_p99_ns, row.latency_max_ns] = witness.take_latency();
        page.timeline.push(row.clone());
        row
    }
}
