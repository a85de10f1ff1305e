//! What a command writes to its standard output: `exec:COMMAND`.
//!
//! The command is started here, through `/bin/sh -c`, and started again when it ends: a camera's command that ends is a
//! failure to be healed, whatever its exit code. Output that begins with `YUV4MPEG2 ` is video as for `y4m:`, else it
//! is frames of the stream's shape as for `raw:`; either is read from the pipe straight into the slot.
//!
//! ```text
//!            ┌────────── pause: 100 ms, doubled up to 5 s ─────────┐
//!            ▼                                                     │ output ended, or makes no sense
//!   start the command ─► header, or none ─► frame ─► frame ─► half a frame: abandoned
//! ```
//! It may come back with another size: the stream changes with it. Frames without a header have the size that they had.
//!
//! A frame is published when it comes, so nothing piles up in the pipe and the newest is what viewers see. With
//! `--rate` the command is slowed down instead, by its full pipe: good for a file, bad for a camera.

use std::os::fd::OwnedFd;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::Context;
use framebus::{Content, ImageShape};

use super::again::{self, Again};
use super::group::Group;
use super::input::{Ended, Input};
use super::raw::Raw;
use super::y4m::{HEADER_BEGIN, Y4m};
use super::{Arrival, CutOff, Opening, Order, Told, Written};
use crate::report::aside;

/// A command whose output has ended gets so long to end itself, so that its own exit code is what is told.
const PATIENCE: Duration = Duration::from_millis(500);

/// A command, and the frames that it writes.
#[derive(Debug)]
pub(crate) struct Exec {
    /// Dropped before the group is: who writes into a full pipe does not hear a TERM.
    video: Video,
    group: Group,
    command: Command,
    order: Option<Order>,
    /// Why the video goes on no more, if that is known already.
    broken: Option<String>,
}

/// A command line, and how often it was started.
#[derive(Debug)]
struct Command {
    line: String,
    /// The program's name, for messages.
    label: String,
    opening: Opening,
    again: Again,
    started: Instant,
    /// Whether there ever were frames.
    any: bool,
}

/// The frames of one start.
#[derive(Debug)]
enum Video {
    Y4m(Box<Y4m>),
    Raw(Raw),
}

/// How a start went.
enum Begun {
    Video(Group, Video),
    /// It ended before there was a frame.
    Ended(Group, String),
    Stopped,
}

impl Exec {
    /// Starts the command, again and again until it writes something; `None`: it was time to stop meanwhile.
    pub(crate) fn open(line: &str, opening: Opening) -> anyhow::Result<Option<Self>> {
        let label = label(line);
        let started = Instant::now();
        let mut command = Command { line: line.to_owned(), label, opening, again: Again::new(), started, any: false };
        let begun = command.begin()?;
        Ok(command.settle(begun)?.map(|(group, video)| Self { group, video, command, order: None, broken: None }))
    }

    pub(crate) fn told(&self) -> Told {
        self.video.told()
    }

    pub(crate) fn prepare(&mut self, order: &Order) -> anyhow::Result<()> {
        // It starts over by itself; a pipe can not.
        let order = Order { start_over: false, ..order.clone() };
        self.video.prepare(&order)?;
        self.order = Some(order);
        Ok(())
    }

    pub(crate) fn arrive(&mut self) -> anyhow::Result<Arrival> {
        loop {
            let why = match self.broken.take() {
                Some(why) => why,
                None => match self.video.arrive() {
                    Ok(Arrival::Frame) => {
                        self.command.any = true;
                        return Ok(Arrival::Frame);
                    }
                    Ok(Arrival::End) if self.command.opening.stop.is_due() => return Ok(Arrival::End),
                    Ok(Arrival::End) => String::new(),
                    Err(error) => error.to_string(),
                },
            };
            if !self.heal(&why)? {
                return Ok(Arrival::End);
            }
        }
    }

    pub(crate) fn write(&mut self, bytes: &mut [u8]) -> Written {
        let written = match &mut self.video {
            Video::Y4m(video) => video.write(bytes),
            Video::Raw(raw) => raw.write(bytes),
        };
        self.unless_broken(written)
    }

    pub(crate) fn skip(&mut self) -> Written {
        let written = match &mut self.video {
            Video::Y4m(video) => video.skip(),
            Video::Raw(raw) => raw.skip(),
        };
        self.unless_broken(written)
    }

    fn unless_broken(&mut self, written: anyhow::Result<Written>) -> Written {
        written.unwrap_or_else(|error| {
            self.broken = Some(error.to_string());
            Written::Broken
        })
    }

    /// Starts the command again; false: that is the end, as asked.
    fn heal(&mut self, why: &str) -> anyhow::Result<bool> {
        if !self.command.end(&mut self.group, why)? {
            return Ok(false);
        }
        let begun = self.command.begin()?;
        let Some((group, mut video)) = self.command.settle(begun)? else { return Ok(false) };
        if let Some(order) = &mut self.order {
            if let Some(shape) = video.told().shape
                && self.video.told().shape != Some(shape)
            {
                order.content = Content::Image(shape);
            }
            video.prepare(order)?;
        }
        (self.group, self.video) = (group, video);
        Ok(true)
    }

    /// The shape of the frame that has arrived, as it is written; `None` where it is not known.
    pub(crate) fn shape(&self) -> Option<ImageShape> {
        match &self.video {
            Video::Y4m(video) => Some(video.shape()),
            Video::Raw(_) => None,
        }
    }
}

impl Drop for Exec {
    /// A command that has time to end in good order does not complain of its closed pipe.
    fn drop(&mut self) {
        self.group.ask_to_end();
    }
}

impl Video {
    fn told(&self) -> Told {
        match self {
            Self::Y4m(video) => video.told(),
            Self::Raw(_) => Told::default(),
        }
    }

    fn prepare(&mut self, order: &Order) -> anyhow::Result<()> {
        match self {
            Self::Y4m(video) => video.prepare(order),
            Self::Raw(raw) => raw.prepare(order),
        }
    }

    fn arrive(&mut self) -> anyhow::Result<Arrival> {
        match self {
            Self::Y4m(video) => video.arrive(),
            Self::Raw(raw) => raw.arrive(),
        }
    }
}

impl Command {
    /// Starts it, and waits for its first bytes.
    fn begin(&mut self) -> anyhow::Result<Begun> {
        self.started = Instant::now();
        let (group, out) = Group::start(&self.line, &self.label)
            .with_context(|| format!("can not start /bin/sh for {}", self.label))?;
        let name = format!("the output of {}", self.label);
        let mut input = Input::from_pipe(OwnedFd::from(out).into(), name, &self.opening.stop);
        Ok(match input.begins_with(HEADER_BEGIN)? {
            Ended::Stopped => Begun::Stopped,
            Ended::Short(0) => Begun::Ended(group, "it wrote nothing".to_owned()),
            Ended::Short(_) => Begun::Video(group, Video::Raw(Raw::open(input))),
            Ended::Whole => match Y4m::open(input) {
                Ok(Some(video)) => Begun::Video(group, Video::Y4m(Box::new(video))),
                Ok(None) => Begun::Stopped,
                // What gave a picture once, and is to be started again, is not given up.
                Err(error) if error.is::<CutOff>() || self.any => Begun::Ended(group, error.to_string()),
                Err(error) => return Err(error),
            },
        })
    }

    /// Starts it until it writes something; `None`: it is time to stop, or it may not be started again.
    fn settle(&mut self, mut begun: Begun) -> anyhow::Result<Option<(Group, Video)>> {
        loop {
            match begun {
                Begun::Video(group, video) => return Ok(Some((group, video))),
                Begun::Stopped => return Ok(None),
                Begun::Ended(mut group, why) => {
                    if !self.end(&mut group, &why)? {
                        return Ok(None);
                    }
                }
            }
            begun = self.begin()?;
        }
    }

    /// Ends what is left of it, says so, and waits until it may be started again; false: it may not, or it is time to
    /// stop. `why` is empty where its output simply ended.
    fn end(&mut self, group: &mut Group, why: &str) -> anyhow::Result<bool> {
        let status = group.end(PATIENCE).with_context(|| format!("can not end {}", self.label))?;
        if self.opening.stop.is_due() {
            return Ok(false);
        }
        let (ran, label) = (self.started.elapsed(), &self.label);
        let ended = format!("{label} ended after {:.1} s ({})", ran.as_secs_f64(), in_words(status));
        let because = if why.is_empty() { String::new() } else { format!("; {why}") };
        // The shell's own codes: found and not executable, not found.
        let no_program = matches!(status.code(), Some(126 | 127)) && !self.any;
        let ended_well = status.success() && why.is_empty();
        if no_program || !(self.opening.restart || ended_well) {
            let lines = group.last_lines();
            let said = if lines.is_empty() { "nothing".to_owned() } else { lines.join(" / ") };
            let remedy = if no_program { "; check the command of --source exec:" } else { "" };
            anyhow::bail!("{ended}{because}; its last words: {said}{remedy}");
        }
        if !self.opening.restart {
            aside(|| tracing::info!("{ended}"));
            return Ok(false);
        }
        let pause = self.again.pause_after(ran);
        aside(|| tracing::warn!("{ended}{because}; starting it again in {:.1} s", pause.as_secs_f64()));
        if !again::sleep(pause, &self.opening.stop) {
            return Ok(false);
        }
        self.opening.counts.count_restart();
        Ok(true)
    }
}

/// The name of the program that a command line begins with, without its folder.
fn label(line: &str) -> String {
    let word = line.split_whitespace().find(|word| *word != "exec" && !word.contains('=')).unwrap_or("the command");
    let word = word.rsplit('/').next().unwrap_or(word);
    word.chars().take(32).collect()
}

fn in_words(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(127), _) => "exit code 127: there is no such program".to_owned(),
        (Some(126), _) => "exit code 126: it can not be executed".to_owned(),
        // A shell's word for a signal that ended what it ran.
        (Some(code @ 129..=192), _) => format!("exit code {code}: signal {}", code - 128),
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_called_by_its_program() {
        assert_eq!(label("ffmpeg -i a.avi -"), "ffmpeg");
        assert_eq!(label("  LANG=C exec /usr/bin/libcamera-vid -t 0 | cat"), "libcamera-vid");
        assert_eq!(label(" "), "the command");
    }
}
