//! A whole run: find the stream, attach, view, sum up.

use crate::arguments::{Arguments, Mode};
use crate::attach::attach;
use crate::figures::{Counts, Figures, Summary};
use crate::pipe::Pipe;
use crate::session::{Session, Tasks};
use crate::snapshot::Snapshot;
use crate::status::Status;
use crate::target::Target;
use crate::verify::Verifier;
use crate::web;
use anyhow::Context;
use framebus::SubscriberOptions;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// What ended a run that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// As many frames came as were asked for.
    Frames,
    /// The time is over.
    Seconds,
    /// Ctrl-C or SIGTERM.
    Interrupted,
    /// The producer has closed the stream, and all its frames are taken.
    Closed,
    /// The reader of standard output has closed it: it has seen enough.
    PipeClosed,
}

/// How a run went.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What ended it.
    pub end: End,
    /// Its figures.
    pub summary: Summary,
}

impl Outcome {
    /// 1 where a frame was torn, else 0.
    pub fn exit_code(&self) -> u8 {
        u8::from(self.summary.torn > 0)
    }
}

/// Views a stream, as the arguments say, until something ends it. Takes over Ctrl-C and SIGTERM of the process.
///
/// # Errors
/// Whatever failed, with its causes; [`exit_code`](framebus_program::exit_code) knows which of them are the user's. The figures
/// up to there have been shown by then.
pub fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    if let Some(listen) = arguments.web {
        web::serve(arguments, listen)?;
        let summary = Figures::new(String::new(), arguments.label.clone())?.summary(Counts::default(), Duration::ZERO);
        return Ok(Outcome { end: End::Interrupted, summary });
    }
    let target = Target::find(arguments)?;
    let stop = Arc::new(AtomicBool::new(false));
    framebus_program::on_interrupt(&stop).context("preparing for Ctrl-C")?;
    let status = Status::new(arguments);
    let snapshot = arguments.snapshot.as_deref();
    let tasks = Tasks {
        verifier: arguments.verify.then(Verifier::default),
        pipe: arguments.pipe.map(Pipe::to_stdout).transpose()?,
        snapshot: snapshot.map(|path| Snapshot::new(path, arguments.snapshot_after, arguments.frames)).transpose()?,
    };

    let mut options = SubscriberOptions::default();
    (options.wait, options.spin_budget_percent) = (target.wait, target.spin_budget_percent);
    options.backend = target.backend.clone();
    options.lossless = arguments.mode == Mode::Every;
    options.label = arguments.label.clone();
    let Some(subscriber) = attach(&target.name, &options, arguments.patience, &status, &stop)? else {
        let summary =
            Figures::new(target.name.to_string(), arguments.label.clone())?.summary(Counts::default(), Duration::ZERO);
        return conclude(Ok(End::Interrupted), summary, &status);
    };

    let mut session = Session::begin(arguments, &status, &stop, subscriber, tasks)?;
    let watched = session.watch();
    let (summary, snapshot) = session.finish();
    let saved = snapshot.map_or(Ok(()), |snapshot| match &watched {
        // Nobody promised a snapshot of a run that was broken off.
        Err(_) | Ok(End::Interrupted) if !snapshot.is_begun() => Ok(()),
        _ => snapshot.finish(summary.frames),
    });
    let outcome = conclude(watched, summary, &status)?;
    saved.map(|()| outcome)
}

/// Shows the figures, whatever happened; a closed pipe is no failure.
fn conclude(watched: anyhow::Result<End>, summary: Summary, status: &Status) -> anyhow::Result<Outcome> {
    let shown = status.summary(&summary);
    let end = match watched.and_then(|end| Ok(shown.map(|()| end)?)) {
        Err(error) if is_closed_pipe(&error) => End::PipeClosed,
        other => other?,
    };
    Ok(Outcome { end, summary })
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == ErrorKind::BrokenPipe))
}
