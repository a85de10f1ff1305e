//! `Wait::Predict`, with real clocks: what it foretells is told by the tests of `wait/predict.rs`, without any.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use framebus::*;

use crate::common::{options, subscriber_options};

const WATCHDOG: Duration = Duration::from_secs(60);
const PERIOD: Duration = Duration::from_millis(5);

fn publisher(test: &str, rate: Option<Rate>) -> Publisher {
    let name = StreamName::new(&format!("test-{}-predict-{test}", std::process::id()), "front").unwrap();
    let mut settings = options(Content::Bytes { capacity: 64 });
    settings.rate = rate;
    Publisher::open(&name, &settings).unwrap()
}

fn attach(publisher: &Publisher, spin_budget_percent: f32) -> Subscriber {
    let mut settings = subscriber_options();
    (settings.wait, settings.spin_budget_percent) = (Wait::Predict, spin_budget_percent);
    Subscriber::attach_with(publisher.name(), settings).unwrap()
}

/// Publishes each period until it is told to stop.
fn keep_the_rate(mut publisher: Publisher, stop: &AtomicBool) {
    let mut due = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        due += PERIOD;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        publisher.loan().unwrap().publish();
    }
}

/// Stops, also where the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Takes frames until so many have been met; the budget is large, because the machine may be busy.
fn meet(test: &str, rate: Option<Rate>) {
    let publisher = publisher(test, rate);
    let (mut subscriber, stop) = (attach(&publisher, 50.0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| keep_the_rate(publisher, &stop));
        let _stop = Stop(&stop);
        let watchdog = Instant::now() + WATCHDOG;
        let mut last = 0;
        while subscriber.predictions().hit < 20 {
            assert!(subscriber.wait(watchdog).unwrap(), "{:?}", subscriber.predictions());
            let sequence = subscriber.latest().unwrap().unwrap().info().sequence;
            assert!(sequence > last, "waiting ends with a newer frame");
            last = sequence;
        }
        // All that were met but the last have been paid for.
        assert!(subscriber.predictions().spun_ns > 0);
    });
}

#[test]
fn frames_of_a_nominal_rate_are_met() {
    meet("nominal", Rate::new(200, 1));
}

#[test]
fn frames_of_a_rate_that_nobody_told_are_met() {
    meet("unknown", None);
}

#[test]
fn a_wait_set_meets_frames_of_several_streams() {
    let publishers = ["set-a", "set-b"].map(|test| publisher(test, Rate::new(200, 1)));
    let mut subscribers = [0, 1].map(|index: usize| attach(&publishers[index], 50.0));
    let (stop, mut set) = (AtomicBool::new(false), WaitSet::new());
    std::thread::scope(|scope| {
        for publisher in publishers {
            scope.spawn(|| keep_the_rate(publisher, &stop));
        }
        let _stop = Stop(&stop);
        let watchdog = Instant::now() + WATCHDOG;
        while subscribers.iter().any(|subscriber| subscriber.predictions().hit < 5) {
            let index = set.wait(&mut subscribers, watchdog).unwrap();
            let index = index.unwrap_or_else(|| panic!("{:?}", subscribers.each_ref().map(Subscriber::predictions)));
            subscribers[index].latest().unwrap().unwrap();
        }
    });
}

#[test]
fn a_stream_that_stands_still_is_slept_for_until_the_deadline() {
    let mut publisher = publisher("still", Rate::new(200, 1));
    let mut subscriber = attach(&publisher, 2.0);
    for _ in 0..20 {
        publisher.loan().unwrap().publish();
        subscriber.latest().unwrap().unwrap();
        std::thread::sleep(PERIOD);
    }
    assert!(!subscriber.wait(Instant::now() + 20 * PERIOD).unwrap());
    let counters = subscriber.predictions();
    assert!(counters.hit + counters.late + counters.early <= 1, "one frame is tried once: {counters:?}");
    publisher.loan().unwrap().publish();
    assert!(subscriber.wait(Instant::now() + WATCHDOG).unwrap());
}

#[test]
fn what_a_subscriber_rehearses_is_not_counted_and_disturbs_nothing() {
    let publisher = publisher("rehearsal", Rate::new(200, 1));
    let (mut subscriber, stop) = (attach(&publisher, 50.0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| keep_the_rate(publisher, &stop));
        let _stop = Stop(&stop);
        let watchdog = Instant::now() + WATCHDOG;
        let mut held = std::collections::VecDeque::new();
        let mut taken = 0;
        while subscriber.predictions().hit < 20 {
            assert!(subscriber.wait(watchdog).unwrap(), "{:?}", subscriber.predictions());
            // First it has a pin to rehearse with; then it holds all that it may, and has none.
            held.truncate(usize::from(subscriber.predictions().hit >= 10));
            held.push_front(subscriber.latest().unwrap().unwrap());
            taken += 1;
            assert_eq!(subscriber.held(), held.len());
        }
        let counters = subscriber.counters();
        assert_eq!((counters.seen, counters.refused), (taken, 0));
    });
}
