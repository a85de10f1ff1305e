//! The source `exec:` over the real program: what is published, how commands that end are started again, and that none
//! of them is left behind.

mod support;

use std::path::Path;

use framebus::{StreamName, now_ns};
use rustix::process::{Pid, Signal, kill_process};
use support::{Producer, attach, next, stream, until};

const WIDTH: usize = 8;
const HEIGHT: usize = 6;
const RAW: [&str; 6] = ["--width", "8", "--height", "6", "--format", "mono8"];

fn start(name: &StreamName, command: &str, arguments: &[&str]) -> Producer {
    let (name, source) = (name.to_string(), format!("exec:{command}"));
    Producer::start(&[&["--stream", &name, "--source", &source, "--json"], arguments].concat())
}

/// A process that a command told of in a file is there, and no zombie.
fn is_alive(id: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
}

/// The numbers in a file, each a line; waits for the file to have `count` of them.
fn told_ids(path: &Path, count: usize) -> Vec<i32> {
    let mut ids = Vec::new();
    until("the command tells its process", || {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        // The last line may be half written.
        ids = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')?.parse().ok()).collect();
        ids.len() >= count
    });
    ids
}

/// A command that writes its process to a file, and then a frame of `byte`s again and again.
fn camera(ids: &Path, byte: char) -> String {
    let frame = byte.to_string().repeat(WIDTH * HEIGHT);
    format!("echo $$ >> {}; while :; do printf {frame}; sleep 0.01; done", ids.display())
}

#[test]
fn video_says_its_shape_and_a_command_that_ends_well_is_the_end_where_that_was_asked_for() {
    let name = stream("y4m");
    let header = "YUV4MPEG2 W8 H6 F50:1 Cmono";
    let frame = "x".repeat(WIDTH * HEIGHT);
    let command = format!(r"echo '{header}'; for n in 1 2 3; do printf 'FRAME\n{frame}'; done");
    let outcome = start(&name, &command, &["--no-restart"]).outcome(false);
    assert!(outcome.status.success(), "{}", outcome.errors);
    let summary = outcome.summary();
    assert_eq!((summary.published, summary.abandoned, summary.restarts), (3, 0, 0));
    assert!(outcome.errors.contains("images of 8 × 6 mono8, unpaced"), "{}", outcome.errors);
    assert!(outcome.errors.contains("(exit code 0)"), "{}", outcome.errors);
}

#[test]
fn a_command_that_is_killed_is_started_again_and_the_stream_goes_on() {
    let (name, folder) = (stream("killed"), tempfile::tempdir().unwrap());
    let ids = folder.path().join("ids");
    let producer = start(&name, &camera(&ids, 'a'), &RAW);
    let mut viewer = attach(&name, false);
    let (epoch, mut before) = (viewer.epoch(), 0);
    for round in 1..=3 {
        let frame = next(&mut viewer);
        assert!(frame.iter().all(|&byte| byte == b'a') && frame.info().sequence > before);
        let id = told_ids(&ids, round)[round - 1];
        kill_process(Pid::from_raw(id).unwrap(), Signal::KILL).unwrap();
        before = frame.info().sequence;
        drop(frame);
        told_ids(&ids, round + 1);
    }
    assert_eq!(viewer.epoch(), epoch);
    producer.signal(Signal::INT);
    let outcome = producer.outcome(false);
    assert!(outcome.status.success(), "{}", outcome.errors);
    assert_eq!(outcome.summary().restarts, 3);
    assert_eq!(outcome.errors.matches("(signal 9); starting it again in").count(), 3, "{}", outcome.errors);
    assert!(told_ids(&ids, 4).iter().all(|&id| !is_alive(id)));
}

#[test]
fn a_frame_that_the_command_did_not_finish_is_never_published() {
    let (name, folder) = (stream("half"), tempfile::tempdir().unwrap());
    let mark = folder.path().join("mark");
    let (whole, half) = ("a".repeat(WIDTH * HEIGHT), "b".repeat(WIDTH * HEIGHT / 2));
    // The first run writes half a frame at its end.
    let command = format!(
        "if [ -e {0} ]; then while :; do printf {whole}; sleep 0.01; done; fi; touch {0}; printf {whole}{half}",
        mark.display()
    );
    let mut arguments = RAW.to_vec();
    arguments.extend(["--frames", "10", "--await-viewers", "1"]);
    let producer = start(&name, &command, &arguments);
    let mut viewer = attach(&name, false);
    let mut seen = 0;
    while seen < 10 {
        let frame = next(&mut viewer);
        assert!(frame.iter().all(|&byte| byte == b'a'));
        seen = frame.info().sequence;
    }
    let outcome = producer.outcome(false);
    let summary = outcome.summary();
    assert_eq!((summary.published, summary.abandoned, summary.restarts), (10, 1, 1), "{}", outcome.errors);
    assert!(outcome.errors.contains("is cut off: found 24 bytes, expected 48"), "{}", outcome.errors);
}

#[test]
fn a_command_that_comes_back_with_another_shape_changes_the_stream() {
    let (name, folder) = (stream("shape"), tempfile::tempdir().unwrap());
    let mark = folder.path().join("mark");
    let video =
        |width: usize| format!(r"echo 'YUV4MPEG2 W{width} H6 Cmono'; printf 'FRAME\n{}'", "x".repeat(width * 6));
    // The second time it writes what can not be published, which is no reason to give a camera up.
    let (small, none, large) = (video(8), "echo 'YUV4MPEG2 W8 H6 C444'", video(10));
    let command = format!(
        "echo >> {0}; case $(wc -l < {0}) in 1) {small};; 2) {none};; 3) {large};; *) sleep 100;; esac",
        mark.display()
    );
    let producer = start(&name, &command, &["--frames", "2", "--persist", "--history", "2"]);
    let mut viewer = attach(&name, true);
    let shapes: Vec<_> = (0..2).map(|_| next(&mut viewer).shape().unwrap().to_string()).collect();
    assert_eq!(shapes, ["8 × 6 mono8", "10 × 6 mono8"]);
    let outcome = producer.outcome(false);
    assert!(outcome.status.success(), "{}", outcome.errors);
    let expected = "carries images of 10 × 6 mono8 from frame 2 on in a new epoch";
    assert!(outcome.errors.contains(expected), "{}", outcome.errors);
    assert!(outcome.errors.contains("its pixels are C444"), "{}", outcome.errors);
    let summary = outcome.summary();
    assert_eq!((summary.published, summary.restarts), (2, 2));
    drop(viewer);
    framebus::remove(&framebus::Backend::SysV, &name, true).unwrap();
}

#[test]
fn a_command_that_can_not_run_or_fails_for_good_is_an_error_with_its_last_words() {
    let name = stream("wrong");
    let outcome = start(&name, "no-such-program-here -x", &RAW).outcome(false);
    assert_eq!(outcome.status.code(), Some(1));
    assert!(outcome.error().contains("no-such-program-here ended after"), "{}", outcome.errors);
    assert!(outcome.error().contains("exit code 127: there is no such program"), "{}", outcome.errors);
    assert!(outcome.error().contains("not found; check the command"), "{}", outcome.errors);
    let mut arguments = RAW.to_vec();
    arguments.push("--no-restart");
    let outcome = start(&name, "echo the lens is on fire >&2; exit 7", &arguments).outcome(false);
    assert_eq!(outcome.status.code(), Some(1));
    assert!(outcome.error().contains("(exit code 7); it wrote nothing; its last words: the lens is on fire"));
    // The same where it ends in the midst of a frame.
    let outcome = start(&name, "printf abc", &arguments).outcome(false);
    assert_eq!(outcome.status.code(), Some(1));
    assert!(outcome.error().contains("is cut off: found 3 bytes, expected 48"), "{}", outcome.errors);
}

#[test]
fn a_command_that_writes_nothing_is_tried_until_the_user_ends_it() {
    let (name, folder) = (stream("nothing"), tempfile::tempdir().unwrap());
    let ids = folder.path().join("ids");
    let producer = start(&name, &format!("echo $$ >> {}; exit 1", ids.display()), &RAW);
    told_ids(&ids, 3);
    producer.signal(Signal::TERM);
    let outcome = producer.outcome(false);
    assert!(outcome.status.success(), "{}", outcome.errors);
    let summary = outcome.summary();
    assert_eq!(summary.published, 0);
    // Two pauses at least, the first of 100 ms, the second twice as long.
    assert!(summary.restarts >= 2 && summary.seconds >= 0.3, "{summary:?}");
}

#[test]
fn nothing_of_a_command_is_left_however_its_producer_ends() {
    for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
        let (name, folder) = (stream("left"), tempfile::tempdir().unwrap());
        let ids = folder.path().join("ids");
        // A helper of its own, and one that neither writes nor listens to TERM.
        let command = format!(
            "(trap '' TERM; sleep 1000) & echo $! >> {0}; sleep 1000 & echo $! >> {0}; {1}",
            ids.display(),
            camera(&ids, 'c')
        );
        let producer = start(&name, &command, &RAW);
        let mut viewer = attach(&name, false);
        next(&mut viewer);
        let ids = told_ids(&ids, 3);
        assert!(ids.iter().all(|&id| is_alive(id)));
        producer.signal(signal);
        let outcome = producer.outcome(false);
        assert_eq!(outcome.status.success(), signal != Signal::KILL, "{}", outcome.errors);
        until("all of the command has ended", || !ids.iter().any(|&id| is_alive(id)));
        if signal == Signal::KILL {
            // A stream of a producer that was killed stays for the next one.
            drop(viewer);
            framebus::remove(&framebus::Backend::SysV, &name, false).unwrap();
        }
    }
}

#[test]
fn frames_are_published_as_they_come_and_with_a_rate_at_that_rate() {
    let name = stream("pace");
    let frame = "z".repeat(WIDTH * HEIGHT);
    // 40 frames at once.
    let command = format!("for n in 1 2 3 4 5 6 7 8 9 10; do printf {frame}{frame}{frame}{frame}; done");
    // What is told at its end, and when frame after frame was there, in ns since before the run began.
    let run = |rate: &[&str]| {
        let more = ["--no-restart", "--history", "64", "--await-viewers", "1"];
        let producer = start(&name, &command, &[&RAW[..], &more, rate].concat());
        let before_ns = now_ns();
        let mut viewer = attach(&name, false);
        let times_ns: Vec<u64> = (0..40).map(|_| next(&mut viewer).info().capture_ns - before_ns).collect();
        let outcome = producer.outcome(false);
        assert_eq!(outcome.summary().published, 40, "{}", outcome.errors);
        (outcome, times_ns)
    };
    const PERIOD_NS: u64 = 20_000_000;
    let (paced, times_ns) = run(&["--rate", "50"]);
    assert!(paced.summary().rate_hz < 60.0 && paced.errors.contains("mono8, at 50"), "{}", paced.errors);
    // A frame may be late, and the one behind it less so: not each is a period behind the one before.
    assert!((0..).zip(&times_ns).all(|(index, &time_ns)| time_ns >= index * PERIOD_NS), "{times_ns:?}");
    let (unpaced, times_ns) = run(&[]);
    assert!(unpaced.errors.contains("mono8, unpaced"), "{}", unpaced.errors);
    assert!(times_ns.windows(2).any(|pair| pair[1] - pair[0] < PERIOD_NS / 2), "{times_ns:?}");
}
