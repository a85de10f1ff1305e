//! Waiting for the first of several streams to have a newer frame: the loop behind each wait, also for one stream.

use std::borrow::BorrowMut;
use std::time::Instant;

use super::predict::Plan;
use super::waitv::{MOST, Words};
use crate::clock::now_ns;
use crate::error::AcquireError;
use crate::subscriber::{Subscriber, Wait};

/// Waits for any of several streams, fairly.
///
/// ```no_run
/// use framebus::{Subscriber, WaitSet};
/// use std::time::{Duration, Instant};
/// let mut front = Subscriber::attach(&"robot/front".parse()?)?;
/// let mut rear = Subscriber::attach(&"robot/rear".parse()?)?;
/// let mut set = WaitSet::new();
/// let second = || Instant::now() + Duration::from_secs(1);
/// while let Some(index) = set.wait(&mut [&mut front, &mut rear], second())? {
///     let camera = if index == 0 { &mut front } else { &mut rear };
///     if let Some(frame) = camera.latest()? {
///         println!("frame {} of {}", frame.info().sequence, camera.name());
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// One call sleeps on all streams together (futex_waitv(2)). Where there are more than 128, or where the kernel is older than
/// 5.16 or a seccomp filter refuses the call, it sleeps a millisecond at a time and looks at all of them in between: none is
/// missed, some are noticed up to a millisecond late.
#[derive(Clone, Debug, Default)]
pub struct WaitSet {
    /// Where the next search begins: behind the one that was returned last, so that all get their turn.
    first: usize,
}

impl WaitSet {
    /// A set for any streams. It holds none: [`wait`](Self::wait) is told each time.
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits until one of the streams has a frame newer than the last one taken from it, or until the deadline; returns the
    /// subscriber's index, or `None` at the deadline.
    ///
    /// Of several that have one, it is the first behind the one returned last: a busy stream does not starve the others. The
    /// same streams should stand in the same order each time. Streams that end are waited for, as [`Subscriber::wait`] does.
    /// Where one of the subscribers waits by [`Wait::Spin`], all are looked at without pause; of those that wait by
    /// [`Wait::Predict`], the frame that is expected first decides how long all sleep.
    ///
    /// The elements are subscribers or references to some (of a `RecordSubscriber`, by
    /// `subscriber_mut`).
    ///
    /// # Errors
    /// As for [`Subscriber::wait`]; the error names the stream.
    pub fn wait<S: BorrowMut<Subscriber>>(
        &mut self,
        subscribers: &mut [S],
        deadline: Instant,
    ) -> Result<Option<usize>, AcquireError> {
        let found = wait(subscribers, self.first, deadline)?;
        if let Some(index) = found {
            self.first = index + 1;
        }
        Ok(found)
    }
}

/// Waits until one of the subscribers is behind, and returns its index; the search begins at `first`. `None` at the
/// deadline.
#[inline]
pub(crate) fn wait<S: BorrowMut<Subscriber>>(
    subscribers: &mut [S],
    first: usize,
    deadline: Instant,
) -> Result<Option<usize>, AcquireError> {
    // As a rule there is a frame, and no clock to be read.
    if let [only] = subscribers
        && only.borrow_mut().is_behind_here()?
    {
        return Ok(Some(0));
    }
    wait_long(subscribers, first, deadline)
}

fn wait_long<S: BorrowMut<Subscriber>>(
    subscribers: &mut [S],
    first: usize,
    deadline: Instant,
) -> Result<Option<usize>, AcquireError> {
    let deadline = now_ns().saturating_add(deadline.saturating_duration_since(Instant::now()).as_nanos() as u64);
    // Who is the first to sleep on, where that can not be all.
    let mut turn = first;
    'look: loop {
        let (mut now, mut pause, mut ready) = (None, deadline, 0);
        for index in from(first, subscribers.len()) {
            let subscriber = subscribers[index].borrow_mut();
            if subscriber.is_behind_here()? {
                return Ok(Some(index));
            }
            // Also where one further on is behind: it must not keep this one from following its stream.
            let now = *now.get_or_insert_with(now_ns);
            ready += usize::from(subscriber.is_ready());
            match subscriber.look(now)? {
                Some(again) => pause = pause.min(again),
                None => continue 'look,
            }
        }
        if now.unwrap_or_else(now_ns) >= deadline {
            return Ok(None);
        }
        if subscribers.iter().any(|subscriber| subscriber.borrow().wait_strategy() == Wait::Spin) {
            spin(subscribers, ready, pause);
            continue;
        }
        let now = now_ns();
        match earliest(subscribers, now) {
            Some((index, plan)) if plan.from <= now => spin_for(index, plan, now, subscribers, ready, pause),
            expected => {
                let until = expected.map_or(pause, |(_, plan)| pause.min(plan.from));
                sleep(subscribers, turn, ready, until);
                turn += if subscribers.len() > MOST { MOST } else { 1 };
                if let Some((index, plan)) = expected {
                    let subscriber = subscribers[index].borrow_mut();
                    let came = subscriber.is_behind();
                    if let Some(predictor) = subscriber.predictor() {
                        predictor.woke(plan, now_ns(), came);
                    }
                }
            }
        }
    }
}

/// Of all frames that can be foretold, the one that is due first: whose it is, and when to spin for it.
fn earliest<S: BorrowMut<Subscriber>>(subscribers: &mut [S], now: u64) -> Option<(usize, Plan)> {
    let plan = |(index, subscriber): (usize, &mut S)| Some((index, subscriber.borrow_mut().predictor()?.plan(now)?));
    subscribers.iter_mut().enumerate().filter_map(plan).min_by_key(|(_, plan)| plan.from)
}

/// Looks at all of them for as long as the plan for one of them says.
fn spin_for<S: BorrowMut<Subscriber>>(
    index: usize,
    plan: Plan,
    now: u64,
    subscribers: &mut [S],
    ready: usize,
    pause: u64,
) {
    subscribers[index].borrow().rehearse();
    spin(subscribers, ready, plan.until.min(pause));
    let subscriber = subscribers[index].borrow_mut();
    let came = subscriber.is_behind();
    if let Some(predictor) = subscriber.predictor() {
        match came {
            true => predictor.met(now),
            false => {
                let end = now_ns();
                predictor.spun(end - now, end >= plan.until);
            }
        }
    }
}

/// All indices below `count`, from `first` on and around.
pub(super) fn from(first: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |offset| (first + offset) % count)
}

/// Looks at all of them until something happens, `until` at most.
fn spin<S: BorrowMut<Subscriber>>(subscribers: &[S], ready: usize, until: u64) {
    let mut looks = 0_u32;
    while is_quiet(subscribers, ready) {
        std::hint::spin_loop();
        looks = looks.wrapping_add(1);
        // The clock is much dearer than a look.
        if looks.is_multiple_of(64) && now_ns() >= until {
            return;
        }
    }
}

/// Sleeps until something happens, `until` at most.
fn sleep<S: BorrowMut<Subscriber>>(subscribers: &[S], turn: usize, ready: usize, until: u64) {
    let mut words = Words::new();
    let order = || from(turn, subscribers.len()).map(|index| subscribers[index].borrow());
    for subscriber in order().filter(|subscriber| subscriber.is_ready()) {
        let (word, expected) = subscriber.announce_sleep();
        if !words.push(word, expected) {
            break;
        }
    }
    if is_quiet(subscribers, ready) {
        words.sleep(until);
    }
    order().for_each(Subscriber::end_sleep);
}

/// Nobody is behind, and as many epochs as before go on: `ready`.
#[inline]
fn is_quiet<S: BorrowMut<Subscriber>>(subscribers: &[S], ready: usize) -> bool {
    let mut still_ready = 0;
    for subscriber in subscribers {
        let subscriber = subscriber.borrow();
        if subscriber.is_behind() {
            return false;
        }
        still_ready += usize::from(subscriber.is_ready());
    }
    still_ready == ready
}
