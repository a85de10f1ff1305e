//! What a run is counted in, and the two objects that tell it (docs/json.md).

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// The counters of a run: written by the loop, read by the thread that reports.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    published: AtomicU64,
    drops: AtomicU64,
    late: AtomicU64,
    abandoned: AtomicU64,
    restarts: AtomicU64,
    lost: AtomicU64,
    /// 0: nothing was published yet. As for the three below.
    first_sequence: AtomicU64,
    last_sequence: AtomicU64,
    /// Publish times, in ns of the bus's clock.
    first_ns: AtomicU64,
    last_ns: AtomicU64,
    evicted: AtomicU64,
    /// Why the last refused frame was refused.
    trouble: Mutex<Option<String>>,
    /// Who was evicted, in words, and how often; of many only so many.
    evictions: Mutex<Vec<(String, u64)>>,
}

/// The counters at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) published: u64,
    pub(crate) drops: u64,
    pub(crate) late: u64,
    pub(crate) abandoned: u64,
    pub(crate) restarts: u64,
    pub(crate) lost: u64,
    pub(crate) evicted: u64,
}

/// Evicted viewers that are told of, in an interval.
const MOST_EVICTIONS: usize = 16;

impl Counts {
    pub(crate) fn count_published(&self, sequence: u64, now_ns: u64) {
        if self.published.fetch_add(1, Relaxed) == 0 {
            self.first_sequence.store(sequence, Relaxed);
            self.first_ns.store(now_ns, Relaxed);
        }
        self.last_sequence.store(sequence, Relaxed);
        self.last_ns.store(now_ns, Relaxed);
    }

    pub(crate) fn count_dropped(&self) {
        self.drops.fetch_add(1, Relaxed);
    }

    pub(crate) fn count_late(&self, frames: u64) {
        self.late.fetch_add(frames, Relaxed);
    }

    pub(crate) fn count_abandoned(&self) {
        self.abandoned.fetch_add(1, Relaxed);
    }

    /// The source was started again.
    pub(crate) fn count_restart(&self) {
        self.restarts.fetch_add(1, Relaxed);
    }

    /// The source made frames that never came here.
    #[cfg(feature = "v4l2")]
    pub(crate) fn count_lost(&self, frames: u64) {
        self.lost.fetch_add(frames, Relaxed);
    }

    /// Frames published so far.
    pub(crate) fn published(&self) -> u64 {
        self.published.load(Relaxed)
    }

    /// Notes why there was no slot.
    pub(crate) fn note_trouble(&self, why: String) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }

    /// Takes what was noted last.
    pub(crate) fn take_trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Notes that a lossless viewer was evicted: `who` and why.
    pub(crate) fn note_evicted(&self, who: String) {
        self.evicted.fetch_add(1, Relaxed);
        let mut evictions = self.evictions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, times)) = evictions.iter_mut().find(|(other, _)| *other == who) {
            *times += 1;
        } else if evictions.len() < MOST_EVICTIONS {
            evictions.push((who, 1));
        }
    }

    /// Takes the evictions since this was asked last, in words.
    pub(crate) fn take_evictions(&self) -> Vec<String> {
        let evictions = std::mem::take(&mut *self.evictions.lock().unwrap_or_else(PoisonError::into_inner));
        let words = |(who, times)| if times == 1 { who } else { format!("{who}; {times} times") };
        evictions.into_iter().map(words).collect()
    }

    pub(crate) fn tally(&self) -> Tally {
        Tally {
            published: self.published.load(Relaxed),
            drops: self.drops.load(Relaxed),
            late: self.late.load(Relaxed),
            abandoned: self.abandoned.load(Relaxed),
            restarts: self.restarts.load(Relaxed),
            lost: self.lost.load(Relaxed),
            evicted: self.evicted.load(Relaxed),
        }
    }

    /// The sequence published last, if there is one.
    pub(crate) fn last_sequence(&self) -> Option<u64> {
        Some(self.last_sequence.load(Relaxed)).filter(|&sequence| sequence > 0)
    }

    /// The whole run.
    pub(crate) fn summary(&self, stream: &str, source: &str, seconds: f64, waits: u64, waited_ns: u64) -> Summary {
        let tally = self.tally();
        let between_ns = self.last_ns.load(Relaxed).saturating_sub(self.first_ns.load(Relaxed));
        let rate_hz = if between_ns == 0 { 0.0 } else { (tally.published - 1) as f64 * 1e9 / between_ns as f64 };
        Summary {
            stream: stream.to_owned(),
            published: tally.published,
            drops: tally.drops,
            late: tally.late,
            abandoned: tally.abandoned,
            restarts: tally.restarts,
            lost: tally.lost,
            evicted: tally.evicted,
            rate_hz: thousandths(rate_hz),
            seconds: thousandths(seconds),
            first_sequence: Some(self.first_sequence.load(Relaxed)).filter(|&sequence| sequence > 0),
            last_sequence: self.last_sequence(),
            waits,
            waited_ns,
            source: source.to_owned(),
        }
    }
}

/// Digits beyond these are noise to a reader.
pub(crate) fn thousandths(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

/// A whole run: the last line of `--json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename = "summary")]
pub struct Summary {
    /// The stream, `bus/stream`.
    pub stream: String,
    /// Frames published.
    pub published: u64,
    /// Frames refused because no slot was free, also after waiting for one.
    pub drops: u64,
    /// Frames published more than half a period after their deadline, and deadlines left out because the producer was
    /// more than ten periods behind.
    pub late: u64,
    /// Frames begun and not published: cut off by the end of the source, or of the run.
    pub abandoned: u64,
    /// Times that the source was started again: the command of `exec:` ended, the camera of `v4l2:` went away.
    pub restarts: u64,
    /// Frames that a camera took and this producer never got: gaps in the driver's numbers. 0 for other sources.
    pub lost: u64,
    /// Times that a lossless viewer was not waited for any longer (`on_full = "wait"`).
    pub evicted: u64,
    /// Mean rate from the first frame published to the last one, in frames a second; 0 with fewer than two.
    pub rate_hz: f64,
    /// Length of the run in seconds.
    pub seconds: f64,
    /// Sequence of the first frame published.
    pub first_sequence: Option<u64>,
    /// Sequence of the last frame published.
    pub last_sequence: Option<u64>,
    /// Times that the publisher waited for a slot or a reader (`on_full = "wait"`).
    pub waits: u64,
    /// How long in all, in ns.
    pub waited_ns: u64,
    /// The source, as it was given.
    pub source: String,
}

/// What happened since the line before: one line of `--json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename = "interval")]
pub struct Interval {
    /// The stream, `bus/stream`.
    pub stream: String,
    /// Frames published in this interval; the others likewise.
    pub published: u64,
    /// As in the summary.
    pub drops: u64,
    /// As in the summary.
    pub late: u64,
    /// As in the summary.
    pub abandoned: u64,
    /// As in the summary.
    pub restarts: u64,
    /// As in the summary.
    pub lost: u64,
    /// As in the summary.
    pub evicted: u64,
    /// Frames a second in this interval.
    pub rate_hz: f64,
    /// Length of this interval in seconds.
    pub seconds: f64,
    /// Sequence of the frame published last, in this interval or before.
    pub last_sequence: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_says_what_was_counted() {
        let counts = Counts::default();
        for frame in 0..11 {
            counts.count_published(100 + frame, 5_000_000_000 + frame * 100_000_000);
        }
        counts.count_dropped();
        counts.count_late(2);
        counts.count_restart();
        ["recorder", "logger", "recorder"].iter().for_each(|who| counts.note_evicted((*who).to_owned()));
        assert_eq!(counts.take_evictions(), ["recorder; 2 times", "logger"]);
        assert!(counts.take_evictions().is_empty());
        let json = serde_json::to_string(&counts.summary("a/b", "pattern", 1.00049, 0, 0)).unwrap();
        assert_eq!(
            json,
            "{\"kind\":\"summary\",\"stream\":\"a/b\",\"published\":11,\"drops\":1,\"late\":2,\"abandoned\":0,\
             \"restarts\":1,\"lost\":0,\"evicted\":3,\"rate_hz\":10.0,\"seconds\":1.0,\"first_sequence\":100,\"last_sequence\":110,\"waits\":0,\"waited_ns\":0,\
             \"source\":\"pattern\"}"
        );
    }

    #[test]
    fn a_run_without_frames_has_no_sequences_and_no_rate() {
        let summary = Counts::default().summary("a/b", "pattern", 0.0, 0, 0);
        assert_eq!((summary.first_sequence, summary.last_sequence, summary.rate_hz), (None, None, 0.0));
    }
}
