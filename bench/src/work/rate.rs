//! The most frames a second from one process to another: only the newest, or every one of them.

use super::{Case, Measurement, Plan, SMALL, Variant, Work};
use crate::actor::{Actor, Order, Outcome, Stage, stopped};
use crate::clock::{CpuMeter, now_ns};
use crate::contenders::{Contender, Delivery, LAST, Publish, Site, Subscribe, look};
use crate::contestant::Contestant;
use crate::cores::Side;
use crate::run::Run;
use crate::samples::Samples;
use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// Frames between two looks at the clock.
const BATCH: u64 = 64;

pub fn cases(plan: &Plan) -> Vec<Case> {
    let modes = [Variant::Mode(Delivery::Latest), Variant::Mode(Delivery::Lossless)];
    super::each(Work::Rate, plan, &modes).into_iter().filter(|case| lacks(case).is_none()).collect()
}

/// Why somebody does not do it.
pub fn lacks(case: &Case) -> Option<&'static str> {
    match (case.contestant, case.variant) {
        (Contestant::UnixSocket, Variant::Mode(Delivery::Latest)) => Some("a socket keeps every frame"),
        (Contestant::PosixShm | Contestant::MmapSync | Contestant::SharedPage, Variant::Mode(Delivery::Lossless)) => {
            Some("it has room for the newest frame only")
        }
        _ => None,
    }
}

pub fn measure(run: &Run, plan: &Plan, case: &Case) -> Result<Measurement> {
    let Variant::Mode(delivery) = case.variant else { bail!("a rate without a mode") };
    let time = plan.time(0.5);
    let site = Site { delivery, ..case.site(run, &run.next_link(), SMALL) };
    let order = Order::Flood { site: site.clone(), seconds: time.as_secs_f64() };
    let mut publisher = Actor::start(run, Side::Publisher, &order)?;
    let mut subscriber = Actor::start(run, Side::Subscriber, &Order::Drain { site: Site { hosts: false, ..site } })?;
    subscriber.go()?;
    publisher.go()?;
    let published = publisher.outcome(time)?;
    let taken = subscriber.outcome(Duration::from_secs(5))?;
    subscriber.end()?;
    publisher.end()?;
    let missed = published.frames.saturating_sub(taken.frames);
    if delivery == Delivery::Lossless && missed > 0 && case.contestant != Contestant::Zenoh {
        bail!("{missed} frames of {} were lost, and none should be", published.frames);
    }
    Ok(Measurement {
        times: published.times,
        published_per_second: Some(published.frames as f64 / published.seconds),
        taken_per_second: Some(taken.frames as f64 / taken.seconds),
        missed_frames: Some(missed),
        ..Measurement::default()
    })
}

/// The publisher's role.
pub fn flood<C: Contender>(site: &Site, time: Duration, stage: &Stage) -> Result<()> {
    let mut publisher = C::publisher(site)?;
    let mut samples = Samples::new();
    stage.ready()?;
    publisher.settle(1)?;
    let meter = CpuMeter::begin();
    let end_ns = now_ns() + time.as_nanos() as u64;
    let mut begun_ns = now_ns();
    let mut frames = 0;
    while begun_ns < end_ns && !stopped() {
        for _ in 0..BATCH {
            frames += 1;
            publisher.publish(|| frames)?;
        }
        let ended_ns = now_ns();
        samples.record_batch(ended_ns - begun_ns, BATCH);
        begun_ns = ended_ns;
    }
    let outcome = Outcome { times: samples.percentiles(), frames, seconds: meter.seconds(), ..Outcome::default() };
    publisher.publish(|| LAST)?;
    stage.done(outcome)
}

/// The subscriber's role.
pub fn drain<C: Contender>(site: &Site, stage: &Stage) -> Result<()> {
    let mut subscriber = C::subscriber(site)?;
    stage.ready()?;
    let mut meter = None;
    let mut frames = 0;
    let mut silent_since = Instant::now();
    loop {
        match subscriber.wait(Instant::now() + Duration::from_millis(100), look)? {
            Some(seen) if seen.stamp == LAST => break,
            Some(_) => {
                meter.get_or_insert_with(CpuMeter::begin);
                frames += 1;
            }
            None if stopped() || silent_since.elapsed() > Duration::from_secs(3) => break,
            None => continue,
        }
        if frames % 1024 == 0 {
            silent_since = Instant::now();
        }
    }
    let seconds = meter.map_or(f64::INFINITY, |meter| meter.seconds());
    stage.done(Outcome { frames, seconds, ..Outcome::default() })
}
