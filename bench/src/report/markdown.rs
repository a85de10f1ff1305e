//! report.md: targets, then a table for each kind of work and variant, ratios first.

use super::targets::{Target, Verdict};
use super::{Figure, Results, Summary, time};
use crate::contestant::{Contestant, FramebusWait, Kind};
use crate::work::{self, Case, Part, Variant, Work};
use clap::ValueEnum;
use std::fmt::Write;

/// A column behind the percentiles.
type Column = (&'static str, fn(&Summary) -> Option<String>);

/// The report. `plots` are files beside it, by the work that they show.
pub fn render(results: &Results, targets: &[Target], plots: &[(Work, String)]) -> String {
    let mut out = String::from("# framebus and its peers, at the same work in one run\n\n");
    head(&mut out, results);
    out.push_str("## Targets, as ratios within this run\n\n");
    out.push_str(&self::targets(targets));
    for work in Work::value_variants() {
        let figures: Vec<&Figure> = results.figures.iter().filter(|figure| figure.case.work == *work).collect();
        if !figures.is_empty() {
            section(&mut out, *work, &figures, plots);
        }
    }
    if !results.missing.is_empty() {
        out.push_str("## Who took no part\n\n");
        for (contestant, why) in &results.missing {
            // Writing to a string does not fail; here and below.
            let _ = writeln!(out, "* {contestant}: {why}");
        }
    }
    out
}

fn head(out: &mut String, results: &Results) {
    let machine = &results.machine;
    let (all, noisy) = results.noise();
    let _ = writeln!(
        out,
        "{}, {} cores allowed, Linux {}. {} repetitions{}, interleaved, in {:.0} s.\n",
        machine.processor,
        machine.cores,
        machine.kernel,
        results.repetitions,
        if results.quick { " (--quick)" } else { "" },
        results.seconds
    );
    if noisy > 0 {
        let _ = writeln!(
            out,
            "**⚠ NOT A QUIET RUN: during {noisy} of {all} measurements, others (or the hypervisor) used more than {} % of a core. \
             Figures with ⚠ contain such repetitions.**\n",
            results.quiet_percent
        );
    } else {
        let _ = writeln!(
            out,
            "All {all} measurements were quiet: others used at most {} % of a core.\n",
            results.quiet_percent
        );
    }
    let _ = writeln!(
        out,
        "How to read it: *ratio* is p50 against framebus of the same kind (who polls: spin; who sleeps: block); more than 1 is \
         slower than framebus. Times are medians over the repetitions of each repetition's percentile; *p50 min–max* is over \
         the repetitions. A repetition with fewer than 1,000 samples has its maximum for p99.9.\n"
    );
}

/// The targets' table.
pub fn targets(targets: &[Target]) -> String {
    let mut out = String::from("| target | found | min–max | | figures |\n|---|---:|---:|---|---|\n");
    for target in targets {
        let verdict = match target.verdict {
            Verdict::Met => "met",
            Verdict::NotMet => "**not met**",
            Verdict::Open => "open",
        };
        let found = target.found.map_or("—".to_owned(), number);
        let range = target.range.map_or("—".to_owned(), |(min, max)| format!("{}–{}", number(min), number(max)));
        let _ = writeln!(out, "| {} | {found} | {range} | {verdict} | {} |", target.claim, target.detail);
    }
    out.push('\n');
    out
}

fn number(value: f64) -> String {
    match value {
        _ if value.abs() < 0.1 => format!("{value:.4}"),
        _ if value.abs() < 10.0 => format!("{value:.2}"),
        _ => format!("{value:.0}"),
    }
}

fn section(out: &mut String, work: Work, figures: &[&Figure], plots: &[(Work, String)]) {
    let _ = writeln!(out, "## {}\n", work.title());
    for (_, file) in plots.iter().filter(|(of, _)| *of == work) {
        let _ = writeln!(out, "![{}]({file})\n", work.title());
    }
    let mut variants: Vec<Variant> = Vec::new();
    for figure in figures {
        if !variants.contains(&figure.case.variant) {
            variants.push(figure.case.variant);
        }
    }
    for variant in variants {
        let rows: Vec<&Figure> = figures.iter().copied().filter(|figure| figure.case.variant == variant).collect();
        table(out, work, variant, &rows);
    }
    notes(out, work);
}

fn table(out: &mut String, work: Work, variant: Variant, rows: &[&Figure]) {
    if variant != Variant::Plain {
        let _ = writeln!(out, "### {variant}\n");
    }
    let summaries: Vec<Summary> = rows.iter().filter_map(|figure| figure.summary()).collect();
    let all: [Column; 6] = [
        ("published/s", |summary| summary.published_per_second.map(thousands)),
        ("taken/s", |summary| summary.taken_per_second.map(thousands)),
        ("attach alone", |summary| summary.attach_p50_ns.map(time)),
        ("publisher CPU", |summary| summary.publisher_cpu_percent.map(percent)),
        ("subscriber CPU", |summary| summary.subscriber_cpu_percent.map(percent)),
        ("missed", |summary| summary.missed_frames.map(|frames| format!("{frames:.0}"))),
    ];
    let columns: Vec<Column> =
        all.into_iter().filter(|(_, get)| summaries.iter().any(|summary| get(summary).is_some())).collect();
    let names: String = columns.iter().map(|(name, _)| format!(" {name} |")).collect();
    let _ = writeln!(out, "| | ratio | p50 | p99 | p99.9 | max | p50 min–max |{names} n |");
    let _ = writeln!(out, "|---|---:|---:|---:|---:|---:|---:|{}---:|", "---:|".repeat(columns.len()));
    for figure in rows {
        let label = label(figure.case);
        let Some(summary) = figure.summary() else {
            let blanks = " — |".repeat(6 + columns.len());
            let why = figure.failures.first().map_or("not measured", String::as_str).replace(['|', '\n'], " ");
            let _ = writeln!(out, "| {label} |{blanks} failed: {why} |");
            continue;
        };
        let ratio = ratio(figure, rows).map_or("—".to_owned(), number);
        let [p50, p99, p999, max] =
            [summary.p50_ns, summary.p99_ns, summary.p999_ns, summary.max_ns].map(|ns| ns.map_or("—".to_owned(), time));
        let range = match (summary.p50_min_ns, summary.p50_max_ns) {
            (Some(min), Some(max)) => format!("{}–{}", time(min), time(max)),
            _ => "—".to_owned(),
        };
        let more: String =
            columns.iter().map(|(_, get)| format!(" {} |", get(&summary).unwrap_or_else(|| "—".to_owned()))).collect();
        let mark = if summary.quiet { "" } else { " ⚠" };
        let failed =
            if figure.failures.is_empty() { String::new() } else { format!(", {} failed", figure.failures.len()) };
        let _ = writeln!(
            out,
            "| {label} | {ratio} | {p50} | {p99} | {p999} | {max} | {range} |{more} {}{mark}{failed} |",
            summary.repetitions
        );
    }
    for (contestant, why) in absences(work, variant) {
        let _ = writeln!(out, "| {contestant} |{} {why} |", " — |".repeat(6 + columns.len()));
    }
    out.push('\n');
}

/// Where one way of waiting stands for its bus, the bus's name is enough.
fn label(case: Case) -> String {
    let name = case.contestant.to_string();
    match (case.work, case.contestant) {
        (
            Work::Cycle | Work::FrameSize | Work::Startup,
            Contestant::Framebus(_) | Contestant::Iceoryx2(_) | Contestant::Ringfire(_),
        ) => name.split(' ').next().map_or(name.clone(), str::to_owned),
        _ => name,
    }
}

/// p50 against that of framebus of the same kind, or of the framebus there is.
fn ratio(figure: &Figure, rows: &[&Figure]) -> Option<f64> {
    let wait = if figure.case.contestant.kind() == Kind::Sleeping { FramebusWait::Block } else { FramebusWait::Spin };
    let of = |wait| rows.iter().find(|row| row.case.contestant == Contestant::Framebus(wait));
    let reference = of(wait).or_else(|| of(FramebusWait::Spin))?;
    Some(figure.summary()?.p50_ns? / reference.summary()?.p50_ns?)
}

/// Who does not do this, and why; whether or not they were asked for.
fn absences(work: Work, variant: Variant) -> Vec<(Contestant, &'static str)> {
    let why = |contestant: Contestant| {
        let case = Case { work, contestant, variant };
        match (work::part(work, contestant), work) {
            (Part::Lacks(why), _) => Some(why),
            (Part::Takes, Work::Rate) => work::rate::lacks(&case),
            (Part::Takes, Work::FrameSize) => work::frame_size::lacks(&case),
            _ => None,
        }
    };
    Contestant::ALL.into_iter().filter_map(|contestant| Some((contestant, why(contestant)?))).collect()
}

fn notes(out: &mut String, work: Work) {
    let note = match work {
        Work::Latency => {
            "From just before publishing to when the frame can be read. framebus, iceoryx2, ringfire and zenoh pass it in \
             place; socket, shm + mutex and mmap-sync copy it, which is part of their time. CPU in per cent of one core."
        }
        Work::RoundTrip => "The second process answers at once. Whoever sleeps, sleeps on both sides.",
        Work::Cycle => {
            "framebus reads the clock once a frame, for the publish time: `clock_gettime` alone is the limit's line. \
             shm + mutex and mmap-sync copy the frame."
        }
        Work::Rate => {
            "Times are of the publisher, for one frame. `latest`: the subscriber takes the newest as often as it can."
        }
        Work::ProducerCost => {
            "Times are of one publication, from the loan to the end of publishing, at 500 Hz or what is possible. The producer \
             has one core, all viewers share the other."
        }
        Work::FrameSize => "Frames in place are not written. `memcpy` is one copy; a bus that copies makes one or two.",
        Work::Startup => {
            "Who keeps the newest frame for late joiners gives it at once; from the others, the next one of 60 a second is \
             waited for."
        }
    };
    let _ = writeln!(out, "{note}\n");
}

fn percent(value: f64) -> String {
    format!("{value:.1} %")
}

fn thousands(value: f64) -> String {
    if value >= 1e6 { format!("{:.2} M", value / 1e6) } else { format!("{:.1} k", value / 1e3) }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{figure, results};
    use super::*;
    use crate::contestant::Iceoryx2Wait;

    fn report() -> String {
        let row = |contestant, p50s: &[f64]| figure(Work::RoundTrip, Variant::Plain, contestant, p50s);
        let mut failed = row(Contestant::PosixShm, &[]);
        failed.failures.push("no | luck".to_owned());
        let mut noisy = row(Contestant::UnixSocket, &[4000.0]);
        noisy.repetitions[0].quiet = false;
        let figures = vec![
            row(Contestant::Framebus(FramebusWait::Spin), &[200.0, 210.0, 190.0]),
            row(Contestant::Iceoryx2(Iceoryx2Wait::Poll), &[600.0, 660.0, 500.0]),
            failed,
            noisy,
        ];
        render(&results(figures), &[], &[(Work::RoundTrip, "round-trip.svg".to_owned())])
    }

    #[test]
    fn rows_begin_with_the_ratio_to_framebus() {
        let report = report();
        assert!(
            report.contains("| framebus spin | 1.00 | 200 ns | 400 ns | 600 ns | 800 ns | 190 ns–210 ns | 3 |"),
            "{report}"
        );
        assert!(report.contains("| iceoryx2 poll | 3.00 | 600 ns |"), "{report}");
        assert!(report.contains("![Round trip, 64 bytes](round-trip.svg)"), "{report}");
    }

    #[test]
    fn noise_failures_and_absences_are_said() {
        let report = report();
        assert!(report.contains("NOT A QUIET RUN: during 1 of 7"), "{report}");
        assert!(report.contains("| unix socket | 20 | 4000 ns |") && report.contains(" 1 ⚠ |"), "{report}");
        assert!(report.contains("failed: no   luck"), "{report}");
        assert!(report.contains("* zenoh shm: built without it"), "{report}");
    }

    #[test]
    fn who_can_not_is_in_the_table_with_the_reason() {
        let variant = Variant::Mode(crate::contenders::Delivery::Latest);
        let figures = vec![figure(Work::Rate, variant, Contestant::Framebus(FramebusWait::Spin), &[100.0])];
        let report = render(&results(figures), &[], &[]);
        assert!(report.contains("| unix socket | — |") && report.contains("a socket keeps every frame"), "{report}");
    }
}
