//! A stream whose frames change their size while it is published.

use std::time::{Duration, Instant};

use framebus::*;

use crate::common::{TestStream, attach, keep, soon, status, subscriber_options};

fn image(width: u32, height: u32) -> Content {
    Content::Image(ImageShape::new(width, height, PixelFormat::Mono8).unwrap())
}

fn images(stream: &TestStream, change: impl FnOnce(&mut StreamOptions)) -> Publisher {
    stream.publisher(|options| {
        options.content = image(64, 48);
        options.history = 8;
        change(options);
    })
}

/// Publishes a frame full of its sequence.
fn publish(publisher: &mut Publisher) -> u64 {
    let mut loan = publisher.loan().unwrap();
    let byte = loan.sequence() as u8;
    loan.fill(byte);
    loan.publish()
}

/// Whether it is one frame from its first to its last byte.
fn is_whole(frame: &Frame) -> bool {
    let bytes = frame.shape().map_or(frame.len(), |shape| shape.frame_bytes());
    frame.len() == bytes && frame.iter().all(|&byte| byte == frame.info().sequence as u8)
}

fn content_of(frame: &Frame) -> Content {
    Content::Image(frame.shape().unwrap())
}

#[test]
fn frames_that_fit_the_slots_change_their_shape_in_place() {
    let stream = TestStream::new();
    let mut publisher = images(&stream, |options| options.capacity_bytes = 64 * 96);
    let mut subscriber = stream.subscriber();
    // More often than there are slots, so that each of them is used for both.
    for round in 0..40 {
        let content = [image(32, 24), image(64, 96), image(64, 48)][round % 3].clone();
        assert_eq!(publisher.set_content(content.clone()).unwrap(), ContentChange::InPlace);
        assert_eq!(publisher.set_content(content.clone()).unwrap(), ContentChange::None);
        publish(&mut publisher);
        let frame = subscriber.latest().unwrap().unwrap();
        assert!(is_whole(&frame) && content_of(&frame) == content, "{content}");
    }
    assert_eq!((subscriber.epoch(), subscriber.counters().skipped), (0, 0));
    publisher.set_content(image(32, 24)).unwrap();
    publish(&mut publisher);
    let mut late = stream.subscriber();
    assert_eq!(late.content(), &image(64, 48), "what the epoch began with");
    assert_eq!(content_of(&late.latest().unwrap().unwrap()), image(32, 24));
    assert_eq!(status(&stream.0).unwrap().geometry.slot_capacity_bytes(), 64 * 96);
}

#[test]
fn frames_that_outgrow_the_slots_go_on_in_a_new_epoch_and_none_is_lost() {
    let stream = TestStream::new();
    let mut publisher = images(&stream, |options| options.max_held = 3);
    let mut subscriber = stream.subscriber();
    (1..=4).for_each(|sequence| assert_eq!(publish(&mut publisher), sequence));
    let held = [subscriber.next().unwrap().unwrap(), subscriber.next().unwrap().unwrap()];
    assert_eq!(publisher.set_content(image(640, 480)).unwrap(), ContentChange::NewEpoch);
    assert_eq!(publisher.next_sequence(), 5);
    (5..=6).for_each(|sequence| assert_eq!(publish(&mut publisher), sequence));
    // Going back takes no new epoch.
    assert_eq!(publisher.set_content(image(64, 48)).unwrap(), ContentChange::InPlace);
    (7..=8).for_each(|sequence| assert_eq!(publish(&mut publisher), sequence));
    for sequence in 3..=8 {
        let frame = subscriber.next().unwrap().unwrap();
        let content = if [5, 6].contains(&sequence) { image(640, 480) } else { image(64, 48) };
        assert_eq!((frame.info().sequence, content_of(&frame)), (sequence, content));
        assert!(is_whole(&frame) && held.iter().all(is_whole), "{sequence}");
    }
    assert!(subscriber.next().unwrap().is_none());
    assert_eq!((subscriber.counters().seen, subscriber.counters().missed), (8, 0));
    assert_eq!((subscriber.epoch(), subscriber.content()), (1, &image(640, 480)));
    assert_eq!(publisher.options().content, image(64, 48));
    drop((publisher, subscriber));
    assert!(held.iter().all(is_whole), "held frames outlive all others");
}

#[test]
fn what_was_counted_goes_on_over_a_change_of_size() {
    let stream = TestStream::new();
    let mut publisher = images(&stream, |_| {});
    drop(publisher.loan().unwrap());
    publisher.count_late(2, Duration::from_millis(1));
    publisher.set_content(image(640, 480)).unwrap();
    drop(publisher.loan().unwrap());
    let counters = publisher.counters();
    assert_eq!((counters.abandoned, counters.late), (2, 2));
    assert_eq!(status(&stream.0).unwrap().counters.abandoned, 2);
}

#[test]
fn a_lossless_subscriber_is_waited_for_over_a_change_of_size() {
    let stream = TestStream::new();
    let mut publisher = images(&stream, |options| {
        (options.history, options.on_full) = (2, OnFull::Wait(Duration::from_millis(1)));
        options.on_stuck = OnStuck::Refuse;
    });
    let mut subscriber = stream.lossless();
    publish(&mut publisher);
    publisher.set_content(image(640, 480)).unwrap();
    publish(&mut publisher);
    // It has taken neither, and is not here yet.
    let refused = publisher.loan().map(drop).unwrap_err();
    assert!(matches!(refused, LoanError::Unread { .. }), "{refused}");
    for sequence in 1..=2 {
        assert_eq!(subscriber.next().unwrap().unwrap().info().sequence, sequence);
    }
    assert!(subscriber.is_lossless());
    (0..2).for_each(|_| keep(publish(&mut publisher)));
    for sequence in 3..=4 {
        assert_eq!(subscriber.next().unwrap().unwrap().info().sequence, sequence);
    }
    assert_eq!(subscriber.counters().missed, 0);
}

#[test]
fn a_lossless_subscriber_is_waited_for_by_a_successor_of_another_size() {
    let stream = TestStream::new();
    let waits = |options: &mut StreamOptions| {
        options.on_full = OnFull::Wait(Duration::from_secs(60));
        options.persist = true;
    };
    let mut publisher = images(&stream, waits);
    let mut recorder = stream.lossless();
    (0..4).for_each(|_| keep(publish(&mut publisher)));
    drop(publisher);
    let mut successor = images(&stream, |options| {
        waits(options);
        (options.content, options.persist) = (image(640, 480), false);
    });
    let mut published = 4;
    while let Ok(loan) = successor.loan_unless(|| true) {
        published = loan.publish();
        assert!(published < 100, "nobody is waited for");
    }
    for sequence in 1..=published {
        assert_eq!(recorder.next().unwrap().unwrap().info().sequence, sequence);
    }
    assert_eq!((recorder.epoch(), recorder.counters().missed), (1, 0));
}

#[test]
fn who_left_before_it_moved_is_not_waited_for_though_a_frame_of_it_lives() {
    let stream = TestStream::new();
    let mut publisher = images(&stream, |options| options.on_full = OnFull::Wait(Duration::from_secs(60)));
    let mut recorder = stream.lossless();
    publish(&mut publisher);
    let frame = recorder.next().unwrap().unwrap();
    assert_eq!(publisher.set_content(image(640, 480)).unwrap(), ContentChange::NewEpoch);
    drop(recorder);
    for _ in 0..50 {
        publisher.loan_unless(|| true).unwrap().publish();
    }
    assert!(is_whole(&frame));
}

#[test]
fn bytes_keep_their_room() {
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|options| options.content = Content::Bytes { capacity: 4096 });
    assert_eq!(publisher.set_content(Content::Bytes { capacity: 10 }).unwrap(), ContentChange::InPlace);
    // Should the stream have to begin anew.
    assert_eq!(publisher.options().capacity_bytes, 4096);
    assert_eq!(publisher.set_content(Content::Bytes { capacity: 4000 }).unwrap(), ContentChange::InPlace);
}

#[test]
fn a_lossless_subscriber_that_is_evicted_before_it_has_moved_is_told() {
    let stream = TestStream::new();
    let mut publisher = images(&stream, |options| {
        (options.history, options.on_full) = (1, OnFull::Wait(Duration::from_millis(1)));
    });
    let mut subscriber = stream.lossless();
    publish(&mut publisher);
    publisher.set_content(image(640, 480)).unwrap();
    (0..3).for_each(|_| keep(publish(&mut publisher)));
    assert_eq!(publisher.take_evicted().len(), 1);
    assert_eq!(subscriber.next().unwrap().unwrap().info().sequence, 1, "of the old epoch");
    let told = subscriber.next().map(drop).unwrap_err();
    assert!(matches!(told, AcquireError::Evicted { .. }), "{told}");
    assert_eq!(subscriber.next().unwrap().unwrap().info().sequence, 4);
    assert_eq!(subscriber.counters().missed, 2);
}

#[test]
fn who_asks_to_be_told_of_changes_is_told_before_the_first_frame_that_is_different() {
    let stream = TestStream::new();
    let mut publisher = images(&stream, |_| {});
    let mut options = subscriber_options();
    options.on_change = OnChange::Tell;
    let mut subscriber = Subscriber::attach_with(&stream.0, options).unwrap();
    let (small, usual, large) = (image(32, 24), image(64, 48), image(640, 480));
    for content in [&usual, &small, &usual, &large] {
        publisher.set_content(content.clone()).unwrap();
        (0..2).for_each(|_| keep(publish(&mut publisher)));
    }
    let mut known = usual.clone();
    let mut told = Vec::new();
    for sequence in 1..=8 {
        let frame = match subscriber.next() {
            Err(AcquireError::Changed { from, to, .. }) => {
                assert_eq!(from, known);
                known = to;
                told.push(sequence);
                assert_eq!(subscriber.held(), 0, "nothing was taken");
                subscriber.next().unwrap().unwrap()
            }
            frame => frame.unwrap().unwrap(),
        };
        assert_eq!((frame.info().sequence, content_of(&frame)), (sequence, known.clone()));
    }
    assert_eq!((told, known), (vec![3, 5, 7], large));
    assert_eq!((subscriber.counters().seen, subscriber.counters().missed), (8, 0));
    publisher.set_content(usual).unwrap();
    publish(&mut publisher);
    assert_eq!(
        subscriber.latest().map(drop).unwrap_err().to_string(),
        format!(
            "stream {} changes: it carried images of 640 × 480 mono8, and from here on images of 64 × 48 mono8",
            stream.0
        )
    );
}

#[test]
fn a_change_that_can_not_be_made_leaves_the_stream_as_it_was() {
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|options| {
        // More than there is on any file system, and than there are addresses.
        options.slots = Slots::Exactly(if options.backend == Backend::SysV { MAX_SLOTS } else { 1000 });
    });
    let mut subscriber = stream.subscriber();
    crate::common::publish(&mut publisher, 1);
    let refused = publisher.set_content(Content::Bytes { capacity: 1 << 31 }).unwrap_err();
    let SetContentError::Refused { source, .. } = &refused else { panic!("{refused}") };
    assert!(matches!(**source, OpenError::System(_)), "{source}");
    assert_eq!(
        refused.to_string(),
        format!(
            "stream {} can not change to up to 2147483648 bytes a frame, and goes on with up to 64 bytes a frame",
            stream.0
        )
    );
    let refused = publisher.set_content(Content::Record { type_name: String::new(), bytes: 8 }).unwrap_err();
    let SetContentError::Refused { source, .. } = &refused else { panic!("{refused}") };
    assert!(matches!(**source, OpenError::TypeName { .. }), "{refused}");
    assert_eq!(crate::common::publish(&mut publisher, 2), 2);
    for byte in 1..=2 {
        let frame = subscriber.latest().unwrap().unwrap();
        assert_eq!((frame.len(), subscriber.epoch()), (64, 0), "{byte}");
    }
    assert_eq!(publisher.options().content, Content::Bytes { capacity: 64 });
}

#[test]
fn another_kind_of_content_is_a_new_epoch_of_its_own_size() {
    let stream = TestStream::new();
    let mut publisher = images(&stream, |_| {});
    let mut subscriber = stream.subscriber();
    publish(&mut publisher);
    let record = Content::Record { type_name: "Pose".to_owned(), bytes: 24 };
    assert_eq!(publisher.set_content(record.clone()).unwrap(), ContentChange::NewEpoch);
    publish(&mut publisher);
    let frame = subscriber.latest().unwrap().unwrap();
    assert_eq!(frame.info().sequence, 1, "first what was not taken yet");
    let frame = subscriber.latest().unwrap().unwrap();
    assert_eq!((frame.len(), frame.shape(), subscriber.content()), (24, None, &record));
}

#[cfg(feature = "records")]
#[test]
fn a_subscriber_of_records_says_so_as_long_as_the_stream_carries_something_else() {
    use framebus::sensors::{Imu, LaserScan};
    fn record<T: Record>() -> Content {
        Content::Record { type_name: T::TYPE_NAME.to_owned(), bytes: size_of::<T>() as u32 }
    }
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|options| options.content = record::<Imu>());
    let mut subscriber = RecordSubscriber::<Imu>::attach_with(&stream.0, subscriber_options()).unwrap();
    publisher.loan().unwrap().publish();
    assert_eq!(subscriber.latest().unwrap().unwrap().info().sequence, 1);
    publisher.set_content(record::<LaserScan>()).unwrap();
    for _ in 0..3 {
        publisher.loan().unwrap().publish();
        let error = subscriber.latest().map(drop).unwrap_err();
        let AcquireError::Follow { source, .. } = &error else { panic!("{error}") };
        let words = source.to_string();
        assert!(words.contains(&record::<LaserScan>().to_string()), "{words}");
        assert!(words.contains(&format!("expected {}", record::<Imu>())), "{words}");
    }
    publisher.set_content(record::<Imu>()).unwrap();
    publisher.loan().unwrap().publish();
    assert_eq!(subscriber.next().unwrap().unwrap().info().sequence, 5, "it carries them again");
    let mut short = publisher.loan().unwrap();
    short.set_len(8);
    short.publish();
    let error = subscriber.next().map(drop).unwrap_err();
    assert!(matches!(error, AcquireError::Changed { to: Content::Bytes { capacity: 8 }, .. }), "{error}");
}

/// How often the stream's segments are mapped here.
fn mappings(stream: &TestStream) -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let names = [
        format!("/SYSV{:08x} ", stream.0.key()),
        format!("/SYSV{:08x} ", stream.0.places_key()),
        format!("/{}/{}/", stream.0.bus(), stream.0.stream()),
    ];
    maps.lines().filter(|line| names.iter().any(|name| line.contains(name))).count()
}

#[test]
fn a_hundred_changes_of_size_leave_no_segment_behind() {
    let stream = TestStream::new();
    let mut publisher = images(&stream, |_| {});
    let mut subscriber = stream.subscriber();
    publish(&mut publisher);
    subscriber.latest().unwrap();
    // Other tests list all streams, and map this one for a moment.
    let looks = (0..20).map(|_| {
        std::thread::sleep(Duration::from_millis(1));
        mappings(&stream)
    });
    let before = looks.min().unwrap();
    assert!(before > 0, "it is seen when a segment is mapped");
    for change in 1..=100 {
        assert_eq!(publisher.set_content(image(64, 48 + change)).unwrap(), ContentChange::NewEpoch);
        publish(&mut publisher);
        assert_eq!(publisher.set_content(image(64, 48)).unwrap(), ContentChange::InPlace);
        publish(&mut publisher);
        for _ in 0..2 {
            assert!(is_whole(&subscriber.next().unwrap().unwrap()));
        }
    }
    assert_eq!((subscriber.epoch(), subscriber.counters().seen), (100, 201));
    let mapped = |wanted: usize| {
        let watchdog = soon();
        while mappings(&stream) != wanted {
            assert!(Instant::now() < watchdog, "{} are mapped, expected {wanted}", mappings(&stream));
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    mapped(before);
    drop((publisher, subscriber));
    mapped(0);
}

/// What the publisher of `follows` changes between.
const SIZES: [(u32, u32); 4] = [(64, 48), (640, 480), (32, 24), (320, 240)];
const FRAMES: u64 = 400;

/// A publisher that changes the size every few frames, so that there are epochs too, until `taken` has taken the last.
fn follows(take_all: impl FnOnce(&TestStream) -> u64 + Send) {
    let stream = TestStream::new();
    let mut publisher = images(&stream, |options| {
        (options.history, options.rate) = (1, Rate::new(2000, 1));
        (options.on_full, options.on_stuck) = (OnFull::Wait(Duration::from_secs(20)), OnStuck::Refuse);
    });
    std::thread::scope(|scope| {
        let taker = scope.spawn(|| take_all(&stream));
        let watchdog = soon();
        while publisher.subscribers() == 0 {
            assert!(Instant::now() < watchdog, "nobody came");
            std::thread::yield_now();
        }
        for frame in 0..FRAMES {
            if frame % 5 == 0 {
                let (width, height) = SIZES[(frame / 5) as usize % SIZES.len()];
                // Ever larger, so that there are many epochs.
                let height = height + if width == 640 { frame as u32 } else { 0 };
                publisher.set_content(image(width, height)).unwrap();
            }
            publish(&mut publisher);
        }
        assert_eq!(taker.join().unwrap(), FRAMES, "every frame, in order");
    });
}

/// Checks a frame against the one before.
fn note(frame: &Frame, last: &mut u64) {
    assert!(is_whole(frame), "{}", frame.info().sequence);
    assert_eq!(frame.info().sequence, *last + 1, "in order, and none is lost");
    *last += 1;
}

fn lossless(stream: &TestStream, wait: Wait) -> Subscriber {
    let mut options = subscriber_options();
    (options.wait, options.lossless, options.patience) = (wait, true, Duration::from_secs(20));
    Subscriber::attach_with(&stream.0, options).unwrap()
}

fn follows_with(wait: Wait) {
    follows(|stream| {
        let (mut subscriber, mut last) = (lossless(stream, wait), 0);
        while last < FRAMES {
            assert!(subscriber.wait(soon()).unwrap(), "frame {last} was the last");
            while let Some(frame) = subscriber.next().unwrap() {
                note(&frame, &mut last);
            }
        }
        assert!(subscriber.epoch() > 10, "{}", subscriber.epoch());
        last
    });
}

#[test]
fn a_blocking_subscriber_follows_every_change_of_size() {
    follows_with(Wait::Block);
}

#[test]
fn a_spinning_subscriber_follows_every_change_of_size() {
    follows_with(Wait::Spin);
}

#[test]
fn a_predicting_subscriber_follows_every_change_of_size() {
    follows_with(Wait::Predict);
}

#[test]
fn a_subscriber_with_a_descriptor_follows_every_change_of_size() {
    use std::os::fd::AsRawFd;
    follows(|stream| {
        let mut subscriber = EventSubscriber::new(lossless(stream, Wait::Block)).unwrap();
        let mut last = 0;
        while last < FRAMES {
            let mut poll = libc::pollfd { fd: subscriber.as_raw_fd(), events: libc::POLLIN, revents: 0 };
            // SAFETY: one pollfd, which is what is said.
            let ready = unsafe { libc::poll(&mut poll, 1, 20_000) };
            assert_eq!(ready, 1, "frame {last} was the last");
            while let Some(frame) = subscriber.try_next().unwrap() {
                note(&frame, &mut last);
            }
        }
        last
    });
}

#[cfg(feature = "async")]
#[test]
fn an_asynchronous_subscriber_follows_every_change_of_size() {
    follows(|stream| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut subscriber = AsyncSubscriber::new(lossless(stream, Wait::Block)).unwrap();
            let mut last = 0;
            while last < FRAMES {
                let frame = tokio::time::timeout(Duration::from_secs(20), subscriber.next()).await;
                note(&frame.expect("nobody woke the task").unwrap(), &mut last);
            }
            last
        })
    });
}

#[test]
fn an_observer_follows_a_change_of_size() {
    let stream = TestStream::new();
    let mut publisher = images(&stream, |_| {});
    let mut observer = crate::common::observe(&stream.0).unwrap();
    let mut bytes = Vec::new();
    for (width, height) in SIZES {
        publisher.set_content(image(width, height)).unwrap();
        publish(&mut publisher);
        assert!(observer.wait(soon()).unwrap());
        let info = observer.latest(&mut bytes).unwrap().unwrap();
        assert_eq!((info.width, info.height, bytes.len()), (width, height, (width * height) as usize));
    }
    assert!(attach(&stream.0).is_ok());
}
