//! `framebus ls`: who is alive, who died, whose it is, what is left, and what could not be read.

use std::os::unix::process::CommandExt;
use std::process::Command;

use framebus::{Backend, Publisher};
use serde_json::{Value, json};

use crate::actor::{self, content};
use crate::backend;
use crate::harness::{TestStream, eventually, failure, framebus, options};
use crate::users::{OpenProgram, SOMEBODY};

fn text(mut command: Command) -> (String, String) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn ls(arguments: &str) -> (String, String) {
    let mut command = framebus();
    command.arg("ls").args(arguments.split(' ')).args(["--backend", &backend().to_string()]);
    text(command)
}

#[test]
fn a_viewer_that_died_is_named_until_its_place_is_taken_and_one_that_left_is_not() {
    let stream = TestStream::new("ls-died");
    let mut publisher = Publisher::open(&stream.name, &options(content())).unwrap();
    publisher.loan().unwrap().publish();
    let holder = actor::start(&stream, "hold 1");
    holder.wait_for("at", 1);
    assert_eq!(stream.viewer("--frames 1").end().number("frames"), 1);
    let pid = holder.child.id();
    let (said, _) = ls(&stream.name.to_string());
    assert!(said.contains(&format!("  viewer holder (place 0, pid {pid})\n    seen 1")), "{said}");
    assert!(!said.contains("dead"), "{said}");
    holder.kill();

    let (said, _) = ls(&stream.name.to_string());
    assert!(said.contains(&format!("  dead viewer holder (place 0, pid {pid})\n    seen 1")), "{said}");
    assert!(said.contains("holds 1"), "its pin, which nobody minds: {said}");
    let row: Value = serde_json::from_str(&ls(&format!("--json {}", stream.name)).0).unwrap();
    assert_eq!((&row["subscribers"], row["dead_subscribers"].as_array().unwrap().len()), (&json!([]), 1));
    let dead = &row["dead_subscribers"][0];
    assert_eq!((&dead["pid"], &dead["label"], &dead["held"]), (&json!(pid), &json!("holder"), &json!(1)));
    assert_eq!(stream.viewer("--frames 1").end().number("frames"), 1);
    assert!(!ls(&stream.name.to_string()).0.contains("dead"), "the next one has its place");
}

#[test]
fn owner_mode_sizes_and_age_are_told_in_words_and_numbers() {
    let stream = TestStream::new("ls-owner");
    let mut settings = options(content());
    settings.mode = 0o640;
    let mut publisher = Publisher::open(&stream.name, &settings).unwrap();
    publisher.loan().unwrap().publish();
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let row: Value = serde_json::from_str(&ls(&format!("--json {}", stream.name)).0).unwrap();
    assert_eq!((&row["uid"], &row["gid"], &row["mode"]), (&json!(uid), &json!(gid), &json!("0640")));
    assert_eq!((&row["leases"], &row["persists"], &row["orphan"]), (&json!(true), &json!(false), &json!(false)));
    let status = stream.status().unwrap();
    assert_eq!(row["places_bytes"], json!(status.geometry.places_bytes()));
    let attached = if backend() == Backend::SysV { json!(1) } else { Value::Null };
    // Whoever lists the machine's streams attaches each for a moment.
    eventually("it is attached once", || {
        let row: Value = serde_json::from_str(&ls(&format!("--json {}", stream.name)).0).unwrap();
        (row["attached"] == attached).then_some(())
    });
    let (said, _) = ls(&stream.name.to_string());
    for expected in ["  publisher alive (pid ", ", frame 1, ", "mode 0640, made ", " slots of 98 KiB, history 1, "] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    if uid == 0 {
        assert!(said.contains("owner root:root (0:0)") && row["user"] == "root" && row["group"] == "root", "{said}");
    }
}

#[test]
fn who_looks_on_the_other_backend_finds_none_and_ls_says_where_it_is() {
    let stream = TestStream::new("ls-other");
    let name = stream.name.to_string();
    let producer = stream.producer("--width 64 --height 48 --format mono8 --rate 100");
    stream.wait_for_frame(1);
    let other = if backend() == Backend::SysV { Backend::default_file() } else { Backend::SysV };
    let mut viewer = framebus();
    viewer.args(["viewer", "--stream", &name, "--patience", "0", "--backend", &other.to_string()]);
    let (code, said) = failure(viewer);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains(&format!("can not attach to stream {name}: there is none")), "{said}");
    assert!(said.contains("look at the names with framebus ls"), "{said}");
    // It looks everywhere where it is not told.
    let mut everywhere = framebus();
    everywhere.args(["ls", "--json", &name]);
    let row: Value = serde_json::from_str(&text(everywhere).0).unwrap();
    assert_eq!((&row["stream"], &row["backend"]), (&json!(name), &json!(backend().to_string())));
    producer.interrupt();
}

#[test]
fn streams_of_one_bus_stand_together_with_their_sum() {
    let front = TestStream::new("ls-bus");
    let back = TestStream { name: framebus::StreamName::new(front.name.bus(), "back").unwrap() };
    let _publishers = [&front, &back].map(|stream| Publisher::open(&stream.name, &options(content())).unwrap());
    let (said, _) = ls(front.name.bus());
    let lines: Vec<_> = said.lines().filter(|line| !line.starts_with(' ')).collect();
    assert!(lines[0].starts_with(&format!("{}: 2 streams, ", front.name.bus())), "{said}");
    assert!(lines[1].starts_with(&back.name.to_string()) && lines[2].starts_with(&front.name.to_string()), "{said}");
}

#[test]
fn a_stream_without_anybody_is_called_an_orphan_with_what_removes_it() {
    let stream = TestStream::new("ls-orphan");
    let writer = actor::start(&stream, "write");
    writer.wait_for("at", 2);
    let pid = writer.child.id();
    writer.kill();
    // Whoever lists the machine's streams has each mapped for a moment.
    let said = eventually("nobody else looks at it", || {
        Some(ls(&stream.name.to_string()).0).filter(|said| !said.contains("somebody has it mapped"))
    });
    assert!(said.contains(&format!("publisher gone (was pid {pid}), frame 1, ")), "{said}");
    assert!(said.contains("orphan: nobody publishes or reads it; framebus gc removes it"), "{said}");
    let row: Value = serde_json::from_str(&ls(&format!("--json {}", stream.name)).0).unwrap();
    assert_eq!((&row["orphan"], &row["last_publisher_pid"]), (&json!(true), &json!(pid)));
    stream.remove();
}

#[test]
fn what_is_closed_to_this_user_is_counted_and_named_when_asked() {
    let Some(program) = OpenProgram::new() else { return };
    let stream = TestStream::new("ls-closed");
    let mut settings = options(content());
    settings.mode = 0o600;
    let _publisher = Publisher::open(&stream.name, &settings).unwrap();
    let ls = |arguments: &[&str]| {
        let mut command = Command::new(program.path());
        command.arg("ls").args(arguments).args(["--backend", &backend().to_string()]);
        command.current_dir("/").uid(SOMEBODY).gid(SOMEBODY);
        text(command)
    };
    let (said, aside) = ls(&[]);
    assert!(!said.contains(&stream.name.to_string()), "{said}");
    assert!(aside.contains(" closed to this one, and may be streams; framebus ls --all names "), "{aside}");
    let (said, _) = ls(&["--all"]);
    let object = match backend() {
        Backend::SysV => {
            format!("a segment (id {}) under key {:#x}", stream.status().unwrap().segment_id, stream.name.key())
        }
        Backend::File { .. } => format!("{}: a file ", stream.name),
        _ => unreachable!("two backends"),
    };
    let line = said.lines().find(|line| line.contains(&object)).unwrap_or_else(|| panic!("{object}: {said}"));
    assert!(line.contains("owner root:root (0:0), mode 0600"), "{line}");
    let (objects, _) = ls(&["--all", "--json"]);
    let closed = objects.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    assert!(
        closed.into_iter().any(|row| row["kind"] == "unreadable" && row["user"] == "root" && row["bytes"].is_u64())
    );
}
