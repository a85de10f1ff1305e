//! Streams from outside: what there is on this machine, and removing what nobody uses.
//!
//! There is no registry: the kernel's own table is walked, and each segment looked at (read-only).
//!
//! ```text
//! mod     a stream as it is: who publishes, who reads, and who died at it
//! ours    what proves that something is framebus's, and not another program's
//! survey  all that is of framebus, streams and what crashed runs left of them; and what may be
//! remove  a stream that is named, also by force
//! collect what provably nobody uses
//! ```

mod collect;
mod ours;
mod remove;
mod survey;

pub use collect::{CollectOptions, KeepReason, collect, collect_directory};
pub use remove::{remove, remove_published};
pub use survey::{Orphan, OrphanKind, Survey, Unreadable, survey};

use crate::attach::content_of;
use crate::backend::Backend;
use crate::call::CallError;
use crate::clock::now_ns;
use crate::contract::{Contract, Violations};
use crate::error::{PlaceHolder, SystemError};
use crate::geometry::Geometry;
use crate::histogram::Histogram;
use crate::layout::{FRAMES_MAGIC, FramesHeader, MAX_SUBSCRIBERS, state};
use crate::lease::{Holder, LeaseSet};
use crate::name::StreamName;
use crate::options::{Content, Rate};
use crate::place::{self, SubscriberCounters};
use crate::publisher::PublisherCounters;
use crate::region::{self, Found, FoundPlaces, FramesView, PlacesView};
use crate::segment::{Part, ReadMapping};
use crate::site::{self, Row, Site};
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
    /// Its group.
    pub gid: u32,
    /// Permissions of the frames segment.
    pub mode: u32,
    /// When its present epoch was made, ns since 1970.
    pub created_unix_ns: u64,
    /// How many times the frames are mapped; `None` for files, of which the kernel does not say.
    pub attached: Option<u64>,
    /// Whether its publisher leaves it there when it ends (`persist`).
    pub persists: bool,
    /// Memory that the frames really take, in bytes.
    pub resident_bytes: u64,
    /// Whether somebody publishes it.
    pub publisher: PublisherState,
    /// Its publisher, as the kernel sees it from here; `None` where it is dead or of another PID namespace.
    pub publisher_pid: Option<u32>,
    /// Who published it last, where that is gone and can be seen from here.
    pub last_publisher_pid: Option<u32>,
    /// What the publishers counted.
    pub counters: PublisherCounters,
    /// The newest frame's. Before the first one in these segments: that from which the stream goes on, which is
    /// [`base_sequence`](Self::base_sequence).
    pub last_sequence: u64,
    /// The last one in the segments before; 0 where the stream begins with these.
    pub base_sequence: u64,
    /// Time since the newest frame was published, ns; `None` before the first in these segments.
    pub age_ns: Option<u64>,
    /// False where somebody has removed its leases, so nobody can tell who lives: its publisher counts as alive then.
    pub has_leases: bool,
    /// Who reads it.
    pub subscribers: Vec<SubscriberStatus>,
    /// Who died reading it: places that nobody has taken since.
    pub dead_subscribers: Vec<SubscriberStatus>,
}

impl StreamStatus {
    /// Whether nobody publishes it, and nobody reads it: what a crashed run left, or `persist`.
    pub fn is_orphan(&self) -> bool {
        self.publisher != PublisherState::Alive && self.subscribers.is_empty()
    }
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
    // Where nobody would look for it, it is not this stream.
    if row.name.as_ref().map_or(row.key != name.key(), |place| *place != name) {
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
    let (subscribers, dead_subscribers) = match &set {
        Some(set) => subscribers(&view, header, &name, &site, set),
        None => Default::default(),
    };
    StreamStatus {
        content: content_of(header).ok(),
        rate: Rate::new(header.rate_numerator, header.rate_denominator),
        geometry,
        backend: backend.clone(),
        segment_id: row.frames.number(),
        uid: row.uid,
        gid: row.gid,
        mode: row.mode,
        created_unix_ns: header.created_unix_ns,
        attached: row.attached,
        persists: view.stats().persists.load(Relaxed) == 1,
        resident_bytes: row.resident_bytes,
        publisher,
        publisher_pid: set.as_ref().and_then(|set| set.holder_pid(Holder::Publisher)),
        last_publisher_pid: set
            .as_ref()
            .filter(|_| publisher != PublisherState::Alive)
            .and_then(|set| set.last_pid(Holder::Publisher)),
        counters: PublisherCounters::read(view.stats()),
        last_sequence,
        base_sequence: header.base_sequence,
        age_ns: published_ns.map(|published| now_ns().saturating_sub(published)),
        has_leases: set.is_some(),
        subscribers,
        dead_subscribers,
        name,
    }
}

/// Whose leases of places are held, whatever stands in the segments: also of a place that no header knows of, and where the
/// places are gone.
fn place_holders(set: &LeaseSet) -> Vec<PlaceHolder> {
    let dropped = set.dropped_places();
    let held = (0..MAX_SUBSCRIBERS as usize).filter(|place| !dropped.contains(*place));
    let holder =
        |place| PlaceHolder { place, pid: set.holder_pid(Holder::Place(place)), label: String::new(), held_ns: None };
    held.map(holder).collect()
}

/// Who reads it, and who died reading it.
fn subscribers(
    view: &FramesView,
    header: &FramesHeader,
    name: &StreamName,
    site: &Site,
    set: &LeaseSet,
) -> (Vec<SubscriberStatus>, Vec<SubscriberStatus>) {
    let geometry = view.geometry();
    let places = site.find(Part::Places).ok().flatten().filter(|places| places.number() == header.places_id);
    let Some(Ok(mapping)) = places.map(|places| places.attach_read()) else { return Default::default() };
    let ours = matches!(region::examine_places(&mapping, name), FoundPlaces::Ours(cookie) if cookie == header.cookie);
    if !ours || mapping.bytes() < geometry.places_bytes {
        return Default::default();
    }
    let places_view = PlacesView::of(&mapping, geometry);
    let places = places_view.places();
    let all = 0..geometry.max_subscribers;
    let (alive, free): (Vec<_>, Vec<_>) = all.partition(|&index| set.is_held(Holder::Place(index)));
    // Who leaves says so.
    let died = |index: &usize| places[*index].counters.attached_ns.load(Relaxed) != 0;
    let dead = free.into_iter().filter(died).map(|index| PlaceHolder {
        place: index,
        pid: set.last_pid(Holder::Place(index)),
        label: place::read_label(&places[index].counters.label),
        held_ns: None,
    });
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
    let alive = place::holders(places, set, alive.into_iter());
    (alive.into_iter().map(status).collect(), dead.map(status).collect())
}
