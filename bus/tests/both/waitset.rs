//! Waiting for the first of several streams.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use framebus::*;

use crate::common::{attach, options, subscriber_options};

/// Streams of one bus of this test's own.
struct Streams(Vec<Publisher>);

impl Streams {
    fn new(count: usize) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let bus = format!("test-{}-set-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let mut settings = options(Content::Bytes { capacity: 64 });
        settings.max_subscribers = 1;
        settings.prefault = Prefault::Off;
        let open = |index| Publisher::open(&StreamName::new(&bus, &format!("s{index}")).unwrap(), &settings).unwrap();
        Self((0..count).map(open).collect())
    }

    fn subscribers(&self) -> Vec<Subscriber> {
        self.0.iter().map(|publisher| attach(publisher.name()).unwrap()).collect()
    }

    fn publish(&mut self, index: usize) {
        self.0[index].loan().unwrap().publish();
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn take(subscriber: &mut Subscriber) -> u64 {
    subscriber.latest().unwrap().unwrap().info().sequence
}

/// Publishes on these streams, one after the other, and each wakes the set that waits for all of them.
///
/// Whoever is not woken notices a frame only 100 ms later, when it looks anyway: with enough of them, the watchdog tells.
fn each_wakes(streams: &mut Streams, order: impl Iterator<Item = usize>, prepare: impl FnOnce() + Send) {
    let mut subscribers = streams.subscribers();
    let (found, finding) = std::sync::mpsc::channel();
    let watchdog = soon();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            prepare();
            let mut set = WaitSet::new();
            while let Some(index) = set.wait(&mut subscribers, soon()).unwrap() {
                if found.send((index, take(&mut subscribers[index]))).is_err() {
                    return;
                }
            }
        });
        let mut sequences = vec![0; streams.0.len()];
        for index in order {
            streams.publish(index);
            sequences[index] += 1;
            assert_eq!(finding.recv().unwrap(), (index, sequences[index]));
            assert!(Instant::now() < watchdog, "sleepers are not woken");
        }
        // The set ends with the next frame.
        drop(finding);
        streams.publish(0);
    });
}

#[test]
fn each_of_three_streams_wakes_a_set_that_sleeps_on_all() {
    each_wakes(&mut Streams::new(3), (0..1000).map(|turn| turn % 3), || {});
}

#[test]
fn each_of_two_hundred_streams_wakes_a_set() {
    each_wakes(&mut Streams::new(200), 0..200, || {});
}

#[test]
fn a_set_returns_at_the_deadline() {
    let streams = Streams::new(2);
    let mut subscribers = streams.subscribers();
    let mut set = WaitSet::new();
    for wait in [Duration::ZERO, Duration::from_millis(5)] {
        let deadline = Instant::now() + wait;
        assert_eq!(set.wait(&mut subscribers, deadline).unwrap(), None);
        assert!(Instant::now() >= deadline);
        assert_eq!(set.wait::<Subscriber>(&mut [], deadline + wait).unwrap(), None);
        assert!(Instant::now() >= deadline + wait);
    }
}

#[test]
fn a_busy_stream_does_not_starve_the_others() {
    let mut streams = Streams::new(3);
    let mut subscribers = streams.subscribers();
    let mut set = WaitSet::new();
    streams.publish(1);
    streams.publish(2);
    for turn in 0..9 {
        // The first has a new frame each time.
        streams.publish(0);
        let index = set.wait(&mut subscribers, soon()).unwrap();
        assert_eq!(index, Some(turn % 3));
        take(&mut subscribers[turn % 3]);
        streams.publish(turn % 3);
    }
}

#[test]
fn a_stream_that_ends_is_followed_though_another_one_is_busy() {
    let mut streams = Streams::new(2);
    let mut subscribers = streams.subscribers();
    let (name, settings) = (streams.0[1].name().clone(), streams.0[1].options().clone());
    drop(streams.0.pop());
    let mut set = WaitSet::new();
    streams.publish(0);
    assert_eq!(set.wait(&mut subscribers, soon()).unwrap(), Some(0));
    let mut successor = Publisher::open(&name, &settings).unwrap();
    successor.loan().unwrap().publish();
    let watchdog = soon();
    // Each call finds a frame of the first, which is not even taken.
    while set.wait(&mut subscribers, soon()).unwrap() == Some(0) {
        assert!(Instant::now() < watchdog, "it is not followed");
    }
    assert_eq!((take(&mut subscribers[1]), subscribers[1].epoch()), (1, 1));
}

#[test]
fn the_successor_of_one_streams_publisher_wakes_the_set() {
    let mut streams = Streams::new(3);
    let [front, rear, imu] = &mut streams.subscribers()[..] else { unreachable!() };
    let (name, mut settings) = (streams.0[1].name().clone(), streams.0[1].options().clone());
    let mut set = WaitSet::new();
    // The same stream goes on, then one of another geometry, then one of the name that begins anew.
    for (capacity, persist, sequence) in [(64, true, 1), (100_000, false, 2), (64, true, 1)] {
        settings.content = Content::Bytes { capacity };
        settings.persist = persist || capacity == 64;
        let rest = streams.0.split_off(1);
        let mut rest = rest.into_iter();
        drop(rest.next());
        let found = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| set.wait(&mut [&mut *front, &mut *rear, &mut *imu], soon()));
            let mut successor = Publisher::open(&name, &settings).unwrap();
            assert_eq!(successor.loan().unwrap().publish(), sequence);
            streams.0.push(successor);
            waiting.join().unwrap()
        });
        streams.0.extend(rest);
        assert_eq!(found.unwrap(), Some(1));
        assert_eq!(take(rear), sequence);
    }
    crate::remove_by_hand(&name);
}

#[test]
fn one_who_spins_makes_the_set_spin() {
    let mut streams = Streams::new(2);
    let mut spinning = subscriber_options();
    spinning.wait = Wait::Spin;
    let mut subscribers =
        [attach(streams.0[0].name()).unwrap(), Subscriber::attach_with(streams.0[1].name(), spinning).unwrap()];
    let mut set = WaitSet::new();
    assert_eq!(set.wait(&mut subscribers, Instant::now() + Duration::from_millis(2)).unwrap(), None);
    for index in [0, 1] {
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| set.wait(&mut subscribers, soon()));
            streams.publish(index);
            assert_eq!(waiting.join().unwrap().unwrap(), Some(index));
        });
        take(&mut subscribers[index]);
    }
}

/// From here on, this thread's futex_waitv says that there is no such call, or that it is forbidden (seccomp(2)).
fn refuse_futex_waitv(errno: i32) {
    let statement = |code, k| libc::sock_filter { code, jt: 0, jf: 0, k };
    let mut program = [
        statement(0x20, 0), // load the number of the call
        libc::sock_filter { code: 0x15, jt: 0, jf: 1, k: libc::SYS_futex_waitv as u32 },
        statement(0x06, libc::SECCOMP_RET_ERRNO | errno as u32),
        statement(0x06, libc::SECCOMP_RET_ALLOW),
    ];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the filter lives through the call, and has the length that is said.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &filter), 0);
        let words: *const u8 = std::ptr::null();
        assert_eq!(libc::syscall(libc::SYS_futex_waitv, words, 0, 0, words, 0), -1);
        assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(errno));
    }
}

#[test]
fn a_kernel_without_futex_waitv_wakes_a_set_too() {
    for errno in [libc::ENOSYS, libc::EPERM] {
        each_wakes(&mut Streams::new(3), (0..100).map(|turn| turn % 3), move || refuse_futex_waitv(errno));
    }
}

#[test]
fn a_set_sleeps_also_without_futex_waitv() {
    let streams = Streams::new(2);
    let mut subscribers = streams.subscribers();
    let sleeps = std::thread::spawn(move || {
        refuse_futex_waitv(libc::ENOSYS);
        assert_eq!(WaitSet::new().wait(&mut subscribers, Instant::now() + Duration::from_millis(30)).unwrap(), None);
        // SAFETY: rusage is plain data, and getrusage fills it.
        unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            assert_eq!(libc::getrusage(libc::RUSAGE_THREAD, &mut usage), 0);
            usage.ru_nvcsw
        }
    });
    assert!(sleeps.join().unwrap() > 0, "it was awake all the time");
}

#[test]
fn an_error_of_a_set_names_the_stream() {
    let mut streams = Streams::new(2);
    let mut subscribers = streams.subscribers();
    let (name, mut settings) = (streams.0[1].name().clone(), streams.0[1].options().clone());
    drop(streams.0.pop());
    settings.max_subscribers = 1;
    let _successor = Publisher::open(&name, &settings).unwrap();
    // Its only place is taken before this subscriber follows.
    let _other = attach(&name).unwrap();
    let error = WaitSet::new().wait(&mut subscribers, soon()).unwrap_err();
    assert!(matches!(&error, AcquireError::Follow { stream, .. } if *stream == name), "{error}");
}
