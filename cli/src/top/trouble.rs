//! What is wrong with a stream or a subscriber, and how badly, in words for somebody who has just been woken up.

use framebus::PublisherState;
use framebus_program::duration;

use super::format::rate;
use super::look::Holder;
use super::watch::{Culprit, REMEMBERED_NS, Watched, WatchedSubscriber};

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Good,
    /// Unusual: look at it.
    Attention,
    /// Frames are lost, or none come.
    Bad,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub severity: Severity,
    pub text: String,
}

/// A newest frame so old is overdue.
const OVERDUE_PERIODS: f64 = 3.0;
/// And so old, and a second, it is missed badly.
const MISSED_PERIODS: f64 = 30.0;
/// Younger ones never are: that is how long a busy machine may let anybody wait.
const NEVER_OVERDUE_NS: u64 = 20_000_000;
/// Less than this part of its rate is too slow.
const SLOW: f64 = 0.9;
/// More late frames than this part of all are too many.
const OFTEN_LATE: f64 = 0.05;

/// The worst of some troubles.
pub fn severity(troubles: &[Trouble]) -> Severity {
    troubles.iter().map(|trouble| trouble.severity).max().unwrap_or(Severity::Good)
}

/// What is wrong with a stream, the worst first.
pub fn of_stream(stream: &Watched, at_ns: u64) -> Vec<Trouble> {
    if let Some(since) = stream.vanished_ns {
        return vec![attention(format!("closed and removed {} ago", duration(at_ns.saturating_sub(since))))];
    }
    let mut troubles = Vec::new();
    match stream.now.publisher {
        PublisherState::Alive => {
            troubles.extend(drops(stream, at_ns));
            troubles.extend(eviction(stream, at_ns));
            // Who drops frames is slow due to that.
            if severity(&troubles) < Severity::Bad {
                troubles.extend(age(stream));
                troubles.extend(slowness(stream));
            }
        }
        PublisherState::Closed => troubles.push(attention("closed by its publisher".to_owned())),
        _ => troubles.push(bad("publisher gone".to_owned())),
    }
    troubles.sort_by_key(|trouble| std::cmp::Reverse(trouble.severity));
    troubles
}

/// Whether the newest frame is overdue.
pub fn age_severity(stream: &Watched) -> Severity {
    let (Some(age_ns), Some(period_ns)) = (stream.now.age_ns, stream.period_ns()) else { return Severity::Good };
    let periods = age_ns as f64 / period_ns;
    match age_ns {
        _ if periods <= OVERDUE_PERIODS || age_ns < NEVER_OVERDUE_NS => Severity::Good,
        1_000_000_000.. if periods > MISSED_PERIODS => Severity::Bad,
        _ => Severity::Attention,
    }
}

/// Whether it is slower than it should be.
pub fn rate_severity(stream: &Watched) -> Severity {
    match (stream.rates.published_hz, stream.now.nominal_hz) {
        (Some(hz), Some(nominal)) if hz < SLOW * nominal => Severity::Attention,
        _ => Severity::Good,
    }
}

fn drops(stream: &Watched, at_ns: u64) -> Option<Trouble> {
    let because = |culprit: &Culprit| match &culprit.holder {
        Some(holder) => format!("due to {}", holder.title()),
        None => "due to somebody who has left".to_owned(),
    };
    let culprit = stream.culprit.as_ref()?;
    if let Some(hz) = stream.rates.refused_hz.filter(|&hz| hz > 0.0) {
        return Some(bad(format!("drops {}/s {}", rate(hz), because(culprit))));
    }
    let ago = at_ns.saturating_sub(culprit.at_ns);
    let frames = culprit.frames;
    (ago < REMEMBERED_NS)
        .then(|| attention(format!("dropped {frames} frames {} ago {}", duration(ago), because(culprit))))
}

/// For as long as it is news, a lossless reader that was given up is bad: it has lost frames that it was to have.
fn eviction(stream: &Watched, at_ns: u64) -> Option<Trouble> {
    let evicted = stream.evicted.as_ref()?;
    let who = evicted.holder.as_ref().map_or("a lossless reader".to_owned(), Holder::title);
    match at_ns.saturating_sub(evicted.at_ns) {
        0 => Some(bad(format!("evicted {who}: it was stuck"))),
        ago if ago < REMEMBERED_NS => Some(attention(format!("evicted {who} {} ago", duration(ago)))),
        _ => None,
    }
}

fn age(stream: &Watched) -> Option<Trouble> {
    let Some(age_ns) = stream.now.age_ns else { return Some(attention("no frame so far".to_owned())) };
    let severity = age_severity(stream);
    let periods = stream.period_ns().map_or(0.0, |period_ns| age_ns as f64 / period_ns);
    let text = format!("no frame for {} ({periods:.0} periods)", duration(age_ns));
    (severity > Severity::Good).then_some(Trouble { severity, text })
}

fn slowness(stream: &Watched) -> Option<Trouble> {
    let hz = stream.rates.published_hz?;
    if let (Severity::Attention, Some(nominal)) = (rate_severity(stream), stream.now.nominal_hz) {
        // One that stands still is told of by its age.
        return (hz > 0.0).then(|| attention(format!("slow: {} of {} Hz", rate(hz), rate(nominal))));
    }
    let late = stream.rates.late_hz.filter(|&late| late > 0.0 && late > OFTEN_LATE * hz)?;
    Some(attention(format!("late {}/s", rate(late))))
}

/// What is wrong with a subscriber, the worst first.
pub fn of_subscriber(stream: &Watched, subscriber: &WatchedSubscriber) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    let rates = &subscriber.rates;
    let some = |hz: Option<f64>| hz.filter(|&hz| hz > 0.0);
    if let Some(hz) = some(rates.blamed_hz) {
        let most = stream.culprit.as_ref().and_then(|culprit| culprit.holder.as_ref()) == Some(&subscriber.now.holder);
        let who = if most { "the culprit" } else { "an accomplice" };
        let held = match subscriber.now.blamed_held_ns {
            0 => String::new(),
            held_ns => format!(", has held one for {}", duration(held_ns)),
        };
        troubles.push(bad(format!("{who}: {} frames/s refused{held}", rate(hz))));
    }
    troubles.extend(violations(subscriber));
    if holds_all(stream, subscriber) {
        troubles.push(attention(format!("holds all {} it may", stream.now.max_held)));
    }
    if let Some(hz) = some(rates.missed_hz) {
        troubles.push(attention(format!("misses {}/s", rate(hz))));
    }
    if rates.seen_hz == Some(0.0) && stream.rates.published.is_some_and(|count| count > 1) {
        troubles.push(attention("takes no frames".to_owned()));
    }
    troubles
}

fn violations(subscriber: &WatchedSubscriber) -> Option<Trouble> {
    let violations = subscriber.rates.violations_hz?;
    let total: f64 = violations.iter().sum();
    let kinds = ["frames too old", "too many lost", "no new frame"].into_iter().zip(violations);
    let kinds: Vec<_> = kinds.filter(|(_, hz)| *hz > 0.0).map(|(kind, _)| kind).collect();
    (total > 0.0).then(|| bad(format!("contract violated {}/s: {}", rate(total), kinds.join(", "))))
}

/// Whether a subscriber holds all the frames that it may, and not just for a moment. Where that is one, holding it is no
/// news, unless it never gives it back.
pub fn holds_all(stream: &Watched, subscriber: &WatchedSubscriber) -> bool {
    subscriber.full && (stream.now.max_held > 1 || subscriber.rates.seen_hz == Some(0.0))
}

fn attention(text: String) -> Trouble {
    Trouble { severity: Severity::Attention, text }
}

fn bad(text: String) -> Trouble {
    Trouble { severity: Severity::Bad, text }
}
