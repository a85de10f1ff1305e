//! The kernel's part: futex(2) and the leases, made of locks.

use loom::sync::{Condvar, Mutex};

use crate::sync::AtomicU32;
use crate::sync::Ordering::Acquire;

/// The queue of those who sleep on a word, and its lock.
pub(crate) struct Futex {
    lock: Mutex<()>,
    queue: Condvar,
}

impl Futex {
    pub fn new() -> Self {
        Self { lock: Mutex::new(()), queue: Condvar::new() }
    }

    /// FUTEX_WAIT looks at the word under the lock, and sleeps only if it is as expected. There is no time-out here: a
    /// sleep that nobody ends is a deadlock, which loom reports.
    pub fn wait(&self, word: &AtomicU32, expected: u32) {
        let guard = self.lock.lock().unwrap();
        if word.load(Acquire) == expected {
            drop(self.queue.wait(guard).unwrap());
        }
    }

    pub fn wake_all(&self) {
        let _guard = self.lock.lock().unwrap();
        self.queue.notify_all();
    }
}

/// Which places have a holder.
pub(crate) struct Leases(Mutex<Vec<bool>>);

impl Leases {
    pub fn new(places: usize) -> Self {
        Self(Mutex::new(vec![false; places]))
    }

    /// The kernel drops the lease behind the last store of a holder that dies.
    pub fn set(&self, place: usize, held: bool) {
        self.0.lock().unwrap()[place] = held;
    }

    /// Places without a holder.
    pub fn dropped(&self) -> Vec<usize> {
        let held = self.0.lock().unwrap();
        (0..held.len()).filter(|&place| !held[place]).collect()
    }
}
