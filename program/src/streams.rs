//! The streams of this machine, as the programs list them.

use framebus::{Backend, Content, PublisherState, StreamStatus};
use serde_json::{Value, json};

/// Where to look: where it was said, or wherever streams are without further word.
pub fn backends(asked: Option<&Backend>) -> Vec<Backend> {
    asked.map_or_else(|| vec![Backend::SysV, Backend::default_file()], |backend| vec![backend.clone()])
}

/// The streams of some backends, in the order of their names.
///
/// # Errors
/// As for [`framebus::list`].
pub fn list(backends: &[Backend]) -> anyhow::Result<Vec<StreamStatus>> {
    let mut streams = Vec::new();
    for backend in backends {
        streams.extend(framebus::list(backend)?);
    }
    streams.sort_by(|a, b| (&a.name, &a.backend).cmp(&(&b.name, &b.backend)));
    Ok(streams)
}

/// That there is none whose name begins so, and what to do about it.
pub fn no_streams(prefix: &str) -> (String, String) {
    match prefix {
        "" => ("no streams".to_owned(), "framebus demo makes some".to_owned()),
        prefix => (format!("no streams whose name begins with {prefix}"), "framebus ls shows all".to_owned()),
    }
}

/// Whether somebody publishes: `alive`, `closed` or `gone`.
pub fn publisher_state(publisher: PublisherState) -> &'static str {
    match publisher {
        PublisherState::Alive => "alive",
        PublisherState::Closed => "closed",
        _ => "gone",
    }
}

/// A stream as one JSON object; its keys are in docs/json.md.
pub fn stream_json(stream: &StreamStatus) -> Value {
    let subscribers: Vec<Value> = stream
        .subscribers
        .iter()
        .map(|subscriber| {
            json!({
                "place": subscriber.holder.place,
                "pid": subscriber.holder.pid,
                "label": subscriber.holder.label,
                "held": subscriber.held,
                "seen": subscriber.counters.seen,
                "skipped": subscriber.counters.skipped,
                "missed": subscriber.counters.missed,
                "refused": subscriber.counters.refused,
                "last_sequence": subscriber.counters.last_sequence,
                "blamed": subscriber.blamed,
            })
        })
        .collect();
    let mut object = json!({
        "kind": "stream",
        "stream": stream.name.to_string(),
        "content": stream.content.as_ref().map(Content::to_string),
        "rate_hz": stream.rate.map(|rate| rate.hz()),
        "publisher": publisher_state(stream.publisher),
        "publisher_pid": stream.publisher_pid,
        "last_sequence": stream.last_sequence,
        "age_ns": stream.age_ns,
        "refused": stream.counters.refused,
        "abandoned": stream.counters.abandoned,
        "late": stream.counters.late,
        "slots": stream.geometry.slots(),
        "history": stream.geometry.history(),
        "max_subscribers": stream.geometry.max_subscribers(),
        "max_held": stream.geometry.max_held(),
        "slot_capacity_bytes": stream.geometry.slot_capacity_bytes(),
        "frames_bytes": stream.geometry.frames_bytes(),
        "resident_bytes": stream.resident_bytes,
        "backend": stream.backend.to_string(),
        "segment_id": stream.segment_id,
        "uid": stream.uid,
        "mode": format!("{:04o}", stream.mode),
        "subscribers": subscribers,
    });
    crate::accounting::add(&mut object, stream);
    object
}
