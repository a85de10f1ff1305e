//! What one publication costs the producer, from the loan to the end of `publish`, with 1 to 32 viewers, each a process.
//!
//! All viewers share one core, the producer has the other: so this is the producer's own work (waking, queueing, copying),
//! whatever viewers do with theirs.

use super::{Case, Measurement, Plan, Variant, Work, latency};
use crate::run::Run;
use anyhow::{Result, bail};

const HZ: f64 = 500.0;

pub fn cases(plan: &Plan) -> Vec<Case> {
    let counts: &[usize] = if plan.quick { &[1, 8] } else { &[1, 8, 32] };
    let variants: Vec<Variant> = counts.iter().copied().map(Variant::Viewers).collect();
    super::each(Work::ProducerCost, plan, &variants)
}

pub fn measure(run: &Run, plan: &Plan, case: &Case) -> Result<Measurement> {
    let Variant::Viewers(viewers) = case.variant else { bail!("a producer's cost without viewers") };
    let paced = latency::paced(run, case, HZ, plan.time(0.4), viewers)?;
    Ok(Measurement { times: paced.publisher.times, ..paced.measurement() })
}
