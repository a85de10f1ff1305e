//! One-way latency: from just before a frame is published to when it can be read, at the rates of cameras.
//!
//! The publisher keeps its rate by an absolute timer, and sleeps in between. It does not write its frames (but for the stamp):
//! the bus is measured, not the camera. The first frames warm up both sides, and are not counted.

use super::{Case, FULL_HD, Measurement, Plan, Variant, Work};
use crate::actor::{Actor, Order, Outcome, Stage, stopped};
use crate::clock::{CpuMeter, now_ns, sleep_until};
use crate::contenders::{Contender, LAST, Publish, Site, Subscribe, look_at_clock};
use crate::cores::Side;
use crate::run::Run;
use crate::samples::Samples;
use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// Rates, and how long each is measured, in seconds.
const FULL: [(f64, f64); 4] = [(30.0, 1.0), (60.0, 2.0), (200.0, 0.7), (1000.0, 0.7)];
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
    let order = PublishOrder { site: site.clone(), hz, warm_up, frames, at_most_seconds: 3.0, viewers };
    let mut publisher = Actor::start(run, Side::Publisher, &Order::Publish(order))?;
    let order = Order::Watch(WatchOrder { site: Site { hosts: false, ..site }, warm_up });
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
    pub warm_up: u64,
    pub frames: u64,
    /// For those who can not keep the rate.
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
    let end_ns = now_ns() + (order.at_most_seconds * 1e9) as u64;
    let mut due_ns = now_ns() + period_ns;
    let mut meter = CpuMeter::begin();
    let mut frames = 0;
    for number in 0..order.warm_up.saturating_add(order.frames) {
        sleep_until(due_ns);
        if number == order.warm_up {
            meter = CpuMeter::begin();
        }
        let begun_ns = now_ns();
        if stopped() || (begun_ns > end_ns && order.frames < u64::MAX) {
            break;
        }
        publisher.publish(now_ns)?;
        let ended_ns = now_ns();
        if number >= order.warm_up {
            samples.record(ended_ns - begun_ns);
            frames += 1;
        }
        // Late is late: nobody gets two frames at once for it.
        due_ns = (due_ns + period_ns).max(ended_ns);
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

/// Take frames as they come.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WatchOrder {
    pub site: Site,
    pub warm_up: u64,
}

/// The viewer's role.
pub fn watch<C: Contender>(order: &WatchOrder, stage: &Stage) -> Result<()> {
    let mut subscriber = C::subscriber(&order.site)?;
    let mut samples = Samples::new();
    stage.ready()?;
    let mut meter = CpuMeter::begin();
    let mut frames = 0;
    // A last frame that never comes: nobody waits longer than this for the next.
    let mut silent_since = Instant::now();
    loop {
        let seen = subscriber.wait(Instant::now() + Duration::from_millis(100), look_at_clock)?;
        match seen {
            Some(seen) if seen.stamp == LAST => break,
            Some(seen) => {
                frames += 1;
                if frames > order.warm_up {
                    samples.record(seen.at.saturating_sub(seen.stamp));
                } else if frames == order.warm_up {
                    meter = CpuMeter::begin();
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
        frames: frames.saturating_sub(order.warm_up),
        ..Outcome::default()
    })
}
