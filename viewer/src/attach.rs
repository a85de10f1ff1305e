//! Getting to the stream: waits for one that is not there, and says so.

use crate::face::{self, Face, Wish};
use crate::status::Status;
use framebus::{AttachError, StreamName, Subscriber, SubscriberOptions};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long to wait at a time, between looks at whether the user still wants to.
const SLICE: Duration = Duration::from_millis(200);

/// How waiting for a stream ended.
pub(crate) enum Attached {
    Here(Box<Subscriber>),
    /// Ctrl-C or SIGTERM.
    Interrupted,
    /// The user has closed the face.
    Quit,
    /// The user wants another stream.
    Turn(StreamName),
}

/// Attaches, and waits for the stream until then (`None`: for ever).
pub(crate) fn attach(
    name: &StreamName,
    options: &SubscriberOptions,
    patience: Option<Duration>,
    status: &Status,
    mut face: Option<&mut Face>,
    stop: &AtomicBool,
) -> anyhow::Result<Attached> {
    let begun = Instant::now();
    let slice = if face.is_some() { face::SLICE } else { SLICE };
    let mut announced = false;
    loop {
        let left = patience.map(|patience| patience.saturating_sub(begun.elapsed()));
        let mut options = options.clone();
        // Look once before a word is said.
        options.patience = if announced { left.map_or(slice, |left| left.min(slice)) } else { Duration::ZERO };
        let error = match Subscriber::attach_with(name, options) {
            Ok(subscriber) => return Ok(Attached::Here(Box::new(subscriber))),
            Err(error @ (AttachError::NotFound { .. } | AttachError::Unfinished { .. })) => error,
            Err(error) => return Err(error.into()),
        };
        if stop.load(Ordering::Relaxed) {
            return Ok(Attached::Interrupted);
        }
        if let Some(face) = &mut face {
            match face.look()? {
                Some(Wish::Quit) => return Ok(Attached::Quit),
                Some(Wish::Turn(other)) => return Ok(Attached::Turn(other)),
                None => {}
            }
        }
        if let (Some(patience), Some(Duration::ZERO)) = (patience, left) {
            return Err(waited(error, patience).into());
        }
        if !announced {
            status.say(&format!("waiting for stream {name}: start its producer"));
            announced = true;
        }
    }
}

/// The library's error, with the whole time instead of the last slice's.
fn waited(error: AttachError, waited: Duration) -> AttachError {
    match error {
        AttachError::NotFound { stream, .. } => AttachError::NotFound { stream, waited },
        AttachError::Unfinished { stream, .. } => AttachError::Unfinished { stream, waited },
        other => other,
    }
}
