//! The last two minutes of a stream, for the sparklines.

use std::collections::VecDeque;

/// How far back it goes.
pub const SPAN_NS: u64 = 120_000_000_000;

/// A stream at one look.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// `CLOCK_MONOTONIC`, ns.
    pub at_ns: u64,
    pub published_hz: Option<f64>,
    pub refused_hz: Option<f64>,
    pub age_ns: Option<u64>,
}

/// The samples of the last two minutes, the oldest first.
#[derive(Clone, Debug, Default)]
pub struct History(VecDeque<Sample>);

impl History {
    pub fn push(&mut self, sample: Sample) {
        self.0.push_back(sample);
        while self.0.front().is_some_and(|first| sample.at_ns - first.at_ns > SPAN_NS) {
            self.0.pop_front();
        }
    }

    /// The two minutes before `now_ns` in so many columns, the newest last: the largest value of each column's time. Where
    /// looks are rarer than columns, a column without one has the value of the next look, which tells of that time.
    pub fn columns(&self, now_ns: u64, columns: usize, value: impl Fn(&Sample) -> Option<f64>) -> Vec<Option<f64>> {
        let mut found = vec![None; columns];
        let mut next = 0;
        for sample in &self.0 {
            let back = now_ns.saturating_sub(sample.at_ns).min(SPAN_NS) as usize;
            let column = (columns - 1).saturating_sub(back * columns / SPAN_NS as usize);
            let first = if next == 0 { column } else { column.min(next) };
            if let Some(value) = value(sample) {
                for place in &mut found[first..=column] {
                    *place = Some(place.map_or(value, |other: f64| other.max(value)));
                }
            }
            next = column + 1;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn history(seconds: impl Iterator<Item = u64>) -> History {
        let mut history = History::default();
        for second in seconds {
            let published_hz = Some(second as f64);
            history.push(Sample { at_ns: second * SECOND, published_hz, ..Sample::default() });
        }
        history
    }

    #[test]
    fn what_is_older_than_two_minutes_is_forgotten() {
        let history = history(0..500);
        assert_eq!(history.0.len(), 121);
        assert_eq!(history.0[0].at_ns, 379 * SECOND);
    }

    #[test]
    fn columns_have_the_largest_value_of_their_time_and_the_newest_stands_last() {
        let columns = history(0..120).columns(119 * SECOND, 12, |sample| sample.published_hz);
        let expected: Vec<_> = (0..12).map(|column| Some(f64::from(column * 10 + 9))).collect();
        assert_eq!(columns, expected);
    }

    #[test]
    fn rare_looks_leave_no_holes_and_what_was_before_the_first_look_is_empty() {
        let columns = history([60, 70, 80].into_iter()).columns(80 * SECOND, 120, |sample| sample.published_hz);
        assert!(columns[..99].iter().all(Option::is_none));
        assert_eq!(columns[99], Some(60.0));
        assert_eq!(
            (columns[100], columns[109], columns[110], columns[119]),
            (Some(70.0), Some(70.0), Some(80.0), Some(80.0))
        );
    }

    #[test]
    fn a_sample_without_the_value_stays_empty() {
        let columns = history(0..3).columns(2 * SECOND, 120, |sample| sample.refused_hz);
        assert!(columns.iter().all(Option::is_none));
    }
}
