//! Streams of the backend that is tested.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

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

/// A stream of this test's own; whatever is left of it is removed, and that is a failure.
pub struct TestStream(pub StreamName);

impl TestStream {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let bus = format!("test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Self(StreamName::new(&bus, "front").unwrap())
    }

    pub fn publisher(&self, change: impl FnOnce(&mut StreamOptions)) -> Publisher {
        let mut options = options(Content::Bytes { capacity: 64 });
        change(&mut options);
        Publisher::open(&self.0, &options).unwrap()
    }

    pub fn subscriber(&self) -> Subscriber {
        attach(&self.0).unwrap()
    }

    pub fn lossless(&self) -> Subscriber {
        let mut options = subscriber_options();
        options.lossless = true;
        Subscriber::attach_with(&self.0, options).unwrap()
    }
}

impl Drop for TestStream {
    fn drop(&mut self) {
        let left = remove(&backend(), &self.0, true);
        if !std::thread::panicking() {
            assert!(matches!(left, Err(RemoveError::NotFound { .. })), "{} was left behind: {left:?}", self.0);
        }
    }
}

/// Publishes a frame full of this byte.
pub fn publish(publisher: &mut Publisher, byte: u8) -> u64 {
    let mut loan = publisher.loan().unwrap();
    loan.fill(byte);
    loan.publish()
}

/// For closures that shall return nothing.
pub fn keep(_: u64) {}

/// A deadline that is a watchdog's.
pub fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}
