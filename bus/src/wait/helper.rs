//! The helper: the one thread that waits for subscribers who can not sleep themselves, because they live in an event loop.
//!
//! It begins with the first of them, and ends when there is none any more. It sleeps on the words of all their streams, and on one
//! of its own by which they tell it to look again. When a stream has news, it rings the subscriber's [`Bell`].
//!
//! ```text
//!                    ┌──────────── news: ring the bell ────────────┐
//!                    │                                             ▼
//!    not told, slept on                                   told, slept on ── one more publication ──► told, not slept on
//!                    ▲                                             │                                         │
//!                    └──────────── the subscriber has caught up ◄──┴───────── the same, and wakes the helper ┘
//! ```
//!
//! So as a rule a frame costs one wake-up of the helper, and a publisher that is faster than its subscriber does not keep the
//! helper busy.
//!
//! # Invariants
//!
//! * **H1** While a subscriber is watched, only the helper sets its place's waiting flag, under the watch's lock: the types see to
//!   it, because who is watched can not be waited for. The flag is cleared under the lock too, before the place changes or goes.
//! * **H2** A watch that is not told is slept on, or the control word has been rung since, or the helper looks at it again in a
//!   few ms, because there is no room for its word or its epoch has ended. The helper reads the control word first, then each
//!   stream's word, then says that it sleeps (`announce_sleep`: W of `slots.rs`), then looks for news, and sleeps only where
//!   none of the words has changed since. So nothing that comes after its look is missed.
//! * **H3** The helper never looks at memory of a stream without the watch's lock. It sleeps without, on bare addresses: a
//!   stream that goes meanwhile rings the control word.

use std::fs::File;
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicPtr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Instant;

use super::any::from;
use super::futex::wake_all;
use super::waitv::{MOST, Words};
use crate::attach::{Attachment, LOOK_AGAIN, LOOK_FOR_SEGMENT};
use crate::clock::now_ns;
use crate::error::{AcquireError, SystemError, WatchError};
use crate::name::StreamName;
use crate::process::Process;
use crate::slots;
use crate::subscriber::Subscriber;
use crate::sync::AtomicU32;
use crate::sync::Ordering::{AcqRel, Acquire, Release};

/// How a subscriber is told.
pub(super) enum Bell {
    /// An eventfd(2), which is readable while the bell rings.
    Eventfd(Arc<File>),
    /// The waker of the task that waits; none while no task does.
    #[cfg_attr(not(feature = "async"), allow(dead_code))]
    Waker(Option<Waker>),
}

/// What the helper knows of one subscriber.
struct Watch {
    stream: StreamName,
    attachment: Arc<Attachment>,
    /// Newest sequence that the subscriber has taken.
    seen: u64,
    bell: Bell,
    /// The bell rings, and the subscriber has not caught up since.
    told: bool,
    /// The stream's word when it was told.
    told_at: u32,
    /// The helper sleeps on the stream's word, or is about to: its place says so.
    slept_on: bool,
    /// The subscriber was told that the epoch has ended.
    end_told: bool,
    /// The stream goes on in another segment.
    has_moved: bool,
    /// When to look for such a segment; `CLOCK_MONOTONIC` ns.
    next_look: u64,
}

impl Watch {
    /// Whether there is something to tell. The stream's word was read before.
    fn has_news(&mut self, ready: bool, now: u64) -> bool {
        if self.attachment.has_newer_than(self.seen) {
            return true;
        }
        if !ready && !std::mem::replace(&mut self.end_told, true) {
            self.next_look = now;
            return true;
        }
        let pace = if ready { LOOK_FOR_SEGMENT } else { LOOK_AGAIN };
        let again = now + pace.as_nanos() as u64;
        if ready && self.next_look == 0 {
            self.next_look = again;
        } else if now >= self.next_look {
            self.next_look = again;
            self.has_moved = self.attachment.has_successor(&self.stream);
        }
        self.has_moved
    }

    /// Rings the bell where there is news. `sleep_on` gets the word to sleep on, and says whether there is room for it. (H2)
    fn look(&mut self, now: u64, wakers: &mut Vec<Waker>, sleep_on: impl FnOnce(&AtomicU32, u32) -> bool) {
        let attachment = self.attachment.clone();
        let word = &attachment.control().futex;
        if self.told {
            // It is slept on for one more publication, in which time the subscriber has caught up as a rule.
            let stays = self.slept_on && word.load(Acquire) == self.told_at;
            self.slept_on = stays && sleep_on(word, self.told_at);
        } else {
            let expected = slots::announce_sleep(attachment.words(), attachment.place());
            // Read behind the word, which an epoch's end changes too.
            let ready = attachment.is_ready();
            self.slept_on = ready && sleep_on(word, expected);
            if self.has_news(ready, now) {
                (self.told, self.told_at) = (true, expected);
                self.ring(wakers);
            }
        }
        if !self.slept_on {
            slots::end_sleep(attachment.place());
        }
    }

    fn ring(&mut self, wakers: &mut Vec<Waker>) {
        match &mut self.bell {
            // It was 0, so there is nothing that could fail.
            Bell::Eventfd(file) => drop((&**file).write(&1_u64.to_ne_bytes())),
            // Woken once no lock is held: a waker may do anything.
            Bell::Waker(waker) => wakers.extend(waker.take()),
        }
    }

    /// The subscriber has caught up.
    fn hush(&mut self) {
        self.told = false;
        if let Bell::Eventfd(file) = &self.bell {
            let _ = (&**file).read(&mut [0; 8]);
        }
    }

    /// The subscriber has moved to another epoch.
    fn move_to(&mut self, attachment: Arc<Attachment>) {
        slots::end_sleep(self.attachment.place());
        self.attachment = attachment;
        (self.slept_on, self.end_told, self.has_moved, self.next_look) = (false, false, false, 0);
    }
}

/// The thread, and what it watches.
struct Helper {
    process: Process,
    /// Counts the times that it was told to look again; it sleeps on this word too.
    control: AtomicU32,
    watches: Mutex<Watches>,
}

#[derive(Default)]
struct Watches {
    list: Vec<Arc<Mutex<Watch>>>,
    /// There is a thread, and it will look at the list again.
    is_running: bool,
}

/// A lock, whatever became of who had it: what it guards is right between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Helper {
    /// This process's.
    ///
    /// A forked child makes its own: the thread of its parent's is not there, and the locks may be held for ever.
    fn current() -> std::io::Result<&'static Self> {
        static CURRENT: AtomicPtr<Helper> = AtomicPtr::new(std::ptr::null_mut());
        let process = Process::current()?;
        loop {
            let found = CURRENT.load(Acquire);
            // SAFETY: null, or from `Box::into_raw` below and never freed.
            if let Some(helper) = unsafe { found.as_ref() }.filter(|helper| helper.process.is_current()) {
                return Ok(helper);
            }
            let (control, watches) = (AtomicU32::default(), Mutex::default());
            let fresh = Box::into_raw(Box::new(Self { process, control, watches }));
            if CURRENT.compare_exchange(found, fresh, AcqRel, Acquire).is_err() {
                // SAFETY: made above, and nobody has seen it.
                drop(unsafe { Box::from_raw(fresh) });
            }
        }
    }

    /// Makes the thread look again.
    fn ring(&self) {
        self.control.fetch_add(1, Release);
        wake_all(&self.control);
    }

    fn add(&'static self, watch: Arc<Mutex<Watch>>) -> std::io::Result<()> {
        let mut watches = lock(&self.watches);
        if !watches.is_running {
            std::thread::Builder::new().name("framebus-helper".to_owned()).spawn(|| self.run())?;
            watches.is_running = true;
        }
        watches.list.push(watch);
        drop(watches);
        self.ring();
        Ok(())
    }

    fn remove(&self, watch: &Arc<Mutex<Watch>>) {
        lock(&self.watches).list.retain(|other| !Arc::ptr_eq(other, watch));
        slots::end_sleep(lock(watch).attachment.place());
        self.ring();
    }

    fn run(&self) {
        block_signals();
        let (mut turn, mut wakers) = (0, Vec::new());
        while let Some((words, until)) = self.look(turn, &mut wakers) {
            for waker in wakers.drain(..) {
                // One that panics must not take the helper away from all others.
                let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
            }
            words.sleep(until);
            turn += MOST - 1;
        }
    }

    /// Looks at all streams; what to sleep on, and until when. `None`: nobody is watched. (H2)
    fn look(&self, turn: usize, wakers: &mut Vec<Waker>) -> Option<(Words, u64)> {
        let mut words = Words::new();
        words.push(&self.control, self.control.load(Acquire));
        let (now, mut until) = (now_ns(), u64::MAX);
        let mut watches = lock(&self.watches);
        if watches.list.is_empty() {
            watches.is_running = false;
            return None;
        }
        for index in from(turn, watches.list.len()) {
            let mut watch = lock(&watches.list[index]);
            watch.look(now, wakers, |word, expected| words.push(word, expected));
            if !watch.told {
                until = until.min(watch.next_look);
            }
        }
        Some((words, until))
    }
}

/// Signals are for the program's own threads.
fn block_signals() {
    // SAFETY: sigfillset fills the set before it is read; a thread's mask is its own.
    unsafe {
        let mut all = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_BLOCK, &all, std::ptr::null_mut());
    }
}

/// A subscriber that the helper watches.
pub(super) struct Watched {
    /// Goes first, so that the place's flag is right while the place is ours. (H1)
    registration: Registration,
    pub subscriber: Subscriber,
    /// The epoch that the helper watches.
    epoch: u64,
}

struct Registration {
    watch: Arc<Mutex<Watch>>,
    helper: &'static Helper,
}

impl Drop for Registration {
    fn drop(&mut self) {
        // A child has a copy of the list, and nobody there to unlock it.
        if self.helper.process.is_current() {
            self.helper.remove(&self.watch);
        }
    }
}

impl Watched {
    pub(super) fn new(subscriber: Subscriber, bell: Bell) -> Result<Self, WatchError> {
        let stream = subscriber.name().clone();
        if !subscriber.is_in_its_process() {
            return Err(WatchError::Forked { stream });
        }
        let watch = Watch {
            stream: stream.clone(),
            attachment: subscriber.share_attachment(),
            seen: subscriber.last_sequence(),
            bell,
            told: false,
            told_at: 0,
            slept_on: false,
            end_told: false,
            has_moved: false,
            next_look: 0,
        };
        let watch = Arc::new(Mutex::new(watch));
        let failed = |call, source| SystemError { action: format!("starting to watch stream {stream}"), call, source };
        let helper = Helper::current().map_err(|source| failed("mmap", source))?;
        helper.add(watch.clone()).map_err(|source| failed("clone", source))?;
        let epoch = subscriber.epoch();
        Ok(Self { registration: Registration { watch, helper }, subscriber, epoch })
    }

    /// Whether there is a newer frame; follows a stream that has ended, or goes on elsewhere.
    pub(super) fn look(&mut self) -> Result<bool, AcquireError> {
        if self.subscriber.is_behind_here()? {
            return Ok(true);
        }
        // Of the epoch that the watch knows: the subscriber may be further already.
        let has_moved = self.epoch == self.subscriber.epoch() && lock(&self.registration.watch).has_moved;
        if has_moved || !self.subscriber.is_ready() {
            self.subscriber.follow(Instant::now())?;
        }
        Ok(self.subscriber.is_behind())
    }

    /// Tells the helper what the subscriber has taken, and stops the bell where it has caught up. True: it has not.
    ///
    /// Where it has, `waker` is woken by the next news.
    pub(super) fn settle(&mut self, waker: Option<&Waker>) -> bool {
        let Registration { watch, helper } = &self.registration;
        // Dropped when no lock is held: it may do anything, too.
        let mut _old = None;
        let mut watch = lock(watch);
        if let (Bell::Waker(current), Some(waker)) = (&mut watch.bell, waker)
            && !current.as_ref().is_some_and(|current| current.will_wake(waker))
        {
            _old = current.replace(waker.clone());
        }
        if self.epoch != self.subscriber.epoch() {
            self.epoch = self.subscriber.epoch();
            watch.move_to(self.subscriber.share_attachment());
        }
        (watch.seen, watch.has_moved) = (self.subscriber.last_sequence(), false);
        let is_behind = self.subscriber.is_behind();
        if watch.told && !is_behind {
            watch.hush();
        }
        if !watch.told && !watch.slept_on {
            // (H2)
            helper.ring();
        }
        is_behind
    }

    /// The helper watches it no longer.
    pub(super) fn into_subscriber(self) -> Subscriber {
        let Self { registration, subscriber, .. } = self;
        drop(registration);
        subscriber
    }
}
