//! results.json: everything, each repetition too, with units in the keys.

use super::targets::Target;
use super::{Figure, Machine, Repetition, Results, Summary};
use crate::quiet::Disturbance;
use crate::work::{Case, Work};
use anyhow::Result;
use serde::Serialize;

#[derive(Serialize)]
struct Document<'a> {
    /// Of this format.
    version: u32,
    machine: &'a Machine,
    quick: bool,
    repetitions: u32,
    seconds: f64,
    quiet: Quiet<'a>,
    targets: &'a [Target],
    figures: Vec<Row<'a>>,
    missing: Vec<Absent<'a>>,
}

#[derive(Serialize)]
struct Quiet<'a> {
    allowed_percent: f64,
    before: &'a Disturbance,
    measurements: usize,
    not_quiet: usize,
}

#[derive(Serialize)]
struct Row<'a> {
    work: Work,
    contestant: String,
    variant: String,
    case: &'a Case,
    summary: Option<Summary>,
    repetitions: &'a [Repetition],
    failures: &'a [String],
}

#[derive(Serialize)]
struct Absent<'a> {
    contestant: &'a str,
    why: &'a str,
}

/// The document.
pub fn render(results: &Results, targets: &[Target]) -> Result<String> {
    let row = |figure: &'_ Figure| -> (Work, String, String, Option<Summary>) {
        let case = figure.case;
        (case.work, case.contestant.to_string(), case.variant.to_string(), figure.summary())
    };
    let figures = results.figures.iter().map(|figure| {
        let (work, contestant, variant, summary) = row(figure);
        let (case, repetitions, failures) = (&figure.case, &figure.repetitions[..], &figure.failures[..]);
        Row { work, contestant, variant, case, summary, repetitions, failures }
    });
    let (measurements, not_quiet) = results.noise();
    let document = Document {
        version: 1,
        machine: &results.machine,
        quick: results.quick,
        repetitions: results.repetitions,
        seconds: results.seconds,
        quiet: Quiet { allowed_percent: results.quiet_percent, before: &results.before, measurements, not_quiet },
        targets,
        figures: figures.collect(),
        missing: results.missing.iter().map(|(contestant, why)| Absent { contestant, why }).collect(),
    };
    let mut text = serde_json::to_string_pretty(&document)?;
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{figure, results};
    use super::*;
    use crate::contestant::Contestant;
    use crate::work::Variant;

    #[test]
    fn the_document_has_summaries_and_every_repetition() {
        let figures = vec![figure(Work::RoundTrip, Variant::Plain, Contestant::SharedPage, &[3.0, 1.0, 2.0])];
        let text = render(&results(figures), &[]).expect("a document");
        let document: serde_json::Value = serde_json::from_str(&text).expect("valid JSON");
        let row = &document["figures"][0];
        assert_eq!(row["summary"]["p50_ns"], 2.0);
        assert_eq!(row["work"], "round-trip");
        assert_eq!(row["repetitions"].as_array().map(Vec::len), Some(3));
        assert_eq!(row["repetitions"][1]["times"]["p50_ns"], 1.0);
        assert_eq!(row["repetitions"][1]["others_percent"], 1.0);
        assert_eq!(document["missing"][0]["contestant"], "zenoh shm");
    }
}
