//! Times as a compact histogram: a kilobyte in shared memory, a few ns to count one.
//!
//! Four buckets an octave, in units of 32 ns, from there to 172 s: a bucket is at most a quarter wider than its lower edge, which is
//! how exact a quantile is. The longest time and the sum are exact.

use crate::layout::{BUCKETS, HistogramWords};
use crate::sync::Ordering::Relaxed;

/// Width of the first buckets, ns: 2^5.
const UNIT_SHIFT: u32 = 5;

/// The bucket of a time.
fn bucket(ns: u64) -> usize {
    let units = ns >> UNIT_SHIFT;
    if units < 4 {
        return units as usize;
    }
    let octave = units.ilog2();
    let quarter = (units >> (octave - 2)) & 3;
    (((octave - 1) << 2) as usize + quarter as usize).min(BUCKETS - 1)
}

/// Where a bucket begins, ns.
fn lower_edge(bucket: usize) -> u64 {
    let (octave, quarter) = (bucket as u64 >> 2, bucket as u64 & 3);
    let units = if octave == 0 { quarter } else { (4 + quarter) << (octave - 1) };
    units << UNIT_SHIFT
}

impl HistogramWords {
    /// Counts a time; one thread at a time.
    #[inline]
    pub(crate) fn count(&self, ns: u64) {
        // Plain stores: only the owner of the place writes, and it may not pay for locked instructions.
        let bump = |word: &crate::sync::PlainU64, by: u64| word.store(word.load(Relaxed).wrapping_add(by), Relaxed);
        bump(&self.buckets[bucket(ns)], 1);
        bump(&self.sum_ns, ns);
        if ns > self.longest_ns.load(Relaxed) {
            self.longest_ns.store(ns, Relaxed);
        }
    }

    /// Counts a time; any thread of the owner.
    pub(crate) fn count_shared(&self, ns: u64) {
        self.buckets[bucket(ns)].fetch_add(1, Relaxed);
        self.sum_ns.fetch_add(ns, Relaxed);
        self.longest_ns.fetch_max(ns, Relaxed);
    }

    /// What another one has counted, or nothing.
    pub(crate) fn become_copy(&self, other: Option<&HistogramWords>) {
        let words = |histogram: &HistogramWords| histogram.read();
        let counted = other.map(words).unwrap_or_default();
        for (word, value) in self.buckets.iter().zip(counted.buckets) {
            word.store(value, Relaxed);
        }
        self.sum_ns.store(counted.sum_ns, Relaxed);
        self.longest_ns.store(counted.longest_ns, Relaxed);
    }

    /// As it is at this moment: one word may be a moment older than another.
    pub(crate) fn read(&self) -> Histogram {
        Histogram {
            buckets: std::array::from_fn(|at| self.buckets[at].load(Relaxed)),
            sum_ns: self.sum_ns.load(Relaxed),
            longest_ns: self.longest_ns.load(Relaxed),
        }
    }
}

/// How often which times were counted, in ns. Quantiles are exact to a quarter, upwards; the longest is exact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    buckets: [u64; BUCKETS],
    sum_ns: u64,
    longest_ns: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: [0; BUCKETS], sum_ns: 0, longest_ns: 0 }
    }
}

impl Histogram {
    /// Times that were counted.
    pub fn count(&self) -> u64 {
        // Whoever writes there may have written anything.
        self.buckets.iter().fold(0, |sum: u64, count| sum.saturating_add(*count))
    }

    /// The longest time, ns; `None` before the first.
    pub fn longest_ns(&self) -> Option<u64> {
        (self.count() > 0).then_some(self.longest_ns)
    }

    /// The mean, ns; `None` before the first.
    pub fn mean_ns(&self) -> Option<u64> {
        self.sum_ns.checked_div(self.count())
    }

    /// At most this long were `share` (0 to 1) of the times, ns: the upper edge of the bucket where that is reached, and never more than
    /// the longest. `None` before the first.
    pub fn quantile_ns(&self, share: f64) -> Option<u64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let wanted = ((count as f64 * share.clamp(0.0, 1.0)).ceil() as u64).clamp(1, count);
        let mut reached = 0_u64;
        let at = self.buckets.iter().position(|count| {
            reached = reached.saturating_add(*count);
            reached >= wanted
        })?;
        let edge = if at + 1 == BUCKETS { self.longest_ns } else { lower_edge(at + 1) - 1 };
        Some(edge.min(self.longest_ns))
    }

    /// What was counted since an earlier look at the same histogram. The longest time is then that of all time, or, where none of the
    /// new ones can have been it, the upper edge of their last bucket.
    pub fn since(&self, earlier: &Histogram) -> Histogram {
        let buckets: [u64; BUCKETS] = std::array::from_fn(|at| self.buckets[at].saturating_sub(earlier.buckets[at]));
        let last = buckets.iter().rposition(|count| *count > 0);
        let edge = last.map_or(0, |at| if at + 1 == BUCKETS { u64::MAX } else { lower_edge(at + 1) - 1 });
        let sum_ns = self.sum_ns.saturating_sub(earlier.sum_ns);
        Histogram { buckets, sum_ns, longest_ns: self.longest_ns.min(edge) }
    }

    /// The buckets that are not empty: from (ns, inclusive), to (ns, exclusive; `u64::MAX` for the last one), how many.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64, u64)> {
        let edges = |at: usize| (lower_edge(at), if at + 1 == BUCKETS { u64::MAX } else { lower_edge(at + 1) });
        let counted = self.buckets.iter().enumerate().filter(|(_, count)| **count > 0);
        counted.map(move |(at, count)| (edges(at).0, edges(at).1, *count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words() -> Box<HistogramWords> {
        let zero = || crate::sync::PlainU64::new(0);
        Box::new(HistogramWords { buckets: std::array::from_fn(|_| zero()), sum_ns: zero(), longest_ns: zero() })
    }

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        for at in 0..BUCKETS {
            assert_eq!(bucket(lower_edge(at)), at, "bucket {at} begins at {} ns", lower_edge(at));
            if at > 0 {
                assert_eq!(bucket(lower_edge(at) - 1), at - 1);
            }
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    proptest! {
        #[test]
        fn a_quantile_is_at_most_a_quarter_above_the_time(ns in 128_u64..171_000_000_000) {
            let words = words();
            words.count(ns);
            words.count_shared(u64::MAX / 4);
            let found = words.read().quantile_ns(0.5).unwrap();
            prop_assert!(found >= ns && found - ns <= ns / 4 + 32, "{found} for {ns}");
        }
    }

    #[test]
    fn quantiles_longest_and_mean() {
        let words = words();
        assert_eq!(words.read().quantile_ns(0.5), None);
        assert_eq!((words.read().mean_ns(), words.read().longest_ns()), (None, None));
        for ns in [1_000, 1_000, 1_000, 9_000_000] {
            words.count(ns);
        }
        let counted = words.read();
        assert_eq!(counted.count(), 4);
        assert_eq!(counted.longest_ns(), Some(9_000_000));
        assert_eq!(counted.mean_ns(), Some(2_250_750));
        assert!((1_000..1_280).contains(&counted.quantile_ns(0.75).unwrap()));
        assert_eq!(counted.quantile_ns(1.0), Some(9_000_000), "not above the longest");
        let copy = self::words();
        copy.become_copy(Some(&words));
        assert_eq!(copy.read(), counted);
        copy.become_copy(None);
        assert_eq!(copy.read(), Histogram::default());
    }

    #[test]
    fn what_was_counted_since() {
        let words = words();
        words.count(9_000_000);
        let earlier = words.read();
        words.count(1_000);
        words.count(3_000);
        let since = words.read().since(&earlier);
        assert_eq!(since.count(), 2);
        assert_eq!(since.mean_ns(), Some(2_000));
        assert!((3_000..3_750).contains(&since.longest_ns().unwrap()), "{since:?}");
        assert_eq!(since.buckets().map(|(.., count)| count).sum::<u64>(), 2);
        assert_eq!(since.since(&since).longest_ns(), None);
    }

    #[test]
    fn whatever_stands_there_is_no_panic() {
        let words = words();
        words.buckets.iter().for_each(|bucket| bucket.store(u64::MAX, Relaxed));
        let counted = words.read();
        assert!(counted.quantile_ns(0.99).is_some() && counted.mean_ns().is_some());
    }
}
