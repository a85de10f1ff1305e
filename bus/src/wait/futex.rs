//! Sleeping on a word of shared memory: futex(2), never the private kind.

use std::time::Duration;

use crate::clock::now_ns;
use crate::sync::AtomicU32;

/// The longest uninterrupted sleep: whoever was to wake us may have died between its store and its wake.
const SLICE: Duration = Duration::from_millis(100);

/// Sleeps until somebody wakes the word, `until` at most; returns at once where it is not `expected`, and on signals.
/// The memory may be mapped read-only.
pub(crate) fn sleep(word: &AtomicU32, expected: u32, until: u64) {
    sleep_at(word.as_ptr() as u64, expected, until);
}

/// As [`sleep`], on the word at this address. What is there, and whether anything is, only the kernel looks.
pub(super) fn sleep_at(address: u64, expected: u32, until: u64) {
    let until = end_of_slice(until);
    let until = libc::timespec { tv_sec: (until / 1_000_000_000) as _, tv_nsec: (until % 1_000_000_000) as _ };
    // FUTEX_WAIT_BITSET, because its time is absolute, and of CLOCK_MONOTONIC.
    // SAFETY: the kernel only reads the word, and refuses an address where it can not (EFAULT); the time lives through the
    // call. Whatever the outcome, the caller looks at its condition again.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            address as usize,
            libc::FUTEX_WAIT_BITSET,
            expected,
            &until,
            std::ptr::null::<u32>(),
            libc::FUTEX_BITSET_MATCH_ANY,
        )
    };
}

/// `until`, or sooner: one sleep's end.
pub(super) fn end_of_slice(until: u64) -> u64 {
    until.min(now_ns() + SLICE.as_nanos() as u64)
}

/// Wakes all who sleep on the word.
pub(crate) fn wake_all(word: &AtomicU32) {
    // SAFETY: FUTEX_WAKE uses the address only.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, i32::MAX) };
}
