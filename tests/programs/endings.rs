//! How each command ends: by which signal, with which exit code, with its summary, and with nothing left behind.
//!
//! SIGINT and SIGHUP go to the whole process group, as a terminal sends them; SIGTERM goes to the process alone, as a
//! supervisor does.

use std::ffi::CStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::Value;

use crate::harness::{TestStream, WATCHDOG, eventually, framebus};

/// A command that runs until a signal comes.
struct Case {
    name: &'static str,
    /// On a stream that has a producer, or is to have one; the folder is the command's own.
    command: fn(&TestStream, &Path) -> Command,
    /// Whether somebody publishes the stream.
    published: bool,
    /// Where its objects are; elsewhere there are frames.
    objects: Objects,
    /// Whether its last object is a summary.
    summary: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Objects {
    Stdout,
    Stderr,
}

const CASES: &[Case] = &[
    Case {
        name: "producer",
        command: |stream, _| stream.command("producer", "--json --interval 0.1 --width 64 --height 48 --format rgb8"),
        published: false,
        objects: Objects::Stdout,
        summary: true,
    },
    Case {
        name: "producer exec:",
        command: |stream, _| {
            let mut command = stream.command("producer", "--json --interval 0.1 --width 8 --height 8 --format mono8");
            command.args(["--source", "exec:cat /dev/zero", "--rate", "50"]);
            command
        },
        published: false,
        objects: Objects::Stdout,
        summary: true,
    },
    Case {
        name: "viewer",
        command: |stream, _| stream.command("viewer", "--json --interval 0.1 --verify"),
        published: true,
        objects: Objects::Stdout,
        summary: true,
    },
    Case {
        name: "viewer --pipe",
        command: |stream, _| stream.command("viewer", "--json --quiet --interval 0.1 --pipe raw"),
        published: true,
        objects: Objects::Stderr,
        summary: true,
    },
    Case {
        name: "viewer --record",
        command: |stream, folder| {
            let mut command = stream.command("viewer", "--json --interval 0.1 --record");
            command.arg(folder.join("recorded"));
            command
        },
        published: true,
        objects: Objects::Stdout,
        summary: true,
    },
    Case {
        name: "web",
        command: |stream, _| {
            let mut command = framebus();
            command.args(["web", "--json", "--listen", "127.0.0.1:0", "--bus", stream.name.bus()]);
            command
        },
        published: true,
        objects: Objects::Stdout,
        summary: false,
    },
    Case {
        name: "top",
        command: |stream, _| {
            let mut command = framebus();
            command.args(["top", "--json", "--probe", "--interval", "0.1", &stream.name.to_string()]);
            command
        },
        published: true,
        objects: Objects::Stdout,
        summary: false,
    },
    Case {
        name: "demo",
        command: |stream, folder| {
            let mut command = framebus();
            command.args(["demo", "--json", "--seconds", "600", "--bus", stream.name.bus(), "--snapshot"]);
            command.arg(folder.join("demo.png"));
            command
        },
        published: false,
        objects: Objects::Stdout,
        summary: true,
    },
    Case {
        name: "soak",
        command: |stream, folder| {
            let mut command = framebus();
            command.args(["soak", "--json", "--seconds", "600", "--streams", "1", "--viewers", "1", "--size", "64x48"]);
            command.args(["--bus", stream.name.bus(), "--report"]).arg(folder.join("report"));
            command
        },
        published: false,
        objects: Objects::Stdout,
        summary: true,
    },
];

/// A process, and what it prints. Killed when dropped.
struct Process {
    child: Child,
    stdout: Arc<Mutex<Vec<u8>>>,
    stderr: Arc<Mutex<Vec<u8>>>,
}

/// Reads all that comes, so that no pipe is ever full.
fn collect(mut from: impl Read + Send + 'static) -> Arc<Mutex<Vec<u8>>> {
    let into: Arc<Mutex<Vec<u8>>> = Arc::default();
    let all = into.clone();
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            all.lock().unwrap().extend_from_slice(&bytes[..count]);
        }
    });
    into
}

fn text(from: &Mutex<Vec<u8>>) -> String {
    String::from_utf8_lossy(&from.lock().unwrap()).into_owned()
}

/// The tests may run under nohup(1), and what is ignored is inherited.
fn hearing_hangups(command: &mut Command) -> &mut Command {
    // SAFETY: signal is async-signal-safe, and nothing is allocated.
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGHUP, libc::SIG_DFL);
            Ok(())
        })
    }
}

impl Process {
    fn start(mut command: Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = hearing_hangups(command).spawn().unwrap();
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        Self { child, stdout: collect(stdout), stderr: collect(stderr) }
    }

    fn objects(&self, objects: Objects) -> Vec<Value> {
        let from = if objects == Objects::Stdout { &self.stdout } else { &self.stderr };
        let lines = text(from);
        lines.lines().filter_map(|line| serde_json::from_str(line).ok()).filter(Value::is_object).collect()
    }

    fn signal(&self, signal: libc::c_int) {
        let pid = self.child.id() as libc::pid_t;
        let whom = if signal == libc::SIGTERM { pid } else { -pid };
        // SAFETY: plain integers; the process leads a group of its own, and was not waited for.
        assert_eq!(unsafe { libc::kill(whom, signal) }, 0);
    }

    fn end(&mut self, name: &str) -> ExitStatus {
        eventually(&format!("{name} ends"), || self.child.try_wait().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whatever there is on a bus, on either backend.
fn left(bus: &str) -> Vec<String> {
    let backends = [framebus::Backend::SysV, framebus::Backend::default_file()];
    let streams = backends.iter().flat_map(|backend| framebus::list(backend).unwrap());
    streams.filter(|stream| stream.name.bus() == bus).map(|stream| stream.name.to_string()).collect()
}

fn ends_in_good_order(case: &Case, signal: libc::c_int) {
    let name = format!("{} by signal {signal}", case.name);
    let stream = TestStream::new("ends");
    let folder = tempfile::tempdir().unwrap();
    let producer = case.published.then(|| stream.producer("--width 64 --height 48 --format rgb8 --rate 50"));
    if case.published {
        stream.wait_for_frame(1);
    }
    let mut process = Process::start((case.command)(&stream, folder.path()));
    eventually(&format!("{name} is at work"), || (!process.objects(case.objects).is_empty()).then_some(()));
    process.signal(signal);
    // Whoever closes a terminal may be told of it by the kernel and by the shell. Processes that these two start may be told before
    // they listen.
    let again = signal == libc::SIGHUP && !["demo", "soak"].contains(&case.name);
    let status = eventually(&format!("{name} ends"), || {
        let ended = process.child.try_wait().unwrap();
        if again && ended.is_none() {
            process.signal(signal);
        }
        ended
    });
    // Its last words may be on their way from the pipe.
    let is_told = || process.objects(case.objects).pop().filter(|last| !case.summary || last["kind"] == "summary");
    let words = || text(&process.stderr);
    assert_eq!(status.code(), Some(0), "{name}: {status}\n{}", words());
    let last = eventually(&format!("{name} tells its summary: {}", words()), is_told);
    if case.name == "viewer --record" {
        let index = std::fs::read_dir(folder.path().join("recorded")).unwrap().map(|file| file.unwrap().path());
        let index = index.into_iter().find(|path| path.extension().is_some_and(|end| end == "csv")).unwrap();
        let rows = std::fs::read_to_string(index).unwrap().lines().count() - 1;
        assert_eq!(last["recorded"], rows, "{name}: {last}");
    }
    if let Some(producer) = producer {
        let status = stream.status().unwrap();
        assert!(status.subscribers.is_empty(), "{name} left its place: {status:?}");
        assert_eq!(producer.interrupt().number("drops"), 0);
    }
    assert_eq!(left(stream.name.bus()), [] as [String; 0], "{name}");
}

#[test]
fn every_command_ends_in_good_order_by_every_signal_that_asks_it_to() {
    for case in CASES {
        // All signals of a command at a time: most of it is waiting.
        std::thread::scope(|scope| {
            for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
                scope.spawn(move || ends_in_good_order(case, signal));
            }
        });
    }
}

#[test]
fn a_hangup_that_is_ignored_stays_ignored() {
    let stream = TestStream::new("nohup");
    let mut command = Command::new("nohup");
    let inner = stream.command("producer", "--json --interval 0.1 --width 64 --height 48 --format rgb8");
    command.arg(inner.get_program()).args(inner.get_args()).current_dir(env!("CARGO_TARGET_TMPDIR"));
    command.env_remove("FRAMEBUS_CONFIG");
    let mut process = Process::start(command);
    let published = |process: &Process| process.objects(Objects::Stdout).len();
    eventually("it publishes", || (published(&process) > 0).then_some(()));
    process.signal(libc::SIGHUP);
    let before = published(&process);
    eventually("it goes on", || (published(&process) > before + 2).then_some(()));
    process.signal(libc::SIGTERM);
    assert_eq!(process.end("nohup framebus producer").code(), Some(0));
    assert_eq!(left(stream.name.bus()), [] as [String; 0]);
}

/// Both ends of a new terminal. Neither is ever handed on to a program that another thread starts meanwhile, as openpty(3) would
/// have it: as long as somebody has our end, the terminal is not closed.
fn terminal() -> (File, File) {
    let size = libc::winsize { ws_row: 40, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 };
    let mut name = [0_u8; 64];
    // SAFETY: the descriptor is new and ours alone; ptsname_r(3) writes a string into the buffer, the size is read.
    let ours = unsafe {
        let ours = libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC);
        assert!(ours >= 0, "{}", std::io::Error::last_os_error());
        let ours = OwnedFd::from_raw_fd(ours);
        assert_eq!(libc::grantpt(ours.as_raw_fd()), 0);
        assert_eq!(libc::unlockpt(ours.as_raw_fd()), 0);
        assert_eq!(libc::ptsname_r(ours.as_raw_fd(), name.as_mut_ptr().cast(), name.len()), 0);
        assert_eq!(libc::ioctl(ours.as_raw_fd(), libc::TIOCSWINSZ, &raw const size), 0);
        File::from(ours)
    };
    let name = CStr::from_bytes_until_nul(&name).unwrap().to_str().unwrap();
    let theirs = File::options().read(true).write(true).custom_flags(libc::O_NOCTTY).open(name).unwrap();
    (ours, theirs)
}

/// A program in a terminal of its own, and the terminal's other end.
fn in_terminal(mut command: Command) -> (Reaped, File) {
    let (ours, theirs) = terminal();
    let end = || Stdio::from(theirs.try_clone().unwrap());
    command.stdin(end()).stdout(end()).stderr(end()).env("TERM", "xterm-256color");
    // SAFETY: setsid and ioctl are async-signal-safe, and nothing is allocated.
    unsafe {
        command.pre_exec(|| match libc::setsid() != -1 && libc::ioctl(0, libc::TIOCSCTTY, 0) == 0 {
            true => Ok(()),
            false => Err(std::io::Error::last_os_error()),
        });
    }
    (Reaped(hearing_hangups(&mut command).spawn().unwrap()), ours)
}

/// A process that is killed when dropped.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_terminal_that_is_closed_ends_whoever_runs_in_it_in_good_order() {
    for (program, arguments) in [
        ("producer", "--width 64 --height 48 --format rgb8"),
        ("viewer", "--interval 0.1"),
        ("viewer", "--terminal"),
        ("top", ""),
    ] {
        let name = format!("{program} {arguments}");
        let stream = TestStream::new("closed-terminal");
        let is_producer = program == "producer";
        let producer = (!is_producer).then(|| stream.producer("--width 64 --height 48 --format rgb8 --rate 50"));
        let command = if program == "top" {
            let mut top = framebus();
            top.arg("top").arg(stream.name.to_string());
            top
        } else {
            stream.command(program, arguments)
        };
        let (mut child, mut terminal) = in_terminal(command);
        let mut seen = [0; 256];
        // It has drawn something.
        let mut readable = [PollFd::new(&terminal, PollFlags::IN)];
        let timeout = Timespec::try_from(WATCHDOG).unwrap();
        assert_eq!(poll(&mut readable, Some(&timeout)).unwrap(), 1, "{name} draws nothing");
        assert!(terminal.read(&mut seen).unwrap() > 0, "{name}");
        match program {
            "producer" => drop(stream.wait_for_frame(1)),
            "viewer" => {
                eventually("the viewer is attached", || (!stream.status()?.subscribers.is_empty()).then_some(()))
            }
            _ => {}
        }
        drop(terminal);
        let status = eventually(&format!("{name} ends"), || child.0.try_wait().unwrap());
        assert_eq!(status.code(), Some(0), "{name}: {status}");
        if let Some(producer) = producer {
            // The kernel's table may leave out a row while another one goes.
            let status = eventually("the stream is listed", || stream.status());
            assert!(status.subscribers.is_empty(), "{name}: {status:?}");
            producer.interrupt();
        }
        assert_eq!(left(stream.name.bus()), [] as [String; 0], "{name}");
    }
}
