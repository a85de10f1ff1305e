//! Getting to the stream: waits for one that is not there, and says so. Whoever came from another stream also waits for
//! one that can not be had, and may go back.

use crate::face::{self, Face, State, Wish};
use crate::session::check_held;
use crate::status::Status;
use framebus::{AttachError, StreamName, Subscriber, SubscriberOptions};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long to wait at a time, between looks at whether the user still wants to.
const SLICE: Duration = Duration::from_millis(200);

/// How long to leave a stream alone that can not be had just now.
const RETRY: Duration = Duration::from_millis(500);

/// To which stream, and for how long it is tried.
pub(crate) struct Attempt<'a> {
    pub name: &'a StreamName,
    pub options: SubscriberOptions,
    /// Frames that are to be kept.
    pub hold_frames: usize,
    /// How long to wait for a stream that is not there; `None`: for ever.
    pub patience: Option<Duration>,
    /// When the time is over, whatever there is.
    pub until: Option<Instant>,
    /// The user came from another stream: that this one is full, say, is no reason to end.
    pub turned: bool,
}

/// How waiting for a stream ended.
pub(crate) enum Attached {
    Here(Box<Subscriber>),
    /// Ctrl-C, SIGTERM, or SIGHUP.
    Interrupted,
    /// The time is over.
    Seconds,
    /// The user has closed the face.
    Quit,
    /// The user wants another stream.
    Turn(StreamName),
}

/// Why there is no subscriber.
enum Failure {
    /// There is no such stream yet.
    Missing(AttachError),
    /// There is one, but not for us.
    Refused(anyhow::Error),
}

/// Attaches, and waits for the stream.
///
/// # Errors
/// A stream that can not be had, or that did not come in time; a face that is gone.
pub(crate) fn attach(
    attempt: &Attempt<'_>,
    status: &Status,
    mut face: Option<&mut Face>,
    stop: &AtomicBool,
) -> anyhow::Result<Attached> {
    let begun = Instant::now();
    let slice = if face.is_some() { face::SLICE } else { SLICE };
    let mut announced = false;
    loop {
        let left = attempt.patience.map(|patience| patience.saturating_sub(begun.elapsed()));
        // Look once before a word is said.
        let patience = if announced { left.map_or(slice, |left| left.min(slice)) } else { Duration::ZERO };
        let mut again = Instant::now();
        let failure = match attempt.make(patience) {
            Ok(subscriber) => return Ok(Attached::Here(Box::new(subscriber))),
            Err(Failure::Refused(error)) if !attempt.turned => return Err(error),
            Err(Failure::Refused(error)) => {
                again += RETRY;
                if let Some(face) = &mut face {
                    face.set_state(State::Refused);
                    face.say(&format!("{error:#}"));
                }
                (!announced).then(|| status.say(&format!("{error:#}; trying again")));
                None
            }
            Err(Failure::Missing(error)) => {
                if let Some(face) = &mut face {
                    face.set_state(State::Waiting);
                }
                Some(error)
            }
        };
        loop {
            if stop.load(Ordering::Relaxed) {
                return Ok(Attached::Interrupted);
            }
            if attempt.until.is_some_and(|until| Instant::now() >= until) {
                return Ok(Attached::Seconds);
            }
            if let Some(face) = &mut face {
                match face.look()? {
                    Some(Wish::Quit) => return Ok(Attached::Quit),
                    Some(Wish::Turn(other)) => return Ok(Attached::Turn(other)),
                    None => {}
                }
            }
            if Instant::now() >= again {
                break;
            }
            std::thread::sleep(slice);
        }
        if let Some(error) = failure {
            if let (Some(patience), Some(Duration::ZERO)) = (attempt.patience, left) {
                return Err(waited(error, patience).into());
            }
            if !announced {
                status.say(&format!("waiting for stream {}: start its producer", attempt.name));
            }
        }
        announced = true;
    }
}

impl Attempt<'_> {
    fn make(&self, patience: Duration) -> Result<Subscriber, Failure> {
        let mut options = self.options.clone();
        options.patience = patience;
        let subscriber = Subscriber::attach_with(self.name, options).map_err(|error| match error {
            AttachError::NotFound { .. } | AttachError::Unfinished { .. } => Failure::Missing(error),
            error => Failure::Refused(error.into()),
        })?;
        check_held(&subscriber, self.hold_frames).map_err(|error| Failure::Refused(error.into()))?;
        Ok(subscriber)
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
