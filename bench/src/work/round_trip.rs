//! There and back between two processes, the second of which answers at once.

use super::{Case, Measurement, Plan, Variant, Work};
use crate::actor::{Actor, Order, Outcome, Stage, stopped};
use crate::clock::{CpuMeter, now_ns};
use crate::contenders::{Contender, LAST, Publish, Site, Subscribe, look};
use crate::cores::Side;
use crate::run::Run;
use crate::samples::Samples;
use anyhow::{Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

pub fn cases(plan: &Plan) -> Vec<Case> {
    super::each(Work::RoundTrip, plan, &[Variant::Plain])
}

pub fn measure(run: &Run, plan: &Plan, case: &Case, bytes: usize) -> Result<Measurement> {
    let link = run.next_link();
    let there = case.site(run, &link, bytes);
    let back = Site { topic: "back".to_owned(), ..there.clone() };
    let time = plan.time(0.4);
    // Each opens its own direction first, so both have to be under way before one can be ready.
    let order = PingOrder { there: there.clone(), back: back.clone(), seconds: time.as_secs_f64() };
    let (ping, answer) = std::thread::scope(|scope| {
        let started = scope.spawn(|| Actor::start(run, Side::Publisher, &Order::Ping(order)));
        let (there, back) = (Site { hosts: false, ..there }, Site { hosts: false, ..back });
        let answer = Actor::start(run, Side::Subscriber, &Order::Answer { there, back });
        (started.join(), answer)
    });
    let Ok(ping) = ping else { bail!("the thread that starts an actor panicked") };
    let (mut ping, mut answer) = (ping?, answer?);
    answer.go()?;
    ping.go()?;
    let outcome = ping.outcome(time)?;
    answer.outcome(Duration::from_secs(5))?;
    answer.end()?;
    ping.end()?;
    Ok(Measurement { times: outcome.times, publisher_cpu_percent: outcome.cpu_percent, ..Measurement::default() })
}

/// Send, and wait for the answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PingOrder {
    pub there: Site,
    pub back: Site,
    pub seconds: f64,
}

/// The role of who asks.
pub fn ping<C: Contender>(order: &PingOrder, stage: &Stage) -> Result<()> {
    let mut publisher = C::publisher(&order.there)?;
    let mut subscriber = C::subscriber(&order.back)?;
    let mut samples = Samples::new();
    stage.ready()?;
    publisher.settle(1)?;
    let mut trip = || -> Result<u64> {
        let begun_ns = now_ns();
        publisher.publish(|| begun_ns)?;
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            match subscriber.wait(deadline, look)? {
                Some(seen) if seen.stamp == begun_ns => return Ok(now_ns() - begun_ns),
                Some(_) => {}
                None => {
                    ensure!(!stopped() && Instant::now() < deadline, "no answer");
                }
            }
        }
    };
    let warm = Instant::now();
    let time = Duration::from_secs_f64(order.seconds);
    while warm.elapsed() < time / 4 {
        trip()?;
    }
    let meter = CpuMeter::begin();
    let begun = Instant::now();
    let mut frames = 0;
    while begun.elapsed() < time {
        // Not in the time: the clock is read anyway, to see whether it is over.
        samples.record(trip()?);
        frames += 1;
    }
    let outcome = Outcome {
        times: samples.percentiles(),
        cpu_percent: Some(meter.percent()),
        seconds: meter.seconds(),
        frames,
        ..Outcome::default()
    };
    publisher.publish(|| LAST)?;
    stage.done(outcome)
}

/// The role of who answers.
pub fn answer<C: Contender>(there: &Site, back: &Site, stage: &Stage) -> Result<()> {
    C::answer(there, back, || stage.ready())?;
    stage.done(Outcome::default())
}
