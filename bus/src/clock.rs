//! The bus's clock: `CLOCK_MONOTONIC`, in nanoseconds.

/// Nanoseconds of `CLOCK_MONOTONIC` (clock_gettime(2)): one clock for all processes of a machine, the one that V4L2
/// stamps its buffers with, and one that never jumps.
pub fn now_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec for the call to fill; CLOCK_MONOTONIC always exists on Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
