//! Sleeping on many words at a time: futex_waitv(2), since Linux 5.16.
//!
//! One call takes at most 128 words, and an older kernel none. What does not fit is not slept on: the sleep ends after
//! [`GLANCE`] at the latest, and the caller looks at all that it waits for. So no wake-up is lost, and the delay is bounded,
//! at the price of a thousand wake-ups a second.
//!
//! | words | kernel | sleeps on | until |
//! |---|---|---|---|
//! | 1 | any | it: futex(2) | woken, or the end |
//! | 2 to 128 | has futex_waitv | all | one is woken, or the end |
//! | more | has futex_waitv | the first 128 | one is woken, or 1 ms |
//! | more than 1 | has none, or a seccomp filter refuses it | the first: futex(2) | it is woken, or 1 ms |
//!
//! The caller lets its words take turns at being the first.

use std::time::Duration;

use super::futex::{end_of_slice, sleep_at};
use crate::clock::now_ns;
use crate::sync::AtomicU32;

/// Most words that one call of the kernel's takes (`FUTEX_WAITV_MAX`).
pub(super) const MOST: usize = 128;

/// How long to sleep where that is not on all words.
const GLANCE: Duration = Duration::from_millis(1);

/// A word of 32 bits, shared between processes: without `FUTEX2_PRIVATE`.
const FLAGS: u32 = libc::FUTEX2_SIZE_U32 as u32;

/// `struct futex_waitv` of linux/futex.h.
#[derive(Clone, Copy)]
#[repr(C)]
struct Waiter {
    expected: u64,
    address: u64,
    flags: u32,
    reserved: u32,
}

/// `struct __kernel_timespec`: 64 bits each, on every architecture.
#[repr(C)]
struct Time {
    seconds: i64,
    nanoseconds: i64,
}

/// Words to sleep on, and what is expected in them.
///
/// It bears their addresses, no references: only the kernel looks there, and refuses an address where nothing is.
pub(super) struct Words {
    waiters: [Waiter; MOST],
    count: usize,
    /// There are more than these.
    crowded: bool,
}

impl Words {
    pub(super) fn new() -> Self {
        let waiter = Waiter { expected: 0, address: 0, flags: FLAGS, reserved: 0 };
        Self { waiters: [waiter; MOST], count: 0, crowded: false }
    }

    /// False: there is no room for it, and the sleep will be short.
    pub(super) fn push(&mut self, word: &AtomicU32, expected: u32) -> bool {
        let Some(waiter) = self.waiters.get_mut(self.count) else {
            self.crowded = true;
            return false;
        };
        (waiter.address, waiter.expected) = (word.as_ptr() as u64, expected.into());
        self.count += 1;
        true
    }

    /// Sleeps until one of the words is woken, `until` at most, and less where not all can be slept on; returns at once where
    /// one is not as expected, and on signals.
    pub(super) fn sleep(&self, until: u64) {
        let glance = || until.min(now_ns() + GLANCE.as_nanos() as u64);
        let until = if self.crowded { glance() } else { until };
        match &self.waiters[..self.count] {
            [] => std::thread::sleep(Duration::from_nanos(end_of_slice(until).saturating_sub(now_ns()))),
            [only] => sleep_at(only.address, only.expected as u32, until),
            [first, ..] => {
                if !self.sleep_on_all(until) {
                    sleep_at(first.address, first.expected as u32, glance());
                }
            }
        }
    }

    /// False: this kernel does not do that, or not now.
    fn sleep_on_all(&self, until: u64) -> bool {
        let until = end_of_slice(until);
        let until = Time { seconds: (until / 1_000_000_000) as i64, nanoseconds: (until % 1_000_000_000) as i64 };
        // SAFETY: `count` of the array's elements are filled, and it and the time live through the call. The kernel only
        // reads the words, and refuses addresses where it can not.
        let woken = unsafe {
            libc::syscall(
                libc::SYS_futex_waitv,
                self.waiters.as_ptr(),
                self.count as libc::c_uint,
                0 as libc::c_uint,
                &until,
                libc::CLOCK_MONOTONIC,
            )
        };
        // Not remembered: a filter may be one thread's alone, and to ask again costs little.
        woken >= 0
            || matches!(
                std::io::Error::last_os_error().raw_os_error(),
                Some(libc::EAGAIN | libc::ETIMEDOUT | libc::EINTR)
            )
    }
}
