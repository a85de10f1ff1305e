//! The streams of this machine, as the programs list them.

use framebus::{Backend, Content, Orphan, PublisherState, StreamStatus, SubscriberStatus, Survey, Unreadable};
use serde_json::{Value, json};

use crate::users::{group_name, user_name};

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

/// All that is of framebus on some backends: streams, orphans, and what is closed to us.
///
/// # Errors
/// As for [`framebus::survey`].
pub fn survey(backends: &[Backend]) -> anyhow::Result<Survey> {
    let mut all = Survey::default();
    for backend in backends {
        let found = framebus::survey(backend)?;
        all.streams.extend(found.streams);
        all.orphans.extend(found.orphans);
        all.unreadable.extend(found.unreadable);
    }
    all.streams.sort_by(|a, b| (&a.name, &a.backend).cmp(&(&b.name, &b.backend)));
    Ok(all)
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

fn subscriber_json(subscriber: &SubscriberStatus) -> Value {
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
}

/// A stream as one JSON object; its keys are in docs/json.md.
pub fn stream_json(stream: &StreamStatus) -> Value {
    let all = |subscribers: &[SubscriberStatus]| subscribers.iter().map(subscriber_json).collect::<Vec<_>>();
    json!({
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
        "user": user_name(stream.uid),
        "gid": stream.gid,
        "group": group_name(stream.gid),
        "mode": format!("{:04o}", stream.mode),
        "places_bytes": stream.geometry.places_bytes(),
        "attached": stream.attached,
        "created_unix_ns": stream.created_unix_ns,
        "last_publisher_pid": stream.last_publisher_pid,
        "leases": stream.has_leases,
        "persists": stream.persists,
        "orphan": stream.is_orphan(),
        "subscribers": all(&stream.subscribers),
        "dead_subscribers": all(&stream.dead_subscribers),
    })
}

/// An orphan as one JSON object; its keys are in docs/json.md.
pub fn orphan_json(orphan: &Orphan) -> Value {
    json!({
        "kind": "orphan",
        "stream": orphan.name.as_ref().map(ToString::to_string),
        "what": orphan.kind.word(),
        "object": orphan.object,
        "backend": orphan.backend.to_string(),
        "bytes": orphan.bytes,
        "uid": orphan.uid,
        "user": user_name(orphan.uid),
        "gid": orphan.gid,
        "group": group_name(orphan.gid),
        "mode": format!("{:04o}", orphan.mode),
        "creator_pid": orphan.creator.map(|(pid, _)| pid),
        "creator_alive": orphan.creator.map(|(_, alive)| alive),
        "proven": orphan.is_proven(),
        "remedy": orphan.remedy,
    })
}

/// What is closed to us as one JSON object; its keys are in docs/json.md.
pub fn unreadable_json(closed: &Unreadable) -> Value {
    json!({
        "kind": "unreadable",
        "stream": closed.name.as_ref().map(ToString::to_string),
        "object": closed.object,
        "backend": closed.backend.to_string(),
        "bytes": closed.bytes,
        "uid": closed.uid,
        "user": user_name(closed.uid),
        "gid": closed.gid,
        "group": group_name(closed.gid),
        "mode": format!("{:04o}", closed.mode),
        "attached": closed.attached,
    })
}
