//! Every frame is accounted for, to every subscriber, with cause and culprit, where all can read it.

use std::time::{Duration, Instant};

use framebus::*;

use crate::common::{TestStream, attach, keep, publish, soon, status, subscriber_options};

/// The fates in a stream's trace, without those who came and went.
fn fates(trace: &mut Trace) -> Vec<(u64, Fate, Option<String>)> {
    let traced = trace.poll().unwrap();
    assert_eq!(traced.lost, 0);
    let lines = traced.events.into_iter();
    let lines = lines.filter(|line| !matches!(line.event.fate, Fate::Began { .. } | Fate::Attached | Fate::Left));
    lines.map(|line| (line.event.sequence, line.event.fate, line.by.map(|by| by.label))).collect()
}

fn trace(stream: &TestStream) -> Trace {
    Trace::open(&crate::backend(), &stream.0)
}

fn with_contract(stream: &TestStream, contract: Contract) -> Subscriber {
    let mut options = subscriber_options();
    (options.contract, options.label) = (contract, "monitor".into());
    Subscriber::attach_with(&stream.0, options).unwrap()
}

#[test]
fn every_frame_that_is_taken_is_measured() {
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|_| {});
    let mut subscriber = stream.subscriber();
    for _ in 0..3 {
        let mut loan = publisher.loan().unwrap();
        loan.set_capture_ns(now_ns() - 40_000_000);
        loan.publish();
        let frame = subscriber.latest().unwrap().unwrap();
        std::thread::sleep(Duration::from_millis(2));
        drop(frame);
    }
    // Seen again, it is no other frame.
    drop(subscriber.latest().unwrap());
    let seen = &status(&stream.0).unwrap().subscribers[0];
    assert_eq!((seen.ages.count(), seen.latencies.count(), seen.holds.count()), (3, 3, 3));
    assert!(seen.ages.quantile_ns(0.5).unwrap() >= 40_000_000, "{:?}", seen.ages);
    assert!(seen.latencies.quantile_ns(0.0) < seen.ages.quantile_ns(0.0));
    assert!(seen.holds.quantile_ns(0.0).unwrap() >= 2_000_000, "{:?}", seen.holds);
    assert_eq!(seen.holds, subscriber.holds());
    assert_eq!(seen.ages, subscriber.ages());
    assert_eq!(seen.latencies, subscriber.latencies());
}

#[test]
fn how_long_a_frame_is_held_is_seen_while_it_is_held() {
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|_| {});
    let mut subscriber = stream.subscriber();
    publish(&mut publisher, 1);
    let held_ns = || status(&stream.0).unwrap().subscribers[0].holder.held_ns;
    assert_eq!(held_ns(), None);
    let frame = subscriber.latest().unwrap();
    std::thread::sleep(Duration::from_millis(5));
    publish(&mut publisher, 2);
    let newer = subscriber.latest().unwrap();
    assert!(held_ns().unwrap() >= 5_000_000, "the older one counts");
    drop(frame);
    assert!(held_ns().unwrap() < 5_000_000_000);
    drop(newer);
    assert_eq!(held_ns(), None);
}

#[test]
fn frames_from_before_a_subscriber_have_an_age_and_no_latency() {
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|_| {});
    publish(&mut publisher, 1);
    std::thread::sleep(Duration::from_millis(3));
    let mut contract = Contract::default();
    contract.max_age = Some(Duration::from_millis(1));
    let mut late = with_contract(&stream, contract);
    assert!(late.latest().unwrap().is_some());
    assert_eq!((late.ages().count(), late.latencies().count()), (1, 0));
    assert_eq!(late.violations().total(), 0, "what was there before it is nobody's fault");
}

#[test]
fn a_refused_frame_names_who_held_slots_and_for_how_long() {
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|options| {
        options.slots = Slots::Exactly(3);
        options.max_held = 2;
    });
    let mut hoarder = stream.subscriber();
    publish(&mut publisher, 1);
    let first = hoarder.latest().unwrap();
    publish(&mut publisher, 2);
    let second = hoarder.latest().unwrap();
    publish(&mut publisher, 3);
    std::thread::sleep(Duration::from_millis(4));
    let mut trace = trace(&stream);
    let refused = publisher.loan().map(drop).unwrap_err();
    let LoanError::Held { holders, .. } = &refused else { panic!("{refused}") };
    assert!(holders[0].held_ns.unwrap() >= 4_000_000, "{refused}");
    assert!(refused.to_string().contains("holding a frame for"), "{refused}");

    let seen = &status(&stream.0).unwrap().subscribers[0];
    assert_eq!((seen.held, seen.blamed), (2, 1));
    assert!(seen.blamed_held_ns >= 4_000_000);
    let told = trace.poll().unwrap().events;
    let line = told.iter().find(|line| line.event.fate.name() == "held").unwrap();
    assert_eq!((line.event.sequence, &line.by), (4, &None), "the number that it would have had; told by the publisher");
    assert_eq!(line.culprits.len(), 1);
    assert_eq!(line.culprits[0].pid, Some(std::process::id()));
    assert!(
        matches!(&line.event.fate, Fate::Held { culprits, held_ns, .. }
        if *culprits == [0] && *held_ns >= 4_000_000),
        "{line:?}"
    );
    drop((first, second));
}

#[test]
fn skipped_and_missed_frames_are_told_by_who_lost_them() {
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|options| options.history = 2);
    let mut options = subscriber_options();
    options.label = "slow".into();
    let mut slow = Subscriber::attach_with(&stream.0, options).unwrap();
    let mut trace = trace(&stream);
    let pace = || std::thread::sleep(Duration::from_millis(1));
    publish(&mut publisher, 1);
    drop(slow.latest().unwrap());
    (2..=5).for_each(|byte| keep(publish(&mut publisher, byte)));
    pace();
    publish(&mut publisher, 6);
    drop(slow.latest().unwrap());
    (7..=10).for_each(|byte| keep(publish(&mut publisher, byte)));
    pace();
    publish(&mut publisher, 11);
    drop(slow.next().unwrap());
    drop(slow.next().unwrap());
    let slow_one = || Some("slow".to_owned());
    let expected = [(5, Fate::Skipped { frames: 4 }, slow_one()), (9, Fate::Missed { frames: 3 }, slow_one())];
    assert_eq!(fates(&mut trace), expected);
    assert_eq!(fates(&mut trace), [], "told once");
}

#[test]
fn late_and_abandoned_frames_are_told_by_the_publisher() {
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|_| {});
    let mut trace = trace(&stream);
    publish(&mut publisher, 1);
    publisher.count_late(3, Duration::from_millis(7));
    drop(publisher.loan().unwrap());
    publisher.loan().unwrap().discard();
    let expected = [(1, Fate::Late { by_ns: 7_000_000, frames: 3 }, None), (2, Fate::Abandoned, None)];
    assert_eq!(fates(&mut trace), expected);
    assert_eq!((publisher.counters().late, publisher.counters().abandoned), (3, 1));
}

#[test]
fn a_trace_says_who_came_and_went() {
    let stream = TestStream::new();
    let mut trace = trace(&stream);
    assert_eq!(trace.poll().unwrap(), Traced::default());
    assert!(!trace.is_there());
    let names = |trace: &mut Trace| -> Vec<&'static str> {
        trace.poll().unwrap().events.iter().map(|line| line.event.fate.name()).collect()
    };
    let publisher = stream.publisher(|options| options.persist = true);
    assert_eq!(names(&mut trace), ["began"]);
    let subscriber = stream.subscriber();
    assert_eq!(names(&mut trace), ["attached"]);
    drop(subscriber);
    assert_eq!(names(&mut trace), ["left"]);
    drop(publisher);
    assert_eq!(names(&mut trace), ["gone"]);
    let publisher = stream.publisher(|_| {});
    assert_eq!(names(&mut trace), ["began"]);
    drop(publisher);
    assert_eq!(names(&mut trace), ["closed"]);
    assert!(names(&mut trace).is_empty());
}

#[test]
fn a_trace_goes_on_over_a_new_epoch_and_counts_what_it_was_too_slow_for() {
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|options| options.persist = true);
    let mut trace = trace(&stream);
    assert_eq!(trace.poll().unwrap().events.len(), 1, "the beginning");
    publish(&mut publisher, 1);
    (0..40).for_each(|_| publisher.count_late(1, Duration::from_millis(1)));
    let traced = trace.poll().unwrap();
    assert_eq!(traced.events.len() as u64 + traced.lost, 40);
    assert!(traced.lost >= 9, "{}", traced.lost);
    publisher.count_late(1, Duration::from_millis(2));
    drop(publisher);
    let mut publisher = stream.publisher(|options| options.history = 3);
    publish(&mut publisher, 2);
    publisher.count_late(1, Duration::from_millis(3));
    let late = |(sequence, fate, _): (u64, Fate, _)| matches!(fate, Fate::Late { .. }).then_some(sequence);
    let told: Vec<u64> = fates(&mut trace).into_iter().filter_map(late).collect();
    assert_eq!(told, [1, 2]);
}

#[test]
fn a_contract_counts_frames_that_are_too_old() {
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|_| {});
    let mut contract = Contract::default();
    contract.max_age = Some(Duration::from_millis(50));
    let mut monitor = with_contract(&stream, contract);
    for age_ms in [0, 60, 10, 70] {
        let mut loan = publisher.loan().unwrap();
        loan.set_capture_ns(now_ns() - age_ms * 1_000_000);
        loan.publish();
        drop(monitor.latest().unwrap().unwrap());
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!((monitor.violations().too_old, monitor.violations().total()), (2, 2));
    let seen = &status(&stream.0).unwrap().subscribers[0];
    assert_eq!((seen.contract, seen.violations), (contract, monitor.violations()));
    let told = fates(&mut trace(&stream));
    assert_eq!(told.iter().map(|(sequence, ..)| *sequence).collect::<Vec<_>>(), [2, 4]);
    assert!(told.iter().all(|(_, fate, by)| fate.is_violation() && by.as_deref() == Some("monitor")), "{told:?}");
}

#[test]
fn a_contract_counts_seconds_in_which_too_many_were_lost() {
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|_| {});
    let mut contract = Contract::default();
    contract.max_skipped_per_s = Some(2);
    let mut monitor = with_contract(&stream, contract);
    let mut lose = |frames: u8| {
        (0..=frames).for_each(|byte| {
            publish(&mut publisher, byte);
        });
        std::thread::sleep(Duration::from_millis(1));
        publish(&mut publisher, 0);
        drop(monitor.latest().unwrap().unwrap());
        monitor.violations().too_many_skipped
    };
    // The first acquisition has no claim to what was before it.
    assert_eq!(lose(4), 0);
    assert_eq!(lose(0), 0, "one, and the limit is 2");
    assert_eq!(lose(2), 1);
    assert_eq!(lose(9), 1, "once a second");
}

#[test]
fn a_stream_that_stands_still_is_stale() {
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|_| {});
    let mut contract = Contract::default();
    contract.max_age = Some(Duration::from_millis(200));
    let mut monitor = with_contract(&stream, contract);
    let until_stale = |monitor: &mut Subscriber| {
        let watchdog = Instant::now() + Duration::from_secs(30);
        while !monitor.is_stale() {
            assert!(Instant::now() < watchdog);
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    until_stale(&mut monitor);
    publish(&mut publisher, 1);
    drop(monitor.latest().unwrap());
    assert_eq!(monitor.violations().stale, 1, "no frame at all");
    until_stale(&mut monitor);
    assert_eq!(monitor.violations().stale, 2);
    assert!(!attach(&stream.0).unwrap().is_stale(), "without a contract nothing is");
}

#[test]
fn what_was_counted_goes_on_in_a_new_epoch() {
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|options| options.persist = true);
    let mut contract = Contract::default();
    contract.max_age = Some(Duration::from_millis(50));
    let mut monitor = with_contract(&stream, contract);
    let old = |publisher: &mut Publisher| {
        let mut loan = publisher.loan().unwrap();
        loan.set_capture_ns(now_ns() - 60_000_000);
        loan.publish();
    };
    old(&mut publisher);
    drop(monitor.latest().unwrap().unwrap());
    drop(publisher);
    let mut publisher = stream.publisher(|options| options.history = 5);
    std::thread::sleep(Duration::from_millis(1));
    old(&mut publisher);
    drop(monitor.latest().unwrap().unwrap());
    assert_eq!(monitor.epoch(), 1);
    assert_eq!((monitor.ages().count(), monitor.holds().count(), monitor.violations().too_old), (2, 2, 2));
    assert_eq!(status(&stream.0).unwrap().subscribers[0].violations.too_old, 2);
    drop(monitor);
    let fresh = stream.subscriber();
    assert_eq!((fresh.ages().count(), fresh.violations().total()), (0, 0), "the place's next holder begins anew");
}

#[test]
fn a_stuck_lossless_subscriber_is_evicted_named_and_told() {
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|options| {
        options.history = 2;
        options.on_full = OnFull::Wait(Duration::from_millis(30));
    });
    let mut trace = trace(&stream);
    let mut options = subscriber_options();
    (options.lossless, options.label) = (true, "recorder".into());
    let mut stuck = Subscriber::attach_with(&stream.0, options).unwrap();
    publish(&mut publisher, 1);
    let held = stuck.next().unwrap().unwrap();
    let begun = Instant::now();
    (2..=9).for_each(|byte| keep(publish(&mut publisher, byte)));
    assert!(begun.elapsed() >= Duration::from_millis(30), "it was waited for");
    assert_eq!(held[0], 1, "what it holds stays");
    let evicted = publisher.take_evicted();
    assert_eq!((evicted.len(), evicted[0].label.as_str()), (1, "recorder"));
    assert!(publisher.take_evicted().is_empty());
    assert_eq!((publisher.counters().evicted, publisher.counters().refused), (1, 0));
    assert!(!status(&stream.0).unwrap().subscribers[0].lossless);

    assert!(matches!(stuck.next(), Err(AcquireError::Evicted { behind: 8, .. })), "told once");
    assert!(!stuck.is_lossless());
    assert_eq!(stuck.next().unwrap().unwrap()[0], 8, "the oldest that is there");
    assert_eq!(stuck.counters().missed, 6);

    stuck.be_lossless();
    assert!(stuck.is_lossless());
    std::thread::scope(|scope| {
        scope.spawn(|| (10..200).for_each(|byte| keep(publish(&mut publisher, byte))));
        for byte in 9..200 {
            assert!(stuck.wait(soon()).unwrap());
            assert_eq!(stuck.next().unwrap().unwrap()[0], byte, "waited for again");
        }
    });
    let told = fates(&mut trace);
    let names: Vec<&str> = told.iter().map(|(_, fate, _)| fate.name()).collect();
    assert_eq!(names, ["evicted", "was_evicted", "missed"], "{told:?}");
    assert!(matches!(told[0], (4, Fate::Evicted { place: 0, behind: 2, .. }, None)), "{told:?}");
}

#[test]
fn a_reader_in_time_is_not_evicted_with_one_that_is_stuck() {
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|options| options.on_full = OnFull::Wait(Duration::from_millis(30)));
    let stuck = stream.lossless();
    let mut good = stream.lossless();
    for byte in 1..=5 {
        publish(&mut publisher, byte);
        assert_eq!(good.next().unwrap().unwrap()[0], byte);
    }
    assert!(good.is_lossless());
    assert_eq!((good.counters().missed, publisher.counters().evicted), (0, 1));
    drop(stuck);
}

#[test]
fn the_same_stuck_reader_is_waited_for_once_until_it_asks_again() {
    let stream = TestStream::new();
    let patience = Duration::from_millis(60);
    let mut publisher = stream.publisher(|options| options.on_full = OnFull::Wait(patience));
    let mut stuck = stream.lossless();
    (0..200).for_each(|byte| keep(publish(&mut publisher, byte)));
    let counters = publisher.counters();
    assert_eq!((counters.waits, counters.evicted, counters.refused), (1, 1, 0));
    assert!(Duration::from_nanos(counters.waited_ns) >= patience);
    assert!(matches!(stuck.next(), Err(AcquireError::Evicted { behind: 200, .. })));
    (0..200).for_each(|byte| keep(publish(&mut publisher, byte)));
    assert_eq!(publisher.counters().waits, 1, "it was told, and has not asked to be waited for");
    stuck.be_lossless();
    (0..200).for_each(|byte| keep(publish(&mut publisher, byte)));
    assert_eq!((publisher.counters().waits, publisher.counters().evicted), (2, 2), "once for each time that it asks");
    assert_eq!(publisher.take_evicted().len(), 2);
}

#[test]
fn with_the_policy_to_refuse_each_frame_waits_and_the_stuck_reader_keeps_all() {
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|options| {
        options.on_full = OnFull::Wait(Duration::from_millis(10));
        options.on_stuck = OnStuck::Refuse;
    });
    let mut stuck = stream.lossless();
    publish(&mut publisher, 1);
    for refused in 1..=3 {
        assert!(matches!(publisher.loan(), Err(LoanError::Unread { .. })));
        assert_eq!((publisher.counters().refused, publisher.counters().waits), (refused, refused));
    }
    assert_eq!(status(&stream.0).unwrap().subscribers[0].blamed, 3);
    assert_eq!(stuck.next().unwrap().unwrap()[0], 1);
    publish(&mut publisher, 2);
    assert_eq!(stuck.next().unwrap().unwrap()[0], 2);
    assert_eq!((stuck.counters().missed, publisher.counters().evicted), (0, 0));
}

#[test]
fn a_wait_that_is_given_up_counts_as_a_wait_and_the_frame_as_nothing() {
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|options| {
        options.history = 1;
        options.on_full = OnFull::Wait(Duration::from_secs(3600));
    });
    let mut options = subscriber_options();
    options.lossless = true;
    let mut stuck = Subscriber::attach_with(&stream.0, options).unwrap();
    publish(&mut publisher, 1);
    // Asked a few times first, so it sleeps in between.
    let asked = std::cell::Cell::new(0);
    let stop = || {
        asked.set(asked.get() + 1);
        asked.get() > 2
    };
    let begun = Instant::now();
    let error = publisher.loan_unless(stop).map(drop).unwrap_err();
    let LoanError::Stopped { waited, .. } = &error else { panic!("{error}") };
    assert!(*waited >= Duration::from_millis(150) && *waited <= begun.elapsed(), "{waited:?}");
    let counters = publisher.counters();
    assert_eq!((counters.waits, counters.refused, counters.evicted, counters.abandoned), (1, 0, 0, 0));
    assert_eq!(u128::from(counters.waited_ns), waited.as_nanos());
    assert!(publisher.take_evicted().is_empty());
    // Nothing is lost: the frame comes as soon as there is room, and nobody is asked where nobody waits.
    assert_eq!(stuck.next().unwrap().unwrap()[0], 1);
    assert_eq!(publisher.loan_unless(|| unreachable!()).unwrap().publish(), 2);
}

#[test]
fn who_may_be_stopped_waits_no_shorter_for_that() {
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|options| {
        options.history = 1;
        options.on_full = OnFull::Wait(Duration::from_millis(250));
        options.on_stuck = OnStuck::Refuse;
    });
    let mut options = subscriber_options();
    options.lossless = true;
    let _stuck = Subscriber::attach_with(&stream.0, options).unwrap();
    publish(&mut publisher, 1);
    let error = publisher.loan_unless(|| false).map(drop).unwrap_err();
    let LoanError::Unread { waited, .. } = &error else { panic!("{error}") };
    assert!(*waited >= Duration::from_millis(250), "{waited:?}");
    assert_eq!((publisher.counters().waits, publisher.counters().refused), (1, 1), "one wait in several sleeps");
}
