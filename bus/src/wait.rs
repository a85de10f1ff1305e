//! Sleeping on a word of shared memory: futex(2), never the private kind.

use crate::sync::AtomicU32;
use std::time::Duration;

/// The longest uninterrupted sleep: whoever was to wake us may have died between its store and its wake.
pub(crate) const SLICE: Duration = Duration::from_millis(100);

/// Sleeps until somebody wakes the word, at most `timeout`; returns at once where it is not `expected`, and on signals.
/// The memory may be mapped read-only.
pub(crate) fn sleep(word: &AtomicU32, expected: u32, timeout: Duration) {
    let timeout = timeout.min(SLICE);
    let timeout = libc::timespec { tv_sec: timeout.as_secs() as _, tv_nsec: timeout.subsec_nanos() as _ };
    // SAFETY: the word is a live, aligned u32, which FUTEX_WAIT only reads; the timeout lives through the call. Whatever
    // the outcome, the caller looks at its condition again.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, expected, &timeout) };
}

/// Wakes all who sleep on the word.
pub(crate) fn wake_all(word: &AtomicU32) {
    // SAFETY: FUTEX_WAKE uses the address only.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, i32::MAX) };
}
