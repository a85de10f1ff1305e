//! A program of ours as a process of its own, which prints JSON: what `demo` and `soak` have in common.
//!
//! The process is this very executable with another subcommand. Each has a thread that reads what it prints, so a full
//! pipe never stops it. Its standard output is a pipe to us: when we die, however, its next interval finds the pipe
//! closed, and it ends.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use anyhow::Context;
use crossbeam_channel::Sender;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// What a process said.
pub enum Said {
    /// A line of its standard output.
    Object(Value),
    /// It has closed its standard output: it ends, or was killed. With its words, where they were captured.
    End(String),
}

/// Something said by the process with this number.
pub struct Message {
    pub from: u64,
    pub said: Said,
}

/// What becomes of its words on standard error.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Words {
    /// They are shown on ours.
    Inherited,
    /// They come with [`Said::End`]. For programs that have little to say: they are read at the end.
    Captured,
}

/// What to start.
pub struct Script {
    program: &'static str,
    arguments: Vec<OsString>,
    words: Words,
}

impl Script {
    pub fn new(program: &'static str, words: Words) -> Self {
        Self { program, arguments: Vec::new(), words }
    }

    pub fn argument(&mut self, argument: impl AsRef<OsStr>) -> &mut Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    pub fn arguments(&mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> &mut Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }
}

/// A process. Killed when dropped.
pub struct Actor {
    child: Child,
    reaped: bool,
    /// The last object of a run that came to its end.
    pub summary: Option<Value>,
    pub ended: bool,
}

impl Actor {
    /// Starts a process; what it says comes as messages from this number.
    pub fn start(script: &Script, number: u64, sender: &Sender<Message>) -> anyhow::Result<Self> {
        let itself = std::env::current_exe().context("finding this program's own file")?;
        let mut command = Command::new(itself);
        command.arg(script.program).args(&script.arguments);
        // Words of the children are for their own terminals; their errors are for this one's.
        command.env("FRAMEBUS_LOG", "error").stdin(Stdio::null()).stdout(Stdio::piped());
        if script.words == Words::Captured {
            command.stderr(Stdio::piped());
        }
        // A group of its own: Ctrl-C is for us alone, to end it when it is time; from the terminal and from us it would be
        // two, and the second one ends it without its summary. And should we die while it is stopped (SIGSTOP), the
        // kernel ends it: stopped members of an orphaned group get SIGHUP and SIGCONT.
        command.process_group(0);
        let mut child = command.spawn().with_context(|| format!("starting the {}", script.program))?;
        let stdout = child.stdout.take().context("the child's standard output is a pipe")?;
        let stderr = child.stderr.take();
        let sender = sender.clone();
        std::thread::Builder::new()
            .name("listen".to_owned())
            .stack_size(128 << 10)
            .spawn(move || listen(number, stdout, stderr, &sender))
            .context("starting a thread that reads what a child says")?;
        Ok(Self { child, reaped: false, summary: None, ended: false })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, unless it has ended: its number may be another process's by then.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let (false, Some(pid)) = (self.reaped, pid) {
            let _ = kill_process(pid, signal);
        }
    }

    /// Waits for its end; `None` where the kernel does not tell how it was.
    pub fn wait(&mut self) -> Option<ExitStatus> {
        let status = self.child.wait().ok();
        self.reaped = true;
        status
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(number: u64, stdout: ChildStdout, stderr: Option<impl Read>, sender: &Sender<Message>) {
    let objects = BufReader::new(stdout).lines().map_while(Result::ok);
    for object in objects.filter_map(|line| serde_json::from_str(&line).ok()) {
        let _ = sender.send(Message { from: number, said: Said::Object(object) });
    }
    let mut words = String::new();
    if let Some(mut stderr) = stderr {
        let _ = stderr.read_to_string(&mut words);
    }
    let _ = sender.send(Message { from: number, said: Said::End(words) });
}
