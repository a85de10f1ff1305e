//! Subscribing: the newest frame, or every frame in order, read in place.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

use crate::accounts::Accounts;
use crate::attach::{self, Attachment, LOOK_AGAIN, LOOK_FOR_SEGMENT};
use crate::backend::Backend;
use crate::clock::now_ns;
use crate::contract::{Contract, Violations};
use crate::error::{AcquireError, AttachError};
use crate::fate::Fate;
use crate::frame::Frame;
use crate::geometry::Geometry;
use crate::histogram::Histogram;
use crate::keep::Kept;
use crate::layout::{Account, HistogramWords, state};
use crate::lease::Holder;
use crate::memory::FramesMemory;
use crate::name::StreamName;
use crate::options::{Content, Rate};
use crate::place::SubscriberCounters;
use crate::slots::{self, EVICTED, NOT_LOSSLESS};
use crate::sync::{Arc, AtomicU32};
use crate::wait;
use crate::wait::PredictionCounters;
use crate::wait::predict::Predictor;
use crate::words::{MAX_SEQUENCE, unpack};

/// Default of [`SubscriberOptions::spin_budget_percent`].
pub const DEFAULT_SPIN_BUDGET_PERCENT: f32 = 2.0;

/// How a subscriber waits for the next frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wait {
    /// Sleep until the publisher wakes us (futex(2)).
    #[default]
    Block,
    /// Look without pause: the least latency, at the price of a core.
    Spin,
    /// Sleep until shortly before the next frame is due, and spin from there: on a periodic stream, such as a camera's, the
    /// latency of spinning at a few per cent of a core. When the frames are due is learned from when they were
    /// published; where that can not be foretold, it is as [`Block`](Self::Block).
    Predict,
}

/// What a subscriber does when the stream's frames become others: of another shape, or in a new epoch of another content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnChange {
    /// Goes on, and hands out whatever comes: each frame says itself [what it is](Frame::shape). For viewers.
    #[default]
    Follow,
    /// Says so before the first frame that is different, by [`AcquireError::Changed`], and goes on with the call after that. For
    /// programs that are made for one size, which end with the error, and for those that begin a new file, or load another model.
    Tell,
}

/// What a subscriber wants.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SubscriberOptions {
    /// What the stream is made of: what its publisher uses.
    pub backend: Backend,
    /// How [`Subscriber::wait`] waits.
    pub wait: Wait,
    /// With [`Wait::Predict`]: most time that may be spent spinning, in per cent of a core, on average over a few frames; 2
    /// as a rule. Frames that can not be met within it are slept for.
    pub spin_budget_percent: f32,
    /// On a stream whose publisher waits (`on_full = "wait"`): it shall wait for this subscriber's
    /// [`next`](Subscriber::next), so that no frame is missed.
    pub lossless: bool,
    /// What it relies on: violations are counted, for all to see.
    pub contract: Contract,
    /// What it does when the stream's frames become others.
    pub on_change: OnChange,
    /// What others see this subscriber called, up to 31 bytes; empty: the program's name.
    pub label: String,
    /// How long to wait for a stream that is not there.
    pub patience: Duration,
}

impl Default for SubscriberOptions {
    fn default() -> Self {
        Self {
            backend: Backend::default(),
            wait: Wait::default(),
            spin_budget_percent: DEFAULT_SPIN_BUDGET_PERCENT,
            lossless: false,
            contract: Contract::default(),
            on_change: OnChange::default(),
            label: String::new(),
            patience: Duration::ZERO,
        }
    }
}

/// What became of a stream's publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublisherState {
    /// It holds its lease.
    Alive,
    /// It died, or left the stream there on purpose (`persist`): the last frames are still there, and a successor goes
    /// on with them.
    Gone,
    /// It closed the stream.
    Closed,
}

/// One who reads a stream.
///
/// ```no_run
/// use framebus::Subscriber;
/// use std::time::{Duration, Instant};
/// let mut camera = Subscriber::attach(&"robot/front".parse()?)?;
/// while camera.wait(Instant::now() + Duration::from_secs(1))? {
///     if let Some(frame) = camera.latest()? {
///         println!("frame {} has {} bytes", frame.info().sequence, frame.len());
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Subscriber {
    name: StreamName,
    options: SubscriberOptions,
    attachment: Kept,
    /// Newest sequence acquired; 0 before the first.
    last: u64,
    /// What the first `next` asks for: the oldest frame that was there when we attached.
    start: u64,
    accounts: Accounts,
    /// What stands in the place's cursor, but for an eviction.
    cursor: u64,
    epoch: u64,
    /// With [`OnChange::Tell`]: what the caller knows the frames to be.
    known: Option<Content>,
    /// When to look whether the stream is still found by its name, while waits are in vain; `CLOCK_MONOTONIC` ns.
    next_look: Option<u64>,
    /// With [`Wait::Predict`].
    predictor: Option<Box<Predictor>>,
}

impl Subscriber {
    /// Attaches to a stream that is there, with the default options.
    ///
    /// # Errors
    /// [`AttachError`].
    pub fn attach(name: &StreamName) -> Result<Self, AttachError> {
        Self::attach_with(name, SubscriberOptions::default())
    }

    /// Attaches to a stream; waits for it as long as the options say.
    ///
    /// # Errors
    /// [`AttachError`].
    pub fn attach_with(name: &StreamName, mut options: SubscriberOptions) -> Result<Self, AttachError> {
        if options.label.is_empty() {
            options.label = program_name();
        }
        let begun = Instant::now();
        let attachment = attach::attach(&options.backend, name, &options.label, None, begun, begun + options.patience)?;
        let (name, attachment) = (name.clone(), Kept::new(attachment));
        let accounts = Accounts::new(options.contract);
        let predictor = (options.wait == Wait::Predict)
            .then(|| Box::new(Predictor::new(f64::from(options.spin_budget_percent) / 100.0)));
        let mut subscriber = Self {
            name,
            options,
            attachment,
            last: 0,
            start: 0,
            accounts,
            cursor: NOT_LOSSLESS,
            epoch: 0,
            known: None,
            next_look: None,
            predictor,
        };
        subscriber.begin_epoch();
        if subscriber.options.on_change == OnChange::Tell {
            subscriber.known = Some(subscriber.content().clone());
        }
        Ok(subscriber)
    }

    /// The stream's name.
    pub fn name(&self) -> &StreamName {
        &self.name
    }

    /// What the stream's present epoch began with. Images may have other shapes, which is for each [frame](Frame::shape) to say, but
    /// they are images.
    pub fn content(&self) -> &Content {
        &self.attachment.content
    }

    /// The stream's nominal rate, where it has one.
    pub fn rate(&self) -> Option<Rate> {
        self.attachment.rate()
    }

    /// The stream's numbers of slots and sizes.
    pub fn geometry(&self) -> &Geometry {
        self.attachment.geometry()
    }

    /// How often this subscriber has moved to a new epoch of the stream: content and geometry may differ afterwards.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether this subscriber takes part in the publisher's waiting.
    pub fn is_lossless(&self) -> bool {
        self.cursor != NOT_LOSSLESS
    }

    /// Has the publisher wait for this subscriber again, after it was [evicted](AcquireError::Evicted), or where it was not lossless
    /// before. Nothing on a stream whose publisher does not wait.
    ///
    /// It is waited for at once, and until it calls [`next`](Self::next): whoever has to open files first does that before.
    pub fn be_lossless(&mut self) {
        self.options.lossless = true;
        if self.attachment.process.is_current() {
            self.register();
        }
    }

    /// What this subscriber relies on.
    pub fn contract(&self) -> Contract {
        self.options.contract
    }

    /// How often its contract was not kept, since it was attached. All 0 in a forked child.
    pub fn violations(&self) -> Violations {
        if self.attachment.process.is_current() { self.accounts.violations } else { Violations::default() }
    }

    /// Times from publication to being taken, of frames that were published since it was attached; of those that came within 100 µs of
    /// another one not all. Empty in a forked child.
    pub fn latencies(&self) -> Histogram {
        self.read_account(|account| &account.latencies)
    }

    /// Times from capture to being taken, likewise.
    pub fn ages(&self) -> Histogram {
        self.read_account(|account| &account.ages)
    }

    /// How long frames were held, likewise; of those that were let go of.
    pub fn holds(&self) -> Histogram {
        self.read_account(|account| &account.holds)
    }

    fn read_account(&self, which: impl FnOnce(&Account) -> &HistogramWords) -> Histogram {
        let here = self.attachment.process.is_current();
        if here { which(self.attachment.account()).read() } else { Histogram::default() }
    }

    /// Whether the newest frame taken is older than the contract allows, or, before the first, so much time has passed since attaching;
    /// that counts as a violation, each time that it is asked. Ask once an interval, where frames may stop coming. False without
    /// `max_age`.
    pub fn is_stale(&mut self) -> bool {
        self.attachment.process.is_current() && self.accounts.is_stale(self.attachment.account())
    }

    /// What this subscriber has counted since it was made.
    pub fn counters(&self) -> SubscriberCounters {
        self.accounts.counters
    }

    /// How well frames were foretold; all 0 without [`Wait::Predict`].
    pub fn predictions(&self) -> PredictionCounters {
        self.predictor.as_ref().map(|predictor| predictor.counters).unwrap_or_default()
    }

    /// Frames that are held at present.
    pub fn held(&self) -> usize {
        self.attachment.pin_uses.count()
    }

    /// The memory, in this process, in which the frames of the present epoch lie.
    pub fn frames_memory(&self) -> std::ops::Range<*const u8> {
        let base = self.attachment.frames_view.payload(0).as_ptr().cast_const();
        let geometry = self.geometry();
        base..base.wrapping_add(geometry.slots * geometry.slot_stride)
    }

    /// How this process has the frames of the present epoch mapped, as
    /// [`Publisher::memory`](crate::Publisher::memory).
    ///
    /// # Errors
    /// `/proc/self/smaps` can not be read.
    pub fn memory(&self) -> std::io::Result<FramesMemory> {
        FramesMemory::of(&self.attachment.frames)
    }

    /// Whether somebody publishes the stream. Asks the kernel. In a forked child of the process that attached, it is
    /// `Gone`.
    pub fn publisher(&self) -> PublisherState {
        if !self.attachment.process.is_current() {
            return PublisherState::Gone;
        }
        if self.attachment.control().state.load(Acquire) == state::CLOSED {
            return PublisherState::Closed;
        }
        let alive = self.attachment.lease.set().is_held(Holder::Publisher);
        if alive { PublisherState::Alive } else { PublisherState::Gone }
    }

    /// Takes the newest frame, whether or not it was taken before; `None` before the first frame. A constant number of
    /// steps, no system call.
    ///
    /// Frames stay when the stream is closed; once all are taken, a new stream of the name is looked for.
    ///
    /// # Errors
    /// [`AcquireError::AllHeld`] where this subscriber holds all the frames it may; what it holds stays.
    #[inline(always)]
    pub fn latest(&mut self) -> Result<Option<Frame>, AcquireError> {
        let pin = self.begin()?;
        let word = &self.attachment.place().pins[pin];
        let slot = slots::pin_latest(self.attachment.words(), word).map_err(|_| self.overwritten())?;
        match slot {
            Some(slot) => {
                self.tell_change(pin, slot)?;
                Ok(Some(self.finish(pin, slot, false)?))
            }
            None => Ok(None),
        }
    }

    /// Takes the next frame in order: the one after the last taken, or the oldest still there, when that one is gone;
    /// `None` where there is no newer frame. The first call asks for the oldest frame that was there when this subscriber
    /// attached: with a history, late joiners get it.
    ///
    /// # Errors
    /// As for [`latest`](Self::latest).
    #[allow(clippy::should_implement_trait)] // None means "none so far" here
    #[inline(always)]
    pub fn next(&mut self) -> Result<Option<Frame>, AcquireError> {
        let pin = self.begin()?;
        let (wanted, first) = (self.wanted(), self.attachment.first_sequence());
        let word = &self.attachment.place().pins[pin];
        let slot = slots::pin_next(self.attachment.words(), word, wanted, first).map_err(|_| self.overwritten())?;
        match slot {
            Some(slot) => {
                self.tell_change(pin, slot)?;
                Ok(Some(self.finish(pin, slot, true)?))
            }
            None => Ok(None),
        }
    }

    /// Waits until there is a frame newer than the last one taken, or until the deadline: true, there is one.
    ///
    /// A stream that ends is waited for too: its successor's first frame counts. One that somebody removed by hand is
    /// noticed within about a second.
    ///
    /// # Errors
    /// As for [`latest`](Self::latest), but for `AllHeld`.
    #[inline]
    pub fn wait(&mut self, deadline: Instant) -> Result<bool, AcquireError> {
        Ok(wait::any::wait(std::slice::from_mut(self), 0, deadline)?.is_some())
    }

    /// Whether there is a frame newer than the last one taken. No system call; false in a forked child.
    #[inline]
    pub fn has_newer(&self) -> bool {
        self.attachment.process.is_current() && self.is_behind()
    }

    /// Whether there is a frame newer than the last one taken, for a wait.
    #[inline]
    pub(crate) fn is_behind_here(&mut self) -> Result<bool, AcquireError> {
        self.check_process()?;
        let behind = self.is_behind();
        if behind {
            self.next_look = None;
        }
        Ok(behind)
    }

    #[inline]
    pub(crate) fn is_ready(&self) -> bool {
        self.attachment.is_ready()
    }

    /// The attachment, for who watches the stream in this subscriber's name.
    pub(crate) fn share_attachment(&self) -> Arc<Attachment> {
        self.attachment.share()
    }

    /// Newest sequence acquired; 0 before the first.
    pub(crate) fn last_sequence(&self) -> u64 {
        self.last
    }

    /// False in a forked child of the process that attached.
    pub(crate) fn is_in_its_process(&self) -> bool {
        self.attachment.process.is_current()
    }

    /// How it waits.
    pub(crate) fn wait_strategy(&self) -> Wait {
        self.options.wait
    }

    /// Who foretells this stream's frames, where they go on.
    pub(crate) fn predictor(&mut self) -> Option<&mut Predictor> {
        self.predictor.as_deref_mut()
    }

    /// Takes the newest frame once more and lets it go, without counting it: after a sleep, code, page tables and pins are at hand
    /// again before the next frame comes.
    pub(crate) fn rehearse(&self) {
        let Some(pin) = self.attachment.pin_uses.first_free(self.attachment.geometry().max_held) else { return };
        let word = &self.attachment.place().pins[pin];
        if let Ok(Some(slot)) = slots::pin_latest(self.attachment.words(), word) {
            let sequence = slots::sequence_of(self.attachment.words(), slot);
            let frame = Frame::new(self.attachment.lend(pin, slot, sequence));
            std::hint::black_box((frame.info().publish_ns, frame.first()));
        }
    }

    /// Follows a stream that has ended, or that is not found by its name any more: `None`, it has moved. Otherwise when to
    /// look again.
    pub(crate) fn look(&mut self, now: u64) -> Result<Option<u64>, AcquireError> {
        let ready = self.attachment.is_ready();
        let pace = if ready { LOOK_FOR_SEGMENT } else { LOOK_AGAIN }.as_nanos() as u64;
        let again = now + pace;
        match self.next_look {
            // An epoch that has ended since is followed at once: the time was set at the slower pace.
            Some(look) if now < look && (ready || look <= again) => return Ok(Some(look)),
            None if ready => {}
            _ => {
                if !(ready && self.attachment.is_found()) && self.follow(Instant::now())? {
                    self.next_look = None;
                    return Ok(None);
                }
            }
        }
        self.next_look = Some(again);
        Ok(Some(again))
    }

    /// Says that it is about to sleep; the word to sleep on, and what is in it. The caller looks once more before it does.
    pub(crate) fn announce_sleep(&self) -> (&AtomicU32, u32) {
        let expected = slots::announce_sleep(self.attachment.words(), self.attachment.place());
        (&self.attachment.control().futex, expected)
    }

    pub(crate) fn end_sleep(&self) {
        slots::end_sleep(self.attachment.place());
    }

    #[inline]
    pub(crate) fn is_behind(&self) -> bool {
        self.attachment.has_newer_than(self.last)
    }

    #[inline]
    fn check_process(&self) -> Result<(), AcquireError> {
        if self.attachment.process.is_current() { Ok(()) } else { Err(self.forked()) }
    }

    #[cold]
    fn forked(&self) -> AcquireError {
        AcquireError::Forked { stream: self.name.clone() }
    }

    /// What comes before every acquisition: the epoch that is current, and a pin that is free.
    #[inline(always)]
    fn begin(&mut self) -> Result<usize, AcquireError> {
        self.check_process()?;
        // Nobody writes to an epoch that has ended, so what we did not take there stays there to be taken first.
        if !self.attachment.is_ready() && !self.is_behind() {
            self.follow(Instant::now())?;
        }
        if self.cursor != NOT_LOSSLESS {
            self.check_eviction()?;
        }
        let max_held = self.attachment.geometry().max_held;
        match self.attachment.pin_uses.first_free(max_held) {
            Some(pin) => Ok(pin),
            None => Err(self.all_held(max_held)),
        }
    }

    #[cold]
    fn all_held(&mut self, max_held: usize) -> AcquireError {
        self.accounts.refused(&self.attachment);
        AcquireError::AllHeld { stream: self.name.clone(), max_held: max_held as u32 }
    }

    #[cold]
    fn overwritten(&self) -> AcquireError {
        AcquireError::Overwritten { stream: self.name.clone(), place: self.attachment.place_index }
    }

    /// Says of a frame that is pinned, and not taken yet, that it is not what the one before was.
    #[inline(always)]
    fn tell_change(&mut self, pin: usize, slot: u16) -> Result<(), AcquireError> {
        match self.known {
            Some(_) => self.compare(pin, slot),
            None => Ok(()),
        }
    }

    #[inline(never)]
    fn compare(&mut self, pin: usize, slot: u16) -> Result<(), AcquireError> {
        let content = &self.attachment.content;
        let shape = matches!(content, Content::Image(_)).then(|| Frame::shape_in(&self.attachment, slot)).flatten();
        let found = shape.map(Content::Image);
        let found = found.as_ref().unwrap_or(content);
        if self.known.as_ref() == Some(found) {
            return Ok(());
        }
        let to = found.clone();
        slots::release(&self.attachment.place().pins[pin]);
        self.attachment.tell_publisher();
        let from = self.known.replace(to.clone()).unwrap_or_else(|| to.clone());
        Err(AcquireError::Changed { stream: self.name.clone(), from, to })
    }

    /// Accounts for an acquired frame, and hands it out.
    #[inline(always)]
    fn finish(&mut self, pin: usize, slot: u16, in_order: bool) -> Result<Frame, AcquireError> {
        let sequence = slots::sequence_of(self.attachment.words(), slot);
        let is_new = sequence > self.last && sequence <= MAX_SEQUENCE;
        if is_new {
            self.account(sequence, in_order);
        } else if sequence != self.last || sequence == 0 {
            // No frame, or an older one: time runs backwards only for who was handed a slot by a stranger.
            slots::release(&self.attachment.place().pins[pin]);
            return Err(self.overwritten());
        }
        let frame = Frame::new(self.attachment.lend(pin, slot, sequence));
        let publish_ns = frame.publish_ns();
        if let Some(predictor) = &mut self.predictor {
            predictor.took(sequence, publish_ns);
        }
        if !is_new {
            self.accounts.took_again(&self.attachment, pin);
        } else if self.accounts.is_due(publish_ns) {
            let predictions = self.predictor.as_ref().map(|predictor| &predictor.counters);
            self.accounts.measure(&self.attachment, pin, frame.info(), predictions);
        }
        Ok(frame)
    }

    /// The sequence that is next in order.
    #[inline]
    fn wanted(&self) -> u64 {
        if self.last == 0 { self.start } else { self.last + 1 }
    }

    fn account(&mut self, sequence: u64, in_order: bool) {
        // Whoever only wants the newest frame has no claim to those before its first.
        let passed = if self.last == 0 && !in_order { 0 } else { sequence.saturating_sub(self.wanted()) };
        self.accounts.took(&self.attachment.place().counters, sequence, passed, in_order);
        self.last = sequence;
        if self.cursor != NOT_LOSSLESS {
            // Whether it was evicted meanwhile is told by the next acquisition: this frame is whole, and was in order.
            if slots::move_on(self.attachment.place(), self.cursor, sequence + 1).is_ok() {
                self.cursor = sequence + 1;
            }
            self.attachment.tell_publisher();
        }
    }

    /// Makes the publisher wait for this subscriber, where it does so for anybody.
    fn register(&mut self) {
        self.cursor = NOT_LOSSLESS;
        if self.options.lossless && self.attachment.publisher_waits {
            // The publisher sees the cursor at its next loan, unless it fenced for that one already; then the frame that
            // it is writing may push out one that we want. Nothing was promised before the first frame that we get.
            self.cursor = self.wanted();
            slots::register(self.attachment.place(), self.cursor);
        }
    }

    /// Whether the publisher waits for this subscriber no longer.
    #[inline]
    fn check_eviction(&mut self) -> Result<(), AcquireError> {
        if self.attachment.place().cursor.load(Relaxed) == EVICTED { Err(self.evicted()) } else { Ok(()) }
    }

    #[cold]
    fn evicted(&mut self) -> AcquireError {
        (self.cursor, self.options.lossless) = (NOT_LOSSLESS, false);
        self.attachment.place().cursor.store(NOT_LOSSLESS, Release);
        self.attachment.account().tell(now_ns(), self.last, Fate::WasEvicted);
        let (latest, _) = unpack(self.attachment.control().latest.load(Acquire));
        AcquireError::Evicted { stream: self.name.clone(), behind: latest.saturating_sub(self.wanted() - 1) }
    }

    /// Moves to the stream's next epoch, or to a new stream of the same name. False: there is none before the deadline.
    #[cold]
    pub(crate) fn follow(&mut self, deadline: Instant) -> Result<bool, AcquireError> {
        let earlier = Some(&*self.attachment);
        match attach::attach(&self.options.backend, &self.name, &self.options.label, earlier, Instant::now(), deadline)
        {
            Ok(attachment) => {
                self.attachment = Kept::new(attachment);
                self.epoch += 1;
                self.begin_epoch();
                Ok(true)
            }
            Err(AttachError::NotFound { .. } | AttachError::Unfinished { .. }) => Ok(false),
            Err(source) => Err(AcquireError::Follow { stream: self.name.clone(), source: Box::new(source) }),
        }
    }

    /// Makes up for a change of the epoch: counters, and where the sequence goes on.
    fn begin_epoch(&mut self) {
        let base = self.attachment.header.base_sequence;
        if base < self.last {
            // Not a continuation of what we saw: the stream was closed, and made anew from 1. All of it is new to us.
            self.last = 0;
            self.start = base + 1;
        } else if self.last == 0 {
            let (latest, _) = unpack(self.attachment.control().latest.load(Acquire));
            let history = self.geometry().history as u64;
            self.start = (latest + 1).saturating_sub(history).max(base + 1);
        }
        if let Some(predictor) = &mut self.predictor {
            predictor.begin_epoch(self.attachment.rate().map(|rate| rate.period_ns()));
        }
        if self.options.lossless && self.attachment.place().cursor.load(Relaxed) == EVICTED {
            // Before we came here. The next acquisition says so.
            self.cursor = self.wanted();
        } else {
            self.register();
            // It may be waiting for this very thing.
            self.attachment.tell_publisher();
        }
        // Last of all: from here on the publisher counts us as there.
        self.accounts.begin_epoch(&self.attachment);
    }
}

/// The name of this program (proc(5), `/proc/self/comm`).
fn program_name() -> String {
    std::fs::read_to_string("/proc/self/comm").map(|name| name.trim().to_owned()).unwrap_or_default()
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        // Frames may live on, but nobody will ask for the next one.
        if self.attachment.process.is_current() && self.is_lossless() {
            if !self.attachment.is_ready() {
                // What it wanted is carried to the epoch that there is now, where it is waited for under the lease that a frame keeps.
                let _ = self.follow(Instant::now());
            }
            self.attachment.place().cursor.store(NOT_LOSSLESS, Release);
            self.attachment.tell_publisher();
        }
    }
}
