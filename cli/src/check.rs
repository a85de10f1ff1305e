//! `framebus check`: what a config comes to, before anything runs: slots, memory, keys, and what each setting guarantees.
//!
//! It looks at the config alone; whether this machine has what it takes, `framebus doctor` says.

mod contracts;
mod guarantees;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use framebus::{Backend, Content, Slots};
use framebus_config::{Config, ConfigError, StreamConfig};
use framebus_program::usage;
use serde_json::{Value, json};

use crate::doctor::demand::{Demand, StreamDemand, touched_slots};
use crate::top::format::memory;
use guarantees::Guarantee;

/// Longest setting that has its sentence beside it; that of a longer one stands below.
const LONGEST: usize = 36;

/// Which config.
#[derive(clap::Args)]
pub struct Arguments {
    /// The config, or - for standard input [default: $FRAMEBUS_CONFIG, ./framebus.toml, or the built-in demo].
    file: Option<PathBuf>,
    /// One JSON object a stream and line, or one a mistake.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    let config = match read(arguments.file.as_deref())? {
        Ok(config) => config,
        Err(error) => {
            if arguments.json {
                print_mistakes(&mut std::io::stdout().lock(), &error)?;
            }
            return Err(error.into());
        }
    };
    let demand = Demand::of(&config)?;
    let mut out = std::io::stdout().lock();
    match arguments.json {
        true => print_json(&mut out, &config, &demand)?,
        false => print(&mut out, &config, &demand)?,
    }
    Ok(0)
}

/// The config, or what is wrong with it.
fn read(file: Option<&Path>) -> anyhow::Result<Result<Config, ConfigError>> {
    let Some(file) = file.filter(|file| *file == Path::new("-")) else { return Ok(Config::find(file)) };
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| usage!("can not read the configuration from standard input ({}): {error}", file.display()))?;
    Ok(Config::parse(&text, "standard input"))
}

fn streams<'c>(config: &'c Config, demand: &'c Demand) -> impl Iterator<Item = (&'c StreamConfig, &'c StreamDemand)> {
    config.streams.values().zip(&demand.streams)
}

fn print(out: &mut impl Write, config: &Config, demand: &Demand) -> std::io::Result<()> {
    let count = config.streams.len();
    let plural = if count == 1 { "" } else { "s" };
    writeln!(out, "{}: bus {}, {count} stream{plural}", config.origin, config.bus.name)?;
    print_guarantees(out, &guarantees::of_bus(&config.bus))?;
    let all: Vec<_> = streams(config, demand)
        .map(|(stream, demand)| (stream, demand, guarantees::of_stream(stream, &demand.geometry)))
        .collect();
    // What all have in common is said once.
    let is_common = |guarantee: &Guarantee| count > 1 && all.iter().all(|(.., others)| others.contains(guarantee));
    for (stream, demand, guarantees) in &all {
        print_stream(out, stream, demand)?;
        let own: Vec<_> = guarantees.iter().filter(|guarantee| !is_common(guarantee)).cloned().collect();
        print_guarantees(out, &own)?;
    }
    let common = all.first().map_or(&[][..], |(.., guarantees)| guarantees);
    let common: Vec<_> = common.iter().filter(|guarantee| is_common(guarantee)).cloned().collect();
    if !common.is_empty() {
        writeln!(out, "\nall streams")?;
        print_guarantees(out, &common)?;
    }
    writeln!(
        out,
        "\nin total  {} with quick viewers, {} at most; framebus doctor says whether this machine has it",
        memory(demand.touched_bytes()),
        memory(demand.all_bytes())
    )
}

fn print_stream(out: &mut impl Write, stream: &StreamConfig, demand: &StreamDemand) -> std::io::Result<()> {
    let StreamDemand { name, geometry, .. } = demand;
    let rate = stream.options.rate.map_or(String::new(), |rate| format!(" at {rate}"));
    writeln!(out, "\n{name}  {}{rate}", content(stream))?;
    match &stream.options.backend {
        Backend::File { directory } => {
            writeln!(out, "  files   {}", directory.join(name.bus()).join(name.stream()).display())?;
        }
        _ => writeln!(out, "  keys    frames and semaphores {}, places {}", key(name.key()), key(name.places_key()))?,
    }
    writeln!(out, "  slots   {}", formula(stream, demand))?;
    if stream.size_is_known() {
        let touched = touched_slots(geometry, &stream.options);
        writeln!(
            out,
            "  memory  {} a frame, {} with quick viewers ({touched} slots), {} at most ({} slots), {} of it places",
            memory(geometry.slot_capacity_bytes() as u64),
            memory(demand.touched_bytes),
            memory(demand.all_bytes()),
            geometry.slots(),
            memory(demand.places_bytes)
        )?;
    } else {
        writeln!(
            out,
            "  memory  not known: the program's type decides how large a record is; size = BYTES says it here"
        )?;
    }
    Ok(())
}

fn print_guarantees(out: &mut impl Write, guarantees: &[Guarantee]) -> std::io::Result<()> {
    let width = |setting: &str| setting.chars().count();
    let settings = guarantees.iter().map(|guarantee| width(&guarantee.setting()));
    let column = settings.filter(|width| *width <= LONGEST).max().unwrap_or(0);
    for guarantee in guarantees {
        let setting = guarantee.setting();
        if width(&setting) > column {
            writeln!(out, "  {setting}\n  {:<column$}  {}", "", guarantee.sentence)?;
        } else {
            writeln!(out, "  {setting:<column$}  {}", guarantee.sentence)?;
        }
    }
    Ok(())
}

fn content(stream: &StreamConfig) -> String {
    match &stream.options.content {
        Content::Record { type_name, .. } if !stream.size_is_known() => format!("records {type_name}"),
        content => content.to_string(),
    }
}

/// How the number of slots comes about.
fn formula(stream: &StreamConfig, demand: &StreamDemand) -> String {
    let geometry = &demand.geometry;
    let [history, subscribers, held] = [geometry.history(), geometry.max_subscribers(), geometry.max_held()];
    let auto = history + 1 + subscribers * held;
    let formula = format!("{history} history + 1 to write + {subscribers} subscribers × {held} held = {auto}");
    match stream.options.slots {
        Slots::Auto => formula,
        Slots::Exactly(slots) => format!("{slots}; \"auto\" would be {formula}"),
    }
}

/// As `ipcs` shows it.
fn key(key: i32) -> String {
    format!("{key:#010x}")
}

fn print_mistakes(out: &mut impl Write, error: &ConfigError) -> std::io::Result<()> {
    for mistake in error.diagnostics() {
        let line = json!({
            "kind": "mistake",
            "line": mistake.line,
            "column": mistake.column,
            "message": mistake.message,
            "help": mistake.help,
        });
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn print_json(out: &mut impl Write, config: &Config, demand: &Demand) -> std::io::Result<()> {
    let bus = json!({
        "kind": "bus",
        "bus": config.bus.name,
        "config": config.origin,
        "backend": config.bus.backend.to_string(),
        "mode": format!("{:04o}", config.bus.mode),
        "group": config.bus.group,
        "guarantees": guarantees::of_bus(&config.bus),
    });
    writeln!(out, "{bus}")?;
    for (stream, demand) in streams(config, demand) {
        writeln!(out, "{}", stream_json(stream, demand))?;
    }
    let summary = json!({
        "kind": "summary",
        "config": config.origin,
        "streams": config.streams.len(),
        "touched_bytes": demand.touched_bytes(),
        "all_bytes": demand.all_bytes(),
    });
    writeln!(out, "{summary}")
}

fn stream_json(stream: &StreamConfig, demand: &StreamDemand) -> Value {
    let StreamDemand { name, geometry, .. } = demand;
    let is_sysv = stream.options.backend == Backend::SysV;
    let auto = geometry.history() + 1 + geometry.max_subscribers() * geometry.max_held();
    let known = |bytes: u64| stream.size_is_known().then_some(bytes);
    json!({
        "kind": "stream",
        "stream": name.to_string(),
        "content": content(stream),
        "rate_hz": stream.options.rate.map(|rate| rate.hz()),
        "key": is_sysv.then(|| key(name.key())),
        "places_key": is_sysv.then(|| key(name.places_key())),
        "slots": geometry.slots(),
        "slots_auto": auto,
        "history": geometry.history(),
        "max_subscribers": geometry.max_subscribers(),
        "max_held": geometry.max_held(),
        "never_full": geometry.never_full(),
        "frame_bytes": known(geometry.slot_capacity_bytes() as u64),
        "touched_slots": touched_slots(geometry, &stream.options),
        "touched_bytes": known(demand.touched_bytes),
        "frames_bytes": known(demand.frames_bytes),
        "places_bytes": demand.places_bytes,
        "guarantees": guarantees::of_stream(stream, geometry),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(text: &str) -> String {
        let config = Config::parse(text, "lab.toml").unwrap_or_else(|error| panic!("{error}"));
        let mut out = Vec::new();
        print(&mut out, &config, &Demand::of(&config).unwrap()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_stream_is_told_with_its_formula_its_memory_and_its_keys() {
        let text = printed(framebus_config::presets::DEMO);
        for line in [
            "lab.toml: bus demo, 1 stream\n",
            "\ndemo/camera  images of 1920 × 1080 rgb8 at 60 Hz\n",
            "  slots   1 history + 1 to write + 8 subscribers × 2 held = 18\n",
            "  memory  5.9 MiB a frame, 18 MiB with quick viewers (3 slots), 107 MiB at most (18 slots), ",
            "\nin total  18 MiB with quick viewers, 107 MiB at most; framebus doctor",
        ] {
            assert!(text.contains(line), "{line:?} in\n{text}");
        }
        let name: framebus::StreamName = "demo/camera".parse().unwrap();
        assert!(
            text.contains(&format!(
                "  keys    frames and semaphores {:#010x}, places {:#010x}\n",
                name.key(),
                name.places_key()
            )),
            "{text}"
        );
    }

    #[test]
    fn a_number_of_slots_of_ones_own_stands_beside_the_automatic_one() {
        let text = printed("[bus]\nname = \"b\"\n[streams.s]\nsize = 100\nslots = 4\nhistory = 2\n");
        assert!(
            text.contains("slots   4; \"auto\" would be 2 history + 1 to write + 8 subscribers × 2 held = 19\n"),
            "{text}"
        );
    }

    #[test]
    fn files_take_all_their_memory_and_have_a_path() {
        let text = printed("[bus]\nname = \"b\"\nbackend = \"file\"\n[streams.s]\nsize = 1_048_576\n");
        assert!(text.contains("  files   /dev/shm/framebus/b/s\n"), "{text}");
        assert!(text.contains("18 MiB with quick viewers (18 slots), 18 MiB at most (18 slots)"), "{text}");
    }

    #[test]
    fn a_long_window_is_used_in_full_and_so_are_slots_that_are_prefaulted() {
        let stream = |rest: &str| printed(&format!("[bus]\nname = \"b\"\n[streams.s]\nsize = 1_048_576\n{rest}\n"));
        assert!(stream("history = 10").contains("(12 slots), 27 MiB at most (27 slots)"), "{}", stream("history = 10"));
        assert!(stream("prefault = \"all\"").contains("quick viewers (18 slots)"), "{}", stream("prefault = \"all\""));
    }

    #[test]
    fn what_all_streams_have_in_common_is_said_once() {
        let two = "[bus]\nname = \"b\"\n[streams.a]\nsize = 9\n[streams.c]\nsize = 9\nhistory = 4\n";
        let text = printed(two);
        assert_eq!((text.matches("lock = false").count(), text.matches("history = ").count()), (1, 2), "{text}");
        let common = text.find("\nall streams\n").unwrap();
        assert!(text.find("lock = false").unwrap() > common && text.find("history = 4").unwrap() < common, "{text}");
        assert!(!printed(framebus_config::presets::DEMO).contains("all streams"));
    }

    #[test]
    fn what_is_said_of_a_long_setting_stands_below_it() {
        let text =
            printed("[bus]\nname = \"b\"\n[streams.s]\nsize = 9\nsubscribers.a_recorder_of_all = { max_age_ms = 5 }\n");
        assert!(
            text.contains(
                "\n  subscribers.a_recorder_of_all = { max_age_ms = 5 }\n                        whoever calls itself"
            ),
            "{text}"
        );
        assert!(text.contains("\n  lock = false          frames may be swapped"), "{text}");
    }

    #[test]
    fn a_record_without_a_size_is_not_guessed() {
        let text = "[bus]\nname = \"b\"\n[streams.s]\ntype = \"Imu\"\n";
        assert!(
            printed(text).contains("b/s  records Imu\n") && printed(text).contains("memory  not known"),
            "{}",
            printed(text)
        );
        let config = Config::parse(text, "x").unwrap();
        let demand = Demand::of(&config).unwrap();
        let object = stream_json(&config.streams["s"], &demand.streams[0]);
        assert!(object["frame_bytes"].is_null() && object["touched_bytes"].is_null(), "{object}");
    }
}
