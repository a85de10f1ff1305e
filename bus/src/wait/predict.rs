//! When the next frame is due: the latency of spinning, nearly at the price of sleeping.
//!
//! Cameras are periodic. Who sleeps until shortly before a frame comes, and spins from there, has it as soon as who spins
//! all the time. The art is in "shortly":
//!
//! ```text
//!                     lead                          late
//!      ├───────────────────────────────┼─────────────────────────┤
//!    from ──► awake                   due          published    until ──► sleep on the futex
//!      └ lateness ┘└─────────── spinning ───────────────┘
//! ```
//!
//! * **due**: from the times at which the last [`REMEMBERED`] frames were published. The period is a median of slopes
//!   (Theil's incomplete method), so that a frame that was late, or left out, moves nothing. The phase is that of a grid
//!   through all of them, or the last frame's, whichever has foretold them better: the one fits who keeps a rate, the
//!   other who pauses for a while after each frame.
//! * **lead**: so large that most sleeps would have ended in time, going by how late this thread has woken up before and how
//!   far frames have strayed.
//! * **late**: how much behind its time a frame is still waited for; most have come sooner.
//!
//! "Most" is the largest of [`SHARES`] with which the spinning stays within its budget on average. What is spun is paid from an
//! account that gains `budget` of all time that passes. Where not even the smallest share can be afforded, or where less than
//! [`WORTH`] of the forecasts were met in fact, nothing is spun; and a frame that does not come in time is not waited for by
//! spinning again. So an aperiodic or a late stream is simply slept for.
//!
//! Nothing here reads a clock or touches shared memory: times come in as arguments, in ns of `CLOCK_MONOTONIC`.

use std::collections::VecDeque;

/// Frames, and own awakenings, that the forecast is made from: about a second of a camera.
const REMEMBERED: usize = 64;
/// Frames before the first forecast, where the stream has a nominal rate, and where the period must be found out.
const ENOUGH_OF_NOMINAL: usize = 4;
const ENOUGH_OF_UNKNOWN: usize = 8;
/// The nominal period serves until there are so many frames.
const ENOUGH_TO_MEASURE: usize = 32;
/// Shares of the frames that lead and lateness are made for: the largest that the budget allows. With less it is not worth it.
const SHARES: [f64; 6] = [0.98, 0.95, 0.9, 0.85, 0.8, 0.75];
/// The share of frames that must be met in fact.
const WORTH: f64 = 0.5;
/// Forecasts by whose outcome that is judged, and frames without any when it was not. Each further time in a row that it was
/// not, they are twice as many, up to `LONGEST_REST`.
const JUDGED: usize = 32;
const LONGEST_REST: usize = 1024;
/// The lateness of a thread of which nothing is known, ns.
const USUAL_LATENESS: i64 = 60_000;
/// A frame is waited for at least so long behind its time, ns.
const SHORTEST: i64 = 5_000;
/// The account holds the budget of so many periods, for the frames that need more than the average.
const SAVED_PERIODS: f64 = 4.0;
/// A frame that is off by more than a quarter of a period counts 2, one that is not counts −1: so much is another rhythm.
const STRAY: u32 = 4;
/// How many frames of the new rhythm there are by then.
const STRAYS: usize = 3;

/// How well frames were foretold, with [`Wait::Predict`](crate::Wait::Predict).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PredictionCounters {
    /// Frames that came while they were spun for: in a microsecond, as a rule.
    pub hit: u64,
    /// Frames that were there before the spinning began.
    pub early: u64,
    /// Frames that did not come while they were spun for.
    pub late: u64,
    /// Time that was spun in all, ns.
    pub spun_ns: u64,
}

/// Foretells one stream's frames, for one waiting thread.
#[derive(Debug)]
pub(crate) struct Predictor {
    nominal_period: Option<f64>,
    /// Share of a core.
    budget: f64,
    /// Sequence and time of the last frames; the newest last.
    published: VecDeque<(u64, u64)>,
    /// How much later than wanted this thread woke up.
    lateness: VecDeque<i64>,
    /// Whether the last forecasts were met.
    outcomes: VecDeque<bool>,
    /// Of the frame after the newest that is known.
    due: Option<Due>,
    forecast: Option<Forecast>,
    /// What is known has changed since the forecast was made.
    is_stale: bool,
    /// The forecast has been tried already.
    is_spent: bool,
    /// The frame came while the thread spun since then: what that took, its publication will say.
    met_since: Option<u64>,
    /// Frames still to go without a forecast.
    resting: usize,
    next_rest: usize,
    strays: u32,
    account: Account,
    pub(crate) counters: PredictionCounters,
}

#[derive(Clone, Copy, Debug)]
struct Due {
    at: i64,
    period: f64,
}

/// How long before and behind its time a frame is spun for, ns.
#[derive(Clone, Copy, Debug)]
struct Forecast {
    due: Due,
    lead: i64,
    late: i64,
}

/// When to spin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub from: u64,
    pub until: u64,
}

/// Time that may be spun.
#[derive(Debug, Default)]
struct Account {
    ns: f64,
    /// Up to when the budget was credited.
    credited: u64,
}

impl Account {
    fn credit(&mut self, now: u64, budget: f64, most: f64) {
        let passed = match self.credited {
            0 => 0,
            before => now.saturating_sub(before),
        };
        self.credited = now;
        self.ns = (self.ns + passed as f64 * budget).min(most);
    }
}

impl Predictor {
    /// `budget` is the share of a core that may be spun; what is none is 0.
    pub(crate) fn new(budget: f64) -> Self {
        Self {
            nominal_period: None,
            budget: if budget.is_nan() { 0.0 } else { budget.clamp(0.0, 1.0) },
            published: VecDeque::with_capacity(REMEMBERED),
            lateness: VecDeque::with_capacity(REMEMBERED),
            outcomes: VecDeque::with_capacity(JUDGED),
            due: None,
            forecast: None,
            is_stale: false,
            is_spent: false,
            met_since: None,
            resting: 0,
            next_rest: JUDGED,
            strays: 0,
            account: Account::default(),
            counters: PredictionCounters::default(),
        }
    }

    /// The first epoch, or another one, which may have another nominal period, or none.
    pub(crate) fn begin_epoch(&mut self, nominal_period_ns: Option<f64>) {
        self.nominal_period = nominal_period_ns;
        self.published.clear();
        (self.due, self.forecast) = (None, None);
    }

    /// A frame was taken, the newest so far. Little more than two stores: the forecast is made when somebody waits.
    #[inline]
    pub(crate) fn took(&mut self, sequence: u64, publish_ns: u64) {
        // Another process wrote it. No clock is that late; and nothing below overflows.
        if publish_ns > 1 << 60 {
            return;
        }
        push(&mut self.published, (sequence, publish_ns), REMEMBERED);
        (self.is_stale, self.is_spent) = (true, false);
        self.resting = self.resting.saturating_sub(1);
    }

    /// When to spin for the next frame; `None`: sleep.
    pub(crate) fn plan(&mut self, now: u64) -> Option<Plan> {
        if let (Some(since), Some(&(_, published))) = (self.met_since.take(), self.published.back()) {
            self.pay(published.clamp(since, now.max(since)) - since);
            self.judge(true);
        }
        if self.is_stale {
            self.is_stale = false;
            self.look_for_strays();
            self.foretell();
        }
        let forecast = self.forecast.filter(|_| !self.is_spent)?;
        self.account.credit(now, self.budget, SAVED_PERIODS * self.budget * forecast.due.period);
        let (from, until) = (forecast.due.at - forecast.lead, forecast.due.at + forecast.late);
        let begin = from.max(now as i64);
        // What the sleep until then will have earned counts.
        let earned = (begin - now as i64) as f64 * self.budget;
        let until = until.min(begin + (self.account.ns + earned) as i64);
        (until > begin).then_some(Plan { from: from.max(0) as u64, until: until.max(0) as u64 })
    }

    /// A sleep until shortly before the frame was due has ended; `came`: the frame was there before it.
    pub(crate) fn woke(&mut self, plan: Plan, now: u64, came: bool) {
        if now >= plan.from {
            push(&mut self.lateness, (now - plan.from) as i64, REMEMBERED);
        }
        if came {
            self.is_spent = true;
            self.counters.early += 1;
            self.judge(false);
        }
    }

    /// The frame came while the thread spun, from `since` on. Nothing is reckoned now: the frame is wanted.
    #[inline]
    pub(crate) fn met(&mut self, since: u64) {
        self.met_since = Some(since);
        self.counters.hit += 1;
        self.is_spent = true;
    }

    /// The thread has spun, and the frame did not come; `over`: it is not waited for by spinning again.
    pub(crate) fn spun(&mut self, ns: u64, over: bool) {
        self.pay(ns);
        if over {
            self.is_spent = true;
            self.counters.late += 1;
            self.judge(false);
        }
    }

    fn pay(&mut self, ns: u64) {
        self.counters.spun_ns += ns;
        self.account.ns -= ns as f64;
    }

    fn judge(&mut self, hit: bool) {
        push(&mut self.outcomes, hit, JUDGED);
        let met = self.outcomes.iter().filter(|&&met| met).count();
        if self.outcomes.len() == JUDGED {
            match (met as f64) < WORTH * JUDGED as f64 {
                true => self.rest(),
                false => self.next_rest = JUDGED,
            }
        }
    }

    /// Sleeps for some frames, and then tries again with what is new by then: stream and thread may have found a rhythm.
    fn rest(&mut self) {
        self.resting = self.next_rest;
        self.next_rest = (2 * self.next_rest).min(LONGEST_REST);
        self.outcomes.clear();
        self.lateness.clear();
        self.forget();
    }

    /// Forgets all but the last few frames.
    fn forget(&mut self) {
        self.strays = 0;
        self.published.drain(..self.published.len().saturating_sub(STRAYS));
    }

    /// Forgets the old rhythm once another one has begun.
    fn look_for_strays(&mut self) {
        let (Some(due), Some(&(_, newest))) = (self.due, self.published.back()) else { return };
        let off = (newest as i64 - due.at) as f64 / due.period;
        // Whole periods are frames that were left out, here or there.
        self.strays = if (off - off.round()).abs() > 0.25 { self.strays + 2 } else { self.strays.saturating_sub(1) };
        // As long as a rhythm is being learned, frames off it do not tell of another one.
        if self.strays >= STRAY && self.published.len() >= ENOUGH_TO_MEASURE {
            self.forget();
        }
    }

    fn foretell(&mut self) {
        (self.due, self.forecast) = (None, None);
        let (Some((period, times)), Some(&(_, newest))) = (self.rhythm(), self.published.back()) else { return };
        let (next, errors) = next(period, &times);
        let due = Due { at: newest as i64 + next as i64, period };
        self.due = Some(due);
        if self.resting > 0 {
            return;
        }
        self.forecast = self.afford(due, &errors);
        if self.forecast.is_none() {
            // If it was the thread's fault, that is forgotten in time: who does not spin learns nothing new.
            self.lateness.pop_front();
        }
    }

    /// How long to spin for a frame, going by the errors of such forecasts; `None`: it is not worth it.
    fn afford(&self, due: Due, errors: &[i64]) -> Option<Forecast> {
        // Lateness and error have nothing to do with each other, so any pairing of them is as good as another.
        let late_by = |index: usize| match self.lateness.len() {
            0 => USUAL_LATENESS,
            some => self.lateness[(index * 7 + 3) % some],
        };
        let mut sorted = errors.to_vec();
        sorted.sort_unstable();
        // With a lead of this, the thread would have been awake just when the frame came.
        let mut just: Vec<i64> = errors.iter().enumerate().map(|(index, error)| late_by(index) - error).collect();
        just.sort_unstable();
        let forecast =
            |share: f64| Forecast { due, lead: quantile(&just, share), late: quantile(&sorted, share).max(SHORTEST) };
        let spun = |Forecast { lead, late, .. }: &Forecast| {
            let each = errors.iter().enumerate().map(|(index, &error)| lead + error.min(*late) - late_by(index));
            each.map(|ns| ns.max(0) as f64).sum::<f64>() / errors.len() as f64
        };
        SHARES.into_iter().map(forecast).find(|forecast| spun(forecast) <= self.budget * due.period)
    }

    /// The period, and the time of each frame, with the number of the period in which it came.
    fn rhythm(&self) -> Option<(f64, Vec<(f64, f64)>)> {
        let frames = self.published.len();
        let enough = if self.nominal_period.is_some() { ENOUGH_OF_NOMINAL } else { ENOUGH_OF_UNKNOWN };
        if frames < enough {
            return None;
        }
        let newest = self.published.back()?.1;
        let before = |ns: u64| ns as f64 - newest as f64;
        let pairs = self.published.iter().zip(self.published.iter().skip(1));
        let steps = pairs.map(|(a, b)| (before(b.1) - before(a.1)) / b.0.saturating_sub(a.0).max(1) as f64);
        let rough = match self.nominal_period {
            Some(nominal) if frames < ENOUGH_OF_UNKNOWN => nominal,
            _ => median(steps.collect()),
        };
        if rough.is_nan() || rough < 1.0 {
            return None;
        }
        // A producer may leave out a period, and then the sequence does not say so: the time does.
        let mut number = 0.0;
        let mut last = before(self.published.front()?.1);
        let times: Vec<(f64, f64)> = self
            .published
            .iter()
            .map(|&(_, ns)| {
                number += ((before(ns) - last) / rough).round();
                last = before(ns);
                (number, last)
            })
            .collect();
        if frames < ENOUGH_TO_MEASURE
            && let Some(nominal) = self.nominal_period
            && (rough / nominal - 1.0).abs() < 0.05
        {
            return Some((nominal, times));
        }
        let half = frames / 2;
        let slopes = times.iter().zip(&times[half..]).map(|(a, b)| (b.1 - a.1) / (b.0 - a.0));
        let period = median(slopes.filter(|slope| slope.is_finite()).collect());
        (period >= 1.0).then_some((period, times))
    }
}

/// How long after the newest frame the next is due, and by how much each frame missed the time that it would have been
/// foretold in this way.
fn next(period: f64, times: &[(f64, f64)]) -> (f64, Vec<i64>) {
    let (newest_number, newest) = times[times.len() - 1];
    let phases: Vec<f64> = times.iter().map(|(number, time)| time - number * period).collect();
    let phase = median(phases.clone());
    let by_grid: Vec<i64> = phases.iter().map(|own| (own - phase) as i64).collect();
    let steps = times.iter().zip(&times[1..]);
    let by_last: Vec<i64> = steps.map(|(a, b)| (b.1 - a.1 - (b.0 - a.0) * period) as i64).collect();
    if spread(&by_last) < spread(&by_grid) {
        (period, by_last)
    } else {
        (phase + (newest_number + 1.0) * period - newest, by_grid)
    }
}

fn push<T>(ring: &mut VecDeque<T>, value: T, most: usize) {
    if ring.len() == most {
        ring.pop_front();
    }
    ring.push_back(value);
}

/// Of values in order, at least one.
fn quantile(sorted: &[i64], share: f64) -> i64 {
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

/// How far apart most of the values lie.
fn spread(values: &[i64]) -> i64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    quantile(&sorted, 0.9) - quantile(&sorted, 0.1)
}

/// NaN of no values.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests;
