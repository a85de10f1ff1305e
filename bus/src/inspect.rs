//! Streams from outside: what there is on this machine, and removing what nobody uses.
//!
//! There is no registry: the kernel's own table is walked, and each segment looked at (read-only).

use crate::attach::content_of;
use crate::backend::Backend;
use crate::call::CallError;
use crate::clock::now_ns;
use crate::contract::{Contract, Violations};
use crate::error::{PlaceHolder, RemoveError, Stranger, SystemError};
use crate::geometry::Geometry;
use crate::histogram::Histogram;
use crate::layout::{FRAMES_MAGIC, FramesHeader, state};
use crate::lease::{Holder, LeaseSet, Refused};
use crate::lifecycle;
use crate::name::StreamName;
use crate::options::{Content, Rate};
use crate::place::{self, SubscriberCounters};
use crate::publisher::PublisherCounters;
use crate::region::{self, Found, FoundPlaces, FramesView, PlacesView};
use crate::segment::{Part, ReadMapping};
use crate::site::{self, FoundLeases, Row, Segment, Site};
use crate::slots::{EVICTED, NOT_LOSSLESS};
use crate::subscriber::PublisherState;
use crate::sync::Ordering::{Acquire, Relaxed};
use crate::wait::PredictionCounters;
use crate::words::unpack;

/// A stream as it is at this moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StreamStatus {
    /// Its name.
    pub name: StreamName,
    /// What it is made of.
    pub backend: Backend,
    /// What it carries; `None` where the header makes no sense.
    pub content: Option<Content>,
    /// Its nominal rate.
    pub rate: Option<Rate>,
    /// Its numbers of slots and sizes.
    pub geometry: Geometry,
    /// System V id of its frames segment, or the lower 31 bits of the file's inode number.
    pub segment_id: i32,
    /// Owner.
    pub uid: u32,
    /// Permissions of the frames segment.
    pub mode: u32,
    /// Memory that the frames really take, in bytes.
    pub resident_bytes: u64,
    /// Whether somebody publishes it.
    pub publisher: PublisherState,
    /// Its publisher, as the kernel sees it from here; `None` where it is dead or of another PID namespace.
    pub publisher_pid: Option<u32>,
    /// What the publishers counted.
    pub counters: PublisherCounters,
    /// The newest frame's. Before the first one in these segments: that from which the stream goes on, which is
    /// [`base_sequence`](Self::base_sequence).
    pub last_sequence: u64,
    /// The last one in the segments before; 0 where the stream begins with these.
    pub base_sequence: u64,
    /// Time since the newest frame was published, ns; `None` before the first in these segments.
    pub age_ns: Option<u64>,
    /// Who reads it.
    pub subscribers: Vec<SubscriberStatus>,
}

/// A subscriber as it is at this moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SubscriberStatus {
    /// Index of its place, its process, and what it calls itself.
    pub holder: PlaceHolder,
    /// Frames that it holds; for how long the one that it has held longest stands in `holder`.
    pub held: usize,
    /// What it counted.
    pub counters: SubscriberCounters,
    /// Frames that the publisher refused because this one held a slot, or had not read.
    pub blamed: u64,
    /// Longest that a slot had been held by then, ns.
    pub blamed_held_ns: u64,
    /// Whether the publisher waits for it.
    pub lossless: bool,
    /// From a frame's publication until it was taken.
    pub latencies: Histogram,
    /// From its capture until it was taken.
    pub ages: Histogram,
    /// From when it was taken until it was let go of.
    pub holds: Histogram,
    /// How well it foretold frames.
    pub predictions: PredictionCounters,
    /// What it relies on.
    pub contract: Contract,
    /// How often that was not kept.
    pub violations: Violations,
}

/// All streams of a backend that may be read, in the order of their names: those of this IPC namespace, or of a
/// directory.
///
/// # Errors
/// /proc/sysvipc/shm or the directory can not be read.
pub fn list(backend: &Backend) -> Result<Vec<StreamStatus>, SystemError> {
    let rows = site::all(backend).map_err(CallError::at(format!("listing the streams of backend {backend}")))?;
    // Others' segments are none of our business, and segments come and go: what can not be read is left out.
    let mut streams: Vec<_> = rows.into_iter().filter_map(|row| examine_row(row, backend).ok().flatten()).collect();
    streams.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(streams)
}

fn examine_row(row: Row, backend: &Backend) -> Result<Option<StreamStatus>, CallError> {
    let frames = row.frames.attach_read()?;
    let Some(header) = region::read_header(&frames).filter(|header| header.magic == FRAMES_MAGIC) else {
        return Ok(None);
    };
    let name = StreamName::new(&region::read_text(&header.bus), &region::read_text(&header.stream));
    let Ok(name) = name else { return Ok(None) };
    if row.name.as_ref().is_some_and(|place| *place != name) {
        return Ok(None);
    }
    let Found::Stream(header, geometry, state) = region::examine(&frames, &name) else { return Ok(None) };
    Ok(Some(describe(row, backend, &frames, &header, geometry, state, name)))
}

fn describe(
    row: Row,
    backend: &Backend,
    frames: &ReadMapping,
    header: &FramesHeader,
    geometry: Geometry,
    state: u32,
    name: StreamName,
) -> StreamStatus {
    let view = FramesView::of(frames, geometry);
    let site = Site::of(backend, &name);
    // Where they are gone, nobody can tell who lives: everybody counts as alive.
    let set = site.leases_of(header.leases_id).ok().flatten();
    let (last_sequence, slot) = unpack(view.words().control.latest.load(Acquire));
    let published_ns = view.words().records.get(slot as usize).map(|_| view.observe_publish_ns(slot));
    let publisher = match state {
        state::CLOSED => PublisherState::Closed,
        _ if set.as_ref().is_none_or(|set| set.is_held(Holder::Publisher)) => PublisherState::Alive,
        _ => PublisherState::Gone,
    };
    StreamStatus {
        content: content_of(header).ok(),
        rate: Rate::new(header.rate_numerator, header.rate_denominator),
        geometry,
        backend: backend.clone(),
        segment_id: row.frames.number(),
        uid: row.uid,
        mode: row.mode,
        resident_bytes: row.resident_bytes,
        publisher,
        publisher_pid: set.as_ref().and_then(|set| set.holder_pid(Holder::Publisher)),
        counters: PublisherCounters::read(view.stats()),
        last_sequence,
        base_sequence: header.base_sequence,
        age_ns: published_ns.map(|published| now_ns().saturating_sub(published)),
        subscribers: set.map_or(Vec::new(), |set| subscribers(&view, header, &name, &site, &set)),
        name,
    }
}

fn subscribers(
    view: &FramesView,
    header: &FramesHeader,
    name: &StreamName,
    site: &Site,
    set: &LeaseSet,
) -> Vec<SubscriberStatus> {
    let geometry = view.geometry();
    let places = site.find(Part::Places).ok().flatten().filter(|places| places.number() == header.places_id);
    let Some(Ok(mapping)) = places.map(|places| places.attach_read()) else { return Vec::new() };
    let ours = matches!(region::examine_places(&mapping, name), FoundPlaces::Ours(cookie) if cookie == header.cookie);
    if !ours || mapping.bytes() < geometry.places_bytes {
        return Vec::new();
    }
    let places_view = PlacesView::of(&mapping, geometry);
    let places = places_view.places();
    let alive = (0..geometry.max_subscribers).filter(|&index| set.is_held(Holder::Place(index)));
    let (accounts, now) = (places_view.accounts(), now_ns());
    let status = |mut holder: PlaceHolder| {
        let (place, account) = (&places[holder.place], &accounts[holder.place]);
        let blame = &view.blame()[holder.place];
        let (held, held_ns) = place::holding(view, place, account, now);
        holder.held_ns = held_ns;
        SubscriberStatus {
            held,
            counters: place::counters(place),
            blamed: blame.refused.load(Relaxed),
            blamed_held_ns: blame.longest_held_ns.load(Relaxed),
            lossless: !matches!(place.cursor.load(Relaxed), NOT_LOSSLESS | EVICTED),
            latencies: account.latencies.read(),
            ages: account.ages.read(),
            holds: account.holds.read(),
            predictions: account.predictions(),
            contract: account.contract(),
            violations: account.violations(),
            holder,
        }
    };
    place::holders(places, set, alive).into_iter().map(status).collect()
}

/// Removes a stream that nobody publishes: what crashed runs and `persist` leave.
///
/// Refuses while somebody reads it, unless `force`; readers keep what they hold, and move to the next stream of the name.
///
/// # Errors
/// [`RemoveError`]; nothing was removed then.
pub fn remove(backend: &Backend, name: &StreamName, force: bool) -> Result<(), RemoveError> {
    let failed = || CallError::at(format!("removing stream {name}"));
    let not_found = || RemoveError::NotFound { stream: name.clone() };
    let site = Site::of(backend, name);
    let (set, robbed) = match site.find_leases().map_err(failed())? {
        FoundLeases::Leases(set) => (set, false),
        _ => match make_leases(&site, name)? {
            Some(set) => (set, true),
            None => return Err(not_found()),
        },
    };
    // What follows is done as a publisher does it: under the lease.
    let _lease = match set.claim(Holder::Publisher) {
        Ok(lease) => lease,
        Err(Refused::Held) => {
            let pid = set.holder_pid(Holder::Publisher);
            return Err(RemoveError::Publishing { stream: name.clone(), pid });
        }
        Err(Refused::Gone) => return Err(not_found()),
        Err(Refused::System(error)) => return Err(failed()(error).into()),
    };
    let removed = remove_segments(&site, name, &set, force, robbed);
    if removed.is_ok() || robbed {
        set.remove().map_err(failed())?;
        site.clear();
    }
    removed
}

/// New leases, in the place of those that somebody has removed (`ipcrm -s`, RemoveIPC, `rm`): nobody begins anything while
/// we hold them. `None` where there is nothing of the stream at all.
fn make_leases(site: &Site, name: &StreamName) -> Result<Option<LeaseSet>, RemoveError> {
    let failed = || CallError::at(format!("removing stream {name}"));
    let mut parts = [Part::Frames, Part::Places, Part::Trial].into_iter();
    if !parts.try_fold(false, |any, part| Ok(any | site.find(part)?.is_some())).map_err(failed())? {
        // Directories, perhaps, of a publisher that was killed before it had leases.
        site.clear();
        return Ok(None);
    }
    match site.open_leases(0o600).map_err(failed())? {
        FoundLeases::Leases(set) => Ok(Some(set)),
        FoundLeases::None => Ok(None),
        FoundLeases::Foreign => Err(RemoveError::Stranger {
            stream: name.clone(),
            object: site.describe_leases(),
            stranger: Stranger::Foreign,
        }),
    }
}

/// Removes all but the leases. Where the stream was `robbed` of those, nobody can tell who lives, so what somebody may have
/// attached stays, unless it is forced.
fn remove_segments(
    site: &Site,
    name: &StreamName,
    set: &LeaseSet,
    force: bool,
    robbed: bool,
) -> Result<(), RemoveError> {
    let failed = || CallError::at(format!("removing stream {name}"));
    let mut named = None;
    if let Some(frames) = site.find(Part::Frames).map_err(failed())? {
        check_ours(site, name, &frames)?;
        // Of files it is not known who maps them.
        let unused = || Ok(matches!(frames, Segment::SysV(_)) && frames.status()?.attached == 0);
        if robbed && !force && !unused().map_err(failed())? {
            return Err(RemoveError::Unknown { stream: name.clone() });
        }
        let holders = if force { Vec::new() } else { readers(site, name, &frames, set) };
        if !holders.is_empty() {
            return Err(RemoveError::Reading { stream: name.clone(), holders });
        }
        named = lifecycle::end(name, &frames).map_err(failed())?;
    }
    Ok(lifecycle::remove_rest(site, name, named).map_err(failed())?)
}

fn check_ours(site: &Site, name: &StreamName, frames: &Segment) -> Result<(), RemoveError> {
    let failed = || CallError::at(format!("removing stream {name}"));
    let mapping = frames.attach_read().map_err(failed())?;
    let found = region::examine(&mapping, name);
    // Else it would count as somebody's who uses it.
    drop(mapping);
    let (stream, object) = (name.clone(), site.describe(frames, Part::Frames));
    match found {
        Found::Stranger(stranger) => Err(RemoveError::Stranger { stream, object, stranger }),
        Found::Blank => match lifecycle::living_creator(frames).map_err(failed())? {
            Some(pid) => Err(RemoveError::Unfinished { stream, object, pid: Some(pid).filter(|&pid| pid != 0) }),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

fn readers(site: &Site, name: &StreamName, frames: &Segment, set: &LeaseSet) -> Vec<PlaceHolder> {
    let Ok(frames) = frames.attach_read() else { return Vec::new() };
    let Found::Stream(header, geometry, _) = region::examine(&frames, name) else { return Vec::new() };
    let view = FramesView::of(&frames, geometry);
    subscribers(&view, &header, name, site, set).into_iter().map(|subscriber| subscriber.holder).collect()
}
