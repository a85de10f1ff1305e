//! From the first call of attaching to the first frame in hand, while a camera publishes at 60 Hz.
//!
//! A bus that keeps its newest frame for late joiners gives it at once; from another, the next one is waited for.

use super::{Case, FULL_HD, Measurement, Plan, Variant, Work, latency};
use crate::actor::{Actor, Order, Outcome, Stage, stopped};
use crate::clock::now_ns;
use crate::contenders::{Contender, Site, Subscribe, look};
use crate::cores::Side;
use crate::run::Run;
use crate::samples::Samples;
use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

const HZ: f64 = 60.0;

pub fn cases(plan: &Plan) -> Vec<Case> {
    super::each(Work::Startup, plan, &[Variant::Plain])
}

pub fn measure(run: &Run, plan: &Plan, case: &Case) -> Result<Measurement> {
    let site = Site { hz: Some(HZ), subscribers: 2, ..case.site(run, &run.next_link(), FULL_HD) };
    let order = latency::PublishOrder {
        site: site.clone(),
        hz: HZ,
        warm_up: 0,
        frames: u64::MAX,
        at_most_seconds: 0.0,
        viewers: 0,
    };
    let mut publisher = Actor::start(run, Side::Publisher, &Order::Publish(order))?;
    publisher.go()?;
    let times = if plan.quick { 5 } else { 15 };
    let order = Order::Attach(AttachOrder { site: Site { hosts: false, ..site }, times });
    let mut subscriber = Actor::start(run, Side::Subscriber, &order)?;
    subscriber.go()?;
    let outcome = subscriber.outcome(Duration::from_secs(20))?;
    subscriber.end()?;
    publisher.ask_to_end();
    publisher.outcome(Duration::from_secs(1))?;
    publisher.end()?;
    Ok(Measurement { times: outcome.times, attach: outcome.attach, ..Measurement::default() })
}

/// Attach, take one frame, detach; so many times.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AttachOrder {
    pub site: Site,
    pub times: u32,
}

/// The subscriber's role.
pub fn attach<C: Contender>(order: &AttachOrder, stage: &Stage) -> Result<()> {
    let (mut attach, mut first) = (Samples::new(), Samples::new());
    stage.ready()?;
    // The camera shall be at work.
    drop(C::subscriber(&order.site)?);
    std::thread::sleep(Duration::from_millis(50));
    for number in 0..order.times {
        let begun_ns = now_ns();
        let mut subscriber = C::subscriber(&order.site)?;
        attach.record(now_ns() - begun_ns);
        let deadline = Instant::now() + Duration::from_secs(3);
        while subscriber.wait(deadline, look)?.is_none() {
            if stopped() || Instant::now() >= deadline {
                bail!("no frame within three seconds of attaching");
            }
        }
        first.record(now_ns() - begun_ns);
        drop(subscriber);
        // At all phases of the camera's period.
        std::thread::sleep(Duration::from_micros(3_000 + 1_900 * u64::from(number % 9)));
    }
    stage.done(Outcome { times: first.percentiles(), attach: attach.percentiles(), ..Outcome::default() })
}
