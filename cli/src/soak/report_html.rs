//! The report for people: one page, with nothing to load from elsewhere.

use std::fmt::Write;

use plotters::style::RGBColor;
use serde_json::Value;

use super::events::Event;
use super::ledger::Page;
use super::plots::{self, Axis, Curve};
use super::stage::Stage;
use super::verdict::Verdict;

/// Events that cost frames, in the page; the others are in report.json.
const MOST_EVENTS: usize = 200;

const STYLE: &str = include_str!("report.css");

const BLUE: RGBColor = RGBColor(37, 128, 235);
const ORANGE: RGBColor = RGBColor(234, 138, 12);
const RED: RGBColor = RGBColor(224, 62, 82);
const GREEN: RGBColor = RGBColor(22, 163, 98);
const VIOLET: RGBColor = RGBColor(147, 93, 236);

/// The page. `report` is what report.json has.
pub(super) fn page(stage: &Stage, verdict: &Verdict, report: &Value) -> anyhow::Result<String> {
    let mut html = String::new();
    let (config, machine) = (&report["config"], &report["machine"]);
    let ok = verdict.is_ok();
    let title = format!("framebus soak: {}", if ok { "all promises were kept" } else { "a promise was broken" });
    write!(
        html,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title}</title><style>{STYLE}</style></head><body>\n\
         <header class=\"{}\"><h1>{title}</h1><p>{} on bus <b>{}</b>, {} s{}, begun {}, seed {}<br>\
         {} · {} CPUs{} · framebus {}</p></header>\n",
        if ok { "kept" } else { "broken" },
        if stage.settings.calm { "A calm soak" } else { "A storm" },
        escape(&stage.settings.bus),
        report["seconds"],
        if report["interrupted"] == true { " (ended early with Ctrl-C)" } else { "" },
        text(&report["started"]),
        report["seed"],
        text(&machine["kernel"]),
        machine["cpus"],
        machine["cpu_model"].as_str().map_or(String::new(), |model| format!(" {}", escape(model))),
        text(&machine["framebus"]),
    )?;
    promises(&mut html, verdict)?;
    writeln!(
        html,
        "<p class=\"note\">{} stream(s) at {} Hz, {}; {} viewers each{}; {} slots, history {}, up to {} subscribers of {} \
         frames.</p>",
        stage.settings.streams.len(),
        config["rate_hz"],
        escape(&stage.settings.shapes[0].to_string()),
        config["viewers"],
        if stage.settings.calm { "" } else { ", and two that come and go" },
        text(&config["slots"]),
        config["history"],
        config["max_subscribers"],
        config["max_held"],
    )?;
    totals(&mut html, &report["totals"])?;
    for (index, stream) in stage.settings.streams.iter().enumerate() {
        let name = stream.name.to_string();
        let findings = verdict.findings.iter().filter(|finding| finding.stream == name);
        let marks: Vec<f64> = findings.map(|finding| finding.at_s).collect();
        writeln!(html, "<h2>{} <small>{}</small></h2>", escape(&name), escape(&stream.backend.to_string()))?;
        latency_line(&mut html, &report["streams"][index])?;
        curves(&mut html, &stage.ledger.pages[index], stage.settings.calm, &marks)?;
    }
    events(&mut html, stage)?;
    html.push_str("<footer>All figures, row by row, are in report.json beside this page.</footer>\n</body></html>\n");
    Ok(html)
}

fn promises(html: &mut String, verdict: &Verdict) -> std::fmt::Result {
    html.push_str("<table class=\"promises\"><tbody>\n");
    for &(promise, broken) in &verdict.promises {
        let (class, word) =
            if broken == 0 { ("kept", "kept".to_owned()) } else { ("broken", format!("broken {broken} ×")) };
        writeln!(html, "<tr class=\"{class}\"><td>{word}</td><td>{}</td></tr>", promise.text())?;
    }
    html.push_str("</tbody></table>\n");
    if verdict.findings.is_empty() {
        return Ok(());
    }
    html.push_str(
        "<h2>What broke them</h2>\n<table><thead><tr><th>at</th><th>stream</th><th>who</th><th>what</th></tr></thead><tbody>\n",
    );
    for finding in &verdict.findings {
        writeln!(
            html,
            "<tr><td class=\"n\">{:.3} s</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            finding.at_s,
            short(&finding.stream),
            escape(&finding.culprit),
            escape(&finding.detail)
        )?;
    }
    html.push_str("</tbody></table>\n");
    Ok(())
}

fn totals(html: &mut String, totals: &Value) -> std::fmt::Result {
    html.push_str("<div class=\"totals\">\n");
    for (key, name) in [
        ("published", "frames published"),
        ("verified", "frames verified"),
        ("torn", "torn"),
        ("refused", "refused"),
        ("skipped", "skipped by viewers"),
        ("missed", "missed by viewers"),
        ("late", "late"),
        ("violations", "violations of contracts"),
        ("kills", "kill -9"),
        ("stops", "stops"),
        ("interrupts", "Ctrl-C"),
        ("starts", "processes"),
    ] {
        let number = totals[key].as_u64().unwrap_or(0);
        writeln!(html, "<div><b>{}</b> {name}</div>", thousands(number))?;
    }
    html.push_str("</div>\n");
    Ok(())
}

fn latency_line(html: &mut String, stream: &Value) -> std::fmt::Result {
    let time = |key: &str| stream[key].as_u64().map_or("–".to_owned(), duration);
    writeln!(
        html,
        "<p class=\"note\">From a frame's publication to the witness having it: median {}, 99 % {}, 99.9 % {}, longest {}. \
         Longest time without a frame: {}. The stream moved to another epoch {} times, and began anew after a clean end \
         {} times.</p>",
        time("latency_p50_ns"),
        time("latency_p99_ns"),
        time("latency_p999_ns"),
        time("latency_max_ns"),
        time("longest_pause_ns"),
        stream["epochs"],
        stream["new_beginnings"],
    )
}

fn curves(html: &mut String, page: &Page, calm: bool, marks: &[f64]) -> anyhow::Result<()> {
    let rows = page.timeline.rows();
    let mut figure = |title: &str, axis: Axis, curves: &[Curve]| -> anyhow::Result<()> {
        let svg = plots::draw(rows, curves, axis, marks)?;
        let legend: String = curves
            .iter()
            .map(|Curve { name, colour: RGBColor(r, g, b), .. }| {
                format!("<span><i style=\"background:rgb({r},{g},{b})\"></i>{name}</span>")
            })
            .collect();
        html.push_str(&format!("<figure><figcaption>{title} {legend}</figcaption>{svg}</figure>\n"));
        Ok(())
    };
    figure(
        "Frames a second",
        Axis::Linear,
        &[Curve { name: "published", colour: BLUE, value: |row| Some(row.rate_hz) }],
    )?;
    figure(
        "Latency",
        Axis::LogNs,
        &[
            Curve { name: "longest", colour: RED, value: |row| row.latency_max_ns.map(|ns| ns as f64) },
            Curve { name: "99 %", colour: ORANGE, value: |row| row.latency_p99_ns.map(|ns| ns as f64) },
            Curve { name: "median", colour: BLUE, value: |row| row.latency_p50_ns.map(|ns| ns as f64) },
        ],
    )?;
    figure(
        "Frames lost on the way, a second",
        Axis::Linear,
        &[
            Curve { name: "skipped", colour: BLUE, value: |row| Some(row.skipped as f64 / row.seconds) },
            Curve { name: "missed", colour: ORANGE, value: |row| Some(row.missed as f64 / row.seconds) },
            Curve { name: "late", colour: VIOLET, value: |row| Some(row.late as f64 / row.seconds) },
            Curve { name: "refused", colour: RED, value: |row| Some(row.refused as f64 / row.seconds) },
        ],
    )?;
    if rows.iter().any(|row| row.violations > 0) {
        let value = |row: &super::timeline::Row| Some(row.violations as f64 / row.seconds);
        figure("Violations of contracts, a second", Axis::Linear, &[Curve { name: "violations", colour: RED, value }])?;
    }
    if rows.iter().any(|row| row.longest_pause_ns > 0) {
        let value = |row: &super::timeline::Row| (row.longest_pause_ns > 0).then_some(row.longest_pause_ns as f64);
        figure("Longest time without a frame", Axis::LogNs, &[Curve { name: "pause", colour: VIOLET, value }])?;
    }
    if !calm || page.timeline.total().kills > 0 {
        figure(
            "What was done, a second",
            Axis::Linear,
            &[
                Curve { name: "kill -9", colour: RED, value: |row| Some(row.kills as f64 / row.seconds) },
                Curve { name: "stops", colour: ORANGE, value: |row| Some(row.stops as f64 / row.seconds) },
                Curve { name: "Ctrl-C", colour: VIOLET, value: |row| Some(row.interrupts as f64 / row.seconds) },
                Curve { name: "starts", colour: GREEN, value: |row| Some(row.starts as f64 / row.seconds) },
            ],
        )?;
    }
    Ok(())
}

fn events(html: &mut String, stage: &Stage) -> std::fmt::Result {
    let events = &stage.ledger.events;
    let mut costly: Vec<&Event> = events.costly.iter().collect();
    if costly.is_empty() {
        html.push_str("<h2>What cost frames</h2><p>Nothing did.</p>\n");
        return Ok(());
    }
    let all = costly.len() as u64 + events.costly.left_out;
    // The worst ones, in the order of their times.
    costly.sort_by_key(|event| std::cmp::Reverse(event.frames));
    costly.truncate(MOST_EVENTS);
    costly.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
    let which =
        if all > costly.len() as u64 { format!("the worst {} of {all}", costly.len()) } else { all.to_string() };
    writeln!(
        html,
        "<details open><summary><h2>What cost frames <small>{which}</small></h2></summary><table><thead><tr><th>at</th>\
         <th>what</th><th>frames</th><th>stream</th><th>who</th><th>how</th></tr></thead><tbody>"
    )?;
    for Event { at_s, event, stream, label, pid, frames, detail } in costly {
        let pid = pid.map_or(String::new(), |pid| format!(" <small>{pid}</small>"));
        writeln!(
            html,
            "<tr><td class=\"n\">{at_s:.3} s</td><td>{event}</td><td class=\"n\">{frames}</td><td>{}</td><td>{}{pid}</td>\
             <td>{}</td></tr>",
            short(stream),
            escape(label),
            escape(detail)
        )?;
    }
    html.push_str("</tbody></table></details>\n");
    Ok(())
}

/// A stream without its bus, which is the same for all.
fn short(stream: &str) -> String {
    escape(stream.split_once('/').map_or(stream, |(_, stream)| stream))
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), escape)
}

/// Others' words can not become markup.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// 1234567 as 1,234,567.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn duration(ns: u64) -> String {
    match ns {
        ..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{:.1} µs", ns as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} ms", ns as f64 / 1e6),
        _ => format!("{:.2} s", ns as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_others_are_no_markup() {
        assert_eq!(escape("<b>\"&\"</b>"), "&lt;b&gt;&quot;&amp;&quot;&lt;/b&gt;");
    }

    #[test]
    fn numbers_are_for_people() {
        assert_eq!([0, 999, 1000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([999, 1500, 2_500_000, 3_000_000_000].map(duration), ["999 ns", "1.5 µs", "2.5 ms", "3.00 s"]);
    }
}
