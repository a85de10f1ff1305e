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
use std::sync::Arc;
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
    /// An epoch whose end has been seen, and neither its successor nor the stream's end so far.
    ended: Option<Ended>,
    /// What came before the first look is not missed.
    has_looked: bool,
}

/// An event, and who is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TraceEvent {
    /// What happened, and when.
    pub event: Event,
    /// Who met it: a subscriber. `None` where it was the publisher, or is about the stream.
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
    /// Events that were overwritten before they were read; at the first look there are none, as nothing was missed so far.
    pub lost: u64,
}

struct Epoch {
    segment: Segment,
    cookie: [u8; 16],
    view: FramesView,
    frames: ReadMapping,
    followed: Followed,
}

/// What was seen of an epoch so far, and where. It keeps no frames.
struct Followed {
    /// `None` where they may not be read, or are of another epoch already.
    places: Option<Arc<Places>>,
    leases: Option<LeaseSet>,
    /// Number of the next event of the publisher.
    next: u64,
    publishing: bool,
    seats: Vec<Seat>,
}

/// An epoch that is over.
struct Ended {
    segment: Segment,
    cookie: [u8; 16],
    followed: Followed,
}

struct Places {
    view: PlacesView,
    mapping: ReadMapping,
}

impl Places {
    /// None in a forked child: nothing is mapped there.
    fn all(&self) -> &[Place] {
        if self.mapping.process().is_current() { self.view.places() } else { &[] }
    }

    /// Whether who has, or had, the place says that he is in it no longer.
    fn is_left(&self, index: usize) -> bool {
        self.all().get(index).is_none_or(|place| place.counters.attached_ns.load(Acquire) == 0)
    }
}

/// What was seen of a place.
#[derive(Clone, Default)]
struct Seat {
    next: u64,
    attached_ns: u64,
    holder: Option<PlaceHolder>,
    /// The holder, or who it was last.
    known: Option<PlaceHolder>,
    /// What stood in the place when `known` was seen there.
    mark: Mark,
    /// The places of the epoch before, where the holder was seen there, and not here so far.
    before: Option<Arc<Places>>,
}

/// The pid and label that stand in a place. Anybody may write them, and the pid is one of the subscriber's own PID namespace: they
/// are compared, to see whether it is still the same one's.
type Mark = (u32, String);

fn mark_of(place: &Place) -> Mark {
    (place.counters.pid.load(Relaxed), place::read_label(&place.counters.label))
}

impl Trace {
    /// Begins with what stands in the rings at the first [`poll`](Self::poll); the stream may come later.
    pub fn open(backend: &Backend, name: &StreamName) -> Self {
        Self { name: name.clone(), site: Site::of(backend, name), epoch: None, ended: None, has_looked: false }
    }

    /// Whether the stream was there at the last look.
    pub fn is_there(&self) -> bool {
        self.epoch.is_some()
    }

    /// What happened since the last look. A stream that is not there has no events.
    ///
    /// # Errors
    /// [`AttachError`], but for `NotFound` and `Unfinished`: what is there is no stream of ours, or may not be read. Where an epoch
    /// ended in it, its last events come first, and the error at the next look.
    pub fn poll(&mut self) -> Result<Traced, AttachError> {
        let mut traced = Traced::default();
        if let Some(mut epoch) = self.epoch.take() {
            let ended = epoch.has_ended(&self.site);
            // Also behind its end: the last events of an epoch are written before it.
            epoch.look(&mut traced, ended);
            if ended {
                self.ended = Some(epoch.end());
            } else {
                self.epoch = Some(epoch);
            }
        }
        if self.epoch.is_none() {
            match attach::find_frames(&self.site, &self.name, Instant::now()) {
                Ok(Ok(found)) => {
                    let mut epoch = Epoch::on(&self.site, &self.name, found);
                    if let Some(ended) = self.ended.take() {
                        epoch.succeed(ended, &mut traced);
                    }
                    epoch.look(&mut traced, false);
                    if !std::mem::replace(&mut self.has_looked, true) {
                        traced.lost = 0;
                    }
                    self.epoch = Some(epoch);
                }
                Ok(Err(_)) => {
                    self.has_looked = true;
                    if let Some(ended) = self.ended.take_if(|ended| !ended.goes_on()) {
                        ended.tell_who_left(0, &mut traced);
                        traced.tell(now_ns(), Fate::Closed, None);
                    }
                }
                // What was just read is not thrown away for it.
                Err(_) if traced != Traced::default() => {}
                Err(error) => return Err(error),
            }
        }
        traced.events.sort_by_key(|traced| traced.event.at_ns);
        Ok(traced)
    }
}

impl Traced {
    fn tell(&mut self, at_ns: u64, fate: Fate, by: Option<PlaceHolder>) {
        self.events.push(TraceEvent { event: Event { at_ns, sequence: 0, fate }, by, culprits: Vec::new() });
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
        let places = places.map(|mapping| Arc::new(Places { view: PlacesView::of(&mapping, &geometry), mapping }));
        Self {
            segment,
            cookie: header.cookie,
            view: FramesView::of(&frames, geometry),
            frames,
            followed: Followed {
                places,
                leases: site.leases_of(header.leases_id).ok().flatten(),
                next: 0,
                publishing: true,
                seats: vec![Seat::default(); geometry.max_subscribers],
            },
        }
    }

    fn is_ready(&self) -> bool {
        self.view.words().control.state.load(Acquire) == state::READY
    }

    fn has_ended(&self, site: &Site) -> bool {
        // In a forked child nothing is mapped.
        !self.frames.process().is_current()
            || !self.is_ready()
            || site.find(Part::Frames).is_ok_and(|found| found.as_ref() != Some(&self.segment))
    }

    fn end(self) -> Ended {
        Ended { segment: self.segment, cookie: self.cookie, followed: self.followed }
    }

    /// Goes on with what was seen of the epoch before: its subscribers keep their leases when they move here.
    fn succeed(&mut self, ended: Ended, traced: &mut Traced) {
        if self.segment == ended.segment && self.cookie == ended.cookie {
            // The same one, mapped anew in a forked child.
            let Followed { next, publishing, seats, .. } = ended.followed;
            (self.followed.next, self.followed.publishing, self.followed.seats) = (next, publishing, seats);
            return;
        }
        let number = |followed: &Followed| followed.leases.as_ref().map(LeaseSet::number);
        if number(&self.followed).is_none() || number(&self.followed) != number(&ended.followed) {
            return ended.tell_who_left(0, traced);
        }
        ended.tell_who_left(self.followed.seats.len(), traced);
        let Followed { places, seats, .. } = ended.followed;
        for (seat, old) in self.followed.seats.iter_mut().zip(seats).filter(|(_, old)| old.holder.is_some()) {
            let Seat { holder, known, mark, before, .. } = old;
            *seat = Seat { holder, known, mark, before: before.or_else(|| places.clone()), ..Seat::default() };
        }
    }

    /// Adds what is new.
    fn look(&mut self, traced: &mut Traced, ended: bool) {
        // It was attached in this process, which has not forked since; else there is nothing to read.
        if !self.frames.process().is_current() {
            return;
        }
        let Self { view, followed: Followed { places, leases, next, publishing, seats }, .. } = self;
        let held = |holder: Holder| leases.as_ref().is_none_or(|leases| leases.is_held(holder));
        let has_ended = || ended || view.words().control.state.load(Acquire) != state::READY;
        // Asked before the events are read: who has gone has written its last by then.
        let is_publishing = held(Holder::Publisher);
        let mut words = Vec::new();
        let (read, lost) = view.events().read(*next, |event| words.push(event));
        (*next, traced.lost) = (read, traced.lost.saturating_add(lost));
        if let (Some(places), Some(leases)) = (&*places, &*leases) {
            let accounts = places.view.accounts();
            for (index, (place, seat)) in places.all().iter().zip(&mut *seats).enumerate() {
                let attached_ns = place.counters.attached_ns.load(Acquire);
                // A place that nobody ever had is left alone: to read its account would cost memory.
                let was_had = place.counters.pid.load(Relaxed) != 0;
                if was_had || seat.before.is_some() {
                    let alive = held(Holder::Place(index));
                    seat.look(index, place, attached_ns, alive, has_ended, leases, traced);
                }
                if !was_had {
                    continue;
                }
                let mut events = Vec::new();
                let (read, lost) = accounts[index].ring().read(seat.next, |event| events.push(event));
                (seat.next, traced.lost) = (read, traced.lost.saturating_add(lost));
                let own = events.into_iter().filter_map(Event::decode);
                // What is older than its holder was somebody else's, whose name nobody knows any more.
                let by = |event: &Event| Some(seat.author(place, index, event.at_ns < attached_ns));
                traced.events.extend(own.map(|event| TraceEvent { by: by(&event), event, culprits: Vec::new() }));
            }
        }
        let culprits =
            |fate: &Fate| fate.culprits().into_iter().filter_map(|place| seats.get(place)?.known.clone()).collect();
        let decoded = words.into_iter().filter_map(Event::decode);
        traced.events.extend(decoded.map(|event| TraceEvent { by: None, culprits: culprits(&event.fate), event }));
        if std::mem::replace(publishing, is_publishing) && !is_publishing && leases.is_some() && !has_ended() {
            traced.tell(now_ns(), Fate::Gone, None);
        }
    }
}

impl Ended {
    /// Whether its publisher, or another one, is at work on the next epoch.
    fn goes_on(&self) -> bool {
        self.followed.leases.as_ref().is_some_and(|leases| leases.exists() && leases.is_held(Holder::Publisher))
    }

    /// Tells of places from `first` on whose holders left them in the last moments: nowhere do they go on.
    fn tell_who_left(&self, first: usize, traced: &mut Traced) {
        for (index, seat) in self.followed.seats.iter().enumerate().skip(first) {
            let places = seat.before.as_ref().or(self.followed.places.as_ref());
            if seat.holder.is_some() && places.is_none_or(|places| places.is_left(index)) {
                traced.tell(now_ns(), Fate::Left, seat.holder.clone());
            }
        }
    }
}

impl Seat {
    /// Who came, and who went.
    #[allow(clippy::too_many_arguments)]
    fn look(
        &mut self,
        index: usize,
        place: &Place,
        attached_ns: u64,
        alive: bool,
        has_ended: impl Fn() -> bool,
        leases: &LeaseSet,
        traced: &mut Traced,
    ) {
        let holder = || PlaceHolder {
            place: index,
            pid: leases.holder_pid(Holder::Place(index)),
            label: place::read_label(&place.counters.label),
            held_ns: None,
        };
        if let Some(before) = self.before.take() {
            if attached_ns == 0 && alive {
                // On the way.
                self.before = Some(before);
                return;
            }
            let now = holder();
            if alive && self.holder.as_ref().is_some_and(|old| (old.pid, &old.label) == (now.pid, &now.label)) {
                return self.settle(place, attached_ns, now);
            }
            let left = alive || (attached_ns == 0 && before.is_left(index));
            traced.tell(now_ns(), if left { Fate::Left } else { Fate::Died }, self.holder.take());
        }
        let is_another = attached_ns != self.attached_ns;
        if self.holder.is_some() && (is_another || !alive) {
            if alive && attached_ns == 0 && has_ended() {
                // It moves to the next epoch, or leaves: that will tell.
                return;
            }
            // Who leaves says so; of one whose place another has by now, it is not known.
            let fate = if alive || attached_ns == 0 { Fate::Left } else { Fate::Died };
            traced.tell(now_ns(), fate, self.holder.take());
        }
        if is_another && alive && attached_ns != 0 {
            let now = holder();
            traced.tell(attached_ns, Fate::Attached, Some(now.clone()));
            self.settle(place, attached_ns, now);
        }
    }

    fn settle(&mut self, place: &Place, attached_ns: u64, holder: PlaceHolder) {
        (self.attached_ns, self.mark) = (attached_ns, mark_of(place));
        (self.known, self.holder) = (Some(holder.clone()), Some(holder));
    }

    /// Who wrote an event: who has the place, or had it last.
    fn author(&self, place: &Place, index: usize, is_older: bool) -> PlaceHolder {
        match &self.known {
            Some(known) if !is_older && (self.holder.is_some() || self.mark == mark_of(place)) => known.clone(),
            _ => {
                let label = if is_older { String::new() } else { place::read_label(&place.counters.label) };
                PlaceHolder { place: index, pid: None, label, held_ns: None }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::layout::EventWords;
    use crate::ring::Ring;
    use crate::sync::Ordering::Relaxed;
    use crate::sync::PlainU64;

    #[test]
    fn a_ring_whose_head_is_taken_back_while_it_is_read_has_lost_the_rest() {
        let events: [EventWords; 8] = std::array::from_fn(|_| EventWords(std::array::from_fn(|_| PlainU64::new(0))));
        let head = PlainU64::new(0);
        let ring = Ring { head: &head, events: &events };
        (0..5).for_each(|number| ring.write([number; 8]));
        let mut read = Vec::new();
        let (next, lost) = ring.read(0, |event| {
            read.push(event[0]);
            // Who scribbles does it between two of our loads.
            head.store(0, Relaxed);
        });
        assert_eq!((next, lost, read), (5, 4, vec![0]));
        for scribbled in [u64::MAX, 0, u64::MAX - 3, 1 << 63] {
            head.store(scribbled, Relaxed);
            for from in [0, 5, u64::MAX, scribbled] {
                let mut count = 0;
                let (next, _) = ring.read(from, |_| count += 1);
                assert!(next == scribbled && count < 8, "{from} {scribbled}: {count}");
            }
            ring.write([9; 8]);
        }
    }
}
