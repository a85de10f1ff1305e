//! The probe: a subscriber of our own, which measures the time from a frame's publication to us having it.
//!
//! The subscribers' own latencies are not in shared memory. What can be had is what a subscriber on this machine, at this
//! moment, sees; it takes a place on the stream, so it runs only when it is asked for. It never keeps a frame, and sleeps
//! between frames, in a thread of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use framebus::{AttachError, Backend, StreamName, Subscriber, SubscriberOptions, now_ns};
use framebus_program::Latencies;

use super::look::StreamKey;

/// What the subscribers of a stream see our probe called.
pub const LABEL: &str = "top";

/// How long it waits at a time, between looks at whether it shall end.
const SLICE: Duration = Duration::from_millis(100);

/// After what time it tries again where it could not attach.
const RETRY: Duration = Duration::from_millis(500);

/// What the probe has measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Of the last interval; `None` where no frame came.
    pub latency: Option<Latency>,
    /// Why there is none, if it does not run.
    pub fault: Option<Fault>,
}

/// Why a probe does not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub text: String,
    /// All places of the stream are taken.
    pub is_full: bool,
}

impl Fault {
    fn of(error: &anyhow::Error) -> Self {
        let is_full = matches!(error.downcast_ref(), Some(AttachError::Full { .. }));
        Self { text: format!("{error:#}"), is_full }
    }
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
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    stop: AtomicBool,
    measured: Mutex<Measured>,
}

struct Measured {
    latencies: Latencies,
    fault: Option<Fault>,
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
        Ok(Self { shared, thread: Some(thread) })
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

    /// Tells it to end, without waiting for it.
    fn stop(&self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            // It has told of its faults itself.
            let _ = thread.join();
        }
    }
}

/// The probes that run, and what they measured in the last interval.
#[derive(Default)]
pub struct Probes {
    running: BTreeMap<StreamKey, Probe>,
    readings: BTreeMap<StreamKey, Reading>,
}

impl Probes {
    /// Starts probes on the streams that have none, and ends all others.
    pub fn follow(&mut self, wanted: &BTreeSet<StreamKey>) {
        self.readings.retain(|stream, _| wanted.contains(stream));
        let (stay, go) = std::mem::take(&mut self.running).into_iter().partition(|(key, _)| wanted.contains(key));
        self.running = stay;
        end(&go);
        drop(go);
        for stream in wanted {
            if self.running.contains_key(stream) {
                continue;
            }
            let fault = match Probe::start(stream) {
                Ok(probe) => {
                    self.running.insert(stream.clone(), probe);
                    None
                }
                Err(error) => Some(Fault::of(&error)),
            };
            self.readings.insert(stream.clone(), Reading { latency: None, fault });
        }
    }

    /// An interval ends: what was measured in it can be had from [`readings`](Self::readings).
    pub fn end_interval(&mut self) {
        for (stream, probe) in &self.running {
            self.readings.insert(stream.clone(), probe.read());
        }
    }

    /// Of each stream that has a probe.
    pub fn readings(&self) -> &BTreeMap<StreamKey, Reading> {
        &self.readings
    }
}

impl Drop for Probes {
    fn drop(&mut self) {
        end(&self.running);
    }
}

/// All at once, before each is waited for.
fn end(probes: &BTreeMap<StreamKey, Probe>) {
    probes.values().for_each(Probe::stop);
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Measured> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, name: &StreamName, backend: &Backend) {
        while !self.stop.load(Ordering::Relaxed) {
            let fault = match self.attach(name, backend).and_then(|subscriber| self.measure(subscriber)) {
                Ok(()) => None,
                Err(error) => Some(Fault::of(&error)),
            };
            self.lock().fault = fault;
            // Who wants it to end wakes it.
            std::thread::park_timeout(RETRY);
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
