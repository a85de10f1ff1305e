//! The promises, and whether they were kept.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::arguments::Settings;

/// Breaches of a promise that are described; all are counted.
const DESCRIBED: usize = 20;

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Promise {
    Torn,
    Order,
    Refused,
    GoesOn,
    Actors,
    Slots,
    Places,
    Leaks,
    Smooth,
    Contract,
}

impl Promise {
    const ALL: [Promise; 10] = [
        Promise::Torn,
        Promise::Order,
        Promise::Refused,
        Promise::GoesOn,
        Promise::Actors,
        Promise::Slots,
        Promise::Places,
        Promise::Leaks,
        Promise::Smooth,
        Promise::Contract,
    ];

    pub(super) fn text(self) -> &'static str {
        match self {
            Promise::Torn => "no frame is torn",
            Promise::Order => "sequences strictly increase, also over restarts",
            Promise::Refused => "no frame is refused",
            Promise::GoesOn => "every stream goes on, whoever dies",
            Promise::Actors => "nobody ends but by order",
            Promise::Slots => "no slot is lost",
            Promise::Places => "no place is lost",
            Promise::Leaks => "nothing is left behind",
            Promise::Smooth => "no frame is skipped, missed or late",
            Promise::Contract => "every viewer gets what it relies on",
        }
    }

    /// Whether it was given for this soak.
    fn is_given(self, settings: &Settings) -> bool {
        match self {
            Promise::Refused => settings.refuses_nothing(),
            Promise::Smooth => settings.strict,
            Promise::Contract => settings.has_contract(),
            // Without a free slot for everybody, none can be missed either.
            Promise::Slots => settings.slots == framebus::Slots::Auto,
            _ => true,
        }
    }
}

/// A promise that was broken, once.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Finding {
    pub promise: Promise,
    /// Seconds since the soak began.
    pub at_s: f64,
    pub stream: String,
    /// Who did it, or whom it happened to; empty: not known.
    pub culprit: String,
    pub detail: String,
}

/// The findings so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings {
    counts: BTreeMap<Promise, u64>,
    described: Vec<Finding>,
}

impl Findings {
    pub(super) fn push(&mut self, finding: Finding) {
        *self.counts.entry(finding.promise).or_default() += 1;
        let alike = self.described.iter().filter(|other| other.promise == finding.promise).count();
        if alike < DESCRIBED {
            self.described.push(finding);
        }
    }

    pub(super) fn count(&self, promise: Promise) -> u64 {
        self.counts.get(&promise).copied().unwrap_or(0)
    }
}

/// How it all went.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    /// Each promise that was given, and how often it was broken.
    pub promises: Vec<(Promise, u64)>,
    /// Of those that were given.
    pub findings: Vec<Finding>,
}

impl Verdict {
    pub(super) fn new(settings: &Settings, findings: &Findings) -> Self {
        let given = Promise::ALL.into_iter().filter(|promise| promise.is_given(settings));
        let promises: Vec<_> = given.map(|promise| (promise, findings.count(promise))).collect();
        let matters = |finding: &&Finding| finding.promise.is_given(settings);
        Self { promises, findings: findings.described.iter().filter(matters).cloned().collect() }
    }

    pub(super) fn is_ok(&self) -> bool {
        self.promises.iter().all(|&(_, broken)| broken == 0)
    }

    pub(super) fn exit_code(&self) -> u8 {
        u8::from(!self.is_ok())
    }

    pub(super) fn to_json(&self) -> Value {
        let promises = self.promises.iter().map(|&(promise, broken)| {
            let first = self.findings.iter().find(|finding| finding.promise == promise);
            json!({
                "promise": promise,
                "text": promise.text(),
                "kept": broken == 0,
                "breaches": broken,
                "first_at_s": first.map(|finding| finding.at_s),
                "first_culprit": first.map(|finding| &finding.culprit),
            })
        });
        json!({
            "ok": self.is_ok(),
            "exit_code": self.exit_code(),
            "promises": promises.collect::<Vec<_>>(),
            "findings": self.findings,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soak::testing::settings;

    fn verdict(line: &str, broken: &[Promise]) -> Verdict {
        let mut findings = Findings::default();
        for &promise in broken {
            let (stream, culprit, detail) = ("a/b".to_owned(), "viewer-1".to_owned(), "bad".to_owned());
            findings.push(Finding { promise, at_s: 3.5, stream, culprit, detail });
        }
        Verdict::new(&settings(line), &findings)
    }

    #[test]
    fn a_soak_without_findings_is_ok() {
        let verdict = verdict("", &[]);
        assert_eq!((verdict.is_ok(), verdict.exit_code(), verdict.findings.len()), (true, 0, 0));
        assert_eq!(verdict.promises.len(), 8);
    }

    #[test]
    fn each_broken_promise_fails_the_soak_and_is_named_with_time_and_culprit() {
        for promise in Promise::ALL {
            let verdict = verdict("--strict --max-age-ms 50", &[promise]);
            assert_eq!(verdict.exit_code(), 1, "{promise:?}");
            let json = verdict.to_json();
            let broken: Vec<&Value> =
                json["promises"].as_array().unwrap().iter().filter(|row| row["kept"] == false).collect();
            assert_eq!(broken.len(), 1);
            assert_eq!((&broken[0]["text"], &broken[0]["first_at_s"]), (&promise.text().into(), &3.5.into()));
            assert_eq!((&broken[0]["first_culprit"], &json["ok"]), (&"viewer-1".into(), &false.into()));
        }
    }

    #[test]
    fn what_was_not_promised_is_not_held_against_it() {
        assert!(verdict("", &[Promise::Smooth]).is_ok());
        assert!(verdict("", &[Promise::Contract]).is_ok());
        assert!(!verdict("--max-skipped-per-s 0", &[Promise::Contract]).is_ok());
        assert!(verdict("--slots 6", &[Promise::Refused]).is_ok());
        assert!(!verdict("--slots 6 --calm", &[Promise::Refused]).is_ok(), "a calm soak is there to find drops");
    }

    #[test]
    fn many_breaches_are_counted_and_some_described() {
        let verdict = verdict("", &[Promise::Torn; 1000]);
        assert_eq!(verdict.findings.len(), DESCRIBED);
        assert_eq!(verdict.promises[0], (Promise::Torn, 1000));
    }
}
