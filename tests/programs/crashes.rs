//! `kill -9` of everybody, and going on.

use std::time::{Duration, Instant};

use framebus::{LoanError, Publisher, PublisherState, Slots, mark};

use crate::actor;
use crate::harness::{TestStream, attach, eventually, failure, framebus, options};

const CAMERA: &str = "--width 640 --height 480 --format rgb8 --unpaced";

#[test]
fn viewers_go_on_when_the_producer_is_killed_while_it_writes() {
    let stream = TestStream::new("kill-producer");
    let viewer = stream.viewer("--verify");
    let mut last = 0;
    for round in 0..5 {
        // Unpaced, it is nearly always in the middle of a frame.
        let producer = stream.producer(CAMERA);
        let first = producer.wait_for("last_sequence", 1)["last_sequence"].as_u64().unwrap();
        assert!(first > last, "round {round}: sequence {first} after {last}");
        let seen = viewer.wait_for("last_sequence", first)["last_sequence"].as_u64().unwrap();
        producer.kill();
        // Only now is it certain that nothing more comes.
        last = stream.status().unwrap().last_sequence.max(seen);
    }
    assert_eq!(stream.status().unwrap().publisher, PublisherState::Gone);
    let viewer = viewer.interrupt();
    assert_eq!((viewer.number("torn"), viewer.number("epochs")), (0, 0), "nothing to re-attach: {viewer:?}");
    assert_eq!(viewer.number("last_sequence"), last, "what was published is not lost");
    stream.remove();
}

#[test]
fn publisher_killed_during_loan_frees_its_slot_and_its_frame_is_never_seen() {
    let stream = TestStream::new("kill-loan");
    let writer = actor::start(&stream, "write");
    assert_eq!(writer.wait_for("at", 2)["at"], 2);
    let mut subscriber = attach(&stream.name).unwrap();
    writer.kill();
    let frame = subscriber.latest().unwrap().unwrap();
    assert_eq!(mark::verify(&frame, 1), Ok(()));
    assert_eq!(subscriber.publisher(), PublisherState::Gone);

    let mut successor = Publisher::open(&stream.name, &options(actor::content())).unwrap();
    assert_eq!(successor.next_sequence(), 2);
    let mut loan = successor.loan().unwrap();
    mark::stamp(&mut loan, 2, 0);
    loan.publish();
    let second = subscriber.latest().unwrap().unwrap();
    assert_eq!((mark::verify(&frame, 1), mark::verify(&second, 2)), (Ok(()), Ok(())));
    assert_eq!(subscriber.epoch(), 0);
}

#[test]
fn slots_of_a_killed_viewer_are_free_again() {
    let stream = TestStream::new("kill-viewer");
    let mut settings = options(actor::content());
    settings.slots = Slots::Exactly(3);
    let mut publisher = Publisher::open(&stream.name, &settings).unwrap();
    publisher.loan().unwrap().publish();
    let holder = actor::start(&stream, "hold 2");
    eventually("the holder has its first frame", || {
        stream.status().filter(|status| status.subscribers.iter().any(|subscriber| subscriber.held == 1))
    });
    publisher.loan().unwrap().publish();
    holder.wait_for("at", 2);
    publisher.loan().unwrap().publish();
    let refused = publisher.loan().map(drop).unwrap_err();
    let LoanError::Held { holders, .. } = &refused else { panic!("{refused}") };
    assert_eq!((holders[0].label.as_str(), holders[0].pid), ("holder", Some(holder.child.id())), "{refused}");
    assert_eq!(stream.status().unwrap().subscribers[0].blamed, 1);

    holder.kill();
    // The kernel drops the lease when the process is gone, which it is.
    let sequence = publisher.loan().unwrap().publish();
    assert_eq!(sequence, 4);
    assert_eq!(stream.status().unwrap().subscribers.len(), 0);
}

#[test]
fn a_place_is_free_again_when_its_viewer_is_killed() {
    let stream = TestStream::new("kill-places");
    let mut settings = options(actor::content());
    settings.max_subscribers = 1;
    let mut publisher = Publisher::open(&stream.name, &settings).unwrap();
    for round in 1..=10 {
        publisher.loan().unwrap().publish();
        let holder = actor::start(&stream, "hold 1");
        assert_eq!(holder.wait_for("at", round)["at"], round);
        let full = attach(&stream.name).map(drop).unwrap_err();
        assert!(full.to_string().contains("all 1 places are taken by holder"), "{full}");
        holder.kill();
    }
    assert_eq!(publisher.counters().refused, 0);
    assert!(attach(&stream.name).is_ok());
}

#[test]
fn viewers_follow_a_successor_of_another_size() {
    let stream = TestStream::new("resize");
    let viewer = stream.viewer("--verify");
    let first = stream.producer("--width 320 --height 240 --format mono8 --rate 200");
    let seen = viewer.wait_for("last_sequence", 3)["last_sequence"].as_u64().unwrap();
    first.kill();
    let second = stream.producer("--width 640 --height 480 --format rgb8 --rate 200");
    // A frame of the second: the first may have got beyond what the viewer said, and its last frames count as much.
    let last = eventually("the second one publishes", || {
        let second = stream.status().filter(|status| status.geometry.slot_capacity_bytes() == 640 * 480 * 3);
        second.map(|status| status.last_sequence).filter(|&last| last > seen)
    });
    viewer.wait_for("last_sequence", last);
    let viewer = viewer.interrupt();
    assert_eq!((viewer.number("torn"), viewer.number("epochs")), (0, 1), "{viewer:?}");
    let second = second.interrupt();
    assert!(second.number("first_sequence") > seen, "sequences go on: {second:?}");
}

#[test]
fn a_killed_run_leaves_a_stream_that_can_be_listed_viewed_and_removed() {
    let stream = TestStream::new("stale");
    let producer = stream.producer("--width 64 --height 48 --format mono8 --rate 200");
    stream.wait_for_frame(2);
    let name = stream.name.to_string();
    let mut rm = framebus();
    rm.args(["rm", &name]);
    let (code, said) = failure(rm);
    assert_eq!(code, 1);
    assert_eq!(
        said,
        format!(
            "error: can not remove stream {name}: process {} publishes it; stop it first, or force it\n",
            producer.child.id()
        )
    );
    producer.kill();

    let listed = framebus().args(["ls", "--json", &name]).output().unwrap();
    let row: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!((&row["stream"], &row["publisher"]), (&name.as_str().into(), &"gone".into()));
    // A late joiner gets the last frame of a dead producer at once.
    let viewer = stream.viewer("--frames 1 --verify --patience 0").end();
    assert_eq!(viewer.number("last_sequence"), row["last_sequence"].as_u64().unwrap());
    stream.remove();
    assert!(stream.status().is_none());
}

#[test]
fn a_clean_exit_removes_the_stream_unless_it_persists() {
    let stream = TestStream::new("exit");
    let arguments = "--width 64 --height 48 --format mono8 --rate 200 --frames 5";
    assert_eq!(stream.producer(arguments).end().number("published"), 5);
    assert!(stream.status().is_none());
    assert_eq!(stream.producer(&format!("{arguments} --persist")).end().number("last_sequence"), 5);
    assert_eq!(stream.status().unwrap().last_sequence, 5);
    assert_eq!(stream.producer(&format!("{arguments} --persist")).end().number("first_sequence"), 6);
    stream.remove();
}

#[test]
fn a_subscriber_waits_over_the_death_of_its_publisher() {
    let stream = TestStream::new("wait-over");
    let writer = actor::start(&stream, "write");
    writer.wait_for("at", 2);
    let mut subscriber = attach(&stream.name).unwrap();
    assert!(subscriber.latest().unwrap().is_some());
    writer.kill();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| subscriber.wait(Instant::now() + Duration::from_secs(60)).unwrap());
        let mut successor = Publisher::open(&stream.name, &options(actor::content())).unwrap();
        successor.loan().unwrap().publish();
        assert!(waiting.join().unwrap());
    });
}
