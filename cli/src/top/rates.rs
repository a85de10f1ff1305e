//! What follows from two looks: events a second, and never a negative number of them.
//!
//! Counters live in shared memory and begin anew when somebody comes: a stream made anew has another segment, a subscriber
//! that attaches clears its place. A difference is taken only between two looks at the same thing; after a new beginning
//! there is none for one look (`None`).

use framebus::Histogram;
use framebus_program::Progress;

use super::look::{Stream, Subscriber};

/// What a stream did between two looks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StreamRates {
    /// Frames published.
    pub published: Option<u64>,
    /// Frames refused.
    pub refused: Option<u64>,
    /// Frames published a second.
    pub published_hz: Option<f64>,
    pub refused_hz: Option<f64>,
    pub abandoned_hz: Option<f64>,
    pub late_hz: Option<f64>,
    /// Lossless subscribers that were evicted.
    pub evicted: Option<u64>,
}

/// What a subscriber did between two looks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SubscriberRates {
    /// Frames refused because of it.
    pub blamed: Option<u64>,
    pub blamed_hz: Option<f64>,
    pub seen_hz: Option<f64>,
    pub skipped_hz: Option<f64>,
    pub missed_hz: Option<f64>,
    /// Acquisitions refused, because it held all the frames it may.
    pub refused_hz: Option<f64>,
    /// Violations of its contract a second, of each kind: too old, too many skipped, stale.
    pub violations_hz: Option<[f64; 3]>,
    /// Of the frames that it took: from publication until then.
    pub latency: Option<Times>,
    /// From capture until then.
    pub age: Option<Times>,
    /// How long frames were held that were let go of.
    pub hold: Option<Times>,
}

/// Times of one interval, ns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Times {
    pub p50_ns: u64,
    pub p99_ns: u64,
    /// Exact only where it is the longest of all time, else to a quarter.
    pub max_ns: u64,
}

impl Times {
    /// `None`: there were none.
    fn between(before: &Histogram, now: &Histogram) -> Option<Self> {
        let since = now.since(before);
        let quantile = |share| since.quantile_ns(share);
        Some(Self { p50_ns: quantile(0.5)?, p99_ns: quantile(0.99)?, max_ns: since.longest_ns()? })
    }
}

impl StreamRates {
    /// The rates from one look to the next one, `seconds` later, between which the sequence went on so.
    pub fn between(before: &Stream, now: &Stream, seconds: f64, progress: Progress) -> Self {
        // Sequences go on over epochs, counters do not.
        let same = before.segment_id == now.segment_id && progress.frames.is_some();
        let since = |before: u64, now: u64| now.checked_sub(before).filter(|_| same);
        let refused = since(before.refused, now.refused);
        Self {
            published: progress.frames,
            refused,
            published_hz: progress.hz,
            refused_hz: hz(refused, seconds),
            abandoned_hz: hz(since(before.abandoned, now.abandoned), seconds),
            late_hz: hz(since(before.late, now.late), seconds),
            evicted: since(before.evicted, now.evicted),
        }
    }
}

impl SubscriberRates {
    /// The rates from one look to the next one, of a subscriber with the same holder on the same segment.
    pub fn between(before: &Subscriber, now: &Subscriber, seconds: f64) -> Self {
        let since = |count: fn(&Subscriber) -> u64| count(now).checked_sub(count(before));
        let all = [
            since(|one| one.seen),
            since(|one| one.skipped),
            since(|one| one.missed),
            since(|one| one.refused),
            since(|one| one.blamed),
            since(|one| one.violations.too_old),
            since(|one| one.violations.too_many_skipped),
            since(|one| one.violations.stale),
        ];
        // One counter that went back means that all began anew: the same process attached again.
        if all.contains(&None) {
            return Self::default();
        }
        let [seen, skipped, missed, refused, blamed, violations @ ..] = all;
        Self {
            blamed,
            blamed_hz: hz(blamed, seconds),
            seen_hz: hz(seen, seconds),
            skipped_hz: hz(skipped, seconds),
            missed_hz: hz(missed, seconds),
            refused_hz: hz(refused, seconds),
            violations_hz: Some(violations.map(|count| hz(count, seconds).unwrap_or(0.0))),
            latency: Times::between(&before.latencies, &now.latencies),
            age: Times::between(&before.ages, &now.ages),
            hold: Times::between(&before.holds, &now.holds),
        }
    }
}

fn hz(count: Option<u64>, seconds: f64) -> Option<f64> {
    count.map(|count| count as f64 / seconds)
}
