//! A stream's birth, take-over and end.
//!
//! **The publisher's lease is the lock of the whole life**: only who holds it creates, replaces, closes or removes
//! anything, and the kernel drops it when its holder dies.
//!
//! ```text
//! open:  semaphore set (made where there is none) ── claim semaphore 0 ── look at the segment under the key
//!          none                          → create
//!          ours, ready, same geometry    → take over: the next sequence, in the same segment
//!          ours, ready, other geometry   → new epoch: rehearse the creation, mark superseded, remove, create
//!          ours, superseded or closed    → its end was interrupted: remove, create
//!          ours, unfinished              → its creator died: remove, create
//!          anything else                 → error, nothing touched
//! create: frames segment ── header ── state CREATING ── remove old places ── places segment ── … ── state READY, last
//! close:  state CLOSED ── wake ── remove places ── remove frames ── remove the set
//! ```
//!
//! # Invariants
//!
//! * **L1** Everything above happens under semaphore 0 of the set that is under the key.
//! * **L2** What is not provably ours and dead is never removed.
//! * **L3** Who reads a state other than READY uses nothing else of the segment.
//! * **L4** Sequences go on over epochs, whatever dies where: before the old header loses its key, the last sequence is
//!   in the old places segment; before that one is removed, it is in the new header.
//! * **L5** A failed open leaves what it found, and nothing that it made.

use std::io::Read;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::{OpenError, Stranger, SystemError};
use crate::format::ImageShape;
use crate::geometry::Geometry;
use crate::layout::*;
use crate::lease::{Holder, Lease, LeaseSet, Refused, SEMAPHORES};
use crate::name::StreamName;
use crate::options::{Content, OnFull, Prefault, StreamOptions};
use crate::process;
use crate::region::{self, Found, FoundPlaces, FramesView, PlacesView};
use crate::segment::WriteMapping;
use crate::segment::sysv::{self, SegmentId};
use crate::slots::SlotLedger;
use crate::sync::Ordering::{Relaxed, Release};
use crate::wait;
use crate::words::{NO_SLOT, pack};

/// How often an open starts again because others created and removed the stream meanwhile.
const ATTEMPTS: u32 = 100;

/// A stream that this process publishes. Field order is drop order: the lease goes last.
pub(crate) struct OwnedStream {
    pub frames_view: FramesView,
    pub places_view: PlacesView,
    pub frames_id: SegmentId,
    places_id: SegmentId,
    pub frames: WriteMapping,
    _places: WriteMapping,
    pub lease: Lease,
}

/// Opens a stream for publishing: creates it, or takes it over from a dead publisher.
pub(crate) fn open(name: &StreamName, options: &StreamOptions) -> Result<OwnedStream, OpenError> {
    let geometry = Geometry::of(options).map_err(|source| OpenError::Geometry { stream: name.clone(), source })?;
    if let Content::Record { type_name, .. } = &options.content
        && !(1..=63).contains(&type_name.len())
    {
        return Err(OpenError::TypeName { stream: name.clone(), found: type_name.clone() });
    }
    for _ in 0..ATTEMPTS {
        let (set, created) = open_set(name, options)?;
        match set.claim(Holder::Publisher) {
            Ok(lease) => {
                return Opening { name, options, geometry, lease }.run().inspect_err(|_| {
                    // The lease was given back with the error. (L5)
                    if created {
                        remove_empty_set(name, set);
                    }
                });
            }
            Err(Refused::Held) => {
                return Err(OpenError::Busy { stream: name.clone(), pid: set.holder_pid(Holder::Publisher) });
            }
            // Removed by a publisher that closed the stream between our two calls.
            Err(Refused::Gone) => {}
            Err(Refused::System(source)) => {
                let action = format!("claiming the publisher's lease of stream {name}");
                return Err(SystemError { action, call: "semop", source }.into());
            }
        }
    }
    Err(OpenError::Restless { stream: name.clone(), attempts: ATTEMPTS })
}

fn open_set(name: &StreamName, options: &StreamOptions) -> Result<(LeaseSet, bool), OpenError> {
    let key = name.key();
    let foreign = || OpenError::Stranger {
        stream: name.clone(),
        object: "semaphore set".to_owned(),
        key,
        stranger: Stranger::Foreign,
    };
    let failed = |call| SystemError::new(call, format!("opening the semaphore set of stream {name}"));
    let (set, created) = match LeaseSet::open_or_create(key, options.mode) {
        Ok(found) => found,
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => return Err(foreign()),
        Err(error) => return Err(failed("semget")(error).into()),
    };
    match set.size() {
        Ok(size) if size != SEMAPHORES as usize => Err(foreign()),
        Err(error) if error.raw_os_error() == Some(libc::EACCES) => Err(failed("semctl")(error).into()),
        // Gone again, perhaps: the claim will notice.
        _ => Ok((set, created)),
    }
}

/// Removes a set that this process created for a stream that it then could not open.
fn remove_empty_set(name: &StreamName, set: LeaseSet) {
    if let Ok(_lease) = set.claim(Holder::Publisher) {
        let used = sysv::find(name.key()).ok().flatten().is_some_and(|id| {
            sysv::attach_read(id).is_ok_and(|mapping| !matches!(region::examine(&mapping, name), Found::Stranger(_)))
        });
        if !used {
            let _ = set.remove();
        }
    }
}

/// What an opener knows; it holds the lease. (L1)
struct Opening<'a> {
    name: &'a StreamName,
    options: &'a StreamOptions,
    geometry: Geometry,
    lease: Lease,
}

impl Opening<'_> {
    fn failed(&self, call: &'static str, action: &str) -> impl FnOnce(std::io::Error) -> SystemError + use<> {
        SystemError::new(call, format!("{action} stream {}", self.name))
    }

    fn stranger(&self, id: SegmentId, key: i32, stranger: Stranger) -> OpenError {
        OpenError::Stranger { stream: self.name.clone(), object: format!("segment (id {})", id.0), key, stranger }
    }

    fn run(self) -> Result<OwnedStream, OpenError> {
        let Some(id) = sysv::find(self.name.key()).map_err(self.failed("shmget", "looking for"))? else {
            return self.create(0);
        };
        let mapping = sysv::attach_read(id).map_err(self.failed("shmat", "attaching"))?;
        let found = region::examine(&mapping, self.name);
        let carried = region::read_header(&mapping).map_or(0, |header| header.base_sequence);
        drop(mapping);
        match found {
            Found::Stranger(stranger) => Err(self.stranger(id, self.name.key(), stranger)),
            Found::Blank => {
                self.refuse_living_creator(id)?;
                self.replace(id, 0)
            }
            Found::Unfinished => self.replace(id, carried),
            Found::Stream(header, geometry, state::READY) => {
                if header.describes_same(&self.header())
                    && header.leases_id == self.lease.set().id()
                    && let Some(places) = self.attach_places(&header)?
                {
                    let frames = sysv::attach_write(id).map_err(self.failed("shmat", "attaching"))?;
                    return self.finish(id, SegmentId(header.places_id), frames, places);
                }
                self.supersede(id, &header, geometry)
            }
            Found::Stream(header, geometry, state::SUPERSEDED) => self.supersede(id, &header, geometry),
            Found::Stream(..) => self.replace(id, 0),
        }
    }

    /// Removes a dead beginning or end of this stream, and creates it.
    fn replace(self, id: SegmentId, base_sequence: u64) -> Result<OwnedStream, OpenError> {
        sysv::remove(id).map_err(self.failed("shmctl", "removing the remains of"))?;
        self.create(base_sequence)
    }

    /// A segment without a single byte in it says nothing of its creator: it is removed only where that is dead. (L2)
    fn refuse_living_creator(&self, id: SegmentId) -> Result<(), OpenError> {
        let read = || sysv::status(id).map_err(self.failed("shmctl", "examining the empty segment of"));
        let mut status = read()?;
        // Subscribers that look for the stream attach it for a moment.
        for _ in 0..100 {
            if status.attached == 0 {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
            status = read()?;
        }
        let dead = status.creator_pid == std::process::id() || process::is_dead(status.creator_pid);
        if dead && status.attached == 0 && status.uid == process::effective_uid() {
            return Ok(());
        }
        let pid = Some(status.creator_pid).filter(|&pid| pid != 0);
        Err(OpenError::Unfinished { stream: self.name.clone(), key: self.name.key(), id: id.0, pid })
    }

    /// The places segment that a header names; `None` where it is gone or another.
    fn attach_places(&self, header: &FramesHeader) -> Result<Option<WriteMapping>, OpenError> {
        let id = SegmentId(header.places_id);
        let intact = sysv::attach_read(id).is_ok_and(|places| {
            matches!(region::examine_places(&places, self.name), FoundPlaces::Ours(cookie) if cookie == header.cookie)
                && places.bytes() as u64 >= header.places_bytes
        });
        if !intact {
            return Ok(None);
        }
        Ok(Some(sysv::attach_write(id).map_err(self.failed("shmat", "attaching the places of"))?))
    }

    /// Ends an epoch whose publisher is dead, and begins the next one behind its last sequence. (L4)
    fn supersede(self, id: SegmentId, header: &FramesHeader, geometry: Geometry) -> Result<OwnedStream, OpenError> {
        self.rehearse()?;
        let frames = sysv::attach_write(id).map_err(self.failed("shmat", "attaching"))?;
        let view = FramesView::of(&frames, geometry);
        // Completes what the dead publisher began, so that no sequence which somebody has seen is used again.
        let last = SlotLedger::recover(view.words(), geometry.max_held, false).next_sequence() - 1;
        if let Some(places) = self.attach_places(header)? {
            region::carry_sequence(&places, last);
        }
        end_epoch(&frames, view, state::SUPERSEDED);
        self.replace(id, last)
    }

    /// Whether the new epoch's memory can be had: the old one has to go first, because both have the same key, and it must
    /// not go for nothing. (L5)
    ///
    fn rehearse(&self) -> Result<(), OpenError> {
        let bytes = self.geometry.frames_bytes;
        let created = sysv::create(libc::IPC_PRIVATE, bytes, frames_mode(self.options.mode));
        let id = created.map_err(self.failed("shmget", &format!("creating the new frames ({bytes} bytes) of")))?;
        let attached = sysv::attach_write(id);
        let locked = if self.options.lock && attached.is_ok() { sysv::lock(id) } else { Ok(()) };
        sysv::remove(id).map_err(self.failed("shmctl", "removing the trial of"))?;
        attached.map_err(self.failed("shmat", "attaching the new frames of"))?;
        Ok(locked.map_err(self.failed("shmctl(SHM_LOCK)", "locking the memory of"))?)
    }

    fn header(&self) -> FramesHeader {
        describe(self.name, self.options, &self.geometry)
    }

    fn create(self, base_sequence: u64) -> Result<OwnedStream, OpenError> {
        let (key, places_key) = (self.name.key(), self.name.places_key());
        let leftover = self.leftover_places()?;
        let carried = leftover.map_or(0, |(_, carried)| carried);
        let bytes = self.geometry.frames_bytes;
        let created = sysv::create(key, bytes, frames_mode(self.options.mode));
        let frames_id = created.map_err(self.failed("shmget", &format!("creating the frames ({bytes} bytes) of")))?;
        let mut made = Made(vec![frames_id]);
        let frames = sysv::attach_write(frames_id).map_err(self.failed("shmat", "attaching"))?;
        let mut header = self.header();
        header.cookie = random_cookie().map_err(self.failed("read(/dev/urandom)", "making a cookie for"))?;
        header.leases_id = self.lease.set().id();
        header.base_sequence = base_sequence.max(carried);
        header.created_unix_ns = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64);
        header.creator_pid = std::process::id();
        region::write_header(&frames, &header);
        region::set_state(&frames, state::CREATING);

        if let Some((id, _)) = leftover {
            sysv::remove(id).map_err(self.failed("shmctl", "removing the old places of"))?;
        }
        let created = sysv::create(places_key, self.geometry.places_bytes, self.options.mode);
        let places_id = created.map_err(self.failed("shmget", "creating the places of"))?;
        made.0.push(places_id);
        let places = sysv::attach_write(places_id).map_err(self.failed("shmat", "attaching the places of"))?;
        region::write_places_header(&places, &self.geometry, header.cookie, self.name);
        header.places_id = places_id.0;
        region::write_header(&frames, &header);
        let view = FramesView::of(&frames, self.geometry);
        view.words().control.latest.store(pack(header.base_sequence, NO_SLOT), Release);
        self.prepare_memory(&frames, frames_id)?;
        let stream = self.finish(frames_id, places_id, frames, places)?;
        // Last of all: from here on, others use it. (L3)
        region::set_state(&stream.frames, state::READY);
        made.0.clear();
        Ok(stream)
    }

    /// The places segment that an earlier epoch, or a creator that died, left under the key, with the sequence that it
    /// carries over.
    fn leftover_places(&self) -> Result<Option<(SegmentId, u64)>, OpenError> {
        let key = self.name.places_key();
        let Some(id) = sysv::find(key).map_err(self.failed("shmget", "looking for the places of"))? else {
            return Ok(None);
        };
        let mapping = sysv::attach_read(id).map_err(self.failed("shmat", "attaching the places of"))?;
        let found = region::examine_places(&mapping, self.name);
        let carried = region::carried_sequence(&mapping);
        drop(mapping);
        match found {
            FoundPlaces::Ours(_) => Ok(Some((id, carried))),
            FoundPlaces::Blank => self.refuse_living_creator(id).map(|()| Some((id, 0))),
            FoundPlaces::Stranger(stranger) => Err(self.stranger(id, key, stranger)),
        }
    }

    fn prepare_memory(&self, frames: &WriteMapping, id: SegmentId) -> Result<(), OpenError> {
        let slots = match self.options.prefault {
            Prefault::Off => 0,
            Prefault::Warm => self.geometry.warm_slots(),
            Prefault::All => self.geometry.slots,
        };
        let payload = self.geometry.payload_offset..self.geometry.payload_offset + slots * self.geometry.slot_stride;
        if self.options.huge_pages {
            frames.use_huge_pages(payload.clone());
        }
        if slots > 0 {
            frames.populate(0..payload.end);
        }
        if self.options.lock {
            sysv::lock(id).map_err(self.failed("shmctl(SHM_LOCK)", "locking the memory of"))?;
        }
        Ok(())
    }

    /// Sets the access rights, says who publishes, and hands everything over.
    fn finish(
        self,
        frames_id: SegmentId,
        places_id: SegmentId,
        frames: WriteMapping,
        places: WriteMapping,
    ) -> Result<OwnedStream, OpenError> {
        let (mode, group) = (self.options.mode, self.options.group);
        for (id, mode) in [(frames_id, frames_mode(mode)), (places_id, mode)] {
            sysv::set_access(id, mode, group).map_err(self.failed("shmctl", "setting mode and group of"))?;
        }
        self.lease.set().set_access(mode, group).map_err(self.failed("semctl", "setting mode and group of"))?;
        let frames_view = FramesView::of(&frames, self.geometry);
        let places_view = PlacesView::of(&places, &self.geometry);
        frames_view.stats().publishers.fetch_add(1, Relaxed);
        frames_view.stats().pid.store(std::process::id(), Relaxed);
        Ok(OwnedStream { frames_view, places_view, frames_id, places_id, frames, _places: places, lease: self.lease })
    }
}

/// Marks an epoch as ended, and wakes whoever waits for its next frame.
fn end_epoch(frames: &WriteMapping, view: FramesView, state: u32) {
    region::set_state(frames, state);
    let futex = &view.words().control.futex;
    futex.fetch_add(1, Release);
    wait::wake_all(futex);
}

/// Segments that go again unless the creation succeeds. (L5)
struct Made(Vec<SegmentId>);

impl Drop for Made {
    fn drop(&mut self) {
        for id in self.0.drain(..) {
            let _ = sysv::remove(id);
        }
    }
}

/// Subscribers only read the frames, so nobody but the owner may write them, whatever the mode of the rest.
fn frames_mode(mode: u32) -> u32 {
    mode & !0o022
}

fn random_cookie() -> std::io::Result<[u8; 16]> {
    let mut cookie = [0_u8; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut cookie)?;
    Ok(cookie)
}

/// The header that goes with the options, but for what is one epoch's own.
fn describe(name: &StreamName, options: &StreamOptions, geometry: &Geometry) -> FramesHeader {
    let flag = |set: bool, bit: u32| if set { bit } else { 0 };
    let shape = if let Content::Image(shape) = &options.content { Some(shape) } else { None };
    let type_name = if let Content::Record { type_name, .. } = &options.content { type_name } else { "" };
    FramesHeader {
        magic: FRAMES_MAGIC,
        abi_version: ABI_VERSION,
        byte_order: BYTE_ORDER,
        total_bytes: geometry.frames_bytes as u64,
        cookie: [0; 16],
        bus: region::text(name.bus()),
        stream: region::text(name.stream()),
        slots: geometry.slots as u32,
        history: geometry.history as u32,
        max_subscribers: geometry.max_subscribers as u32,
        max_held: geometry.max_held as u32,
        slot_capacity_bytes: geometry.slot_capacity as u64,
        slot_stride_bytes: geometry.slot_stride as u64,
        window_offset: WINDOW_OFFSET as u64,
        blame_offset: geometry.blame_offset as u64,
        records_offset: geometry.records_offset as u64,
        payload_offset: geometry.payload_offset as u64,
        places_id: 0,
        leases_id: 0,
        places_bytes: geometry.places_bytes as u64,
        content: options.content.code(),
        flags: flag(matches!(options.on_full, OnFull::Wait(_)), flags::WAITS)
            | flag(options.prefault != Prefault::Off, flags::PREFAULT)
            | flag(options.huge_pages, flags::HUGE_PAGES),
        rate_numerator: options.rate.map_or(0, |rate| rate.numerator()),
        rate_denominator: options.rate.map_or(1, |rate| rate.denominator()),
        width: shape.map_or(0, ImageShape::width),
        height: shape.map_or(0, ImageShape::height),
        format: shape.map_or(0, |shape| shape.format().code()),
        stride_bytes: shape.map_or(0, ImageShape::stride_bytes),
        type_name: region::text(type_name),
        base_sequence: 0,
        created_unix_ns: 0,
        creator_pid: 0,
        reserved: 0,
    }
}

impl FramesHeader {
    /// Whether both describe a stream of the same content, geometry and rate.
    fn describes_same(&self, other: &FramesHeader) -> bool {
        let mut own = *self;
        (own.cookie, own.places_id, own.leases_id) = (other.cookie, other.places_id, other.leases_id);
        (own.base_sequence, own.created_unix_ns, own.creator_pid) =
            (other.base_sequence, other.created_unix_ns, other.creator_pid);
        own == *other
    }
}

impl OwnedStream {
    /// Ends the stream: subscribers are told, and everything is removed; what they hold stays readable to them.
    pub(crate) fn close(&self) {
        end_epoch(&self.frames, self.frames_view, state::CLOSED);
        let _ = sysv::remove(self.places_id);
        let _ = sysv::remove(self.frames_id);
        // Last: until then, nobody else can have begun a new stream of the name.
        let _ = self.lease.set().remove();
    }
}

/// Ends whatever epoch is in a segment of this stream, and removes the segment. Under the lease. (L1)
pub(crate) fn end(name: &StreamName, id: SegmentId) -> std::io::Result<()> {
    let mapping = sysv::attach_read(id)?;
    if let Found::Stream(_, geometry, _) = region::examine(&mapping, name) {
        let frames = sysv::attach_write(id)?;
        end_epoch(&frames, FramesView::of(&frames, geometry), state::CLOSED);
    }
    sysv::remove(id)
}

/// Removes the stream's places segment, where there is one. Under the lease, and after the frames. (L1)
pub(crate) fn remove_places(name: &StreamName) -> std::io::Result<()> {
    let Some(id) = sysv::find(name.places_key())? else { return Ok(()) };
    let ours = matches!(region::examine_places(&sysv::attach_read(id)?, name), FoundPlaces::Ours(_));
    if ours { sysv::remove(id) } else { Ok(()) }
}
