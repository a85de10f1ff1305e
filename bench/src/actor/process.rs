//! The coordinator's end: starting an actor, listening to it with a watch-dog, ending it.

use super::{Command, Order, Outcome, ROLE, Report, Start};
use crate::cores::Side;
use crate::run::Run;
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// For attaching, and for ending.
const PATIENCE: Duration = Duration::from_secs(20);

/// A process of ours. Dropping it kills it.
pub struct Actor<'a> {
    run: &'a Run,
    child: Child,
    input: Option<ChildStdin>,
    reports: Receiver<Report>,
}

impl<'a> Actor<'a> {
    /// Starts one, and returns when it is ready.
    pub fn start(run: &'a Run, side: Side, order: &Order) -> Result<Self> {
        let program = std::env::current_exe().context("where this program is")?;
        let mut child = std::process::Command::new(program)
            .arg(ROLE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting this program again")?;
        let input = child.stdin.take();
        let output = child.stdout.take().context("its output is a pipe")?;
        let (sender, reports) = channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            for report in lines.filter_map(|line| serde_json::from_str(&line).ok()) {
                if sender.send(report).is_err() {
                    return;
                }
            }
        });
        let mut actor = Self { run, child, input, reports };
        actor.say(&Start { side, order: order.clone() })?;
        match actor.listen(PATIENCE)? {
            Report::Ready => Ok(actor),
            other => bail!("an actor that is not ready but says {other:?}"),
        }
    }

    /// Everybody is ready.
    pub fn go(&mut self) -> Result<()> {
        self.say(&Command::Go)
    }

    /// Waits until it is done, which should take so long.
    pub fn outcome(&mut self, expected: Duration) -> Result<Outcome> {
        match self.listen(expected + PATIENCE)? {
            Report::Done(outcome) => Ok(outcome),
            other => bail!("an actor that is not done but says {other:?}"),
        }
    }

    /// Tells it to end.
    pub fn ask_to_end(&mut self) {
        // If it does not listen, it has ended.
        let _ = self.say(&Command::Stop);
        self.input = None;
    }

    /// Tells it to end, and waits until it has.
    pub fn end(mut self) -> Result<()> {
        self.ask_to_end();
        let end = Instant::now() + PATIENCE;
        loop {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!("an actor ended with {status}"),
                None if Instant::now() >= end => bail!("an actor did not end in time"),
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    fn say(&mut self, words: &impl serde::Serialize) -> Result<()> {
        let mut line = serde_json::to_string(words)?;
        line.push('\n');
        let input = self.input.as_mut().context("it was told to end")?;
        input.write_all(line.as_bytes()).context("an actor does not listen")
    }

    fn listen(&mut self, patience: Duration) -> Result<Report> {
        let end = Instant::now() + patience;
        loop {
            match self.reports.recv_timeout(Duration::from_millis(100)) {
                Ok(Report::Failed(why)) => bail!("{why}"),
                Ok(report) => return Ok(report),
                Err(RecvTimeoutError::Disconnected) => bail!("an actor ended without a word"),
                Err(RecvTimeoutError::Timeout) if self.run.is_interrupted() => bail!("interrupted"),
                Err(RecvTimeoutError::Timeout) if Instant::now() >= end => {
                    bail!("an actor said nothing for {} s", patience.as_secs())
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

impl Drop for Actor<'_> {
    fn drop(&mut self) {
        // This one child, by its own id; no-ops where it has ended and was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
