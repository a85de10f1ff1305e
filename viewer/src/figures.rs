//! The figures of a run: counts, rate and latency, of each interval and in all.
//!
//! Latency is the time from a frame's publication to the moment this viewer has it. Frames that were there before the
//! viewer came are not in it: their age says when the viewer was started, not how quick the bus is.

use crate::contract::Violations;
use framebus::{PredictionCounters, SubscriberCounters};
use framebus_program::Latencies;
use serde::Serialize;
use std::time::Duration;

/// What has become of the stream's frames since attaching. All counts only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub frames: u64,
    pub skipped: u64,
    pub missed: u64,
    pub verified: u64,
    pub torn: u64,
    pub recorded: u64,
    pub record_skipped: u64,
    pub evicted: u64,
    pub violations: Violations,
    pub predictions: PredictionCounters,
}

impl Counts {
    pub(crate) fn new(counters: SubscriberCounters, predictions: PredictionCounters, verified: u64, torn: u64) -> Self {
        let SubscriberCounters { seen: frames, skipped, missed, .. } = counters;
        Self { frames, skipped, missed, verified, torn, predictions, ..Self::default() }
    }

    fn since(self, earlier: Self) -> Self {
        Self {
            frames: self.frames - earlier.frames,
            skipped: self.skipped - earlier.skipped,
            missed: self.missed - earlier.missed,
            verified: self.verified - earlier.verified,
            torn: self.torn - earlier.torn,
            recorded: self.recorded - earlier.recorded,
            record_skipped: self.record_skipped - earlier.record_skipped,
            evicted: self.evicted - earlier.evicted,
            violations: self.violations.since(earlier.violations),
            // Told of the whole run only.
            predictions: self.predictions,
        }
    }
}

/// Latency in ns: median, 99th percentile, longest; `None` where no frame was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Latency {
    pub latency_p50_ns: Option<u64>,
    pub latency_p99_ns: Option<u64>,
    pub latency_max_ns: Option<u64>,
}

impl Latency {
    fn of(latencies: &Latencies) -> Self {
        let [latency_p50_ns, latency_p99_ns, latency_max_ns] =
            latencies.read().map_or([None; 3], |figures| figures.map(Some));
        Self { latency_p50_ns, latency_p99_ns, latency_max_ns }
    }
}

/// An interval's figures, as `--json` prints them. The counts are the interval's own.
#[derive(Debug, Serialize)]
pub(crate) struct Interval<'a> {
    pub kind: &'static str,
    pub stream: &'a str,
    pub label: &'a str,
    /// Length of this interval.
    pub seconds: f64,
    pub frames: u64,
    pub skipped: u64,
    pub missed: u64,
    pub torn: u64,
    pub recorded: u64,
    pub record_skipped: u64,
    pub evicted: u64,
    pub violations: Violations,
    /// New frames a second of this interval.
    pub fps: f64,
    #[serde(flatten)]
    pub latency: Latency,
    /// Since the newest frame's data was taken; `None` before the first frame.
    pub age_ns: Option<u64>,
    /// Greatest age at which a frame was taken, of those that a contract is about.
    #[serde(skip)]
    pub oldest_ns: Option<u64>,
    /// Frames held at this moment.
    pub held: usize,
    /// `None` before the first frame.
    pub last_sequence: Option<u64>,
}

/// A run's figures, as `--json` prints them last.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// `summary`.
    pub kind: &'static str,
    /// The stream, `BUS/NAME`.
    pub stream: String,
    /// What the viewer is called.
    pub label: String,
    /// New frames taken.
    pub frames: u64,
    /// Frames passed over because a newer one was taken.
    pub skipped: u64,
    /// Frames gone before they were asked for, in order (`--mode every`).
    pub missed: u64,
    /// Frames that failed `--verify`; 0 without it.
    pub torn: u64,
    /// Frames that `--verify` looked at.
    pub verified: u64,
    /// Frames that `--record` wrote; 0 without it.
    pub recorded: u64,
    /// Frames that were taken and not written, because encoder or disk were too slow.
    pub record_skipped: u64,
    /// Times that a publisher that waits did so no longer, because this viewer had not read.
    pub evicted: u64,
    /// How often the contract was not kept.
    pub violations: Violations,
    /// Whether it was kept all the time; `None` where there is none.
    pub contract_kept: Option<bool>,
    /// New frames a second, from the first one published after attaching to the last; 0 with fewer than two.
    pub fps: f64,
    /// Median of the latency, in ns; `None` where no frame was published after attaching.
    pub latency_p50_ns: Option<u64>,
    /// 99th percentile of the latency, in ns.
    pub latency_p99_ns: Option<u64>,
    /// Longest latency, in ns.
    pub latency_max_ns: Option<u64>,
    /// Frames that came while they were spun for (`--wait predict`).
    pub predicted: u64,
    /// Frames that were spun for in vain, or that came before the spinning began.
    pub mispredicted: u64,
    /// Time spun for them, in ns.
    pub spun_ns: u64,
    /// Sequence of the first frame taken; `None` where there was none.
    pub first_sequence: Option<u64>,
    /// Sequence of the last frame taken; `None` where there was none.
    pub last_sequence: Option<u64>,
    /// Since attaching.
    pub seconds: f64,
    /// How often the producer was gone and another one came.
    pub restarts: u64,
    /// How often the stream went on in new segments: another geometry, or made anew.
    pub epochs: u64,
}

impl Summary {
    /// Frames that were published while the viewer looked.
    pub(crate) fn published(&self) -> u64 {
        self.frames.saturating_add(self.skipped).saturating_add(self.missed)
    }
}

/// Collects the figures.
#[derive(Debug)]
pub(crate) struct Figures {
    stream: String,
    label: String,
    total: Latencies,
    interval: Latencies,
    /// Counts, and time since attaching, at the end of the last interval.
    reported: (Counts, Duration),
    /// Greatest age of the interval's frames when they were taken, in ns.
    oldest_ns: Option<u64>,
    /// Something was agreed on.
    pub has_contract: bool,
    first: Option<Sighting>,
    last: Option<Sighting>,
    /// When the first frame came that was published after attaching, in ns, and how many have come since, it too.
    timed: Option<(u64, u64)>,
    pub restarts: u64,
    pub epochs: u64,
}

/// A frame and when it was acquired, in ns of the bus's clock.
#[derive(Clone, Copy, Debug)]
struct Sighting {
    sequence: u64,
    acquired_ns: u64,
    capture_ns: u64,
}

impl Figures {
    pub(crate) fn new(stream: String, label: String) -> Self {
        let (total, interval) = (Latencies::new(), Latencies::new());
        let (reported, oldest_ns, has_contract) = Default::default();
        let (first, last, timed) = (None, None, None);
        Self {
            stream,
            label,
            total,
            interval,
            reported,
            oldest_ns,
            has_contract,
            first,
            last,
            timed,
            restarts: 0,
            epochs: 0,
        }
    }

    /// Takes note of a new frame; `latency_ns` is `None` where it tells nothing.
    pub(crate) fn saw(&mut self, sequence: u64, capture_ns: u64, acquired_ns: u64, latency_ns: Option<u64>) {
        let sighting = Sighting { sequence, acquired_ns, capture_ns };
        self.first.get_or_insert(sighting);
        self.last = Some(sighting);
        if let Some(ns) = latency_ns {
            self.total.record(ns);
            self.interval.record(ns);
            self.oldest_ns = self.oldest_ns.max(Some(acquired_ns.saturating_sub(capture_ns)));
            self.timed.get_or_insert((acquired_ns, 0)).1 += 1;
        }
    }

    /// The figures since the last interval's end; the next one begins.
    pub(crate) fn end_interval(&mut self, counts: Counts, seconds: Duration, now_ns: u64, held: usize) -> Interval<'_> {
        let (earlier, begun) = std::mem::replace(&mut self.reported, (counts, seconds));
        let Counts { frames, skipped, missed, torn, recorded, record_skipped, evicted, violations, .. } =
            counts.since(earlier);
        let latency = Latency::of(&self.interval);
        self.interval.clear();
        let length = seconds.saturating_sub(begun).as_secs_f64();
        Interval {
            kind: "interval",
            stream: &self.stream,
            label: &self.label,
            seconds: length,
            frames,
            skipped,
            missed,
            torn,
            recorded,
            record_skipped,
            evicted,
            violations,
            fps: if length > 0.0 { frames as f64 / length } else { 0.0 },
            latency,
            age_ns: self.last.map(|last| now_ns.saturating_sub(last.capture_ns)),
            oldest_ns: self.oldest_ns.take(),
            held,
            last_sequence: self.last.map(|last| last.sequence),
        }
    }

    /// The figures of the whole run.
    pub(crate) fn summary(&self, counts: Counts, seconds: Duration) -> Summary {
        let Latency { latency_p50_ns, latency_p99_ns, latency_max_ns } = Latency::of(&self.total);
        // The first frame begins the time that is measured, so it is not among those that came in it. One that was there
        // already when we attached came at no time in particular.
        let fps = match (self.timed, self.last) {
            (Some((begun_ns, frames)), Some(last)) if last.acquired_ns > begun_ns => {
                (frames - 1) as f64 * 1e9 / (last.acquired_ns - begun_ns) as f64
            }
            _ => 0.0,
        };
        Summary {
            kind: "summary",
            stream: self.stream.clone(),
            label: self.label.clone(),
            frames: counts.frames,
            skipped: counts.skipped,
            missed: counts.missed,
            torn: counts.torn,
            verified: counts.verified,
            recorded: counts.recorded,
            record_skipped: counts.record_skipped,
            evicted: counts.evicted,
            violations: counts.violations,
            contract_kept: self.has_contract.then(|| counts.violations.total() == 0),
            fps,
            latency_p50_ns,
            latency_p99_ns,
            latency_max_ns,
            predicted: counts.predictions.hit,
            mispredicted: counts.predictions.early + counts.predictions.late,
            spun_ns: counts.predictions.spun_ns,
            first_sequence: self.first.map(|first| first.sequence),
            last_sequence: self.last.map(|last| last.sequence),
            seconds: seconds.as_secs_f64(),
            restarts: self.restarts,
            epochs: self.epochs,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(frames: u64, skipped: u64) -> Counts {
        Counts { frames, skipped, ..Counts::default() }
    }

    #[test]
    fn the_rate_is_that_between_the_first_and_the_last_frame() {
        let mut figures = Figures::new("a/b".into(), "viewer".into());
        assert_eq!(figures.summary(counts(0, 0), Duration::from_secs(9)).fps, 0.0);
        for frame in 0..11 {
            figures.saw(frame + 5, 0, 7_000_000_000 + frame * 100_000_000, Some(1000 + frame));
        }
        let summary = figures.summary(counts(11, 0), Duration::from_secs(60));
        assert!((summary.fps - 10.0).abs() < 1e-9, "{}", summary.fps);
        assert_eq!((summary.first_sequence, summary.last_sequence), (Some(5), Some(15)));
        assert_eq!((summary.latency_p50_ns, summary.latency_max_ns), (Some(1005), Some(1010)));
    }

    #[test]
    fn an_interval_has_only_its_own_frames() {
        let mut figures = Figures::new("a/b".into(), "viewer".into());
        figures.saw(1, 100, 200, Some(5_000_000));
        let first = figures.end_interval(counts(1, 3), Duration::from_secs(1), 1100, 0);
        assert_eq!((first.frames, first.skipped, first.age_ns), (1, 3, Some(1000)));
        assert_eq!(first.latency.latency_max_ns, Some(5_000_000));
        figures.saw(2, 900, 1000, Some(70));
        figures.saw(3, 950, 1000, None);
        let second = figures.end_interval(counts(3, 4), Duration::from_secs(3), 1000, 1);
        assert_eq!((second.frames, second.skipped, second.fps), (2, 1, 1.0));
        assert_eq!(second.latency.latency_max_ns, Some(70));
        let empty = figures.end_interval(counts(3, 4), Duration::from_secs(4), 1000, 1);
        assert_eq!((empty.frames, empty.latency), (0, Latency::default()));
        assert_eq!(figures.summary(counts(3, 4), Duration::from_secs(4)).latency_max_ns, Some(5_000_000));
    }

    #[test]
    fn a_latency_beyond_the_histogram_keeps_its_maximum() {
        let mut figures = Figures::new("a/b".into(), "viewer".into());
        figures.saw(1, 0, 0, Some(3_600_000_000_000));
        assert_eq!(figures.summary(counts(1, 0), Duration::ZERO).latency_max_ns, Some(3_600_000_000_000));
    }

    #[test]
    fn json_has_the_promised_keys() {
        let mut figures = Figures::new("a/b".into(), "viewer".into());
        let summary = serde_json::to_value(figures.summary(counts(0, 0), Duration::ZERO)).unwrap();
        for key in [
            "kind",
            "stream",
            "frames",
            "skipped",
            "missed",
            "torn",
            "recorded",
            "record_skipped",
            "evicted",
            "violations",
            "contract_kept",
            "fps",
            "latency_p50_ns",
            "latency_p99_ns",
            "latency_max_ns",
            "predicted",
            "mispredicted",
            "spun_ns",
            "first_sequence",
            "last_sequence",
        ] {
            assert!(summary.get(key).is_some(), "{key} in {summary}");
        }
        let interval = serde_json::to_value(figures.end_interval(counts(0, 0), Duration::ZERO, 0, 0)).unwrap();
        assert_eq!(interval["kind"], "interval");
        assert!(interval["latency_p50_ns"].is_null());
    }
}
