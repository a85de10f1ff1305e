//! Where a recipe is tried: a folder, a bus and a `PATH` of its own.
//!
//! What is replaced in it: the bus `lab` by the test's own, `--frames 300` and `num-buffers=300` by fewer, and what the
//! test says itself, each of which must be there. All else is run as it stands in the README.

use std::cell::RefCell;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use framebus::{RemoveError, StreamName};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::backend;
use crate::harness::TestStream;
use crate::readme;

/// A recipe that takes so long is stuck.
const WATCHDOG: Duration = Duration::from_secs(60);

/// Frames instead of 300.
pub const FRAMES: usize = 15;

/// Where a recipe is tried.
pub struct Kitchen {
    pub folder: tempfile::TempDir,
    bus: String,
    /// Dropped last of all: nothing may be left of them.
    streams: RefCell<Vec<TestStream>>,
}

/// Whether all these programs can be run; says it where not.
pub fn has(programs: &[&str]) -> bool {
    let missing = |program: &&&str| {
        let mut probe = Command::new("sh");
        let found = probe.args(["-c", "command -v \"$1\"", "sh", program]).stdout(Stdio::null()).status();
        !found.is_ok_and(|status| status.success())
    };
    let missing: Vec<&&str> = programs.iter().filter(missing).collect();
    if !missing.is_empty() {
        eprintln!("skipped: {missing:?} not installed");
    }
    missing.is_empty()
}

/// A process and all that it started, which end with the test.
pub struct Group(Option<Child>);

impl Group {
    fn start(command: &mut Command) -> Self {
        Self(Some(command.process_group(0).spawn().unwrap()))
    }

    /// Its end.
    pub fn end(mut self) -> Output {
        let child = self.0.take().unwrap();
        let group = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        let (sender, ended) = std::sync::mpsc::channel();
        std::thread::spawn(move || sender.send(child.wait_with_output()));
        let output = ended.recv_timeout(WATCHDOG);
        if output.is_err() {
            let _ = kill_process_group(group, Signal::KILL);
        }
        output.expect("the recipe ends").unwrap()
    }

    /// Ends it by itself where it runs still, as Ctrl-C does.
    pub fn interrupt(self) -> Output {
        let child = self.0.as_ref().unwrap();
        kill_process_group(Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(), Signal::INT).unwrap();
        self.end()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let group = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
            let _ = kill_process_group(group, Signal::KILL);
            let _ = child.wait();
        }
    }
}

impl Kitchen {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let bus = format!("test-{}-{number}-recipe", std::process::id());
        Self { folder: tempfile::tempdir().unwrap(), bus, streams: RefCell::default() }
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// A stream of this test's bus, of which nothing may be left in the end.
    pub fn stream(&self, name: &str) -> String {
        let name = StreamName::new(&self.bus, name).unwrap();
        let full = name.to_string();
        let mut streams = self.streams.borrow_mut();
        if !streams.iter().any(|stream| stream.name == name) {
            streams.push(TestStream { name });
        }
        full
    }

    /// A command in the folder, which finds the program under test.
    fn command(&self, program: &str) -> Command {
        let own = Path::new(env!("CARGO_BIN_EXE_framebus")).parent().unwrap();
        let path = format!("{}:{}", own.display(), std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new(program);
        command.env("PATH", path).env_remove("FRAMEBUS_CONFIG").current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts a command line; `lab/` is this test's bus.
    pub fn start(&self, line: &str) -> Group {
        Group::start(self.command("bash").args([
            "-o",
            "pipefail",
            "-c",
            &line.replace("lab/", &format!("{}/", self.bus)),
        ]))
    }

    /// Runs a command line to its good end.
    #[track_caller]
    pub fn run(&self, line: &str) -> Output {
        let output = self.start(line).end();
        assert!(output.status.success(), "{line}\n{output:?}");
        output
    }

    /// A recipe's code as it is to be run.
    fn code(&self, recipe: &str, replace: &[(&str, &str)]) -> String {
        let mut code = readme::code(recipe);
        for (written, instead) in replace {
            assert!(code.contains(written), "{written:?} in the recipe {recipe}:\n{code}");
            code = code.replace(written, instead);
        }
        for long in ["--frames ", "num-buffers="] {
            code = code.replace(&format!("{long}300"), &format!("{long}{FRAMES}"));
        }
        code
    }

    /// Starts a recipe for the shell.
    pub fn cook(&self, recipe: &str, replace: &[(&str, &str)]) -> Group {
        self.start(&self.code(recipe, replace))
    }

    /// Starts a recipe for Python, with Debian's interpreter, which has OpenCV where it is installed.
    pub fn cook_python(&self, recipe: &str) -> Group {
        let code = self.code(recipe, &[]).replace("lab/", &format!("{}/", self.bus));
        Group::start(self.command("/usr/bin/python3").args(["-c", &code]))
    }

    /// The camera of the tour, a little quicker.
    pub fn camera(&self) -> Group {
        self.stream("camera");
        self.start("framebus producer --stream lab/camera --width 1280 --height 720 --format rgb8 --rate 40")
    }

    /// A video of one colour, of 2 s.
    pub fn video(&self) {
        let red = "color=c=0xC81E14:size=320x240:rate=25:duration=2";
        self.run(&format!("ffmpeg -loglevel error -f lavfi -i {red} -pix_fmt yuv420p -y video.mp4"));
    }

    /// Waits for a stream and takes the bytes of one frame.
    pub fn one_frame(&self, stream: &str) -> Group {
        self.stream(stream);
        self.start(&format!("framebus viewer --stream lab/{stream} --frames 1 --pipe raw"))
    }
}

impl Drop for Kitchen {
    fn drop(&mut self) {
        // Where a test failed, its processes were killed, and may take a moment to be gone.
        let begun = Instant::now();
        while std::thread::panicking() && begun.elapsed() < Duration::from_secs(5) {
            let streams = self.streams.borrow();
            let mut left = streams.iter().map(|stream| framebus::remove(&backend(), &stream.name, true));
            if left.all(|removed| matches!(removed, Err(RemoveError::NotFound { .. }))) {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A recipe's good end.
#[track_caller]
pub fn well(output: Output) -> Output {
    assert!(output.status.success(), "{output:?}");
    output
}
