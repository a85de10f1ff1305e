//! How quickly a stream is published, from look to look.
//!
//! The rate is taken from the newest frame of one look to the newest frame of the next one, by the times of their
//! publication: 30.0 Hz, not now 29 and now 31. Where those two frames are of different publishers, or the first of them is
//! not there, their distance says nothing about the rate, and there is none.

use framebus::{PublisherState, StreamStatus};

/// What one look at a stream tells of its pace; the fields are those of [`StreamStatus`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// When; `CLOCK_MONOTONIC`, ns.
    pub at_ns: u64,
    /// Which segments.
    pub segment_id: i32,
    /// From where they go on; 0 where the stream begins with them.
    pub base_sequence: u64,
    /// The newest frame's.
    pub last_sequence: u64,
    /// Its age, ns; `None` where there is none in these segments.
    pub age_ns: Option<u64>,
    /// Whether somebody publishes.
    pub publisher: PublisherState,
    /// Who.
    pub publisher_pid: Option<u32>,
}

/// A stream's pace, as the looks so far tell of it.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    last: Seen,
    usual_hz: Option<f64>,
    /// There was no frame of the present publisher at the last look.
    begins: bool,
}

/// What happened from one look to the next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Frames published; `None`: the stream was made anew, and nobody can tell.
    pub frames: Option<u64>,
    /// Frames published a second.
    pub hz: Option<f64>,
    /// Another publisher than before was found, or a new stream under the name.
    pub restarted: bool,
}

impl Seen {
    /// What a listing says that was made at this time (`CLOCK_MONOTONIC`, ns).
    pub fn of(status: &StreamStatus, at_ns: u64) -> Self {
        Self {
            at_ns,
            segment_id: status.segment_id,
            base_sequence: status.base_sequence,
            last_sequence: status.last_sequence,
            age_ns: status.age_ns,
            publisher: status.publisher,
            publisher_pid: status.publisher_pid,
        }
    }

    fn is_restart_of(&self, before: &Self) -> bool {
        let came = before.publisher != PublisherState::Alive && self.publisher == PublisherState::Alive;
        let pids = (before.publisher_pid, self.publisher_pid);
        let other = matches!(pids, (Some(before), Some(now)) if before != now);
        came || other || before.segment_id != self.segment_id
    }

    /// Frames since a look before. Sequences go on in new segments, unless the stream was closed in between.
    fn frames_since(&self, before: &Self) -> Option<u64> {
        let goes_on = before.segment_id == self.segment_id || self.base_sequence >= before.last_sequence;
        self.last_sequence.checked_sub(before.last_sequence).filter(|_| goes_on)
    }
}

impl Pace {
    /// Of a stream that is looked at for the first time.
    pub fn new(first: Seen) -> Self {
        Self { last: first, usual_hz: None, begins: first.age_ns.is_none() }
    }

    /// The last look.
    pub fn last(&self) -> &Seen {
        &self.last
    }

    /// The last rate that was not 0, in frames a second.
    pub fn usual_hz(&self) -> Option<f64> {
        self.usual_hz
    }

    /// Takes the next look.
    pub fn take(&mut self, now: Seen) -> Progress {
        let before = std::mem::replace(&mut self.last, now);
        let restarted = now.is_restart_of(&before);
        let frames = now.frames_since(&before);
        let hz = match frames {
            None => None,
            Some(_) if restarted => None,
            Some(0) => Some(self.without_a_frame(now.age_ns)),
            Some(_) if self.begins => None,
            Some(count) => frames_a_second(&before, &now, count),
        };
        // What is the newest frame now may still be that of the publisher before.
        self.begins = now.age_ns.is_none() || (restarted || self.begins) && frames == Some(0);
        self.usual_hz = hz.filter(|&hz| hz > 0.0).or(self.usual_hz);
        Progress { frames, hz, restarted }
    }

    /// A stream slower than the looks keeps its rate until it has missed a frame.
    fn without_a_frame(&self, age_ns: Option<u64>) -> f64 {
        match (self.usual_hz, age_ns) {
            (Some(hz), Some(age_ns)) if (age_ns as f64) < 2e9 / hz => hz,
            _ => 0.0,
        }
    }
}

fn frames_a_second(before: &Seen, now: &Seen, count: u64) -> Option<f64> {
    let seconds = now.at_ns.checked_sub(before.at_ns).filter(|&ns| ns > 0)? as f64 / 1e9;
    let span = match (before.age_ns, now.age_ns) {
        (Some(before_ns), Some(now_ns)) => seconds + (before_ns as f64 - now_ns as f64) / 1e9,
        _ => seconds,
    };
    // Of frames that came in one burst it says nothing.
    Some(count as f64 / if span > seconds / 10.0 { span } else { seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// A stream of 30 Hz at this second, in the present segments.
    fn seen(second: u64) -> Seen {
        Seen {
            at_ns: second * SECOND,
            segment_id: 7,
            base_sequence: 0,
            last_sequence: 300 + 30 * second,
            age_ns: Some(10_000_000),
            publisher: PublisherState::Alive,
            publisher_pid: Some(4000),
        }
    }

    /// The rates of looks, in thousandths; -1: there is none.
    fn rates(looks: &[Seen]) -> Vec<i64> {
        let mut pace = Pace::new(looks[0]);
        looks[1..].iter().map(|look| pace.take(*look).hz.map_or(-1, |hz| (hz * 1e3).round() as i64)).collect()
    }

    #[test]
    fn the_rate_is_taken_from_frame_to_frame_and_not_from_look_to_look() {
        // 31 frames lie in this second, but the last one is by nearly a period younger.
        let before = Seen { age_ns: Some(10_000_000 + 33_333_333 * 3 / 4), ..seen(0) };
        let now = Seen { last_sequence: 331, age_ns: Some(10_000_000 - 33_333_333 / 4), ..seen(1) };
        assert_eq!(rates(&[before, now]), [30_000]);
    }

    #[test]
    fn time_without_a_publisher_is_no_time_from_frame_to_frame() {
        let gone = Seen { publisher: PublisherState::Gone, publisher_pid: None, age_ns: Some(20 * SECOND), ..seen(0) };
        let back = Seen { publisher_pid: Some(4001), ..seen(1) };
        assert_eq!(rates(&[gone, back, Seen { publisher_pid: Some(4001), ..seen(2) }]), [-1, 30_000]);
        // Nor where the successor was found before it had a frame.
        let waits = Seen { last_sequence: gone.last_sequence, age_ns: Some(21 * SECOND), ..back };
        let then =
            |second: u64| Seen { last_sequence: 300 + 30 * (second - 1), publisher_pid: Some(4001), ..seen(second) };
        assert_eq!(rates(&[gone, waits, then(2), then(3)]), [-1, -1, 30_000]);
    }

    #[test]
    fn new_segments_without_a_frame_are_no_leap() {
        let epoch = |second: u64| Seen { segment_id: 8, base_sequence: 300, ..seen(second) };
        let empty = Seen { last_sequence: 300, age_ns: None, ..epoch(1) };
        let looks = [seen(0), empty, Seen { age_ns: None, ..empty }, epoch(3), epoch(4)];
        assert_eq!(rates(&looks), [-1, 0, -1, 30_000]);
        let mut pace = Pace::new(seen(0));
        assert_eq!(pace.take(empty), Progress { frames: Some(0), hz: None, restarted: true });
        assert_eq!(pace.take(epoch(2)).frames, Some(60));
    }

    #[test]
    fn a_stream_made_anew_has_no_past_whatever_its_numbers_are() {
        for last_sequence in [5, 300, 450] {
            let anew = Seen { segment_id: 8, last_sequence, ..seen(1) };
            let mut pace = Pace::new(seen(0));
            assert_eq!(pace.take(anew), Progress { frames: None, hz: None, restarted: true });
            let then = Seen { at_ns: 2 * SECOND, last_sequence: last_sequence + 30, ..anew };
            assert_eq!(pace.take(then), Progress { frames: Some(30), hz: Some(30.0), restarted: false });
        }
    }

    #[test]
    fn what_begins_while_it_is_looked_at_has_a_rate_from_its_second_look_with_frames_on() {
        let nothing = Seen { last_sequence: 0, age_ns: None, ..seen(0) };
        let first = Seen { last_sequence: 12, ..seen(1) };
        assert_eq!(rates(&[nothing, first, Seen { last_sequence: 42, ..seen(2) }]), [-1, 30_000]);
    }

    #[test]
    fn a_stream_slower_than_the_looks_keeps_its_rate_until_a_frame_is_overdue() {
        let slow =
            |second: u64, last_sequence, age: u64| Seen { last_sequence, age_ns: Some(age * SECOND), ..seen(second) };
        let mut looks = vec![slow(0, 1, 2), slow(1, 2, 0)];
        looks.extend((1..=7).map(|age| slow(1 + age, 2, age)));
        // Frames 3 s apart.
        assert_eq!(rates(&looks), [333, 333, 333, 333, 333, 333, 0, 0]);
    }
}
