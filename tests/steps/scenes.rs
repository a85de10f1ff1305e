//! What a process does with the library, until it is killed, or a system call fails it.
//!
//! A scene is played with `framebus_steps`; what it finds was prepared with the real `framebus`.

use std::time::{Duration, Instant};

use framebus_steps::*;

use crate::aftermath::{HISTORY, MAX_HELD, MAX_SUBSCRIBERS, remove_everything};

/// What a scene begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// No stream.
    Nothing,
    /// A stream whose publisher is dead, with frames, and somebody who reads it.
    Orphan,
    /// A stream that is published and read.
    Stream,
    /// The same, and its publisher waits for lossless readers.
    WaitingStream,
}

/// A part to play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scene {
    /// Creates a stream, publishes, and closes it.
    Publish,
    /// Takes a dead one's stream over, publishes, and closes it.
    TakeOver,
    /// Begins a new epoch of another size in a dead one's stream.
    Resize,
    /// A publisher whose frames outgrow their slots while it lives, and become small again.
    Grow,
    /// A publisher under whom everything is removed.
    Renew,
    /// Attaches, takes the newest frames and those in order, holds some, gives back, goes.
    Read,
    /// Waits for a frame that does not come.
    Sleep,
    /// Reads without loss from a publisher that waits.
    ReadAll,
    /// Publishes and reads, and follows itself into another epoch.
    Follow,
    /// Removes a dead one's stream, though somebody reads it.
    Remove,
}

impl Scene {
    pub const ALL: [Self; 10] = [
        Self::Publish,
        Self::TakeOver,
        Self::Resize,
        Self::Grow,
        Self::Renew,
        Self::Read,
        Self::Sleep,
        Self::ReadAll,
        Self::Follow,
        Self::Remove,
    ];

    pub fn before(self) -> Before {
        match self {
            Self::Publish | Self::Grow | Self::Renew | Self::Follow => Before::Nothing,
            Self::TakeOver | Self::Resize | Self::Remove => Before::Orphan,
            Self::Read | Self::Sleep => Before::Stream,
            Self::ReadAll => Before::WaitingStream,
        }
    }

    pub fn name(self) -> String {
        format!("{self:?}")
    }

    /// Plays the scene, and tells what happens in it.
    pub fn play(self, backend: &Backend, name: &StreamName, tell: &mut dyn FnMut(Event)) -> Result<(), String> {
        let options = |capacity| options(backend, capacity);
        let open = |capacity| Publisher::open(name, &options(capacity)).map_err(text);
        match self {
            Self::Publish | Self::TakeOver => {
                let mut publisher = open(64)?;
                for _ in 0..4 {
                    publish(&mut publisher, tell)?;
                }
                drop(publisher.loan().map_err(text)?);
                close(publisher, tell);
            }
            Self::Resize => {
                let mut publisher = open(5000)?;
                publish(&mut publisher, tell)?;
                close(publisher, tell);
            }
            Self::Grow => {
                let mut publisher = open(64)?;
                publish(&mut publisher, tell)?;
                for (capacity, change) in [(5000, ContentChange::NewEpoch), (64, ContentChange::InPlace)] {
                    match publisher.set_content(Content::Bytes { capacity }) {
                        Ok(changed) => assert_eq!(changed, change),
                        Err(error) => {
                            publish(&mut publisher, tell).expect("it goes on as it was");
                            return Err(causes(error));
                        }
                    }
                    publish(&mut publisher, tell)?;
                }
                close(publisher, tell);
            }
            Self::Renew => {
                let mut publisher = open(64)?;
                publish(&mut publisher, tell)?;
                // Should it die before it has noticed, nobody knows any more that there was a stream.
                tell(Event::Closing);
                remove_everything(&backend.to_string(), &name.to_string());
                publisher.look_soon();
                publish(&mut publisher, tell)?;
            }
            Self::Read => {
                let mut subscriber = attach(backend, name, false)?;
                let newest = subscriber.latest().map_err(text)?;
                drop(newest);
                let held = [subscriber.next().map_err(text)?, subscriber.next().map_err(text)?];
                // One more than may be held.
                let refused = subscriber.latest().map(drop);
                drop(held);
                drop(subscriber.latest().map_err(text)?);
                drop(refused);
            }
            Self::Sleep => {
                let mut subscriber = attach(backend, name, false)?;
                drop(subscriber.latest().map_err(text)?);
                subscriber.wait(Instant::now() + Duration::from_millis(2)).map_err(text)?;
            }
            Self::ReadAll => {
                let mut subscriber = attach(backend, name, true)?;
                for _ in 0..3 {
                    drop(subscriber.next().map_err(text)?);
                }
            }
            Self::Follow => {
                let mut publisher = open(64)?;
                publish(&mut publisher, tell)?;
                let mut subscriber = attach(backend, name, false)?;
                let held = subscriber.next().map_err(text)?;
                let mut persisting = options(64);
                persisting.persist = true;
                close(publisher, tell);
                let mut publisher = Publisher::open(name, &persisting).map_err(text)?;
                publish(&mut publisher, tell)?;
                drop(publisher);
                let mut publisher = open(5000)?;
                publish(&mut publisher, tell)?;
                drop(subscriber.next().map_err(text)?);
                drop(subscriber.latest().map_err(text)?);
                drop(held);
            }
            Self::Remove => {
                tell(Event::Closing);
                remove(backend, name, true).map_err(text)?;
            }
        }
        Ok(())
    }
}

/// What a scene tells while it is played.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// `publish` has returned this sequence.
    Published(u64),
    /// From here on the stream may be gone, and then the next one begins at 1.
    Closing,
}

fn close(publisher: Publisher, tell: &mut dyn FnMut(Event)) {
    tell(Event::Closing);
    drop(publisher);
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn causes(error: SetContentError) -> String {
    match error {
        SetContentError::Refused { ref source, .. } => format!("{error}: {source}"),
        error => error.to_string(),
    }
}

fn options(backend: &Backend, capacity: u32) -> StreamOptions {
    let mut options = StreamOptions::new(Content::Bytes { capacity });
    options.backend = backend.clone();
    (options.history, options.max_subscribers, options.max_held) = (HISTORY, MAX_SUBSCRIBERS, MAX_HELD);
    options
}

fn attach(backend: &Backend, name: &StreamName, lossless: bool) -> Result<Subscriber, String> {
    let mut options = SubscriberOptions::default();
    (options.backend, options.lossless) = (backend.clone(), lossless);
    Subscriber::attach_with(name, options).map_err(text)
}

fn publish(publisher: &mut Publisher, tell: &mut dyn FnMut(Event)) -> Result<(), String> {
    let mut loan = publisher.loan().map_err(text)?;
    let sequence = loan.sequence();
    loan.fill(sequence as u8);
    tell(Event::Published(loan.publish()));
    Ok(())
}
