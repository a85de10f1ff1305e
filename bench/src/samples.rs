//! Times, and what of them is reported.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Times of one repetition. Kept in picoseconds, for what takes a few nanoseconds is measured many at a time.
pub struct Samples(Histogram<u64>);

impl Samples {
    /// None yet.
    pub fn new() -> Self {
        // Bounds known beforehand: a histogram that grows would allocate in the middle of a measurement.
        Self(Histogram::new_with_max(1_000_000_000_000_000, 3).expect("these bounds are fine"))
    }

    /// One time, in ns.
    #[inline]
    pub fn record(&mut self, ns: u64) {
        self.0.saturating_record(ns.saturating_mul(1000));
    }

    /// The time of each of `count` that took `ns` together.
    #[inline]
    pub fn record_batch(&mut self, ns: u64, count: u64) {
        self.0.saturating_record(ns.saturating_mul(1000) / count.max(1));
    }

    /// What is reported of them; `None` without a single one.
    pub fn percentiles(&self) -> Option<Percentiles> {
        let at = |quantile| self.0.value_at_quantile(quantile) as f64 / 1000.0;
        (!self.0.is_empty()).then(|| Percentiles {
            p50_ns: at(0.5),
            p99_ns: at(0.99),
            p999_ns: at(0.999),
            max_ns: self.0.max() as f64 / 1000.0,
            samples: self.0.len(),
        })
    }
}

/// What is reported of many times.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    pub p50_ns: f64,
    pub p99_ns: f64,
    pub p999_ns: f64,
    pub max_ns: f64,
    pub samples: u64,
}

/// The middle one; the mean of the two in the middle, of an even number; `None` of none.
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_times() {
        let mut samples = Samples::new();
        assert!(samples.percentiles().is_none());
        (1..=1000).for_each(|ns| samples.record(ns));
        let found = samples.percentiles().expect("a thousand times");
        let near = |value: f64, expected: f64| (value - expected).abs() <= expected / 500.0;
        assert!(near(found.p50_ns, 500.0), "{found:?}");
        assert!(near(found.p99_ns, 990.0), "{found:?}");
        assert!(near(found.p999_ns, 999.0), "{found:?}");
        assert!(near(found.max_ns, 1000.0), "{found:?}");
        assert_eq!(found.samples, 1000);
    }

    #[test]
    fn batches_keep_fractions_of_a_nanosecond() {
        let mut samples = Samples::new();
        samples.record_batch(100, 64);
        let found = samples.percentiles().expect("one time");
        assert!((found.p50_ns - 1.5625).abs() < 0.01, "{found:?}");
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([]), None);
        assert_eq!(median([3.0, 1.0, 100.0]), Some(3.0));
        assert_eq!(median([4.0, 1.0, 2.0, 100.0]), Some(3.0));
    }
}
