//! `framebus doctor` on this machine, whatever it is like, and on what a test has made wrong.

use std::process::{Command, Output};

use framebus::{Content, Publisher, StreamName};
use serde_json::Value;

use crate::harness::{TestStream, framebus, options};
use crate::namespaces::unshare;

/// The objects of a run: checks, and the summary as the last.
fn objects(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines().filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn check<'o>(objects: &'o [Value], name: &str) -> &'o Value {
    objects.iter().find(|object| object["check"] == name).unwrap_or_else(|| panic!("{name} in {objects:?}"))
}

fn commands(check: &Value) -> String {
    let remedies = check["remedies"].as_array().unwrap();
    remedies.iter().map(|remedy| format!("{}\n", remedy["command"].as_str().unwrap())).collect()
}

/// A config with one stream, that of the test.
struct Config(tempfile::NamedTempFile);

impl Config {
    fn of(name: &StreamName) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = format!("[bus]\nname = {:?}\n[streams.{}]\nsize = 64\n", name.bus(), name.stream());
        std::fs::write(&file, text).unwrap();
        Self(file)
    }

    fn doctor(&self) -> Command {
        let mut command = framebus();
        command.args(["doctor", "--json", "--config"]).arg(self.0.path());
        command
    }

    fn examined(&self) -> Vec<Value> {
        objects(&self.doctor().output().unwrap())
    }
}

#[test]
fn every_check_has_a_verdict_and_the_exit_code_follows_from_them() {
    let output = framebus().args(["doctor", "--json"]).output().unwrap();
    let objects = objects(&output);
    let (summary, checks) = objects.split_last().unwrap();
    assert_eq!((&summary["kind"], &summary["config"]), (&"summary".into(), &"built-in demo".into()));
    assert_eq!(checks.len(), 20);
    let count = |verdict: &str| checks.iter().filter(|check| check["verdict"] == verdict).count();
    for (verdict, key) in
        [("ok", "ok"), ("not_checked", "not_checked"), ("warning", "warnings"), ("failure", "failures")]
    {
        assert_eq!(summary[key].as_u64(), Some(count(verdict) as u64), "{verdict}");
    }
    assert_eq!(output.status.code(), Some(i32::from(count("failure") > 0)));
    for check in checks {
        let well = check["verdict"] == "ok" || check["verdict"] == "not_checked";
        assert!(well || !commands(check).is_empty(), "{check} has no remedy");
    }
    let plain = framebus().arg("doctor").output().unwrap();
    let text = String::from_utf8(plain.stdout).unwrap();
    assert!(
        text.starts_with("built-in demo: 1 stream (System V), 18 MiB with quick viewers, 107 MiB at most\n"),
        "{text}"
    );
    assert!(!text.contains('\x1b'), "colours are for terminals: {text}");
    // Other tests' streams come and go between two runs, so it is held against itself.
    let ok = text.lines().filter(|line| line.starts_with("ok ")).count();
    assert!(text.lines().last().unwrap().ends_with(&format!("{ok} ok")), "{text}");
}

#[test]
fn a_config_with_mistakes_is_a_usage_error() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, "[bus]\nname = 7\n").unwrap();
    let output = framebus().args(["doctor", "--config"]).arg(file.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("it has 2 mistakes"), "{output:?}");
}

#[test]
fn what_a_killed_producer_left_is_found_and_what_lives_is_not() {
    let stream = TestStream::new("doctor-stale");
    let config = Config::of(&stream.name);
    let producer = stream.producer("--width 64 --height 48 --format mono8 --rate 200");
    stream.wait_for_frame(1);
    let named = |objects: &[Value]| {
        let stale = check(objects, "stale_streams")["figures"]["stale"].as_array().unwrap().clone();
        stale.contains(&stream.name.to_string().into())
    };
    let objects = config.examined();
    assert!(!named(&objects), "{objects:?}");
    assert_eq!(check(&objects, "keys")["verdict"], "ok");
    producer.kill();
    let objects = config.examined();
    assert!(named(&objects), "{objects:?}");
    let stale = check(&objects, "stale_streams");
    assert_eq!((&stale["verdict"], commands(stale).contains("framebus gc\n")), (&"warning".into(), true));
    assert_eq!(check(&objects, "keys")["verdict"], "ok", "the next producer takes it over");
    stream.remove();
}

/// A segment of nobody's; removed when dropped.
struct Segment(i32);

impl Segment {
    fn new(key: i32) -> Self {
        // SAFETY: plain integers; the segment is new.
        let id = unsafe { libc::shmget(key, 8192, libc::IPC_CREAT | libc::IPC_EXCL | 0o600) };
        assert!(id >= 0);
        Self(id)
    }

    /// Made by a process that is dead by now.
    fn of_a_dead_process(key: i32) -> Self {
        // SAFETY: the child makes two system calls and nothing else; the parent waits for it; no buffer is used.
        let id = unsafe {
            let child = libc::fork();
            if child == 0 {
                libc::shmget(key, 8192, libc::IPC_CREAT | libc::IPC_EXCL | 0o600);
                libc::_exit(0);
            }
            assert_eq!(libc::waitpid(child, std::ptr::null_mut(), 0), child);
            libc::shmget(key, 0, 0)
        };
        assert!(id >= 0);
        Self(id)
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: no buffer is used; the segment is this test's own.
        unsafe { libc::shmctl(self.0, libc::IPC_RMID, std::ptr::null_mut()) };
    }
}

#[test]
fn a_strangers_segment_under_a_configured_key_is_a_failure_with_owner_and_size() {
    let stream = TestStream::new("doctor-key");
    let segment = Segment::new(stream.name.key());
    let output = Config::of(&stream.name).doctor().output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let objects = objects(&output);
    let keys = check(&objects, "keys");
    let uid = rustix::process::geteuid().as_raw();
    let expected = format!("(frames) has segment {} of uid {uid}, 8.0 KiB, mode 0600", segment.0);
    assert!(keys["found"].as_str().unwrap().contains(&expected), "{keys}");
    assert!(commands(keys).contains(&format!("sudo ipcrm -m {}\n", segment.0)), "{keys}");
}

#[test]
fn an_empty_segment_of_a_dead_process_is_no_strangers() {
    let stream = TestStream::new("doctor-begun");
    let _segment = Segment::of_a_dead_process(stream.name.key());
    let objects = Config::of(&stream.name).examined();
    let keys = check(&objects, "keys");
    assert_eq!(keys["verdict"], "ok", "{keys}");
    let expected = format!("what a dead run left of {}, the next producer removes", stream.name);
    assert!(keys["found"].as_str().unwrap().contains(&expected), "{keys}");
}

#[test]
fn another_stream_that_lives_under_a_configured_key_is_named() {
    // Two names with one key: about 60,000 names have a pair among them.
    let bus = TestStream::new("doctor-twins").name.bus().to_owned();
    let mut names = std::collections::HashMap::new();
    let (first, second) = (0..)
        .find_map(|number| {
            let name = StreamName::new(&bus, &format!("s{number}")).unwrap();
            Some((names.insert(name.key(), name.clone())?, name))
        })
        .unwrap();
    let twin = TestStream { name: first };
    let mut settings = options(Content::Bytes { capacity: 64 });
    settings.backend = framebus::Backend::SysV;
    let publisher = Publisher::open(&twin.name, &settings).unwrap();
    let objects = Config::of(&second).examined();
    let keys = check(&objects, "keys");
    assert_eq!(keys["verdict"], "failure");
    assert!(keys["found"].as_str().unwrap().contains(&format!("has stream {}", twin.name)), "{keys}");
    drop(publisher);
}

#[test]
fn limits_that_are_too_low_fail_with_the_command_that_mends_them() {
    for (limit, value, name, remedy) in [
        ("shmmax", "4096", "shmmax", "sudo sysctl -w kernel.shmmax=134217728\n"),
        ("shmall", "10", "shmall", "sudo sysctl -w kernel.shmall=65536\n"),
        ("shmmni", "2", "shmmni", "sudo sysctl -w kernel.shmmni=4096\n"),
        ("sem", "250 32000 32 128", "semaphores", "sudo sysctl -w kernel.sem=\"256 32000 32 128\"\n"),
    ] {
        let program = framebus();
        let run = "echo \"$3\" > /proc/sys/kernel/$2 || { echo denied; exit; }\n\"$1\" doctor --json; echo \"code $?\"";
        let mut command = Command::new("sh");
        command.args(["-c", run, "sh"]).arg(program.get_program()).args([limit, value]);
        command.env_remove("FRAMEBUS_CONFIG").current_dir(env!("CARGO_TARGET_TMPDIR"));
        let Some(mut inside) = unshare("--ipc", &command) else { return };
        let output = inside.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        if said.starts_with("denied") {
            eprintln!("skipped: the kernel's limits can not be set in a namespace here");
            return;
        }
        assert!(said.ends_with("code 1\n"), "{limit}: {said}");
        let objects = objects(&output);
        let found = check(&objects, name);
        assert_eq!(found["verdict"], "failure", "{found}");
        // Pages may be larger elsewhere.
        let exact = limit != "shmall" || found["figures"]["page_bytes"] == 4096;
        assert!(!exact || commands(found).contains(remedy), "{limit}: {}", commands(found));
        // It is told that it is in a namespace of its own, and what to do.
        let namespace = check(&objects, "ipc_namespace");
        assert_eq!(namespace["verdict"], "warning");
        assert!(commands(namespace).contains("docker run --ipc=host"), "{namespace}");
    }
}
