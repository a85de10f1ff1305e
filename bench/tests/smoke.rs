//! The real program, in short runs of little work: what it writes, and that nothing of it is left.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Long enough for the slowest machine.
const WATCHDOG: Duration = Duration::from_secs(300);

/// A directory of the test's own, removed with it.
struct Directory(PathBuf);

impl Directory {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("framebus-bench-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory of our own");
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn start(out: &Path, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_framebus-bench"))
        .args(["--quick", "--repetitions", "1", "--retries", "0", "--out"])
        .arg(out)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts")
}

/// Waits for it; kills it, by its own id, if it takes too long.
fn end(mut child: Child) -> (bool, String) {
    let stderr = child.stderr.take().expect("a pipe");
    let reader = std::thread::spawn(move || std::io::read_to_string(stderr).unwrap_or_default());
    let begun = Instant::now();
    let status = loop {
        match child.try_wait().expect("our child") {
            Some(status) => break status,
            None if begun.elapsed() > WATCHDOG => {
                child.kill().expect("our child");
                panic!("the program did not end: {}", reader.join().unwrap_or_default());
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    (status.success(), reader.join().expect("what it said"))
}

/// What bears the name of the run of that process.
fn left_behind(pid: u32) -> Vec<String> {
    let run = format!("fbb{pid}");
    let names = |directory: &str| -> Vec<String> {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    };
    let files = [names("/dev/shm"), names("/tmp")].concat();
    let is_of_run =
        |name: &String| name.strip_prefix(&run).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()));
    let streams = framebus::list(&framebus::Backend::default()).expect("the kernel's table");
    let streams = streams.iter().map(|stream| stream.name.to_string());
    files.into_iter().chain(streams).filter(is_of_run).collect()
}

fn results(out: &Path) -> Value {
    let text = std::fs::read_to_string(out.join("results.json")).expect("results.json");
    serde_json::from_str(&text).expect("valid JSON")
}

/// The summary of one figure.
fn summary<'a>(results: &'a Value, work: &str, variant: &str, contestant: &str) -> &'a Value {
    let figures = results["figures"].as_array().expect("figures");
    let is_it = |row: &&Value| row["work"] == work && row["variant"] == variant && row["contestant"] == contestant;
    let row = figures.iter().find(is_it).unwrap_or_else(|| panic!("no {work} {variant} {contestant}"));
    assert_eq!(row["failures"], Value::Array(Vec::new()), "{work} {variant} {contestant} failed");
    &row["summary"]
}

#[test]
fn cycles_and_round_trips_give_plausible_figures_and_leave_nothing() {
    let out = Directory::new("figures");
    let child = start(&out.0, &["--only", "cycle,round-trip", "--bus", "framebus,unix-socket,limits"]);
    let pid = child.id();
    let (succeeded, said) = end(child);
    assert!(succeeded, "{said}");
    assert_eq!(left_behind(pid), Vec::<String>::new());

    let results = results(&out.0);
    let p50 =
        |work, variant, contestant| summary(&results, work, variant, contestant)["p50_ns"].as_f64().expect("a time");
    let one = p50("cycle", "1 subscriber", "framebus spin");
    let many = p50("cycle", "32 subscribers, each of which takes every frame", "framebus spin");
    let clock = p50("cycle", "1 subscriber", "limit: clock_gettime");
    // A frame contains a reading of the clock, and 32 frames taken are more than one.
    assert!(clock > 0.0 && one > clock, "{clock} ns, {one} ns");
    assert!(many > one, "{one} ns, {many} ns");
    for contestant in
        ["framebus spin", "framebus block", "unix socket", "limit: shared page, polled", "limit: bare futex"]
    {
        let summary = summary(&results, "round-trip", "", contestant);
        let at = |key: &str| summary[key].as_f64().expect("a time");
        assert!(
            0.0 < at("p50_ns") && at("p50_ns") <= at("p99_ns") && at("p99_ns") <= at("max_ns"),
            "{contestant}: {summary}"
        );
    }
    let targets = results["targets"].as_array().expect("targets");
    let growth = |target: &&Value| target["claim"].as_str().is_some_and(|claim| claim.contains("further subscriber"));
    assert!(targets.iter().filter(growth).all(|target| target["found"].is_number()), "{targets:?}");
    let report = std::fs::read_to_string(out.0.join("report.md")).expect("report.md");
    assert!(report.contains("| framebus spin | 1.00 |"), "{report}");
    assert!(std::fs::read_to_string(out.0.join("round-trip.svg")).is_ok_and(|plot| plot.starts_with("<svg")));
}

#[test]
fn latencies_rates_and_startups_deliver_frames() {
    let out = Directory::new("frames");
    let child = start(&out.0, &["--only", "latency,rate,startup", "--bus", "framebus,posix-shm"]);
    let pid = child.id();
    let (succeeded, said) = end(child);
    assert!(succeeded, "{said}");
    assert_eq!(left_behind(pid), Vec::<String>::new());

    let results = results(&out.0);
    for contestant in ["framebus block", "framebus spin", "shm + mutex + condvar"] {
        let summary = summary(&results, "latency", "60 Hz", contestant);
        assert!(summary["p50_ns"].as_f64().is_some_and(|ns| ns > 0.0), "{contestant}: {summary}");
        assert!(summary["publisher_cpu_percent"].as_f64().is_some_and(|cpu| cpu > 0.0), "{contestant}: {summary}");
        assert!(summary["subscriber_cpu_percent"].as_f64().is_some_and(|cpu| cpu > 0.0), "{contestant}: {summary}");
    }
    let lossless = summary(&results, "rate", "lossless", "framebus spin");
    assert_eq!(lossless["missed_frames"], 0.0);
    assert!(lossless["taken_per_second"].as_f64().is_some_and(|rate| rate > 1000.0), "{lossless}");
    let startup = summary(&results, "startup", "", "framebus spin");
    assert!(startup["p50_ns"].as_f64() >= startup["attach_p50_ns"].as_f64(), "{startup}");
}

#[test]
fn an_interrupted_run_writes_what_it_has_and_leaves_nothing() {
    let out = Directory::new("interrupted");
    let child = start(&out.0, &["--only", "latency", "--bus", "framebus", "--repetitions", "100"]);
    let pid = child.id();
    // Not before it has begun: its directory is there from then on.
    let begun = Instant::now();
    while !Path::new(&format!("/tmp/fbb{pid}")).exists() {
        assert!(begun.elapsed() < WATCHDOG, "it does not begin");
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(1500));
    let interrupted = Command::new("kill").args(["-INT", &pid.to_string()]).status().expect("kill(1)");
    assert!(interrupted.success());
    let (succeeded, said) = end(child);
    assert!(!succeeded && said.contains("interrupted"), "{said}");
    assert_eq!(left_behind(pid), Vec::<String>::new());
    assert!(results(&out.0)["figures"].is_array());
}

#[test]
fn asking_for_nothing_is_an_error() {
    let out = Directory::new("nothing");
    let (succeeded, said) = end(start(&out.0, &["--only", "startup", "--bus", "limits"]));
    assert!(!succeeded && said.contains("nothing to measure"), "{said}");
}
