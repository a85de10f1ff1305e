//! Clocks and the timer that publishers keep their rate by.

/// `CLOCK_MONOTONIC`, ns.
#[inline]
pub fn now_ns() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

/// What this process, with all its threads, has used of the processors, ns.
pub fn process_cpu_ns() -> u64 {
    read(libc::CLOCK_PROCESS_CPUTIME_ID)
}

#[inline]
fn read(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a timespec to be written; both clocks exist on every Linux.
    unsafe { libc::clock_gettime(clock, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Sleeps until then (`CLOCK_MONOTONIC`, ns), by an absolute timer.
pub fn sleep_until(ns: u64) {
    let time = libc::timespec { tv_sec: (ns / 1_000_000_000) as i64, tv_nsec: (ns % 1_000_000_000) as i64 };
    loop {
        // SAFETY: `time` is a timespec to be read; with an absolute time, nothing is written back.
        let failed =
            unsafe { libc::clock_nanosleep(libc::CLOCK_MONOTONIC, libc::TIMER_ABSTIME, &time, std::ptr::null_mut()) };
        if failed != libc::EINTR {
            return;
        }
    }
}

/// What a process uses of a core between two moments.
pub struct CpuMeter {
    begun_ns: u64,
    cpu_ns: u64,
}

impl CpuMeter {
    /// Begins now.
    pub fn begin() -> Self {
        Self { begun_ns: now_ns(), cpu_ns: process_cpu_ns() }
    }

    /// Since then, in per cent of one core.
    pub fn percent(&self) -> f64 {
        let (cpu, elapsed) = (process_cpu_ns() - self.cpu_ns, now_ns() - self.begun_ns);
        cpu as f64 / elapsed.max(1) as f64 * 100.0
    }

    /// Since then, in seconds.
    pub fn seconds(&self) -> f64 {
        (now_ns() - self.begun_ns).max(1) as f64 / 1e9
    }
}
