//! A whole run: find the stream, attach, view, sum up.

use crate::arguments::Arguments;
use crate::attach::{Attached, Attempt, attach};
use crate::contract;
use crate::face::Face;
use crate::figures::{Counts, Figures, Summary};
use crate::pipe::Pipe;
use crate::record::Recorder;
use crate::session::{Leave, Limits, Session, Tasks};
use crate::snapshot::Snapshot;
use crate::status::Status;
use crate::target::Target;
use crate::verify::Verifier;
use crate::web;
use anyhow::Context;
use framebus::{StreamName, SubscriberOptions};
use framebus_program::has_no_reader;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// What ended a run that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// As many frames came as were asked for.
    Frames,
    /// The time is over.
    Seconds,
    /// Ctrl-C, SIGTERM, or SIGHUP.
    Interrupted,
    /// The producer has closed the stream, and all its frames are taken.
    Closed,
    /// The reader of standard output has closed it: it has seen enough.
    PipeClosed,
    /// The user has closed the window, or typed q.
    Quit,
}

/// How a run went.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What ended it.
    pub end: End,
    /// Its figures; where several streams were viewed, those of the last one.
    pub summary: Summary,
    /// Frames that failed `--verify`, of all streams.
    pub torn: u64,
    /// What `--enforce` does not allow, in words.
    pub fault: Option<String>,
}

impl Outcome {
    /// 1 where a frame was torn, or where the contract was not kept that is enforced, else 0.
    pub fn exit_code(&self) -> u8 {
        u8::from(self.torn > 0 || self.fault.is_some())
    }
}

/// Views a stream, as the arguments say, until something ends it. Takes over Ctrl-C, SIGTERM and SIGHUP of the process.
///
/// # Errors
/// Whatever failed, with its causes; [`exit_code`](framebus_program::exit_code) knows which of them are the user's. The figures
/// up to there have been shown by then.
pub fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    if let Some(listen) = arguments.web {
        web::serve(arguments, listen)?;
        let summary = Figures::new(String::new(), arguments.label.clone()).summary(Counts::default(), Duration::ZERO);
        return Ok(Outcome { end: End::Interrupted, torn: 0, fault: None, summary });
    }
    let target = Target::find(arguments)?;
    let arguments = &Arguments { mode: Some(target.mode), ..arguments.clone() };
    let stop = Arc::new(AtomicBool::new(false));
    framebus_program::on_interrupt(&stop).context("preparing for Ctrl-C")?;
    let mut status = Status::new(arguments);
    let (snapshot, record) = (arguments.snapshot.as_deref(), arguments.record.as_deref());
    let tasks = Tasks {
        verifier: arguments.verify.then(Verifier::default),
        pipe: arguments.pipe.map(Pipe::to_stdout).transpose()?,
        snapshot: snapshot.map(|path| Snapshot::new(path, arguments.snapshot_after, arguments.frames)).transpose()?,
        recorder: record.map(|directory| Recorder::new(directory, &target.name, arguments)).transpose()?,
    };
    let face = Face::open(arguments, &target.name, &target.backend)?;
    let mut viewing =
        Viewing { arguments, target: &target, status: &status, stop: &stop, tasks, face, torn: 0, faults: Vec::new() };
    let viewed = viewing.streams();
    let Viewing { tasks: Tasks { snapshot, mut recorder, .. }, face, torn, mut faults, .. } = viewing;
    // Before files are waited for, and before the last words: they are to be read where the picture was.
    let remarks = face.map(Face::close).unwrap_or_default();
    status.uncover();
    remarks.iter().for_each(|remark| status.say(remark));
    let saved = snapshot.map_or(Ok(()), |snapshot| match &viewed {
        // Nobody promised a snapshot of a run that was broken off.
        Err(_) | Ok((Err(_) | Ok(End::Interrupted | End::Quit), _)) if !snapshot.is_begun() => Ok(()),
        _ => snapshot.finish(viewed.as_ref().map_or(0, |(_, summary)| summary.frames)),
    });
    let recorded = recorder.as_mut().map_or(Ok(()), Recorder::finish);
    let (watched, mut summary) = viewed?;
    if let Some(recorder) = &recorder {
        (summary.recorded, summary.record_skipped) = recorder.counts();
    }
    let watched = watched.and_then(|end| recorded.map(|()| end));
    faults.extend(fault(arguments, &summary));
    let fault = (!faults.is_empty()).then(|| faults.join("\n"));
    let mut outcome = conclude(watched, summary, fault, &status)?;
    status.ended(outcome.end, &outcome.summary);
    outcome.torn += torn;
    saved.map(|()| outcome)
}

/// What is viewed with.
struct Viewing<'a> {
    arguments: &'a Arguments,
    target: &'a Target,
    status: &'a Status,
    stop: &'a AtomicBool,
    tasks: Tasks,
    face: Option<Face>,
    /// Torn frames of the streams that were left for another one.
    torn: u64,
    /// What was wrong with them.
    faults: Vec<String>,
}

/// What `--enforce` does not allow, of a stream.
fn fault(arguments: &Arguments, summary: &Summary) -> Option<String> {
    arguments.enforce.then(|| contract::fault(&summary.stream, summary.violations, summary.evicted)).flatten()
}

impl Viewing<'_> {
    /// Views one stream after the other, as the user likes it: how that ended, and the figures of the last one.
    fn streams(&mut self) -> anyhow::Result<(anyhow::Result<End>, Summary)> {
        let (mut limits, mut patience) =
            (Limits { until: None, frames: self.arguments.frames }, self.arguments.patience);
        let (mut name, mut turned) = (self.target.name.clone(), false);
        loop {
            let (watched, summary) = self.stream(&name, &mut limits, patience, turned)?;
            name = match watched {
                Ok(Leave::Turn(other)) => other,
                Ok(Leave::End(end)) => return Ok((Ok(end), summary)),
                Err(error) => return Ok((Err(error), summary)),
            };
            if let Some(face) = &mut self.face {
                face.turn_to(&name);
            }
            self.status.turn(&summary)?;
            self.torn += summary.torn;
            self.faults.extend(fault(self.arguments, &summary));
            self.tasks.verifier = self.tasks.verifier.as_ref().map(|_| Verifier::default());
            limits.frames = limits.frames.map(|frames| frames.saturating_sub(summary.frames));
            // It was there a moment ago; if it is not any more, the user sees that and goes on.
            (patience, turned) = (None, true);
        }
    }

    /// Views one stream: why no longer, and its figures. `turned`: the user came from another one.
    fn stream(
        &mut self,
        name: &StreamName,
        limits: &mut Limits,
        patience: Option<Duration>,
        turned: bool,
    ) -> anyhow::Result<(anyhow::Result<Leave>, Summary)> {
        let mut options = SubscriberOptions::default();
        (options.wait, options.spin_budget_percent) = (self.target.wait, self.target.spin_budget_percent);
        options.backend = self.target.backend.clone();
        let terms = self.target.terms(name, self.arguments);
        let lossless = self.arguments.takes_every() && terms.lossless != Some(false);
        (options.contract, options.lossless) = (terms.contract, lossless);
        options.label = self.arguments.label.clone();
        let (hold_frames, until) = (self.arguments.hold_frames, limits.until);
        let attempt = Attempt { name, options, hold_frames, patience, until, turned };
        let leave = match attach(&attempt, self.status, self.face.as_mut(), self.stop)? {
            Attached::Here(subscriber) => {
                // Time begins with the first stream.
                let seconds = self.arguments.seconds;
                limits.until = limits.until.or_else(|| seconds.map(|seconds| Instant::now() + seconds));
                let (tasks, face) = (&mut self.tasks, self.face.as_mut());
                let mut session = Session::begin(
                    self.arguments,
                    self.status,
                    self.stop,
                    *subscriber,
                    tasks,
                    face,
                    *limits,
                    lossless,
                )?;
                let watched = session.watch();
                let summary = session.finish(&watched);
                return Ok((watched, summary));
            }
            Attached::Interrupted => Leave::End(End::Interrupted),
            Attached::Seconds => Leave::End(End::Seconds),
            Attached::Quit => Leave::End(End::Quit),
            Attached::Turn(other) => Leave::Turn(other),
        };
        let figures = Figures::new(name.to_string(), self.arguments.label.clone());
        Ok((Ok(leave), figures.summary(Counts::default(), Duration::ZERO)))
    }
}

/// Shows the figures, whatever happened; a closed pipe is no failure.
fn conclude(
    watched: anyhow::Result<End>,
    summary: Summary,
    fault: Option<String>,
    status: &Status,
) -> anyhow::Result<Outcome> {
    let shown = status.summary(&summary, fault.as_deref());
    let end = match watched.and_then(|end| Ok(shown.map(|()| end)?)) {
        Err(error) if is_closed_pipe(&error) => End::PipeClosed,
        other => other?,
    };
    Ok(Outcome { end, torn: summary.torn, fault, summary })
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(has_no_reader))
}
