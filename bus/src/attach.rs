//! A subscriber's way into a stream: find it, check it, claim a place.
//!
//! ```text
//! segment under the key ── examine: ready? ours? sizes? ── claim the first free place's lease ── attach places, same
//! cookie? ── clear own pins ── still ready? else start over
//! ```

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use crate::accounts;
use crate::backend::Backend;
use crate::call::CallError;
use crate::error::{AttachError, Stranger};
use crate::format::{ImageShape, PixelFormat};
use crate::geometry::Geometry;
use crate::keep::PinUses;
use crate::layout::{Account, Control, FramesHeader, MAX_HELD, Place, content, flags, state};
use crate::lease::{Holder, Lease, LeaseSet, Refused};
use crate::name::StreamName;
use crate::options::{Content, Prefault, Rate};
use crate::place;
use crate::process::Process;
use crate::region::{self, Found, FoundPlaces, FramesView, PlacesView};
use crate::segment::{Part, ReadMapping, WriteMapping, shared};
use crate::site::{Segment, Site};
use crate::slots::{self, FrameWords, NOT_LOSSLESS};
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::wait;
use crate::words::{pin, unpack};

/// How long to wait before looking again for a stream that is not there.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// How long to look again at a stream that may not be attached: its publisher may have made it, and be about to set its group.
const MOMENT: Duration = Duration::from_millis(100);

/// How long to wait in vain before looking whether the stream is still found by its name, and then each time again.
pub(crate) const LOOK_FOR_SEGMENT: Duration = Duration::from_secs(1);

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
    /// By pin: when its frame was taken, ns; 0 where that was not asked.
    pub taken_ns: [AtomicU64; MAX_HELD as usize],
    pub place_index: usize,
    pub process: Process,
    site: Site,
    segment: Segment,
    pub frames: Arc<ReadMapping>,
    places: Arc<WriteMapping>,
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

    #[inline]
    pub(crate) fn account(&self) -> &Account {
        &self.places_view.accounts()[self.place_index]
    }

    pub(crate) fn geometry(&self) -> &Geometry {
        self.frames_view.geometry()
    }

    /// Whether the segment is still found by the stream's name. Somebody may have removed it (`ipcrm`, `rm`) when no publisher
    /// was there to say in it that it has ended. Asks the kernel.
    pub(crate) fn is_found(&self) -> bool {
        self.site.find(Part::Frames).map_or(true, |found| found.as_ref() == Some(&self.segment))
    }

    /// Whether the stream's name finds another segment, in which the stream goes on. Asks the kernel.
    pub(crate) fn has_successor(&self, name: &StreamName) -> bool {
        match self.site.find(Part::Frames) {
            // Also where it can not be attached: whoever follows gets to know why.
            Ok(Some(found)) if found != self.segment => {
                !matches!(find_frames(&self.site, name, Instant::now()), Ok(Err(_)))
            }
            _ => false,
        }
    }

    /// Whether there is a frame newer than the one of this sequence.
    #[inline]
    pub(crate) fn has_newer_than(&self, sequence: u64) -> bool {
        let (latest, _) = unpack(self.control().latest.load(Acquire));
        latest > sequence && latest >= self.first_sequence()
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

    /// Says to others who is here, and what it counted in an `earlier` epoch.
    fn introduce(&self, label: &str, earlier: Option<&Self>) {
        let counters = &self.place().counters;
        for counter in [&counters.seen, &counters.skipped, &counters.missed, &counters.refused, &counters.last_sequence]
        {
            counter.store(0, Relaxed);
        }
        counters.attached_ns.store(0, Relaxed);
        counters.pid.store(std::process::id(), Relaxed);
        place::write_label(&counters.label, label);
        accounts::begin_account(self.account(), earlier.map(Self::account));
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        // Who finds the place without a holder knows by this that nobody died in it.
        if self.process.is_current() {
            self.place().counters.attached_ns.store(0, Relaxed);
        }
    }
}

/// Attaches, and waits for the stream until `deadline` where it is not there or not finished.
///
/// `earlier` is what this subscriber had in an earlier epoch: its lease is used again where it can be, and what it counted
/// goes on.
pub(crate) fn attach(
    backend: &Backend,
    name: &StreamName,
    label: &str,
    earlier: Option<&Attachment>,
    begun: Instant,
    deadline: Instant,
) -> Result<Attachment, AttachError> {
    let site = Site::of(backend, name);
    let mut looks = Looks::until(deadline);
    loop {
        match attach_now(&site, name, label, earlier, begun) {
            Ok(Outcome::Attached(attachment)) => return Ok(*attachment),
            // It went away under us, and has perhaps a successor already: this can not go on for ever, because each
            // time somebody else has made progress.
            Ok(Outcome::Ended) => {}
            Ok(Outcome::NotThere(error)) | Err(error) => looks.again(error)?,
        }
    }
}

/// Looks at a stream that can not be attached yet.
pub(crate) struct Looks {
    deadline: Instant,
    /// When it was first not ours to attach.
    denied: Option<Instant>,
}

impl Looks {
    pub(crate) fn until(deadline: Instant) -> Self {
        Self { deadline, denied: None }
    }

    /// Waits a little before the next look, where that may find something else.
    ///
    /// # Errors
    /// The reason of the last look: it will not pass, or it is time to give up.
    pub(crate) fn again(&mut self, reason: AttachError) -> Result<(), AttachError> {
        let until = match &reason {
            AttachError::NotFound { .. } | AttachError::Unfinished { .. } => self.deadline,
            AttachError::System(error) if error.is_denied() => *self.denied.get_or_insert_with(Instant::now) + MOMENT,
            _ => return Err(reason),
        };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(reason);
        }
        std::thread::sleep(left.min(LOOK_AGAIN));
        Ok(())
    }
}

enum Outcome {
    Attached(Box<Attachment>),
    /// Worth another look later.
    NotThere(AttachError),
    /// Worth another look now.
    Ended,
}

/// The frames segment of a stream that is ready.
pub(crate) struct FoundFrames {
    pub segment: Segment,
    pub frames: ReadMapping,
    pub header: Box<FramesHeader>,
    pub geometry: Geometry,
    pub content: Content,
}

/// Finds a stream's frames segment and checks it; the inner error: it is not there, or not ready, and may be later.
pub(crate) fn find_frames(
    site: &Site,
    name: &StreamName,
    begun: Instant,
) -> Result<Result<FoundFrames, AttachError>, AttachError> {
    let failed = |action: &str| CallError::at(format!("{action} stream {name}"));
    let not_found = || Ok(Err(AttachError::NotFound { stream: name.clone(), waited: begun.elapsed() }));
    let Some(segment) = site.find(Part::Frames).map_err(failed("looking for"))? else { return not_found() };
    let stranger = |stranger| AttachError::Stranger {
        stream: name.clone(),
        object: site.describe(&segment, Part::Frames),
        stranger,
    };
    let mut frames = match segment.attach_read() {
        Ok(frames) => frames,
        Err(error) if error.is_gone() => return not_found(),
        Err(error) => return Err(failed("attaching the frames of")(error).into()),
    };
    let mut found = region::examine(&frames, name);
    if matches!(&found, Found::Stream(header, ..) if header.flags & flags::HUGE_PAGES != 0)
        && let Ok(mapping) = segment.attach_read_huge()
    {
        // The same memory at another address, and examined there, so that nothing need be believed.
        found = region::examine(&mapping, name);
        frames = mapping;
    }
    let (header, geometry) = match found {
        Found::Stream(header, geometry, state::READY) => (header, geometry),
        Found::Stream(..) => return not_found(),
        Found::Blank | Found::Unfinished => {
            return Ok(Err(AttachError::Unfinished { stream: name.clone(), waited: begun.elapsed() }));
        }
        Found::Stranger(reason) => return Err(stranger(reason)),
    };
    let damaged = |(field, found)| stranger(Stranger::Damaged { field, found, expected: 1 });
    let content = content_of(&header).map_err(damaged)?;
    Ok(Ok(FoundFrames { segment, frames, header, geometry, content }))
}

fn attach_now(
    site: &Site,
    name: &StreamName,
    label: &str,
    earlier: Option<&Attachment>,
    begun: Instant,
) -> Result<Outcome, AttachError> {
    let failed = |action: &str| CallError::at(format!("{action} stream {name}"));
    let not_found = || Ok(Outcome::NotThere(AttachError::NotFound { stream: name.clone(), waited: begun.elapsed() }));
    let FoundFrames { segment, frames, header, geometry, content } = match find_frames(site, name, begun)? {
        Ok(found) => found,
        Err(not_there) => return Ok(Outcome::NotThere(not_there)),
    };
    let found = site.find(Part::Places).map_err(failed("looking for the places of"))?;
    let Some(segment_of_places) = found.filter(|places| places.number() == header.places_id) else {
        return not_found();
    };
    let places = match segment_of_places.attach_write() {
        Ok(places) => places,
        Err(error) if error.is_gone() => return not_found(),
        Err(error) => return Err(failed("attaching the places of")(error).into()),
    };
    let same = segment_of_places.attach_read().is_ok_and(
        |look| matches!(region::examine_places(&look, name), FoundPlaces::Ours(cookie) if cookie == header.cookie),
    );
    if !same || places.bytes() < geometry.places_bytes {
        return not_found();
    }
    let frames = shared::FRAMES.of(&segment, header.cookie, frames);
    let places = shared::PLACES.of(&segment_of_places, header.cookie, places);
    let places_view = PlacesView::of(&places, &geometry);

    let usable = |lease: &Arc<Lease>| {
        lease.set().number() == header.leases_id && place_of(lease) < geometry.max_subscribers && lease.set().exists()
    };
    let Some(set) = site.leases_of(header.leases_id).map_err(failed("opening the leases of"))? else {
        return not_found();
    };
    let lease = match earlier.map(|earlier| earlier.lease.clone()).filter(usable) {
        Some(lease) => lease,
        None => match claim_place(&set, geometry.max_subscribers) {
            Ok(lease) => Arc::new(lease),
            Err(Refused::Gone) => return not_found(),
            Err(Refused::Held) => {
                let all = 0..geometry.max_subscribers;
                let holders = place::holders(places_view.places(), &set, all);
                let max_subscribers = geometry.max_subscribers as u32;
                return Err(AttachError::Full { stream: name.clone(), max_subscribers, holders });
            }
            Err(Refused::System(error)) => return Err(failed("claiming a place of")(error).into()),
        },
    };
    let attachment = Attachment {
        frames_view: FramesView::of(&frames, geometry),
        places_view,
        publisher_waits: header.flags & flags::WAITS != 0,
        content,
        pin_uses: PinUses::new(),
        taken_ns: std::array::from_fn(|_| AtomicU64::new(0)),
        place_index: place_of(&lease),
        process: frames.process(),
        header,
        site: site.clone(),
        segment,
        frames,
        places,
        lease,
    };
    // What an earlier holder of the place left. The lease is ours, so nobody else stores here.
    let place = attachment.place();
    place.pins.iter().for_each(|word| word.store(pin::NONE, Release));
    // Under the lease of the epoch before, the publisher has put there what we wanted last, and waits for it.
    if !earlier.is_some_and(|earlier| Arc::ptr_eq(&earlier.lease, &attachment.lease)) {
        place.cursor.store(NOT_LOSSLESS, Release);
    }
    place.waiting.store(0, Relaxed);
    attachment.introduce(label, earlier);
    warm_up(&attachment.frames, &attachment.header, attachment.geometry());
    attachment.places.populate(attachment.geometry().account_of(attachment.place_index));
    attachment.places.populate(0..attachment.geometry().accounts_offset);
    Ok(if attachment.is_ready() { Outcome::Attached(Box::new(attachment)) } else { Outcome::Ended })
}

/// Maps what will be read soon, to which the publisher gave memory already. What are huge pages there are mapped as such.
pub(crate) fn warm_up(frames: &ReadMapping, header: &FramesHeader, geometry: &Geometry) {
    let prefault = match header.flags & (flags::PREFAULT | flags::PREFAULT_ALL) {
        0 => Prefault::Off,
        flags::PREFAULT => Prefault::Warm,
        _ => Prefault::All,
    };
    frames.populate(geometry.prefaulted(prefault));
}

fn place_of(lease: &Lease) -> usize {
    match lease.holder() {
        Holder::Place(index) => index,
        Holder::Publisher => usize::MAX,
    }
}

fn claim_place(set: &LeaseSet, places: usize) -> Result<Lease, Refused> {
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
