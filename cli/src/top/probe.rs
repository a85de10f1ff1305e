//! The probe: a subscriber of our own, which measures the time from a frame's publication to us having it.
//!
//! The subscribers' own latencies are not in shared memory. What can be had is what a subscriber on this machine, at this
//! moment, sees; it takes a place on the stream, so it runs only when it is asked for. It never keeps a frame, and sleeps
//! between frames.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use framebus::{Backend, StreamName, Subscriber, SubscriberOptions, now_ns};
use framebus_program::Latencies;

use super::look::StreamKey;

/// What the subscribers of a stream see our probe called.
pub const LABEL: &str = "top";

/// How long it waits at a time, between looks at whether it shall end.
const SLICE: Duration = Duration::from_millis(100);

/// What the probe has measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Of the last interval; `None` where no frame came.
    pub latency: Option<Latency>,
    /// Why there is none, if it does not run.
    pub fault: Option<String>,
}

/// Latencies of an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    pub frames: u64,
    pub p50_ns: u64,
    pub p99_ns: u64,
    pub max_ns: u64,
}

/// A running probe; it leaves the stream when it is dropped.
pub struct Probe {
    pub stream: StreamKey,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    stop: AtomicBool,
    measured: Mutex<Measured>,
}

struct Measured {
    latencies: Latencies,
    fault: Option<String>,
}

impl Probe {
    /// Begins to measure.
    ///
    /// # Errors
    /// The stream's name makes no sense, or no thread can be started. That it can not attach is told by
    /// [`read`](Self::read).
    pub fn start(stream: &StreamKey) -> anyhow::Result<Self> {
        let name: StreamName = stream.name.parse()?;
        let backend: Backend = stream.backend.parse()?;
        let measured = Mutex::new(Measured { latencies: Latencies::new(), fault: None });
        let shared = Arc::new(Shared { stop: AtomicBool::new(false), measured });
        let theirs = shared.clone();
        let thread = std::thread::Builder::new()
            .name("probe".to_owned())
            .spawn(move || theirs.run(&name, &backend))
            .context("can not start a thread for the probe")?;
        Ok(Self { stream: stream.clone(), shared, thread: Some(thread) })
    }

    /// What was measured since the call before.
    pub fn read(&self) -> Reading {
        let mut measured = self.shared.lock();
        let Measured { latencies, fault } = &*measured;
        let frames = latencies.count();
        let latency = latencies.read().map(|[p50_ns, p99_ns, max_ns]| Latency { frames, p50_ns, p99_ns, max_ns });
        let reading = Reading { latency, fault: fault.clone() };
        measured.latencies.clear();
        reading
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It has told of its faults itself.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Measured> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, name: &StreamName, backend: &Backend) {
        while !self.stop.load(Ordering::Relaxed) {
            let fault = match self.attach(name, backend).and_then(|subscriber| self.measure(subscriber)) {
                Ok(()) => None,
                Err(error) => Some(format!("{error:#}")),
            };
            self.lock().fault = fault;
            std::thread::sleep(SLICE);
        }
    }

    fn attach(&self, name: &StreamName, backend: &Backend) -> anyhow::Result<Subscriber> {
        let mut options = SubscriberOptions::default();
        options.backend = backend.clone();
        options.label = LABEL.to_owned();
        let subscriber = Subscriber::attach_with(name, options)?;
        self.lock().fault = None;
        Ok(subscriber)
    }

    /// Measures until it shall end.
    fn measure(&self, mut subscriber: Subscriber) -> anyhow::Result<()> {
        let since = now_ns();
        while !self.stop.load(Ordering::Relaxed) {
            if !subscriber.wait(Instant::now() + SLICE)? {
                continue;
            }
            let Some(frame) = subscriber.latest()? else { continue };
            let (published, now) = (frame.info().publish_ns, now_ns());
            drop(frame);
            // One that was there before us tells when we came, not how quick the bus is.
            if published > since {
                self.lock().latencies.record(now.saturating_sub(published));
            }
        }
        Ok(())
    }
}
