//! All streams over time: each look is compared with the one before.
//!
//! A stream that is no longer found stays in the table for a minute, with what was last known of it: at three in the
//! morning, what has vanished is what one looks for.

use std::collections::BTreeMap;

use framebus_program::Pace;

use super::history::{History, Sample};
use super::look::{Holder, Look, Stream, StreamKey, Subscriber};
use super::probe::Reading;
use super::rates::{StreamRates, SubscriberRates};

/// How long a stream that is gone is still shown.
pub const REMEMBERED_NS: u64 = 60_000_000_000;

/// All streams, as the looks so far tell of them.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    /// Of the newest look; `CLOCK_MONOTONIC`, ns.
    pub at_ns: u64,
    /// From the look before it; `None` with less than two.
    pub seconds: Option<f64>,
    pub streams: BTreeMap<StreamKey, Watched>,
    looked: bool,
}

/// A stream, and what the looks so far tell of it.
#[derive(Clone, Debug)]
pub struct Watched {
    /// As it was last found.
    pub now: Stream,
    pub rates: StreamRates,
    /// In the order of their places.
    pub subscribers: Vec<WatchedSubscriber>,
    pub history: History,
    /// What a probe of ours measured in the last interval; `None`: it has none.
    pub probe: Option<Reading>,
    pace: Pace,
    /// How often another publisher was found, or a new stream of the name.
    pub restarts: u32,
    /// Who was last blamed for a refused frame.
    pub culprit: Option<Culprit>,
    /// Which lossless subscriber was evicted last.
    pub evicted: Option<Evicted>,
    /// When it was first no longer found.
    pub vanished_ns: Option<u64>,
}

/// A subscriber, and what it did since the look before.
#[derive(Clone, Debug)]
pub struct WatchedSubscriber {
    pub now: Subscriber,
    pub rates: SubscriberRates,
    /// It held all the frames that it may at this look and at the one before.
    pub full: bool,
}

/// Who was to blame for refused frames, and when that was seen last.
#[derive(Clone, Debug, PartialEq)]
pub struct Culprit {
    /// `None`: it had gone before the look.
    pub holder: Option<Holder>,
    /// Frames refused because of it, in that interval.
    pub frames: u64,
    /// When it was seen.
    pub at_ns: u64,
}

/// A lossless subscriber that the publisher waits for no longer.
#[derive(Clone, Debug, PartialEq)]
pub struct Evicted {
    /// `None`: nobody knows any more.
    pub holder: Option<Holder>,
    /// When it was seen.
    pub at_ns: u64,
}

impl Watch {
    /// Takes the next look.
    pub fn take(&mut self, look: Look) {
        let seconds = look.at_ns.saturating_sub(self.at_ns) as f64 / 1e9;
        self.seconds = (self.looked && seconds > 0.0).then_some(seconds);
        (self.at_ns, self.looked) = (look.at_ns, true);
        let mut before = std::mem::take(&mut self.streams);
        for stream in look.streams {
            let watched = match (before.remove(&stream.key), self.seconds) {
                (Some(watched), Some(seconds)) => watched.then(stream, look.at_ns, seconds),
                _ => Watched::first(stream, look.at_ns),
            };
            self.streams.insert(watched.now.key.clone(), watched);
        }
        for (key, mut watched) in before {
            if watched.vanish(look.at_ns) {
                self.streams.insert(key, watched);
            }
        }
    }

    /// Takes what the probes measured.
    pub fn note(&mut self, readings: &BTreeMap<StreamKey, Reading>) {
        for (key, stream) in &mut self.streams {
            stream.probe = readings.get(key).cloned();
        }
    }
}

impl Watched {
    fn first(stream: Stream, at_ns: u64) -> Self {
        let subscribers = stream.subscribers.iter().map(|now| WatchedSubscriber::first(now.clone())).collect();
        let mut first = Self {
            pace: Pace::new(stream.seen(at_ns)),
            now: stream,
            rates: StreamRates::default(),
            subscribers,
            history: History::default(),
            probe: None,
            restarts: 0,
            culprit: None,
            evicted: None,
            vanished_ns: None,
        };
        first.remember(at_ns);
        first
    }

    /// The same stream at the next look.
    fn then(mut self, now: Stream, at_ns: u64, seconds: f64) -> Self {
        let before = &self.now;
        let back_again = self.vanished_ns.is_some();
        let progress = self.pace.take(now.seen(at_ns));
        let rates = match back_again {
            true => StreamRates::default(),
            false => StreamRates::between(before, &now, seconds, progress),
        };
        let restarted = back_again || progress.restarted;
        let same_segment = before.segment_id == now.segment_id && !back_again;
        let earlier = |holder: &Holder| self.subscribers.iter().find(|one| same_segment && one.now.holder == *holder);
        let subscribers: Vec<_> = now
            .subscribers
            .iter()
            .map(|one| match earlier(&one.holder) {
                Some(earlier) => earlier.then(one.clone(), seconds, now.max_held),
                None => WatchedSubscriber::first(one.clone()),
            })
            .collect();
        let left =
            self.subscribers.iter().filter(|one| now.subscribers.iter().all(|other| other.holder != one.now.holder));
        let culprit = culprit(&rates, &subscribers, left, at_ns).or(self.culprit);
        let evicted = evicted(&rates, &self.subscribers, &subscribers, at_ns).or(self.evicted);
        let restarts = self.restarts + u32::from(restarted);
        let (history, pace) = (self.history, self.pace);
        let mut then =
            Self { now, rates, subscribers, history, probe: None, pace, restarts, culprit, evicted, vanished_ns: None };
        then.remember(at_ns);
        then
    }

    /// The stream is not there; whether it is still worth showing.
    fn vanish(&mut self, at_ns: u64) -> bool {
        self.rates = StreamRates::default();
        self.subscribers.clear();
        let since = *self.vanished_ns.get_or_insert(at_ns);
        self.remember(at_ns);
        at_ns - since < REMEMBERED_NS
    }

    fn remember(&mut self, at_ns: u64) {
        let StreamRates { published_hz, refused_hz, .. } = self.rates;
        let age_ns = self.now.age_ns.filter(|_| self.vanished_ns.is_none());
        self.history.push(Sample { at_ns, published_hz, refused_hz, age_ns });
    }

    /// Time from a frame to the next, as it should be or as it was: ns.
    pub fn period_ns(&self) -> Option<f64> {
        let hz = self.now.nominal_hz.filter(|&hz| hz > 0.0).or(self.pace.usual_hz());
        hz.map(|hz| 1e9 / hz)
    }
}

/// Who is to blame for what was refused since the look before: the one with the most frames. Where nobody is who is there, it
/// was somebody who has `left` meanwhile: the one who was blamed before.
fn culprit<'a>(
    rates: &StreamRates,
    subscribers: &[WatchedSubscriber],
    left: impl Iterator<Item = &'a WatchedSubscriber>,
    at_ns: u64,
) -> Option<Culprit> {
    let refused = rates.refused.filter(|&count| count > 0)?;
    let blamed = |one: &WatchedSubscriber| one.rates.blamed.filter(|&count| count > 0);
    if let Some(worst) = subscribers.iter().filter(|one| blamed(one).is_some()).max_by_key(|one| one.rates.blamed) {
        let frames = blamed(worst).unwrap_or(refused);
        return Some(Culprit { holder: Some(worst.now.holder.clone()), frames, at_ns });
    }
    let gone = left.filter(|one| blamed(one).is_some()).max_by_key(|one| one.rates.blamed);
    Some(Culprit { holder: gone.map(|one| one.now.holder.clone()), frames: refused, at_ns })
}

/// Which subscriber was evicted since the look before: one that is lossless no longer, or is again but has missed frames.
fn evicted(
    rates: &StreamRates,
    before: &[WatchedSubscriber],
    now: &[WatchedSubscriber],
    at_ns: u64,
) -> Option<Evicted> {
    rates.evicted.filter(|&count| count > 0)?;
    let was_evicted = |one: &&WatchedSubscriber| {
        let then = before.iter().find(|then| then.now.holder == one.now.holder);
        then.is_some_and(|then| then.now.lossless && (!one.now.lossless || one.now.missed > then.now.missed))
    };
    Some(Evicted { holder: now.iter().find(was_evicted).map(|one| one.now.holder.clone()), at_ns })
}

impl WatchedSubscriber {
    fn first(now: Subscriber) -> Self {
        Self { now, rates: SubscriberRates::default(), full: false }
    }

    fn then(&self, now: Subscriber, seconds: f64, max_held: usize) -> Self {
        let rates = SubscriberRates::between(&self.now, &now, seconds);
        let full = self.now.held >= max_held && now.held >= max_held;
        Self { now, rates, full }
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
