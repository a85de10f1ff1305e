//! Latencies: how long frames take from their publication to who has them.

use hdrhistogram::Histogram;

/// Longer ones all look alike: something else is wrong then.
const LONGEST_NS: u64 = 60_000_000_000;

/// Latencies in ns. Quantiles are to three digits and up to a minute; the longest is exact.
#[derive(Clone, Debug)]
pub struct Latencies {
    histogram: Histogram<u64>,
    /// The histogram's own is the upper end of a range.
    max_ns: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self::new()
    }
}

impl Latencies {
    /// None so far.
    pub fn new() -> Self {
        // Three digits of any number up to a minute: always possible.
        let histogram = Histogram::new_with_bounds(1, LONGEST_NS, 3).unwrap_or_else(|error| unreachable!("{error}"));
        Self { histogram, max_ns: 0 }
    }

    /// Takes one in.
    pub fn record(&mut self, ns: u64) {
        self.histogram.saturating_record(ns.max(1));
        self.max_ns = self.max_ns.max(ns);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// The one below which so great a part of all are, 0 to 1; `None` where there is none.
    pub fn quantile(&self, quantile: f64) -> Option<u64> {
        (self.count() > 0).then(|| self.histogram.value_at_quantile(quantile).min(self.max_ns))
    }

    /// The longest; `None` where there is none.
    pub fn max(&self) -> Option<u64> {
        (self.count() > 0).then_some(self.max_ns)
    }

    /// What is told of them: median, 99th percentile and longest; `None` where there is none.
    pub fn read(&self) -> Option<[u64; 3]> {
        Some([self.quantile(0.5)?, self.quantile(0.99)?, self.max()?])
    }

    /// Forgets them.
    pub fn clear(&mut self) {
        self.histogram.reset();
        self.max_ns = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_have_three_digits_and_the_longest_is_exact() {
        let mut latencies = Latencies::new();
        assert_eq!((latencies.read(), latencies.quantile(0.999), latencies.max()), (None, None, None));
        (1..=100).for_each(|us| latencies.record(us * 1_000 + 7));
        let [p50, p99, max] = latencies.read().unwrap();
        assert!(p50.abs_diff(50_007) < 64 && p99.abs_diff(99_007) < 64, "{p50} {p99}");
        assert_eq!((max, latencies.count()), (100_007, 100));
        latencies.clear();
        assert_eq!(latencies.read(), None);
        // One of 0 ns is none above it; one beyond the histogram is told as it is.
        latencies.record(0);
        assert_eq!(latencies.read(), Some([0, 0, 0]));
        latencies.record(3_600_000_000_000);
        assert_eq!(latencies.max(), Some(3_600_000_000_000));
    }
}
