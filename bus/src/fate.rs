//! What can become of a frame besides being read, and who is to blame: the events in the [`ring`](crate::ring)s.

use crate::ring::Event as Words;
use crate::slots::PlaceSet;
use std::fmt;
use std::time::Duration;

/// Something out of the ordinary, as the one who met it wrote it down.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// When, `CLOCK_MONOTONIC` ns.
    pub at_ns: u64,
    /// The frame: the one that was refused, late or too old; the last of those that were skipped or missed; 0 where it is about none.
    pub sequence: u64,
    /// What became of it.
    pub fate: Fate,
}

/// What became of a frame, or who came and went. The first ones are told by publishers, the others by subscribers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// Not published: no slot was free.
    Held {
        /// Places whose subscribers held slots.
        culprits: Vec<usize>,
        /// How long the one that was held longest had been, ns.
        held_ns: u64,
        /// How long was waited for a slot.
        waited: Duration,
    },
    /// Not published: lossless subscribers had not read what it would push out.
    Unread {
        /// Their places.
        culprits: Vec<usize>,
        /// How many frames the slowest is behind.
        behind: u64,
        /// How long was waited for them.
        waited: Duration,
    },
    /// Published behind its deadline.
    Late {
        /// By how much, ns.
        by_ns: u64,
        /// Deadlines that it stands for: those that were left out, too.
        frames: u64,
    },
    /// Begun, and not published.
    Abandoned,
    /// A lossless subscriber was not waited for any longer.
    Evicted {
        /// Its place.
        place: usize,
        /// How many frames it was behind.
        behind: u64,
        /// How long was waited for it.
        waited: Duration,
    },
    /// A publisher began, in a new epoch or as a dead one's successor.
    Began {
        /// Its process, in its own PID namespace.
        pid: u32,
        /// How many there were in this epoch, with it.
        publishers: u64,
    },
    /// Passed over, because a newer one was taken.
    Skipped {
        /// How many.
        frames: u64,
    },
    /// Gone before they were asked for.
    Missed {
        /// How many.
        frames: u64,
    },
    /// Not taken: the subscriber held as many as it may.
    AllHeld,
    /// Older than the subscriber's contract allows when it was taken.
    TooOld {
        /// Its age, ns.
        age_ns: u64,
        /// What is allowed, ns.
        limit_ns: u64,
    },
    /// More frames were passed over or gone within a second than the subscriber's contract allows.
    TooManySkipped {
        /// How many.
        frames: u64,
        /// What is allowed.
        limit: u64,
    },
    /// There was no frame that is as new as the subscriber's contract wants.
    Stale {
        /// How old the newest one was, ns.
        age_ns: u64,
        /// What is allowed, ns.
        limit_ns: u64,
    },
    /// The subscriber found that it is not waited for any longer.
    WasEvicted,
    /// A subscriber came. Seen by [`Trace`](crate::Trace), as the last ones are.
    Attached,
    /// A subscriber went.
    Left,
    /// A subscriber died.
    Died,
    /// The publisher went without closing the stream, or died.
    Gone,
    /// The stream is there no longer.
    Closed,
}

const HELD: u32 = 1;
const UNREAD: u32 = 2;
const LATE: u32 = 3;
const ABANDONED: u32 = 4;
const EVICTED: u32 = 5;
const BEGAN: u32 = 6;
const SKIPPED: u32 = 16;
const MISSED: u32 = 17;
const ALL_HELD: u32 = 18;
const TOO_OLD: u32 = 19;
const TOO_MANY_SKIPPED: u32 = 20;
const STALE: u32 = 21;
const WAS_EVICTED: u32 = 22;

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

impl Event {
    /// Its words: time · kind and, above, waited µs · sequence · value · a set of places, or a second value.
    pub(crate) fn encode(&self) -> Words {
        let set = |places: &[usize]| {
            let mut set = PlaceSet::default();
            places.iter().for_each(|place| set.insert(*place));
            set.words()
        };
        let one = |value: u64| [value, 0, 0, 0];
        let (kind, waited, value, rest) = match &self.fate {
            Fate::Held { culprits, held_ns, waited } => (HELD, micros(*waited), *held_ns, set(culprits)),
            Fate::Unread { culprits, behind, waited } => (UNREAD, micros(*waited), *behind, set(culprits)),
            Fate::Late { by_ns, frames } => (LATE, 0, *by_ns, one(*frames)),
            Fate::Abandoned => (ABANDONED, 0, 0, one(0)),
            Fate::Evicted { place, behind, waited } => (EVICTED, micros(*waited), *behind, one(*place as u64)),
            Fate::Began { pid, publishers } => (BEGAN, 0, u64::from(*pid), one(*publishers)),
            Fate::Skipped { frames } => (SKIPPED, 0, *frames, one(0)),
            Fate::Missed { frames } => (MISSED, 0, *frames, one(0)),
            Fate::AllHeld => (ALL_HELD, 0, 0, one(0)),
            Fate::TooOld { age_ns, limit_ns } => (TOO_OLD, 0, *age_ns, one(*limit_ns)),
            Fate::TooManySkipped { frames, limit } => (TOO_MANY_SKIPPED, 0, *frames, one(*limit)),
            Fate::Stale { age_ns, limit_ns } => (STALE, 0, *age_ns, one(*limit_ns)),
            Fate::WasEvicted => (WAS_EVICTED, 0, 0, one(0)),
            // Nobody writes these down.
            Fate::Attached | Fate::Left | Fate::Died | Fate::Gone | Fate::Closed => (0, 0, 0, one(0)),
        };
        let [first, second, third, fourth] = rest;
        [self.at_ns, u64::from(waited) << 32 | u64::from(kind), self.sequence, value, first, second, third, fourth]
    }

    /// What the words mean; `None` where they mean nothing, because whoever wrote them is of another version, or no friend.
    pub(crate) fn decode(words: Words) -> Option<Self> {
        let [at_ns, kind, sequence, value, rest @ ..] = words;
        let waited = Duration::from_micros(kind >> 32);
        let culprits = || PlaceSet::from_words(rest).iter().collect();
        let fate = match kind as u32 {
            HELD => Fate::Held { culprits: culprits(), held_ns: value, waited },
            UNREAD => Fate::Unread { culprits: culprits(), behind: value, waited },
            LATE => Fate::Late { by_ns: value, frames: rest[0] },
            ABANDONED => Fate::Abandoned,
            EVICTED => Fate::Evicted { place: usize::from(rest[0] as u8), behind: value, waited },
            BEGAN => Fate::Began { pid: value as u32, publishers: rest[0] },
            SKIPPED => Fate::Skipped { frames: value },
            MISSED => Fate::Missed { frames: value },
            ALL_HELD => Fate::AllHeld,
            TOO_OLD => Fate::TooOld { age_ns: value, limit_ns: rest[0] },
            TOO_MANY_SKIPPED => Fate::TooManySkipped { frames: value, limit: rest[0] },
            STALE => Fate::Stale { age_ns: value, limit_ns: rest[0] },
            WAS_EVICTED => Fate::WasEvicted,
            _ => return None,
        };
        Some(Self { at_ns, sequence, fate })
    }
}

impl Fate {
    /// One word for it, for tables and machines: `"held"`, `"unread"`, `"late"` …
    pub fn name(&self) -> &'static str {
        match self {
            Fate::Held { .. } => "held",
            Fate::Unread { .. } => "unread",
            Fate::Late { .. } => "late",
            Fate::Abandoned => "abandoned",
            Fate::Evicted { .. } => "evicted",
            Fate::Began { .. } => "began",
            Fate::Skipped { .. } => "skipped",
            Fate::Missed { .. } => "missed",
            Fate::AllHeld => "all_held",
            Fate::TooOld { .. } => "too_old",
            Fate::TooManySkipped { .. } => "too_many_skipped",
            Fate::Stale { .. } => "stale",
            Fate::WasEvicted => "was_evicted",
            Fate::Attached => "attached",
            Fate::Left => "left",
            Fate::Died => "died",
            Fate::Gone => "gone",
            Fate::Closed => "closed",
        }
    }

    /// Places that are to blame for it.
    pub fn culprits(&self) -> Vec<usize> {
        match self {
            Fate::Held { culprits, .. } | Fate::Unread { culprits, .. } => culprits.clone(),
            Fate::Evicted { place, .. } => vec![*place],
            _ => Vec::new(),
        }
    }

    /// Whether a [`Contract`](crate::Contract) was not kept.
    pub fn is_violation(&self) -> bool {
        matches!(self, Fate::TooOld { .. } | Fate::TooManySkipped { .. } | Fate::Stale { .. })
    }
}

fn frames_text(frames: u64) -> String {
    if frames == 1 { "1 frame".to_owned() } else { format!("{frames} frames") }
}

impl fmt::Display for Fate {
    /// Without the culprits' names, which only their places know.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |ns: u64| Duration::from_micros(ns / 1_000);
        let after = |waited: Duration| if waited.is_zero() { String::new() } else { format!(" after {waited:?}") };
        match self {
            Fate::Held { held_ns, waited, .. } => {
                write!(out, "refused{}: no slot was free, one was held for {:?}", after(*waited), time(*held_ns))
            }
            Fate::Unread { behind, waited, .. } => {
                write!(out, "refused{}: a lossless reader was {} behind", after(*waited), frames_text(*behind))
            }
            Fate::Late { by_ns, frames } => {
                write!(out, "late by {:?}", time(*by_ns))?;
                if *frames > 1 { write!(out, ", {frames} deadlines") } else { Ok(()) }
            }
            Fate::Abandoned => write!(out, "abandoned: begun and not published"),
            Fate::Evicted { behind, waited, .. } => {
                write!(out, "a lossless reader was evicted, {} behind{}", frames_text(*behind), after(*waited))
            }
            Fate::Began { pid, publishers: 1 } => write!(out, "process {pid} began to publish"),
            Fate::Began { pid, publishers } => {
                write!(out, "process {pid} took over, publisher {publishers} of this epoch")
            }
            Fate::Skipped { frames } => write!(out, "skipped {}: a newer one was taken", frames_text(*frames)),
            Fate::Missed { frames } => write!(out, "missed {}: gone before asked for", frames_text(*frames)),
            Fate::AllHeld => write!(out, "not taken: it holds all the frames that it may"),
            Fate::TooOld { age_ns, limit_ns } => {
                write!(out, "violated: {:?} old when taken, allowed {:?}", time(*age_ns), time(*limit_ns))
            }
            Fate::TooManySkipped { frames, limit } => {
                write!(out, "violated: {} passed over or gone within a second, allowed {limit}", frames_text(*frames))
            }
            Fate::Stale { age_ns, limit_ns } => {
                write!(out, "violated: the newest frame is {:?} old, allowed {:?}", time(*age_ns), time(*limit_ns))
            }
            Fate::WasEvicted => write!(out, "was evicted: the publisher waits for it no longer"),
            Fate::Attached => write!(out, "attached"),
            Fate::Left => write!(out, "left"),
            Fate::Died => write!(out, "died"),
            Fate::Gone => write!(out, "the publisher is gone, without closing the stream"),
            Fate::Closed => write!(out, "the stream is closed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fate_survives_its_words() {
        let waited = Duration::from_millis(1500);
        let fates = [
            Fate::Held { culprits: vec![0, 63, 64, 254], held_ns: 7, waited: Duration::ZERO },
            Fate::Unread { culprits: vec![3], behind: 9, waited },
            Fate::Late { by_ns: 5, frames: 2 },
            Fate::Abandoned,
            Fate::Evicted { place: 254, behind: 3, waited },
            Fate::Began { pid: 4711, publishers: 2 },
            Fate::Skipped { frames: 4 },
            Fate::Missed { frames: 1 },
            Fate::AllHeld,
            Fate::TooOld { age_ns: 60_000_000, limit_ns: 50_000_000 },
            Fate::TooManySkipped { frames: 6, limit: 5 },
            Fate::Stale { age_ns: 3, limit_ns: 2 },
            Fate::WasEvicted,
        ];
        let mut names = std::collections::HashSet::new();
        for fate in fates {
            assert!(names.insert(fate.name()), "a name of its own");
            assert!(!fate.to_string().is_empty());
            let event = Event { at_ns: 1, sequence: 2, fate };
            assert_eq!(Event::decode(event.encode()), Some(event));
        }
    }

    #[test]
    fn words_of_nobody_are_no_event() {
        assert_eq!(Event::decode([0; 8]), None);
        assert_eq!(Event::decode([u64::MAX; 8]), None);
    }
}
