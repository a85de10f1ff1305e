//! One process, a real stream: what publisher and subscriber promise each other.

use std::time::{Duration, Instant};

use framebus::*;

use crate::common::{TestStream, attach, keep, options, publish, soon, status, subscriber_options};

#[test]
fn the_latest_frame_is_read_in_place() {
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|_| {});
    let mut subscriber = stream.subscriber();
    assert!(subscriber.latest().unwrap().is_none(), "nothing was published");
    publish(&mut publisher, 1);
    publish(&mut publisher, 2);
    let frame = subscriber.latest().unwrap().unwrap();
    assert_eq!(frame.info().sequence, 2);
    assert_eq!(*frame, [2; 64]);
    let memory = subscriber.frames_memory();
    assert!(memory.contains(&frame.as_ptr()), "the slice lies in the attached segment");
    assert!(memory.contains(&frame.last_chunk::<1>().unwrap().as_ptr()));
}

#[test]
fn a_held_frame_never_changes_and_never_stops_the_publisher() {
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|options| options.max_subscribers = 2);
    let (mut one, mut two) = (stream.subscriber(), stream.subscriber());
    publish(&mut publisher, 200);
    let held = one.latest().unwrap().unwrap();
    for byte in 0..100 {
        publish(&mut publisher, byte);
        assert_eq!(two.latest().unwrap().unwrap()[0], byte);
        assert_eq!(*held, [200; 64]);
    }
    assert_eq!(publisher.counters().refused, 0);
}

#[test]
fn frames_are_accounted_for() {
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|options| options.history = 4);
    let (mut latest, mut every) = (stream.subscriber(), stream.subscriber());
    publish(&mut publisher, 0);
    latest.latest().unwrap();
    every.next().unwrap();
    (0..4).for_each(|_| keep(publish(&mut publisher, 0)));
    latest.latest().unwrap();
    assert_eq!(latest.counters().skipped, 3, "2, 3 and 4");
    for sequence in 2..=5 {
        assert_eq!(every.next().unwrap().unwrap().info().sequence, sequence);
    }
    assert!(every.next().unwrap().is_none());
    assert_eq!((every.counters().seen, every.counters().missed), (5, 0));
    (0..10).for_each(|_| keep(publish(&mut publisher, 0)));
    assert_eq!(every.next().unwrap().unwrap().info().sequence, 12, "the oldest of the window");
    assert_eq!(every.counters().missed, 6, "6 to 11");
    drop(publisher.loan().unwrap());
    assert_eq!(publisher.counters().abandoned, 1);
    assert_eq!(publish(&mut publisher, 0), 16, "an abandoned loan uses no sequence");
    publisher.loan().unwrap().discard();
    assert_eq!(publisher.counters().abandoned, 1);
    assert_eq!(publish(&mut publisher, 0), 17, "nor does one that is given back");
}

#[test]
fn one_more_than_may_be_held_is_refused_and_costs_nothing() {
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|_| {});
    let mut subscriber = stream.subscriber();
    publish(&mut publisher, 1);
    let first = subscriber.latest().unwrap().unwrap();
    publish(&mut publisher, 2);
    let second = subscriber.latest().unwrap().unwrap();
    assert_eq!(subscriber.held(), 2);
    publish(&mut publisher, 3);
    let refused = subscriber.latest().unwrap_err();
    assert!(matches!(refused, AcquireError::AllHeld { max_held: 2, .. }), "{refused}");
    assert_eq!((first[0], second[0]), (1, 2));
    drop(first);
    assert_eq!(subscriber.latest().unwrap().unwrap()[0], 3);
    assert_eq!(subscriber.counters().refused, 1);
}

#[test]
fn a_triple_buffer_refuses_and_names_who_holds_its_slots() {
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|options| options.slots = Slots::Exactly(3));
    let mut options = subscriber_options();
    options.label = "hoarder".to_owned();
    let mut hoarder = Subscriber::attach_with(&stream.0, options).unwrap();
    publish(&mut publisher, 1);
    let first = hoarder.latest().unwrap().unwrap();
    publish(&mut publisher, 2);
    let second = hoarder.latest().unwrap().unwrap();
    publish(&mut publisher, 3);
    let refused = publisher.loan().map(drop).unwrap_err();
    let LoanError::Held { holders, .. } = &refused else { panic!("{refused}") };
    assert_eq!((holders.len(), holders[0].label.as_str()), (1, "hoarder"));
    assert_eq!(holders[0].pid, Some(std::process::id()));
    assert_eq!((first[0], second[0]), (1, 2));
    drop(second);
    publish(&mut publisher, 4);
    assert_eq!(publisher.counters().refused, 1);
}

#[test]
fn a_waiting_publisher_goes_on_when_a_frame_is_let_go() {
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|options| {
        options.slots = Slots::Exactly(3);
        options.on_full = OnFull::Wait(Duration::from_secs(20));
    });
    let mut subscriber = stream.subscriber();
    publish(&mut publisher, 1);
    let first = subscriber.latest().unwrap();
    publish(&mut publisher, 2);
    let second = subscriber.latest().unwrap();
    publish(&mut publisher, 3);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| publish(&mut publisher, 4));
        drop(first);
        assert_eq!(waiting.join().unwrap(), 4);
    });
    drop(second);
}

#[test]
fn a_lossless_subscriber_is_never_overrun() {
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|options| {
        options.history = 2;
        options.on_full = OnFull::Wait(Duration::from_secs(20));
    });
    let mut subscriber = stream.lossless();
    assert!(subscriber.is_lossless());
    std::thread::scope(|scope| {
        scope.spawn(|| (0..5000).for_each(|_| keep(publish(&mut publisher, 0))));
        for sequence in 1..=5000 {
            assert!(subscriber.wait(soon()).unwrap());
            assert_eq!(subscriber.next().unwrap().unwrap().info().sequence, sequence);
        }
    });
    assert_eq!(subscriber.counters().missed, 0);
}

#[test]
fn a_stuck_lossless_subscriber_is_named_after_the_deadline() {
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|options| {
        options.on_full = OnFull::Wait(Duration::from_millis(30));
        options.on_stuck = OnStuck::Refuse;
    });
    let mut stuck = stream.lossless();
    publish(&mut publisher, 1);
    assert!(stuck.next().unwrap().is_some());
    publish(&mut publisher, 2);
    let refused = publisher.loan().map(drop).unwrap_err();
    assert!(matches!(&refused, LoanError::Unread { holders, .. } if holders.len() == 1), "{refused}");
    assert_eq!(stuck.next().unwrap().unwrap().info().sequence, 2, "it misses nothing");
    publish(&mut publisher, 3);
    drop(stuck);
    (0..10).for_each(|_| keep(publish(&mut publisher, 4)));
}

#[test]
fn a_lossless_subscriber_gets_every_frame_from_its_attaching_to_the_end() {
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|options| {
        options.history = 4;
        options.on_full = OnFull::Wait(Duration::from_millis(10));
        options.on_stuck = OnStuck::Refuse;
    });
    let mut subscriber = stream.lossless();
    assert_eq!(publisher.subscribers(), 1);
    (1..=4).for_each(|byte| assert_eq!(publish(&mut publisher, byte), u64::from(byte)));
    let refused = publisher.loan().map(drop).unwrap_err();
    assert!(matches!(refused, LoanError::Unread { .. }), "{refused}");
    drop(publisher);
    for byte in 1..=4 {
        assert_eq!(subscriber.next().unwrap().unwrap()[0], byte, "the first, and after the close");
    }
    assert!(subscriber.next().unwrap().is_none());
    assert_eq!((subscriber.counters().seen, subscriber.counters().missed), (4, 0));
}

#[test]
fn a_sleeper_is_woken_and_times_out() {
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|_| {});
    let mut subscriber = stream.subscriber();
    assert!(!subscriber.wait(Instant::now() + Duration::from_millis(5)).unwrap());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| subscriber.wait(soon()).unwrap());
        publish(&mut publisher, 1);
        assert!(waiting.join().unwrap());
    });
}

#[test]
fn a_late_joiner_gets_the_last_frame_at_once() {
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|_| {});
    publish(&mut publisher, 9);
    let mut late = stream.subscriber();
    assert!(late.has_newer());
    assert_eq!(late.latest().unwrap().unwrap()[0], 9);
    assert_eq!(late.counters().skipped, 0);
}

#[test]
fn a_frame_outlives_its_subscriber_and_its_stream() {
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|_| {});
    let mut subscriber = stream.subscriber();
    publish(&mut publisher, 5);
    let frame = subscriber.latest().unwrap().unwrap();
    drop(subscriber);
    (0..50).for_each(|_| keep(publish(&mut publisher, 6)));
    drop(publisher);
    let thread = std::thread::spawn(move || frame.iter().all(|&byte| byte == 5));
    assert!(thread.join().unwrap());
}

#[test]
fn a_second_publisher_is_refused_and_changes_nothing() {
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|_| {});
    let mut subscriber = stream.subscriber();
    let second = Publisher::open(&stream.0, &options(Content::Bytes { capacity: 999 })).map(drop);
    let error = second.unwrap_err();
    assert!(matches!(error, OpenError::Busy { pid: Some(pid), .. } if pid == std::process::id()), "{error}");
    publish(&mut publisher, 1);
    assert!(subscriber.latest().unwrap().is_some());
}

#[test]
fn a_successor_goes_on_with_the_next_sequence() {
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|options| options.persist = true);
    let mut subscriber = stream.subscriber();
    publish(&mut publisher, 1);
    publish(&mut publisher, 2);
    drop(publisher);
    assert_eq!(subscriber.publisher(), PublisherState::Gone);
    assert_eq!(subscriber.latest().unwrap().unwrap()[0], 2, "the last frame is still there");
    let mut publisher = stream.publisher(|_| {});
    assert_eq!(publish(&mut publisher, 3), 3);
    assert_eq!(subscriber.latest().unwrap().unwrap()[0], 3);
    assert_eq!((subscriber.epoch(), subscriber.counters().skipped), (0, 0));
    assert_eq!(publisher.counters().publishers, 2);
}

#[test]
fn subscribers_follow_to_another_geometry_and_keep_what_they_hold() {
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|options| options.persist = true);
    let mut subscriber = stream.subscriber();
    publish(&mut publisher, 1);
    let held = subscriber.latest().unwrap().unwrap();
    drop(publisher);
    let mut publisher = stream.publisher(|options| options.content = Content::Bytes { capacity: 100_000 });
    assert_eq!(publish(&mut publisher, 2), 2, "sequences go on");
    assert!(subscriber.wait(soon()).unwrap());
    let frame = subscriber.latest().unwrap().unwrap();
    assert_eq!((frame.len(), frame.info().sequence), (100_000, 2));
    assert_eq!(*held, [1; 64]);
    assert_eq!(subscriber.epoch(), 1);
    assert_eq!(subscriber.content(), &Content::Bytes { capacity: 100_000 });
}

#[test]
fn a_stream_is_not_given_up_for_one_that_can_not_be_made() {
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|options| options.persist = true);
    let mut subscriber = stream.subscriber();
    publish(&mut publisher, 7);
    drop(publisher);
    // More than there are addresses.
    let mut options = options(Content::Bytes { capacity: 1 << 31 });
    options.slots = Slots::Exactly(MAX_SLOTS);
    let error = Publisher::open(&stream.0, &options).map(drop).unwrap_err();
    assert!(matches!(error, OpenError::System(_)), "{error}");
    assert_eq!(subscriber.latest().unwrap().unwrap()[0], 7);
    assert_eq!(subscriber.publisher(), PublisherState::Gone, "neither closed nor superseded");
    let mut late = stream.subscriber();
    assert_eq!(late.latest().unwrap().unwrap()[0], 7);
    let mut successor = stream.publisher(|_| {});
    assert_eq!(publish(&mut successor, 8), 2);
    assert_eq!((subscriber.latest().unwrap().unwrap()[0], subscriber.epoch()), (8, 0));
}

#[test]
fn a_closed_stream_is_seen_as_closed_and_its_successor_is_found() {
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|_| {});
    let mut subscriber = stream.subscriber();
    publish(&mut publisher, 1);
    drop(publisher);
    assert_eq!(subscriber.publisher(), PublisherState::Closed);
    assert!(subscriber.wait(Instant::now()).unwrap(), "what was published is not lost");
    assert_eq!(subscriber.latest().unwrap().unwrap()[0], 1);
    assert!(!subscriber.wait(Instant::now()).unwrap());
    let mut publisher = stream.publisher(|_| {});
    publish(&mut publisher, 7);
    assert!(subscriber.wait(soon()).unwrap());
    assert_eq!(subscriber.latest().unwrap().unwrap()[0], 7);
}

#[test]
fn one_subscriber_too_many_is_told_who_has_the_places() {
    let stream = TestStream::new();
    let _publisher = stream.publisher(|options| options.max_subscribers = 2);
    let _both = (stream.subscriber(), stream.subscriber());
    let error = attach(&stream.0).map(drop).unwrap_err();
    assert!(matches!(&error, AttachError::Full { holders, .. } if holders.len() == 2), "{error}");
    assert!(error.to_string().contains(&format!("pid {}", std::process::id())), "{error}");
}

#[test]
fn a_subscriber_finds_the_successor_of_a_stream_that_was_removed_when_nobody_published_it() {
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|options| options.persist = true);
    publish(&mut publisher, 1);
    let mut subscriber = stream.subscriber();
    let held = subscriber.latest().unwrap().unwrap();
    drop(publisher);
    crate::remove_by_hand(&stream.0);
    let mut publisher = stream.publisher(|_| {});
    assert_eq!(publish(&mut publisher, 2), 1, "nobody knows any more that there was one");
    // As programs wait that want to look around from time to time.
    let watchdog = soon();
    while !subscriber.wait(Instant::now() + Duration::from_millis(20)).unwrap() {
        assert!(Instant::now() < watchdog, "it does not move");
    }
    assert_eq!((subscriber.latest().unwrap().unwrap()[0], held[0]), (2, 1));
    assert_eq!(subscriber.epoch(), 1);
}

#[test]
fn a_missing_stream_is_an_error_that_says_what_to_do() {
    let stream = TestStream::new();
    let error = attach(&stream.0).map(drop).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with(&format!("can not attach to stream {}: there is none", stream.0)), "{text}");
    assert!(text.contains("start its publisher"), "{text}");
}

#[test]
fn the_kernels_table_lists_the_stream_and_who_reads_it() {
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|options| options.rate = Rate::new(30, 1));
    let mut subscriber = stream.subscriber();
    publish(&mut publisher, 1);
    publish(&mut publisher, 1);
    let held = subscriber.latest().unwrap();
    let found = status(&stream.0).unwrap();
    assert_eq!(found.publisher, PublisherState::Alive);
    assert_eq!(found.publisher_pid, Some(std::process::id()));
    assert_eq!((found.last_sequence, found.rate), (2, Rate::new(30, 1)));
    assert_eq!(found.subscribers.len(), 1);
    assert_eq!((found.subscribers[0].held, found.subscribers[0].counters.seen), (1, 1));
    drop(held);
    let refused = remove(&crate::backend(), &stream.0, false).unwrap_err();
    assert!(matches!(refused, RemoveError::Publishing { .. }), "{refused}");
}

#[test]
fn the_table_tells_from_where_a_stream_goes_on_that_has_no_frame_yet_in_its_new_segments() {
    let stream = TestStream::new();
    let look = || {
        let found = status(&stream.0).unwrap();
        (found.last_sequence, found.base_sequence, found.age_ns.is_some())
    };
    let mut publisher = stream.publisher(|options| options.persist = true);
    assert_eq!(look(), (0, 0, false));
    publish(&mut publisher, 1);
    publish(&mut publisher, 2);
    assert_eq!(look(), (2, 0, true));
    drop(publisher);
    let mut publisher = stream.publisher(|options| options.content = Content::Bytes { capacity: 100_000 });
    assert_eq!(look(), (2, 2, false), "it never goes back");
    publish(&mut publisher, 3);
    assert_eq!(look(), (3, 2, true));
}

#[cfg(feature = "records")]
mod records {
    use super::*;
    use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

    #[derive(Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout)]
    #[repr(C)]
    struct Imu {
        turn: [f32; 3],
        push: [f32; 3],
    }
    impl Record for Imu {
        const TYPE_NAME: &'static str = "Imu";
    }

    #[derive(Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
    #[repr(C)]
    struct Pose([f32; 6]);
    impl Record for Pose {
        const TYPE_NAME: &'static str = "Pose";
    }

    #[test]
    fn a_record_arrives_as_it_was_and_another_type_of_its_size_is_refused() {
        let stream = TestStream::new();
        let options = options(Content::Bytes { capacity: 1 });
        let mut publisher = RecordPublisher::<Imu>::open(&stream.0, &options).unwrap();
        let mut subscriber = RecordSubscriber::<Imu>::attach_with(&stream.0, subscriber_options()).unwrap();
        let sample = Imu { turn: [0.0, 1.0, 2.0], push: [3.0, 4.0, 9.81] };
        publisher.publish(&sample).unwrap();
        assert_eq!(*subscriber.latest().unwrap().unwrap(), sample);
        let error = RecordSubscriber::<Pose>::attach_with(&stream.0, subscriber_options()).map(drop).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("it carries records Imu of 24 bytes, expected records Pose of 24 bytes"), "{text}");
    }
}
