//! What the viewer relies on, and what is said where that is not kept. The library judges each frame; see
//! [`framebus::Contract`].

use crate::figures::{Interval, Summary};
use crate::status::time_text;
use framebus::Contract;
use serde::Serialize;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A limit on the command line, which goes before the config's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit<T> {
    /// `none`: not even the config's.
    None,
    /// At most so much.
    Most(T),
}

impl<T> Limit<T> {
    /// The limit; `None` where there is none.
    pub fn most(self) -> Option<T> {
        match self {
            Limit::None => None,
            Limit::Most(most) => Some(most),
        }
    }
}

impl FromStr for Limit<Duration> {
    type Err = String;

    /// Milliseconds.
    fn from_str(text: &str) -> Result<Self, String> {
        let ms = text.parse().ok().filter(|ms| (0.001..=3_600_000.0).contains(ms));
        match (text, ms) {
            ("none", _) => Ok(Limit::None),
            (_, Some(ms)) => Ok(Limit::Most(Duration::from_secs_f64(ms / 1e3))),
            _ => Err(format!("{text:?} is no age: expected 0.001 to 3600000 ms, or none")),
        }
    }
}

impl FromStr for Limit<u32> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse().ok().filter(|most| *most <= 1_000_000)) {
            ("none", _) => Ok(Limit::None),
            (_, Some(most)) => Ok(Limit::Most(most)),
            _ => Err(format!("{text:?} is no number of frames a second: expected 0 to 1000000, or none")),
        }
    }
}

/// How often the contract was not kept, as `--json` prints it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Violations {
    /// Frames that were too old when they were taken.
    pub too_old: u64,
    /// Seconds in which too many were skipped or missed.
    pub too_many_skipped: u64,
    /// Intervals at whose end the newest frame was too old, or there was none.
    pub stale: u64,
}

impl From<framebus::Violations> for Violations {
    fn from(violations: framebus::Violations) -> Self {
        let framebus::Violations { too_old, too_many_skipped, stale, .. } = violations;
        Self { too_old, too_many_skipped, stale }
    }
}

impl Violations {
    /// All of them. They stand where others can write: no number is too large, and none must grow.
    pub fn total(self) -> u64 {
        self.too_old.saturating_add(self.too_many_skipped).saturating_add(self.stale)
    }

    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            too_old: self.too_old.saturating_sub(earlier.too_old),
            too_many_skipped: self.too_many_skipped.saturating_sub(earlier.too_many_skipped),
            stale: self.stale.saturating_sub(earlier.stale),
        }
    }
}

impl fmt::Display for Violations {
    /// Each kind that there was; nothing where there was none.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [
            (self.too_old, "frame too old when taken", "frames too old when taken"),
            (self.too_many_skipped, "second with too many skipped", "seconds with too many skipped"),
            (self.stale, "time without a frame that is new enough", "times without a frame that is new enough"),
        ];
        let kinds = kinds.into_iter().filter(|(count, ..)| *count > 0);
        let words: Vec<String> =
            kinds.map(|(count, one, many)| format!("{count} {}", if count == 1 { one } else { many })).collect();
        write!(out, "{}", words.join(", "))
    }
}

/// How the contract was not kept in an interval, and what it would have allowed; `None` where it was.
pub(crate) fn interval_warning(interval: &Interval<'_>, contract: &Contract) -> Option<String> {
    let Interval { stream, violations, skipped, missed, .. } = interval;
    if violations.total() == 0 {
        return None;
    }
    let mut measured = Vec::new();
    if let (Some(most), true) = (contract.max_age, violations.too_old > 0 || violations.stale > 0) {
        let oldest = interval.oldest_ns.filter(|_| violations.too_old > 0);
        let found = match (oldest, interval.age_ns) {
            (Some(ns), _) => format!("up to {} old", time_text(ns)),
            (None, Some(ns)) => format!("the newest is {} old", time_text(ns)),
            (None, None) => "there is none at all".to_owned(),
        };
        measured.push(format!("{found}, allowed {most:?}"));
    }
    if let (Some(most), true) = (contract.max_skipped_per_s, violations.too_many_skipped > 0) {
        let lost = skipped.saturating_add(*missed);
        measured.push(format!("{lost} skipped or missed since the line before, allowed {most} a second"));
    }
    Some(format!("{stream} does not keep its contract: {violations} ({})", measured.join("; ")))
}

/// What a run was not to have, with `--enforce`; `None` where there was nothing of it.
pub(crate) fn fault(stream: &str, violations: Violations, evicted: u64) -> Option<String> {
    let evictions = match evicted {
        0 => String::new(),
        1 => "evicted once while every frame was asked for".to_owned(),
        times => format!("evicted {times} times while every frame was asked for"),
    };
    let words: Vec<String> =
        [violations.to_string(), evictions].into_iter().filter(|words| !words.is_empty()).collect();
    (!words.is_empty()).then(|| format!("the contract of {stream} was not kept: {}", words.join(", ")))
}

/// The line of a run's last words; empty where nothing was agreed and nobody evicted.
pub(crate) fn summary_text(summary: &Summary) -> String {
    let mut text = match summary.contract_kept {
        None => String::new(),
        Some(true) => "\ncontract kept".to_owned(),
        Some(false) => format!("\ncontract not kept: {}", summary.violations),
    };
    if summary.evicted > 0 {
        text.push_str(&format!("\nevicted {} times: did not read for longer than the producer waits", summary.evicted));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::{Counts, Figures};

    #[test]
    fn limits_are_numbers_of_a_range_or_none() {
        assert_eq!("0.5".parse(), Ok(Limit::Most(Duration::from_micros(500))));
        assert_eq!("none".parse(), Ok(Limit::<Duration>::None));
        assert_eq!("0".parse(), Ok(Limit::Most(0_u32)));
        for wrong in ["", "0", "-1", "inf", "NaN", "3600001", "soon"] {
            assert!(wrong.parse::<Limit<Duration>>().unwrap_err().contains("expected 0.001 to 3600000 ms"), "{wrong}");
        }
        assert!("1.5".parse::<Limit<u32>>().unwrap_err().contains("expected 0 to 1000000"));
    }

    #[test]
    fn numbers_that_somebody_has_scribbled_are_no_panic() {
        let many = Violations { too_old: u64::MAX, too_many_skipped: 2, stale: 1 };
        assert_eq!(many.total(), u64::MAX);
        let expected = Violations { too_old: 0, too_many_skipped: 0, stale: 1 };
        assert_eq!(Violations { too_old: 3, too_many_skipped: 0, stale: 2 }.since(many), expected);
        let mut contract = Contract::default();
        (contract.max_age, contract.max_skipped_per_s) = (Some(Duration::from_millis(50)), Some(0));
        let mut figures = Figures::new("robot/front".into(), "viewer".into());
        let counts = Counts { skipped: u64::MAX, missed: 3, violations: many, ..Counts::default() };
        let interval = figures.end_interval(counts, Duration::from_secs(1), 0, 0);
        assert!(interval_warning(&interval, &contract).unwrap().contains(&format!("{} frames too old", u64::MAX)));
        assert!(figures.summary(counts, Duration::from_secs(1)).published() > 0);
    }

    #[test]
    fn a_warning_says_what_and_how_much_and_a_kept_contract_nothing() {
        let mut contract = Contract::default();
        (contract.max_age, contract.max_skipped_per_s) = (Some(Duration::from_millis(50)), Some(0));
        let mut figures = Figures::new("robot/front".into(), "viewer".into());
        figures.has_contract = true;
        figures.saw(1, 0, 61_000_000, Some(1));
        let counts = Counts::default();
        let kept = figures.end_interval(counts, Duration::from_secs(1), 62_000_000, 0);
        assert_eq!(interval_warning(&kept, &contract), None);
        figures.saw(2, 1_000_000, 62_000_000, Some(1));
        let violations = Violations { too_old: 2, too_many_skipped: 1, stale: 0 };
        let counts = Counts { missed: 3, evicted: 1, violations, ..counts };
        let broken = figures.end_interval(counts, Duration::from_secs(2), 70_000_000, 0);
        assert_eq!(
            interval_warning(&broken, &contract).unwrap(),
            "robot/front does not keep its contract: 2 frames too old when taken, 1 second with too many skipped (up to 61.0 ms old, \
             allowed 50ms; 3 skipped or missed since the line before, allowed 0 a second)"
        );
        let summary = figures.summary(counts, Duration::from_secs(2));
        assert_eq!(summary.contract_kept, Some(false));
        assert!(summary_text(&summary).starts_with("\ncontract not kept: 2 frames too old when taken, 1 second"));
        assert_eq!(
            fault("robot/front", violations, 2).unwrap(),
            "the contract of robot/front was not kept: 2 frames too old when taken, 1 second with too many skipped, evicted 2 times \
             while every frame was asked for"
        );
        assert_eq!(fault("robot/front", Violations::default(), 0), None);
    }
}
