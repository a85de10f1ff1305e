//! Neighbours that write where they may and should not: the places segment is open to every subscriber.
//!
//! What a stranger's garbage there can do, and what not.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use framebus::{Backend, Content, OpenError, Publisher, PublisherState, StreamName, mark};

use crate::actor;
use crate::backend;
use crate::harness::{Running, TestStream, attach, failure, framebus, options};
use crate::scribblers::{CARRIED, PLACES, places_of};

fn publish(publisher: &mut Publisher) -> u64 {
    let mut loan = publisher.loan().unwrap();
    let sequence = loan.sequence();
    let byte = sequence as u8;
    loan.fill(byte);
    mark::stamp(&mut loan, sequence, 0);
    loan.publish()
}

/// Publishes as fast as it goes while `during` runs.
fn publishing<T>(publisher: &mut Publisher, during: impl FnOnce() -> T) -> T {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let stop_at_end = StopAtEnd(&stop);
        scope.spawn(|| {
            while !stop.load(Relaxed) {
                publish(publisher);
            }
        });
        let result = during();
        drop(stop_at_end);
        result
    })
}

struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

#[test]
fn garbage_all_over_the_places_stops_nobody_and_no_frame_changes_unnoticed() {
    let stream = TestStream::new("garbage");
    let mut settings = options(Content::Bytes { capacity: 50_000 });
    settings.history = 2;
    let mut publisher = Publisher::open(&stream.name, &settings).unwrap();
    publish(&mut publisher);
    let viewer = actor::start(&stream, "view");
    publishing(&mut publisher, || {
        viewer.wait_for("verified", 10);
        let scribbler = actor::start(&stream, "scribble all");
        scribbler.wait_for("at", 0);
        // It does harm: if they did not say so, these would have been changed frames.
        let seen = viewer.wait_for("voided", 1);
        // Who looks from outside sees nonsense, and lives.
        stream.status().unwrap();
        scribbler.kill();
        viewer.wait_for("verified", seen["verified"].as_u64().unwrap() + 10);
    });
    assert_eq!(publisher.counters().refused, 0, "every loan found a slot");
    let late = attach(&stream.name).unwrap().latest().unwrap().unwrap();
    assert_eq!(mark::verify(&late, publisher.next_sequence() - 1), Ok(()));
    drop(publisher);
    let viewer = viewer.end();
    assert!(viewer.status.success(), "{viewer:?}");
    assert_eq!(viewer.summary["silent"], 0, "{viewer:?}");
}

#[test]
fn a_frame_whose_pin_was_voided_says_so_as_soon_as_its_slot_is_written_again() {
    let stream = TestStream::new("voided");
    let mut publisher = Publisher::open(&stream.name, &options(Content::Bytes { capacity: 4096 })).unwrap();
    let mut viewer = attach(&stream.name).unwrap();
    publish(&mut publisher);
    let frame = viewer.latest().unwrap().unwrap();
    publish(&mut publisher);
    publish(&mut publisher);
    assert!(frame.is_intact(), "it is out of the window, and pinned");
    places_of(&stream.name)[(PLACES + 16) / 8].store(0, Relaxed);
    assert!(frame.is_intact(), "nobody has written there so far");
    let mut loan = publisher.loan().unwrap();
    assert!(!frame.is_intact());
    loan[0] ^= 0xff;
    assert_ne!(mark::verify(&frame, 1), Ok(()), "it is this slot that was lent");
    loan.publish();
    assert!(!frame.is_intact());
    publish(&mut publisher);
    assert!(!frame.is_intact());
    // It is this frame's trouble alone.
    let newest = viewer.latest().unwrap().unwrap();
    assert_eq!((newest.is_intact(), mark::verify(&newest, 5)), (true, Ok(())));
}

#[test]
fn a_subscriber_that_scribbles_over_its_own_place_harms_nobody_else() {
    let stream = TestStream::new("scribbler");
    let mut settings = options(Content::Bytes { capacity: 4096 });
    (settings.history, settings.max_subscribers) = (32, 3);
    let mut publisher = Publisher::open(&stream.name, &settings).unwrap();
    let mut viewer = attach(&stream.name).unwrap();
    let scribbler = actor::start(&stream, "scribble own");
    scribbler.wait_for("at", 0);
    publish(&mut publisher);
    let held = viewer.next().unwrap().unwrap();
    let before = held.to_vec();
    for sequence in 2..=20_000 {
        assert_eq!(publish(&mut publisher), sequence);
        let frame = viewer.next().unwrap().unwrap();
        if sequence % 16 == 0 {
            assert_eq!((frame.info().sequence, mark::verify(&frame, sequence)), (sequence, Ok(())));
        }
        assert!(frame.is_intact());
    }
    assert!(held.is_intact() && *held == before[..], "a held frame does not change");
    assert_eq!((viewer.counters().missed, publisher.counters().refused), (0, 0));
    scribbler.kill();
}

#[test]
fn pins_that_jump_about_never_cost_the_publisher_a_slot() {
    let stream = TestStream::new("jumping");
    // 65 slots, so they are looked at in two rounds; 62 of them are in the window.
    let mut settings = options(Content::Bytes { capacity: 64 });
    (settings.history, settings.max_subscribers) = (62, 1);
    let mut publisher = Publisher::open(&stream.name, &settings).unwrap();
    assert_eq!(publisher.geometry().slots(), 65);
    let first = publisher.loan().unwrap().as_ptr() as usize;
    let loaned = |publisher: &mut Publisher| (publisher.loan().unwrap().as_ptr() as usize - first) / 4096;
    (0..70).for_each(|_| assert!(publish(&mut publisher) > 0));
    // It lives, so its pins count.
    let _subscriber = attach(&stream.name).unwrap();
    // Both pins of the one place, in one store.
    let pins = &places_of(&stream.name)[(PLACES + 16) / 8];
    let hold = |slots: [usize; 2]| pins.store((slots[1] as u64 + 2) << 32 | (slots[0] as u64 + 2), Relaxed);
    let lowest = loaned(&mut publisher);
    hold([lowest, lowest]);
    let second = loaned(&mut publisher);
    hold([lowest, second]);
    assert_eq!((second, loaned(&mut publisher)), (63, 64), "three slots are free, one of them in the second round");

    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop_at_end = StopAtEnd(&stop);
        scope.spawn(|| {
            while !stop.load(Relaxed) {
                hold([lowest, second]);
                hold([64, 64]);
            }
        });
        (0..1_000_000).for_each(|_| drop(publisher.loan()));
    });
    assert_eq!(publisher.counters().refused, 0);
}

#[test]
fn a_publisher_whose_places_header_is_destroyed_goes_on_and_so_do_its_viewers() {
    let stream = TestStream::new("header");
    let mut publisher = Publisher::open(&stream.name, &options(Content::Bytes { capacity: 4096 })).unwrap();
    publish(&mut publisher);
    let mut viewer = attach(&stream.name).unwrap();
    actor::start(&stream, "scribble header").wait_for("at", 1);
    let last = publish(&mut publisher);
    let frame = viewer.latest().unwrap().unwrap();
    assert_eq!((mark::verify(&frame, last), frame.is_intact()), (Ok(()), true));
    assert!(attach(&stream.name).is_err(), "nobody new can attach");
    drop(publisher);
    assert_eq!(viewer.publisher(), PublisherState::Closed);
    // The next producer begins with places of its own.
    let mut publisher = Publisher::open(&stream.name, &options(Content::Bytes { capacity: 4096 })).unwrap();
    publish(&mut publisher);
    assert!(viewer.latest().unwrap().is_some());
}

/// A stream whose producer was killed, and whose places then were overwritten.
fn destroyed(stream: &TestStream, what: &str) -> u64 {
    let writer = actor::start(stream, "write");
    writer.wait_for("at", 2);
    let scribbler: Running = actor::start(stream, &format!("scribble {what}"));
    scribbler.wait_for("at", 0);
    writer.kill();
    scribbler.kill();
    stream.status().unwrap().last_sequence
}

#[test]
fn a_successor_goes_on_where_the_places_were_destroyed() {
    for what in ["header", "all"] {
        for capacity in [100_000, 200_000] {
            let stream = TestStream::new(&format!("successor-{what}"));
            let last = destroyed(&stream, what);
            let successor = Publisher::open(&stream.name, &options(Content::Bytes { capacity }));
            let mut successor = successor.unwrap_or_else(|error: OpenError| panic!("{what}, {capacity}: {error}"));
            assert_eq!(successor.next_sequence(), last + 1, "{what}, {capacity}");
            publish(&mut successor);
            assert!(attach(&stream.name).unwrap().latest().unwrap().is_some());
        }
    }
}

#[test]
fn a_sequence_that_somebody_made_up_is_not_believed() {
    let stream = TestStream::new("made-up");
    destroyed(&stream, "all");
    // As after a crash between two epochs, when only the places are left to say where the stream was.
    places_of(&stream.name)[CARRIED / 8].store(u64::MAX, Relaxed);
    remove_frames(&stream.name);
    let mut successor = Publisher::open(&stream.name, &options(actor::content())).unwrap();
    assert_eq!(publish(&mut successor), 1);
    assert_eq!(attach(&stream.name).unwrap().latest().unwrap().unwrap().info().sequence, 1);
}

fn remove_frames(name: &StreamName) {
    match backend() {
        Backend::File { directory } => {
            std::fs::remove_file(directory.join(name.bus()).join(name.stream()).join("frames")).unwrap();
        }
        // SAFETY: plain integers; the segment is this test's own.
        _ => unsafe {
            let id = libc::shmget(name.key(), 0, 0);
            assert_eq!(libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()), 0);
        },
    }
}

#[test]
fn a_stream_whose_places_were_destroyed_can_be_removed() {
    let stream = TestStream::new("rm-destroyed");
    destroyed(&stream, "header");
    stream.remove();
    let mut viewer = framebus();
    viewer.args(["viewer", "--patience", "0", "--stream", &stream.name.to_string()]);
    viewer.args(["--backend", &backend().to_string()]);
    assert!(failure(viewer).1.contains("there is none"));
    drop(Publisher::open(&stream.name, &options(actor::content())).unwrap());
}
