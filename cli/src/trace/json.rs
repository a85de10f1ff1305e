//! Events as objects; the keys are in docs/json.md.

use serde_json::{Value, json};

use super::clock::utc;
use super::event::{Event, Who};
use super::facts::Facts;
use super::streams::{Told, What};

pub fn object(told: &Told) -> Value {
    match &told.what {
        What::Event(event) => event_object(told, event),
        What::Lost(events) => json!({
            "kind": "lost",
            "stream": told.stream.name.to_string(),
            "backend": told.stream.backend.to_string(),
            "at_ns": told.at_ns,
            "time": utc(told.at_ns),
            "events": events,
        }),
    }
}

/// Somebody who has a place.
pub fn holder(holder: &Who) -> Value {
    json!({ "place": holder.place, "pid": holder.pid, "label": holder.label })
}

fn event_object(told: &Told, event: &Event) -> Value {
    let facts = Facts::of(&event.fate);
    json!({
        "kind": "event",
        "stream": told.stream.name.to_string(),
        "backend": told.stream.backend.to_string(),
        "at_ns": event.at_ns,
        "time": utc(event.at_ns),
        "sequence": Some(event.sequence).filter(|&sequence| sequence > 0),
        "fate": event.fate.name(),
        "violation": event.fate.is_violation(),
        "by": event.by.as_ref().map(holder),
        "culprits": event.culprits.iter().map(holder).collect::<Vec<_>>(),
        "frames": facts.frames,
        "behind": facts.behind,
        "held_ns": facts.held_ns,
        "waited_ns": facts.waited_ns,
        "late_ns": facts.late_ns,
        "age_ns": facts.age_ns,
        "limit_ns": facts.limit_ns,
        "limit_frames": facts.limit_frames,
        "publisher_pid": facts.publisher_pid,
        "publishers": facts.publishers,
        "text": event.fate.to_string(),
    })
}
