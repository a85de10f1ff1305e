//! Buses of a test's own, and the processes on them.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use framebus::{
    AttachError, Content, RemoveError, StreamName, StreamOptions, StreamStatus, Subscriber, SubscriberOptions,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::backend;

/// Nothing here takes so long; a test that does is stuck.
pub const WATCHDOG: Duration = Duration::from_secs(60);

/// Waits until `condition` gives something.
pub fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(begun.elapsed() < WATCHDOG, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A stream on a bus of this test's own. When the test is over, nothing may be left of it.
pub struct TestStream {
    pub name: StreamName,
}

impl TestStream {
    pub fn new(test: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let bus = format!("test-{}-{number}-{test}", std::process::id());
        Self { name: StreamName::new(&bus, "front").unwrap() }
    }

    /// A program of the front door on this stream.
    pub fn command(&self, program: &str, arguments: &str) -> Command {
        let mut command = framebus();
        command.arg(program).args(["--stream", &self.name.to_string(), "--backend", &backend().to_string()]);
        command.args(arguments.split_whitespace());
        command
    }

    pub fn producer(&self, arguments: &str) -> Running {
        Running::start(self.command("producer", &format!("--json --interval 0.1 {arguments}")))
    }

    pub fn viewer(&self, arguments: &str) -> Running {
        Running::start(self.command("viewer", &format!("--json --interval 0.1 {arguments}")))
    }

    /// What the kernel's table has of it.
    pub fn status(&self) -> Option<StreamStatus> {
        framebus::list(&backend()).unwrap().into_iter().find(|stream| stream.name == self.name)
    }

    /// Waits until it has a frame with at least this sequence; returns the newest one's.
    pub fn wait_for_frame(&self, sequence: u64) -> u64 {
        // A new epoch tells from where it goes on before it has a frame.
        let status = || self.status().filter(|status| status.age_ns.is_some());
        let reached = || status().map(|status| status.last_sequence).filter(|&last| last >= sequence);
        eventually(&format!("frame {sequence} of {}", self.name), reached)
    }

    /// Removes what a killed producer left, as a user does it.
    pub fn remove(&self) {
        let name = self.name.to_string();
        let output = framebus().args(["rm", &name]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("removed {name}\n"));
    }
}

impl Drop for TestStream {
    fn drop(&mut self) {
        let left = framebus::remove(&backend(), &self.name, true);
        if !std::thread::panicking() {
            assert!(matches!(left, Err(RemoveError::NotFound { .. })), "{} was left behind: {left:?}", self.name);
        }
    }
}

/// The defaults of a stream of the backend that is tested.
pub fn options(content: Content) -> StreamOptions {
    let mut options = StreamOptions::new(content);
    options.backend = backend();
    options
}

/// The defaults of a subscriber.
pub fn subscriber_options() -> SubscriberOptions {
    let mut options = SubscriberOptions::default();
    options.backend = backend();
    options
}

pub fn attach(name: &StreamName) -> Result<Subscriber, AttachError> {
    Subscriber::attach_with(name, subscriber_options())
}

/// The program under test, without a config of whoever runs the tests.
pub fn framebus() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_framebus"));
    command.env_remove("FRAMEBUS_CONFIG").env("FRAMEBUS_LOG", "error").current_dir(env!("CARGO_TARGET_TMPDIR"));
    command
}

/// A started process: its objects on standard output, its words on standard error. Killed when dropped.
pub struct Running {
    pub child: Child,
    objects: Receiver<Value>,
    /// All of it, when it is closed.
    stderr: Receiver<String>,
}

/// What a process left.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    /// The last object that it printed.
    pub summary: Value,
    pub stderr: String,
}

impl Running {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (sender, objects) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // The actor's test runner prints other lines too.
                if let Ok(object) = serde_json::from_str(&line) {
                    let _ = sender.send(object);
                }
            }
        });
        let (told, words) = channel();
        std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            let _ = told.send(text);
        });
        Self { child, objects, stderr: words }
    }

    /// The next object that it prints.
    #[track_caller]
    pub fn next_object(&self) -> Value {
        self.objects.recv_timeout(WATCHDOG).unwrap_or_else(|reason| {
            let said = self.stderr.recv_timeout(Duration::from_secs(1));
            panic!("the process prints no further object: {reason}; it said: {}", said.unwrap_or_default())
        })
    }

    /// Waits for an object that has this field at this value at least.
    #[track_caller]
    pub fn wait_for(&self, field: &str, least: u64) -> Value {
        let reached = |object: &Value| object[field].as_u64().is_some_and(|value| value >= least);
        // Intervals come for ever, whatever they say.
        eventually(&format!("{field} is {least}"), || Some(self.next_object()).filter(reached))
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// `kill -9`, and its end.
    pub fn kill(mut self) {
        self.signal(Signal::KILL);
        self.child.wait().unwrap();
    }

    /// Ctrl-C, and its end.
    pub fn interrupt(self) -> Ended {
        self.signal(Signal::INT);
        self.end()
    }

    /// Its end.
    pub fn end(mut self) -> Ended {
        let mut summary = Value::Null;
        // All that it prints, until it closes its standard output.
        let begun = Instant::now();
        loop {
            match self.objects.recv_timeout(WATCHDOG.saturating_sub(begun.elapsed())) {
                Ok(object) => summary = object,
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("the process does not end; its last object: {summary}"),
            }
        }
        let status = self.child.wait().unwrap();
        let stderr = self.stderr.recv_timeout(WATCHDOG).unwrap();
        Ended { status, summary, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// A number of the summary of a run that went well.
    #[track_caller]
    pub fn number(&self, field: &str) -> u64 {
        assert!(self.status.success(), "{}\n{self:?}", self.stderr);
        assert_eq!(self.summary["kind"], "summary", "{self:?}");
        self.summary[field].as_u64().unwrap_or_else(|| panic!("{field} in {self:?}"))
    }
}

/// A started process whose standard output is bytes. Killed when dropped, also because it does not end.
pub struct Piped {
    pub child: Child,
    stdout: Receiver<Vec<u8>>,
    stderr: Receiver<Vec<u8>>,
}

/// All that is read until its end.
fn all_of(mut from: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, all) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        let _ = sender.send(bytes);
    });
    all
}

impl Piped {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (stdout, stderr) = (all_of(child.stdout.take().unwrap()), all_of(child.stderr.take().unwrap()));
        Self { child, stdout, stderr }
    }

    /// Its end, and all that it printed.
    #[track_caller]
    pub fn end(mut self) -> Output {
        let stdout = self.stdout.recv_timeout(WATCHDOG).expect("it closes its standard output");
        let stderr = self.stderr.recv_timeout(WATCHDOG).expect("it closes its standard error");
        let status = eventually("the end of a process that has closed its output", || self.child.try_wait().unwrap());
        Output { status, stdout, stderr }
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that must fail: its exit code, and what it said.
pub fn failure(mut command: Command) -> (i32, String) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    (output.status.code().expect("an exit code"), stderr)
}
