//! Looks made up for tests: a small robot, and what a test changes of it.

use std::collections::BTreeMap;

use framebus::{Histogram, PublisherState, Violations};

use super::look::{Holder, Look, Stream, StreamKey, Subscriber};
use super::probe::{Fault, Latency, Reading};

pub const SECOND: u64 = 1_000_000_000;
/// When the first look is.
pub const BEGIN: u64 = 1_000 * SECOND;

pub fn key(name: &str) -> StreamKey {
    StreamKey { name: name.to_owned(), backend: "sysv".to_owned() }
}

/// A stream of 30 Hz that is well, with 300 frames so far.
pub fn stream(name: &str) -> Stream {
    Stream {
        key: key(name),
        content: "images of 640 × 480 rgb8".to_owned(),
        nominal_hz: Some(30.0),
        publisher: PublisherState::Alive,
        publisher_pid: Some(4000),
        base_sequence: 0,
        last_sequence: 300,
        age_ns: Some(10_000_000),
        refused: 0,
        abandoned: 0,
        late: 0,
        evicted: 0,
        slots: 18,
        history: 1,
        max_subscribers: 8,
        max_held: 2,
        slot_bytes: 921_600,
        frames_bytes: 16_596_992,
        resident_bytes: 2_772_992,
        segment_id: 7,
        uid: 1000,
        mode: 0o600,
        subscribers: Vec::new(),
    }
}

/// A subscriber that has taken 100 frames, and the newest.
pub fn subscriber(place: usize, pid: u32, label: &str) -> Subscriber {
    Subscriber {
        holder: Holder { place, pid: Some(pid), label: label.to_owned() },
        held: 0,
        seen: 100,
        skipped: 0,
        missed: 0,
        refused: 0,
        last_sequence: 300,
        blamed: 0,
        blamed_held_ns: 0,
        holding_ns: None,
        lossless: false,
        latencies: Histogram::default(),
        ages: Histogram::default(),
        holds: Histogram::default(),
        violations: Violations::default(),
    }
}

/// So many seconds after the first look.
pub fn look(seconds: f64, streams: Vec<Stream>) -> Look {
    Look { at_ns: BEGIN + (seconds * SECOND as f64) as u64, streams }
}

/// The same stream later, with so many more frames, all of which its subscribers have taken.
pub fn later(stream: &Stream, frames: u64) -> Stream {
    let mut later = stream.clone();
    later.last_sequence += frames;
    for subscriber in &mut later.subscribers {
        subscriber.seen += frames;
        subscriber.last_sequence = later.last_sequence;
    }
    later
}

/// A robot at two looks: `front` drops frames because of `slow`, the publisher of `imu` is gone, and `rear` is well.
pub fn robot() -> [Look; 2] {
    let mut front = stream("robot/front");
    front.slots = 3;
    front.subscribers = vec![subscriber(0, 4100, "recorder"), subscriber(1, 4200, "slow")];
    front.subscribers[1].held = 2;
    let mut imu = stream("robot/imu");
    imu.content = "records Imu of 96 bytes".to_owned();
    imu.resident_bytes = 4096;
    imu.age_ns = Some(7 * SECOND);
    (imu.publisher, imu.publisher_pid) = (PublisherState::Gone, None);
    let mut rear = stream("robot/rear");
    rear.subscribers = vec![subscriber(0, 4300, "web")];

    let mut front_then = later(&front, 2);
    (front_then.refused, front_then.age_ns) = (28, Some(10_000_000));
    front_then.subscribers[1].blamed = 28;
    let mut imu_then = imu.clone();
    imu_then.age_ns = Some(8 * SECOND);
    let mut rear_then = later(&rear, 30);
    (rear_then.subscribers[0].seen, rear_then.subscribers[0].skipped) = (110, 20);
    rear_then.subscribers[0].last_sequence -= 2;
    [look(0.0, vec![front, imu, rear]), look(1.0, vec![front_then, imu_then, rear_then])]
}

/// What our probes measured of the robot: of `front`; `rear` has no place for one, and `imu` is not published.
pub fn measured() -> BTreeMap<StreamKey, Reading> {
    let latency = Latency { frames: 30, p50_ns: 24_000, p99_ns: 591_000, max_ns: 1_200_000 };
    let fault = Fault { text: "can not attach to stream robot/rear: all 8 places are taken".to_owned(), is_full: true };
    BTreeMap::from([
        (key("robot/front"), Reading { latency: Some(latency), fault: None }),
        (key("robot/rear"), Reading { latency: None, fault: Some(fault) }),
    ])
}
