//! Every frame for who asked for every frame, over the real programs: true backpressure, deep history, and what becomes of readers that
//! are stuck or dead.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::harness::{Ended, Piped, Running, TestStream, eventually};
use crate::pipes::video;
use crate::signals::{signal, stop};

const CAMERA: &str = "--width 64 --height 48 --format mono8";

/// A program that says warnings.
fn start(mut command: Command) -> Running {
    Running::start({
        command.env("FRAMEBUS_LOG", "warn");
        command
    })
}

fn camera(stream: &TestStream, arguments: &str) -> Running {
    start(stream.command("producer", &format!("--json --interval 0.1 {CAMERA} --on-full wait {arguments}")))
}

fn every(stream: &TestStream, label: &str, arguments: &str) -> Running {
    start(stream.command("viewer", &format!("--json --interval 0.1 --mode every --verify --label {label} {arguments}")))
}

#[track_caller]
fn number(ended: &Ended, field: &str) -> u64 {
    ended.summary[field].as_u64().unwrap_or_else(|| panic!("{field} in {ended:?}"))
}

/// Every frame from the first to the last one was taken, or is counted as missed.
#[track_caller]
fn check_account(viewer: &Ended) {
    let (first, last) = (number(viewer, "first_sequence"), number(viewer, "last_sequence"));
    assert_eq!(number(viewer, "frames") + number(viewer, "missed"), last - first + 1, "{viewer:?}");
    assert_eq!((number(viewer, "torn"), number(viewer, "skipped")), (0, 0), "{viewer:?}");
}

#[test]
fn a_replay_waits_for_a_slow_reader_and_both_get_it_bit_by_bit() {
    let (sent, stream) = (video(120), TestStream::new("replay"));
    let viewer = |arguments: &str| {
        let arguments = format!("--mode every --pipe y4m --quiet --until-closed --patience 60 {arguments}");
        Piped::start(stream.command("viewer", &arguments))
    };
    let viewers = [viewer("--label quick --enforce"), viewer("--label slow --hold 4 --enforce")];
    let arguments = "--json --source y4m:- --unpaced --on-full wait --wait-ms 20000 --history 2 --await-viewers 2";
    let mut producer = stream.command("producer", arguments);
    producer.stdin(Stdio::piped());
    let mut producer = Running::start(producer);
    producer.child.stdin.take().unwrap().write_all(&sent).unwrap();
    for viewer in viewers {
        let ended = viewer.end();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        assert_eq!(ended.stdout.len(), sent.len());
        assert!(ended.stdout == sent, "the bytes differ");
    }
    let producer = producer.end();
    assert_eq!((producer.number("published"), producer.number("drops"), producer.number("evicted")), (120, 0, 0));
    // A window of two, and a reader that takes 4 ms for each.
    assert!(producer.number("waits") >= 50, "{producer:?}");
}

#[test]
fn whoever_comes_late_gets_the_whole_of_a_deep_history() {
    let stream = TestStream::new("deep");
    let producer = camera(&stream, "--rate 5000 --frames 500 --history 500 --persist").end();
    assert_eq!(producer.number("published"), 500);
    let viewer = every(&stream, "late", "--frames 500 --enforce").end();
    assert_eq!((viewer.number("frames"), viewer.number("first_sequence"), viewer.number("missed")), (500, 1, 0));
    check_account(&viewer);
    stream.remove();
}

#[test]
fn a_stopped_reader_is_named_and_evicted_the_others_go_on_and_afterwards_it_is_waited_for_again() {
    let stream = TestStream::new("evicted");
    let good = every(&stream, "good", "--enforce");
    let stuck = every(&stream, "stuck", "--enforce");
    let producer = camera(&stream, "--rate 400 --history 64 --wait-ms 1000 --await-viewers 2");
    let stuck_pid = stuck.child.id();
    stuck.wait_for("last_sequence", 20);
    stop(&stuck);
    producer.wait_for("evicted", 1);
    let now = stream.status().unwrap();
    assert!(now.subscribers.iter().all(|viewer| viewer.lossless == (viewer.holder.label == "good")), "{now:?}");
    // Without it, and without waiting for it.
    let reached = stream.wait_for_frame(now.last_sequence + 400);
    assert_eq!(stream.status().unwrap().counters.evicted, 1);

    signal(&stuck, libc::SIGCONT);
    let mut missed = 0;
    let mut is_told = false;
    // It learns of its eviction, and what is gone is counted with its next frame, which may come in the interval after.
    eventually("it learns of its eviction", || {
        let object = stuck.next_object();
        is_told |= object["evicted"].as_u64() == Some(1);
        missed += object["missed"].as_u64().unwrap();
        (is_told && missed > 0).then_some(())
    });
    let again = |status: framebus::StreamStatus| status.subscribers.iter().all(|viewer| viewer.lossless).then_some(());
    eventually("it is waited for again", || stream.status().and_then(again));
    stream.wait_for_frame(reached + 600);

    let (stuck, good) = (stuck.interrupt(), good.interrupt());
    let producer = producer.interrupt();
    check_account(&stuck);
    assert_eq!((number(&stuck, "evicted"), number(&stuck, "missed")), (1, missed), "overrun again: {stuck:?}");
    assert!(missed >= 300, "{stuck:?}");
    assert_eq!(stuck.status.code(), Some(1), "{stuck:?}");
    let fault = format!("the contract of {} was not kept: evicted once while every frame was asked for", stream.name);
    assert!(stuck.stderr.contains(&fault), "{}", stuck.stderr);
    assert!(
        stuck.stderr.contains("frames behind for longer than the publisher waits, and was evicted"),
        "{}",
        stuck.stderr
    );

    check_account(&good);
    assert_eq!((good.number("missed"), good.number("evicted")), (0, 0), "{good:?}");
    assert_eq!((producer.number("drops"), producer.number("evicted")), (0, 1), "{producer:?}");
    let named = producer.stderr.lines().find(|line| line.contains("evicted stuck (place ")).expect("it is named");
    assert!(named.contains(&format!("pid {stuck_pid})")) && named.contains("for longer than 1s (wait_ms)"), "{named}");
}

#[test]
fn a_killed_lossless_reader_is_not_waited_for() {
    let stream = TestStream::new("killed-reader");
    let good = every(&stream, "good", "");
    let killed = every(&stream, "killed", "");
    // Longer than the watchdog: whoever waits for the dead one fails.
    let producer = camera(&stream, "--rate 400 --history 4 --wait-ms 600000 --await-viewers 2");
    killed.wait_for("last_sequence", 20);
    killed.kill();
    let last = stream.status().unwrap().last_sequence;
    stream.wait_for_frame(last + 400);
    let (good, producer) = (good.interrupt(), producer.interrupt());
    check_account(&good);
    assert_eq!(good.number("missed"), 0);
    assert_eq!((producer.number("drops"), producer.number("evicted")), (0, 0), "{producer:?}");
}

#[test]
fn where_the_policy_is_to_refuse_frames_a_stuck_reader_is_blamed_and_misses_nothing() {
    let stream = TestStream::new("refuse");
    let stuck = every(&stream, "stuck", "--enforce");
    let producer = camera(&stream, "--rate 400 --history 8 --wait-ms 20 --on-stuck refuse --await-viewers 1");
    stuck.wait_for("last_sequence", 20);
    stop(&stuck);
    let mut drops = 0;
    eventually("frames are refused", || {
        drops += producer.next_object()["drops"].as_u64().unwrap();
        (drops >= 10).then_some(())
    });
    let status = stream.status().unwrap();
    assert!(status.subscribers[0].blamed >= 10 && status.subscribers[0].lossless, "{status:?}");
    signal(&stuck, libc::SIGCONT);
    stream.wait_for_frame(status.last_sequence + 400);
    let (stuck, producer) = (stuck.interrupt(), producer.interrupt());
    check_account(&stuck);
    assert_eq!((stuck.number("missed"), stuck.number("evicted")), (0, 0), "{stuck:?}");
    assert!(producer.number("drops") >= 10 && producer.number("evicted") == 0, "{producer:?}");
    assert!(producer.stderr.contains("stuck (place 0, pid "), "{}", producer.stderr);
}
