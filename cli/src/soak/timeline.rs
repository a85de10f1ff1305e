//! What happened on a stream over time, in rows: a second each at first.
//!
//! Memory stays flat: when there are too many rows, neighbours are merged two by two, and new rows are twice as long
//! from then on. A week has rows of some minutes, and still the worst second of each.

use serde::Serialize;

/// Most rows. At this number they are merged.
const MOST_ROWS: usize = 3600;

/// A stretch of time.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Row {
    /// When it begins, in seconds since the soak began.
    pub at_s: f64,
    /// How long it is.
    pub seconds: f64,
    /// Frames published, as the witness counts them: taken, and gone before it could take them.
    pub published: u64,
    pub rate_hz: f64,
    /// From a frame's publication to the witness having it. Of a merged row: the median is the mean of the medians,
    /// weighted by their frames, and the 99th percentile is that of the worst second in it.
    pub latency_p50_ns: Option<u64>,
    pub latency_p99_ns: Option<u64>,
    pub latency_max_ns: Option<u64>,
    /// Longest time without a frame that ended in it.
    pub longest_pause_ns: u64,
    /// Frames that the witness could not take in time.
    pub witness_missed: u64,
    /// All viewers' together, as for those below.
    pub viewer_frames: u64,
    pub skipped: u64,
    pub missed: u64,
    pub torn: u64,
    /// Of their contracts.
    pub violations: u64,
    /// Frames that found no free slot, and frames behind their deadline, as the stream's header counts them.
    pub refused: u64,
    pub late: u64,
    pub kills: u64,
    pub stops: u64,
    pub interrupts: u64,
    pub starts: u64,
}

impl Row {
    /// Takes in the row that follows.
    fn merge(&mut self, next: &Row) {
        let frames = self.published + next.published;
        let weighted = |row: &Row| row.latency_p50_ns.map(|ns| (u128::from(ns), u128::from(row.published.max(1))));
        self.latency_p50_ns = match (weighted(self), weighted(next)) {
            (Some((a, m)), Some((b, n))) => Some(((a * m + b * n) / (m + n)) as u64),
            (a, b) => a.or(b).map(|(ns, _)| ns as u64),
        };
        self.latency_p99_ns = self.latency_p99_ns.max(next.latency_p99_ns);
        self.latency_max_ns = self.latency_max_ns.max(next.latency_max_ns);
        self.longest_pause_ns = self.longest_pause_ns.max(next.longest_pause_ns);
        self.seconds += next.seconds;
        self.published = frames;
        self.rate_hz = if self.seconds > 0.0 { frames as f64 / self.seconds } else { 0.0 };
        for (sum, more) in [
            (&mut self.witness_missed, next.witness_missed),
            (&mut self.viewer_frames, next.viewer_frames),
            (&mut self.skipped, next.skipped),
            (&mut self.missed, next.missed),
            (&mut self.torn, next.torn),
            (&mut self.violations, next.violations),
            (&mut self.refused, next.refused),
            (&mut self.late, next.late),
            (&mut self.kills, next.kills),
            (&mut self.stops, next.stops),
            (&mut self.interrupts, next.interrupts),
            (&mut self.starts, next.starts),
        ] {
            *sum += more;
        }
    }
}

/// The rows of a stream, and their sum.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    rows: Vec<Row>,
    /// Samples that a full row is made of.
    samples_a_row: u32,
    /// Samples in the last row so far.
    in_last: u32,
    total: Row,
}

impl Default for Timeline {
    fn default() -> Self {
        Self { rows: Vec::new(), samples_a_row: 1, in_last: 1, total: Row::default() }
    }
}

impl Timeline {
    pub(super) fn push(&mut self, sample: Row) {
        self.total.merge(&sample);
        match self.rows.last_mut() {
            Some(last) if self.in_last < self.samples_a_row => {
                last.merge(&sample);
                self.in_last += 1;
            }
            _ => {
                self.rows.push(sample);
                self.in_last = 1;
            }
        }
        if self.rows.len() >= MOST_ROWS && self.in_last == self.samples_a_row {
            let pairs = self.rows.chunks(2).map(|pair| {
                let mut row = pair[0].clone();
                pair[1..].iter().for_each(|next| row.merge(next));
                row
            });
            self.rows = pairs.collect();
            self.samples_a_row *= 2;
            // An even number of full rows: the last one is full too.
            self.in_last = self.samples_a_row;
        }
    }

    /// Where the next row begins.
    pub(super) fn end_s(&self) -> f64 {
        self.rows.last().map_or(0.0, |last| ((last.at_s + last.seconds) * 1e3).round() / 1e3)
    }

    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The whole soak as one row.
    pub(super) fn total(&self) -> &Row {
        &self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(second: u64) -> Row {
        let latency = Some(if second == 5000 { 9_000_000 } else { 1000 });
        let (latency_p50_ns, latency_p99_ns, latency_max_ns) = (Some(1000), latency, latency);
        let (at_s, seconds, rate_hz) = (second as f64, 1.0, 100.0);
        let (published, kills) = (100, 2);
        Row {
            at_s,
            seconds,
            rate_hz,
            published,
            kills,
            latency_p50_ns,
            latency_p99_ns,
            latency_max_ns,
            ..Row::default()
        }
    }

    #[test]
    fn a_week_has_as_many_rows_as_an_hour_and_loses_no_count_and_no_spike() {
        let week = 7 * 24 * 3600;
        let mut timeline = Timeline::default();
        for second in 0..week {
            timeline.push(sample(second));
            assert!(timeline.rows().len() <= MOST_ROWS);
        }
        let rows = timeline.rows();
        assert!(rows.len() >= MOST_ROWS / 2 - 1, "{}", rows.len());
        assert_eq!(rows.iter().map(|row| row.published).sum::<u64>(), 100 * week);
        assert_eq!((timeline.total().kills, timeline.total().published), (2 * week, 100 * week));
        assert!(rows.iter().all(|row| (row.rate_hz - 100.0).abs() < 1e-9 && row.latency_p50_ns == Some(1000)));
        assert!(rows.windows(2).all(|pair| (pair[0].at_s + pair[0].seconds - pair[1].at_s).abs() < 1e-6));
        let worst: Vec<_> = rows.iter().filter(|row| row.latency_max_ns == Some(9_000_000)).collect();
        assert_eq!(worst.len(), 1);
        assert!((worst[0].at_s..worst[0].at_s + worst[0].seconds).contains(&5000.0), "it can be dated");
    }

    #[test]
    fn a_row_without_latency_takes_that_of_its_neighbour() {
        let mut timeline = Timeline::default();
        timeline.push(Row { seconds: 1.0, ..Row::default() });
        timeline.push(sample(1));
        assert_eq!(timeline.total().latency_p50_ns, Some(1000));
        assert_eq!(timeline.total().rate_hz, 50.0);
    }
}
