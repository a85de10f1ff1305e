//! Observing: copies of the newest frame, for a process that may only read.
//!
//! An observer has no place, so the publisher does not know of it, and nothing keeps a frame from being overwritten while it
//! is copied. So the copy is made with atomic loads, and believed only where the slot's generation says afterwards that the
//! frame was there all the time. No reference into the shared memory is ever handed out.

use std::time::{Duration, Instant};

use crate::attach::{self, FoundFrames, LOOK_FOR_SEGMENT, Looks};
use crate::backend::Backend;
use crate::error::{AttachError, ObserveError};
use crate::geometry::Geometry;
use crate::layout::{FrameInfo, FramesHeader, state};
use crate::name::StreamName;
use crate::options::{Content, Rate};
use crate::region::FramesView;
use crate::segment::{Part, ReadMapping};
use crate::site::{Segment, Site};
use crate::slots;
use crate::sync::Ordering::Acquire;
use crate::words::unpack;

/// How long to sleep between two looks: nobody wakes an observer.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// What an observer wants.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ObserverOptions {
    /// What the stream is made of: what its publisher uses.
    pub backend: Backend,
    /// How long to wait for a stream that is not there.
    pub patience: Duration,
}

/// One who copies the newest frames of a stream, with the right to read and no other (mode 0640 or 0644).
///
/// It takes no place, is seen by nobody and counted nowhere. Who may write the places attaches a
/// [`Subscriber`](crate::Subscriber), which copies nothing.
///
/// ```no_run
/// use framebus::Observer;
/// let mut observer = Observer::attach(&"robot/front".parse()?)?;
/// let mut bytes = Vec::new();
/// if let Some(info) = observer.latest(&mut bytes)? {
///     println!("frame {} has {} bytes", info.sequence, bytes.len());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Observer {
    name: StreamName,
    site: Site,
    segment: Segment,
    view: FramesView,
    header: Box<FramesHeader>,
    content: Content,
    /// Newest sequence copied; 0 before the first.
    last: u64,
    /// When to look whether the stream is still found by its name, while waits are in vain.
    next_look: Option<Instant>,
    frames: ReadMapping,
}

impl Observer {
    /// Attaches to a stream that is there, with the default options.
    ///
    /// # Errors
    /// [`AttachError`].
    pub fn attach(name: &StreamName) -> Result<Self, AttachError> {
        Self::attach_with(name, &ObserverOptions::default())
    }

    /// Attaches to a stream; waits for it as long as the options say.
    ///
    /// # Errors
    /// [`AttachError`].
    pub fn attach_with(name: &StreamName, options: &ObserverOptions) -> Result<Self, AttachError> {
        let site = Site::of(&options.backend, name);
        let begun = Instant::now();
        let found = find(&site, name, begun, begun + options.patience)?;
        Ok(Self::on(found, name.clone(), site))
    }

    fn on(found: FoundFrames, name: StreamName, site: Site) -> Self {
        let FoundFrames { segment, frames, header, geometry, content } = found;
        let view = FramesView::of(&frames, geometry);
        attach::warm_up(&frames, &header, &geometry);
        Self { name, site, segment, view, header, content, last: 0, next_look: None, frames }
    }

    /// The stream's name.
    pub fn name(&self) -> &StreamName {
        &self.name
    }

    /// What the stream carries, in its present epoch.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// The stream's nominal rate, where it has one.
    pub fn rate(&self) -> Option<Rate> {
        Rate::new(self.header.rate_numerator, self.header.rate_denominator)
    }

    /// The stream's numbers of slots and sizes.
    pub fn geometry(&self) -> &Geometry {
        self.view.geometry()
    }

    /// Copies the newest frame's payload into `bytes`, whether or not it was copied before, and returns its info; `None`
    /// before the first frame. What `bytes` held is lost.
    ///
    /// # Errors
    /// [`ObserveError::Outrun`] where the publisher overwrote the frame during each of a few attempts.
    pub fn latest(&mut self, bytes: &mut Vec<u8>) -> Result<Option<FrameInfo>, ObserveError> {
        self.check_process()?;
        if self.has_ended() && !self.is_behind() {
            self.follow(Instant::now())?;
        }
        let view = &self.view;
        let copied = slots::observe(view.words(), |slot, sequence| {
            let mut info = view.observe_info(slot);
            // What stands there may be half of another frame's: it must not be believed before it is confirmed.
            info.len = info.len.min(view.geometry().slot_capacity as u64);
            view.observe_bytes(slot, info.len as usize, bytes);
            info.sequence = sequence;
            info
        });
        match copied {
            Ok(info) => {
                self.last = info.map_or(self.last, |info| info.sequence);
                Ok(info)
            }
            Err(slots::Outrun) => Err(ObserveError::Outrun { stream: self.name.clone() }),
        }
    }

    /// Waits until there is a frame newer than the last one copied, or until the deadline: true, there is one. Nobody wakes
    /// an observer: it looks once a millisecond.
    ///
    /// # Errors
    /// As for [`latest`](Self::latest), but for `Outrun`.
    pub fn wait(&mut self, deadline: Instant) -> Result<bool, ObserveError> {
        loop {
            self.check_process()?;
            if self.is_behind() {
                self.next_look = None;
                return Ok(true);
            }
            if self.has_ended() && self.follow(deadline)? {
                continue;
            }
            let now = Instant::now();
            if now >= *self.next_look.get_or_insert(now + LOOK_FOR_SEGMENT) {
                self.next_look = None;
                let found = self.site.find(Part::Frames);
                if found.is_ok_and(|found| found.as_ref() != Some(&self.segment)) && self.follow(now)? {
                    continue;
                }
            }
            let left = deadline.saturating_duration_since(now);
            if left.is_zero() {
                return Ok(false);
            }
            std::thread::sleep(left.min(LOOK_AGAIN));
        }
    }

    fn is_behind(&self) -> bool {
        let (latest, _) = unpack(self.view.words().control.latest.load(Acquire));
        latest > self.last.max(self.header.base_sequence)
    }

    fn has_ended(&self) -> bool {
        self.view.words().control.state.load(Acquire) != state::READY
    }

    fn check_process(&self) -> Result<(), ObserveError> {
        match self.frames.process().is_current() {
            true => Ok(()),
            false => Err(ObserveError::Forked { stream: self.name.clone() }),
        }
    }

    /// Moves to the stream's next epoch, or to a new stream of the same name. False: there is none before the deadline.
    fn follow(&mut self, deadline: Instant) -> Result<bool, ObserveError> {
        let found = match find(&self.site, &self.name, Instant::now(), deadline) {
            Ok(found) => found,
            Err(AttachError::NotFound { .. } | AttachError::Unfinished { .. }) => return Ok(false),
            Err(source) => {
                return Err(ObserveError::Follow { stream: self.name.clone(), source: Box::new(source) });
            }
        };
        // A stream that was made anew begins at 1: all of it is new to us.
        let last = if found.header.base_sequence < self.last { 0 } else { self.last };
        *self = Self { last, ..Self::on(found, self.name.clone(), self.site.clone()) };
        Ok(true)
    }
}

fn find(site: &Site, name: &StreamName, begun: Instant, deadline: Instant) -> Result<FoundFrames, AttachError> {
    let mut looks = Looks::until(deadline);
    loop {
        match attach::find_frames(site, name, begun) {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(reason)) | Err(reason) => looks.again(reason)?,
        }
    }
}
