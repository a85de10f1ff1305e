//! `framebus top` as a user has it: on a terminal (of tmux), and in scripts.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use framebus::{Content, Publisher};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::backend;
use crate::harness::{Running, TestStream, attach, eventually, failure, framebus, options};

/// A terminal of 120 × 40 in a tmux server of its own; the server ends with it.
struct Screen {
    socket: String,
}

impl Screen {
    /// `None`: there is no tmux here.
    fn open() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if !Command::new("tmux").arg("-V").stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
            println!("skipped: tmux is not installed");
            return None;
        }
        let socket = format!("framebus-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let screen = Self { socket };
        // No configuration and no profile of whoever runs the tests.
        screen.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "40", "env PS1='ready> ' sh"]);
        screen.wait_for("ready>");
        Some(screen)
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux").args(["-L", &self.socket]).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn keys(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    /// Starts `framebus top` for this stream in it; the shell says how it ended.
    fn top(&self, stream: &TestStream) {
        let (program, name, backend) = (env!("CARGO_BIN_EXE_framebus"), &stream.name, backend());
        let line = format!("NO_COLOR= {program} top {name} --backend {backend} --interval 0.2; echo exit-code=$?");
        self.keys(&["-l", &line]);
        self.keys(&["Enter"]);
    }

    fn text(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Waits until this is on it; returns the line.
    fn wait_for(&self, text: &str) -> String {
        eventually(&format!("{text:?} on the screen"), || {
            self.text().lines().find(|line| line.contains(text)).map(str::to_owned)
        })
    }

    /// The terminal is as it was before: the shell's own screen, and it echoes what is typed.
    fn check_restored(&self, exit_code: u8) {
        // The shell's command line has the words, too, but not at the beginning.
        eventually("the end of top", || {
            self.text().lines().any(|line| line == format!("exit-code={exit_code}")).then_some(())
        });
        assert!(!self.text().contains("STREAM / subscriber"), "{}", self.text());
        let state = "#{alternate_on} #{cursor_flag}";
        assert_eq!(self.tmux(&["display-message", "-p", state]).trim(), "0 1");
        self.keys(&["-l", "stty -a | grep -o ' -*icanon\\| -*echo ' | xargs echo modes:"]);
        self.keys(&["Enter"]);
        eventually("the modes", || self.text().lines().find(|line| *line == "modes: icanon echo").map(|_| ()));
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = Command::new("tmux").args(["-L", &self.socket, "kill-server"]).output();
    }
}

/// A stream of three slots, of which a viewer always holds two.
fn starved(stream: &TestStream) -> (Running, Running) {
    let producer = stream.producer("--width 64 --height 48 --format mono8 --rate 100 --slots 3");
    stream.wait_for_frame(1);
    let viewer = stream.viewer("--hold 500 --hold-frames 1 --label hoarder");
    eventually("a refused frame", || stream.status().filter(|status| status.counters.refused > 0));
    (producer, viewer)
}

#[test]
fn the_culprit_is_shown_on_a_terminal_which_is_restored_after_q() {
    let Some(screen) = Screen::open() else { return };
    let stream = TestStream::new("top");
    let (producer, viewer) = starved(&stream);
    screen.top(&stream);
    let because = format!("due to hoarder (pid {})", viewer.child.id());
    screen.wait_for(&because);
    let line = screen.wait_for("└ hoarder");
    assert!(line.contains("the culprit") && line.contains("2/2"), "{line}");
    // One stream, and latencies by a subscriber of top's own, which leaves again.
    screen.keys(&["Enter"]);
    screen.wait_for("press l to measure");
    screen.keys(&["l"]);
    screen.wait_for("probe (ours): p50");
    screen.wait_for("top (our probe)");
    let labels = || -> Vec<_> {
        stream.status().unwrap().subscribers.into_iter().map(|subscriber| subscriber.holder.label).collect()
    };
    assert_eq!(labels(), ["hoarder", "top"]);
    screen.keys(&["Escape"]);
    eventually("the probe leaves", || (labels() == ["hoarder"]).then_some(()));
    // The same key in the table: of all streams.
    screen.keys(&["l"]);
    screen.wait_for("LAT p50 LAT p99");
    screen.wait_for("top (our probe)");
    screen.keys(&["l"]);
    eventually("the probes leave", || (labels() == ["hoarder"]).then_some(()));
    // When the viewer goes, so does its row, and what it did is remembered.
    viewer.interrupt();
    screen.wait_for(" ago due to hoarder");
    screen.keys(&["q"]);
    screen.check_restored(0);
    producer.interrupt();
}

#[test]
fn a_terminal_is_restored_after_ctrl_c_and_after_sigterm() {
    let Some(screen) = Screen::open() else { return };
    let stream = TestStream::new("top");
    let producer = stream.producer("--width 64 --height 48 --format mono8 --rate 100");
    stream.wait_for_frame(1);
    screen.top(&stream);
    screen.wait_for("STREAM / subscriber");
    screen.keys(&["C-c"]);
    screen.check_restored(0);
    screen.keys(&["-l", "clear"]);
    screen.keys(&["Enter"]);
    eventually("a clear screen", || (!screen.text().contains("exit-code")).then_some(()));

    screen.top(&stream);
    screen.wait_for("STREAM / subscriber");
    let shell: i32 = screen.tmux(&["display-message", "-p", "#{pane_pid}"]).trim().parse().unwrap();
    let children = std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).unwrap();
    let top = Pid::from_raw(children.trim().parse().unwrap()).unwrap();
    kill_process(top, Signal::TERM).unwrap();
    screen.check_restored(0);
    producer.interrupt();
}

#[test]
fn json_has_what_ls_has_and_rates_and_trouble() {
    let stream = TestStream::new("top");
    let (producer, viewer) = starved(&stream);
    let mut command = framebus();
    let name = stream.name.to_string();
    command.args(["top", &name, "--json", "--interval", "0.2", "--backend", &backend().to_string()]);
    let top = Running::start(command);
    let object = eventually("an interval in which frames are refused", || {
        Some(top.next_object()).filter(|object| object["refused_hz"].as_f64() > Some(0.0))
    });
    assert_eq!((&object["kind"], &object["stream"]), (&Value::from("stream"), &Value::from(name.clone())));
    assert_eq!(object["publisher_pid"].as_u64(), Some(u64::from(producer.child.id())));
    let mut command = framebus();
    command.args(["ls", &name, "--json", "--backend", &backend().to_string()]);
    let listed = Running::start(command).next_object();
    for (listed, object) in [(&listed, &object), (&listed["subscribers"][0], &object["subscribers"][0])] {
        let keys: Vec<_> =
            listed.as_object().unwrap().keys().filter(|key| object.get(key.as_str()).is_none()).collect();
        assert!(keys.is_empty() && !listed.as_object().unwrap().is_empty(), "{keys:?} are not in {object}");
    }
    assert!(object["latency_p50_ns"].is_null() && object["probe_error"].is_null(), "no probe runs unasked: {object}");
    let hoarder = &object["subscribers"][0];
    assert_eq!((hoarder["label"].as_str(), hoarder["trouble"][0]["severity"].as_str()), (Some("hoarder"), Some("bad")));
    assert!(hoarder["blamed_hz"].as_f64() > Some(0.0), "{object}");
    let text = object["trouble"][0]["text"].as_str().unwrap();
    assert!(text.ends_with(&format!("due to hoarder (pid {})", viewer.child.id())), "{text}");
    // Ctrl-C is how it is meant to end.
    assert!(top.interrupt().status.success());
    viewer.interrupt();
    producer.interrupt();
}

#[test]
fn one_look_is_text_for_logs() {
    let stream = TestStream::new("top");
    let (producer, viewer) = starved(&stream);
    let look = || {
        let (name, backend) = (stream.name.to_string(), backend().to_string());
        let output =
            framebus().args(["top", &name, "--once", "--interval", "0.3", "--backend", &backend]).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    eventually("a look of an interval in which frames are refused", || {
        let text = look();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        let is_told = lines[1].starts_with(&format!("✖ {}", stream.name)) && lines[2].contains("the culprit");
        (is_told && lines[2].contains("hoarder")).then_some(())
    });
    viewer.interrupt();
    producer.interrupt();
}

/// One look of `framebus top --probe` at this stream.
fn probed(stream: &TestStream, format: &str) -> String {
    let (name, backend) = (stream.name.to_string(), backend().to_string());
    let arguments = ["top", &name, "--once", "--probe", "--interval", "0.3", "--backend", &backend];
    let output = framebus().args(arguments).args(format.split_whitespace()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn probes_measure_latencies_and_leave_again() {
    let stream = TestStream::new("top");
    let producer = stream.producer("--width 64 --height 48 --format mono8 --rate 100");
    stream.wait_for_frame(1);
    // A busy machine may be slow to attach.
    let object: Value = eventually("a measured latency", || {
        let object: Value = serde_json::from_str(&probed(&stream, "--json")).unwrap();
        object["latency_p50_ns"].is_u64().then_some(object)
    });
    let [p50, p99, max] = ["p50", "p99", "max"].map(|which| object[format!("latency_{which}_ns")].as_u64().unwrap());
    assert!(0 < p50 && p50 <= p99 && p99 <= max, "{object}");
    assert_eq!((&object["subscribers"][0]["label"], &object["probe_error"]), (&Value::from("top"), &Value::Null));
    let text = probed(&stream, "");
    assert!(text.contains("LAT p50 LAT p99") && text.contains("top (our probe)"), "{text}");
    assert!(stream.status().unwrap().subscribers.is_empty());
    producer.interrupt();
}

#[test]
fn a_stream_without_a_free_place_is_not_probed_and_says_so() {
    let stream = TestStream::new("top");
    let mut options = options(Content::Bytes { capacity: 64 });
    options.max_subscribers = 1;
    let _publisher = Publisher::open(&stream.name, &options).unwrap();
    let _reader = attach(&stream.name).unwrap();
    let object: Value = eventually("words of the probe", || {
        let object: Value = serde_json::from_str(&probed(&stream, "--json")).unwrap();
        object["probe_error"].is_string().then_some(object)
    });
    assert!(object["probe_error"].as_str().unwrap().contains("all 1 places are taken by"), "{object}");
    assert!(object["latency_p50_ns"].is_null(), "{object}");
    eventually("a word of it in the text", || {
        probed(&stream, "").split_whitespace().find(|&word| word == "full").map(drop)
    });
}

#[test]
fn without_a_terminal_top_says_what_to_do() {
    let mut command = framebus();
    command.arg("top");
    let (code, words) = failure(command);
    assert_eq!(code, 2, "{words}");
    assert!(words.contains("is no terminal; --once prints one look as text, --json"), "{words}");
}
