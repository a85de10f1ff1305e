//! A running log of what becomes of a stream's frames: what publisher and subscribers wrote into their [rings](crate::ring), and who
//! came and went.
//!
//! It only reads: the stream's segments, and whose leases are held. So it takes no place, costs nobody anything, and may be ended at
//! any time. Who writes more than a ring has room for between two looks is seen in part, and the rest is counted.

use crate::attach::{self, FoundFrames};
use crate::backend::Backend;
use crate::clock::now_ns;
use crate::error::{AttachError, PlaceHolder};
use crate::fate::{Event, Fate};
use crate::layout::{Place, state};
use crate::lease::{Holder, LeaseSet};
use crate::name::StreamName;
use crate::place;
use crate::region::{self, FoundPlaces, FramesView, PlacesView};
use crate::segment::{Part, ReadMapping};
use crate::site::{Segment, Site};
use crate::sync::Ordering::{Acquire, Relaxed};
use std::time::Instant;

/// Follows what becomes of a stream's frames, over epochs and restarts.
///
/// ```no_run
/// let mut trace = framebus::Trace::open(&Default::default(), &"robot/front".parse()?);
/// loop {
///     for line in trace.poll()?.events {
///         println!("frame {}: {}", line.event.sequence, line.event.fate);
///     }
///     std::thread::sleep(std::time::Duration::from_millis(20));
/// }
/// # #[allow(unreachable_code)] Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Trace {
    name: StreamName,
    site: Site,
    epoch: Option<Epoch>,
    /// Ends of the last epoch were told.
    was_there: bool,
}

/// An event, and who is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TraceEvent {
    /// What happened, and when.
    pub event: Event,
    /// Who met it: a subscriber, or the publisher.
    pub by: Option<PlaceHolder>,
    /// Who is to blame, as far as they are still there.
    pub culprits: Vec<PlaceHolder>,
}

/// What happened since the last look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traced {
    /// In the order of their times.
    pub events: Vec<TraceEvent>,
    /// Events that were overwritten before they were read.
    pub lost: u64,
}

struct Epoch {
    segment: Segment,
    view: FramesView,
    frames: ReadMapping,
    /// `None` where they may not be read, or are of another epoch already.
    places: Option<(PlacesView, ReadMapping)>,
    leases: Option<LeaseSet>,
    /// Number of the next event of the publisher.
    next: u64,
    publishing: bool,
    seats: Vec<Seat>,
}

/// What was seen of a place.
#[derive(Clone, Default)]
struct Seat {
    next: u64,
    attached_ns: u64,
    holder: Option<PlaceHolder>,
    /// The holder, or who it was last.
    known: Option<PlaceHolder>,
}

impl Trace {
    /// Begins with what stands in the rings now; the stream may come later.
    pub fn open(backend: &Backend, name: &StreamName) -> Self {
        Self { name: name.clone(), site: Site::of(backend, name), epoch: None, was_there: false }
    }

    /// Whether the stream was there at the last look.
    pub fn is_there(&self) -> bool {
        self.epoch.is_some()
    }

    /// What happened since the last look. A stream that is not there has no events.
    ///
    /// # Errors
    /// [`AttachError`], but for `NotFound` and `Unfinished`: what is there is no stream of ours, or may not be read.
    pub fn poll(&mut self) -> Result<Traced, AttachError> {
        let mut traced = Traced::default();
        if let Some(epoch) = &mut self.epoch {
            let ended = epoch.has_ended(&self.site);
            // Also behind its end: the last events of an epoch are written before it.
            epoch.look(&mut traced);
            if ended {
                self.epoch = None;
            }
        }
        if self.epoch.is_none() {
            match attach::find_frames(&self.site, &self.name, Instant::now())? {
                Ok(found) => {
                    let mut epoch = Epoch::on(&self.site, &self.name, found);
                    epoch.look(&mut traced);
                    (self.epoch, self.was_there) = (Some(epoch), true);
                }
                Err(_) if std::mem::take(&mut self.was_there) => traced.events.push(TraceEvent {
                    event: Event { at_ns: now_ns(), sequence: 0, fate: Fate::Closed },
                    by: None,
                    culprits: Vec::new(),
                }),
                Err(_) => {}
            }
        }
        traced.events.sort_by_key(|traced| traced.event.at_ns);
        Ok(traced)
    }
}

impl Epoch {
    fn on(site: &Site, name: &StreamName, found: FoundFrames) -> Self {
        let FoundFrames { segment, frames, header, geometry, .. } = found;
        let places = site.find(Part::Places).ok().flatten().filter(|places| places.number() == header.places_id);
        let places = places.and_then(|places| places.attach_read().ok()).filter(|mapping| {
            matches!(region::examine_places(mapping, name), FoundPlaces::Ours(cookie) if cookie == header.cookie)
                && mapping.bytes() >= geometry.places_bytes
        });
        Self {
            segment,
            view: FramesView::of(&frames, geometry),
            frames,
            places: places.map(|mapping| (PlacesView::of(&mapping, &geometry), mapping)),
            leases: site.leases_of(header.leases_id).ok().flatten(),
            next: 0,
            publishing: true,
            seats: vec![Seat::default(); geometry.max_subscribers],
        }
    }

    fn has_ended(&self, site: &Site) -> bool {
        let ready = self.view.words().control.state.load(Acquire) == state::READY;
        !ready || site.find(Part::Frames).is_ok_and(|found| found.as_ref() != Some(&self.segment))
    }

    /// Adds what is new.
    fn look(&mut self, traced: &mut Traced) {
        // It was attached in this process, which has not forked since; else there is nothing to read.
        if !self.frames.process().is_current() {
            return;
        }
        let Self { view, places, leases, next, publishing, seats, .. } = self;
        let held = |holder: Holder| leases.as_ref().is_none_or(|leases| leases.is_held(holder));
        // Asked before the events are read: who has gone has written its last by then.
        let is_publishing = held(Holder::Publisher);
        let mut words = Vec::new();
        let (read, lost) = view.events().read(*next, |event| words.push(event));
        (*next, traced.lost) = (read, traced.lost.saturating_add(lost));
        if let (Some((places, _)), Some(leases)) = (&*places, &*leases) {
            let accounts = places.accounts();
            for (index, place) in places.places().iter().enumerate() {
                let attached_ns = place.counters.attached_ns.load(Acquire);
                // A place that nobody ever had is left alone: to read its account would cost memory.
                if place.counters.pid.load(Relaxed) == 0 {
                    continue;
                }
                let alive = held(Holder::Place(index));
                seats[index].look(index, place, attached_ns, alive, leases, traced);
                let seat = &mut seats[index];
                let mut events = Vec::new();
                let (read, lost) = accounts[index].ring().read(seat.next, |event| events.push(event));
                (seat.next, traced.lost) = (read, traced.lost.saturating_add(lost));
                let own = events.into_iter().filter_map(Event::decode);
                // What is older than its holder was somebody else's, whose name nobody knows any more.
                let by = |event: &Event| seat.last_holder(place, index, event.at_ns < attached_ns);
                traced.events.extend(own.map(|event| TraceEvent { by: by(&event), event, culprits: Vec::new() }));
            }
        }
        let culprits =
            |fate: &Fate| fate.culprits().into_iter().filter_map(|place| seats.get(place)?.known.clone()).collect();
        let decoded = words.into_iter().filter_map(Event::decode);
        traced.events.extend(decoded.map(|event| TraceEvent { by: None, culprits: culprits(&event.fate), event }));
        let is_ready = view.words().control.state.load(Acquire) == state::READY;
        if std::mem::replace(publishing, is_publishing) && !is_publishing && leases.is_some() && is_ready {
            let event = Event { at_ns: now_ns(), sequence: 0, fate: Fate::Gone };
            traced.events.push(TraceEvent { event, by: None, culprits: Vec::new() });
        }
    }
}

impl Seat {
    /// Who came, and who went.
    fn look(
        &mut self,
        index: usize,
        place: &Place,
        attached_ns: u64,
        alive: bool,
        leases: &LeaseSet,
        traced: &mut Traced,
    ) {
        let mut tell = |at_ns: u64, fate: Fate, by: &Option<PlaceHolder>| {
            let event = Event { at_ns, sequence: 0, fate };
            traced.events.push(TraceEvent { event, by: by.clone(), culprits: Vec::new() });
        };
        let is_another = attached_ns != self.attached_ns;
        if self.holder.is_some() && (is_another || !alive) {
            // Who leaves says so; of one whose place another has by now, it is not known.
            let fate = if alive || attached_ns == 0 { Fate::Left } else { Fate::Died };
            tell(now_ns(), fate, &self.holder);
            self.holder = None;
        }
        if is_another && alive && attached_ns != 0 {
            self.holder = place::holders(std::slice::from_ref(place), leases, std::iter::once(0)).pop();
            if let Some(holder) = &mut self.holder {
                (holder.place, holder.pid) = (index, leases.holder_pid(Holder::Place(index)));
            }
            tell(attached_ns, Fate::Attached, &self.holder);
            (self.attached_ns, self.known) = (attached_ns, self.holder.clone());
        }
    }

    /// Who has the place, or had it last.
    fn last_holder(&self, place: &Place, index: usize, is_older: bool) -> Option<PlaceHolder> {
        if let (false, Some(holder)) = (is_older, &self.holder) {
            return Some(holder.clone());
        }
        let label = if is_older { String::new() } else { place::read_label(&place.counters.label) };
        let pid = (!is_older).then(|| place.counters.pid.load(Relaxed));
        Some(PlaceHolder { place: index, pid, label, held_ns: None })
    }
}
