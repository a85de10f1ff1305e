//! How long it is from a frame to the next one as a rule, on a stream that does not say so itself.
//!
//! Of a stream without a nominal rate, the longest of the last few distances counts: a camera has one after a few frames, and
//! whatever comes in bursts has its pauses among them. Where frames were passed over, their distance is shared among all.

use framebus::Rate;
use std::time::Duration;

/// Distances that are remembered.
const KEPT: usize = 8;

/// For as long as nothing is known of a stream but one frame.
const UNKNOWN: Duration = Duration::from_secs(1);

/// The last few distances between frames.
#[derive(Clone, Debug, Default)]
pub(crate) struct Usual {
    /// Sequence of the last frame, and when it was published, ns.
    last: Option<(u64, u64)>,
    /// In ns; 0: none so far.
    distances: [u64; KEPT],
    /// The oldest of them.
    next: usize,
}

impl Usual {
    /// Takes note of a frame.
    pub(crate) fn saw(&mut self, sequence: u64, publish_ns: u64) {
        let before = self.last.replace((sequence, publish_ns));
        let Some((last, last_ns)) = before.filter(|(last, _)| *last < sequence) else { return };
        self.distances[self.next] = publish_ns.saturating_sub(last_ns) / (sequence - last);
        self.next = (self.next + 1) % KEPT;
    }

    /// The next frame is another publisher's: how long it is since the last one says nothing.
    pub(crate) fn forget_last(&mut self) {
        self.last = None;
    }

    /// How long there may be no newer frame, and nothing be wrong: twice the time from one to the next.
    pub(crate) fn most(&self, rate: Option<Rate>) -> Duration {
        let longest = self.distances.iter().max().copied().filter(|ns| *ns > 0);
        match (rate, longest) {
            (Some(rate), _) => rate.time_of(2),
            (None, Some(ns)) => Duration::from_nanos(ns.saturating_mul(2)),
            (None, None) if self.last.is_some() => UNKNOWN,
            // Before the first frame there is nothing that could be old.
            (None, None) => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn most_ms(usual: &Usual) -> u128 {
        usual.most(None).as_millis()
    }

    #[test]
    fn a_stream_without_a_rate_has_that_of_its_frames() {
        let mut usual = Usual::default();
        assert_eq!(most_ms(&usual), 0);
        usual.saw(7, 1000 * MS);
        assert_eq!(most_ms(&usual), 1000, "of one frame nobody knows");
        usual.saw(8, 1100 * MS);
        assert_eq!(most_ms(&usual), 200);
        // Three of them were passed over.
        usual.saw(12, 1500 * MS);
        assert_eq!(most_ms(&usual), 200);
        assert_eq!(usual.most(Some(Rate::new(50, 1).unwrap())), Duration::from_millis(40), "who says it is believed");
    }

    #[test]
    fn a_pause_counts_for_as_long_as_it_is_among_the_last_few() {
        let mut usual = Usual::default();
        (1..=4).for_each(|frame| usual.saw(frame, frame * MS));
        usual.saw(5, 404 * MS);
        assert_eq!(most_ms(&usual), 800);
        (6..=12).for_each(|frame| usual.saw(frame, (399 + frame) * MS));
        assert_eq!(most_ms(&usual), 800);
        usual.saw(13, 412 * MS);
        assert_eq!(most_ms(&usual), 2);
    }

    #[test]
    fn neither_another_publisher_nor_a_stream_made_anew_is_a_pause() {
        let mut usual = Usual::default();
        (1..=4).for_each(|frame| usual.saw(frame, frame * MS));
        usual.forget_last();
        usual.saw(5, 60_000 * MS);
        assert_eq!(most_ms(&usual), 2);
        usual.saw(1, 90_000 * MS);
        assert_eq!(most_ms(&usual), 2);
        usual.saw(2, 0);
        assert_eq!(most_ms(&usual), 2, "whatever a neighbour has written there");
    }
}
