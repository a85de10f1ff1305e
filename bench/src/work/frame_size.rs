//! 64 bytes to 8K: what is passed in place must not cost more because it is larger.

use super::{Case, FULL_HD, Measurement, Part, Plan, SMALL, Takers, Variant, Work, cycle, round_trip};
use crate::contestant::Contestant;
use crate::run::Run;
use anyhow::{Result, bail};

/// 64 bytes, a page, VGA, 1080p, 4K and 8K in rgb8.
const FULL: [usize; 6] = [SMALL, 4096, 640 * 480 * 3, FULL_HD, 3840 * 2160 * 3, 7680 * 4320 * 3];
const QUICK: [usize; 3] = [SMALL, FULL_HD, 7680 * 4320 * 3];

pub fn cases(plan: &Plan) -> Vec<Case> {
    let sizes = || FULL.into_iter().filter(|bytes| !plan.quick || QUICK.contains(bytes));
    let one_thread = sizes().map(|bytes| Variant::OneThread { bytes });
    let variants: Vec<Variant> = one_thread.chain(sizes().map(|bytes| Variant::ThereAndBack { bytes })).collect();
    super::each(Work::FrameSize, plan, &variants).into_iter().filter(|case| lacks(case).is_none()).collect()
}

/// Why somebody does not do it.
pub fn lacks(case: &Case) -> Option<&'static str> {
    match (case.contestant, case.variant) {
        (Contestant::UnixSocket, Variant::OneThread { .. }) => {
            Some("a frame does not fit the socket's buffer: one thread would wait for itself")
        }
        (Contestant::Memcpy, Variant::ThereAndBack { .. }) => Some("nothing goes anywhere"),
        _ => None,
    }
}

pub fn measure(run: &Run, plan: &Plan, case: &Case) -> Result<Measurement> {
    debug_assert_eq!(super::part(Work::FrameSize, case.contestant), Part::Takes);
    match case.variant {
        Variant::OneThread { bytes } => cycle::one_thread(run, case, bytes, 1, Takers::Each, plan.time(0.15)),
        Variant::ThereAndBack { bytes } => round_trip::measure(run, plan, case, bytes),
        _ => bail!("a size without a frame"),
    }
}
