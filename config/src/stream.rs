//! A table `[streams.NAME]`: what the stream carries, and how.

use crate::config::StreamConfig;
use crate::content;
use crate::contract;
use crate::document::Section;
use crate::memory::for_people;
use framebus::{
    Content, Contract, Geometry, GeometryError, MAX_HELD, MAX_HISTORY, MAX_SLOTS, MAX_SUBSCRIBERS, OnFull, OnStuck,
    Prefault, Rate, Slots, StreamOptions, Wait,
};
use std::time::Duration;
use toml::de::DeValue;

/// Keys of a table `[streams.NAME]`.
pub const KEYS: [&str; 24] = [
    "width",
    "height",
    "format",
    "stride",
    "capacity_bytes",
    "type",
    "size",
    "rate_hz",
    "history",
    "slots",
    "max_subscribers",
    "max_held",
    "on_full",
    "wait_ms",
    "on_stuck",
    "wait",
    "spin_budget_percent",
    "prefault",
    "huge_pages",
    "lock",
    "persist",
    "max_age_ms",
    "max_skipped_per_s",
    "subscribers",
];

/// The keys whose values must go together.
const NUMBER_KEYS: [&str; 4] = ["history", "slots", "max_subscribers", "max_held"];
const DEFAULT_WAIT_MS: u32 = 1000;
const MAX_WAIT_MS: u32 = 3_600_000;

/// Reads the table; `None` where it can not be known what the stream carries. `memory_bytes` is what the machine has.
pub(crate) fn read(section: &mut Section<'_, '_>, memory_bytes: Option<u64>) -> Option<StreamConfig> {
    let content = content::read(section);
    // Whatever became of it, the other keys are read, for their own mistakes.
    let known = content.is_some();
    let mut options = StreamOptions::new(content.unwrap_or(Content::Bytes { capacity: 1 }));
    options.rate = rate(section);
    set(&mut options.capacity_bytes, capacity(section, known.then_some(&options.content)));
    set(&mut options.history, section.integer("history", 1, MAX_HISTORY));
    set(&mut options.slots, slots(section));
    set(&mut options.max_subscribers, section.integer("max_subscribers", 1, MAX_SUBSCRIBERS));
    set(&mut options.max_held, section.integer("max_held", 1, MAX_HELD));
    let (on_full, on_stuck) = on_full(section);
    set(&mut options.on_full, on_full);
    set(&mut options.on_stuck, on_stuck);
    set(&mut options.prefault, prefault(section));
    set(&mut options.huge_pages, section.boolean("huge_pages"));
    set(&mut options.lock, section.boolean("lock"));
    set(&mut options.persist, section.boolean("persist"));
    let wait = section.choice("wait", &[("block", Wait::Block), ("spin", Wait::Spin), ("predict", Wait::Predict)]);
    let spin_budget_percent = spin_budget(section, wait);
    let contract = contract::read(section, Contract::default());
    // A misspelt or refused on_full may have been meant to be "wait".
    let known_on_full = on_full.or((!section.has("on_full")).then_some(OnFull::Drop));
    let subscribers = contract::read_subscribers(section, contract, known_on_full);
    if section.accepted(&NUMBER_KEYS) {
        check_together(section, &options, memory_bytes);
    }
    known.then_some(StreamConfig { options, wait, spin_budget_percent, contract, subscribers })
}

fn set<T>(option: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *option = value;
    }
}

/// Room for images that are larger than those that the stream begins with.
fn capacity(section: &mut Section<'_, '_>, content: Option<&Content>) -> Option<u32> {
    const KEY: &str = "capacity_bytes";
    let capacity = section.integer(KEY, 1, content::MAX_FRAME_BYTES)?;
    let content = content?;
    let least = content.capacity_bytes();
    if !matches!(content, Content::Image(_)) {
        let help = "records have the size of their type, bytes that of `size`; remove it";
        section.refuse_key(KEY, format!("`{KEY}` is for images, and the stream carries {content}"), help);
        return None;
    }
    if (capacity as usize) < least {
        let help = format!("expected {least} at least: the largest frame that the stream may change to");
        section.refuse(KEY, format!("{KEY} = {capacity} is too little for {content}, of {least} bytes"), help);
        return None;
    }
    // As much as there is anyway is the default.
    Some(capacity).filter(|capacity| *capacity as usize > least)
}

/// A number of frames a second, or a fraction such as `"30000/1001"`.
fn rate(section: &mut Section<'_, '_>) -> Option<Rate> {
    const RANGE: &str = "expected 0.001 to 1000000 frames a second, or a fraction such as \"30000/1001\"";
    let (rate, found) = match section.value("rate_hz")?.get_ref() {
        // Both have the form that f64 reads, but for integers of another radix, which nobody writes for a rate.
        DeValue::Float(number) => (number.as_str().parse().ok().and_then(Rate::from_hz), number.to_string()),
        DeValue::Integer(number) => (number.to_string().parse().ok().and_then(Rate::from_hz), number.to_string()),
        DeValue::String(text) => (fraction(text), format!("{text:?}")),
        _ => {
            section.refuse_type("rate_hz", "a number", RANGE);
            return None;
        }
    };
    if rate.is_none() {
        let wrong = if found.starts_with('"') { "is no rate" } else { "is out of range" };
        section.refuse("rate_hz", format!("rate_hz = {found} {wrong}"), RANGE);
    }
    rate
}

fn fraction(text: &str) -> Option<Rate> {
    let (numerator, denominator) = text.split_once('/')?;
    let rate = Rate::new(numerator.trim().parse().ok()?, denominator.trim().parse().ok()?)?;
    (0.001..=1_000_000.0).contains(&rate.hz()).then_some(rate)
}

fn slots(section: &mut Section<'_, '_>) -> Option<Slots> {
    match section.value("slots")?.get_ref() {
        DeValue::String(text) if text == "auto" => Some(Slots::Auto),
        DeValue::String(text) => {
            let help = match text.parse::<u32>() {
                Ok(number) => format!("write it without quotes: slots = {number}"),
                Err(_) => "expected \"auto\" or an integer".to_owned(),
            };
            section.refuse("slots", format!("slots = {text:?} is unknown"), help);
            None
        }
        DeValue::Integer(_) => section.integer("slots", 1, MAX_SLOTS).map(Slots::Exactly),
        _ => {
            section.refuse_type("slots", "\"auto\" or an integer", "");
            None
        }
    }
}

fn on_full(section: &mut Section<'_, '_>) -> (Option<OnFull>, Option<OnStuck>) {
    let on_stuck = section.choice("on_stuck", &[("evict", OnStuck::Evict), ("refuse", OnStuck::Refuse)]);
    let wait_ms = section.integer("wait_ms", 1, MAX_WAIT_MS);
    let waits = section.choice("on_full", &[("drop", false), ("wait", true)]);
    // A misspelt or refused on_full may have been meant to be "wait".
    let drops = waits == Some(false) || !section.has("on_full");
    for key in ["wait_ms", "on_stuck"].into_iter().filter(|_| drops) {
        if section.value(key).is_some() {
            let help = format!("add on_full = \"wait\", or remove `{key}`");
            section.refuse_key(key, format!("`{key}` needs on_full = \"wait\""), help);
        }
    }
    let patience = Duration::from_millis(wait_ms.unwrap_or(DEFAULT_WAIT_MS).into());
    (waits.map(|waits| if waits { OnFull::Wait(patience) } else { OnFull::Drop }), on_stuck)
}

/// Per cent of a core.
fn spin_budget(section: &mut Section<'_, '_>, wait: Option<Wait>) -> Option<f32> {
    const KEY: &str = "spin_budget_percent";
    let budget = section.number(KEY, 0.1..=100.0, "expected 0.1 to 100 per cent of a core")?;
    if wait != Some(Wait::Predict) && (wait.is_some() || !section.has("wait")) {
        let help = "add wait = \"predict\", or remove `spin_budget_percent`";
        section.refuse_key(KEY, "`spin_budget_percent` needs wait = \"predict\"", help);
    }
    Some(budget as f32)
}

fn prefault(section: &mut Section<'_, '_>) -> Option<Prefault> {
    match section.value("prefault")?.get_ref() {
        DeValue::Boolean(true) => Some(Prefault::Warm),
        DeValue::Boolean(false) => Some(Prefault::Off),
        _ => section.choice("prefault", &[("warm", Prefault::Warm), ("off", Prefault::Off), ("all", Prefault::All)]),
    }
}

/// Values that are right by themselves and wrong together.
fn check_together(section: &mut Section<'_, '_>, options: &StreamOptions, memory_bytes: Option<u64>) {
    let mut options = options.clone();
    if let Content::Record { bytes: bytes @ 0, .. } = &mut options.content {
        // The program's type will say; the other numbers can be judged already.
        *bytes = 1;
    }
    let geometry = match Geometry::of(&options) {
        Ok(geometry) => geometry,
        Err(error) => {
            let key = match error {
                GeometryError::Range { what, .. } if KEYS.contains(&what) => what,
                GeometryError::Range { .. } => largest_key(section),
                _ => "slots",
            };
            return section.refuse_with(key, &error);
        }
    };
    let frames_bytes = geometry.frames_bytes() as u64;
    let Some(memory_bytes) = memory_bytes.filter(|memory| frames_bytes > *memory) else { return };
    let slot_bytes = geometry.slot_capacity_bytes() as u64;
    let key = match section.value("slots") {
        _ if slot_bytes > memory_bytes => largest_key(section),
        Some(value) if value.get_ref().is_integer() => "slots",
        _ => {
            let pins = ("max_subscribers", geometry.max_subscribers() * geometry.max_held());
            let held = ("max_held", pins.1);
            let mut keys = [("history", geometry.history()), pins, held];
            keys.sort_by_key(|(_, slots)| std::cmp::Reverse(*slots));
            let given = keys.into_iter().find(|(key, _)| section.value(key).is_some());
            given.map_or_else(|| largest_key(section), |(key, _)| key)
        }
    };
    let message = format!(
        "the stream's frames need {}, this machine has {} of memory",
        for_people(frames_bytes),
        for_people(memory_bytes)
    );
    let (slots, slot) = (geometry.slots(), for_people(slot_bytes));
    let help = match slot_bytes > memory_bytes {
        true => format!("each frame has {slot}: make it smaller"),
        false => format!("they are {slots} slots of {slot}: lessen history, max_subscribers, max_held or slots"),
    };
    section.refuse(key, message, help);
}

/// The key that makes a frame as large as it is.
fn largest_key(section: &Section<'_, '_>) -> &'static str {
    let integer = |key| section.value(key)?.get_ref().as_integer()?.as_str().parse::<u64>().ok();
    let sides = ["size", "width", "height"].map(|key| (integer(key), key));
    sides.into_iter().max_by_key(|(number, _)| *number).map_or("size", |(_, key)| key)
}
