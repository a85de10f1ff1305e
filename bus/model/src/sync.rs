//! Loom's atomics in the place of std's, and a count of a thread's steps on them by which it can die behind any.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

pub(crate) use loom::sync::Arc;
pub(crate) use loom::sync::atomic::Ordering;
use loom::thread::{self, ThreadId};

/// A step on shared memory; each counts, so that a thread can die in front of it.
macro_rules! counted {
    ($name:ident, $value:ty) => {
        pub(crate) struct $name(loom::sync::atomic::$name);

        impl $name {
            pub(crate) fn new(value: $value) -> Self {
                Self(loom::sync::atomic::$name::new(value))
            }

            #[track_caller]
            pub(crate) fn load(&self, order: Ordering) -> $value {
                step(false);
                self.0.load(order)
            }

            #[track_caller]
            pub(crate) fn store(&self, value: $value, order: Ordering) {
                step(true);
                self.0.store(value, order);
            }

            #[track_caller]
            pub(crate) fn swap(&self, value: $value, order: Ordering) -> $value {
                step(true);
                self.0.swap(value, order)
            }

            #[track_caller]
            pub(crate) fn fetch_add(&self, value: $value, order: Ordering) -> $value {
                step(true);
                self.0.fetch_add(value, order)
            }

            #[track_caller]
            pub(crate) fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                step(true);
                self.0.compare_exchange(current, new, success, failure)
            }
        }
    };
}

counted!(AtomicU32, u32);
counted!(AtomicU64, u64);
/// Of one process alone; under loom a step like any other.
pub(crate) use AtomicU64 as PlainU64;

#[track_caller]
pub(crate) fn fence(order: Ordering) {
    step(false);
    loom::sync::atomic::fence(order);
}

/// Which steps bring a mortal thread nearer to its death.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counts {
    /// Loads, stores and fences.
    All,
    /// Stores, and what may store. A death behind a load leaves the memory that one behind the store before it leaves.
    Stores,
}

#[derive(Clone, Copy)]
struct Mortal {
    thread: ThreadId,
    counts: Counts,
    steps_left: usize,
}

thread_local! {
    // One thread of the system runs all of a model's threads, in turn.
    static MORTAL: Cell<Option<Mortal>> = const { Cell::new(None) };
}

struct Died;

/// A step of the running thread, which is its last one if it has made enough.
pub(crate) fn step(stores: bool) {
    let Some(mut mortal) = MORTAL.get() else { return };
    if (mortal.counts == Counts::Stores && !stores) || mortal.thread != thread::current().id() {
        return;
    }
    if mortal.steps_left == 0 {
        MORTAL.set(None);
        resume_unwind(Box::new(Died));
    }
    mortal.steps_left -= 1;
    MORTAL.set(Some(mortal));
}

/// Lives for at most `steps` steps, in this thread, and without a trace but for what it stored; `None`: it died. One
/// thread at a time may be mortal.
pub(crate) fn mortal<T>(counts: Counts, steps: usize, life: impl FnOnce() -> T) -> Option<T> {
    MORTAL.set(Some(Mortal { thread: thread::current().id(), counts, steps_left: steps }));
    let outcome = catch_unwind(AssertUnwindSafe(life));
    MORTAL.set(None);
    match outcome {
        Ok(value) => Some(value),
        Err(cause) if cause.is::<Died>() => None,
        Err(cause) => resume_unwind(cause),
    }
}
