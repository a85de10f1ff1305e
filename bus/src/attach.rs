//! A subscriber's way into a stream: find it, check it, claim a place.
//!
//! ```text
//! segment under the key ── examine: ready? ours? sizes? ── claim the first free place's lease ── attach places, same
//! cookie? ── clear own pins ── still ready? else start over
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{AttachError, SystemError};
use crate::format::{ImageShape, PixelFormat};
use crate::geometry::Geometry;
use crate::keep::PinUses;
use crate::layout::{Control, FramesHeader, Place, content, flags, state};
use crate::lease::{Holder, Lease, LeaseSet, Refused};
use crate::name::StreamName;
use crate::options::{Content, Rate};
use crate::place;
use crate::process::Process;
use crate::region::{self, Found, FoundPlaces, FramesView, PlacesView};
use crate::segment::sysv::{self, SegmentId};
use crate::segment::{ReadMapping, WriteMapping};
use crate::slots::{self, FrameWords};
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::wait;
use crate::words::pin;

/// How long to wait before looking again for a stream that is not there.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// One epoch of a stream, as a subscriber has it attached. Frames share it, so it lives as long as the last of them.
/// Field order is drop order: the lease goes last.
pub(crate) struct Attachment {
    pub frames_view: FramesView,
    places_view: PlacesView,
    pub header: Box<FramesHeader>,
    /// Whether the publisher may wait for us to let go of a frame.
    pub publisher_waits: bool,
    pub content: Content,
    pub pin_uses: PinUses,
    pub place_index: usize,
    pub process: Process,
    _frames: ReadMapping,
    _places: WriteMapping,
    pub lease: Arc<Lease>,
}

impl Attachment {
    #[inline]
    pub(crate) fn words(&self) -> FrameWords<'_> {
        self.frames_view.words()
    }

    #[inline]
    pub(crate) fn control(&self) -> &Control {
        self.words().control
    }

    #[inline]
    pub(crate) fn place(&self) -> &Place {
        &self.places_view.places()[self.place_index]
    }

    pub(crate) fn geometry(&self) -> &Geometry {
        self.frames_view.geometry()
    }

    #[inline]
    pub(crate) fn is_ready(&self) -> bool {
        self.control().state.load(Acquire) == state::READY
    }

    /// Wakes a publisher that waits for what was just let go of.
    #[inline]
    pub(crate) fn tell_publisher(&self) {
        if self.publisher_waits {
            self.wake_publisher();
        }
    }

    #[cold]
    fn wake_publisher(&self) {
        let header = self.places_view.header();
        if slots::tell(header) {
            wait::wake_all(&header.release_futex);
        }
    }

    pub(crate) fn rate(&self) -> Option<Rate> {
        Rate::new(self.header.rate_numerator, self.header.rate_denominator)
    }

    /// First sequence of this epoch.
    #[inline]
    pub(crate) fn first_sequence(&self) -> u64 {
        self.header.base_sequence + 1
    }

    /// Says to others who is here.
    fn introduce(&self, label: &str) {
        let counters = &self.place().counters;
        for counter in [&counters.seen, &counters.skipped, &counters.missed, &counters.refused, &counters.last_sequence]
        {
            counter.store(0, Relaxed);
        }
        counters.attached_ns.store(0, Relaxed);
        counters.pid.store(std::process::id(), Relaxed);
        place::write_label(&counters.label, label);
    }
}

/// Attaches, and waits for the stream until `deadline` where it is not there or not finished.
///
/// `lease` is one that this subscriber has from an earlier epoch; it is used again where it can be.
pub(crate) fn attach(
    name: &StreamName,
    label: &str,
    lease: Option<Arc<Lease>>,
    begun: Instant,
    deadline: Instant,
) -> Result<Attachment, AttachError> {
    loop {
        match attach_now(name, label, lease.clone(), begun)? {
            Outcome::Attached(attachment) => return Ok(*attachment),
            // It went away under us, and has perhaps a successor already: this can not go on for ever, because each
            // time somebody else has made progress.
            Outcome::Ended => {}
            Outcome::NotThere(error) => {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(error);
                }
                std::thread::sleep(left.min(LOOK_AGAIN));
            }
        }
    }
}

enum Outcome {
    Attached(Box<Attachment>),
    /// Worth another look later.
    NotThere(AttachError),
    /// Worth another look now.
    Ended,
}

fn attach_now(
    name: &StreamName,
    label: &str,
    lease: Option<Arc<Lease>>,
    begun: Instant,
) -> Result<Outcome, AttachError> {
    let failed = |call, action: &str| SystemError::new(call, format!("{action} stream {name}"));
    let not_found = || Ok(Outcome::NotThere(AttachError::NotFound { stream: name.clone(), waited: begun.elapsed() }));
    let Some(id) = sysv::find(name.key()).map_err(failed("shmget", "looking for"))? else { return not_found() };
    let frames = match sysv::attach_read(id) {
        Ok(frames) => frames,
        Err(error) if is_gone(&error) => return not_found(),
        Err(error) => return Err(failed("shmat", "attaching the frames of")(error).into()),
    };
    let (header, geometry) = match region::examine(&frames, name) {
        Found::Stream(header, geometry, state::READY) => (header, geometry),
        Found::Stream(..) => return not_found(),
        Found::Blank | Found::Unfinished => {
            let error = AttachError::Unfinished { stream: name.clone(), waited: begun.elapsed() };
            return Ok(Outcome::NotThere(error));
        }
        Found::Stranger(stranger) => {
            return Err(AttachError::Stranger { stream: name.clone(), id: id.0, key: name.key(), stranger });
        }
    };
    let places_id = SegmentId(header.places_id);
    let places = match sysv::attach_write(places_id) {
        Ok(places) => places,
        Err(error) if is_gone(&error) => return not_found(),
        Err(error) => return Err(failed("shmat", "attaching the places of")(error).into()),
    };
    let same = sysv::attach_read(places_id).is_ok_and(
        |look| matches!(region::examine_places(&look, name), FoundPlaces::Ours(cookie) if cookie == header.cookie),
    );
    if !same || places.bytes() < geometry.places_bytes {
        return not_found();
    }
    let places_view = PlacesView::of(&places, &geometry);

    let set = LeaseSet::from_id(header.leases_id);
    let lease = match lease.filter(|lease| lease.set() == set && place_of(lease) < geometry.max_subscribers) {
        Some(lease) => lease,
        None => match claim_place(set, geometry.max_subscribers) {
            Ok(lease) => Arc::new(lease),
            Err(Refused::Gone) => return not_found(),
            Err(Refused::Held) => {
                let all = 0..geometry.max_subscribers;
                let holders = place::holders(places_view.places(), set, all);
                let max_subscribers = geometry.max_subscribers as u32;
                return Err(AttachError::Full { stream: name.clone(), max_subscribers, holders });
            }
            Err(Refused::System(error)) => return Err(failed("semop", "claiming a place of")(error).into()),
        },
    };
    let content = match content_of(&header) {
        Ok(content) => content,
        Err((field, found)) => {
            let stranger = crate::error::Stranger::Damaged { field, found, expected: 1 };
            return Err(AttachError::Stranger { stream: name.clone(), id: id.0, key: name.key(), stranger });
        }
    };
    let attachment = Attachment {
        frames_view: FramesView::of(&frames, geometry),
        places_view,
        publisher_waits: header.flags & flags::WAITS != 0,
        content,
        pin_uses: PinUses::new(),
        place_index: place_of(&lease),
        process: frames.process(),
        header,
        _frames: frames,
        _places: places,
        lease,
    };
    // What an earlier holder of the place left. The lease is ours, so nobody else stores here.
    let place = attachment.place();
    place.pins.iter().for_each(|word| word.store(pin::NONE, Release));
    place.cursor.store(0, Release);
    place.waiting.store(0, Relaxed);
    attachment.introduce(label);
    attachment.warm_up();
    Ok(if attachment.is_ready() { Outcome::Attached(Box::new(attachment)) } else { Outcome::Ended })
}

impl Attachment {
    /// Maps what will be read soon, where the publisher gave it memory already.
    fn warm_up(&self) {
        let geometry = self.geometry();
        let warm = geometry.payload_of(geometry.warm_slots() as u16);
        if self.header.flags & flags::HUGE_PAGES != 0 {
            self._frames.use_huge_pages(geometry.payload_offset..warm);
        }
        if self.header.flags & flags::PREFAULT != 0 {
            self._frames.populate(0..warm);
        }
    }
}

/// The segment was removed between two of our calls.
fn is_gone(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EIDRM | libc::EINVAL))
}

fn place_of(lease: &Lease) -> usize {
    match lease.holder() {
        Holder::Place(index) => index,
        Holder::Publisher => usize::MAX,
    }
}

fn claim_place(set: LeaseSet, places: usize) -> Result<Lease, Refused> {
    for index in 0..places {
        match set.claim(Holder::Place(index)) {
            Err(Refused::Held) => {}
            other => return other,
        }
    }
    Err(Refused::Held)
}

/// What a header says that the stream carries; otherwise the field that makes no sense, and its value.
pub(crate) fn content_of(header: &FramesHeader) -> Result<Content, (&'static str, u64)> {
    let bytes = header.slot_capacity_bytes as u32;
    match header.content {
        content::IMAGE => {
            let format = PixelFormat::from_code(header.format).ok_or(("format", header.format.into()))?;
            ImageShape::with_stride(header.width, header.height, format, header.stride_bytes)
                .ok()
                .filter(|shape| shape.frame_bytes() as u64 <= header.slot_capacity_bytes)
                .map(Content::Image)
                .ok_or(("height", header.height.into()))
        }
        content::RECORD => Ok(Content::Record { type_name: region::read_text(&header.type_name), bytes }),
        content::BYTES => Ok(Content::Bytes { capacity: bytes }),
        other => Err(("content", other.into())),
    }
}
