//! Who cleans up when the soak itself is killed: a small process that waits for the soak's end.
//!
//! The soak holds the other end of the guard's standard input, so the kernel tells the guard of its end, however it
//! comes. By then the producers and viewers are ending too: what they print finds a closed pipe (within an interval),
//! and those that were stopped are ended by the kernel, because their groups are orphaned. What producers left, the
//! guard removes as soon as nobody publishes it any more; it ends when nothing is left. (In a container whose init is the soak's
//! own parent, in the same session, a group is not orphaned: a process that is stopped at that moment stays so.)

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use framebus::RemoveError;

use super::arguments::Settings;
use super::backend::Stream;

/// Longer than a process needs to find its pipe closed, or to give up waiting for a stream.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Which streams to remove once standard input is closed.
#[derive(clap::Args)]
pub struct Arguments {
    streams: Vec<Stream>,
}

/// The guard of a running soak. Dropping it lets it do its work and waits for it.
pub(super) struct Guard {
    child: Child,
}

impl Guard {
    pub(super) fn start(settings: &Settings) -> anyhow::Result<Self> {
        let itself = std::env::current_exe().context("finding this program's own file")?;
        let mut command = Command::new(itself);
        command.arg("soak-guard").args(settings.streams.iter().map(Stream::to_string));
        // A group of its own: what ends the soak shall not end the guard.
        command.stdin(Stdio::piped()).stdout(Stdio::null()).process_group(0);
        Ok(Self { child: command.spawn().context("starting the guard that cleans up behind the soak")? })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

pub fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    // Nothing is ever written there: this comes back when the soak has ended.
    let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
    let deadline = Instant::now() + PATIENCE;
    for stream in &arguments.streams {
        loop {
            match stream.remove() {
                Err(RemoveError::NotFound { .. }) => break,
                Ok(()) => {}
                Err(error) if Instant::now() >= deadline => return Err(error).context("cleaning up behind a soak"),
                Err(_) => std::thread::sleep(LOOK_AGAIN),
            }
        }
    }
    Ok(0)
}
