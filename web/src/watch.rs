//! A stream that somebody looks at: what its thread, the encoders and the browsers share of it.
//!
//! ```text
//! thread:   wait ─▸ take the newest ─▸ figures ─▸ shelf (while somebody wants a picture) ─▸ wait
//! browser:  want ─▸ newer than what I have? ─▸ task ─┐        │
//! encoder:  ◂────────────── turn: the shelf's frame, all tasks of the stream ◂┘
//! ```
//! Of a stream's slots we hold one at most besides the newest frame's, which the publisher would not write to anyhow:
//!
//! * the shelf has the newest frame, and only while somebody waits for a picture or a task; a newer one takes its place;
//! * while an encoder reads a frame, nothing is on the shelf;
//! * where a subscriber may hold a single frame, nothing is taken while an encoder reads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::Thread;
use std::time::Duration;

use crossbeam_channel::Sender;
use framebus::{Backend, Frame, StreamName};
use tokio::sync::watch;

use crate::encoders::Job;
use crate::figures::{Encoded, Figures};
use crate::lock;
use crate::picture::{Picture, Style, Task};
use crate::samples::Samples;

/// Pictures of the newest frame that are kept for who asks next.
const KEPT_PICTURES: usize = 8;

/// Frames in a row that may be overwritten while they are read, before it is told.
const MOST_SPOILT: u32 = 4;

const OVERWRITTEN: &str = "another process overwrites the frames of this stream while they are read; framebus ls shows who \
    has a place there";

/// A stream: its name, and what it is made of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub name: StreamName,
    pub backend: Backend,
}

/// A frame in our hands.
pub(crate) struct Shot {
    pub frame: Frame,
    /// From its publication to our having it; `None` where it was there before us.
    pub latency_ns: Option<u64>,
}

/// How far a stream is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Newest {
    /// The newest frame's; 0 before the first.
    pub sequence: u64,
    /// Why we can not see the stream at present.
    pub error: Option<Arc<str>>,
}

impl Newest {
    /// Whether there is a frame that somebody has not seen whose last one was `after`. A smaller number is newer, too:
    /// then the stream was closed, and made anew from 1.
    pub(crate) fn is_newer_than(&self, after: u64) -> bool {
        self.sequence != 0 && self.sequence != after
    }
}

/// A stream that somebody looks at.
pub(crate) struct Watched {
    pub key: Key,
    pub(crate) newest: watch::Sender<Newest>,
    pub(crate) state: Mutex<State>,
    encoders: Sender<Job>,
    /// Set once, by the thread itself.
    pub(crate) thread: OnceLock<Thread>,
    ended: AtomicBool,
}

/// What the thread, the encoders and the browsers share of a stream.
pub(crate) struct State {
    pub tasks: Vec<Task>,
    /// Who wants a frame to be at hand.
    pub waiting: usize,
    pub shelf: Option<Shot>,
    /// It stands in the encoders' queue.
    pub queued: bool,
    /// An encoder reads one of its frames.
    pub reading: bool,
    /// An encoder is at work for it.
    pub busy: bool,
    /// Frames in a row that another process has overwritten while an encoder read them.
    pub spoilt: u32,
    /// Of the newest frame.
    pub pictures: Vec<Arc<Picture>>,
    pub encoded: Encoded,
    pub figures: Figures,
    pub publisher: &'static str,
    pub samples: Samples,
}

impl Watched {
    pub(crate) fn new(key: Key, encoders: Sender<Job>) -> Self {
        let state = State {
            tasks: Vec::new(),
            waiting: 0,
            shelf: None,
            queued: false,
            reading: false,
            busy: false,
            spoilt: 0,
            pictures: Vec::new(),
            encoded: Encoded::default(),
            figures: Figures::default(),
            publisher: "none",
            samples: Samples::default(),
        };
        let (thread, ended) = (OnceLock::new(), AtomicBool::new(false));
        Self { key, newest: watch::Sender::default(), state: Mutex::new(state), encoders, thread, ended }
    }

    /// How far the stream is, and to be told when it goes on.
    pub(crate) fn newest(&self) -> watch::Receiver<Newest> {
        self.newest.subscribe()
    }

    /// `alive`, `gone`, `closed`, or `none` where there is no such stream.
    pub(crate) fn publisher(&self) -> &'static str {
        lock(&self.state).publisher
    }

    /// Our own figures, as JSON.
    pub(crate) fn figures(&self) -> serde_json::Value {
        let error = self.newest.borrow().error.clone();
        lock(&self.state).figures.json(error.as_deref())
    }

    /// Looks at the records that came last.
    pub(crate) fn with_samples<T>(&self, look: impl FnOnce(&Samples) -> T) -> T {
        look(&lock(&self.state).samples)
    }

    /// The newest frame is to be at hand for as long as the answer lives.
    pub(crate) fn wait(self: &Arc<Self>) -> Waiting {
        lock(&self.state).waiting += 1;
        Waiting(self.clone())
    }

    /// The picture of the newest frame, where one of this style was made.
    pub(crate) fn kept(&self, style: &Style) -> Option<Arc<Picture>> {
        let newest = self.newest.borrow().sequence;
        let state = lock(&self.state);
        state.pictures.iter().find(|kept| kept.about.sequence == newest && kept.style == *style).cloned()
    }

    /// Keeps a picture for who wants the same of the same frame.
    pub(crate) fn keep(&self, picture: Arc<Picture>) {
        let pictures = &mut lock(&self.state).pictures;
        pictures.retain(|kept| kept.about.sequence == picture.about.sequence && kept.style != picture.style);
        pictures.truncate(KEPT_PICTURES - 1);
        pictures.push(picture);
    }

    /// Wants something of the newest frame.
    pub(crate) fn ask(self: &Arc<Self>, task: Task) {
        let mut state = lock(&self.state);
        state.tasks.retain(|task| !task.is_forgotten());
        state.tasks.push(task);
        self.queue(&mut state);
    }

    /// Into the encoders' queue, where there is something to do and something to do it with.
    pub(crate) fn queue(self: &Arc<Self>, state: &mut State) {
        if state.shelf.is_some() && !state.tasks.is_empty() && !state.queued && !state.busy {
            state.queued = true;
            // Where no encoder is left, the server ends.
            let _ = self.encoders.send(Job::Live(self.clone()));
        }
    }

    /// An encoder takes the frame on the shelf, and all that is wanted of it.
    pub(crate) fn begin_turn(self: &Arc<Self>) -> Option<(Shot, Vec<Task>, Turn)> {
        let mut state = lock(&self.state);
        state.queued = false;
        if state.tasks.is_empty() {
            return None;
        }
        let shot = state.shelf.take()?;
        (state.reading, state.busy) = (true, true);
        Some((shot, std::mem::take(&mut state.tasks), Turn(self.clone())))
    }

    /// Nobody looks any more, or the server ends: the thread is to give the place back.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
        self.wake();
    }

    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    pub(crate) fn is_ended(&self, is_over: &dyn Fn() -> bool) -> bool {
        self.ended.load(Ordering::Relaxed) || is_over()
    }
}

/// Somebody who wants the newest frame to be at hand.
pub(crate) struct Waiting(Arc<Watched>);

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.waiting -= 1;
        if state.waiting == 0 {
            state.shelf = None;
        }
    }
}

/// An encoder at work for a stream. It ends however the work ends.
pub(crate) struct Turn(Arc<Watched>);

impl Turn {
    /// The frame was given back, and was intact.
    pub(crate) fn has_read(&self) {
        let mut state = lock(&self.0.state);
        (state.reading, state.spoilt) = (false, 0);
        drop(state);
        self.0.wake();
    }

    /// The frame was given back, and what was read of it is worth nothing: it is wanted of another one. Where one after the
    /// other is so, that is told.
    pub(crate) fn has_spoilt(&self, tasks: Vec<Task>) {
        let mut state = lock(&self.0.state);
        state.reading = false;
        state.spoilt += 1;
        if state.spoilt < MOST_SPOILT {
            state.tasks.splice(0..0, tasks);
        } else {
            state.spoilt = 0;
            drop(state);
            tasks.into_iter().for_each(|task| task.refuse(OVERWRITTEN));
        }
        self.0.wake();
    }

    /// So many pictures were made, in so long.
    pub(crate) fn has_encoded(&self, pictures: usize, time: Duration) {
        if pictures > 0 {
            let mut state = lock(&self.0.state);
            state.encoded.pictures += pictures as u64;
            state.encoded.time += time;
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        (state.reading, state.busy) = (false, false);
        self.0.queue(&mut state);
        drop(state);
        self.0.wake();
    }
}
