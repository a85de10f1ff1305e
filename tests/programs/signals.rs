//! Signals that interrupt system calls, signals that stop a process for a while, and signals that end one.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use framebus::{Content, Publisher, StreamName};
use serde_json::json;

use crate::actor::{self, say};
use crate::backend;
use crate::harness::{Running, TestStream, attach, eventually, options};

static SIGNALS: AtomicU64 = AtomicU64::new(0);

extern "C" fn count(_signal: libc::c_int) {
    SIGNALS.fetch_add(1, Relaxed);
}

/// From here on a signal comes every so many µs, and none of the calls that it interrupts is begun again by the kernel.
fn interrupt_every(us: libc::suseconds_t) {
    let period = libc::timeval { tv_sec: 0, tv_usec: us };
    // SAFETY: the handler only adds to an atomic; zeroes are a sigaction without flags.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = count as extern "C" fn(libc::c_int) as usize;
        assert_eq!(libc::sigaction(libc::SIGALRM, &action, std::ptr::null_mut()), 0);
        let timer = libc::itimerval { it_interval: period, it_value: period };
        assert_eq!(libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut()), 0);
    }
}

/// Part of an actor: a stream's whole life, many times, under a rain of signals.
pub fn interrupted(name: &StreamName) {
    const ROUNDS: u32 = 150;
    interrupt_every(100);
    for round in 1..=ROUNDS {
        // A few are large: the kernel's work on them takes longer than from one signal to the next.
        let capacity = if round % 50 == 0 { 1_000_000 } else { 10_000 };
        let mut settings = options(Content::Bytes { capacity });
        settings.persist = round % 3 == 0;
        let mut publisher = Publisher::open(name, &settings).unwrap();
        let mut subscriber = attach(name).unwrap();
        publisher.loan().unwrap().publish();
        drop(subscriber.latest().unwrap().unwrap());
        let last = publisher.loan().unwrap().publish();
        assert_eq!(subscriber.next().unwrap().unwrap().info().sequence, last);
        assert!(!subscriber.wait(Instant::now() + Duration::from_millis(2)).unwrap());
        assert!(framebus::list(&backend()).unwrap().iter().any(|stream| stream.name == *name));
        if settings.persist {
            drop(publisher);
            settings.history = 2;
            publisher = Publisher::open(name, &settings).unwrap();
            publisher.loan().unwrap().publish();
            assert!(subscriber.wait(Instant::now() + Duration::from_secs(20)).unwrap());
            drop(subscriber.latest().unwrap().unwrap());
            assert_eq!(subscriber.epoch(), 1);
            drop(publisher);
            framebus::remove(&backend(), name, true).unwrap();
        }
    }
    interrupt_every(0);
    say(&json!({ "at": ROUNDS, "signals": SIGNALS.load(Relaxed) }));
}

#[test]
fn a_rain_of_signals_makes_no_call_fail() {
    let stream = TestStream::new("signals");
    let ended = actor::start(&stream, "interrupted").end();
    assert!(ended.status.success(), "{}\n{ended:?}", ended.stderr);
    let (rounds, signals) = (ended.summary["at"].as_u64().unwrap(), ended.summary["signals"].as_u64().unwrap());
    assert!(signals > 10 * rounds, "{signals} signals in {rounds} rounds");
}

pub fn signal(process: &Running, signal: libc::c_int) {
    // SAFETY: plain integers; the process is this test's own.
    assert_eq!(unsafe { libc::kill(process.child.id() as libc::pid_t, signal) }, 0);
}

/// Stops a process in the middle of whatever it does.
pub fn stop(process: &Running) {
    signal(process, libc::SIGSTOP);
    let stat = format!("/proc/{}/stat", process.child.id());
    // proc(5): the state stands behind the name in parentheses.
    let is_stopped = || std::fs::read_to_string(&stat).unwrap().rsplit(") ").next().unwrap().starts_with('T');
    eventually("the process has stopped", || is_stopped().then_some(()));
}

#[test]
fn a_stopped_viewer_stops_neither_the_publisher_nor_other_viewers() {
    let stream = TestStream::new("stopped");
    let mut settings = options(Content::Bytes { capacity: 20_000 });
    (settings.history, settings.max_subscribers) = (4, 3);
    let mut publisher = Publisher::open(&stream.name, &settings).unwrap();
    let publish = |publisher: &mut Publisher| {
        let mut loan = publisher.loan().unwrap();
        let sequence = loan.sequence();
        framebus::mark::stamp(&mut loan, sequence, 0);
        loan.publish()
    };
    publish(&mut publisher);
    let stopped = [stream.viewer("--verify --hold-frames 1"), stream.viewer("--verify --mode every")];
    let mut other = attach(&stream.name).unwrap();
    let mut last = 1;
    for _ in 0..20 {
        // They are somewhere behind their first frame, in whatever step.
        stopped.iter().for_each(|viewer| drop(viewer.wait_for("last_sequence", 1)));
        last = publish(&mut publisher);
        stopped.iter().for_each(stop);
        for _ in 0..500 {
            last = publish(&mut publisher);
            assert_eq!(other.latest().unwrap().unwrap().info().sequence, last);
        }
        stopped.iter().for_each(|viewer| signal(viewer, libc::SIGCONT));
    }
    assert_eq!(publisher.counters().refused, 0);
    for viewer in stopped {
        viewer.wait_for("last_sequence", last);
        let viewer = viewer.interrupt();
        let passed = viewer.number("skipped") + viewer.number("missed");
        assert_eq!(viewer.number("torn"), 0, "{viewer:?}");
        assert!(passed > 1000, "what it did not see while it was stopped is counted: {viewer:?}");
        assert_eq!(viewer.number("frames") + passed, last - viewer.number("first_sequence") + 1, "{viewer:?}");
    }
}

#[test]
fn a_producer_that_waits_for_a_reader_ends_by_a_signal_and_not_when_the_wait_is_over() {
    let stream = TestStream::new("waits");
    let waits = "--on-full wait --wait-ms 600000 --await-viewers 1 --width 64 --height 48 --format rgb8 --rate 200";
    let producer = stream.producer(waits);
    let viewer = stream.viewer("--mode every");
    viewer.wait_for("frames", 1);
    stop(&viewer);
    // Whatever history and a loan in the making allow for is published; then there is nothing.
    producer.wait_for("published", 1);
    let mut quiet_intervals = 0;
    eventually("it waits", || {
        let is_quiet = producer.next_object()["published"] == 0;
        quiet_intervals = if is_quiet { quiet_intervals + 1 } else { 0 };
        (quiet_intervals == 2).then_some(())
    });
    signal(&producer, libc::SIGTERM);
    let ended = producer.end();
    assert_eq!((ended.number("drops"), ended.number("waits") > 0), (0, true), "{ended:?}");
    assert!(ended.number("waited_ns") > 0, "the wait that was given up counts: {ended:?}");
    assert!(stream.status().is_none(), "the stream is closed");
}

#[test]
fn a_second_signal_ends_a_program_that_is_stuck_in_a_write() {
    let stream = TestStream::new("second");
    let producer = stream.producer("--width 640 --height 480 --format rgb8 --rate 50");
    let mut command = stream.command("viewer", "--pipe raw --quiet");
    // Its reader never reads, and a frame is larger than what a pipe takes in.
    let mut viewer = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let pid = viewer.id() as libc::pid_t;
    let stack = format!("/proc/{pid}/syscall");
    // proc_pid_syscall(5): the number of the call that it is in. It ends while it is in it.
    let writes = [libc::SYS_write, libc::SYS_writev].map(|call| call.to_string());
    eventually("the viewer is in a write", || {
        let call = std::fs::read_to_string(&stack).unwrap_or_default();
        writes.iter().any(|write| call.split(' ').next() == Some(write)).then_some(())
    });
    let status = eventually("it ends", || {
        // SAFETY: plain integers; the process is this test's own, and not waited for.
        assert_eq!(unsafe { libc::kill(pid, libc::SIGTERM) }, 0);
        viewer.try_wait().unwrap()
    });
    assert_eq!(status.code(), Some(128 + libc::SIGTERM));
    eventually("its place is free", || stream.status()?.subscribers.is_empty().then_some(()));
    producer.interrupt();
}
