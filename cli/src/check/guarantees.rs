//! What each setting of a config guarantees, in a sentence.
//!
//! A setting is a line of [`of_bus`] or [`of_stream`]; whoever adds a key to the config adds its line there, and a test fails until
//! then. Keys that mean nothing without another one (`height`, `wait_ms`, …) stand in its line.

use framebus::{Backend, Content, Geometry, ImageShape, OnFull, OnStuck, Prefault, Rate, Slots, Wait};
use framebus_config::{BusConfig, StreamConfig};
use serde::Serialize;
use std::time::Duration;

use super::contracts;

use crate::doctor::rights;

/// A setting, and what it comes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Guarantee {
    pub key: String,
    /// As it would stand in the file; `None` where it is not set and has no default.
    pub value: Option<String>,
    #[serde(rename = "guarantee")]
    pub sentence: String,
}

impl Guarantee {
    /// As it would stand in the file.
    pub fn setting(&self) -> String {
        match &self.value {
            Some(value) => format!("{} = {value}", self.key),
            None => format!("no {}", self.key),
        }
    }
}

pub fn guarantee(key: impl Into<String>, value: impl Into<Option<String>>, sentence: impl Into<String>) -> Guarantee {
    Guarantee { key: key.into(), value: value.into(), sentence: sentence.into() }
}

pub fn quoted(word: &str) -> String {
    format!("{word:?}")
}

/// Of the table `[bus]`.
pub fn of_bus(bus: &BusConfig) -> Vec<Guarantee> {
    let mut guarantees = vec![
        guarantee("name", quoted(&bus.name), format!("the streams are {}/STREAM, for all who look for them", bus.name)),
        guarantee("mode", format!("\"{:04o}\"", bus.mode), mode(bus)),
        guarantee("group", bus.group.as_deref().map(quoted), group(bus)),
    ];
    match &bus.backend {
        Backend::File { directory } => {
            let files =
                "files: processes that have this directory meet, in any IPC namespace; slots take memory at once";
            guarantees.insert(1, guarantee("backend", quoted("file"), files));
            guarantees.insert(2, guarantee("directory", quoted(&directory.to_string_lossy()), looked_at(&bus.backend)));
        }
        _ => {
            let segments = "processes of one IPC namespace meet; slots take memory when they are first used";
            guarantees.insert(1, guarantee("backend", quoted("sysv"), segments));
        }
    }
    guarantees
}

fn looked_at(backend: &Backend) -> String {
    match framebus_program::backends(None).contains(backend) {
        true => "framebus ls, gc and the others look there without being told".to_owned(),
        false => format!("framebus ls, gc and the others look there only with --backend {backend}"),
    }
}

fn mode(bus: &BusConfig) -> String {
    let (group, others) = (bus.mode >> 3 & 6, bus.mode & 6);
    match (group, others) {
        (0, 0) => "only the publisher's user may publish and subscribe".to_owned(),
        _ => format!(
            "only the publisher's user may publish; the group may {}, others may {}",
            rights(group),
            rights(others)
        ),
    }
}

fn group(bus: &BusConfig) -> String {
    match (&bus.group, bus.mode >> 3 & 6) {
        (Some(_), 0) => "without effect: the mode gives the group nothing".to_owned(),
        (Some(group), bits) => format!("who is in {group} may {}", rights(bits)),
        (None, 0) => "without effect either way: the mode gives the group nothing".to_owned(),
        (None, bits) => format!("who is in the group of the publisher's process may {}", rights(bits)),
    }
}

/// Of a table `[streams.NAME]`.
pub fn of_stream(stream: &StreamConfig, geometry: &Geometry) -> Vec<Guarantee> {
    let options = &stream.options;
    let mut guarantees = content(stream);
    guarantees.extend([
        guarantee("rate_hz", options.rate.map(rate_value), rate(options.rate)),
        guarantee("slots", slots_value(options.slots), slots(stream, geometry)),
        guarantee("on_full", on_full_value(options.on_full), on_full(options.on_full, geometry)),
    ]);
    if let OnFull::Wait(patience) = options.on_full {
        let sentence = on_stuck(options.on_stuck, patience, geometry);
        guarantees.push(guarantee("on_stuck", on_stuck_value(options.on_stuck), sentence));
    }
    guarantees.extend([
        guarantee("history", options.history.to_string(), history(stream)),
        guarantee("max_subscribers", options.max_subscribers.to_string(), max_subscribers(options.max_subscribers)),
        guarantee("max_held", options.max_held.to_string(), max_held(options.max_held)),
        guarantee("wait", wait_value(stream), wait(stream)),
        guarantee("prefault", prefault_value(options.prefault), prefault(options.prefault, options.lock)),
        guarantee("huge_pages", options.huge_pages.to_string(), huge_pages(options.huge_pages)),
        guarantee("lock", options.lock.to_string(), lock(options.lock)),
        guarantee("persist", options.persist.to_string(), persist(options.persist)),
    ]);
    guarantees.extend(contracts::of_stream(stream));
    guarantees
}

/// What the frames are, and how large they may become.
fn content(stream: &StreamConfig) -> Vec<Guarantee> {
    match &stream.options.content {
        Content::Image(shape) => vec![
            guarantee(
                "width",
                shape_value(shape),
                format!(
                    "images begin so, {} bytes each; each says itself what it is, and they may change",
                    shape.frame_bytes()
                ),
            ),
            match stream.options.capacity_bytes {
                0 => guarantee(
                    "capacity_bytes",
                    None,
                    "larger images begin a new epoch, to which subscribers move by themselves",
                ),
                bytes => guarantee(
                    "capacity_bytes",
                    bytes.to_string(),
                    "images of up to this size fit the slots; larger ones begin a new epoch",
                ),
            },
        ],
        Content::Record { type_name, bytes } => {
            let size = if stream.size_is_known() { format!(", size = {bytes}") } else { String::new() };
            let sentence = "who subscribes with a type of another name or size is refused";
            vec![guarantee("type", format!("{type_name:?}{size}"), sentence)]
        }
        content => {
            let bytes = content.capacity_bytes().to_string();
            vec![guarantee("size", bytes, "a frame has up to so many bytes, and says how many; nobody looks into them")]
        }
    }
}

fn shape_value(shape: &ImageShape) -> String {
    let tight = ImageShape::new(shape.width(), shape.height(), shape.format());
    let is_tight = tight.is_ok_and(|tight| tight.stride_bytes() == shape.stride_bytes());
    let stride = if is_tight { String::new() } else { format!(", stride = {}", shape.stride_bytes()) };
    format!("{}, height = {}, format = \"{}\"{stride}", shape.width(), shape.height(), shape.format())
}

fn rate_value(rate: Rate) -> String {
    match rate.denominator() {
        1 => rate.numerator().to_string(),
        // As a number with a point is kept.
        1000 => rate.hz().to_string(),
        denominator => format!("\"{}/{denominator}\"", rate.numerator()),
    }
}

fn rate(rate: Option<Rate>) -> &'static str {
    match rate {
        Some(_) => "framebus producer keeps to it; the library tells it to all, and holds nobody to it",
        None => "nobody knows beforehand how often frames come",
    }
}

fn slots_value(slots: Slots) -> String {
    match slots {
        Slots::Auto => quoted("auto"),
        Slots::Exactly(slots) => slots.to_string(),
    }
}

fn slots(stream: &StreamConfig, geometry: &Geometry) -> String {
    if geometry.never_full() {
        return "the publisher always finds a free slot, whatever subscribers hold".to_owned();
    }
    // The window is never given away, so what is left of it and of pins must be one slot at least.
    let held = geometry.slots() - geometry.history();
    let then = if stream.options.on_full == OnFull::Drop { "is refused" } else { "has to wait" };
    let plural = if held == 1 { "" } else { "s" };
    format!("a frame {then} while subscribers hold {held} frame{plural} older than those of the history")
}

fn on_full_value(on_full: OnFull) -> String {
    match on_full {
        OnFull::Drop => quoted("drop"),
        OnFull::Wait(patience) => format!("\"wait\", wait_ms = {}", patience.as_millis()),
    }
}

fn on_full(on_full: OnFull, geometry: &Geometry) -> String {
    let OnFull::Wait(patience) = on_full else {
        return "the publisher never waits: without a free slot the frame is dropped, and counted against who holds the slots"
            .to_owned();
    };
    let patience = patience.as_millis();
    let holders = match geometry.never_full() {
        true => "who only holds frames keeps nobody waiting",
        false => {
            "without a free slot each frame waits as long for who holds the slots, lossless or not, and is then refused"
        }
    };
    format!(
        "a lossless subscriber gets every frame: one that has not read what leaves the history is waited for, up to {patience} ms, \
         then on_stuck decides; {holders}"
    )
}

fn on_stuck_value(on_stuck: OnStuck) -> String {
    quoted(match on_stuck {
        OnStuck::Evict => "evict",
        OnStuck::Refuse => "refuse",
    })
}

fn on_stuck(on_stuck: OnStuck, patience: Duration, geometry: &Geometry) -> String {
    let waited = patience.as_millis();
    // Eviction takes the claim to every frame, and no pin.
    let holders = if geometry.never_full() { "" } else { ", and keep the publisher waiting where no slot is free" };
    match on_stuck {
        OnStuck::Evict => format!(
            "a lossless subscriber that does not read holds the publisher up for {waited} ms once, and is then named, and waited \
             for no longer; the frames that it holds stay its own{holders}"
        ),
        OnStuck::Refuse => format!(
            "a lossless subscriber that does not read misses nothing that is published; each frame waits {waited} ms for it, and \
             is then refused"
        ),
    }
}

fn history(stream: &StreamConfig) -> String {
    let history = stream.options.history;
    if history == 1 {
        return "only the newest frame can be taken, and who is slower skips; it grows old where the publisher stops"
            .to_owned();
    }
    let late = stream.options.rate.map_or(String::new(), |rate| {
        format!(", {} at the nominal rate", framebus_program::duration(rate.time_of(history.into()).as_nanos() as u64))
    });
    format!("the newest {history} frames can be taken: who wants each one misses none until it is so far behind{late}")
}

fn max_subscribers(most: u32) -> String {
    match most {
        1 => "one may subscribe at a time; another is refused, and told who has the place".to_owned(),
        most => format!("{most} may subscribe at a time; one more is refused, and told who has the places"),
    }
}

fn max_held(most: u32) -> String {
    let plural = if most == 1 { "" } else { "s" };
    format!("a subscriber may keep {most} frame{plural} at a time, as long as it likes; they do not change meanwhile")
}

fn wait_value(stream: &StreamConfig) -> Option<String> {
    Some(match stream.wait? {
        Wait::Spin => quoted("spin"),
        Wait::Predict => match stream.spin_budget_percent {
            Some(percent) => format!("\"predict\", spin_budget_percent = {percent}"),
            None => quoted("predict"),
        },
        _ => quoted("block"),
    })
}

fn wait(stream: &StreamConfig) -> String {
    match stream.wait {
        None => "each program decides: viewers predict, the library blocks".to_owned(),
        Some(Wait::Spin) => "subscribers have a frame at once, and take a whole core each while they wait".to_owned(),
        Some(Wait::Predict) => {
            let percent = stream.spin_budget_percent.unwrap_or(framebus::DEFAULT_SPIN_BUDGET_PERCENT);
            format!(
                "subscribers sleep until shortly before a frame is due and poll from there, for {percent} % of a core at \
                 most; a late frame finds them asleep"
            )
        }
        Some(_) => "subscribers sleep until a frame is there: no CPU while they wait, tens of µs to wake up".to_owned(),
    }
}

fn prefault_value(prefault: Prefault) -> String {
    quoted(match prefault {
        Prefault::Off => "off",
        Prefault::Warm => "warm",
        Prefault::All => "all",
    })
}

fn prefault(prefault: Prefault, locked: bool) -> &'static str {
    match prefault {
        Prefault::Off => "nothing is paid at the start: the first frame in each slot costs page faults",
        Prefault::Warm => "the first frame costs no page faults in the first three slots; in any other it does",
        Prefault::All if locked => "no frame costs a page fault; all slots take memory at the start, and keep it",
        Prefault::All => "no frame costs a page fault unless it was swapped out; all slots take memory at the start",
    }
}

fn huge_pages(asked: bool) -> &'static str {
    match asked {
        false => {
            "ordinary pages, of 4 KiB as a rule, but where the kernel gives huge ones unasked (shmem_enabled always)"
        }
        true => {
            "huge pages, of 2 MiB as a rule, where the kernel gives them: starting is quicker, frames are a little cheaper; it \
             may refuse"
        }
    }
}

fn lock(asked: bool) -> &'static str {
    match asked {
        false => "frames may be swapped out where memory is short",
        true => {
            "frames are never swapped out; the whole stream counts against ulimit -l, beyond which it does not open"
        }
    }
}

fn persist(asked: bool) -> &'static str {
    match asked {
        false => "a clean end of the publisher removes the stream, and the next one begins at 1; a crash does not",
        true => "the stream, its last frames and its numbers stay when the publisher ends, until framebus rm",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use framebus_config::Config;

    fn config(bus: &str, stream: &str) -> Config {
        let text = format!("[bus]\nname = \"b\"\n{bus}\n[streams.s]\nsize = 100\n{stream}\n");
        Config::parse(&text, "x").unwrap_or_else(|error| panic!("{error}"))
    }

    /// What is said of a key.
    fn said(stream: &str, key: &str) -> String {
        let config = config("", stream);
        let stream = &config.streams["s"];
        let guarantees = of_stream(stream, &Geometry::of(&stream.options).unwrap());
        let found = guarantees.into_iter().find(|guarantee| guarantee.key == key).unwrap();
        format!("{}: {}", found.setting(), found.sentence)
    }

    fn said_of_bus(bus: &str, key: &str) -> String {
        let found = of_bus(&config(bus, "").bus).into_iter().find(|guarantee| guarantee.key == key).unwrap();
        format!("{}: {}", found.setting(), found.sentence)
    }

    #[test]
    fn enough_slots_guarantee_a_free_one_and_fewer_say_when_there_is_none() {
        const ALWAYS: &str = "the publisher always finds a free slot, whatever subscribers hold";
        assert_eq!(said("", "slots"), format!("slots = \"auto\": {ALWAYS}"));
        assert_eq!(said("slots = 18", "slots"), format!("slots = 18: {ALWAYS}"));
        assert_eq!(
            said("slots = 3", "slots"),
            "slots = 3: a frame is refused while subscribers hold 2 frames older than those of the history"
        );
        assert!(said("slots = 3\non_full = \"wait\"", "slots").contains("a frame has to wait while"));
    }

    #[test]
    fn each_setting_says_what_it_is_for() {
        for (stream, key, expected) in [
            ("", "on_full", "on_full = \"drop\": the publisher never waits"),
            (
                "on_full = \"wait\"\nwait_ms = 50",
                "on_full",
                "\"wait\", wait_ms = 50: a lossless subscriber gets every frame",
            ),
            ("", "history", "history = 1: only the newest frame"),
            ("history = 200\nrate_hz = 200", "history", "history = 200: the newest 200 frames"),
            ("history = 200\nrate_hz = 200", "history", "so far behind, 1.0 s at the nominal rate"),
            ("max_subscribers = 1", "max_subscribers", "one may subscribe at a time"),
            ("", "max_held", "may keep 2 frames at a time"),
            ("", "wait", "no wait: each program decides"),
            ("wait = \"spin\"", "wait", "wait = \"spin\": subscribers have a frame at once"),
            ("wait = \"predict\"", "wait", "for 2 % of a core at most"),
            ("wait = \"predict\"\nspin_budget_percent = 7.5", "wait", "for 7.5 % of a core at most"),
            ("wait = \"block\"", "wait", "wait = \"block\": subscribers sleep until a frame is there"),
            ("prefault = \"all\"", "prefault", "no frame costs a page fault unless it was swapped out"),
            ("prefault = \"all\"\nlock = true", "prefault", "no frame costs a page fault; all slots"),
            ("rate_hz = 12.5", "rate_hz", "rate_hz = 12.5: framebus producer keeps to it"),
            ("rate_hz = \"30000/1001\"", "rate_hz", "rate_hz = \"30000/1001\": "),
            ("", "rate_hz", "no rate_hz: nobody knows"),
            ("huge_pages = false", "huge_pages", "unasked (shmem_enabled always)"),
            ("lock = true", "lock", "never swapped out"),
            ("persist = true", "persist", "stay when the publisher ends"),
            ("huge_pages = true", "huge_pages", "it may refuse"),
        ] {
            assert!(said(stream, key).contains(expected), "{expected:?} in {}", said(stream, key));
        }
    }

    #[test]
    fn mode_and_group_say_who_may_do_what() {
        assert_eq!(said_of_bus("", "mode"), "mode = \"0600\": only the publisher's user may publish and subscribe");
        assert_eq!(
            said_of_bus("mode = \"0664\"", "mode"),
            "mode = \"0664\": only the publisher's user may publish; the group may subscribe, others may only observe"
        );
        assert_eq!(
            said_of_bus("mode = \"0660\"\ngroup = \"video\"", "group"),
            "group = \"video\": who is in video may subscribe"
        );
        assert!(said_of_bus("group = \"video\"", "group").contains("without effect"));
        assert!(
            said_of_bus("mode = \"0660\"", "group").starts_with("no group: who is in the group of the publisher's")
        );
        assert!(said_of_bus("backend = \"file\"", "backend").contains("in any IPC namespace"));
        assert!(said_of_bus("backend = \"file\"", "directory").ends_with("look there without being told"));
        let elsewhere = said_of_bus("backend = \"file\"\ndirectory = \"/srv/fb\"", "directory");
        assert!(elsewhere.ends_with("only with --backend file:/srv/fb"), "{elsewhere}");
    }

    #[test]
    fn who_holds_frames_is_waited_for_only_where_slots_can_run_out_and_is_never_evicted() {
        const WAIT: &str = "on_full = \"wait\"\nwait_ms = 50\n";
        let few = &format!("{WAIT}slots = 3");
        assert!(said(WAIT, "on_full").ends_with("; who only holds frames keeps nobody waiting"));
        assert!(
            said(few, "on_full")
                .contains("waits as long for who holds the slots, lossless or not, and is then refused")
        );
        assert!(said(WAIT, "on_stuck").ends_with(
            "for 50 ms once, and is then named, and waited for no longer; the frames that it holds stay its own"
        ));
        assert!(said(few, "on_stuck").ends_with("stay its own, and keep the publisher waiting where no slot is free"));
    }

    /// What sets each key of a stream, so that it matters.
    const STREAM_KEYS: [(&str, &str); 24] = [
        ("width", IMAGES),
        ("height", IMAGES),
        ("format", IMAGES),
        ("stride", IMAGES),
        ("capacity_bytes", IMAGES),
        ("type", "type = \"Imu\"\nsize = 24"),
        ("size", "size = 24"),
        ("rate_hz", "size = 24\nrate_hz = 30"),
        ("history", "size = 24"),
        ("slots", "size = 24"),
        ("max_subscribers", "size = 24"),
        ("max_held", "size = 24"),
        ("on_full", "size = 24"),
        ("wait_ms", "size = 24\non_full = \"wait\""),
        ("on_stuck", "size = 24\non_full = \"wait\""),
        ("wait", "size = 24\nwait = \"spin\""),
        ("spin_budget_percent", "size = 24\nwait = \"predict\"\nspin_budget_percent = 3"),
        ("prefault", "size = 24"),
        ("huge_pages", "size = 24"),
        ("lock", "size = 24"),
        ("persist", "size = 24"),
        ("max_age_ms", "size = 24\nmax_age_ms = 50"),
        ("max_skipped_per_s", "size = 24\nmax_skipped_per_s = 0"),
        ("subscribers", "size = 24\nsubscribers.recorder = {}"),
    ];
    const IMAGES: &str = "width = 64\nheight = 48\nformat = \"rgb8\"\nstride = 256\ncapacity_bytes = 99999";

    #[test]
    fn every_key_of_the_config_has_a_line() {
        let settings = |guarantees: Vec<Guarantee>| -> Vec<String> {
            guarantees.iter().map(|guarantee| format!(", {}", guarantee.setting())).collect()
        };
        let has = |settings: &[String], key: &str| {
            let (own, inside) = (format!(", {key} = "), format!(", {key}."));
            settings.iter().any(|setting| setting.contains(&own) || setting.starts_with(&inside))
        };
        for key in framebus_config::STREAM_KEYS {
            let (_, text) =
                STREAM_KEYS.iter().find(|(known, _)| *known == key).unwrap_or_else(|| panic!("{key} is new"));
            let text = format!("[bus]\nname = \"b\"\n[streams.s]\n{text}\n");
            let config = Config::parse(&text, "x").unwrap_or_else(|error| panic!("{error}"));
            let stream = &config.streams["s"];
            let settings = settings(of_stream(stream, &Geometry::of(&stream.options).unwrap()));
            assert!(has(&settings, key), "{key} has no line in {settings:?}");
        }
        let bus = config("mode = \"0660\"\ngroup = \"video\"\nbackend = \"file\"\ndirectory = \"/srv/fb\"", "").bus;
        let settings = settings(of_bus(&bus));
        for key in framebus_config::BUS_KEYS {
            assert!(has(&settings, key), "{key} has no line in {settings:?}");
        }
    }
}
