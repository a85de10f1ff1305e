//! A deadline contract: how old a frame may be when a subscriber takes it, and how many it may lose a second.

use std::time::Duration;

/// What a subscriber relies on. Violations are counted in shared memory, where all can see them, and written to the stream's
/// trace; nothing else happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Contract {
    /// Oldest age of a frame, from its capture, at which it may be taken; and the age of the newest one taken at which
    /// [`Subscriber::is_stale`](crate::Subscriber::is_stale).
    pub max_age: Option<Duration>,
    /// Most frames within a second that may be passed over, or be gone before they are asked for.
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

/// Counts what is lost, second by second.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Second {
    until_ns: u64,
    /// Lost before it began.
    lost_before: u64,
    is_violated: bool,
}

impl Second {
    /// With `lost` frames in all up to now: how many there are in this second, the first time that they are more than `limit`.
    pub(crate) fn violated(&mut self, now_ns: u64, lost: u64, before: u64, limit: u32) -> Option<u64> {
        if now_ns >= self.until_ns {
            *self = Self { until_ns: now_ns.saturating_add(1_000_000_000), lost_before: before, is_violated: false };
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
    fn none_at_all_may_be_lost() {
        let mut second = Second::default();
        assert_eq!(second.violated(10, 0, 0, 0), None);
        assert_eq!(second.violated(20, 1, 0, 0), Some(1));
    }
}
