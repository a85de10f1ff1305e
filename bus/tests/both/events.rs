//! Descriptors for event loops: readable while there is a newer frame.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use framebus::*;

use crate::common::{attach, options};
use crate::fork::in_a_child;

fn name() -> StreamName {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let bus = format!("test-{}-events-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    StreamName::new(&bus, "front").unwrap()
}

fn publisher(name: &StreamName, change: impl FnOnce(&mut StreamOptions)) -> Publisher {
    let mut settings = options(Content::Bytes { capacity: 64 });
    change(&mut settings);
    Publisher::open(name, &settings).unwrap()
}

fn watched(name: &StreamName) -> EventSubscriber {
    EventSubscriber::new(attach(name).unwrap()).unwrap()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn sequence(frame: Result<Option<Frame>, AcquireError>) -> Option<u64> {
    frame.unwrap().map(|frame| frame.info().sequence)
}

/// An epoll(7) instance, level-triggered.
struct Epoll(OwnedFd);

impl Epoll {
    fn of<'a>(subscribers: impl IntoIterator<Item = &'a EventSubscriber>) -> Self {
        // SAFETY: the descriptor is new; the event lives through the call.
        unsafe {
            let epoll = Self(OwnedFd::from_raw_fd(libc::epoll_create1(libc::EPOLL_CLOEXEC)));
            for (index, subscriber) in subscribers.into_iter().enumerate() {
                let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: index as u64 };
                let (epoll, fd) = (epoll.0.as_raw_fd(), subscriber.as_raw_fd());
                assert_eq!(libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &mut event), 0);
            }
            epoll
        }
    }

    /// One that is readable within `timeout`.
    fn wait(&self, timeout: Duration) -> Option<usize> {
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        // SAFETY: room for one event, which is what is said.
        let count = unsafe { libc::epoll_wait(self.0.as_raw_fd(), &mut event, 1, timeout.as_millis() as i32) };
        (count == 1).then_some(event.u64 as usize)
    }

    fn is_readable(&self) -> bool {
        self.wait(Duration::ZERO).is_some()
    }

    fn becomes_readable(&self) -> bool {
        self.wait(Duration::from_secs(20)).is_some()
    }
}

#[test]
fn a_descriptor_is_readable_as_long_as_there_is_a_newer_frame() {
    let name = name();
    let mut publisher = publisher(&name, |options| options.history = 8);
    let mut subscriber = watched(&name);
    let epoll = Epoll::of([&subscriber]);
    assert!(!epoll.is_readable(), "there is no frame");
    assert_eq!(sequence(subscriber.try_latest()), None);
    publisher.loan().unwrap().publish();
    assert!(epoll.becomes_readable() && epoll.is_readable(), "nobody has taken it");
    assert_eq!(sequence(subscriber.try_latest()), Some(1));
    assert!(!epoll.is_readable(), "it was taken");
    assert_eq!(sequence(subscriber.try_latest()), None, "nothing newer");
    for _ in 0..3 {
        publisher.loan().unwrap().publish();
    }
    assert!(epoll.becomes_readable());
    for expected in 2..=4 {
        assert!(epoll.is_readable(), "there is another one");
        assert_eq!(sequence(subscriber.try_next()), Some(expected));
    }
    assert!(!epoll.is_readable(), "all were taken");
    // One that was there before.
    publisher.loan().unwrap().publish();
    let mut late = watched(&name);
    assert!(Epoll::of([&late]).becomes_readable());
    assert_eq!(sequence(late.try_latest()), Some(5));
}

#[test]
fn a_frame_that_can_not_be_taken_keeps_the_descriptor_readable() {
    let name = name();
    let mut publisher = publisher(&name, |options| options.max_held = 1);
    let mut subscriber = watched(&name);
    let epoll = Epoll::of([&subscriber]);
    publisher.loan().unwrap().publish();
    let held = subscriber.try_latest().unwrap().unwrap();
    publisher.loan().unwrap().publish();
    assert!(epoll.becomes_readable());
    assert!(matches!(subscriber.try_latest(), Err(AcquireError::AllHeld { .. })));
    assert!(epoll.is_readable());
    drop(held);
    assert_eq!(sequence(subscriber.try_latest()), Some(2));
    assert!(!epoll.is_readable());
}

/// Publishes on each of many streams, and waits for their descriptors.
fn each_makes_its_descriptor_readable(count: usize, rounds: u64) {
    let name = name();
    let stream = |index| StreamName::new(name.bus(), &format!("s{index}")).unwrap();
    let few = |options: &mut StreamOptions| (options.max_subscribers, options.prefault) = (1, Prefault::Off);
    let mut publishers: Vec<_> = (0..count).map(|index| publisher(&stream(index), few)).collect();
    let mut subscribers: Vec<_> = (0..count).map(|index| watched(&stream(index))).collect();
    let epoll = Epoll::of(&subscribers);
    // Who is not woken looks after 100 ms: with enough frames the watchdog tells.
    let watchdog = soon();
    for round in 1..=rounds {
        for index in 0..count {
            publishers[index].loan().unwrap().publish();
            assert_eq!(epoll.wait(Duration::from_secs(20)), Some(index));
            assert_eq!(sequence(subscribers[index].try_latest()), Some(round));
            assert!(Instant::now() < watchdog, "the helper is not woken");
        }
    }
}

#[test]
fn each_of_three_streams_makes_its_descriptor_readable() {
    each_makes_its_descriptor_readable(3, 300);
}

#[test]
fn each_of_two_hundred_streams_makes_its_descriptor_readable() {
    each_makes_its_descriptor_readable(200, 2);
}

#[test]
fn a_slow_subscriber_is_told_again_once_it_has_caught_up() {
    let name = name();
    let mut publisher = publisher(&name, |_| {});
    let mut subscriber = watched(&name);
    let epoll = Epoll::of([&subscriber]);
    let watchdog = soon();
    for round in 1..=300 {
        // The helper sleeps on the stream for one more frame than it tells of, and then no more.
        (0..3).for_each(|_| {
            publisher.loan().unwrap().publish();
            assert!(epoll.becomes_readable());
            std::thread::yield_now();
        });
        assert_eq!(sequence(subscriber.try_latest()), Some(3 * round));
        assert!(!epoll.is_readable());
        assert!(Instant::now() < watchdog, "the helper is not woken");
    }
}

/// A stream by which one knows that the helper has looked at all of them.
struct Barrier {
    publisher: Publisher,
    subscriber: EventSubscriber,
}

impl Barrier {
    fn new() -> Self {
        let name = name();
        Self { publisher: publisher(&name, |_| {}), subscriber: watched(&name) }
    }

    /// Behind this, whatever the helper had to tell it has told.
    fn pass(&mut self) {
        // It may have looked at the others first.
        for _ in 0..2 {
            self.publisher.loan().unwrap().publish();
            assert!(Epoll::of([&self.subscriber]).becomes_readable());
            self.subscriber.try_latest().unwrap();
        }
    }
}

#[test]
fn a_descriptor_tells_of_a_streams_end_and_of_its_successors() {
    let name = name();
    let mut first = publisher(&name, |_| {});
    let mut subscriber = watched(&name);
    let mut barrier = Barrier::new();
    let epoll = Epoll::of([&subscriber]);
    first.loan().unwrap().publish();
    // Its last frame is still to be taken.
    drop(first);
    assert!(epoll.becomes_readable());
    assert_eq!(sequence(subscriber.try_latest()), Some(1));
    assert!(epoll.becomes_readable(), "the end");
    assert_eq!(sequence(subscriber.try_latest()), None);
    assert_eq!(subscriber.subscriber().publisher(), PublisherState::Closed);
    barrier.pass();
    assert!(!epoll.is_readable(), "the end is told once");

    let next = |subscriber: &mut EventSubscriber, expected| {
        let watchdog = soon();
        loop {
            assert!(epoll.becomes_readable() && Instant::now() < watchdog);
            if let Some(found) = sequence(subscriber.try_latest()) {
                return assert_eq!(found, expected);
            }
        }
    };
    let mut second = publisher(&name, |options| options.persist = true);
    second.loan().unwrap().publish();
    next(&mut subscriber, 1);
    drop(second);
    // The same geometry: no new epoch. Then another one.
    let mut third = publisher(&name, |options| options.persist = true);
    third.loan().unwrap().publish();
    next(&mut subscriber, 2);
    drop(third);
    let larger = |options: &mut StreamOptions| options.content = Content::Bytes { capacity: 100_000 };
    let mut fourth = publisher(&name, |options| {
        larger(options);
        options.persist = true;
    });
    fourth.loan().unwrap().publish();
    next(&mut subscriber, 3);
    assert_eq!(subscriber.subscriber().epoch(), 2);
    // Who watched the old one would find the new one again every few ms.
    for _ in 0..200 {
        barrier.pass();
        assert!(!epoll.is_readable(), "the helper watches the new epoch");
    }
    // And one that was removed when nobody was there to say so.
    drop(fourth);
    crate::remove_by_hand(&name);
    let mut fifth = publisher(&name, larger);
    fifth.loan().unwrap().publish();
    next(&mut subscriber, 1);
}

#[test]
fn a_subscriber_comes_back_from_the_event_loop_and_its_place_is_free_at_once_when_it_goes() {
    let name = name();
    let mut publisher = publisher(&name, |_| {});
    for round in 1..=50 {
        let mut subscriber = watched(&name).into_subscriber();
        publisher.loan().unwrap().publish();
        assert!(subscriber.wait(soon()).unwrap());
        assert_eq!(sequence(subscriber.latest()), Some(round));
        let again = EventSubscriber::new(subscriber).unwrap();
        assert_eq!(publisher.subscribers(), 1);
        drop(again);
        assert_eq!(publisher.subscribers(), 0);
    }
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

#[test]
fn the_helper_is_there_only_while_somebody_uses_it() {
    let name = name();
    let mut publisher = publisher(&name, |_| {});
    publisher.loan().unwrap().publish();
    // Of a forked process, in which no other test runs.
    let answer = in_a_child(|| {
        let mut answer = u8::from(threads() == 1);
        let subscribers = [watched(&name), watched(&name)];
        answer |= u8::from(Epoll::of(&subscribers).becomes_readable()) << 1;
        answer |= u8::from(threads() == 2) << 2;
        drop(subscribers);
        let watchdog = soon();
        while threads() != 1 && Instant::now() < watchdog {
            std::thread::yield_now();
        }
        answer |= u8::from(threads() == 1) << 3;
        let again = watched(&name);
        answer | u8::from(Epoll::of([&again]).becomes_readable()) << 4
    });
    assert_eq!(answer, 0b1_1111);
}

/// How often the helper has gone to sleep.
fn sleeps_of_the_helper() -> u64 {
    let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let of = |path: std::path::PathBuf| std::fs::read_to_string(path).unwrap_or_default();
    let helper = threads.map(|thread| thread.path()).find(|path| of(path.join("comm")).trim() == "framebus-helper");
    let status = of(helper.unwrap().join("status"));
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.unwrap().trim().parse().unwrap()
}

#[test]
fn a_publisher_that_is_faster_than_its_subscriber_does_not_keep_the_helper_busy() {
    let name = name();
    // Of a forked process, in which no other test has a helper.
    let answer = in_a_child(|| {
        let mut publisher = publisher(&name, |_| {});
        let mut subscriber = watched(&name);
        let epoll = Epoll::of([&subscriber]);
        publisher.loan().unwrap().publish();
        let mut answer = u8::from(epoll.becomes_readable());
        let before = sleeps_of_the_helper();
        for _ in 0..200_000 {
            publisher.loan().unwrap().publish();
            std::thread::yield_now();
        }
        // One for the second frame; and all 100 ms it looks anyway.
        answer |= u8::from(sleeps_of_the_helper() - before < 500) << 1;
        answer | u8::from(sequence(subscriber.try_latest()) == Some(200_001)) << 2
    });
    assert_eq!(answer, 0b111);
}

#[test]
fn a_forked_child_can_not_use_the_descriptor_and_takes_nothing_from_the_parent() {
    let name = name();
    let mut publisher = publisher(&name, |_| {});
    let mut handles = Some((watched(&name), attach(&name).unwrap()));
    let epoll = Epoll::of([&handles.as_ref().unwrap().0]);
    publisher.loan().unwrap().publish();
    assert!(epoll.becomes_readable());
    let answer = in_a_child(|| {
        let (mut subscriber, plain) = handles.take().unwrap();
        let mut answer = u8::from(matches!(subscriber.try_latest(), Err(AcquireError::Forked { .. })));
        answer |= u8::from(matches!(EventSubscriber::new(plain), Err(WatchError::Forked { .. }))) << 1;
        drop(subscriber);
        let mut own = watched(&name);
        let readable = Epoll::of([&own]).becomes_readable();
        answer | u8::from(readable && sequence(own.try_latest()) == Some(1)) << 2
    });
    assert_eq!(answer, 0b111);
    assert!(epoll.is_readable(), "the child has not read the parent's eventfd");
    let mut subscriber = handles.take().unwrap().0;
    assert_eq!(sequence(subscriber.try_latest()), Some(1));
    publisher.loan().unwrap().publish();
    assert!(epoll.becomes_readable());
    assert_eq!(sequence(subscriber.try_latest()), Some(2));
}
