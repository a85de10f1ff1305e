//! The streams of this machine, as the programs list them.

use framebus::{Backend, Content, Orphan, PublisherState, StreamStatus, SubscriberStatus, Survey, Unreadable};
use serde_json::{Value, json};

use crate::failure::chain;
use crate::users::{group_name, user_name};

/// Where to look: where it was said, or wherever streams are without further word.
pub fn backends(asked: Option<&Backend>) -> Vec<Backend> {
    asked.map_or_else(|| vec![Backend::SysV, Backend::default_file()], |backend| vec![backend.clone()])
}

/// The streams of some backends, in the order of their names; all of them, or an error.
///
/// # Errors
/// As for [`framebus::list`].
pub fn list(backends: &[Backend]) -> anyhow::Result<Vec<StreamStatus>> {
    let Listing { streams, failures } = list_each(backends);
    match failures.into_iter().next() {
        Some(error) => Err(error),
        None => Ok(streams),
    }
}

/// What could be listed, and what could not.
#[derive(Debug, Default)]
pub struct Listing {
    /// In the order of their names.
    pub streams: Vec<StreamStatus>,
    /// Why the streams of the other backends are not among them.
    pub failures: Vec<anyhow::Error>,
}

/// The streams of some backends; one that can not be listed hides none of another.
pub fn list_each(backends: &[Backend]) -> Listing {
    let mut listing = Listing::default();
    for backend in backends {
        match framebus::list(backend) {
            Ok(streams) => listing.streams.extend(streams),
            Err(error) => listing.failures.push(error.into()),
        }
    }
    listing.streams.sort_by(|a, b| (&a.name, &a.backend).cmp(&(&b.name, &b.backend)));
    listing
}

/// A failure of a [`Listing`], in words.
pub fn unlisted(failure: &anyhow::Error) -> String {
    format!("some streams can not be seen: {}", chain(failure))
}

/// All that is of framebus on some backends: streams, orphans, and what is closed to us. One that can not be listed hides
/// nothing of another; and why those can not.
pub fn survey_each(backends: &[Backend]) -> (Survey, Vec<anyhow::Error>) {
    let (mut all, mut failures) = (Survey::default(), Vec::new());
    for backend in backends {
        match framebus::survey(backend) {
            Ok(found) => {
                all.streams.extend(found.streams);
                all.orphans.extend(found.orphans);
                all.unreadable.extend(found.unreadable);
            }
            Err(error) => failures.push(error.into()),
        }
    }
    all.streams.sort_by(|a, b| (&a.name, &a.backend).cmp(&(&b.name, &b.backend)));
    (all, failures)
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
    });
    crate::accounting::add(&mut object, stream);
    object
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_that_can_not_be_listed_hides_no_other() {
        // A file is no directory.
        let broken = Backend::File { directory: std::env::current_exe().unwrap() };
        let listing = list_each(&[broken.clone(), Backend::SysV]);
        assert_eq!(listing.failures.len(), 1);
        let words = unlisted(&listing.failures[0]);
        assert!(words.starts_with(&format!("some streams can not be seen: listing the streams of backend {broken}")));
        assert_eq!(words.matches("Not a directory").count(), 1, "{words}");
        assert!(list(&[broken, Backend::SysV]).is_err());
        assert!(list_each(&[Backend::SysV]).failures.is_empty());
    }
}
