//! `framebus soak`: streams for a long time, under fire or calmly, and an account of every frame that was lost.
//!
//! ```text
//!  arguments ─► settings ─┬─ plan: who is killed, stopped, told what, and when; all from the seed
//!                         ├─ cast: producers and viewers, each a process ──► JSON ──┐
//!  stage: the agenda ─────┤                                                         ├─► judge ─► ledger
//!                         └─ witness: our own subscriber, sees every frame ─────────┘            │
//!  finale: the last kill, probe (slots, places), leaks ──────────────────────────────────────────┤
//!                                  report_json, report_html + plots ◄── verdict ◄── timeline, events
//!  guard: a process that cleans up should the soak itself be killed
//! ```
//!
//! * Every byte of every frame is verified, by the witness and by each viewer.
//! * Memory is flat over weeks: rows of the timeline are merged (`timeline`), lists keep their ends (`events`).
//! * Whatever ends the soak, its processes end with it and its streams are removed: see `guard`.

mod arguments;
mod backend;
mod cast;
mod events;
mod finale;
pub mod guard;
mod judge;
mod leaks;
mod ledger;
mod machine;
mod plan;
mod plots;
mod probe;
mod report_html;
mod report_json;
mod stage;
#[cfg(test)]
mod testing;
mod timeline;
mod verdict;
mod witness;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use framebus_program::{Level, say, usage};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

pub use arguments::Arguments;
use arguments::Settings;
use stage::Stage;
use verdict::Verdict;

/// The config of the soak's processes, in the report's folder.
const CONFIG_FILE: &str = "soak.toml";

pub fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    let settings = Settings::of(arguments)?;
    refuse_occupied(&settings)?;
    let folder = settings.folder.display();
    std::fs::create_dir_all(&settings.folder).with_context(|| format!("making the report's folder {folder}"))?;
    let path = settings.folder.join(CONFIG_FILE);
    std::fs::write(&path, settings.config()).with_context(|| format!("writing {}", path.display()))?;

    let stop = Arc::new(AtomicBool::new(false));
    framebus_program::on_interrupt(&stop)?;
    let kind = if settings.calm { "calm" } else { "storm" };
    let time = humantime::format_duration(settings.time);
    let words = format!("{kind} of {time} on bus {}, seed {}", settings.bus, settings.seed);
    say(Level::Note, format_args!("{words}; Ctrl-C ends it early, with a report"));

    let before = leaks::Before::look()?;
    let guard = guard::Guard::start(&settings)?;
    let mut stage = Stage::new(&settings)?;
    let bar = progress_bar(&settings);
    stage.run(&bar, &stop)?;
    bar.set_message("ending");
    let interrupted = stop.load(Ordering::Relaxed);
    finale::end(&mut stage, &before)?;
    bar.finish_and_clear();
    let verdict = Verdict::new(&settings, &stage.ledger.findings);
    let report = report_json::report(&stage, &verdict, interrupted);
    // It finds nothing to do, unless the verdict says so.
    drop(guard);

    let paths = [settings.folder.join("report.html"), settings.folder.join("report.json")];
    write(&paths[0], &report_html::page(&stage, &verdict, &report)?)?;
    write(&paths[1], &serde_json::to_string_pretty(&report)?)?;
    let shown = paths.each_ref().map(|path| path.display().to_string());
    if settings.json {
        stage::print_line(&json!({
            "kind": "summary",
            "ok": verdict.is_ok(),
            "seed": settings.seed,
            "interrupted": interrupted,
            "seconds": report["seconds"],
            "totals": report["totals"],
            "verdict": report["verdict"],
            "report_html": shown[0],
            "report_json": shown[1],
        }))?;
    } else {
        print(&verdict, &report, &shown)?;
    }
    Ok(verdict.exit_code())
}

/// Nobody else's streams are touched.
fn refuse_occupied(settings: &Settings) -> anyhow::Result<()> {
    let mut there = Vec::new();
    for stream in &settings.streams {
        there.extend(framebus::list(&stream.backend)?.into_iter().filter(|there| there.name.bus() == settings.bus));
    }
    match there.first() {
        Some(there) => Err(usage!(
            "can not soak on bus {}: there is already a stream {}; choose another name with --bus, or remove it with \
             framebus rm {}",
            settings.bus,
            there.name,
            settings.bus
        )),
        None => Ok(()),
    }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("writing the report to {}", path.display()))
}

/// On a terminal only: indicatif sees to that.
fn progress_bar(settings: &Settings) -> ProgressBar {
    if settings.json {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {elapsed:>3} of {len} s  {msg}");
    let bar = ProgressBar::new(settings.time.as_secs());
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

fn print(verdict: &Verdict, report: &Value, paths: &[String]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let totals = &report["totals"];
    writeln!(
        out,
        "{} s: {} kills, {} stops, {} Ctrl-C, {} processes; {} frames published, {} verified, {} torn, {} refused",
        report["seconds"],
        totals["kills"],
        totals["stops"],
        totals["interrupts"],
        totals["starts"],
        totals["published"],
        totals["verified"],
        totals["torn"],
        totals["refused"]
    )?;
    writeln!(
        out,
        "viewers skipped {} frames and missed {}; {} were late",
        totals["skipped"], totals["missed"], totals["late"]
    )?;
    if totals["violations"] != 0 {
        writeln!(out, "what viewers rely on was violated {} times", totals["violations"])?;
    }
    for &(promise, broken) in &verdict.promises {
        match broken {
            0 => writeln!(out, "kept    {}", promise.text())?,
            broken => writeln!(out, "BROKEN  {} ({broken} times)", promise.text())?,
        }
    }
    for finding in &verdict.findings {
        writeln!(out, "at {:.3} s  {} {}: {}", finding.at_s, finding.stream, finding.culprit, finding.detail)?;
    }
    for path in paths {
        writeln!(out, "report  {path}")?;
    }
    writeln!(out, "{}", if verdict.is_ok() { "ok" } else { "not ok" })
}
