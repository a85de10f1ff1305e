//! The one who writes a stream: which slot is free, who is waited for, who is to blame. Writing and publishing it is the loan's.

#[allow(unsafe_code)] // slots are written under a claim
mod loan;

pub use loan::Loan;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::clock::now_ns;
use crate::error::{LoanError, OpenError, PlaceHolder, SetContentError};
use crate::fate::{Event, Fate};
use crate::format::ImageShape;
use crate::geometry::Geometry;
use crate::layout::{FrameInfo, MAX_SUBSCRIBERS, Place, PublisherStats};
use crate::lifecycle::{self, OwnedStream};
use crate::memory::FramesMemory;
use crate::name::StreamName;
use crate::options::{Content, ContentChange, OnFull, OnStuck, StreamOptions};
use crate::place::{holders, holding};
use crate::process::Process;
use crate::region::FramesView;
use crate::slots::{self, Blocked, PlaceSet, SlotLedger};
use crate::sync::Ordering::{Acquire, Relaxed};
use crate::wait;
use crate::words::MAX_SEQUENCE;

/// Time between two looks at whether the lease still exists.
const LOOK_AT_LEASE_NS: u64 = 1_000_000_000;
/// Longest time between two looks at whether a wait is to be given up.
const STOP_SLICE: Duration = Duration::from_millis(100);

/// The one who writes a stream.
///
/// Dropping it closes the stream and removes its segments, or leaves them with `persist`. A process that dies leaves
/// them too: its successor goes on with the next sequence, and subscribers notice nothing but the pause.
///
/// ```no_run
/// use framebus::{Content, ImageShape, PixelFormat, Publisher, StreamOptions};
/// let shape = ImageShape::new(640, 480, PixelFormat::Mono8)?;
/// let name = "robot/front".parse()?;
/// let mut camera = Publisher::open(&name, &StreamOptions::new(Content::Image(shape)))?;
/// let mut frame = camera.loan()?; // 640 × 480 bytes of shared memory
/// frame.fill(128);
/// frame.publish();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Publisher {
    name: StreamName,
    options: StreamOptions,
    ledger: SlotLedger,
    /// What each frame's info begins as.
    template: FrameInfo,
    /// By slot: its info is the template but for the numbers of the last frame, so it need not be written again.
    prepared: Box<[bool]>,
    process: Process,
    /// When to look at the lease again, and whether it is time.
    next_look_ns: u64,
    look_is_due: bool,
    /// Not yet asked for.
    evicted: Vec<PlaceHolder>,
    stream: OwnedStream,
}

impl Publisher {
    /// Creates the stream, or takes it over from a publisher that died.
    ///
    /// Where the dead one's stream had another geometry, a new epoch of it begins, and subscribers move there by
    /// themselves.
    ///
    /// # Errors
    /// [`OpenError`]; whatever existed is then as it was.
    pub fn open(name: &StreamName, options: &StreamOptions) -> Result<Self, OpenError> {
        Ok(Self::on(lifecycle::open(name, options)?, name, options))
    }

    /// A publisher of a stream that was opened.
    fn on(stream: OwnedStream, name: &StreamName, options: &StreamOptions) -> Self {
        let waits = matches!(options.on_full, OnFull::Wait(_));
        let words = stream.frames_view.words();
        let mut ledger = SlotLedger::recover(words, stream.frames_view.geometry().max_held, waits);
        if ledger.ring(words, stream.places_view.places()) {
            wait::wake_all(&words.control.futex);
        }
        let template = template(&options.content);
        let process = stream.frames.process();
        let prepared = vec![false; stream.frames_view.geometry().slots].into();
        let publisher = Self {
            name: name.clone(),
            options: options.clone(),
            ledger,
            template,
            prepared,
            process,
            next_look_ns: now_ns() + LOOK_AT_LEASE_NS,
            look_is_due: false,
            evicted: Vec::new(),
            stream,
        };
        let publishers = publisher.stream.frames_view.stats().publishers.load(Relaxed);
        publisher.tell(Fate::Began { pid: std::process::id(), publishers });
        publisher
    }

    /// The stream's name.
    pub fn name(&self) -> &StreamName {
        &self.name
    }

    /// What the stream was opened with, but for what was changed since: its content, and the room for that.
    pub fn options(&self) -> &StreamOptions {
        &self.options
    }

    /// Its numbers of slots and sizes.
    pub fn geometry(&self) -> &Geometry {
        self.stream.frames_view.geometry()
    }

    /// The sequence that the next published frame will have.
    pub fn next_sequence(&self) -> u64 {
        self.ledger.next_sequence()
    }

    /// Lends the slot for the next frame: no system call (but a few each second, to see whether nobody has removed the stream), and no
    /// waiting, unless no slot is free and `on_full` says so.
    ///
    /// The slot holds whatever an earlier frame left there.
    ///
    /// # Errors
    /// [`LoanError`]: all slots are held, which can not happen with `slots = "auto"` and `on_full = "drop"`. The frame
    /// counts as refused, and its cause to who held the slots.
    #[inline(always)]
    pub fn loan(&mut self) -> Result<Loan<'_>, LoanError> {
        self.lend(None)
    }

    /// As [`loan`](Self::loan), but where that waits (`on_full = "wait"`), it gives up soon after `stop` says so: it is asked
    /// before the publisher sleeps, and ten times a second. For programs that end by a signal, with a wait of an hour too.
    ///
    /// # Errors
    /// As for `loan`, and [`LoanError::Stopped`]; the frame then counts as nothing, the wait as one of the length it had.
    pub fn loan_unless(&mut self, stop: impl Fn() -> bool) -> Result<Loan<'_>, LoanError> {
        self.lend(Some(&stop))
    }

    #[inline(always)]
    fn lend(&mut self, stop: Option<&dyn Fn() -> bool>) -> Result<Loan<'_>, LoanError> {
        if !self.process.is_current() || self.ledger.next_sequence() > MAX_SEQUENCE {
            return Err(self.unusable());
        }
        if self.look_is_due {
            self.look_at_lease()?;
        }
        let slot = match self.claim() {
            Ok(slot) => slot,
            Err(blocked) => self.claim_late(blocked, stop)?,
        };
        slots::mark_written(self.stream.frames_view.words(), slot);
        let mut loan = Loan { publisher: self, slot };
        loan.begin_info();
        Ok(loan)
    }

    /// Somebody may have removed the leases under us (`ipcrm -s`, or systemd-logind with `RemoveIPC`), without which nobody
    /// can tell who lives, or a segment (`ipcrm -m`, `rm`), without which nobody new can attach. So the stream goes on in a
    /// new epoch with all that is missing, and subscribers move there.
    #[cold]
    fn look_at_lease(&mut self) -> Result<(), LoanError> {
        (self.look_is_due, self.next_look_ns) = (false, now_ns() + LOOK_AT_LEASE_NS);
        if self.stream.is_intact() {
            return Ok(());
        }
        self.begin_epoch(self.options.clone())
            .map_err(|source| LoanError::LeaseLost { stream: self.name.clone(), source: Arc::new(source) })
    }

    /// Goes on in a new epoch with these options.
    fn begin_epoch(&mut self, options: StreamOptions) -> Result<(), OpenError> {
        let last = self.ledger.next_sequence() - 1;
        let stream = self.stream.renew(&self.name, &options, last).inspect_err(|_| {
            // What there is may not be ours any more, or not whole: every loan shall look, and say so.
            self.look_is_due = true;
        })?;
        // The new epoch has taken the old one's place; nothing of that is ours to close.
        let publisher = Self::on(stream, &self.name, &options);
        let mut old = std::mem::replace(self, publisher);
        self.counters_go_on(&old.stream.frames_view);
        self.evicted = std::mem::take(&mut old.evicted);
        old.leave();
        Ok(())
    }

    /// The stream goes on, and with it what is counted of it.
    fn counters_go_on(&self, before: &FramesView) {
        for (now, before) in self.stream.frames_view.blame().iter().zip(before.blame()) {
            for (word, before) in [
                (&now.refused, &before.refused),
                (&now.longest_held_ns, &before.longest_held_ns),
                (&now.attached_ns, &before.attached_ns),
            ] {
                word.store(before.load(Relaxed), Relaxed);
            }
        }
        let (now, before) = (self.stream.frames_view.stats(), before.stats());
        for (count, before) in [
            (&now.refused, &before.refused),
            (&now.abandoned, &before.abandoned),
            (&now.late, &before.late),
            (&now.waits, &before.waits),
            (&now.waited_ns, &before.waited_ns),
            (&now.evicted, &before.evicted),
        ] {
            count.fetch_add(before.load(Relaxed), Relaxed);
        }
    }

    /// Changes what the next frames are, while the stream goes on: for a camera that switches its mode, say.
    ///
    /// Where they fit the slots ([`StreamOptions::capacity_bytes`] makes room beforehand), the next loan begins as this, and that
    /// is all. Where they do not, a new epoch begins, with larger slots, behind the last sequence: subscribers take what they
    /// had not, then move there by themselves, and what they hold stays as it is. Lossless ones are waited for meanwhile.
    ///
    /// Slots never become smaller, so going back to a smaller size is quick. A late joiner's
    /// [`content`](crate::Subscriber::content) is what the epoch began with; each frame says itself [what it is](crate::Frame::shape).
    ///
    /// ```no_run
    /// # use framebus::{Content, ImageShape, PixelFormat, Publisher};
    /// # fn switch(camera: &mut Publisher) -> Result<(), Box<dyn std::error::Error>> {
    /// camera.set_content(Content::Image(ImageShape::new(1920, 1080, PixelFormat::Bgr8)?))?;
    /// camera.loan()?.publish(); // 1920 × 1080
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`SetContentError`]: there is no memory for larger slots, say. The stream goes on as it was.
    pub fn set_content(&mut self, content: Content) -> Result<ContentChange, SetContentError> {
        if !self.process.is_current() {
            return Err(SetContentError::Forked { stream: self.name.clone() });
        }
        if content == self.options.content {
            return Ok(ContentChange::None);
        }
        let capacity = self.geometry().slot_capacity;
        let fits = match (&self.options.content, &content) {
            (Content::Image(_), Content::Image(_)) | (Content::Bytes { .. }, Content::Bytes { .. }) => {
                (1..=capacity).contains(&content.capacity_bytes())
            }
            _ => false,
        };
        if fits {
            // Should the stream have to begin anew, it shall not lose its room.
            self.options.capacity_bytes = self.options.capacity_bytes.max(capacity as u32);
            self.template = template(&content);
            self.prepared.fill(false);
            self.options.content = content;
            return Ok(ContentChange::InPlace);
        }
        let options = StreamOptions { content, ..self.options.clone() };
        match self.begin_epoch(options.clone()) {
            Ok(()) => Ok(ContentChange::NewEpoch),
            Err(source) => {
                let (stream, from, to) = (self.name.clone(), self.options.content.clone(), options.content);
                Err(SetContentError::Refused { stream, from, to, source: Box::new(source) })
            }
        }
    }

    /// Makes the next loan look whether the stream is intact, as it does once a second anyway.
    #[cfg(feature = "steps")]
    pub fn look_soon(&mut self) {
        self.look_is_due = true;
    }

    /// Ends without closing the stream.
    fn leave(mut self) {
        self.options.persist = true;
    }

    #[cold]
    fn unusable(&self) -> LoanError {
        let stream = self.name.clone();
        if self.process.is_current() { LoanError::Exhausted { stream } } else { LoanError::Forked { stream } }
    }

    #[inline]
    fn claim(&mut self) -> Result<u16, Blocked> {
        let leases = self.stream.lease.set();
        let (frames, places) = (self.stream.frames_view.words(), self.stream.places_view.places());
        self.ledger.claim(frames, places, || leases.dropped_places())
    }

    /// The slow way: wait where the stream's options say so, then give up and say because of whom.
    #[cold]
    fn claim_late(&mut self, mut blocked: Blocked, stop: Option<&dyn Fn() -> bool>) -> Result<u16, LoanError> {
        let OnFull::Wait(patience) = self.options.on_full else { return Err(self.refuse(blocked, Duration::ZERO)) };
        let (begun, mut stopped) = (Instant::now(), false);
        // From when on, and who was in the way then: whoever comes later is not stuck yet.
        let (mut since, mut first) = (begun, blocked);
        let claimed = loop {
            let word = slots::announce_wait(self.stream.places_view.header());
            match self.claim() {
                Ok(slot) => break Some(slot),
                Err(still) => blocked = still,
            }
            let mut left = patience.saturating_sub(since.elapsed());
            if left.is_zero() && self.options.on_stuck == OnStuck::Evict && blocked.is_by_newcomers(first) {
                (since, first, left) = (Instant::now(), blocked, patience);
            }
            stopped = !left.is_zero() && stop.is_some_and(|stop| stop());
            if left.is_zero() || stopped {
                break None;
            }
            let slice = if stop.is_some() { left.min(STOP_SLICE) } else { left };
            let until = now_ns().saturating_add(slice.as_nanos() as u64);
            wait::sleep(&self.stream.places_view.header().release_futex, word, until);
        };
        slots::end_wait(self.stream.places_view.header());
        let (stats, waited) = (self.stream.frames_view.stats(), begun.elapsed());
        stats.waits.fetch_add(1, Relaxed);
        stats.waited_ns.fetch_add(waited.as_nanos() as u64, Relaxed);
        if let Some(slot) = claimed {
            return Ok(slot);
        }
        if stopped {
            return Err(LoanError::Stopped { stream: self.name.clone(), waited });
        }
        // Those who are stuck may be in each other's way: whoever is left refuses the frame.
        if self.evict(blocked, first, waited) != PlaceSet::default() {
            match self.claim() {
                Ok(slot) => return Ok(slot),
                Err(still) => blocked = still,
            }
        }
        Err(self.refuse(blocked, waited))
    }

    /// Waits no longer for lossless subscribers that are stuck, where the options say so; those that it was so with.
    fn evict(&mut self, blocked: Blocked, first: Blocked, waited: Duration) -> PlaceSet {
        let (OnStuck::Evict, Blocked::Unread(stuck), Blocked::Unread(first)) = (self.options.on_stuck, blocked, first)
        else {
            return PlaceSet::default();
        };
        let stuck = stuck.and(first);
        let view = &self.stream.frames_view;
        let places = self.stream.places_view.places();
        let behind: Vec<u64> = stuck.iter().map(|place| self.ledger.behind(&places[place])).collect();
        let evicted = self.ledger.evict(places, stuck);
        for (place, behind) in stuck.iter().zip(behind).filter(|(place, _)| evicted.contains(*place)) {
            view.stats().evicted.fetch_add(1, Relaxed);
            self.tell(Fate::Evicted { place, behind, waited });
        }
        self.evicted.extend(holders(places, self.stream.lease.set(), evicted.iter()));
        // Nobody may ever ask.
        self.evicted.drain(..self.evicted.len().saturating_sub(MAX_SUBSCRIBERS as usize));
        evicted
    }

    /// Lossless subscribers that were evicted since this was asked last, the newest 255: they kept the publisher waiting for longer
    /// than [`OnFull::Wait`] says.
    pub fn take_evicted(&mut self) -> Vec<PlaceHolder> {
        std::mem::take(&mut self.evicted)
    }

    /// Writes to the stream's trace, of the frame that is next.
    fn tell(&self, fate: Fate) {
        let event = Event { at_ns: now_ns(), sequence: self.ledger.next_sequence(), fate };
        self.stream.frames_view.events().write(event.encode());
    }

    /// Counts a refused frame, also against each place that was in the way.
    fn refuse(&mut self, blocked: Blocked, waited: Duration) -> LoanError {
        let view = &self.stream.frames_view;
        view.stats().refused.fetch_add(1, Relaxed);
        let (Blocked::Held(culprits) | Blocked::Unread(culprits)) = blocked;
        let (places, accounts, now) = (self.stream.places_view.places(), self.stream.places_view.accounts(), now_ns());
        let mut holders = holders(places, self.stream.lease.set(), culprits.iter());
        for holder in &mut holders {
            holder.held_ns = holding(view, &places[holder.place], &accounts[holder.place], now).1;
            if let Some(blame) = view.blame().get(holder.place) {
                let attached_ns = places[holder.place].counters.attached_ns.load(Relaxed);
                if blame.attached_ns.load(Relaxed) != attached_ns {
                    // It was another one's.
                    blame.refused.store(0, Relaxed);
                    blame.longest_held_ns.store(0, Relaxed);
                    blame.attached_ns.store(attached_ns, Relaxed);
                }
                blame.refused.fetch_add(1, Relaxed);
                let held_ns = holder.held_ns.unwrap_or(0);
                if held_ns > blame.longest_held_ns.load(Relaxed) {
                    blame.longest_held_ns.store(held_ns, Relaxed);
                }
            }
        }
        let stream = self.name.clone();
        let places_of = || culprits.iter().collect();
        match blocked {
            Blocked::Held(_) => {
                let held_ns = holders.iter().filter_map(|holder| holder.held_ns).max().unwrap_or(0);
                self.tell(Fate::Held { culprits: places_of(), held_ns, waited });
                LoanError::Held { stream, holders, waited }
            }
            Blocked::Unread(_) => {
                let behind = culprits.iter().map(|place| self.ledger.behind(&places[place])).max().unwrap_or(0);
                self.tell(Fate::Unread { culprits: places_of(), behind, waited });
                LoanError::Unread { stream, holders, waited }
            }
        }
    }

    /// How this process has the frames mapped: whether the kernel gave huge pages is seen here. For the start or a status
    /// line: it reads a file of the kernel's.
    ///
    /// # Errors
    /// `/proc/self/smaps` can not be read.
    pub fn memory(&self) -> std::io::Result<FramesMemory> {
        FramesMemory::of(&self.stream.frames)
    }

    /// Subscribers that are attached and ready. Asks the kernel. 0 in a forked child.
    pub fn subscribers(&self) -> usize {
        if !self.process.is_current() {
            return 0;
        }
        let dropped = self.stream.lease.set().dropped_places();
        let places = self.stream.places_view.places().iter().enumerate();
        let ready = |place: &Place| place.counters.attached_ns.load(Acquire) != 0;
        places.filter(|(index, place)| !dropped.contains(*index) && ready(place)).count()
    }

    /// Counts `frames` deadlines that were missed: the last frame was published `by` so much behind its own, and, where there are more,
    /// those after it were left out. Whoever keeps the rate knows.
    pub fn count_late(&mut self, frames: u64, by: Duration) {
        if frames > 0 && self.process.is_current() {
            self.stream.frames_view.stats().late.fetch_add(frames, Relaxed);
            let by_ns = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
            let (at_ns, sequence) = (now_ns(), self.ledger.next_sequence() - 1);
            let event = Event { at_ns, sequence, fate: Fate::Late { by_ns, frames } };
            self.stream.frames_view.events().write(event.encode());
        }
    }

    /// The publisher's counters, over all publishers of this epoch. All 0 in a forked child.
    pub fn counters(&self) -> PublisherCounters {
        if !self.process.is_current() {
            return PublisherCounters::default();
        }
        PublisherCounters::read(self.stream.frames_view.stats())
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        if self.process.is_current() && !self.options.persist {
            self.stream.close(&self.name);
        }
    }
}

/// What a frame of this content begins as.
fn template(content: &Content) -> FrameInfo {
    let mut info = FrameInfo { len: content.capacity_bytes() as u64, ..FrameInfo::default() };
    if let Content::Image(shape) = content {
        set_shape(&mut info, shape);
    }
    info
}

fn set_shape(info: &mut FrameInfo, shape: &ImageShape) {
    (info.width, info.height) = (shape.width(), shape.height());
    (info.stride_bytes, info.format) = (shape.stride_bytes(), shape.format().code());
    info.len = shape.frame_bytes() as u64;
}

/// What a stream's publishers have counted since it was made, or since the last of them took over with another geometry: it goes on where
/// a living publisher begins an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublisherCounters {
    /// Frames refused because no slot was free.
    pub refused: u64,
    /// Loans dropped without publishing.
    pub abandoned: u64,
    /// Frames behind their deadline, as told by [`Publisher::count_late`].
    pub late: u64,
    /// Times that a loan had to wait, with `on_full = "wait"`.
    pub waits: u64,
    /// How long in all, in ns.
    pub waited_ns: u64,
    /// Publishers of this epoch so far.
    pub publishers: u64,
    /// Lossless subscribers that were waited for in vain, and are no longer.
    pub evicted: u64,
}

impl PublisherCounters {
    pub(crate) fn read(stats: &PublisherStats) -> Self {
        Self {
            refused: stats.refused.load(Relaxed),
            abandoned: stats.abandoned.load(Relaxed),
            late: stats.late.load(Relaxed),
            waits: stats.waits.load(Relaxed),
            waited_ns: stats.waited_ns.load(Relaxed),
            publishers: stats.publishers.load(Relaxed),
            evicted: stats.evicted.load(Relaxed),
        }
    }
}
