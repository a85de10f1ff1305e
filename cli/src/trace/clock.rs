//! Times of events, for people and machines. Events have the time of `CLOCK_MONOTONIC`, which nobody sets.

use std::time::{Duration, SystemTime};

use framebus::now_ns;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// What times are shown as.
pub enum Clock {
    /// As the events have them, in ns.
    Monotonic,
    /// Of this machine's time zone, or of `TZ`.
    Local(TimeZone),
}

impl Clock {
    pub fn local() -> Self {
        Clock::Local(TimeZone::system())
    }

    /// `12:03:04.127`, or ns.
    pub fn text(&self, at_ns: u64) -> String {
        match self {
            Clock::Monotonic => at_ns.to_string(),
            Clock::Local(zone) => {
                let time = Timestamp::try_from(wall(at_ns)).unwrap_or(Timestamp::UNIX_EPOCH);
                zone.to_datetime(time).strftime("%H:%M:%S%.3f").to_string()
            }
        }
    }
}

/// UTC, as RFC 3339 has it.
pub fn utc(at_ns: u64) -> String {
    humantime::format_rfc3339_millis(wall(at_ns)).to_string()
}

/// The wall clock's time of a time of `CLOCK_MONOTONIC`, if nobody has set it in between.
fn wall(at_ns: u64) -> SystemTime {
    let (now, monotonic) = (SystemTime::now(), now_ns());
    let back = Duration::from_nanos(monotonic.saturating_sub(at_ns));
    let on = Duration::from_nanos(at_ns.saturating_sub(monotonic));
    // Whatever a neighbour has written there.
    now.checked_sub(back).and_then(|time| time.checked_add(on)).unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_to_the_millisecond_or_raw() {
        assert_eq!(Clock::Monotonic.text(4711), "4711");
        let text = Clock::Local(TimeZone::UTC).text(now_ns());
        assert_eq!(text.len(), "12:03:04.127".len(), "{text}");
        assert_eq!(utc(now_ns()).len(), "2026-01-01T12:03:04.127Z".len());
        // Half an hour from UTC, somewhere.
        let zone = TimeZone::fixed(jiff::tz::Offset::constant(5));
        assert_ne!(Clock::Local(zone).text(0)[..2], Clock::Local(TimeZone::UTC).text(0)[..2]);
    }

    #[test]
    fn a_time_that_makes_no_sense_is_no_panic() {
        let _ = (Clock::Local(TimeZone::UTC).text(u64::MAX), utc(u64::MAX), utc(0));
    }
}
