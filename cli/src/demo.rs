//! `framebus demo`: a synthetic camera and two viewers, each a process of its own, on the embedded default config.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use crossbeam_channel::{Receiver, unbounded};
use indicatif::{ProgressBar, ProgressStyle};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::actor::{Actor, Message, Said, Script, Words};

/// How long the producer outlives what the demo asks for, should the demo itself be killed.
const ORPHAN_SECONDS: u64 = 30;
/// Time for a child to say its last words.
const PATIENCE: Duration = Duration::from_secs(20);
const VIEWERS: usize = 2;

/// Runs a 1080p camera at 60 Hz and two viewers that verify every byte, and saves a picture.
#[derive(clap::Args)]
pub struct Arguments {
    /// How long.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Print the summary as one JSON object, after one object an interval of each process.
    #[arg(long)]
    json: bool,
    /// Name of the bus, so that several demos can run at a time.
    #[arg(long, default_value = "demo")]
    bus: String,
    /// Where to save the picture.
    #[arg(long, value_name = "FILE", default_value = "framebus-demo.png")]
    snapshot: PathBuf,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    let preset = framebus_config::presets::DEMO;
    let config = framebus_config::Config::parse(preset, "the embedded demo config")?;
    let stream = config.streams.keys().next().context("the embedded demo config has a stream")?;
    framebus::check_part("bus", &arguments.bus)?;
    let name = format!("{}/{stream}", arguments.bus);
    // The children read the very same config, whatever file lies in the working directory.
    let mut file = tempfile::Builder::new().prefix("framebus-demo-").suffix(".toml").tempfile()?;
    file.write_all(preset.as_bytes()).context("writing the demo's config")?;

    // Files have the time of a coarser clock, which may be behind.
    let begun = SystemTime::now() - Duration::from_millis(100);
    let stop = Arc::new(AtomicBool::new(false));
    framebus_program::on_interrupt(&stop)?;
    let (sender, messages) = unbounded();
    let start = |program: &'static str, index: usize, rest: &[&str]| {
        let mut script = Script::new(program, Words::Inherited);
        script.arguments(["--stream", &name, "--json", "--config"]).argument(file.path()).arguments(rest);
        Actor::start(&script, index as u64, &sender)
    };
    let orphan = (arguments.seconds + ORPHAN_SECONDS).to_string();
    let mut actors = vec![start("producer", 0, &["--seconds", &orphan])?];
    for index in 1..=VIEWERS {
        let (label, seconds) = (format!("viewer-{index}"), arguments.seconds.to_string());
        let mut rest = vec!["--verify", "--quiet", "--label", &label, "--seconds", &seconds, "--patience", "30"];
        let snapshot = arguments.snapshot.to_str().context("the snapshot's path is no UTF-8")?;
        if index == 1 {
            // Not the first picture: the moving parts shall have moved.
            rest.extend(["--snapshot", snapshot, "--snapshot-after", "30"]);
        }
        actors.push(start("viewer", index, &rest)?);
    }
    drop(sender);

    let bar = progress_bar(arguments);
    let interrupted = play(&mut actors, &messages, &bar, &stop, arguments);
    bar.finish_and_clear();
    let codes: Vec<bool> = actors.iter_mut().map(|actor| actor.wait().is_some_and(|status| status.success())).collect();
    let summary = summarize(&actors, &codes, arguments, begun);
    let ok = summary["ok"] == true || interrupted && codes.iter().all(|&code| code);
    let mut out = std::io::stdout().lock();
    if arguments.json {
        writeln!(out, "{summary}")?;
    } else {
        print(&mut out, &name, &summary)?;
    }
    Ok(u8::from(!ok))
}

fn progress_bar(arguments: &Arguments) -> ProgressBar {
    if arguments.json {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {elapsed:>3} of {len} s  {msg}");
    let bar = ProgressBar::new(arguments.seconds);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// Follows the children to their ends: first the viewers', then the producer's. True: it was cut short by a signal.
fn play(
    actors: &mut [Actor],
    messages: &Receiver<Message>,
    bar: &ProgressBar,
    stop: &AtomicBool,
    arguments: &Arguments,
) -> bool {
    let begun = Instant::now();
    let mut latest: Vec<String> = vec![String::new(); actors.len()];
    let mut deadline = begun + Duration::from_secs(arguments.seconds + ORPHAN_SECONDS) + PATIENCE;
    let mut told = false;
    while actors.iter().any(|actor| !actor.ended) && Instant::now() < deadline {
        if let Ok(Message { from, said }) = messages.recv_timeout(Duration::from_millis(100)) {
            let from = from as usize;
            match said {
                Said::End(_) => actors[from].ended = true,
                Said::Object(line) if line["kind"] == "summary" => actors[from].summary = Some(line),
                Said::Object(line) => {
                    latest[from] = figures(&line);
                    if arguments.json {
                        let _ = writeln!(std::io::stdout(), "{line}");
                    }
                }
            }
        }
        bar.set_position(begun.elapsed().as_secs().min(arguments.seconds));
        bar.set_message(latest.iter().filter(|text| !text.is_empty()).cloned().collect::<Vec<_>>().join(" · "));
        let viewers_done = actors[1..].iter().all(|actor| actor.ended);
        // A producer that is gone leaves the viewers waiting for the next one.
        if !told && (stop.load(Ordering::Relaxed) || viewers_done || actors[0].ended) {
            told = true;
            deadline = Instant::now() + PATIENCE;
            actors.iter().for_each(|actor| actor.signal(Signal::INT));
        }
    }
    stop.load(Ordering::Relaxed)
}

/// One child's interval, in a few words.
fn figures(line: &Value) -> String {
    match (line["fps"].as_f64(), line["rate_hz"].as_f64()) {
        (Some(fps), _) => format!("{fps:.1} fps, p50 {}", microseconds(&line["latency_p50_ns"])),
        (None, Some(rate)) => format!("{rate:.1} Hz"),
        _ => String::new(),
    }
}

fn microseconds(ns: &Value) -> String {
    ns.as_f64().map_or("-".to_owned(), |ns| format!("{:.0} µs", ns / 1000.0))
}

fn summarize(actors: &[Actor], codes: &[bool], arguments: &Arguments, begun: SystemTime) -> Value {
    let summary = |actor: &Actor| actor.summary.clone().unwrap_or(Value::Null);
    let viewers: Vec<Value> = actors[1..].iter().map(summary).collect();
    // One from an earlier run is none of this one.
    let is_new = |path: &Path| path.metadata().and_then(|file| file.modified()).is_ok_and(|time| time >= begun);
    let snapshot = is_new(&arguments.snapshot).then(|| arguments.snapshot.display().to_string());
    let clean = |viewer: &Value| viewer["torn"] == 0 && viewer["frames"].as_u64() > Some(0);
    let ok = codes.iter().all(|&code| code) && viewers.iter().all(clean) && snapshot.is_some();
    json!({ "kind": "summary", "producer": summary(&actors[0]), "viewers": viewers, "snapshot": snapshot, "ok": ok })
}

fn print(out: &mut impl Write, name: &str, summary: &Value) -> std::io::Result<()> {
    let producer = &summary["producer"];
    writeln!(
        out,
        "producer  {name}: {} frames at {} Hz, {} dropped, {} late",
        producer["published"], producer["rate_hz"], producer["drops"], producer["late"]
    )?;
    for viewer in summary["viewers"].as_array().into_iter().flatten() {
        writeln!(
            out,
            "{}  {} frames at {:.1} fps, latency p50 {} p99 {} max {}, {} skipped, {} torn",
            viewer["label"].as_str().unwrap_or("viewer"),
            viewer["frames"],
            viewer["fps"].as_f64().unwrap_or(0.0),
            microseconds(&viewer["latency_p50_ns"]),
            microseconds(&viewer["latency_p99_ns"]),
            microseconds(&viewer["latency_max_ns"]),
            viewer["skipped"],
            viewer["torn"]
        )?;
    }
    match summary["snapshot"].as_str() {
        Some(path) => writeln!(out, "snapshot  {path}")?,
        None => writeln!(out, "snapshot  none")?,
    }
    writeln!(out, "{}", if summary["ok"] == true { "ok" } else { "not ok" })
}
