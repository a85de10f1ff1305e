//! Getting to the stream: waits for one that is not there, and says so.

use crate::status::Status;
use framebus::{AttachError, StreamName, Subscriber, SubscriberOptions};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long to wait at a time, between looks at whether the user still wants to.
const SLICE: Duration = Duration::from_millis(200);

/// Attaches, and waits for the stream for so long (`None`: for ever). `Ok(None)`: the user has ended it meanwhile.
pub(crate) fn attach(
    name: &StreamName,
    options: &SubscriberOptions,
    patience: Option<Duration>,
    status: &Status,
    stop: &AtomicBool,
) -> Result<Option<Subscriber>, AttachError> {
    let begun = Instant::now();
    let mut announced = false;
    loop {
        let left = patience.map(|patience| patience.saturating_sub(begun.elapsed()));
        let mut options = options.clone();
        // Look once before a word is said.
        options.patience = if announced { left.map_or(SLICE, |left| left.min(SLICE)) } else { Duration::ZERO };
        let error = match Subscriber::attach_with(name, options) {
            Ok(subscriber) => return Ok(Some(subscriber)),
            Err(error @ (AttachError::NotFound { .. } | AttachError::Unfinished { .. })) => error,
            Err(error) => return Err(error),
        };
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        if let (Some(patience), Some(Duration::ZERO)) = (patience, left) {
            return Err(waited(error, patience));
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
