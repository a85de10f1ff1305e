//! `/metrics`: all streams and their subscribers, as Prometheus reads them.
//!
//! The format: <https://prometheus.io/docs/instrumenting/exposition_formats/>, text, version 0.0.4.

use std::fmt::Write;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use framebus::{PublisherState, StreamStatus, SubscriberStatus};

use crate::routes::{Hub, refuse_for_now};
use crate::streams::{List, Listed};

type OfStream = fn(&StreamStatus) -> Option<f64>;
type OfSubscriber = fn(&SubscriberStatus) -> Option<f64>;

/// Name, kind, what it means, where it comes from.
const STREAM: [(&str, &str, &str, OfStream); 14] = [
    ("frames_total", "counter", "Frames published: the newest one's sequence.", |s| Some(s.last_sequence as f64)),
    ("refused_total", "counter", "Frames for which no slot was free, in this epoch.", |s| {
        Some(s.counters.refused as f64)
    }),
    ("abandoned_total", "counter", "Frames begun and not published, in this epoch.", |s| {
        Some(s.counters.abandoned as f64)
    }),
    ("late_total", "counter", "Frames behind their deadline, as the publisher counts.", |s| {
        Some(s.counters.late as f64)
    }),
    ("evicted_total", "counter", "Lossless subscribers that were waited for in vain, in this epoch.", |s| {
        Some(s.counters.evicted as f64)
    }),
    ("waits_total", "counter", "Times that the publisher waited for subscribers, in this epoch.", |s| {
        Some(s.counters.waits as f64)
    }),
    ("waited_seconds_total", "counter", "How long in all.", |s| Some(seconds(s.counters.waited_ns))),
    ("age_seconds", "gauge", "Time since the newest frame was published.", |s| s.age_ns.map(seconds)),
    ("rate_hz", "gauge", "Nominal rate.", |s| s.rate.map(|rate| rate.hz())),
    ("subscribers", "gauge", "Subscribers at present.", |s| Some(s.subscribers.len() as f64)),
    ("subscribers_max", "gauge", "Places for subscribers.", |s| Some(s.geometry.max_subscribers() as f64)),
    ("publisher_alive", "gauge", "1 where somebody publishes, else 0.", |s| {
        Some(f64::from(u8::from(s.publisher == PublisherState::Alive)))
    }),
    ("slots", "gauge", "Slots of the stream.", |s| Some(s.geometry.slots() as f64)),
    ("resident_bytes", "gauge", "Memory that the frames take.", |s| Some(s.resident_bytes as f64)),
];

const SUBSCRIBER: [(&str, &str, &str, OfSubscriber); 16] = [
    ("seen_total", "counter", "Different frames taken.", |s| Some(s.counters.seen as f64)),
    ("skipped_total", "counter", "Frames passed over because a newer one was taken.", |s| {
        Some(s.counters.skipped as f64)
    }),
    ("missed_total", "counter", "Frames gone before they were asked for.", |s| Some(s.counters.missed as f64)),
    ("refused_total", "counter", "Acquisitions refused because it held all the frames it may.", |s| {
        Some(s.counters.refused as f64)
    }),
    ("held", "gauge", "Frames held at present.", |s| Some(s.held as f64)),
    ("blamed_total", "counter", "Frames refused because the holder of this place held a slot.", |s| {
        Some(s.blamed as f64)
    }),
    ("holding_seconds", "gauge", "How long it has held what it has held longest.", |s| s.holder.held_ns.map(seconds)),
    ("latency_p50_seconds", "gauge", "From publication until taken, half of the frames at most.", |s| {
        s.latencies.quantile_ns(0.5).map(seconds)
    }),
    ("latency_p99_seconds", "gauge", "The same, 99 % of the frames at most.", |s| {
        s.latencies.quantile_ns(0.99).map(seconds)
    }),
    ("age_p50_seconds", "gauge", "From capture until taken, half of the frames at most.", |s| {
        s.ages.quantile_ns(0.5).map(seconds)
    }),
    ("age_p99_seconds", "gauge", "The same, 99 % of the frames at most.", |s| s.ages.quantile_ns(0.99).map(seconds)),
    ("hold_p50_seconds", "gauge", "From taken until let go of, half of the frames at most.", |s| {
        s.holds.quantile_ns(0.5).map(seconds)
    }),
    ("hold_p99_seconds", "gauge", "The same, 99 % of the frames at most.", |s| s.holds.quantile_ns(0.99).map(seconds)),
    ("too_old_total", "counter", "Frames that were older when taken than its contract allows.", |s| {
        Some(s.violations.too_old as f64)
    }),
    ("too_many_skipped_total", "counter", "Seconds in which it lost more than its contract allows.", |s| {
        Some(s.violations.too_many_skipped as f64)
    }),
    ("stale_total", "counter", "Times that it found no frame as new as its contract wants.", |s| {
        Some(s.violations.stale as f64)
    }),
];

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// All of them.
pub(crate) async fn metrics(State(hub): State<Arc<Hub>>) -> Response {
    let list = hub.streams.list().await;
    if list.streams.is_empty() && !list.unlisted.is_empty() {
        return refuse_for_now(&list.unlisted.join("; "));
    }
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text(&list)).into_response()
}

fn text(List { streams: list, unlisted }: &List) -> String {
    let mut text = String::new();
    for unlisted in unlisted {
        // A comment, for people: of what is not there, Prometheus knows by itself.
        let _ = writeln!(text, "# {}", unlisted.replace('\n', " "));
    }
    for (name, kind, help, value) in STREAM {
        head(&mut text, "stream", name, kind, help);
        for Listed { status, .. } in list {
            if let Some(value) = value(status) {
                // Into a string it can not fail.
                let _ = writeln!(text, "framebus_stream_{name}{{{}}} {value}", labels(status));
            }
        }
    }
    for (name, kind, help, value) in SUBSCRIBER {
        head(&mut text, "subscriber", name, kind, help);
        for Listed { status, .. } in list {
            for subscriber in &status.subscribers {
                let holder = &subscriber.holder;
                let pid = holder.pid.map_or(String::new(), |pid| pid.to_string());
                let (labels, label) = (labels(status), escape(&holder.label));
                if let Some(value) = value(subscriber) {
                    let _ = writeln!(
                        text,
                        "framebus_subscriber_{name}{{{labels},place=\"{}\",pid=\"{pid}\",label=\"{label}\"}} {value}",
                        holder.place
                    );
                }
            }
        }
    }
    text
}

fn head(text: &mut String, of: &str, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP framebus_{of}_{name} {help}\n# TYPE framebus_{of}_{name} {kind}");
}

fn labels(status: &StreamStatus) -> String {
    let (name, backend) = (&status.name, escape(&status.backend.to_string()));
    format!("bus=\"{}\",stream=\"{}\",backend=\"{backend}\"", name.bus(), name.stream())
}

/// A label's value: backslash, quote and line feed are written with a backslash.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_can_have_anything_in_them() {
        assert_eq!(escape("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
