//! When a source that ended by itself is started again: soon at first, and ever later while it keeps ending.

use std::time::{Duration, Instant};

use crate::stop::Stop;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Who ran for so long was well: the next pause is the first one again.
const RAN_WELL: Duration = Duration::from_secs(10);

/// Longest sleep without a look at the stop.
const SLICE: Duration = Duration::from_millis(50);

/// The pauses before new starts: 100 ms, doubled each time up to 5 s.
#[derive(Debug)]
pub(super) struct Again {
    pause: Duration,
}

impl Again {
    pub(super) fn new() -> Self {
        Self { pause: FIRST_PAUSE }
    }

    /// The pause after an end that came `ran` after its start.
    pub(super) fn pause_after(&mut self, ran: Duration) -> Duration {
        if ran >= RAN_WELL {
            self.pause = FIRST_PAUSE;
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        pause
    }
}

/// Sleeps; false: it is time to stop.
pub(super) fn sleep(pause: Duration, stop: &Stop) -> bool {
    let until = Instant::now() + pause;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if stop.is_due() || left.is_zero() {
            return !stop.is_due();
        }
        std::thread::sleep(left.min(SLICE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_5_s_and_begin_anew_after_a_good_run() {
        let mut again = Again::new();
        let soon = Duration::from_secs(1);
        let pauses: Vec<u128> = (0..8).map(|_| again.pause_after(soon).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(again.pause_after(RAN_WELL).as_millis(), 100);
        assert_eq!(again.pause_after(soon).as_millis(), 200);
    }

    #[test]
    fn a_stop_ends_the_pause() {
        let stop = Stop::never();
        stop.ask();
        assert!(!sleep(Duration::from_secs(1000), &stop));
        assert!(sleep(Duration::ZERO, &Stop::never()));
    }
}
