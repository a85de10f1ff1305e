//! `--record`: every frame that is taken to a file.
//!
//! ```text
//! session ── copies the frame ──▸ bounded queue ──▸ threads: encode, write ──▸ index
//!    ▴                                                     │
//!    └────────────────── the copy's memory ────────────────┘
//! ```
//! The frame is copied, and its slot is free again before anything slow begins, so that a recorder never holds more than
//! the one frame that every viewer holds. There are only so many copies: one for each thread, and [`WAITING`] more. Where
//! all are in use, encoder or disk are too slow: in mode `latest` the frame is skipped, counted and spoken of; in mode
//! `every` it is waited for, so that on a stream with `on_full = "wait"` the producer waits too, and nothing is lost.

mod folder;
mod index;
mod output;

use crate::arguments::{Arguments, RecordKind};
use anyhow::{Context, anyhow, bail};
use crossbeam_channel::{Receiver, Sender, unbounded};
use folder::Folder;
use framebus::{Frame, ImageShape, ImageView, PixelFormat, Rate, StreamName, now_ns};
use index::{Index, Row};
use output::Output;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

/// Frames that wait for a thread at most: a fifth of a second of a quick camera.
const WAITING: usize = 8;

/// Most threads, where nobody said how many.
const THREADS: usize = 16;

/// The newest frame of an earlier run.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Newest {
    sequence: u64,
    /// When it was captured, or a little later.
    at: SystemTime,
}

/// A copy of a frame on its way to a file.
struct Job {
    /// From 0, in the order in which the frames were taken.
    ticket: u64,
    /// Without padding.
    bytes: Vec<u8>,
    /// The copy's; `None` where it is no image.
    shape: Option<ImageShape>,
    sequence: u64,
    capture_ns: u64,
    publish_ns: u64,
    captured_at: SystemTime,
}

/// What the threads share.
struct Shared {
    folder: Folder,
    index: Mutex<Index>,
    failed: AtomicBool,
    /// The first failure, until it is told.
    failure: Mutex<Option<anyhow::Error>>,
}

/// Records a stream.
pub(crate) struct Recorder {
    shared: Arc<Shared>,
    stream: StreamName,
    asked: Option<RecordKind>,
    threads: usize,
    /// In mode `every`.
    waits: bool,
    /// `None` before the first frame.
    running: Option<Running>,
    /// Newest sequence of the folder; 0 without any.
    last: u64,
    /// By when it was recorded, where an earlier run did so.
    earlier_until: SystemTime,
    passed_over: u64,
    tickets: u64,
    skipped: u64,
}

/// Threads at work, and the copies.
struct Running {
    kind: RecordKind,
    jobs: Sender<Job>,
    free: Receiver<Vec<u8>>,
    made: usize,
    most: usize,
    threads: Vec<JoinHandle<()>>,
}

impl Recorder {
    /// Makes the folder ready, and goes on behind what is in it.
    pub(crate) fn new(directory: &Path, stream: &StreamName, arguments: &Arguments) -> anyhow::Result<Self> {
        let folder = Folder::open(directory, stream)?;
        let (index, indexed) = Index::open(&folder, stream)?;
        let earlier = [indexed, folder.newest()?];
        let last = earlier.iter().flatten().map(|newest| newest.sequence).max().unwrap_or(0);
        let earlier_until = earlier.iter().flatten().map(|newest| newest.at).max().unwrap_or(SystemTime::UNIX_EPOCH);
        folder.remove_unfinished()?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = arguments.record_threads.map_or(cores.min(THREADS), usize::from);
        let (failed, failure) = (AtomicBool::new(false), Mutex::new(None));
        Ok(Self {
            shared: Arc::new(Shared { folder, index: Mutex::new(index), failed, failure }),
            stream: stream.clone(),
            asked: arguments.record_kind,
            threads,
            waits: arguments.takes_every(),
            running: None,
            last,
            earlier_until,
            passed_over: 0,
            tickets: 0,
            skipped: 0,
        })
    }

    /// Takes a frame, or skips it; returns what there is to say. `rate`: the stream's.
    pub(crate) fn offer(
        &mut self,
        frame: &Frame,
        view: Option<ImageView<'_>>,
        rate: Option<Rate>,
    ) -> anyhow::Result<Option<String>> {
        self.shared.check()?;
        let info = frame.info();
        let age = Duration::from_nanos(now_ns().saturating_sub(info.capture_ns));
        let now = SystemTime::now();
        let captured_at = now.checked_sub(age).unwrap_or(now);
        if info.sequence <= self.last {
            return self.pass_over(info.sequence, captured_at);
        }
        let begins = self.running.is_none();
        let running = match &mut self.running {
            Some(running) => running,
            none => none.insert(Running::begin(self.asked, view, self.threads, &self.shared, &self.stream)?),
        };
        let Some(mut bytes) = running.memory(self.waits)? else {
            self.skipped += 1;
            let remark = "the recorder is behind: frames are skipped until encoder and disk have caught up. More \
                          --record-threads may help, --record-kind raw or jpg, or --mode every on a stream that waits";
            return Ok((self.skipped == 1).then(|| remark.to_owned()));
        };
        // It may have waited.
        self.shared.check()?;
        let shape = copy(frame, view, &mut bytes)?;
        let job = Job {
            ticket: self.tickets,
            bytes,
            shape,
            sequence: info.sequence,
            capture_ns: info.capture_ns,
            publish_ns: info.publish_ns,
            captured_at,
        };
        running.jobs.send(job).map_err(|_| panicked())?;
        (self.tickets, self.last) = (self.tickets + 1, info.sequence);
        Ok(begins.then(|| first_words(running.kind, shape, rate, info.sequence, &self.shared.folder)))
    }

    /// Frames in files and in the index, and frames that were skipped.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.shared.index().rows(), self.skipped)
    }

    /// Waits for what is on its way.
    pub(crate) fn finish(&mut self) -> anyhow::Result<()> {
        let panics = self.running.take().map_or(0, Running::finish);
        let indexed = self.shared.index().finish();
        self.shared.check()?;
        match panics {
            0 => indexed,
            _ => Err(panicked()),
        }
    }

    /// A frame that is no newer than those of the folder: it was there already when an earlier run ended, or it is another
    /// stream's. Sequences alone do not tell, and `CLOCK_MONOTONIC` begins anew when the machine does.
    fn pass_over(&mut self, sequence: u64, captured_at: SystemTime) -> anyhow::Result<Option<String>> {
        let (stream, directory) = (&self.stream, self.shared.folder.path().display());
        if captured_at <= self.earlier_until {
            self.passed_over += 1;
            let remark = format!("going on behind frame {} of stream {stream}, the last one in {directory}", self.last);
            return Ok((self.passed_over == 1).then_some(remark));
        }
        bail!(
            "can not record frame {sequence} of stream {stream} to {directory}: it has frames up to {} already. The stream \
             was made anew meanwhile and counts from 1 again; record it to another folder, and nothing is written over",
            self.last
        )
    }
}

impl Running {
    fn begin(
        asked: Option<RecordKind>,
        view: Option<ImageView<'_>>,
        threads: usize,
        shared: &Arc<Shared>,
        stream: &StreamName,
    ) -> anyhow::Result<Self> {
        let kind = match (asked, view) {
            (Some(kind), Some(_)) => kind,
            (None, Some(_)) => RecordKind::Png,
            (None | Some(RecordKind::Raw), None) => RecordKind::Raw,
            (Some(kind), None) => {
                bail!("can not record stream {stream} as {}: it carries no images; use --record-kind raw", kind.end())
            }
        };
        // The frames of a raw file come one after the other.
        let threads = if kind == RecordKind::Raw { 1 } else { threads };
        let most = threads + WAITING;
        // Bounded by the memory for copies.
        let (jobs, waiting) = unbounded::<Job>();
        let (give_back, free) = unbounded();
        let begin_thread = |number| {
            let (shared, waiting, give_back) = (shared.clone(), waiting.clone(), give_back.clone());
            let mut output = Output::new(kind);
            std::thread::Builder::new()
                .name(format!("record-{number}"))
                .spawn(move || {
                    for job in waiting {
                        shared.record(&mut output, &job);
                        // Nobody wants it where the run is over.
                        let _ = give_back.send(job.bytes);
                    }
                })
                .context("can not start a thread that records")
        };
        let threads = (0..threads).map(begin_thread).collect::<anyhow::Result<_>>()?;
        Ok(Self { kind, jobs, free, made: 0, most, threads })
    }

    /// Memory for a copy; `None` where all is in use and it is not to be waited for.
    fn memory(&mut self, waits: bool) -> anyhow::Result<Option<Vec<u8>>> {
        if let Ok(memory) = self.free.try_recv() {
            return Ok(Some(memory));
        }
        if self.made < self.most {
            self.made += 1;
            return Ok(Some(Vec::new()));
        }
        match waits {
            true => self.free.recv().map(Some).map_err(|_| panicked()),
            false => Ok(None),
        }
    }

    /// Waits for the threads; how many panicked.
    fn finish(self) -> usize {
        drop(self.jobs);
        self.threads.into_iter().filter_map(|thread| thread.join().err()).count()
    }
}

impl Shared {
    /// Writes a frame and its row, and keeps the first failure. After one, nothing more is written.
    fn record(&self, output: &mut Output, job: &Job) {
        if self.failed.load(Ordering::Relaxed) {
            return;
        }
        let recorded = output.write(&self.folder, job).and_then(|place| {
            let row = Row { place, job };
            self.index().add(job.ticket, row.text(self.folder.stream()))
        });
        if let Err(error) = recorded {
            let context = format!("recording ended at frame {} of stream {}", job.sequence, self.folder.stream());
            self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error.context(context));
            self.failed.store(true, Ordering::Relaxed);
        }
    }

    /// The first failure, once.
    fn check(&self) -> anyhow::Result<()> {
        match self.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn index(&self) -> std::sync::MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn panicked() -> anyhow::Error {
    anyhow!("a thread that records has panicked")
}

/// Copies a frame without padding; returns the copy's shape.
fn copy(frame: &Frame, view: Option<ImageView<'_>>, bytes: &mut Vec<u8>) -> anyhow::Result<Option<ImageShape>> {
    bytes.clear();
    let Some(view) = view else {
        bytes.extend_from_slice(frame);
        return Ok(None);
    };
    let shape = view.shape();
    let tight = ImageShape::new(shape.width(), shape.height(), shape.format())?;
    if shape == tight {
        bytes.extend_from_slice(view.bytes());
    } else {
        bytes.reserve_exact(tight.frame_bytes());
        for plane in 0..shape.planes().count() {
            view.rows(plane).for_each(|row| bytes.extend_from_slice(row));
        }
    }
    Ok(Some(tight))
}

/// What is recorded, what becomes of it, and how to play it.
fn first_words(
    kind: RecordKind,
    shape: Option<ImageShape>,
    rate: Option<Rate>,
    sequence: u64,
    folder: &Folder,
) -> String {
    let directory = folder.path().display();
    let (what, remark) = match shape {
        Some(shape) => {
            (format!("images of {shape}"), kind.picture().and_then(|picture| picture.remark(shape.format())))
        }
        None => ("frames that are no images".to_owned(), None),
    };
    let remark = remark.map(|remark| format!(" ({remark})")).unwrap_or_default();
    let rate = match rate.map(|rate| (rate.numerator(), rate.denominator())) {
        Some((numerator, 1)) => format!(" --rate {numerator}"),
        Some((numerator, denominator)) => format!(" --rate {numerator}/{denominator}"),
        None => String::new(),
    };
    let source = match (kind, shape) {
        (RecordKind::Png | RecordKind::Jpg, shape) => {
            // Files of 16 bits do not say that they are millimetres.
            let is_depth =
                kind == RecordKind::Png && shape.is_some_and(|shape| shape.format() == PixelFormat::DepthF32);
            let format = if is_depth { " --format depth_f32" } else { "" };
            format!("\nto be played with: framebus producer --source '{}'{format}{rate}", folder.images(kind.end()))
        }
        (RecordKind::Raw, Some(shape)) => format!(
            "\nto be played with: framebus producer --source 'raw:{directory}/{}' --width {} --height {} --format {}{rate}",
            folder.name(sequence, kind.end()),
            shape.width(),
            shape.height(),
            shape.format()
        ),
        _ => String::new(),
    };
    format!("recording {what} as {} to {directory}{remark}{source}", kind.end())
}

#[cfg(test)]
mod tests;
