//! The thread that waits for a stream's frames.
//!
//! Of images the newest is taken, of records each one: lines of an IMU should have no gaps.

use std::sync::Arc;
use std::time::{Duration, Instant};

use framebus::{AcquireError, AttachError, Content, Frame, Subscriber, SubscriberOptions, now_ns};
use framebus_program::publisher_state;

use crate::figures::Window;
use crate::lock;
use crate::samples::MOST_SAMPLES;
use crate::still::NO_IMAGE;
use crate::watch::{Shot, Watched};

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

impl Watched {
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
            if self.subscriber.held() >= self.subscriber.geometry().max_held() && !self.can_make_room() {
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

    /// Whether what we hold is ours to give back: else an encoder has it.
    fn can_make_room(&self) -> bool {
        lock(&self.watched.state).shelf.is_some()
    }

    fn take_newest(&mut self) -> Result<(), AcquireError> {
        // First of all: where a subscriber may hold a single frame, there would be no room.
        lock(&self.watched.state).shelf = None;
        if self.subscriber.held() >= self.subscriber.geometry().max_held() {
            // An encoder was quicker, and has it.
            return Ok(());
        }
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
        lock(&self.watched.state).publisher = publisher_state(self.subscriber.publisher());
    }
}
