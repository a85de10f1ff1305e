//! The streams of this machine, as the programs list them.

use framebus::{Backend, Content, PublisherState, StreamStatus};
use serde_json::{Value, json};

use crate::failure::chain;

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
    format!("some streams are not shown: {}", chain(failure))
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
        "mode": format!("{:04o}", stream.mode),
        "subscribers": subscribers,
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
        assert!(words.starts_with(&format!("some streams are not shown: listing the streams of backend {broken}")));
        assert_eq!(words.matches("Not a directory").count(), 1, "{words}");
        assert!(list(&[broken, Backend::SysV]).is_err());
        assert!(list_each(&[Backend::SysV]).failures.is_empty());
    }
}
