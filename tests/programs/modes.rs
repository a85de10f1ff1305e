//! Latest and every, with few and many viewers, quick and slow ones.

use crate::harness::{Ended, TestStream};

/// All frames between the first and the last one are either seen or accounted for.
fn check_account(viewer: &Ended) {
    let (first, last) = (viewer.number("first_sequence"), viewer.number("last_sequence"));
    let accounted = viewer.number("frames") + viewer.number("skipped") + viewer.number("missed");
    assert_eq!(accounted, last - first + 1, "{viewer:?}");
    assert_eq!(viewer.number("torn"), 0, "{viewer:?}");
}

fn every_frame_reaches(viewers: usize) {
    let stream = TestStream::new("every");
    let seen: Vec<_> = (0..viewers).map(|_| stream.viewer("--mode every --verify --frames 100")).collect();
    let arguments = "--width 320 --height 240 --format rgb8 --rate 500 --frames 100 --history 100 --await-viewers";
    let producer = stream.producer(&format!("{arguments} {viewers}")).end();
    assert_eq!((producer.number("published"), producer.number("drops")), (100, 0), "{producer:?}");
    for viewer in seen {
        let viewer = viewer.end();
        check_account(&viewer);
        assert_eq!((viewer.number("frames"), viewer.number("missed")), (100, 0), "{viewer:?}");
        assert_eq!(viewer.number("verified"), 100, "{viewer:?}");
    }
}

#[test]
fn every_frame_reaches_one_viewer() {
    every_frame_reaches(1);
}

#[test]
fn every_frame_reaches_two_viewers() {
    every_frame_reaches(2);
}

#[test]
fn every_frame_reaches_eight_viewers() {
    every_frame_reaches(8);
}

fn latest_frames_reach(viewers: usize, wait: &str) {
    let stream = TestStream::new("latest");
    let arguments = format!("--mode latest --wait {wait} --verify --frames 50");
    let seen: Vec<_> = (0..viewers).map(|_| stream.viewer(&arguments)).collect();
    let producer = stream.producer("--width 320 --height 240 --format mono8 --rate 200");
    for viewer in seen {
        let viewer = viewer.end();
        check_account(&viewer);
        assert_eq!(viewer.number("frames"), 50, "{viewer:?}");
    }
    let producer = producer.interrupt();
    assert_eq!(producer.number("drops"), 0, "{producer:?}");
}

#[test]
fn latest_frames_reach_one_viewer() {
    latest_frames_reach(1, "block");
}

#[test]
fn latest_frames_reach_two_viewers_that_spin() {
    latest_frames_reach(2, "spin");
}

#[test]
fn latest_frames_reach_two_viewers_that_predict() {
    latest_frames_reach(2, "predict");
}

#[test]
fn latest_frames_reach_eight_viewers() {
    latest_frames_reach(8, "block");
}

#[test]
fn a_slow_viewer_that_holds_frames_costs_nobody_else_a_frame() {
    let stream = TestStream::new("slow");
    let slow = stream.viewer("--verify --hold 40 --hold-frames 1 --frames 12");
    let quick = stream.viewer("--mode every --verify --frames 200");
    let producer = stream.producer("--width 320 --height 240 --format rgb8 --rate 400 --history 64 --await-viewers 2");
    let (slow, quick) = (slow.end(), quick.end());
    check_account(&slow);
    check_account(&quick);
    assert!(slow.number("skipped") > 0, "{slow:?}");
    assert_eq!(quick.number("frames"), 200);
    let producer = producer.interrupt();
    assert_eq!(producer.number("drops"), 0, "{producer:?}");
}

#[test]
fn a_strict_triple_buffer_serves_eight_quick_viewers() {
    let stream = TestStream::new("triple");
    let seen: Vec<_> = (0..8).map(|_| stream.viewer("--verify --frames 30")).collect();
    let producer = stream.producer("--width 64 --height 48 --format mono8 --rate 100 --slots 3 --max-held 1");
    for viewer in seen {
        check_account(&viewer.end());
    }
    // With three slots a frame may be refused while others hold two; then it is counted, and its cause is known.
    let status = stream.status().unwrap();
    let producer = producer.interrupt();
    assert!(status.counters.refused <= producer.number("drops"), "{producer:?}");
}

#[test]
fn a_viewer_that_comes_first_waits_for_the_stream() {
    let stream = TestStream::new("early");
    let viewer = stream.viewer("--frames 3 --verify");
    let producer = stream.producer("--width 64 --height 48 --format mono8 --rate 100");
    assert_eq!(viewer.end().number("frames"), 3);
    producer.interrupt();
}
