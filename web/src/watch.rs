//! A stream that somebody looks at, and the thread that waits for its frames.
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
//!
//! Of images the newest is taken, of records each one: lines of an IMU should have no gaps.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::Thread;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use framebus::{
    AcquireError, AttachError, Backend, Content, Frame, PublisherState, StreamName, Subscriber, SubscriberOptions,
    now_ns,
};
use tokio::sync::watch;

use crate::encoders::Job;
use crate::figures::{Encoded, Figures, Window};
use crate::lock;
use crate::picture::{Picture, Style, Task};
use crate::samples::{MOST_SAMPLES, Samples};
use crate::still::NO_IMAGE;

/// What the subscribers of this server are called.
const LABEL: &str = "web";

/// Longest sleep without a look at what is wanted.
const SLICE: Duration = Duration::from_millis(25);

/// How long to wait for an encoder that reads the only frame we may hold; it wakes us.
const READING: Duration = Duration::from_millis(5);

/// How long to wait before the next try to attach: to a stream that is not there, and to one that refused us.
const NOT_THERE: Duration = Duration::from_millis(200);
const REFUSED: Duration = Duration::from_secs(2);

/// How often the kernel is asked about the publisher, while no frame comes.
const LOOK_FOR_PUBLISHER: Duration = Duration::from_millis(500);

/// Pictures of the newest frame that are kept for who asks next.
const KEPT_PICTURES: usize = 8;

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
    newest: watch::Sender<Newest>,
    state: Mutex<State>,
    encoders: Sender<Job>,
    thread: OnceLock<Thread>,
    ended: AtomicBool,
}

/// What the thread, the encoders and the browsers share of a stream.
struct State {
    tasks: Vec<Task>,
    /// Who wants a frame to be at hand.
    waiting: usize,
    shelf: Option<Shot>,
    /// It stands in the encoders' queue.
    queued: bool,
    /// An encoder reads one of its frames.
    reading: bool,
    /// An encoder is at work for it.
    busy: bool,
    /// Of the newest frame.
    pictures: Vec<Arc<Picture>>,
    encoded: Encoded,
    figures: Figures,
    publisher: &'static str,
    samples: Samples,
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
    fn queue(self: &Arc<Self>, state: &mut State) {
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

    fn is_ended(&self, is_over: &dyn Fn() -> bool) -> bool {
        self.ended.load(Ordering::Relaxed) || is_over()
    }

    /// The thread: attaches, and watches, until `is_over`, which is asked each time round.
    pub(crate) fn run(self: &Arc<Self>, is_over: &dyn Fn() -> bool) {
        // Nobody else sets it.
        let _ = self.thread.set(std::thread::current());
        while !self.is_ended(is_over) {
            let pause = match self.attach() {
                Ok(subscriber) => {
                    let mut watcher = Watcher::new(self, subscriber);
                    match watcher.watch(is_over) {
                        Ok(()) => break,
                        Err(error) => self.fail(&error.to_string()),
                    }
                    REFUSED
                }
                Err(AttachError::NotFound { .. } | AttachError::Unfinished { .. }) => {
                    self.heal();
                    NOT_THERE
                }
                Err(error) => {
                    self.fail(&error.to_string());
                    REFUSED
                }
            };
            lock(&self.state).publisher = "none";
            let until = Instant::now() + pause;
            while !self.is_ended(is_over) && Instant::now() < until {
                std::thread::park_timeout(until.saturating_duration_since(Instant::now()).min(NOT_THERE));
            }
        }
        let mut state = lock(&self.state);
        state.shelf = None;
        state.tasks.clear();
    }

    fn attach(&self) -> Result<Subscriber, AttachError> {
        let mut options = SubscriberOptions::default();
        options.backend = self.key.backend.clone();
        options.label = LABEL.to_owned();
        let subscriber = Subscriber::attach_with(&self.key.name, options)?;
        self.heal();
        Ok(subscriber)
    }

    /// Says why the stream can not be seen.
    fn fail(&self, error: &str) {
        tracing::debug!(stream = %self.key.name, error, "can not be watched");
        self.newest.send_modify(|newest| newest.error = Some(error.into()));
        let tasks = std::mem::take(&mut lock(&self.state).tasks);
        tasks.into_iter().for_each(|task| task.refuse(error));
    }

    fn heal(&self) {
        self.newest.send_if_modified(|newest| newest.error.take().is_some());
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
    /// The frame was given back.
    pub(crate) fn has_read(&self) {
        lock(&self.0.state).reading = false;
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

/// The thread's own part.
struct Watcher<'a> {
    watched: &'a Arc<Watched>,
    subscriber: Subscriber,
    window: Window,
    begun_ns: u64,
    epoch: u64,
    /// Of the newest frame.
    latency_ns: Option<u64>,
    next_look_for_publisher: Instant,
}

impl<'a> Watcher<'a> {
    fn new(watched: &'a Arc<Watched>, subscriber: Subscriber) -> Self {
        let (begun_ns, epoch) = (now_ns(), subscriber.epoch());
        let (window, latency_ns, next_look_for_publisher) = (Window::new(), None, Instant::now());
        Self { watched, subscriber, window, begun_ns, epoch, latency_ns, next_look_for_publisher }
    }

    fn watch(&mut self, is_over: &dyn Fn() -> bool) -> Result<(), AcquireError> {
        self.look_for_publisher();
        while !self.watched.is_ended(is_over) {
            if self.window.is_over() {
                let mut state = lock(&self.watched.state);
                let encoded = std::mem::take(&mut state.encoded);
                state.figures = self.window.end(self.subscriber.counters(), encoded);
            }
            if self.subscriber.held() >= self.subscriber.geometry().max_held() && !self.make_room() {
                std::thread::park_timeout(READING);
                continue;
            }
            if self.subscriber.wait(Instant::now() + SLICE)? {
                match self.subscriber.content() {
                    Content::Image(_) => self.take_newest()?,
                    _ => self.take_each()?,
                }
            } else {
                self.look_for_publisher();
                self.fill_shelf()?;
            }
        }
        Ok(())
    }

    /// Takes the frame off the shelf, where there is one.
    fn make_room(&self) -> bool {
        lock(&self.watched.state).shelf.take().is_some()
    }

    fn take_newest(&mut self) -> Result<(), AcquireError> {
        // First of all: where a subscriber may hold a single frame, there would be no room.
        self.make_room();
        let Some(frame) = self.latest()? else { return Ok(()) };
        self.account(&frame);
        let sequence = frame.info().sequence;
        self.shelve(frame);
        self.tell(sequence);
        Ok(())
    }

    /// The newest frame; `None` where there is none, or where an encoder reads all that we may hold.
    fn latest(&mut self) -> Result<Option<Frame>, AcquireError> {
        match self.subscriber.latest() {
            Err(AcquireError::AllHeld { .. }) => Ok(None),
            other => other,
        }
    }

    fn take_each(&mut self) -> Result<(), AcquireError> {
        self.refuse_tasks();
        let mut newest = None;
        // A publisher that is quicker than we are must not keep us here.
        for _ in 0..MOST_SAMPLES {
            let Some(frame) = self.subscriber.next()? else { break };
            self.account(&frame);
            newest = Some(frame.info().sequence);
            let mut state = lock(&self.watched.state);
            state.samples.add(self.subscriber.content(), self.subscriber.rate(), &frame);
        }
        if let Some(sequence) = newest {
            self.tell(sequence);
        }
        Ok(())
    }

    fn account(&mut self, frame: &Frame) {
        let published_ns = frame.info().publish_ns;
        self.latency_ns = (published_ns >= self.begun_ns).then(|| now_ns().saturating_sub(published_ns));
        self.window.saw(self.latency_ns);
        if self.latency_ns.is_some() {
            lock(&self.watched.state).publisher = "alive";
        }
    }

    /// Onto the shelf, where somebody wants it; else it is given back.
    fn shelve(&mut self, frame: Frame) {
        let mut state = lock(&self.watched.state);
        if state.waiting > 0 && !state.reading {
            state.shelf = Some(Shot { frame, latency_ns: self.latency_ns });
            self.watched.queue(&mut state);
        }
    }

    fn tell(&mut self, sequence: u64) {
        if self.epoch != self.subscriber.epoch() {
            self.epoch = self.subscriber.epoch();
            // The stream may have been made anew: its frames have the numbers of others then.
            lock(&self.watched.state).pictures.clear();
        }
        self.watched.newest.send_modify(|newest| newest.sequence = sequence);
    }

    /// Of records there are no pictures.
    fn refuse_tasks(&self) {
        let tasks = std::mem::take(&mut lock(&self.watched.state).tasks);
        tasks.into_iter().for_each(|task| task.refuse(NO_IMAGE));
    }

    /// The newest frame may have been seen and given back before somebody wanted it.
    fn fill_shelf(&mut self) -> Result<(), AcquireError> {
        if !matches!(self.subscriber.content(), Content::Image(_)) {
            self.refuse_tasks();
            return Ok(());
        }
        let wanted = {
            let state = lock(&self.watched.state);
            state.waiting > 0 && !state.reading && state.shelf.is_none()
        };
        if !wanted {
            return Ok(());
        }
        let seen = self.subscriber.counters().seen;
        if let Some(frame) = self.latest()? {
            if self.subscriber.counters().seen > seen {
                self.account(&frame);
            }
            let sequence = frame.info().sequence;
            self.shelve(frame);
            self.tell(sequence);
        }
        Ok(())
    }

    fn look_for_publisher(&mut self) {
        if Instant::now() < self.next_look_for_publisher {
            return;
        }
        self.next_look_for_publisher = Instant::now() + LOOK_FOR_PUBLISHER;
        lock(&self.watched.state).publisher = match self.subscriber.publisher() {
            PublisherState::Alive => "alive",
            PublisherState::Closed => "closed",
            _ => "gone",
        };
    }
}
