//! What the hot path does not do: no copy, no system call.

use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use framebus::*;

use crate::common::{attach, options};

fn stream(test: &str, capacity: u32) -> (Publisher, Subscriber) {
    let name = StreamName::new(&format!("test-{}-{test}", std::process::id()), "front").unwrap();
    let mut settings = options(Content::Bytes { capacity });
    settings.prefault = Prefault::Off;
    let publisher = Publisher::open(&name, &settings).unwrap();
    let subscriber = attach(&name).unwrap();
    (publisher, subscriber)
}

/// Page faults of this thread so far that needed no disk: one for each page of a mapping that it touches first.
fn page_faults() -> i64 {
    // SAFETY: rusage is plain data, and getrusage fills it.
    unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::getrusage(libc::RUSAGE_THREAD, &mut usage), 0);
        usage.ru_minflt
    }
}

/// Faults of acquiring a frame in a slot that this subscriber has never looked at.
fn faults_of_an_acquisition(capacity: u32) -> i64 {
    let (mut publisher, mut subscriber) = stream(&format!("faults-{capacity}"), capacity);
    for _ in 0..2 {
        publisher.loan().unwrap().publish();
        drop(subscriber.latest().unwrap());
    }
    let before = page_faults();
    let frame = subscriber.latest().unwrap().unwrap();
    let faults = page_faults() - before;
    assert_eq!(frame.len(), capacity as usize);
    let before = page_faults();
    assert_eq!(frame.iter().map(|&byte| u64::from(byte)).sum::<u64>(), 0);
    assert!(page_faults() > before, "the check itself notices when a frame is touched");
    faults
}

#[test]
fn acquiring_a_4k_frame_touches_no_more_memory_than_a_small_one() {
    assert_eq!(faults_of_an_acquisition(64), 0);
    assert_eq!(faults_of_an_acquisition(3840 * 2160 * 4), 0);
}

/// From here on, the kernel ends this thread at any system call but its own exit (seccomp(2)).
fn allow_no_system_call() {
    let statement = |code, k| libc::sock_filter { code, jt: 0, jf: 0, k };
    let mut program = [
        statement(0x20, 0), // load the number of the call
        libc::sock_filter { code: 0x15, jt: 0, jf: 1, k: libc::SYS_exit as u32 },
        statement(0x06, libc::SECCOMP_RET_ALLOW),
        statement(0x06, libc::SECCOMP_RET_KILL_THREAD),
    ];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the filter lives through the call, and has the length that is said.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &filter), 0);
    }
}

/// Runs `work` on a thread without system calls; false: the kernel ended it.
fn runs_without_system_calls(work: impl FnOnce(&AtomicBool) + Send + 'static) -> bool {
    let (started, starting) = std::sync::mpsc::channel();
    let done = Arc::new(AtomicBool::new(false));
    let flag = done.clone();
    let thread = std::thread::Builder::new().name("confined".to_owned()).spawn(move || {
        // Even freeing memory may take a system call: what is owned here is leaked.
        let flag = std::mem::ManuallyDrop::new(flag);
        started.send(()).unwrap();
        std::mem::forget(started);
        allow_no_system_call();
        work(&flag);
        // SAFETY: ends this thread alone, without the destructors that would need more calls.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
    });
    thread.unwrap();
    starting.recv().unwrap();
    let watchdog = Instant::now() + Duration::from_secs(20);
    let alive = || {
        let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
        let names = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("comm")).ok());
        names.filter(|name| name.trim() == "confined").count() > 0
    };
    while alive() {
        assert!(Instant::now() < watchdog, "the confined thread hangs");
        std::thread::yield_now();
    }
    done.load(Ordering::Acquire)
}

#[test]
fn publishing_and_acquiring_make_no_system_call() {
    let (mut publisher, subscriber) = stream("calls", 4096);
    // Who was watched for an event loop, and is no longer, costs no more than others.
    let mut watched = EventSubscriber::new(subscriber).unwrap();
    publisher.loan().unwrap().publish();
    let mut poll = libc::pollfd { fd: watched.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one pollfd, which lives through the call.
    assert_eq!(unsafe { libc::poll(&mut poll, 1, 20_000) }, 1);
    watched.try_latest().unwrap();
    let mut subscriber = watched.into_subscriber();
    let name = publisher.name().clone();
    let without = runs_without_system_calls(move |done| {
        for _ in 0..1000 {
            publisher.loan().unwrap().publish();
            drop(subscriber.latest().unwrap());
            drop(subscriber.next().unwrap());
        }
        std::mem::forget((publisher, subscriber));
        done.store(true, Ordering::Release);
    });
    crate::remove_by_hand(&name);
    assert!(without, "publishing or acquiring made a system call");
    let with = runs_without_system_calls(|done| {
        std::thread::yield_now();
        done.store(true, Ordering::Release);
    });
    assert!(!with, "the check itself notices a system call");
}
