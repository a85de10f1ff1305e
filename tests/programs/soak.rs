//! The soak: that a good run is found good, and a bad one bad, with its culprit; and that it leaves nothing.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use framebus::{StreamName, StreamStatus, Subscriber, SubscriberOptions};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::harness::{Running, TestStream, eventually, failure, framebus};

/// A soak on a bus of the test's own, with small pictures.
fn soak(bus: &str, folder: &Path, arguments: &str) -> Command {
    let mut command = framebus();
    command.args(["soak", "--json", "--bus", bus, "--size", "160x120", "--report"]).arg(folder);
    command.args(arguments.split_whitespace());
    command
}

/// The soak's first stream, as it is now.
fn status(bus: &str) -> Option<StreamStatus> {
    let name = StreamName::new(bus, "camera-1").unwrap();
    framebus::list(&crate::backend()).unwrap().into_iter().find(|stream| stream.name == name)
}

fn kill(pid: u32) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::KILL).unwrap();
}

/// Processes that have this word in their command line.
fn processes(word: &str) -> Vec<String> {
    let pids = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let lines = pids.filter_map(|pid| std::fs::read(pid.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " ")).filter(|line| line.contains(word)).collect()
}

fn read(folder: &Path) -> (Value, String) {
    let report = std::fs::read_to_string(folder.join("report.json")).unwrap();
    (serde_json::from_str(&report).unwrap(), std::fs::read_to_string(folder.join("report.html")).unwrap())
}

/// The promises that were broken.
fn broken(verdict: &Value) -> Vec<&str> {
    let promises = verdict["promises"].as_array().unwrap().iter().filter(|row| row["kept"] == false);
    promises.map(|row| row["promise"].as_str().unwrap()).collect()
}

#[test]
fn a_short_storm_keeps_all_promises_and_reports_what_it_did() {
    let stream = TestStream::new("soak-storm");
    let folder = tempfile::tempdir().unwrap();
    let ended = Running::start(soak(stream.name.bus(), folder.path(), "--seconds 5 --seed 7")).end();
    assert!(ended.status.success(), "{ended:?}");
    let (report, page) = read(folder.path());
    assert_eq!((&report["ok"], &report["seed"]), (&true.into(), &7.into()));
    assert_eq!((&ended.summary["kind"], &ended.summary["totals"]), (&"summary".into(), &report["totals"]));
    let total = |key: &str| report["totals"][key].as_u64().unwrap();
    assert!(total("kills") >= 20 && total("starts") > total("kills"), "{}", report["totals"]);
    assert!(total("published") >= 50 && total("verified") >= total("published") / 2, "{}", report["totals"]);
    assert_eq!((total("torn"), total("refused")), (0, 0));
    let streams = report["streams"].as_array().unwrap();
    assert_eq!((&streams[0]["backend"], &streams[1]["backend"]), (&"sysv".into(), &"file:/dev/shm/framebus".into()));
    let rows = streams.iter().flat_map(|stream| stream["timeline"].as_array().unwrap());
    assert!(rows.clone().count() >= 8, "{streams:?}");
    assert_eq!(rows.map(|row| row["published"].as_u64().unwrap()).sum::<u64>(), total("published"));
    assert_eq!(report["events"]["counts"]["kill"].as_u64().unwrap(), total("kills"));
    assert!(page.contains("all promises were kept") && page.matches("<svg").count() >= 4);
    // The name of the SVG language is no resource.
    let page = page.replace("http://www.w3.org/2000/svg", "");
    assert!(!page.contains("http") && !page.contains("src="), "the page needs nothing from elsewhere");
    assert_eq!(processes(stream.name.bus()), Vec::<String>::new());
    assert!(status(stream.name.bus()).is_none());
}

#[test]
fn a_calm_soak_fails_for_a_refused_frame_and_names_who_held_the_slots() {
    let stream = TestStream::new("soak-refused");
    let (bus, folder) = (stream.name.bus(), tempfile::tempdir().unwrap());
    let soak = Running::start(soak(bus, folder.path(), "--calm --seconds 60 --slots 6"));
    eventually("the soak's stream has its viewers", || status(bus).filter(|status| status.subscribers.len() >= 4));
    let mut options = SubscriberOptions::default();
    options.label = "greedy".to_owned();
    let mut greedy = Subscriber::attach_with(&StreamName::new(bus, "camera-1").unwrap(), options).unwrap();
    // Six slots, four of them in the window: with two frames that have left it, none is free.
    let mut held = Vec::new();
    eventually("it holds two frames", || {
        greedy.wait(Instant::now() + Duration::from_secs(1)).unwrap();
        held.extend(greedy.latest().unwrap());
        (held.len() == 2).then_some(())
    });
    eventually("a frame is refused", || status(bus).filter(|status| status.counters.refused > 5));
    // It is to be seen while it still holds them.
    let seen = |event: &Value| event["kind"] == "interval" && event["refused"].as_u64() > Some(0);
    eventually("an interval with a refused frame", || seen(&soak.next_object()).then_some(()));
    drop((held, greedy));
    let ended = soak.interrupt();
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let (report, page) = read(folder.path());
    assert_eq!(broken(&report["verdict"]), ["refused"], "{}", report["verdict"]);
    let finding = &report["verdict"]["findings"][0];
    assert_eq!(finding["culprit"], "greedy", "{finding}");
    assert!(finding["detail"].as_str().unwrap().contains("greedy (place "), "{finding}");
    assert_eq!(report["interrupted"], true);
    assert!(page.contains("a promise was broken") && page.contains("greedy"));
}

#[test]
fn a_viewer_that_ends_without_order_is_found() {
    let stream = TestStream::new("soak-stranger");
    let (bus, folder) = (stream.name.bus(), tempfile::tempdir().unwrap());
    let soak = Running::start(soak(bus, folder.path(), "--calm --seconds 60"));
    let viewer = eventually("the second viewer is there", || {
        status(bus)?.subscribers.into_iter().find(|subscriber| subscriber.holder.label == "viewer-2")
    });
    kill(viewer.holder.pid.unwrap());
    let back = |status: StreamStatus| {
        let mut viewers = status.subscribers.iter().filter(|subscriber| subscriber.holder.label == "viewer-2");
        viewers.any(|subscriber| subscriber.holder.pid != viewer.holder.pid).then_some(())
    };
    eventually("it is started again", || status(bus).and_then(back));
    let ended = soak.interrupt();
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert_eq!(broken(&ended.summary["verdict"]), ["actors"], "{ended:?}");
    let finding = &ended.summary["verdict"]["findings"][0];
    assert_eq!(finding["culprit"], "viewer-2");
    assert!(finding["detail"].as_str().unwrap().contains("signal: 9"), "{finding}");
}

#[test]
fn a_soak_that_is_killed_leaves_neither_processes_nor_streams() {
    let stream = TestStream::new("soak-killed");
    let (bus, folder) = (stream.name.bus(), tempfile::tempdir().unwrap());
    let soak = Running::start(soak(bus, folder.path(), "--seconds 60 --seed 3"));
    eventually("the storm has begun", || status(bus).filter(|status| status.last_sequence > 100));
    soak.kill();
    eventually("all its processes have ended", || processes(bus).is_empty().then_some(()));
    assert!(status(bus).is_none());
}

#[test]
fn a_bus_that_is_in_use_is_left_alone() {
    let stream = TestStream::new("soak-occupied");
    let producer = stream.producer("--width 64 --height 48 --format mono8");
    stream.wait_for_frame(1);
    let folder = tempfile::tempdir().unwrap();
    let (code, said) = failure(soak(stream.name.bus(), folder.path(), "--seconds 1"));
    assert_eq!(code, 2);
    assert!(said.contains(&format!("there is already a stream {}", stream.name)), "{said}");
    assert_eq!(producer.interrupt().number("drops"), 0);
}
