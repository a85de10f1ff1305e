//! The log, as an operator finds it after weeks: what began, ended, came and went, with stream, process, sequence and cause.

use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use crate::harness::{TestStream, WATCHDOG, eventually};

const SMALL: &str = "--width 64 --height 48 --format rgb8";

/// A program whose standard error is the journal, or says so; and the lines of that. `told`: what `$JOURNAL_STREAM` says,
/// where not the truth.
struct Logged {
    child: std::process::Child,
    lines: BufReader<UnixStream>,
}

impl Logged {
    fn start(mut command: Command, level: &str, told: Option<&str>) -> Self {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let theirs = std::fs::File::from(OwnedFd::from(theirs));
        let file = theirs.metadata().unwrap();
        let journal = format!("{}:{}", file.dev(), file.ino());
        command.env("FRAMEBUS_LOG", level).env("JOURNAL_STREAM", told.unwrap_or(&journal));
        let child = command.stdout(Stdio::null()).stderr(theirs).spawn().unwrap();
        ours.set_read_timeout(Some(WATCHDOG)).unwrap();
        Self { child, lines: BufReader::new(ours) }
    }

    /// The next line with this in it.
    #[track_caller]
    fn line(&mut self, with: &str) -> String {
        eventually(&format!("a line with {with:?}"), || {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "a line with {with:?} before the end");
            Some(line).filter(|line| line.contains(with))
        })
    }

    fn terminate(&self) {
        // SAFETY: plain integers; the process is this test's own, and not waited for.
        assert_eq!(unsafe { libc::kill(self.child.id() as libc::pid_t, libc::SIGTERM) }, 0);
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a line has all of these.
#[track_caller]
fn has(line: &str, parts: &[&str]) {
    for part in parts {
        assert!(line.contains(part), "{part:?} in {line:?}");
    }
    assert!(!line.contains('\u{1b}'), "no colours: {line:?}");
}

#[test]
fn a_streams_whole_life_is_told_to_the_journal_with_levels_and_without_time() {
    let stream = TestStream::new("journal");
    let name = format!("stream={}", stream.name);
    let small = "--width 64 --height 48 --format rgb8 --rate 100 --interval 3600";
    let mut first = Logged::start(stream.command("producer", small), "info", None);
    let pid = format!("pid={}", first.child.id());
    let created = first.line("stream created");
    assert!(created.starts_with("<6>stream created: pattern, images of 64 × 48"), "{created}");
    has(&created, &[&name, &pid, "sequence=1"]);

    let mut viewer = Logged::start(stream.command("viewer", "--interval 3600"), "info", None);
    has(&viewer.line("viewer attached"), &["<6>", &stream.name.to_string(), "label=\"viewer\"", "pid="]);
    stream.wait_for_frame(5);
    first.child.kill().unwrap();
    first.child.wait().unwrap();
    has(&viewer.line("publisher gone"), &["<6>", "sequence=", "cause=\"is gone\""]);

    let mut second = Logged::start(stream.command("producer", small), "info", None);
    has(&second.line("stream taken over"), &["<6>", &name]);
    has(&viewer.line("publisher back"), &["<6>", "sequence=", "restarts=1"]);
    second.child.kill().unwrap();
    second.child.wait().unwrap();
    has(&viewer.line("publisher gone"), &["<6>", "cause=\"is gone\""]);

    let large = "--width 128 --height 96 --format rgb8 --rate 100 --interval 3600";
    let mut third = Logged::start(stream.command("producer", large), "info", None);
    has(&third.line("new epoch"), &["<6>stream goes on in a new epoch", &name]);
    has(&viewer.line("viewer moved to a new epoch"), &["<6>", "epoch=1", "128 × 96"]);
    viewer.terminate();
    has(&viewer.line("viewer ended"), &["<6>", "cause=\"SIGTERM\"", "frames=", "restarts=2", "epochs=1"]);
    third.terminate();
    has(&third.line("stream closed"), &["<6>", "cause=\"SIGTERM\"", "published=", "drops=0"]);
    assert!(third.child.wait().unwrap().success() && viewer.child.wait().unwrap().success());
}

#[test]
fn the_log_has_time_and_level_in_words_where_standard_error_is_another_file_than_the_journal() {
    let stream = TestStream::new("no-journal");
    let mut producer =
        Logged::start(stream.command("producer", &format!("{SMALL} --interval 3600")), "info", Some("8:1"));
    let line = producer.line("stream created");
    assert!(line.starts_with("20") && line.contains(" INFO stream created"), "{line}");
    producer.terminate();
    assert!(producer.line("stream closed").contains("cause=\"SIGTERM\""));
    assert!(producer.child.wait().unwrap().success());
}

#[test]
fn framebus_log_filters_the_journal_too_and_errors_have_their_level() {
    let stream = TestStream::new("filtered");
    // Of all that it tells, only the summary is no event.
    let mut producer =
        Logged::start(stream.command("producer", &format!("{SMALL} --frames 3 --interval 3600")), "warn", None);
    assert!(producer.line("").starts_with(&format!("{}: 3 frames", stream.name)));
    assert!(producer.child.wait().unwrap().success());
    let mut refused = Logged::start(stream.command("producer", "--slots 1"), "off", None);
    assert!(refused.line("").starts_with("<3>error: "));
    assert_eq!(refused.child.wait().unwrap().code(), Some(2));
}
