//! What streams there are: looked at once a second at most, and only when somebody asks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use framebus::{Backend, Content, StreamName, StreamStatus, now_ns};
use framebus_program::{Listing, Pace, list_each, stream_json, unlisted};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::lock;
use crate::watch::Key;
use crate::watches::Watches;

/// How old an answer may be.
const FRESH: Duration = Duration::from_millis(900);

/// How old it may be where a stream was not in it.
const FRESHER: Duration = Duration::from_millis(100);

/// Longest time over which a rate is measured.
const MEASURED: Duration = Duration::from_secs(60);

/// Which streams are shown.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Scope {
    /// Those made of one of these.
    pub backends: Vec<Backend>,
    /// Those of this bus; `None`: of all.
    pub bus: Option<String>,
    /// Those whose `BUS/STREAM` begins so.
    pub prefix: String,
    /// This one; `None`: all.
    pub stream: Option<StreamName>,
}

impl Default for Scope {
    fn default() -> Self {
        Self { backends: framebus_program::backends(None), bus: None, prefix: String::new(), stream: None }
    }
}

impl Scope {
    /// Whether a stream of this name is shown.
    pub(crate) fn has(&self, name: &StreamName) -> bool {
        self.bus.as_ref().is_none_or(|bus| bus == name.bus())
            && self.stream.as_ref().is_none_or(|stream| stream == name)
            && name.to_string().starts_with(&self.prefix)
    }
}

/// A stream as it was a moment ago.
#[derive(Debug)]
pub(crate) struct Listed {
    pub key: Key,
    pub status: StreamStatus,
    pub rate: Rate,
}

/// All of them that can be listed.
#[derive(Debug, Default)]
pub(crate) struct List {
    pub streams: Vec<Listed>,
    /// In words, what can not be listed, and why.
    pub unlisted: Vec<String>,
}

/// The streams of this machine.
pub(crate) struct Streams {
    scope: Scope,
    seen: Mutex<Option<Seen>>,
    /// The list that browsers were told last, as JSON.
    told: std::sync::Mutex<Option<(Arc<List>, Arc<str>)>>,
}

struct Seen {
    at: Instant,
    list: Arc<List>,
}

impl Streams {
    pub(crate) fn new(scope: Scope) -> Self {
        Self { scope, seen: Mutex::const_new(None), told: std::sync::Mutex::new(None) }
    }

    /// What there is.
    pub(crate) async fn list(&self) -> Arc<List> {
        self.list_within(FRESH).await
    }

    async fn list_within(&self, age: Duration) -> Arc<List> {
        // Who comes meanwhile waits, and gets the same.
        let mut seen = self.seen.lock().await;
        if let Some(seen) = &*seen
            && seen.at.elapsed() < age
        {
            return seen.list.clone();
        }
        let scope = self.scope.clone();
        // Some system calls a stream.
        let found = tokio::task::spawn_blocking(move || list(&scope)).await;
        let (at, at_ns) = (Instant::now(), now_ns());
        let list = Arc::new(match found {
            Ok(Listing { streams, failures }) => List {
                streams: measure(streams, at_ns, seen.as_ref()),
                unlisted: failures.iter().map(unlisted).collect(),
            },
            // It panicked, and has printed its message.
            Err(_) => {
                List { streams: Vec::new(), unlisted: vec!["some streams can not be seen: the list failed".to_owned()] }
            }
        });
        *seen = Some(Seen { at, list: list.clone() });
        list
    }

    /// A list as browsers are told it: made once, however many they are.
    pub(crate) fn told(&self, list: &Arc<List>, watches: &Watches) -> Arc<str> {
        let mut told = lock(&self.told);
        match &*told {
            Some((of, text)) if Arc::ptr_eq(of, list) => text.clone(),
            _ => {
                let streams: Value = list.streams.iter().map(|listed| json(listed, watches)).collect();
                let text: Arc<str> = streams.to_string().into();
                *told = Some((list.clone(), text.clone()));
                text
            }
        }
    }

    /// The stream that is meant by a name, and perhaps a backend.
    ///
    /// # Errors
    /// In words: the name can not be one, there is no such stream, or none can be found.
    pub(crate) async fn find(&self, name: &str, backend: Option<&str>, watches: &Watches) -> Result<Key, Unfound> {
        let name: StreamName = name.parse().map_err(|error: framebus::NameError| Unfound::Name(error.to_string()))?;
        let is_meant = |key: &Key| key.name == name && backend.is_none_or(|backend| key.backend.to_string() == backend);
        // One that is looked at is known also while its publisher is restarted.
        if let Some(key) = watches.find(is_meant) {
            return Ok(key);
        }
        let mut unlisted = Vec::new();
        for age in [FRESH, FRESHER] {
            let list = self.list_within(age).await;
            if let Some(found) = list.streams.iter().find(|listed| is_meant(&listed.key)) {
                return Ok(found.key.clone());
            }
            unlisted.clone_from(&list.unlisted);
        }
        match unlisted.is_empty() {
            true => Err(Unfound::Stream(format!("there is no stream {name}; framebus ls shows all"))),
            false => Err(Unfound::Unlisted(format!("stream {name} is not found: {}", unlisted.join("; ")))),
        }
    }
}

/// A stream that was not found.
#[derive(Debug)]
pub(crate) enum Unfound {
    /// The name can not be one.
    Name(String),
    /// There is none of the name.
    Stream(String),
    /// There may be one, where nobody can look at present.
    Unlisted(String),
}

impl Unfound {
    pub(crate) fn text(self) -> String {
        match self {
            Self::Name(text) | Self::Stream(text) | Self::Unlisted(text) => text,
        }
    }
}

fn list(scope: &Scope) -> Listing {
    let mut listing = list_each(&scope.backends);
    listing.streams.retain(|stream| scope.has(&stream.name));
    listing
}

/// With their rates, by what was known of them before.
fn measure(found: Vec<StreamStatus>, at_ns: u64, before: Option<&Seen>) -> Vec<Listed> {
    let known: BTreeMap<&Key, Rate> = match before {
        Some(Seen { list, .. }) => list.streams.iter().map(|listed| (&listed.key, listed.rate)).collect(),
        None => BTreeMap::new(),
    };
    let listed = |status: StreamStatus| {
        let key = Key { name: status.name.clone(), backend: status.backend.clone() };
        let look = framebus_program::Seen::of(&status, at_ns);
        let rate = known.get(&key).map_or_else(|| Rate::new(look), |rate| rate.then(look));
        Listed { key, status, rate }
    };
    found.into_iter().map(listed).collect()
}

/// How quickly a stream is published.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    pace: Pace,
    pub published_hz: Option<f64>,
}

impl Rate {
    fn new(first: framebus_program::Seen) -> Self {
        Self { pace: Pace::new(first), published_hz: None }
    }

    /// At the next look. One that comes sooner than it must, because somebody asked for a stream that was not known,
    /// says nothing: in so short a time there is a frame, or there is none.
    fn then(mut self, look: framebus_program::Seen) -> Self {
        let since = Duration::from_nanos(look.at_ns.saturating_sub(self.pace.last().at_ns));
        if since >= MEASURED {
            return Self::new(look);
        }
        if since >= FRESH {
            self.published_hz = self.pace.take(look).hz;
        }
        self
    }
}

/// A stream as `/api/streams` has it.
pub(crate) fn json(listed: &Listed, watches: &Watches) -> Value {
    let mut object = stream_json(&listed.status);
    let content = listed.status.content.as_ref();
    let (kind_of, shape, type_name) = match content {
        Some(Content::Image(shape)) => ("image", Some(shape), None),
        Some(Content::Record { type_name, .. }) => ("record", None, Some(type_name)),
        _ => ("bytes", None, None),
    };
    object["kind_of"] = kind_of.into();
    object["width"] = shape.map(|shape| shape.width()).into();
    object["height"] = shape.map(|shape| shape.height()).into();
    object["format"] = shape.map(|shape| shape.format().name()).into();
    object["type"] = type_name.cloned().into();
    object["published_hz"] = listed.rate.published_hz.into();
    object["watch"] = watches.get(&listed.key).map_or(json!(null), |watched| watched.figures());
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use framebus::PublisherState;

    /// A stream of 30 Hz, as it is after so many ms.
    fn look(ms: u64, frames: u64) -> framebus_program::Seen {
        framebus_program::Seen {
            at_ns: ms * 1_000_000,
            segment_id: 7,
            base_sequence: 0,
            last_sequence: frames,
            age_ns: Some(0),
            publisher: PublisherState::Alive,
            publisher_pid: Some(4000),
        }
    }

    #[test]
    fn looks_that_come_too_soon_change_no_rate() {
        let hz = |looks: &[(u64, u64)]| {
            let rate = Rate::new(look(0, 300));
            looks.iter().fold(rate, |rate, &(ms, frames)| rate.then(look(ms, frames))).published_hz
        };
        assert_eq!(hz(&[(100, 303), (200, 306)]), None);
        assert_eq!(hz(&[(1000, 330)]), Some(30.0));
        // Of a stream that has halted meanwhile, too: the next look in time tells.
        assert_eq!(hz(&[(1000, 330), (1100, 330), (1200, 339)]), Some(30.0));
        assert_eq!(hz(&[(1000, 330), (1100, 330), (1200, 339), (2000, 345)]), Some(15.0));
    }

    #[test]
    fn what_nobody_has_looked_at_for_a_minute_is_measured_anew() {
        assert_eq!(Rate::new(look(0, 300)).then(look(60_000, 2100)).published_hz, None);
    }
}
