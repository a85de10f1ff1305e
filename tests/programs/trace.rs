//! `framebus trace` as a user has it, and the same accounting in `framebus ls`: who lost which frames, and because of whom.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use framebus::{Content, Publisher, Subscriber, now_ns};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::backend;
use crate::harness::{Running, TestStream, attach, eventually, failure, framebus, options, subscriber_options};

const EVENT_KEYS: [&str; 21] = [
    "age_ns",
    "at_ns",
    "backend",
    "behind",
    "by",
    "culprits",
    "fate",
    "frames",
    "held_ns",
    "kind",
    "late_ns",
    "limit_frames",
    "limit_ns",
    "publisher_pid",
    "publishers",
    "sequence",
    "stream",
    "text",
    "time",
    "violation",
    "waited_ns",
];

const SMALL: &str = "--width 64 --height 48 --format mono8";

fn command(names: &[&str], arguments: &str) -> Command {
    let mut command = framebus();
    command.arg("trace").args(names).args(["--backend", &backend().to_string()]);
    command.args(arguments.split_whitespace());
    command
}

/// Follows a stream from its beginning on, as objects.
fn trace(stream: &TestStream, arguments: &str) -> Running {
    Running::start(command(&[&stream.name.to_string()], &format!("--json --past {arguments}")))
}

/// The text of a trace that ends by itself.
fn text(names: &[&str], arguments: &str) -> String {
    let output = command(names, arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The next event with this fate.
fn next(trace: &Running, fate: &str) -> Value {
    loop {
        let object = trace.next_object();
        if object["fate"] == fate {
            return object;
        }
    }
}

fn pid(running: &Running) -> Pid {
    Pid::from_raw(i32::try_from(running.child.id()).unwrap()).unwrap()
}

fn listed(stream: &TestStream) -> Value {
    let mut command = framebus();
    command.args(["ls", &stream.name.to_string(), "--json", "--backend", &backend().to_string()]);
    Running::start(command).next_object()
}

fn listed_text(stream: &TestStream) -> String {
    let arguments = ["ls", &stream.name.to_string(), "--backend", &backend().to_string()];
    String::from_utf8(framebus().args(arguments).output().unwrap().stdout).unwrap()
}

/// A stream of three slots, of which a viewer always holds two.
fn starved(stream: &TestStream) -> (Running, Running) {
    let producer = stream.producer(&format!("{SMALL} --rate 100 --slots 3"));
    stream.wait_for_frame(1);
    let viewer = stream.viewer("--hold 500 --hold-frames 1 --label hoarder");
    eventually("a refused frame", || stream.status().filter(|status| status.counters.refused > 0));
    (producer, viewer)
}

#[test]
fn refused_frames_are_told_with_who_held_the_slots_and_for_how_long() {
    let stream = TestStream::new("trace");
    let (producer, viewer) = starved(&stream);
    let trace = trace(&stream, "--only refused");
    let event = next(&trace, "held");
    assert!(event["sequence"].as_u64() > Some(0) && event["held_ns"].as_u64() > Some(0), "{event}");
    assert!(event["by"].is_null(), "the publisher tells it: {event}");
    assert_eq!((&event["culprits"][0]["label"], &event["frames"]), (&Value::from("hoarder"), &Value::from(1)));
    assert_eq!(event["culprits"][0]["pid"].as_u64(), Some(viewer.child.id().into()), "{event}");
    assert!(trace.interrupt().status.success());

    let line = text(&[&stream.name.to_string()], "--only held --count 1 --all");
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(line.contains("publisher  refused: no slot was free, one was held for "), "{line}");
    assert!(line.ends_with(&format!("  by hoarder (pid {})\n", viewer.child.id())), "{line}");

    let object = listed(&stream);
    let culprit = &object["culprit"];
    assert_eq!((&culprit["label"], culprit["pid"].as_u64()), (&Value::from("hoarder"), Some(viewer.child.id().into())));
    assert!(
        culprit["held_ns"].as_u64() > Some(0) && culprit["blamed"] == object["subscribers"][0]["blamed"],
        "{object}"
    );
    assert_eq!(object["subscribers"][0]["blamed_held_ns"], culprit["held_ns"]);
    let words = listed_text(&stream);
    assert!(
        words.contains(&format!("because of hoarder (place 0, pid {}), which held a slot for ", viewer.child.id()))
    );
    viewer.interrupt();
    producer.interrupt();
}

#[test]
fn a_slow_viewer_is_told_with_its_skips_of_which_a_flood_is_one_line() {
    let stream = TestStream::new("trace");
    let producer = stream.producer(&format!("{SMALL} --rate 200"));
    stream.wait_for_frame(1);
    let viewer = stream.viewer("--hold 30 --label slow");
    let name = stream.name.to_string();
    let trace = trace(&stream, "--only skipped --count 1");
    let event = next(&trace, "skipped");
    assert_eq!((&event["by"]["label"], event["by"]["pid"].as_u64()), (&"slow".into(), Some(viewer.child.id().into())));
    assert!(event["frames"].as_u64() > Some(0) && event["culprits"] == Value::Array(Vec::new()), "{event}");
    assert!(trace.end().status.success());

    let all = text(&[&name], "--only skipped --count 12 --all");
    assert_eq!(all.lines().count(), 12, "{all}");
    let joined = text(&[&name], "--only skipped --count 12");
    assert!(joined.lines().count() < 12, "{joined}");
    let line = joined.lines().find(|line| line.contains(" times: ")).expect("a line for many");
    assert!(line.contains('…') && line.contains("slow (pid ") && line.contains("  skipped "), "{line}");

    let one = &listed(&stream)["subscribers"][0];
    for name in ["latency", "age", "hold"] {
        let [p50, p99, max] = ["p50", "p99", "max"].map(|which| one[format!("{name}_{which}_ns")].as_u64().unwrap());
        assert!(0 < p50 && p50 <= p99 && p99 <= max, "{name} in {one}");
        assert!(one[format!("{name}_count")].as_u64() > Some(0), "{one}");
    }
    assert!(one["hold_p50_ns"].as_u64() >= Some(30_000_000), "it holds each for 30 ms: {one}");
    assert!(listed_text(&stream).contains(" held for "), "{}", listed_text(&stream));
    viewer.interrupt();
    producer.interrupt();
}

#[test]
fn a_producer_that_was_stopped_is_late() {
    let stream = TestStream::new("trace");
    let trace = trace(&stream, "");
    let producer = stream.producer(&format!("{SMALL} --rate 100"));
    let began = next(&trace, "began");
    assert_eq!(began["publisher_pid"].as_u64(), Some(producer.child.id().into()), "{began}");
    stream.wait_for_frame(3);
    kill_process(pid(&producer), Signal::STOP).unwrap();
    eventually("a pause", || stream.status().filter(|status| status.age_ns > Some(150_000_000)));
    kill_process(pid(&producer), Signal::CONT).unwrap();
    // A busy machine makes it late by less before.
    let late = eventually("a late frame", || {
        Some(next(&trace, "late")).filter(|late| late["late_ns"].as_u64() >= Some(100_000_000))
    });
    assert!(late["sequence"].as_u64() > Some(0) && late["frames"].as_u64() > Some(0), "{late}");
    assert!(late["text"].as_str().unwrap().starts_with("late by "), "{late}");
    producer.interrupt();
    next(&trace, "closed");
    assert!(trace.interrupt().status.success());
}

#[test]
fn who_is_killed_is_told_by_name_and_the_next_one_is_followed() {
    let stream = TestStream::new("trace");
    let trace = trace(&stream, "--only comings");
    let producer = stream.producer(&format!("{SMALL} --rate 100"));
    next(&trace, "began");
    let viewer = stream.viewer("--label victim");
    let attached = next(&trace, "attached");
    let id = viewer.child.id();
    assert_eq!((&attached["by"]["label"], attached["by"]["pid"].as_u64()), (&Value::from("victim"), Some(id.into())));
    viewer.kill();
    let died = next(&trace, "died");
    assert_eq!((&died["by"]["label"], died["by"]["pid"].as_u64()), (&Value::from("victim"), Some(id.into())));
    producer.kill();
    let gone = next(&trace, "gone");
    assert!(gone["sequence"].is_null() && gone["by"].is_null(), "{gone}");
    let producer = stream.producer(&format!("{SMALL} --rate 100"));
    let began = next(&trace, "began");
    assert_eq!(began["publisher_pid"].as_u64(), Some(producer.child.id().into()), "{began}");
    producer.interrupt();
    next(&trace, "closed");
    assert!(trace.interrupt().status.success());
}

#[test]
fn a_recorder_that_is_stuck_is_told_as_evicted() {
    let stream = TestStream::new("trace");
    let trace = trace(&stream, "");
    let producer = stream.producer(&format!("{SMALL} --rate 100 --history 4 --on-full wait --wait-ms 200"));
    next(&trace, "began");
    let recorder = stream.viewer("--mode every --label recorder");
    next(&trace, "attached");
    eventually("a lossless reader", || {
        Some(listed(&stream)).filter(|object| object["subscribers"][0]["lossless"] == true)
    });
    recorder.wait_for("frames", 1);
    kill_process(pid(&recorder), Signal::STOP).unwrap();
    let evicted = next(&trace, "evicted");
    assert_eq!(evicted["culprits"][0]["label"], "recorder", "{evicted}");
    assert_eq!(evicted["culprits"][0]["pid"].as_u64(), Some(recorder.child.id().into()), "{evicted}");
    assert!(evicted["waited_ns"].as_u64() >= Some(200_000_000) && evicted["behind"].as_u64() > Some(0), "{evicted}");
    let object = listed(&stream);
    assert_eq!((&object["evicted"], &object["subscribers"][0]["lossless"]), (&Value::from(1), &Value::from(false)));
    assert!(object["waits"].as_u64() > Some(0) && object["waited_ns"].as_u64() >= Some(200_000_000), "{object}");
    assert!(listed_text(&stream).contains(", evicted 1, waited "), "{}", listed_text(&stream));
    recorder.kill();
    producer.interrupt();
    next(&trace, "closed");
    assert!(trace.interrupt().status.success());
}

#[test]
fn a_new_epoch_is_followed_and_the_past_is_told_when_asked_for() {
    let stream = TestStream::new("trace");
    let mut settings = options(Content::Bytes { capacity: 64 });
    settings.persist = true;
    let follower = trace(&stream, "");
    let mut publisher = Publisher::open(&stream.name, &settings).unwrap();
    publisher.loan().unwrap().publish();
    publisher.count_late(2, Duration::from_millis(7));
    let late = next(&follower, "late");
    assert_eq!((&late["late_ns"], &late["frames"], &late["sequence"]), (&7_000_000.into(), &2.into(), &1.into()));
    drop(publisher);
    next(&follower, "gone");
    settings.history = 3;
    settings.persist = false;
    let mut publisher = Publisher::open(&stream.name, &settings).unwrap();
    next(&follower, "began");
    publisher.loan().unwrap().publish();
    drop(publisher.loan().unwrap());
    let abandoned = next(&follower, "abandoned");
    assert_eq!(abandoned["sequence"], 3, "the numbers go on: {abandoned}");
    let name = stream.name.to_string();
    assert_eq!(text(&[&name], "--for 0"), "", "nothing is new");
    let past = text(&[&name], "--for 0 --past --summary");
    assert!(past.contains("process ") && past.contains(" began to publish") && past.contains("abandoned"), "{past}");
    assert!(past.contains("2 events in ") && past.contains("\nFATE"), "{past}");
    drop(publisher);
    next(&follower, "closed");
    assert!(follower.interrupt().status.success());
}

#[test]
fn two_streams_and_all_of_a_bus_are_followed_also_those_that_come_later() {
    let (one, two) = (TestStream::new("trace-one"), TestStream::new("trace-two"));
    let settings = options(Content::Bytes { capacity: 64 });
    let mut first = Publisher::open(&one.name, &settings).unwrap();
    let names = [one.name.to_string(), two.name.bus().to_owned()];
    let trace = Running::start(command(&[&names[0], &names[1]], "--json --past"));
    let began = next(&trace, "began");
    assert_eq!(began["stream"], names[0]);
    let mut second = Publisher::open(&two.name, &settings).unwrap();
    assert_eq!(next(&trace, "began")["stream"], two.name.to_string());
    for publisher in [&mut first, &mut second] {
        drop(publisher.loan().unwrap());
    }
    let mut streams = [next(&trace, "abandoned"), next(&trace, "abandoned")].map(|event| event["stream"].to_string());
    streams.sort();
    assert_eq!(streams, [format!("{:?}", names[0]), format!("{:?}", two.name.to_string())]);
    assert!(trace.interrupt().status.success());
    let lines = text(&[&names[0], &names[1]], "--for 0 --past --only abandoned");
    assert!(lines.lines().all(|line| line.contains(&names[0]) || line.contains(&names[1])), "{lines}");
    assert_eq!(lines.lines().count(), 2, "{lines}");
}

#[test]
fn objects_have_all_their_keys_and_what_was_overwritten_is_counted() {
    let stream = TestStream::new("trace");
    let mut publisher = Publisher::open(&stream.name, &options(Content::Bytes { capacity: 64 })).unwrap();
    let mut late = |times: usize| (0..times).for_each(|_| publisher.count_late(1, Duration::from_millis(1)));
    late(100);
    // What was overwritten before it came is not lost to it, also where it asks for the past.
    let before = text(&[&stream.name.to_string()], "--for 0 --past --json --summary");
    let before: Vec<Value> = before.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(before.len() > 20 && before.iter().all(|object| object["kind"] != "lost"), "{before:?}");
    // But what comes while it does not look is.
    let traced = trace(&stream, "--summary");
    let mut words = command(&[&stream.name.to_string()], "--past").stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(words.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut events = vec![next(&traced, "late")];
    lines.next().unwrap();
    let words_pid = Pid::from_raw(i32::try_from(words.id()).unwrap()).unwrap();
    let both = [pid(&traced), words_pid];
    both.iter().for_each(|pid| kill_process(*pid, Signal::STOP).unwrap());
    late(100);
    let _reader = attach(&stream.name).unwrap();
    both.iter().for_each(|pid| kill_process(*pid, Signal::CONT).unwrap());
    let keys = |object: &Value| object.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let lost = loop {
        match traced.next_object() {
            object if object["kind"] == "lost" => break object,
            object => events.push(object),
        }
    };
    assert!(events.iter().all(|event| keys(event) == EVENT_KEYS), "{events:?}");
    assert_eq!(keys(&lost), ["at_ns", "backend", "events", "kind", "stream", "time"]);
    assert!(events.iter().any(|event| event["fate"] == "attached"), "{events:?}");
    assert!((60..=100).contains(&lost["events"].as_u64().unwrap()), "{lost}");
    assert!(lines.any(|line| line.contains(" events came too quickly and are lost")));
    kill_process(words_pid, Signal::INT).unwrap();
    assert!(words.wait().unwrap().success());
    let summary = traced.interrupt().summary;
    assert_eq!(keys(&summary), ["events", "fates", "kind", "lost", "seconds"]);
    assert_eq!((&summary["events"], &summary["lost"]), (&Value::from(events.len()), &lost["events"]));
    let fates = summary["fates"].as_array().unwrap();
    assert_eq!(keys(&fates[0]), ["backend", "by", "culprits", "events", "fate", "frames", "stream"]);
    let late = fates.iter().find(|row| row["fate"] == "late").unwrap();
    assert_eq!(late["frames"], late["events"], "{late}");
}

#[test]
fn what_is_not_there_is_waited_for_and_what_is_no_name_is_refused() {
    let stream = TestStream::new("trace");
    let name = stream.name.to_string();
    let output = framebus().args(["trace", &name, "--for", "0.1"]).output().unwrap();
    assert!(output.status.success() && output.stdout.is_empty());
    let words = format!("waiting for stream {name}, which is not there; framebus ls shows all\n");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), words, "once, whatever the number of backends");
    let output = command(&[stream.name.bus()], "--for 0.1").output().unwrap();
    assert!(String::from_utf8(output.stderr).unwrap().contains("which has none"));
    for (names, arguments, expected) in [
        (vec!["a/b/c"], "", "b/c"),
        (vec!["a b"], "", "a b"),
        (vec![], "", "NAMES"),
        (vec![name.as_str()], "--only dropped", "no fate is called \"dropped\""),
        (vec![name.as_str()], "--count 0", "--count"),
    ] {
        let (code, words) = failure(command(&names, arguments));
        assert_eq!(code, 2, "{words}");
        assert!(words.contains(expected), "{words}");
    }
}

#[test]
fn a_trace_ends_well_by_signals_and_where_its_reader_goes() {
    let stream = TestStream::new("trace");
    let _publisher = Publisher::open(&stream.name, &options(Content::Bytes { capacity: 64 })).unwrap();
    for signal in [Signal::INT, Signal::TERM] {
        let trace = trace(&stream, "--summary");
        next(&trace, "began");
        kill_process(pid(&trace), signal).unwrap();
        let ended = trace.end();
        assert_eq!((ended.status.code(), &ended.summary["kind"]), (Some(0), &Value::from("summary")), "{ended:?}");
    }
    let mut child = command(&[&stream.name.to_string()], "--past").stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    // Nothing happens any more: it must notice by itself that nobody reads.
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains(" began to publish"), "{line}");
    let status = eventually("its end", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_contract_that_is_not_kept_is_told_with_what_was_agreed() {
    let stream = TestStream::new("trace");
    let mut publisher = Publisher::open(&stream.name, &options(Content::Bytes { capacity: 64 })).unwrap();
    let mut settings = subscriber_options();
    settings.label = "monitor".to_owned();
    settings.contract.max_age = Some(Duration::from_millis(50));
    let mut monitor = Subscriber::attach_with(&stream.name, settings).unwrap();
    let mut loan = publisher.loan().unwrap();
    loan.set_capture_ns(now_ns() - 60_000_000);
    loan.publish();
    drop(monitor.latest().unwrap().unwrap());
    let trace = trace(&stream, "--violations --count 1");
    let event = trace.next_object();
    assert_eq!((&event["fate"], &event["violation"], &event["sequence"]), (&"too_old".into(), &true.into(), &1.into()));
    assert_eq!((&event["limit_ns"], &event["by"]["label"]), (&50_000_000.into(), &"monitor".into()));
    assert!(event["age_ns"].as_u64() >= Some(60_000_000), "{event}");
    assert!(trace.end().status.success());
    let object = listed(&stream);
    let one = &object["subscribers"][0];
    assert_eq!((&one["contract_max_age_ns"], &one["contract_max_skipped_per_s"]), (&50_000_000.into(), &Value::Null));
    let kinds = ["violations", "violations_too_old", "violations_too_many_skipped", "violations_stale"];
    assert_eq!(kinds.map(|key| one[key].as_u64().unwrap()), [1, 1, 0, 0], "{one}");
    let words = listed_text(&stream);
    assert!(words.contains("contract at most 50 ms old: violated: too old 1"), "{words}");
}
