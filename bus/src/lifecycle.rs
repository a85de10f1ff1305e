//! A stream's birth, take-over and end.
//!
//! **The publisher's lease is the lock of the whole life**: only who holds it creates, replaces, closes or removes
//! anything, and the kernel drops it when its holder dies.
//!
//! ```text
//! open:  leases (made where there are none) ── claim the publisher's ── look at the frames segment
//!          none                          → create
//!          ours, ready, same geometry    → take over: the next sequence, in the same segment
//!          ours, ready, other geometry   → new epoch: rehearse the creation, mark superseded, remove, create
//!          ours, superseded or closed    → its end was interrupted: remove, create
//!          ours, unfinished              → its creator died: remove, create
//!          anything else                 → error, nothing touched
//! create: frames segment ── header ── state CREATING ── remove old places ── places segment ── … ── state READY, last
//! close:  state CLOSED ── wake ── remove places ── remove frames ── remove the leases
//! resize: a living publisher's frames have outgrown their slots → new epoch, as above, under the lease that it holds
//! renew:  what is removed under a living publisher (ipcrm, logind's RemoveIPC, rm) is made anew, behind its last sequence
//! ```
//!
//! # Invariants
//!
//! * **L1** Everything above happens under the publisher's lease, of the set that is found by the stream's name.
//! * **L2** What is not provably ours and dead is never removed.
//! * **L3** Who reads a state other than READY uses nothing else of the segment.
//! * **L4** Sequences go on over epochs, whatever dies where: before the old header loses its key, the last sequence is
//!   in the old places segment; before that one is removed, it is in the new header.
//! * **L5** A failed open leaves what it found, and nothing that it made. (Where it fails between the end of one epoch and the
//!   next one's beginning, it leaves an unfinished segment that carries the last sequence: L4 comes first.)

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::call::{CallError, call};
use crate::error::{OpenError, Stranger, SystemError};
use crate::geometry::Geometry;
use crate::header::describe;
use crate::layout::*;
use crate::lease::{Holder, Lease, LeaseSet, Refused};
use crate::name::StreamName;
use crate::options::{Content, Prefault, StreamOptions};
use crate::process;
use crate::region::{self, Found, FoundPlaces, FramesView, PlacesView};
use crate::segment::{Part, WriteMapping};
use crate::site::{FoundLeases, Segment, Site};
use crate::slots::SlotLedger;
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::wait;
use crate::words::{MAX_SEQUENCE, NO_SLOT, pack};

/// How often an open starts again because others created and removed the stream meanwhile.
const ATTEMPTS: u32 = 100;

/// The last sequence that is believed of a places segment: half of all there are, 74,000 years at 60 Hz.
const MOST_CARRIED: u64 = MAX_SEQUENCE / 2;

/// How long an open waits for a lease that somebody holds, as `framebus gc` and `rm` do for a moment.
const MOMENT: Duration = Duration::from_millis(100);

/// A stream that this process publishes. Field order is drop order: the lease goes last.
pub(crate) struct OwnedStream {
    pub frames_view: FramesView,
    pub places_view: PlacesView,
    site: Site,
    frames_segment: Segment,
    places_segment: Segment,
    pub frames: WriteMapping,
    _places: WriteMapping,
    pub lease: Arc<Lease>,
}

/// Opens a stream for publishing: creates it, or takes it over from a dead publisher.
pub(crate) fn open(name: &StreamName, options: &StreamOptions) -> Result<OwnedStream, OpenError> {
    open_behind(name, options, 0)
}

/// As [`open`], where it is known that sequences up to `last` were used.
fn open_behind(name: &StreamName, options: &StreamOptions, last: u64) -> Result<OwnedStream, OpenError> {
    let geometry = geometry_of(name, options)?;
    let site = Site::of(&options.backend, name);
    let begun = Instant::now();
    let mut attempts = 0;
    while attempts < ATTEMPTS {
        attempts += 1;
        let Some(set) = open_leases(&site, name, options)? else { continue };
        match set.claim(Holder::Publisher) {
            Ok(lease) => {
                let (site, lease, cursors) = (site.clone(), Arc::new(lease), Vec::new());
                let opening = Opening { name, options, geometry, site: site.clone(), lease, cursors };
                // The lease is given back with the error. Whoever made the set may be gone, and we the last to know. (L5)
                return opening.run(last).inspect_err(|_| remove_unused_leases(name, &site, &set));
            }
            // By another publisher, or by who removes what a dead one left, which takes no time.
            Err(Refused::Held) if begun.elapsed() < MOMENT => {
                attempts -= 1;
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(Refused::Held) => {
                return Err(OpenError::Busy { stream: name.clone(), pid: set.holder_pid(Holder::Publisher) });
            }
            // Removed by a publisher that closed the stream between our two calls.
            Err(Refused::Gone) => {}
            Err(Refused::System(error)) => {
                return Err(CallError::at(format!("claiming the publisher's lease of stream {name}"))(error).into());
            }
        }
    }
    Err(OpenError::Restless { stream: name.clone(), attempts: ATTEMPTS })
}

/// The numbers that go with the options, if they go together.
fn geometry_of(name: &StreamName, options: &StreamOptions) -> Result<Geometry, OpenError> {
    if let Content::Record { type_name, .. } = &options.content
        && !(1..=63).contains(&type_name.len())
    {
        return Err(OpenError::TypeName { stream: name.clone(), found: type_name.clone() });
    }
    Geometry::of(options).map_err(|source| OpenError::Geometry { stream: name.clone(), source })
}

/// `None` where the place for them was removed between two of our calls.
fn open_leases(site: &Site, name: &StreamName, options: &StreamOptions) -> Result<Option<LeaseSet>, OpenError> {
    match site.prepare().and_then(|()| site.open_leases(options.mode)) {
        Ok(FoundLeases::Leases(set)) => Ok(Some(set)),
        Ok(FoundLeases::None) => Ok(None),
        Ok(FoundLeases::Foreign) => Err(OpenError::Stranger {
            stream: name.clone(),
            object: site.describe_leases(),
            stranger: Stranger::Foreign,
        }),
        // Not semget: its EINVAL is a limit of the kernel's, which does not pass.
        Err(error) if error.is_gone() && error.call != "semget" => Ok(None),
        Err(error) => Err(CallError::at(format!("opening the leases of stream {name}"))(error).into()),
    }
}

/// Removes the leases of a stream of which there is nothing else.
fn remove_unused_leases(name: &StreamName, site: &Site, set: &LeaseSet) {
    let Ok(_lease) = set.claim(Holder::Publisher) else { return };
    // What is a stranger's does not count. An empty segment's creator has leases of its own, or none any more.
    let find = |part| site.find(part).ok().flatten().and_then(|segment| segment.attach_read().ok());
    let frames = find(Part::Frames).map(|mapping| region::examine(&mapping, name));
    let places = find(Part::Places).map(|mapping| region::examine_places(&mapping, name));
    if matches!(frames, None | Some(Found::Stranger(_) | Found::Blank))
        && matches!(places, None | Some(FoundPlaces::Stranger(_) | FoundPlaces::Blank))
    {
        let _ = set.remove();
        site.clear();
    }
}

/// What an opener knows; it holds the lease. (L1)
struct Opening<'a> {
    name: &'a StreamName,
    options: &'a StreamOptions,
    geometry: Geometry,
    site: Site,
    lease: Arc<Lease>,
    /// By place: what the lossless subscribers of the epoch before want next.
    cursors: Vec<u64>,
}

impl Opening<'_> {
    fn failed(&self, action: &str) -> impl FnOnce(CallError) -> SystemError + use<> {
        CallError::at(format!("{action} stream {}", self.name))
    }

    fn stranger(&self, segment: &Segment, part: Part, stranger: Stranger) -> OpenError {
        OpenError::Stranger { stream: self.name.clone(), object: self.site.describe(segment, part), stranger }
    }

    fn run(self, last: u64) -> Result<OwnedStream, OpenError> {
        self.remove_trial()?;
        let Some(frames) = self.site.find(Part::Frames).map_err(self.failed("looking for"))? else {
            return self.create(last, None);
        };
        let mapping = frames.attach_read().map_err(self.failed("attaching"))?;
        let found = region::examine(&mapping, self.name);
        let base = region::read_header(&mapping).map(|header| header.base_sequence);
        // An unfinished header was not examined any further.
        let carried = base.filter(|base| *base <= MAX_SEQUENCE).unwrap_or(0).max(last);
        drop(mapping);
        match found {
            Found::Stranger(stranger) => Err(self.stranger(&frames, Part::Frames, stranger)),
            Found::Blank => {
                self.refuse_living_creator(&frames, Part::Frames)?;
                self.replace(&frames, last, None)
            }
            Found::Unfinished => {
                if carried > 0 {
                    // Its header may be all that knows the last sequence. (L4)
                    self.keep_sequence(carried, None)?;
                }
                self.replace(&frames, carried, None)
            }
            Found::Stream(header, geometry, state::READY) => {
                if header.describes_same(&self.header())
                    && header.leases_id == self.lease.set().number()
                    && let Some((segment, places)) = self.attach_places(&header)?
                {
                    let mapping = self.attach_frames(&frames)?;
                    // This process has page tables of its own, and what locked a file has died with its owner.
                    self.prepare_memory(&mapping, &frames)?;
                    return self.finish(frames, segment, mapping, places);
                }
                self.supersede(&frames, &header, geometry, last)
            }
            Found::Stream(header, geometry, state::SUPERSEDED) => self.supersede(&frames, &header, geometry, last),
            Found::Stream(header, ..) => self.replace(&frames, last, Some(header.places_id)),
        }
    }

    /// Removes a dead beginning or end of this stream, and creates it. `named` is the places segment in its header.
    fn replace(self, frames: &Segment, base_sequence: u64, named: Option<i32>) -> Result<OwnedStream, OpenError> {
        frames.remove().map_err(self.failed("removing the remains of"))?;
        self.create(base_sequence, named)
    }

    /// A segment without a single byte in it says nothing of its creator: it is removed only where that is dead. (L2)
    fn refuse_living_creator(&self, segment: &Segment, part: Part) -> Result<(), OpenError> {
        match living_creator(segment).map_err(self.failed("examining the empty segment of"))? {
            None => Ok(()),
            Some(pid) => {
                let (object, id) = (self.site.describe(segment, part), segment.number());
                let pid = Some(pid).filter(|&pid| pid != 0);
                Err(OpenError::Unfinished { stream: self.name.clone(), object, id, pid })
            }
        }
    }

    /// The places segment that a header names, where it is still found by the stream's name.
    fn attach_places(&self, header: &FramesHeader) -> Result<Option<(Segment, WriteMapping)>, OpenError> {
        let found = self.site.find(Part::Places).map_err(self.failed("looking for the places of"))?;
        let Some(places) = found.filter(|places| places.number() == header.places_id) else { return Ok(None) };
        let intact = places.attach_read().is_ok_and(|mapping| {
            matches!(region::examine_places(&mapping, self.name), FoundPlaces::Ours(cookie) if cookie == header.cookie)
                && mapping.bytes() as u64 >= header.places_bytes
        });
        if !intact {
            return Ok(None);
        }
        let mapping = places.attach_write().map_err(self.failed("attaching the places of"))?;
        Ok(Some((places, mapping)))
    }

    /// Ends an epoch whose publisher is dead, and begins the next one behind its last sequence. (L4)
    fn supersede(
        mut self,
        frames: &Segment,
        header: &FramesHeader,
        geometry: Geometry,
        last: u64,
    ) -> Result<OwnedStream, OpenError> {
        self.rehearse()?;
        let mapping = frames.attach_write().map_err(self.failed("attaching"))?;
        let view = FramesView::of(&mapping, geometry);
        // Completes what the dead publisher began, so that no sequence which somebody has seen is used again.
        let ledger = SlotLedger::recover(view.words(), geometry.max_held, false);
        let last = last.max(ledger.next_sequence() - 1);
        if self.cursors.is_empty()
            && header.leases_id == self.lease.set().number()
            && let Ok(Some((_, places))) = self.attach_places(header)
        {
            // Of a dead publisher's; who reads every frame has its place still.
            self.cursors = cursors(&PlacesView::of(&places, &geometry));
        }
        if last > 0 {
            self.keep_sequence(last, Some(header.places_id))?;
        }
        end_epoch(&mapping, view, state::SUPERSEDED);
        self.replace(frames, last, Some(header.places_id))
    }

    /// Notes the last sequence in the places segment that is found by the stream's name, and makes one where there is none:
    /// from here on, whoever begins an epoch finds it there. (L4)
    fn keep_sequence(&self, last: u64, named: Option<i32>) -> Result<(), OpenError> {
        let (places, carried, made) = match self.leftover_places(named)? {
            Some((places, carried)) => (places, carried, false),
            None => (self.make(Part::Places).map_err(self.failed("creating the places of"))?, 0, true),
        };
        let mapping = places.attach_write().map_err(self.failed("attaching the places of"))?;
        // The word is there before the names: who finds the names finds it too.
        region::carry_sequence(&mapping, last.max(carried));
        if made {
            region::write_places_header(&mapping, &self.geometry, [0; 16], self.name);
        }
        Ok(())
    }

    /// Whether the new epoch's memory can be had: the old one has to go first, because both have the same name, and it must
    /// not go for nothing. (L5)
    fn rehearse(&self) -> Result<(), OpenError> {
        let bytes = self.geometry.frames_bytes;
        let trial =
            self.make(Part::Trial).map_err(self.failed(&format!("creating the new frames ({bytes} bytes) of")))?;
        let attached = trial.attach_write();
        let locked = match &attached {
            Ok(mapping) if self.options.lock => self.lock(&trial, mapping),
            _ => Ok(()),
        };
        trial.remove().map_err(self.failed("removing the trial of"))?;
        attached.map_err(self.failed("attaching the new frames of"))?;
        locked
    }

    /// Removes what a rehearsal left whose process was killed in it.
    fn remove_trial(&self) -> Result<(), OpenError> {
        let Some(trial) = self.site.find(Part::Trial).map_err(self.failed("looking for a trial of"))? else {
            return Ok(());
        };
        if is_blank(&trial) && self.refuse_living_creator(&trial, Part::Trial).is_ok() {
            trial.remove().map_err(self.failed("removing an old trial of"))?;
        }
        Ok(())
    }

    fn header(&self) -> FramesHeader {
        describe(self.name, self.options, &self.geometry)
    }

    /// Makes a segment, of the size and with the access that it is to have.
    fn make(&self, part: Part) -> Result<Segment, CallError> {
        let StreamOptions { mode, group, .. } = *self.options;
        let (bytes, mode) = match part {
            Part::Places => (self.geometry.places_bytes, mode),
            Part::Frames | Part::Trial => (self.geometry.frames_bytes, frames_mode(mode)),
        };
        self.site.create(part, bytes, mode, group)
    }

    fn create(self, base_sequence: u64, named: Option<i32>) -> Result<OwnedStream, OpenError> {
        let leftover = self.leftover_places(named)?;
        let carried = leftover.as_ref().map_or(0, |(_, carried)| *carried);
        let bytes = self.geometry.frames_bytes;
        let frames_segment =
            self.make(Part::Frames).map_err(self.failed(&format!("creating the frames ({bytes} bytes) of")))?;
        // Declared before what was made, so given back behind it. (L1)
        let _lease = self.lease.clone();
        let mut made = Made(vec![frames_segment.clone()]);
        let frames = self.attach_frames(&frames_segment)?;
        let mut header = self.header();
        header.cookie = random_cookie().map_err(self.failed("making a cookie for"))?;
        header.leases_id = self.lease.set().number();
        header.base_sequence = base_sequence.max(carried);
        header.created_unix_ns = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64);
        header.creator_pid = std::process::id();
        region::write_header(&frames, &header);
        region::set_state(&frames, state::CREATING);

        if let Some((old, _)) = leftover {
            old.remove().map_err(self.failed("removing the old places of"))?;
            if header.base_sequence > 0 {
                // From here on, nothing but the new header knows the last sequence: it stays, whatever fails. (L4)
                made.0.clear();
            }
        }
        let places_segment = self.make(Part::Places).map_err(self.failed("creating the places of"))?;
        made.0.push(places_segment.clone());
        let places = places_segment.attach_write().map_err(self.failed("attaching the places of"))?;
        region::write_places_header(&places, &self.geometry, header.cookie, self.name);
        // So they are waited for until they have moved here, or until they are dead, or evicted.
        for (place, cursor) in PlacesView::of(&places, &self.geometry).places().iter().zip(&self.cursors) {
            place.cursor.store(*cursor, Relaxed);
        }
        header.places_id = places_segment.number();
        region::write_header(&frames, &header);
        let view = FramesView::of(&frames, self.geometry);
        view.words().control.latest.store(pack(header.base_sequence, NO_SLOT), Release);
        self.prepare_memory(&frames, &frames_segment)?;
        let stream = self.finish(frames_segment, places_segment, frames, places)?;
        // Last of all: from here on, others use it. (L3)
        region::set_state(&stream.frames, state::READY);
        made.0.clear();
        Ok(stream)
    }

    /// The places segment that an earlier epoch, or a creator that died, left, with the sequence that it carries over.
    ///
    /// Every subscriber may write there. The one that the old header named is ours whatever stands in it now, and that
    /// header's own last sequence is known.
    fn leftover_places(&self, named: Option<i32>) -> Result<Option<(Segment, u64)>, OpenError> {
        let Some(places) = self.site.find(Part::Places).map_err(self.failed("looking for the places of"))? else {
            return Ok(None);
        };
        if named == Some(places.number()) {
            return Ok(Some((places, 0)));
        }
        let mapping = places.attach_read().map_err(self.failed("attaching the places of"))?;
        let found = region::examine_places(&mapping, self.name);
        // Anybody may have written this one: it must leave the stream numbers to go on with.
        let carried = Some(region::carried_sequence(&mapping)).filter(|&carried| carried <= MOST_CARRIED).unwrap_or(0);
        drop(mapping);
        match found {
            FoundPlaces::Ours(_) => Ok(Some((places, carried))),
            FoundPlaces::Blank => self.refuse_living_creator(&places, Part::Places).map(|()| Some((places, carried))),
            FoundPlaces::Stranger(stranger) => Err(self.stranger(&places, Part::Places, stranger)),
        }
    }

    /// Attaches the frames that will be published.
    fn attach_frames(&self, frames: &Segment) -> Result<WriteMapping, OpenError> {
        let attached = if self.options.huge_pages { frames.attach_write_huge() } else { frames.attach_write() };
        Ok(attached.map_err(self.failed("attaching"))?)
    }

    /// Gives the frames the memory that is asked for, and maps it here. Subscribers may be reading what is there.
    fn prepare_memory(&self, frames: &WriteMapping, segment: &Segment) -> Result<(), OpenError> {
        let StreamOptions { prefault, huge_pages, lock, .. } = *self.options;
        let wanted = self.geometry.prefaulted(prefault);
        if huge_pages {
            let now = if prefault == Prefault::Off { 0..0 } else { wanted.clone() };
            frames.use_huge_pages(now);
        }
        frames.populate(wanted);
        if lock {
            self.lock(segment, frames)?;
        }
        Ok(())
    }

    fn lock(&self, segment: &Segment, frames: &WriteMapping) -> Result<(), OpenError> {
        let action = format!("locking the memory ({} bytes) of", self.geometry.frames_bytes);
        Ok(segment.lock(frames).map_err(self.failed(&action))?)
    }

    /// Sets the access rights, says who publishes, and hands everything over.
    fn finish(
        self,
        frames_segment: Segment,
        places_segment: Segment,
        frames: WriteMapping,
        places: WriteMapping,
    ) -> Result<OwnedStream, OpenError> {
        let (mode, group) = (self.options.mode, self.options.group);
        for (segment, mode) in [(&frames_segment, frames_mode(mode)), (&places_segment, mode)] {
            segment.set_access(mode, group).map_err(self.failed("setting mode and group of"))?;
        }
        self.lease.set().set_access(mode, group).map_err(self.failed("setting mode and group of"))?;
        // Accounts take memory when they are used.
        places.populate(0..self.geometry.accounts_offset);
        let frames_view = FramesView::of(&frames, self.geometry);
        let places_view = PlacesView::of(&places, &self.geometry);
        frames_view.stats().publishers.fetch_add(1, Relaxed);
        frames_view.stats().pid.store(std::process::id(), Relaxed);
        frames_view.stats().persists.store(self.options.persist.into(), Relaxed);
        let Self { site, lease, .. } = self;
        Ok(OwnedStream {
            frames_view,
            places_view,
            site,
            frames_segment,
            places_segment,
            frames,
            _places: places,
            lease,
        })
    }
}

/// The creator of an empty segment, or 0, unless it is provably dead and nobody uses the segment.
pub(crate) fn living_creator(segment: &Segment) -> Result<Option<u32>, CallError> {
    if let Segment::File(_) = segment {
        // Files of this name are only made under the lease, which the caller holds.
        return Ok(None);
    }
    let mut status = segment.status()?;
    // Subscribers that look for the stream attach it for a moment.
    for _ in 0..100 {
        if status.attached == 0 {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
        status = segment.status()?;
    }
    let dead = status.creator_pid == std::process::id() || process::is_dead(status.creator_pid);
    let unused = dead && status.attached == 0 && status.uid == process::effective_uid();
    Ok((!unused).then_some(status.creator_pid))
}

/// Whether a trial segment is one: nothing is ever written there.
fn is_blank(trial: &Segment) -> bool {
    trial.attach_read().is_ok_and(|mapping| region::is_blank(&mapping))
}

/// Marks an epoch as ended, and wakes whoever waits for its next frame.
fn end_epoch(frames: &WriteMapping, view: FramesView, state: u32) {
    region::set_state(frames, state);
    let futex = &view.words().control.futex;
    futex.fetch_add(1, Release);
    wait::wake_all(futex);
}

/// By place: what a lossless subscriber wants next.
fn cursors(places: &PlacesView) -> Vec<u64> {
    places.places().iter().map(|place| place.cursor.load(Acquire)).collect()
}

/// Segments that go again unless the creation succeeds. (L5)
struct Made(Vec<Segment>);

impl Drop for Made {
    fn drop(&mut self) {
        for segment in self.0.drain(..) {
            let _ = segment.remove();
        }
    }
}

/// Subscribers only read the frames, so nobody but the owner may write them, whatever the mode of the rest.
fn frames_mode(mode: u32) -> u32 {
    mode & !0o022
}

fn random_cookie() -> Result<[u8; 16], CallError> {
    let mut cookie = [0_u8; 16];
    call("read(/dev/urandom)", || std::fs::File::open("/dev/urandom")?.read_exact(&mut cookie))?;
    Ok(cookie)
}

impl OwnedStream {
    /// Ends the stream: subscribers are told, and everything is removed; what they hold stays readable to them.
    pub(crate) fn close(&self, name: &StreamName) {
        end_epoch(&self.frames, self.frames_view, state::CLOSED);
        // Found anew: should somebody have removed ours and made others, those are not ours to remove.
        for (part, own) in [(Part::Places, &self.places_segment), (Part::Frames, &self.frames_segment)] {
            match self.site.find(part) {
                Ok(Some(found)) if found == *own => drop(own.remove()),
                Ok(Some(found)) if self.is_remains(&found, part, name) => drop(found.remove()),
                _ => {}
            }
        }
        // Last: until then, nobody else can have begun a new stream of the name.
        if self.lease.set().exists() {
            let _ = self.lease.set().remove();
        }
        self.site.clear();
    }

    /// Whether it is what a failed renewal of ours left, to carry the sequence on: nobody else can be at work on it, as we hold the
    /// lease. (L1)
    fn is_remains(&self, segment: &Segment, part: Part, name: &StreamName) -> bool {
        self.lease.set().exists()
            && segment.attach_read().is_ok_and(|mapping| match part {
                Part::Frames => matches!(region::examine(&mapping, name), Found::Unfinished),
                _ => matches!(region::examine_places(&mapping, name), FoundPlaces::Ours(_)),
            })
    }

    /// Whether lease and segments are still found by the stream's name. A few system calls.
    pub(crate) fn is_intact(&self) -> bool {
        let still = |part, own: &Segment| match self.site.find(part) {
            Ok(found) => found.as_ref() == Some(own),
            // The kernel does not say.
            Err(_) => true,
        };
        self.lease.set().exists()
            && still(Part::Frames, &self.frames_segment)
            && still(Part::Places, &self.places_segment)
    }

    /// Begins a new epoch behind `last`: of another size, or in the place of one that is not intact any more, as somebody has
    /// removed its leases, or a segment. This one is over then, and its subscribers move.
    ///
    /// # Errors
    /// This epoch goes on, if it is still [intact](Self::is_intact).
    pub(crate) fn renew(&self, name: &StreamName, options: &StreamOptions, last: u64) -> Result<Self, OpenError> {
        let renewed = if self.lease.set().exists() {
            let geometry = geometry_of(name, options)?;
            let (site, lease) = (self.site.clone(), self.lease.clone());
            let cursors = cursors(&self.places_view);
            let opening = Opening { name, options, geometry, site, lease, cursors };
            // Should this process die here, a successor finds the sequence. (L4)
            opening.keep_sequence(last, Some(self.places_segment.number())).and_then(|()| opening.run(last))
        } else {
            open_behind(name, options, last)
        };
        let found = self.site.find(Part::Frames);
        if renewed.is_ok() || found.is_ok_and(|found| found.as_ref() != Some(&self.frames_segment)) {
            // Whether it is ours or another publisher's that goes on: nothing more comes in this one.
            end_epoch(&self.frames, self.frames_view, state::SUPERSEDED);
        }
        renewed
    }
}

/// Ends whatever epoch is in a segment of this stream, and removes the segment. Under the lease. (L1)
///
/// Returns the places segment that its header names.
pub(crate) fn end(name: &StreamName, frames: &Segment) -> Result<Option<i32>, CallError> {
    let mapping = frames.attach_read()?;
    let mut named = None;
    if let Found::Stream(header, geometry, _) = region::examine(&mapping, name) {
        let frames = frames.attach_write()?;
        end_epoch(&frames, FramesView::of(&frames, geometry), state::CLOSED);
        named = Some(header.places_id);
    }
    frames.remove()?;
    Ok(named)
}

/// Removes the stream's places segment and what a rehearsal left, where there are some. Under the lease, and after the
/// frames, whose header `named` the places. (L1)
pub(crate) fn remove_rest(site: &Site, name: &StreamName, named: Option<i32>) -> Result<(), CallError> {
    if let Some(trial) = site.find(Part::Trial)?
        && is_blank(&trial)
        && living_creator(&trial)?.is_none()
    {
        trial.remove()?;
    }
    let Some(places) = site.find(Part::Places)? else { return Ok(()) };
    if named == Some(places.number()) {
        // Whatever its subscribers have written there.
        return places.remove();
    }
    let found = region::examine_places(&places.attach_read()?, name);
    match found {
        FoundPlaces::Ours(_) => places.remove(),
        FoundPlaces::Blank if living_creator(&places)?.is_none() => places.remove(),
        _ => Ok(()),
    }
}
