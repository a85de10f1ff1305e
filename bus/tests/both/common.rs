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

/// What is known of a stream from outside.
pub fn status(name: &StreamName) -> Option<StreamStatus> {
    list(&backend()).unwrap().into_iter().find(|found| found.name == *name)
}
