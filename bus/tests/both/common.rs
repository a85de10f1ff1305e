//! Streams of the backend that is tested.

use framebus::*;

use crate::backend;

/// The defaults of a stream.
pub fn options(content: Content) -> StreamOptions {
    let mut options = StreamOptions::new(content);
    options.backend = backend();
    options
}

/// The defaults of a subscriber.
pub fn subscriber_options() -> SubscriberOptions {
    let mut options = SubscriberOptions::default();
    options.backend = backend();
    options
}

pub fn attach(name: &StreamName) -> Result<Subscriber, AttachError> {
    Subscriber::attach_with(name, subscriber_options())
}

pub fn observe(name: &StreamName) -> Result<Observer, AttachError> {
    let mut options = ObserverOptions::default();
    options.backend = backend();
    Observer::attach_with(name, &options)
}

/// What is known of a stream from outside.
pub fn status(name: &StreamName) -> Option<StreamStatus> {
    list(&backend()).unwrap().into_iter().find(|found| found.name == *name)
}

/// Removes a stream that may have been left with `persist`, when the test ends, however it ends.
pub struct Remove<'a>(pub &'a StreamName);

impl Drop for Remove<'_> {
    fn drop(&mut self) {
        // In most cases it is gone already.
        let _ = remove(&backend(), self.0, true);
    }
}
