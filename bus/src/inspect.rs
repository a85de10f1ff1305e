//! Streams from outside: what there is on this machine, and removing what nobody uses.
//!
//! There is no registry: the kernel's own table is walked, and each segment looked at (read-only).

use std::io;

use crate::attach::content_of;
use crate::clock::now_ns;
use crate::error::{PlaceHolder, RemoveError, SystemError};
use crate::geometry::Geometry;
use crate::layout::{FRAMES_MAGIC, FramesHeader, state};
use crate::lease::{Holder, LeaseSet, Refused};
use crate::lifecycle;
use crate::name::StreamName;
use crate::options::{Content, Rate};
use crate::place::{self, SubscriberCounters};
use crate::publisher::PublisherCounters;
use crate::region::{self, Found, FoundPlaces, FramesView, PlacesView};
use crate::segment::ReadMapping;
use crate::segment::sysv::{self, SegmentId};
use crate::subscriber::PublisherState;
use crate::sync::Ordering::{Acquire, Relaxed};
use crate::words::{NO_SLOT, pin, unpack};

/// A stream as it is at this moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StreamStatus {
    /// Its name.
    pub name: StreamName,
    /// What it carries; `None` where the header makes no sense.
    pub content: Option<Content>,
    /// Its nominal rate.
    pub rate: Option<Rate>,
    /// Its numbers of slots and sizes.
    pub geometry: Geometry,
    /// System V id of its frames segment.
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
    /// The newest frame's; 0 before the first.
    pub last_sequence: u64,
    /// Time since the newest frame was published, ns; `None` before the first.
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
    /// Frames that it holds.
    pub held: usize,
    /// What it counted.
    pub counters: SubscriberCounters,
    /// Frames that the publisher refused because this one held a slot.
    pub blamed: u64,
}

/// All streams of this IPC namespace that may be read, in the order of their names.
///
/// # Errors
/// /proc/sysvipc/shm can not be read.
pub fn list() -> Result<Vec<StreamStatus>, SystemError> {
    let table = sysv::all().map_err(SystemError::new("read", "listing /proc/sysvipc/shm"))?;
    // Others' segments are none of our business, and segments come and go: what can not be read is left out.
    let mut streams: Vec<_> = table.into_iter().filter_map(|row| examine_row(row).ok().flatten()).collect();
    streams.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(streams)
}

fn examine_row(row: sysv::TableRow) -> io::Result<Option<StreamStatus>> {
    let frames = sysv::attach_read(row.id)?;
    let Some(header) = region::read_header(&frames).filter(|header| header.magic == FRAMES_MAGIC) else {
        return Ok(None);
    };
    let name = StreamName::new(&region::read_text(&header.bus), &region::read_text(&header.stream));
    let Ok(name) = name else { return Ok(None) };
    let Found::Stream(header, geometry, state) = region::examine(&frames, &name) else { return Ok(None) };
    Ok(Some(describe(row, &frames, &header, geometry, state, name)))
}

fn describe(
    row: sysv::TableRow,
    frames: &ReadMapping,
    header: &FramesHeader,
    geometry: Geometry,
    state: u32,
    name: StreamName,
) -> StreamStatus {
    let view = FramesView::of(frames, geometry);
    let set = LeaseSet::from_id(header.leases_id);
    let (last_sequence, slot) = unpack(view.words().control.latest.load(Acquire));
    let published_ns = view.words().records.get(slot as usize).map(|_| view.observe_publish_ns(slot));
    let publisher = match state {
        state::CLOSED => PublisherState::Closed,
        _ if set.is_held(Holder::Publisher) => PublisherState::Alive,
        _ => PublisherState::Gone,
    };
    StreamStatus {
        content: content_of(header).ok(),
        rate: Rate::new(header.rate_numerator, header.rate_denominator),
        geometry,
        segment_id: row.id.0,
        uid: row.uid,
        mode: row.mode,
        resident_bytes: row.resident_bytes,
        publisher,
        publisher_pid: set.holder_pid(Holder::Publisher).filter(|_| publisher == PublisherState::Alive),
        counters: PublisherCounters::read(view.stats()),
        last_sequence: if slot == NO_SLOT { 0 } else { last_sequence },
        age_ns: published_ns.map(|published| now_ns().saturating_sub(published)),
        subscribers: subscribers(&view, header, &name, set),
        name,
    }
}

fn subscribers(view: &FramesView, header: &FramesHeader, name: &StreamName, set: LeaseSet) -> Vec<SubscriberStatus> {
    let geometry = view.geometry();
    let Ok(mapping) = sysv::attach_read(SegmentId(header.places_id)) else { return Vec::new() };
    let ours = matches!(region::examine_places(&mapping, name), FoundPlaces::Ours(cookie) if cookie == header.cookie);
    if !ours || mapping.bytes() < geometry.places_bytes {
        return Vec::new();
    }
    let places_view = PlacesView::of(&mapping, geometry);
    let places = places_view.places();
    let alive = (0..geometry.max_subscribers).filter(|&index| set.is_held(Holder::Place(index)));
    let held = |index: usize| {
        let pins = &places[index].pins[..geometry.max_held];
        pins.iter().filter(|word| pin::slot(word.load(Relaxed), geometry.slots).is_some()).count()
    };
    place::holders(places, set, alive)
        .into_iter()
        .map(|holder| SubscriberStatus {
            held: held(holder.place),
            counters: place::counters(&places[holder.place]),
            blamed: view.blame()[holder.place].load(Relaxed),
            holder,
        })
        .collect()
}

/// Removes a stream that nobody publishes: what crashed runs and `persist` leave.
///
/// Refuses while somebody reads it, unless `force`; readers keep what they hold, and move to the next stream of the name.
///
/// # Errors
/// [`RemoveError`]; nothing was removed then.
pub fn remove(name: &StreamName, force: bool) -> Result<(), RemoveError> {
    let failed = |call| SystemError::new(call, format!("removing stream {name}"));
    let segment = sysv::find(name.key()).map_err(failed("shmget"))?;
    let Some(set) = LeaseSet::find(name.key()).map_err(failed("semget"))? else {
        return remove_without_leases(name, segment);
    };
    // What follows is done as a publisher does it: under the lease.
    let lease = match set.claim(Holder::Publisher) {
        Ok(lease) => lease,
        Err(Refused::Held) => {
            let pid = set.holder_pid(Holder::Publisher);
            return Err(RemoveError::Publishing { stream: name.clone(), pid });
        }
        Err(Refused::Gone) => return Err(RemoveError::NotFound { stream: name.clone() }),
        Err(Refused::System(error)) => return Err(failed("semop")(error).into()),
    };
    // Looked for again: before, it may have been somebody's who has finished meanwhile.
    let segment = sysv::find(name.key()).map_err(failed("shmget"))?;
    if let Some(id) = segment {
        check_ours(name, id)?;
        if !force {
            let readers = readers(name, id, set);
            if !readers.is_empty() {
                return Err(RemoveError::Reading { stream: name.clone(), holders: readers });
            }
        }
        lifecycle::end(name, id).map_err(failed("shmctl"))?;
    }
    lifecycle::remove_places(name).map_err(failed("shmctl"))?;
    lease.set().remove().map_err(failed("semctl"))?;
    Ok(())
}

/// The set is gone (`ipcrm -s`, RemoveIPC): nobody can tell who lives, so only what nobody has attached goes.
fn remove_without_leases(name: &StreamName, segment: Option<SegmentId>) -> Result<(), RemoveError> {
    let failed = |call| SystemError::new(call, format!("removing stream {name}"));
    let Some(id) = segment else { return Err(RemoveError::NotFound { stream: name.clone() }) };
    check_ours(name, id)?;
    if sysv::status(id).map_err(failed("shmctl"))?.attached > 0 {
        return Err(RemoveError::Reading { stream: name.clone(), holders: Vec::new() });
    }
    lifecycle::end(name, id).map_err(failed("shmctl"))?;
    Ok(lifecycle::remove_places(name).map_err(failed("shmctl"))?)
}

fn check_ours(name: &StreamName, id: SegmentId) -> Result<(), RemoveError> {
    let mapping = sysv::attach_read(id).map_err(SystemError::new("shmat", format!("removing stream {name}")))?;
    match region::examine(&mapping, name) {
        Found::Stranger(stranger) => {
            Err(RemoveError::Stranger { stream: name.clone(), id: id.0, key: name.key(), stranger })
        }
        _ => Ok(()),
    }
}

fn readers(name: &StreamName, id: SegmentId, set: LeaseSet) -> Vec<PlaceHolder> {
    let Ok(frames) = sysv::attach_read(id) else { return Vec::new() };
    let Found::Stream(header, geometry, _) = region::examine(&frames, name) else { return Vec::new() };
    let view = FramesView::of(&frames, geometry);
    subscribers(&view, &header, name, set).into_iter().map(|subscriber| subscriber.holder).collect()
}
