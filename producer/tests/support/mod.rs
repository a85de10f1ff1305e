//! The program `producer` as a process, and a viewer of its stream.

// Each test uses a part of it.
#![allow(dead_code)]

use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use framebus::{Frame, StreamName, Subscriber, SubscriberOptions};
use framebus_producer::Summary;
use rustix::process::{Pid, Signal, kill_process};

/// Nothing here takes nearly so long; a test that hangs ends.
pub const WATCHDOG: Duration = Duration::from_secs(60);

/// A name that no other test, and no other run of this one, has.
pub fn stream(of: &str) -> StreamName {
    StreamName::new(&format!("test-{}-{of}", std::process::id()), "camera").unwrap()
}

/// A producer with pipes at both ends, and no config but what `arguments` name.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_producer"));
    command
        .args(arguments)
        .current_dir(std::env::temp_dir())
        .env_remove("FRAMEBUS_CONFIG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A producer that runs; ended by drop.
pub struct Producer(pub Child);

/// What a producer has left when it has ended.
pub struct Outcome {
    pub status: ExitStatus,
    pub out: String,
    pub errors: String,
}

impl Producer {
    /// Starts it, with no config but what `arguments` name.
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_with(&mut command(arguments))
    }

    /// Starts a [`command`] that was changed.
    pub fn start_with(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }

    pub fn write(&mut self, bytes: &[u8]) {
        self.0.stdin.as_mut().unwrap().write_all(bytes).unwrap();
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    pub fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// Waits until it ends by itself; `close_input` first ends its standard input.
    pub fn outcome(mut self, close_input: bool) -> Outcome {
        if close_input {
            drop(self.0.stdin.take());
        }
        let (mut out, mut errors) = (self.0.stdout.take(), self.0.stderr.take().unwrap());
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                break status;
            }
            assert!(begun.elapsed() < WATCHDOG, "the producer does not end");
            std::thread::sleep(Duration::from_millis(2));
        };
        let (mut out_text, mut errors_text) = (String::new(), String::new());
        if let Some(out) = &mut out {
            out.read_to_string(&mut out_text).unwrap();
        }
        errors.read_to_string(&mut errors_text).unwrap();
        Outcome { status, out: out_text, errors: errors_text }
    }
}

impl Drop for Producer {
    /// Also a test that fails leaves no stream: the producer gets the time to remove it.
    fn drop(&mut self) {
        let begun = Instant::now();
        if matches!(self.0.try_wait(), Ok(None)) {
            self.interrupt();
        }
        while matches!(self.0.try_wait(), Ok(None)) && begun.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(2));
        }
        // Where it has ended already, there is nothing to kill.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Outcome {
    pub fn summary(&self) -> Summary {
        let last = self.out.lines().last().unwrap_or_else(|| panic!("no summary; {}", self.errors));
        serde_json::from_str(last).unwrap()
    }

    /// The message of a producer that refused or failed.
    pub fn error(&self) -> &str {
        let last = self.errors.lines().rfind(|line| line.starts_with("error: "));
        last.unwrap_or_else(|| panic!("no error in {:?}", self.errors))
    }
}

pub fn attach(name: &StreamName, lossless: bool) -> Subscriber {
    let mut options = SubscriberOptions::default();
    (options.patience, options.lossless) = (WATCHDOG, lossless);
    Subscriber::attach_with(name, options).unwrap()
}

pub fn next(viewer: &mut Subscriber) -> Frame {
    assert!(viewer.wait(Instant::now() + WATCHDOG).unwrap(), "no frame comes");
    viewer.next().unwrap().unwrap()
}

/// Waits until it is so.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < WATCHDOG, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
