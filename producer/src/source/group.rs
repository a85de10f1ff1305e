//! A shell command and everything that it starts, as one process group that ends with us.
//!
//! ```text
//! producer ──┬── guard: /bin/sh, waits for the end of a pipe that only we hold; leads the group
//!            └── /bin/sh -c COMMAND ── ffmpeg …, all in the guard's group
//! ```
//! * **We end it:** TERM to the group, up to 2 s for it to end, KILL to the group.
//! * **We are killed (kill -9):** the kernel closes our end of the guard's pipe, and the guard does the same. This is
//!   what prctl(2) `PR_SET_PDEATHSIG` would be for, but that takes unsafe code between fork and exec, reaches the shell
//!   only and not what it started, and is lost by programs with more rights.
//! * **Does not hold for** what leaves the group (setsid, a daemon), and should the guard be killed too; such a process
//!   ends by SIGPIPE when it next writes to us.
//!
//! The group's number stays valid until the guard is reaped, which is the last thing done: no signal goes astray.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::report::aside;

/// Its own TERM does not end the guard; 0 is its own group.
const GUARD: &str = "trap '' HUP INT TERM; read -r _; kill -TERM 0; sleep 2; kill -KILL 0";

/// From TERM to KILL.
const GRACE: Duration = Duration::from_secs(2);

/// From KILL to the process being gone; only one that hangs in the kernel takes longer.
const KILL_GRACE: Duration = Duration::from_secs(1);

/// Between two looks at processes that are to end.
const LOOK: Duration = Duration::from_millis(5);

/// What was said on standard error is complete by then, unless somebody outside the group holds it open.
const SAID_PATIENCE: Duration = Duration::from_millis(500);

/// Lines of standard error that are kept for messages, and bytes of a line.
const MOST_LINES: usize = 5;
const MOST_LINE_BYTES: usize = 500;

/// A running command.
#[derive(Debug)]
pub(super) struct Group {
    guard: Child,
    /// Closed by the kernel when we die, however.
    _alive: Option<ChildStdin>,
    command: Child,
    said: Said,
    ended: Option<ExitStatus>,
}

impl Group {
    /// Starts `/bin/sh -c command` with nothing to read; returns its standard output too. Lines on its standard error
    /// are passed on as `label: line`.
    pub(super) fn start(command: &str, label: &str) -> io::Result<(Self, ChildStdout)> {
        let mut guard = Command::new("/bin/sh")
            .args(["-c", GUARD])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let alive = guard.stdin.take();
        let child = Command::new("/bin/sh")
            .args(["-c", command])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(guard.id() as i32)
            .spawn();
        let mut child = match child {
            Ok(child) => child,
            Err(error) => {
                let _ = guard.kill();
                let _ = guard.wait();
                return Err(error);
            }
        };
        let (Some(out), Some(errors)) = (child.stdout.take(), child.stderr.take()) else {
            unreachable!("both were asked for");
        };
        let said = Said::listen(errors, label);
        let group = Self { guard, _alive: alive, command: child, said: said?, ended: None };
        Ok((group, out))
    }

    /// Sends TERM, and does not wait.
    pub(super) fn ask_to_end(&mut self) {
        if self.ended.is_none() {
            // Whoever is gone already needs no signal.
            let _ = kill_process_group(Pid::from_child(&self.guard), Signal::TERM);
        }
    }

    /// Ends all of it, after `patience` for the command to end by itself; returns how the command ended.
    pub(super) fn end(&mut self, patience: Duration) -> io::Result<ExitStatus> {
        if let Some(status) = self.ended {
            return Ok(status);
        }
        let by_itself = Instant::now() + patience;
        while self.command.try_wait()?.is_none() && Instant::now() < by_itself {
            std::thread::sleep(LOOK);
        }
        self.ask_to_end();
        let killed = Instant::now() + GRACE;
        while (self.command.try_wait()?.is_none() || others_are_alive(self.guard.id())) && Instant::now() < killed {
            std::thread::sleep(LOOK);
        }
        let _ = kill_process_group(Pid::from_child(&self.guard), Signal::KILL);
        let status = self.command.wait()?;
        // Others of the group are not our children: nobody but /proc tells of their end.
        let gone = Instant::now() + KILL_GRACE;
        while others_are_alive(self.guard.id()) && Instant::now() < gone {
            std::thread::sleep(LOOK);
        }
        self.ended = Some(status);
        self.guard.wait()?;
        self.said.finish();
        Ok(status)
    }

    /// The last lines that it wrote to standard error, oldest first.
    pub(super) fn last_lines(&self) -> Vec<String> {
        self.said.lines.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Err(error) = self.end(Duration::ZERO) {
            tracing::warn!("can not end a command of exec: {error}");
        }
    }
}

/// Whether a process other than the guard is left in its group. The guard's zombie keeps the group's number, so a
/// signal 0 would not tell.
fn others_are_alive(guard: u32) -> bool {
    let Ok(processes) = std::fs::read_dir("/proc") else { return false };
    processes.flatten().any(|process| {
        let id = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
        id.is_some_and(|id| id != guard)
            && std::fs::read(process.path().join("stat")).is_ok_and(|stat| is_alive_in(&stat, guard))
    })
}

/// Whether /proc/PID/stat is that of a process of the group that is no zombie: `PID (NAME) STATE PARENT GROUP …`,
/// proc(5).
fn is_alive_in(stat: &[u8], group: u32) -> bool {
    // A name may have brackets and spaces itself.
    let after_name = stat.rsplit(|&byte| byte == b')').next().unwrap_or_default();
    let text = String::from_utf8_lossy(after_name);
    let mut words = text.split_ascii_whitespace();
    let state = words.next();
    let found = words.nth(1).and_then(|word| word.parse::<u32>().ok());
    found == Some(group) && !matches!(state, Some("Z" | "X" | "x"))
}

/// What a command says on standard error: passed on, and the last of it kept.
#[derive(Debug)]
struct Said {
    lines: Arc<Mutex<VecDeque<String>>>,
    listener: Option<JoinHandle<()>>,
}

impl Said {
    fn listen(mut errors: ChildStderr, label: &str) -> io::Result<Self> {
        let lines = Arc::new(Mutex::new(VecDeque::new()));
        let (kept, label) = (lines.clone(), label.to_owned());
        let listener = std::thread::Builder::new().name("stderr".to_owned()).spawn(move || {
            let (mut chunk, mut line) = ([0; 4096], Vec::new());
            while let Ok(count @ 1..) = errors.read(&mut chunk) {
                for &byte in &chunk[..count] {
                    match byte {
                        b'\n' | b'\r' => pass_on(&mut line, byte == b'\r', &label, &kept),
                        _ if line.len() < MOST_LINE_BYTES => line.push(byte),
                        _ => {}
                    }
                }
            }
            pass_on(&mut line, false, &label, &kept);
        })?;
        Ok(Self { lines, listener: Some(listener) })
    }

    /// Waits for the last words.
    fn finish(&mut self) {
        let Some(listener) = self.listener.take() else { return };
        let until = Instant::now() + SAID_PATIENCE;
        while !listener.is_finished() && Instant::now() < until {
            std::thread::sleep(LOOK);
        }
        if listener.is_finished() {
            let _ = listener.join();
        }
    }
}

/// Passes a line on. One that ends with a carriage return is the progress of something: of interest to few.
fn pass_on(line: &mut Vec<u8>, is_progress: bool, label: &str, kept: &Mutex<VecDeque<String>>) {
    let text: String = String::from_utf8_lossy(line).chars().filter(|character| !character.is_control()).collect();
    line.clear();
    if text.trim().is_empty() {
        return;
    }
    if is_progress {
        return aside(|| tracing::debug!("{label}: {text}"));
    }
    aside(|| tracing::info!("{label}: {text}"));
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    if kept.len() == MOST_LINES {
        kept.pop_front();
    }
    kept.push_back(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(command: &str) -> (Group, ChildStdout) {
        Group::start(command, "test").unwrap()
    }

    /// The numbers that the command writes, each on a line, up to an empty one.
    fn told_ids(out: &mut ChildStdout) -> Vec<u32> {
        let mut text = Vec::new();
        while !text.ends_with(b"\n\n") {
            let mut byte = [0];
            out.read_exact(&mut byte).unwrap();
            text.push(byte[0]);
        }
        String::from_utf8(text).unwrap().split_whitespace().map(|id| id.parse().unwrap()).collect()
    }

    fn is_alive(id: u32) -> bool {
        let stat = std::fs::read(format!("/proc/{id}/stat")).unwrap_or_default();
        !matches!(stat.rsplit(|&byte| byte == b')').next(), Some([b' ', b'Z', ..] | []))
    }

    #[test]
    fn a_command_says_how_it_ended_and_its_last_words() {
        let (mut group, mut out) = start("seq 1 7 >&2; printf 'half a line' >&2; echo out; exit 3");
        let mut text = String::new();
        out.read_to_string(&mut text).unwrap();
        assert_eq!(text, "out\n");
        assert_eq!(group.end(Duration::from_secs(60)).unwrap().code(), Some(3));
        assert_eq!(group.last_lines(), ["4", "5", "6", "7", "half a line"]);
    }

    #[test]
    fn what_a_command_started_ends_with_it() {
        let (mut group, mut out) = start("sleep 1000 & echo $!; sleep 1000 & echo $!; echo; wait");
        let ids = told_ids(&mut out);
        assert!(ids.iter().all(|&id| is_alive(id)));
        group.end(Duration::ZERO).unwrap();
        assert!(!ids.iter().any(|&id| is_alive(id)) && !is_alive(group.guard.id()));
    }

    #[test]
    fn who_does_not_listen_to_term_is_killed() {
        let (group, mut out) = start("trap '' TERM; sleep 1000 & echo $!; echo $$; echo; while :; do sleep 1000; done");
        let ids = told_ids(&mut out);
        drop(group);
        assert!(!ids.iter().any(|&id| is_alive(id)));
    }

    #[test]
    fn the_guard_ends_the_group_when_its_pipe_is_closed() {
        let (mut group, mut out) = start("sleep 1000 & echo $!; echo; wait");
        let ids = told_ids(&mut out);
        // As the kernel does when we are killed.
        drop(group._alive.take());
        let begun = Instant::now();
        while is_alive(ids[0]) {
            assert!(begun.elapsed() < Duration::from_secs(60));
            std::thread::sleep(LOOK);
        }
        group.end(Duration::ZERO).unwrap();
    }

    #[test]
    fn members_of_a_group_are_told_from_zombies_and_strangers() {
        assert!(is_alive_in(b"71 (a) b (c)) S 1 70 70 0", 70));
        assert!(!is_alive_in(b"71 (ffmpeg) Z 1 70 70 0", 70));
        assert!(!is_alive_in(b"71 (ffmpeg) S 70 71 70 0", 70));
        assert!(!is_alive_in(b"", 70));
    }
}
