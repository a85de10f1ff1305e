//! A camera, by Video4Linux: `v4l2:/dev/video0`.
//!
//! It is set to the one of its modes that suits what was asked for (`v4l2_open`, `v4l2_modes`). Frames are captured
//! into memory-mapped buffers of the driver, and copied or decoded into the slot (`v4l2_frame`). They are published as
//! they come, with the driver's time of capture, the newest where several have come.
//!
//! ```text
//!   the driver's buffers       ours: one, from `next` until the next one
//!   ┌───┬───┬───┐  next: takes the oldest that is filled, gives ours back     ┌──────┐
//!   │   │   │   │ ──────────────────────────────────────────────────────────► │ slot │ ─► publish
//!   └───┴───┴───┘                                             one copy        └──────┘
//! ```
//! A camera that goes away is opened again, in the mode that it had, as soon as it is back, or in its best one, where it has that no
//! more. Until then the stream stays, and its last frames too.
//!
//! The bindings are `moq-v4l`: `v4l` with the kernel's structures checked in, which needs neither libclang nor kernel
//! headers to build. (`linuxvideo` has neither time nor number of a frame, `rscam` no number and no upkeep.) It panics
//! where a driver's answers make no sense to it, which is made an error here.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use framebus::{Content, ImageShape, Rate, now_ns};
use framebus_program::{UsageError, usage};
use moq_v4l::buffer::Type;
use moq_v4l::device::{Device, Handle};
use moq_v4l::io::mmap;
use moq_v4l::io::traits::{CaptureStream, Stream};
use rustix::io::Errno;

use super::again::{self, Again};
use super::v4l2_frame::{copy, decode, lost_between, taken_ns};
use super::v4l2_modes::{Choice, Pixels};
use super::v4l2_open::{Set, set_up};
use super::{Arrival, Opening, Order, Told, Wish, Written, differ_in_padding_only};
use crate::report::aside;

/// One is ours, one is filled, and two are there should we be late.
const BUFFERS: u32 = 4;

/// `POLLIN`, as poll(2) has it.
const POLL_IN: i16 = 1;

/// Longest wait without a look at the stop, in ms.
const SLICE_MS: i32 = 100;

/// Without a frame for so long, the user is told; a camera with a trigger may be right.
const SILENCE: Duration = Duration::from_secs(5);

/// A camera.
pub(crate) struct V4l2 {
    path: String,
    opening: Opening,
    choice: Choice,
    /// As the driver lays out its buffers, and as the slot is.
    camera_shape: ImageShape,
    slot_shape: ImageShape,
    rate: Option<Rate>,
    /// `None` while the camera is away.
    device: Option<Device>,
    capturing: Option<Capturing>,
    again: Again,
    /// Why the camera was given up, until it is opened again.
    broken: Option<String>,
    taken_ns: Option<u64>,
    /// What need not be said again.
    told: Complaints,
}

/// What was said already.
#[derive(Default)]
struct Complaints {
    times: bool,
    frames: bool,
    silence: bool,
}

/// A camera that gives frames.
struct Capturing {
    stream: Option<mmap::Stream<'static>>,
    handle: Arc<Handle>,
    /// The driver's number of the last frame.
    number: Option<u32>,
    started: Instant,
    heard: Instant,
}

impl V4l2 {
    /// Opens the device and sets the mode.
    pub(crate) fn open(path: &str, opening: Opening) -> anyhow::Result<Self> {
        let (device, set) = set_up(path, &opening.wish, true)?;
        let Set { choice, camera_shape, rate } = set;
        let slot_shape = ImageShape::new(choice.width, choice.height, choice.pixels.format())?;
        Ok(Self {
            path: path.to_owned(),
            opening,
            choice,
            camera_shape,
            slot_shape,
            rate,
            device: Some(device),
            capturing: None,
            again: Again::new(),
            broken: None,
            taken_ns: None,
            told: Complaints::default(),
        })
    }

    pub(crate) fn told(&self) -> Told {
        Told { shape: Some(self.slot_shape), rate: self.rate }
    }

    pub(crate) fn prepare(&mut self, order: &Order) -> anyhow::Result<()> {
        let Content::Image(shape) = &order.content else {
            return Err(usage!(
                "can not publish v4l2:{} on stream {}: it carries {}",
                self.path,
                order.name,
                order.content
            ));
        };
        if !differ_in_padding_only(shape, &self.slot_shape) {
            return Err(usage!(
                "can not publish v4l2:{} on stream {}: the camera gives {}, the stream is {shape}",
                self.path,
                order.name,
                self.slot_shape
            ));
        }
        self.slot_shape = *shape;
        // Here it is an error that somebody else has the camera; later, it is waited for.
        self.start().map_err(|error| anyhow::anyhow!("can not capture from {}: {}", self.path, in_words(&error)))
    }

    /// The shape of the next frame, as it is written.
    pub(crate) fn shape(&self) -> ImageShape {
        self.slot_shape
    }

    /// When the last frame was taken, by the driver's clock.
    pub(crate) fn taken_ns(&self) -> Option<u64> {
        self.taken_ns
    }

    /// Waits until a buffer is filled; it is taken only when it is written or skipped.
    pub(crate) fn arrive(&mut self) -> anyhow::Result<Arrival> {
        while !self.opening.stop.is_due() {
            if let Some(why) = self.broken.take()
                && !self.heal(&why)?
            {
                return Ok(Arrival::End);
            }
            if let Err(error) = self.start() {
                self.broken = Some(format!("it can not begin to capture: {}", in_words(&error)));
                continue;
            }
            let Some(capturing) = &mut self.capturing else { continue };
            match capturing.handle.poll(POLL_IN, SLICE_MS) {
                Ok(0) => {
                    if capturing.heard.elapsed() > SILENCE && !self.told.silence {
                        self.told.silence = true;
                        aside(|| tracing::warn!("no frame from {} for {} s", self.path, SILENCE.as_secs()));
                    }
                }
                Ok(_) => {
                    capturing.heard = Instant::now();
                    self.told.silence = false;
                    return Ok(Arrival::Frame);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.broken = Some(in_words(&error)),
            }
        }
        Ok(Arrival::End)
    }

    /// Writes the newest frame.
    pub(crate) fn write(&mut self, slot: &mut [u8]) -> Written {
        let (camera_shape, slot_shape, pixels) = (self.camera_shape, self.slot_shape, self.choice.pixels);
        let copied = self.take(|bytes| match pixels {
            Pixels::As(_) => copy(&camera_shape, bytes, &slot_shape, slot),
            Pixels::Jpeg => decode(bytes, &slot_shape, slot),
        });
        match copied {
            Some(Ok(())) => Written::Whole,
            Some(Err(why)) => {
                if !std::mem::replace(&mut self.told.frames, true) {
                    aside(|| tracing::warn!("a frame of {} was left out: {why}; so will others be", self.path));
                }
                Written::Broken
            }
            None => Written::Broken,
        }
    }

    pub(crate) fn skip(&mut self) {
        self.take(|_| Ok(()));
    }

    /// Takes the newest buffer that is filled, notes its time and what was lost before it, and gives it to `with`.
    fn take(&mut self, with: impl FnOnce(&[u8]) -> Result<(), String>) -> Option<Result<(), String>> {
        let capturing = self.capturing.as_mut()?;
        let stream = capturing.stream.as_mut()?;
        let mut with = Some(with);
        loop {
            // Gives back the buffer that we have, and takes the oldest that is filled.
            let (buffer, meta) = match CaptureStream::next(stream) {
                Ok(next) => next,
                Err(error) => {
                    self.broken = Some(in_words(&error));
                    return None;
                }
            };
            let lost = lost_between(capturing.number, meta.sequence);
            self.opening.counts.count_lost(lost);
            capturing.number = Some(meta.sequence);
            if capturing.handle.poll(POLL_IN, 0).is_ok_and(|ready| ready > 0) {
                // A newer one is there: this one is as good as lost.
                self.opening.counts.count_lost(1);
                continue;
            }
            let timestamp =
                Duration::new(meta.timestamp.sec.max(0) as u64, meta.timestamp.usec.clamp(0, 999_999) as u32 * 1000);
            self.taken_ns = taken_ns(meta.flags.bits(), timestamp, now_ns());
            if self.taken_ns.is_none() && !std::mem::replace(&mut self.told.times, true) {
                aside(|| {
                    tracing::warn!(
                        "the driver of {} does not say in CLOCK_MONOTONIC when a frame was taken (flags {:#x}): its \
                         arrival is told instead",
                        self.path,
                        meta.flags.bits()
                    );
                });
            }
            if meta.flags.contains(moq_v4l::buffer::Flags::ERROR) {
                return Some(Err("the driver says that its data is damaged".to_owned()));
            }
            let bytes = &buffer[..buffer.len().min(meta.bytesused as usize)];
            return with.take().map(|with| with(bytes));
        }
    }

    /// Begins to capture, where that is not so yet.
    fn start(&mut self) -> io::Result<()> {
        let Some(device) = self.device.as_ref().filter(|_| self.capturing.is_none()) else { return Ok(()) };
        let mut stream = mmap::Stream::with_buffers(device, Type::VideoCapture, BUFFERS)?;
        // It comes only after a poll.
        stream.set_timeout(Duration::from_secs(1));
        // `next` first gives back the buffer that was taken last, number 0 at the beginning: that one stays ours.
        let mut given = 0;
        for index in 1..BUFFERS as usize {
            match CaptureStream::queue(&mut stream, index) {
                Ok(()) => given += 1,
                // The driver made fewer than were asked for.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => break,
                Err(error) => return Err(error),
            }
        }
        if given == 0 {
            return Err(io::Error::other("the driver has one buffer only, at least two are needed"));
        }
        stream.start()?;
        let now = Instant::now();
        let handle = device.handle();
        self.capturing = Some(Capturing { stream: Some(stream), handle, number: None, started: now, heard: now });
        Ok(())
    }

    /// Opens the camera again, as soon as that is possible; false: it is time to stop.
    fn heal(&mut self, why: &str) -> anyhow::Result<bool> {
        let mut ran = self.capturing.as_ref().map_or(Duration::ZERO, |capturing| capturing.started.elapsed());
        (self.capturing, self.device) = (None, None);
        if !self.opening.restart {
            anyhow::bail!("the camera {} is gone: {why}", self.path);
        }
        aside(|| tracing::warn!("the camera {} is gone: {why}; waiting for it", self.path));
        let mut is_relaxed = false;
        let mut wish = Wish {
            width: Some(self.choice.width),
            height: Some(self.choice.height),
            format: Some(self.choice.pixels.format()),
            rate: self.opening.wish.rate.or(self.rate),
        };
        loop {
            if !again::sleep(self.again.pause_after(std::mem::take(&mut ran)), &self.opening.stop) {
                return Ok(false);
            }
            match set_up(&self.path, &wish, false) {
                Ok((device, set)) => {
                    aside(|| tracing::info!("the camera {} is back", self.path));
                    self.opening.counts.count_restart();
                    let own = ImageShape::new(set.choice.width, set.choice.height, set.choice.pixels.format())?;
                    if !differ_in_padding_only(&own, &self.slot_shape) {
                        self.slot_shape = own;
                    }
                    (self.choice, self.camera_shape, self.device) = (set.choice, set.camera_shape, Some(device));
                    return Ok(true);
                }
                // It has that mode no more, or another camera took its name: the stream goes on with what there is.
                Err(error) if error.is::<UsageError>() && !is_relaxed => {
                    aside(|| tracing::warn!("{} came back otherwise: {error}; taking its best mode", self.path));
                    is_relaxed = true;
                    wish = Wish { width: None, height: None, format: None, ..wish };
                }
                Err(error) => tracing::debug!("{error:#}"),
            }
        }
    }
}

impl Drop for Capturing {
    fn drop(&mut self) {
        let stream = self.stream.take();
        // The binding panics where the driver does not let go in good order; there is nothing to do about that here.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(stream)));
    }
}

fn in_words(error: &io::Error) -> String {
    match Errno::from_io_error(error) {
        Some(Errno::NODEV) => "it was unplugged".to_owned(),
        Some(Errno::BUSY) => format!("{error}: another program captures from it"),
        _ => error.to_string(),
    }
}
