//! Loan + publish + acquire + release in one thread, with 1 to 32 subscribers: what the bus's own instructions cost.
//!
//! "With N subscribers" can mean two things, so both are measured: every one of them takes each frame; or N are attached, of
//! which one takes the frames, and the others' have to be recycled.

use super::{Case, FULL_HD, Measurement, Plan, Takers, Variant, Work, batches};
use crate::actor::{Actor, Order, Outcome, Stage};
use crate::contenders::{Contender, Publish, Site, Subscribe, look};
use crate::contestant::{Bus, Contestant};
use crate::cores::Side;
use crate::limits::single;
use crate::run::Run;
use crate::samples::Samples;
use anyhow::{Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::hint::black_box;
use std::time::Duration;

const FULL: [usize; 6] = [1, 2, 4, 8, 16, 32];
const QUICK: [usize; 3] = [1, 8, 32];

pub fn cases(plan: &Plan) -> Vec<Case> {
    let counts = FULL.into_iter().filter(|count| !plan.quick || QUICK.contains(count));
    let variants: Vec<Variant> = counts
        .flat_map(|count| [Takers::Each, Takers::One].map(|takers| Variant::Subscribers { count, takers }))
        .collect();
    super::each(Work::Cycle, plan, &variants).into_iter().filter(is_different).collect()
}

/// With one subscriber both meanings are the same; the clock has no subscribers; and where there is no queue a subscriber,
/// one that takes nothing makes no difference.
fn is_different(case: &Case) -> bool {
    let Variant::Subscribers { count, takers } = case.variant else { return true };
    match case.contestant.bus() {
        Bus::Limits => count == 1 && takers == Takers::Each,
        Bus::Framebus | Bus::Iceoryx2 => count > 1 || takers == Takers::Each,
        _ => takers == Takers::Each,
    }
}

pub fn measure(run: &Run, plan: &Plan, case: &Case) -> Result<Measurement> {
    let Variant::Subscribers { count, takers } = case.variant else { bail!("a cycle without subscribers") };
    one_thread(run, case, FULL_HD, count, takers, plan.time(0.15))
}

/// A cycle in a process of its own.
pub fn one_thread(
    run: &Run,
    case: &Case,
    bytes: usize,
    subscribers: usize,
    takers: Takers,
    time: Duration,
) -> Result<Measurement> {
    let seconds = time.as_secs_f64();
    let order = match case.contestant {
        Contestant::Clock => Order::Clock { seconds },
        Contestant::Memcpy => Order::Memcpy { bytes, seconds },
        _ => {
            let site = Site { subscribers, ..case.site(run, &run.next_link(), bytes) };
            Order::Cycle(CycleOrder { site, takers, seconds })
        }
    };
    let mut actor = Actor::start(run, Side::Subscriber, &order)?;
    actor.go()?;
    let outcome = actor.outcome(time)?;
    actor.end()?;
    Ok(Measurement { times: outcome.times, ..Measurement::default() })
}

/// Go through cycles.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CycleOrder {
    pub site: Site,
    pub takers: Takers,
    pub seconds: f64,
}

/// The only role.
pub fn cycle<C: Contender>(order: &CycleOrder, stage: &Stage) -> Result<()> {
    let mut publisher = C::publisher(&order.site)?;
    let attached: Result<Vec<C::Subscriber>> =
        (0..order.site.subscribers).map(|_| C::subscriber(&order.site)).collect();
    let mut attached = attached?;
    let takers = if order.takers == Takers::Each { attached.len() } else { 1 };
    let mut samples = Samples::new();
    stage.ready()?;
    let mut number = 0_u64;
    batches(Duration::from_secs_f64(order.seconds), &mut samples, || {
        number += 1;
        publisher.publish(|| number)?;
        for subscriber in &mut attached[..takers] {
            // One comparison, and nobody measures a bus that delivers nothing. Of one word: what is larger goes through memory.
            let stamp = black_box(subscriber.acquire(look)?.map_or(0, |seen| seen.stamp));
            ensure!(stamp == number, "frame {number} was not there, but {stamp}");
        }
        Ok(())
    })?;
    stage.done(Outcome { times: samples.percentiles(), frames: number, ..Outcome::default() })
}

/// A limit's role.
pub fn clock(seconds: f64, stage: &Stage) -> Result<()> {
    limit(stage, |samples| single::clock(Duration::from_secs_f64(seconds), samples))
}

/// A limit's role.
pub fn memcpy(bytes: usize, seconds: f64, stage: &Stage) -> Result<()> {
    limit(stage, |samples| single::memcpy(bytes, Duration::from_secs_f64(seconds), samples))
}

fn limit(stage: &Stage, measure: impl FnOnce(&mut Samples) -> Result<()>) -> Result<()> {
    let mut samples = Samples::new();
    stage.ready()?;
    measure(&mut samples)?;
    stage.done(Outcome { times: samples.percentiles(), ..Outcome::default() })
}
