//! Contracts: what a viewer relies on, from the config or the command line; violations are counted, told, and fail a run that enforces.

use std::process::Command;
use std::time::Duration;

use framebus::{Content, Publisher, now_ns};
use serde_json::Value;

use crate::harness::{Ended, Running, TestStream, eventually, failure, framebus, options};

/// A viewer that says warnings.
fn viewer(stream: &TestStream, arguments: &str) -> Running {
    let mut command = stream.command("viewer", &format!("--json --interval 0.1 {arguments}"));
    command.env("FRAMEBUS_LOG", "warn");
    Running::start(command)
}

fn violations(ended: &Ended) -> [u64; 3] {
    ["too_old", "too_many_skipped", "stale"].map(|key| ended.summary["violations"][key].as_u64().unwrap())
}

/// Publishes frames that are so old, each when the one before it was taken.
fn publish_old(stream: &TestStream, publisher: &mut Publisher, frames: u64, age_ms: u64) {
    eventually("a viewer is there", || (publisher.subscribers() == 1).then_some(()));
    for _ in 0..frames {
        // Of frames that come within 100 µs of each other only the first is judged.
        std::thread::sleep(Duration::from_millis(1));
        let mut loan = publisher.loan().unwrap();
        loan.set_capture_ns(now_ns() - age_ms * 1_000_000);
        let sequence = loan.publish();
        let taken = || stream.status()?.subscribers.first().map(|viewer| viewer.counters.last_sequence);
        eventually("it takes the frame", || taken().is_none_or(|last| last >= sequence).then_some(()));
    }
}

fn publisher(stream: &TestStream) -> Publisher {
    Publisher::open(&stream.name, &options(Content::Bytes { capacity: 1000 })).unwrap()
}

#[test]
fn a_contract_that_is_kept_is_not_talked_about() {
    let stream = TestStream::new("kept");
    let viewer = viewer(&stream, "--max-age-ms 3600000 --max-skipped-per-s 1000000 --enforce --frames 30");
    let producer = stream.producer("--width 64 --height 48 --format mono8 --rate 100");
    let viewer = viewer.end();
    assert_eq!(viewer.number("frames"), 30);
    assert_eq!((violations(&viewer), &viewer.summary["contract_kept"]), ([0; 3], &true.into()));
    assert!(viewer.stderr.contains("\ncontract kept") && !viewer.stderr.contains("does not keep"), "{}", viewer.stderr);
    producer.interrupt();
}

#[test]
fn frames_that_are_too_old_are_counted_and_fail_a_viewer_that_enforces() {
    for (enforce, code) in [("--enforce", 1), ("", 0)] {
        let stream = TestStream::new("old");
        let mut publisher = publisher(&stream);
        // Long enough for no interval to end without a frame.
        let viewer = viewer(&stream, &format!("--max-age-ms 5000 --frames 5 {enforce}"));
        publish_old(&stream, &mut publisher, 5, 6_000);
        let viewer = viewer.end();
        assert_eq!((viewer.status.code(), violations(&viewer)[0]), (Some(code), 5), "{viewer:?}");
        assert_eq!(viewer.summary["contract_kept"], false);
        assert!(viewer.stderr.contains("contract not kept: 5 frames too old when taken"), "{}", viewer.stderr);
        let fault = format!("the contract of {} was not kept: 5 frames too old when taken", stream.name);
        assert_eq!(viewer.stderr.contains(&fault), code == 1, "{}", viewer.stderr);
    }
}

#[test]
fn a_stream_that_stands_still_breaks_a_contract_and_is_told_of_once_an_interval() {
    let stream = TestStream::new("still");
    let _publisher = publisher(&stream);
    let viewer = viewer(&stream, "--max-age-ms 1 --enforce");
    let mut intervals = 0;
    eventually("two intervals without a frame", || {
        intervals += u32::from(viewer.next_object()["violations"]["stale"].as_u64() > Some(0));
        (intervals == 2).then_some(())
    });
    let viewer = viewer.interrupt();
    let [old, skipped, stale] = violations(&viewer);
    assert_eq!((viewer.status.code(), old, skipped), (Some(1), 0, 0), "{viewer:?}");
    assert!(stale >= 2, "{viewer:?}");
    let told = viewer.stderr.matches("does not keep its contract").count() as u64;
    // And at the end, which is no interval.
    assert!((1..=stale).contains(&told), "{told} of {stale}: {}", viewer.stderr);
    assert!(viewer.stderr.contains("(there is none at all, allowed 1ms)"), "{}", viewer.stderr);
}

#[test]
fn frames_that_are_passed_over_break_a_contract() {
    let stream = TestStream::new("passed");
    let producer = stream.producer("--width 64 --height 48 --format mono8 --rate 500");
    let viewer = viewer(&stream, "--max-skipped-per-s 0 --hold 50 --frames 10 --enforce --quiet").end();
    assert_eq!((viewer.status.code(), violations(&viewer)[0]), (Some(1), 0), "{viewer:?}");
    assert!(violations(&viewer)[1] >= 1, "{viewer:?}");
    // A line for the machine's log, and no other.
    assert_eq!(viewer.stderr.lines().count(), 1, "{}", viewer.stderr);
    assert!(viewer.stderr.contains("with too many skipped"), "{}", viewer.stderr);
    producer.interrupt();
}

#[test]
fn a_config_agrees_with_labels_and_makes_a_recorder_lossless() {
    let stream = TestStream::new("labels");
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("framebus.toml");
    let text = format!(
        "[bus]\nname = \"{}\"\n[streams.front]\nwidth = 64\nheight = 48\nformat = \"mono8\"\nrate_hz = 100\nhistory = 20\non_full = \
         \"wait\"\nmax_age_ms = 0.001\n[streams.front.subscribers.recorder]\nlossless = true\nmax_age_ms = \"none\"\nmax_skipped_per_s = 0\n",
        stream.name.bus()
    );
    std::fs::write(&config, text).unwrap();
    let with_config = format!("--config {}", config.display());
    let monitor = viewer(&stream, &format!("{with_config} --label monitor --frames 20 --enforce"));
    let recorder = viewer(&stream, &format!("{with_config} --label recorder --verify --frames 50 --enforce"));
    let producer = stream.producer(&format!("{with_config} --await-viewers 2"));
    eventually("the recorder is there, and lossless", || {
        let viewers = stream.status()?.subscribers;
        viewers.iter().any(|viewer| viewer.holder.label == "recorder" && viewer.lossless).then_some(())
    });
    let (monitor, recorder) = (monitor.end(), recorder.end());
    assert_eq!(monitor.status.code(), Some(1), "none of its frames is that new: {monitor:?}");
    // A producer that was held up publishes what is overdue at once, and of such frames one is judged.
    assert!((1..=20).contains(&violations(&monitor)[0]), "{monitor:?}");
    assert_eq!((recorder.number("frames"), recorder.number("skipped"), recorder.number("missed")), (50, 0, 0));
    assert_eq!(recorder.summary["contract_kept"], true);
    producer.interrupt();
}

#[test]
fn nothing_to_enforce_is_a_mistake() {
    let stream = TestStream::new("nothing");
    let (code, said) = failure(stream.command("viewer", "--enforce"));
    assert_eq!(code, 2);
    assert!(said.contains("--enforce has nothing to enforce: give --max-age-ms"), "{said}");
}

#[test]
fn a_limit_below_the_time_between_two_frames_is_about_frames_when_they_are_taken() {
    let stream = TestStream::new("slow-rate");
    // At 1 Hz the newest frame is half a second old as a rule, and none is 100 ms old when it is taken.
    let viewer = viewer(&stream, "--max-age-ms 100 --frames 3 --mode every");
    let producer = stream.producer("--width 64 --height 48 --format mono8 --rate 1 --history 8");
    let viewer = viewer.end();
    assert_eq!(viewer.number("frames"), 3, "{viewer:?}");
    assert_eq!(violations(&viewer)[2], 0, "{viewer:?}");
    producer.interrupt();
}

#[test]
fn a_stream_without_a_rate_is_judged_by_the_distance_of_its_frames() {
    let stream = TestStream::new("no-rate");
    let mut publisher = publisher(&stream);
    let viewer = viewer(&stream, "--max-age-ms 20 --frames 12 --enforce");
    eventually("a viewer is there", || (publisher.subscribers() == 1).then_some(()));
    // An interval of the viewer's ends between two of them.
    for _ in 0..12 {
        publisher.loan().unwrap().publish();
        std::thread::sleep(Duration::from_millis(150));
    }
    let viewer = viewer.end();
    assert_eq!(violations(&viewer)[1..], [0, 0], "{viewer:?}");
}

fn soak(stream: &TestStream, arguments: &str) -> (Option<i32>, Value, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut command: Command = framebus();
    command.args(["soak", "--json", "--calm", "--size", "64x48", "--streams", "1", "--viewers", "2", "--seconds", "2"]);
    command.args(["--bus", stream.name.bus(), "--report"]).arg(folder.path()).args(arguments.split_whitespace());
    let ended = Running::start(command).end();
    (ended.status.code(), ended.summary, std::fs::read_to_string(folder.path().join("report.html")).unwrap())
}

#[test]
fn a_soak_whose_viewers_do_not_get_what_they_rely_on_fails_and_names_them() {
    let stream = TestStream::new("soak-contract");
    let (code, summary, page) = soak(&stream, "--max-age-ms 0.001");
    assert_eq!(code, Some(1), "{summary}");
    let promises = summary["verdict"]["promises"].as_array().unwrap();
    let broken = |row: &Value| row["promise"] == "contract" && row["kept"] == false;
    assert!(promises.iter().any(broken), "{summary}");
    let findings = summary["verdict"]["findings"].as_array().unwrap();
    let of_contract: Vec<&Value> = findings.iter().filter(|finding| finding["promise"] == "contract").collect();
    assert!(of_contract.iter().all(|finding| finding["culprit"].as_str().unwrap().starts_with("viewer-")), "{summary}");
    assert!(summary["totals"]["violations"].as_u64() > Some(10), "{summary}");
    assert!(page.contains("violations of contracts") && page.contains("frames too old when taken"));
}

#[test]
fn a_soak_whose_viewers_get_what_they_rely_on_says_so() {
    let stream = TestStream::new("soak-kept");
    let (_, summary, _) = soak(&stream, "--max-age-ms 3600000 --max-skipped-per-s 1000000");
    let promises = summary["verdict"]["promises"].as_array().unwrap();
    let kept = |row: &Value| row["promise"] == "contract" && row["kept"] == true;
    assert!(promises.iter().any(kept), "{summary}");
    assert_eq!(summary["totals"]["violations"], 0);
}
