//! What a stream's subscribers rely on, and the tables `[streams.NAME.subscribers.LABEL]` of those who rely on something else.

use crate::document::{Section, type_of};
use framebus::{Contract, OnFull};
use std::collections::BTreeMap;
use std::time::Duration;

/// Keys of a table `[streams.NAME.subscribers.LABEL]`.
pub const KEYS: [&str; 3] = [MAX_AGE, MAX_SKIPPED, LOSSLESS];
const MAX_AGE: &str = "max_age_ms";
const MAX_SKIPPED: &str = "max_skipped_per_s";
const LOSSLESS: &str = "lossless";
/// Lifts a limit of the stream's for one subscriber; for a stream it is as leaving the key out.
const NONE: &str = "none";
/// As large as a label of the library's may be.
const MAX_LABEL_BYTES: usize = 31;

/// What the file says of the subscribers of one label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubscriberConfig {
    /// What they rely on: the stream's contract, but for what the label's table says.
    pub contract: Contract,
    /// Whether a publisher that waits is to wait for them; `None` where the file does not say, and they decide.
    pub lossless: Option<bool>,
}

/// The limits of a table, over those of `base`.
pub(crate) fn read(section: &mut Section<'_, '_>, base: Contract) -> Contract {
    let mut contract = base;
    if let Some(max_age) = max_age(section) {
        contract.max_age = max_age;
    }
    if let Some(max_skipped) = max_skipped(section) {
        contract.max_skipped_per_s = max_skipped;
    }
    contract
}

fn max_age(section: &mut Section<'_, '_>) -> Option<Option<Duration>> {
    if is_none(section, MAX_AGE) {
        return Some(None);
    }
    let ms = section.number(MAX_AGE, 0.001..=3_600_000.0, "expected 0.001 to 3600000 ms, or \"none\"")?;
    Some(Some(Duration::from_secs_f64(ms / 1e3)))
}

fn max_skipped(section: &mut Section<'_, '_>) -> Option<Option<u32>> {
    if is_none(section, MAX_SKIPPED) {
        return Some(None);
    }
    section.integer(MAX_SKIPPED, 0, 1_000_000).map(Some)
}

fn is_none(section: &Section<'_, '_>, key: &str) -> bool {
    section.value(key).is_some_and(|value| value.get_ref().as_str() == Some(NONE))
}

/// The table `subscribers` of a stream whose contract is `base`. `on_full` is what the stream does, where the file says it rightly.
pub(crate) fn read_subscribers(
    section: &mut Section<'_, '_>,
    base: Contract,
    on_full: Option<OnFull>,
) -> BTreeMap<String, SubscriberConfig> {
    const KEY: &str = "subscribers";
    let mut subscribers = BTreeMap::new();
    let Some(value) = section.value(KEY) else { return subscribers };
    let Some(table) = value.get_ref().as_table() else {
        let help = format!("write a table for each label: {}", section.title_of(&format!("{KEY}.recorder")));
        section.refuse_type(KEY, "a table", help);
        return subscribers;
    };
    for (label, value) in table {
        let (span, label) = (label.span(), label.get_ref().as_ref());
        if label.is_empty() || label.len() > MAX_LABEL_BYTES || label.chars().any(char::is_control) {
            let help = format!(
                "expected 1 to {MAX_LABEL_BYTES} bytes without control characters: what a viewer's --label can be"
            );
            section.report(span, format!("{label:?} can not be a subscriber's label"), help);
            continue;
        }
        let title = section.title_of(&format!("{KEY}.{label}"));
        let Some(table) = value.get_ref().as_table() else {
            let found = type_of(value.get_ref());
            let message = format!("`{label}` in {} is {found}, expected a table", section.title_of(KEY));
            section.report(span, message, format!("write its keys under {title}"));
            continue;
        };
        let mut own = section.inside(title, span, table, &KEYS);
        let contract = read(&mut own, base);
        let lossless = own.boolean(LOSSLESS);
        if lossless == Some(true) && on_full == Some(OnFull::Drop) {
            let help = "add on_full = \"wait\" to the stream, or remove `lossless`";
            own.refuse_key(LOSSLESS, "`lossless` needs a stream with on_full = \"wait\"", help);
        }
        subscribers.insert(label.to_owned(), SubscriberConfig { contract, lossless });
    }
    subscribers
}
