//! One-way latency: from just before a frame is published to when it can be read, at the rates of cameras.
//!
//! The publisher keeps its rate by an absolute timer, and sleeps in between. It does not write its frames (but for the stamp):
//! the bus is measured, not the camera. The first frames warm up both sides, are marked, and are not counted.

use super::{Case, FULL_HD, Measurement, Plan, Variant, Work};
use crate::actor::{Actor, Order, Outcome, Stage, stopped};
use crate::clock::{CpuMeter, now_ns, sleep_until};
use crate::contenders::{Contender, LAST, Publish, Site, Subscribe, WARM_UP, look_at_clock};
use crate::cores::Side;
use crate::run::Run;
use crate::samples::Samples;
use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// Rates, and how long each is measured, in seconds.
const FULL: [(f64, f64); 4] = [(30.0, 1.0), (60.0, 1.6), (200.0, 0.7), (1000.0, 0.7)];
const QUICK: [f64; 2] = [60.0, 1000.0];

pub fn cases(plan: &Plan) -> Vec<Case> {
    let rates = FULL.iter().map(|(hz, _)| *hz).filter(|hz| !plan.quick || QUICK.contains(hz));
    super::each(Work::Latency, plan, &rates.map(Variant::Hz).collect::<Vec<_>>())
}

pub fn measure(run: &Run, plan: &Plan, case: &Case) -> Result<Measurement> {
    let Variant::Hz(hz) = case.variant else { bail!("a latency without a rate") };
    let seconds = FULL.iter().find(|(rate, _)| *rate == hz).map_or(1.0, |(_, seconds)| *seconds);
    paced(run, case, hz, plan.time(seconds), 1).map(|paced| Measurement {
        times: paced.watchers.first().and_then(|watcher| watcher.times),
        ..paced.measurement()
    })
}

/// A publisher at a fixed rate and its viewers.
pub struct Paced {
    pub publisher: Outcome,
    pub watchers: Vec<Outcome>,
}

impl Paced {
    /// All but the times.
    pub fn measurement(&self) -> Measurement {
        let cpu: Vec<f64> = self.watchers.iter().filter_map(|watcher| watcher.cpu_percent).collect();
        let missed = self.watchers.iter().map(|watcher| self.publisher.frames.saturating_sub(watcher.frames)).max();
        Measurement {
            publisher_cpu_percent: self.publisher.cpu_percent,
            subscriber_cpu_percent: (!cpu.is_empty()).then(|| cpu.iter().sum::<f64>() / cpu.len() as f64),
            missed_frames: missed,
            ..Measurement::default()
        }
    }
}

/// Runs one publisher at a fixed rate and so many viewers.
pub fn paced(run: &Run, case: &Case, hz: f64, time: Duration, viewers: usize) -> Result<Paced> {
    let link = run.next_link();
    let site = Site { subscribers: viewers, hz: Some(hz), ..case.site(run, &link, FULL_HD) };
    let warm_up = (hz * 0.2).max(8.0) as u64;
    let frames = (hz * time.as_secs_f64()).max(8.0) as u64;
    let at_most_seconds = time.as_secs_f64() * 1.5 + 0.5;
    let order = PublishOrder { site: site.clone(), hz, warm_up, frames, at_most_seconds, viewers };
    let mut publisher = Actor::start(run, Side::Publisher, &Order::Publish(order))?;
    let order = Order::Watch { site: Site { hosts: false, ..site } };
    let watchers: Result<Vec<Actor<'_>>> = (0..viewers).map(|_| Actor::start(run, Side::Subscriber, &order)).collect();
    let mut watchers = watchers?;
    watchers.iter_mut().try_for_each(Actor::go)?;
    publisher.go()?;
    let published = publisher.outcome(time + Duration::from_secs(4))?;
    // The last frame tells them.
    let outcomes: Result<Vec<Outcome>> =
        watchers.iter_mut().map(|watcher| watcher.outcome(Duration::from_secs(5))).collect();
    let outcomes = outcomes?;
    watchers.iter_mut().for_each(Actor::ask_to_end);
    watchers.into_iter().try_for_each(Actor::end)?;
    publisher.end()?;
    Ok(Paced { publisher: published, watchers: outcomes })
}

/// Publish at a fixed rate, and time each publication.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PublishOrder {
    pub site: Site,
    pub hz: f64,
    /// Frames before the first that counts, but no more than half a second of them.
    pub warm_up: u64,
    /// Frames that count; `u64::MAX`: until told to stop.
    pub frames: u64,
    /// Measured time of those who can not keep the rate.
    pub at_most_seconds: f64,
    /// So many are waited for.
    pub viewers: usize,
}

/// The publisher's role.
pub fn publish<C: Contender>(order: &PublishOrder, stage: &Stage) -> Result<()> {
    let mut publisher = C::publisher(&order.site)?;
    let mut samples = Samples::new();
    stage.ready()?;
    if order.viewers > 0 {
        publisher.settle(order.viewers)?;
    }
    let period_ns = (1e9 / order.hz) as u64;
    let pace = |publisher: &mut C::Publisher, due_ns: u64, stamp: Option<u64>| -> Result<(u64, u64)> {
        sleep_until(due_ns);
        let begun_ns = now_ns();
        publisher.publish(|| stamp.unwrap_or_else(now_ns))?;
        let ended_ns = now_ns();
        // Late is late: nobody gets two frames at once for it.
        Ok((ended_ns - begun_ns, (due_ns + period_ns).max(ended_ns)))
    };
    let begun = Instant::now();
    let mut due_ns = now_ns() + period_ns;
    for _ in 0..order.warm_up {
        (_, due_ns) = pace(&mut publisher, due_ns, Some(WARM_UP))?;
        if begun.elapsed() > Duration::from_millis(500) {
            break;
        }
    }
    let begun = Instant::now();
    let meter = CpuMeter::begin();
    let mut frames = 0;
    while frames < order.frames && !stopped() {
        let took_ns;
        (took_ns, due_ns) = pace(&mut publisher, due_ns, None)?;
        samples.record(took_ns);
        frames += 1;
        if order.frames < u64::MAX && begun.elapsed().as_secs_f64() > order.at_most_seconds {
            break;
        }
    }
    let outcome = Outcome {
        times: samples.percentiles(),
        cpu_percent: Some(meter.percent()),
        seconds: meter.seconds(),
        frames,
        ..Outcome::default()
    };
    sleep_until(due_ns);
    publisher.publish(|| LAST)?;
    stage.done(outcome)
}

/// The viewer's role.
pub fn watch<C: Contender>(site: &Site, stage: &Stage) -> Result<()> {
    let mut subscriber = C::subscriber(site)?;
    let mut samples = Samples::new();
    stage.ready()?;
    let mut meter = CpuMeter::begin();
    let mut frames = 0;
    // A last frame that never comes: nobody waits longer than this for the next.
    let mut silent_since = Instant::now();
    loop {
        match subscriber.wait(Instant::now() + Duration::from_millis(100), look_at_clock)? {
            Some(seen) if seen.stamp == LAST => break,
            Some(seen) => {
                if seen.stamp == WARM_UP {
                    meter = CpuMeter::begin();
                } else {
                    samples.record(seen.at.saturating_sub(seen.stamp));
                    frames += 1;
                }
                silent_since = Instant::now();
            }
            None if stopped() || silent_since.elapsed() > Duration::from_secs(3) => break,
            None => {}
        }
    }
    stage.done(Outcome {
        times: samples.percentiles(),
        cpu_percent: Some(meter.percent()),
        seconds: meter.seconds(),
        frames,
        ..Outcome::default()
    })
}
