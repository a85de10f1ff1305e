//! A look: what the kernel's table says of all streams at one moment, as plain data.
//!
//! Everything behind it works on looks alone, so it can be tested without streams.

use framebus::{Content, Histogram, PublisherState, StreamStatus, SubscriberStatus, Violations};
use framebus_program::Seen;

/// All streams at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Look {
    /// `CLOCK_MONOTONIC`, ns.
    pub at_ns: u64,
    /// One of each name and backend.
    pub streams: Vec<Stream>,
}

/// What makes a stream the same one in two looks: `BUS/STREAM`, and what it is made of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamKey {
    pub name: String,
    pub backend: String,
}

/// A stream at one moment; the fields are those of [`StreamStatus`].
#[derive(Clone, Debug, PartialEq)]
pub struct Stream {
    pub key: StreamKey,
    pub content: String,
    pub nominal_hz: Option<f64>,
    pub publisher: PublisherState,
    pub publisher_pid: Option<u32>,
    pub base_sequence: u64,
    pub last_sequence: u64,
    pub age_ns: Option<u64>,
    pub refused: u64,
    pub abandoned: u64,
    pub late: u64,
    pub evicted: u64,
    pub slots: usize,
    pub history: usize,
    pub max_subscribers: usize,
    pub max_held: usize,
    pub slot_bytes: u64,
    pub frames_bytes: u64,
    pub resident_bytes: u64,
    pub segment_id: i32,
    pub uid: u32,
    pub mode: u32,
    pub subscribers: Vec<Subscriber>,
}

/// A subscriber at one moment; the fields are those of [`SubscriberStatus`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscriber {
    pub holder: Holder,
    pub held: usize,
    pub seen: u64,
    pub skipped: u64,
    pub missed: u64,
    pub refused: u64,
    pub last_sequence: u64,
    pub blamed: u64,
    pub blamed_held_ns: u64,
    pub holding_ns: Option<u64>,
    pub lossless: bool,
    pub latencies: Histogram,
    pub ages: Histogram,
    pub holds: Histogram,
    pub violations: Violations,
}

/// Who has a place: what makes a subscriber the same one in two looks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    pub place: usize,
    pub pid: Option<u32>,
    pub label: String,
}

impl Look {
    /// What a listing says. Of two streams of one name and backend (one is about to be removed) the living one counts.
    pub fn new(at_ns: u64, statuses: &[StreamStatus]) -> Self {
        let mut streams: Vec<Stream> = Vec::with_capacity(statuses.len());
        for stream in statuses.iter().map(Stream::of) {
            match streams.iter_mut().find(|other| other.key == stream.key) {
                Some(other) if stream.publisher == PublisherState::Alive => *other = stream,
                Some(_) => {}
                None => streams.push(stream),
            }
        }
        Self { at_ns, streams }
    }
}

impl Stream {
    fn of(status: &StreamStatus) -> Self {
        Self {
            key: StreamKey::of(status),
            content: status.content.as_ref().map_or("damaged header".to_owned(), Content::to_string),
            nominal_hz: status.rate.map(|rate| rate.hz()),
            publisher: status.publisher,
            publisher_pid: status.publisher_pid,
            base_sequence: status.base_sequence,
            last_sequence: status.last_sequence,
            age_ns: status.age_ns,
            refused: status.counters.refused,
            abandoned: status.counters.abandoned,
            late: status.counters.late,
            evicted: status.counters.evicted,
            slots: status.geometry.slots(),
            history: status.geometry.history(),
            max_subscribers: status.geometry.max_subscribers(),
            max_held: status.geometry.max_held(),
            slot_bytes: status.geometry.slot_capacity_bytes() as u64,
            frames_bytes: status.geometry.frames_bytes() as u64,
            resident_bytes: status.resident_bytes,
            segment_id: status.segment_id,
            uid: status.uid,
            mode: status.mode,
            subscribers: status.subscribers.iter().map(Subscriber::of).collect(),
        }
    }

    /// What it tells of the stream's pace; `at_ns`: when this look was.
    pub fn seen(&self, at_ns: u64) -> Seen {
        Seen {
            at_ns,
            segment_id: self.segment_id,
            base_sequence: self.base_sequence,
            last_sequence: self.last_sequence,
            age_ns: self.age_ns,
            publisher: self.publisher,
            publisher_pid: self.publisher_pid,
        }
    }

    /// Slots that subscribers hold; a slot that two hold counts twice.
    pub fn held(&self) -> usize {
        self.subscribers.iter().map(|subscriber| subscriber.held).sum()
    }
}

impl StreamKey {
    pub fn of(status: &StreamStatus) -> Self {
        Self { name: status.name.to_string(), backend: status.backend.to_string() }
    }
}

impl Subscriber {
    fn of(status: &SubscriberStatus) -> Self {
        let SubscriberStatus { holder, held, counters, blamed, .. } = status;
        Self {
            holder: Holder { place: holder.place, pid: holder.pid, label: holder.label.clone() },
            held: *held,
            seen: counters.seen,
            skipped: counters.skipped,
            missed: counters.missed,
            refused: counters.refused,
            last_sequence: counters.last_sequence,
            blamed: *blamed,
            blamed_held_ns: status.blamed_held_ns,
            holding_ns: holder.held_ns,
            lossless: status.lossless,
            latencies: status.latencies.clone(),
            ages: status.ages.clone(),
            holds: status.holds.clone(),
            violations: status.violations,
        }
    }
}

impl Holder {
    /// `LABEL (pid PID)`, for people.
    pub fn title(&self) -> String {
        match self.pid {
            Some(pid) => format!("{} (pid {pid})", self.name()),
            None => format!("{} (place {}, pid unknown)", self.name(), self.place),
        }
    }

    /// What it calls itself.
    pub fn name(&self) -> &str {
        if self.label.is_empty() { "unnamed" } else { &self.label }
    }
}
