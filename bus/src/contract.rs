//! A deadline contract: how old a frame may be when a subscriber takes it, and how many it may lose a second.

use std::time::Duration;

/// What a subscriber relies on. Violations are counted in shared memory, where all can see them, and written to the stream's
/// trace; nothing else happens. Frames that were published within 100 µs of the last one judged are not judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Contract {
    /// Oldest age of a frame, from its capture, at which it may be taken; and the age of the newest one taken at which
    /// [`Subscriber::is_stale`](crate::Subscriber::is_stale).
    pub max_age: Option<Duration>,
    /// Most frames within a second that may be passed over, or be gone before they are asked for. One second follows the other, from
    /// the first frame on; where no frame was taken for longer than that, it is how many a second they were.
    pub max_skipped_per_s: Option<u32>,
}

impl Contract {
    /// Whether nothing is agreed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// In ns; 0: none.
    pub(crate) fn max_age_ns(&self) -> u64 {
        self.max_age.map_or(0, |age| u64::try_from(age.as_nanos()).unwrap_or(u64::MAX))
    }
}

/// How often a [`Contract`] was not kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violations {
    /// Frames that were too old when they were taken.
    pub too_old: u64,
    /// Seconds in which too many were passed over or gone.
    pub too_many_skipped: u64,
    /// Times that [`Subscriber::is_stale`](crate::Subscriber::is_stale) found no frame that is new enough.
    pub stale: u64,
}

impl Violations {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.too_old.saturating_add(self.too_many_skipped).saturating_add(self.stale)
    }
}

const SECOND_NS: u64 = 1_000_000_000;

/// How many of `frames` are a second's, of so many ns; more than one second.
fn share(frames: u64, ns: u64) -> u64 {
    (u128::from(frames) * u128::from(SECOND_NS) / u128::from(ns)) as u64
}

/// Counts what is lost, second by second.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Second {
    until_ns: u64,
    /// Lost before it began.
    lost_before: u64,
    is_violated: bool,
    /// When this was asked last.
    asked_ns: u64,
}

impl Second {
    /// Nothing is lost before this time.
    pub(crate) fn from(now_ns: u64) -> Self {
        Self { asked_ns: now_ns, ..Self::default() }
    }

    /// With `lost` frames in all up to now, and `before` of them when this was asked last: how many there are in this second, the first
    /// time that they are more than `limit`.
    pub(crate) fn violated(&mut self, now_ns: u64, lost: u64, before: u64, limit: u32) -> Option<u64> {
        let since_ns = now_ns.saturating_sub(self.asked_ns);
        self.asked_ns = now_ns;
        if now_ns >= self.until_ns {
            // Those of many seconds are not this one's.
            let earlier = match lost.saturating_sub(before) {
                passed if since_ns > SECOND_NS => passed - share(passed, since_ns),
                _ => 0,
            };
            (self.until_ns, self.lost_before) = (now_ns.saturating_add(SECOND_NS), before.saturating_add(earlier));
            self.is_violated = false;
        }
        let in_second = lost.saturating_sub(self.lost_before);
        if self.is_violated || in_second <= u64::from(limit) {
            return None;
        }
        self.is_violated = true;
        Some(in_second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn a_second_is_violated_once() {
        let mut second = Second::default();
        assert_eq!(second.violated(10, 2, 0, 2), None, "as many as allowed");
        assert_eq!(second.violated(20, 3, 2, 2), Some(3));
        assert_eq!(second.violated(30, 9, 3, 2), None, "it is counted already");
        assert_eq!(second.violated(10 + S, 11, 9, 2), None, "another one, with 2");
        assert_eq!(second.violated(11 + S, 12, 11, 2), Some(3));
    }

    #[test]
    fn who_takes_a_frame_in_two_seconds_loses_no_more_a_second_than_are_published() {
        let mut second = Second::from(0);
        assert_eq!(second.violated(10, 0, 0, 60), None);
        for at in 1..10 {
            assert_eq!(second.violated(10 + at * 2 * S, at * 119, (at - 1) * 119, 60), None, "59 a second");
            assert_eq!(
                second.clone().violated(11 + at * 2 * S, at * 119 + 2, at * 119, 60),
                Some(61),
                "and what follows"
            );
        }
        assert_eq!(second.violated(20 * S, 9 * 119 + 300, 9 * 119, 60), Some(150));
    }

    #[test]
    fn none_at_all_may_be_lost() {
        let mut second = Second::default();
        assert_eq!(second.violated(10, 0, 0, 0), None);
        assert_eq!(second.violated(20, 1, 0, 0), Some(1));
    }
}
