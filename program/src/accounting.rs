//! The accounting of a stream: every frame's fate, and who is to blame, as keys for machines and as lines for people.

use framebus::{Histogram, StreamStatus, SubscriberStatus};
use serde_json::{Value, json};

use crate::duration::duration;

/// Frames published in the present segments.
fn published(stream: &StreamStatus) -> u64 {
    stream.last_sequence.saturating_sub(stream.base_sequence)
}

/// Who of those that are there was blamed most for refused frames.
pub fn culprit(stream: &StreamStatus) -> Option<&SubscriberStatus> {
    stream.subscribers.iter().filter(|one| one.blamed > 0).max_by_key(|one| one.blamed)
}

/// Adds the accounting to the objects of a stream and of its subscribers; the keys are in docs/json.md.
pub(crate) fn add(object: &mut Value, stream: &StreamStatus) {
    let counters = &stream.counters;
    object["published_total"] = json!(published(stream));
    object["publishers"] = json!(counters.publishers);
    object["evicted"] = json!(counters.evicted);
    object["waits"] = json!(counters.waits);
    object["waited_ns"] = json!(counters.waited_ns);
    object["culprit"] = json!(culprit(stream).map(|one| json!({
        "place": one.holder.place,
        "pid": one.holder.pid,
        "label": one.holder.label,
        "blamed": one.blamed,
        "held_ns": held_then(one),
    })));
    for (key, subscribers) in [("subscribers", &stream.subscribers), ("dead_subscribers", &stream.dead_subscribers)] {
        for (index, subscriber) in subscribers.iter().enumerate() {
            add_subscriber(&mut object[key][index], subscriber);
        }
    }
}

fn add_subscriber(object: &mut Value, one: &SubscriberStatus) {
    let times = [("latency", &one.latencies), ("age", &one.ages), ("hold", &one.holds)];
    for (name, histogram) in times {
        object[format!("{name}_count")] = json!(histogram.count());
        object[format!("{name}_p50_ns")] = json!(histogram.quantile_ns(0.5));
        object[format!("{name}_p99_ns")] = json!(histogram.quantile_ns(0.99));
        object[format!("{name}_max_ns")] = json!(histogram.longest_ns());
    }
    object["holding_ns"] = json!(one.holder.held_ns);
    object["blamed_held_ns"] = json!(held_then(one));
    object["lossless"] = json!(one.lossless);
    object["contract_max_age_ns"] = json!(one.contract.max_age.map(|age| age.as_nanos() as u64));
    object["contract_max_skipped_per_s"] = json!(one.contract.max_skipped_per_s);
    object["violations"] = json!(one.violations.total());
    object["violations_too_old"] = json!(one.violations.too_old);
    object["violations_too_many_skipped"] = json!(one.violations.too_many_skipped);
    object["violations_stale"] = json!(one.violations.stale);
    object["predictions_hit"] = json!(one.predictions.hit);
    object["predictions_early"] = json!(one.predictions.early);
    object["predictions_late"] = json!(one.predictions.late);
    object["predictions_spun_ns"] = json!(one.predictions.spun_ns);
}

/// How long it had held a slot when a frame was refused because of that.
fn held_then(one: &SubscriberStatus) -> Option<u64> {
    Some(one.blamed_held_ns).filter(|&held_ns| held_ns > 0)
}

/// What the publisher counted, for people: a line or two.
pub fn stream_lines(stream: &StreamStatus) -> Vec<String> {
    let counters = &stream.counters;
    // Of the epochs before, nothing says how many of their numbers were published.
    let from = match stream.base_sequence {
        0 => String::new(),
        base => format!(" from frame {} on", base + 1),
    };
    let mut counted = format!(
        "published {}{from}, refused {}, abandoned {}, late {}",
        published(stream),
        counters.refused,
        counters.abandoned,
        counters.late
    );
    if counters.evicted > 0 {
        counted += &format!(", evicted {}", counters.evicted);
    }
    if counters.waits > 0 {
        counted += &format!(", waited {} times, {}", counters.waits, duration(counters.waited_ns));
    }
    let mut lines = vec![counted];
    if counters.refused > 0 {
        lines.push(match culprit(stream) {
            Some(one) => {
                let held =
                    held_then(one).map_or(String::new(), |ns| format!(", which held a slot for {}", duration(ns)));
                format!("refused {} because of {}{held}", one.blamed, title(one))
            }
            None => "refused because of somebody who has left".to_owned(),
        });
    }
    lines
}

/// `LABEL (place PLACE, pid PID)`.
fn title(one: &SubscriberStatus) -> String {
    let label = if one.holder.label.is_empty() { "unnamed" } else { &one.holder.label };
    let pid = one.holder.pid.map_or("pid unknown".to_owned(), |pid| format!("pid {pid}"));
    format!("{label} (place {}, {pid})", one.holder.place)
}

/// What a subscriber counted and measured, for people: whatever there is to say.
pub fn subscriber_lines(one: &SubscriberStatus) -> Vec<String> {
    let counters = &one.counters;
    let mut counted = format!("seen {}, skipped {}, missed {}", counters.seen, counters.skipped, counters.missed);
    if counters.refused > 0 {
        counted += &format!(", not taken for holding too many {}", counters.refused);
    }
    if one.blamed > 0 {
        counted += &format!(", refused frames because of it {}", one.blamed);
    }
    let mut lines = vec![counted];
    let times = [("latency", &one.latencies), ("age", &one.ages), ("held for", &one.holds)];
    let times: Vec<_> = times.into_iter().filter_map(|(name, histogram)| times_text(name, histogram)).collect();
    if !times.is_empty() {
        lines.push(format!("{} (median, 99 %, most)", times.join(", ")));
    }
    let mut state = Vec::new();
    if one.held > 0 {
        let since = one.holder.held_ns.map_or(String::new(), |ns| format!(", one for {}", duration(ns)));
        state.push(format!("holds {}{since}", one.held));
    }
    if one.lossless {
        state.push("lossless: is waited for".to_owned());
    }
    if !one.contract.is_empty() || one.violations.total() > 0 {
        state.push(contract_text(one));
    }
    if !state.is_empty() {
        lines.push(state.join("; "));
    }
    lines
}

fn times_text(name: &str, histogram: &Histogram) -> Option<String> {
    let [median, most_of, longest] =
        [histogram.quantile_ns(0.5)?, histogram.quantile_ns(0.99)?, histogram.longest_ns()?];
    Some(format!("{name} {} {} {}", duration(median), duration(most_of), duration(longest)))
}

fn contract_text(one: &SubscriberStatus) -> String {
    let age = one.contract.max_age.map(|age| format!("at most {} old", duration(age.as_nanos() as u64)));
    let lost = one.contract.max_skipped_per_s.map(|most| format!("at most {most} lost a second"));
    let terms: Vec<_> = age.into_iter().chain(lost).collect();
    let kept = match one.violations {
        violations if violations.total() == 0 => "kept".to_owned(),
        violations => {
            let kinds = [
                ("too old", violations.too_old),
                ("too many lost", violations.too_many_skipped),
                ("stale", violations.stale),
            ];
            let kinds =
                kinds.into_iter().filter(|(_, count)| *count > 0).map(|(name, count)| format!("{name} {count}"));
            format!("violated: {}", kinds.collect::<Vec<_>>().join(", "))
        }
    };
    format!("contract {}: {kept}", terms.join(" and "))
}
