//! `ipcrm` of each object of a stream, under running programs: the stream goes on, and nothing is left.

use framebus::{PublisherState, StreamName};

use crate::harness::{TestStream, eventually};

const CAMERA: &str = "--width 64 --height 48 --format mono8 --rate 200";

fn remove_segment(key: i32) {
    // SAFETY: plain integers; the segment is this test's own.
    let removed = unsafe { libc::shmctl(libc::shmget(key, 0, 0), libc::IPC_RMID, std::ptr::null_mut()) };
    assert_eq!(removed, 0, "shmctl: {}", std::io::Error::last_os_error());
}

fn remove_semaphores(name: &StreamName) {
    // SAFETY: plain integers; the set is this test's own.
    let removed = unsafe { libc::semctl(libc::semget(name.key(), 0, 0), 0, libc::IPC_RMID) };
    assert_eq!(removed, 0, "semctl: {}", std::io::Error::last_os_error());
}

/// Removes something of a stream that is published and read, and follows what becomes of both.
fn goes_on_without(what: &str, remove: impl Fn(&StreamName)) {
    let stream = TestStream::new(&format!("ipcrm-{what}"));
    let viewer = stream.viewer("--verify");
    let producer = stream.producer(CAMERA);
    let seen = viewer.wait_for("last_sequence", 5)["last_sequence"].as_u64().unwrap();
    let before = stream.status().unwrap().segment_id;
    remove(&stream.name);
    // The publisher looks once a second; meanwhile everybody counts as alive.
    let moved = eventually("the publisher has noticed", || {
        let moved = stream.status().filter(|status| status.segment_id != before && status.age_ns.is_some());
        moved.filter(|status| status.publisher == PublisherState::Alive)
    });
    assert!(moved.last_sequence >= seen, "sequences go on");
    viewer.wait_for("last_sequence", moved.last_sequence + 5);
    // Who comes now finds the stream, and a place.
    let late = stream.viewer("--frames 5 --verify --patience 10").end();
    assert_eq!(late.number("verified"), 5);
    let viewer = viewer.interrupt();
    assert_eq!((viewer.number("torn"), viewer.number("epochs")), (0, 1), "{viewer:?}");
    assert!(viewer.number("last_sequence") >= moved.last_sequence + 5, "{viewer:?}");
    let producer = producer.interrupt();
    assert_eq!(producer.number("drops"), 0, "{producer:?}");
}

#[test]
fn a_stream_whose_semaphores_are_removed_goes_on_in_a_new_epoch() {
    goes_on_without("set", remove_semaphores);
}

#[test]
fn a_stream_whose_frames_segment_is_removed_goes_on_in_a_new_epoch() {
    goes_on_without("frames", |name| remove_segment(name.key()));
}

#[test]
fn a_stream_whose_places_segment_is_removed_goes_on_in_a_new_epoch() {
    goes_on_without("places", |name| remove_segment(name.places_key()));
}

#[test]
fn a_stream_of_which_everything_is_removed_goes_on_in_a_new_epoch() {
    goes_on_without("all", |name| {
        remove_segment(name.key());
        remove_segment(name.places_key());
        remove_semaphores(name);
    });
}
