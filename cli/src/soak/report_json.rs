//! The report for programs: `report.json` (docs/json.md).

use serde_json::{Value, json};

use super::machine::Machine;
use super::stage::Stage;
use super::timeline::Row;
use super::verdict::Verdict;

/// The whole report as one object.
pub(super) fn report(stage: &Stage, verdict: &Verdict, interrupted: bool) -> Value {
    let settings = stage.settings;
    let streams = settings.streams.iter().enumerate().map(|(index, stream)| {
        let (page, witness) = (&stage.ledger.pages[index], &stage.witnesses[index]);
        let (latencies, tally) = (witness.latencies(), witness.tally());
        json!({
            "stream": stream.name.to_string(),
            "backend": stream.backend.to_string(),
            "published": page.timeline.total().published,
            "latency_p50_ns": latencies.quantile(0.5),
            "latency_p99_ns": latencies.quantile(0.99),
            "latency_p999_ns": latencies.quantile(0.999),
            "latency_max_ns": latencies.max(),
            "longest_pause_ns": page.timeline.total().longest_pause_ns,
            "epochs": tally.epochs,
            "new_beginnings": tally.beginnings,
            "last_sequence": tally.last_sequence,
            "timeline": page.timeline.rows(),
        })
    });
    let shapes: Vec<String> = settings.shapes.iter().map(ToString::to_string).collect();
    let options = settings.options(0);
    json!({
        "kind": "soak",
        "ok": verdict.is_ok(),
        "started": humantime::format_rfc3339_seconds(settings.started).to_string(),
        "seconds": (stage.ledger.pages.iter().map(|page| page.timeline.end_s()).fold(0.0, f64::max) * 1e3).round() / 1e3,
        "interrupted": interrupted,
        "seed": settings.seed,
        "config": {
            "mode": if settings.calm { "calm" } else { "storm" },
            "seconds": settings.time.as_secs_f64(),
            "strict": settings.strict,
            "max_age_ms": settings.max_age.map(|age| age.as_nanos() as f64 / 1e6),
            "max_skipped_per_s": settings.max_skipped_per_s,
            "bus": settings.bus,
            "viewers": settings.viewers,
            "passers_by": settings.passers_by,
            "rate_hz": settings.rate.hz(),
            "shapes": if settings.calm { &shapes[..1] } else { &shapes[..] },
            "history": options.history,
            "max_subscribers": options.max_subscribers,
            "max_held": options.max_held,
            "slots": match settings.slots {
                framebus::Slots::Auto => json!("auto"),
                framebus::Slots::Exactly(number) => json!(number),
            },
        },
        "machine": Machine::look(),
        "verdict": verdict.to_json(),
        "totals": totals(stage),
        "streams": streams.collect::<Vec<_>>(),
        "events": stage.ledger.events,
    })
}

fn totals(stage: &Stage) -> Value {
    let sum =
        |field: fn(&Row) -> u64| -> u64 { stage.ledger.pages.iter().map(|page| field(page.timeline.total())).sum() };
    let witnessed: u64 = stage.witnesses.iter().map(|witness| witness.tally().taken).sum();
    json!({
        "published": sum(|row| row.published),
        "verified": witnessed + sum(|row| row.viewer_frames),
        "witness_frames": witnessed,
        "witness_missed": sum(|row| row.witness_missed),
        "viewer_frames": sum(|row| row.viewer_frames),
        "torn": sum(|row| row.torn),
        "refused": sum(|row| row.refused),
        "skipped": sum(|row| row.skipped),
        "missed": sum(|row| row.missed),
        "late": sum(|row| row.late),
        "violations": sum(|row| row.violations),
        "kills": sum(|row| row.kills),
        "stops": sum(|row| row.stops),
        "interrupts": sum(|row| row.interrupts),
        "starts": sum(|row| row.starts),
    })
}
