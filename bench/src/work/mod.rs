//! The work that all do: what there is of it, who takes part in what, and how it is measured.

pub mod cycle;
pub mod frame_size;
pub mod latency;
pub mod producer_cost;
pub mod rate;
pub mod round_trip;
pub mod startup;

use crate::clock::now_ns;
use crate::contenders::{Delivery, Site};
use crate::contestant::{Bus, Contestant, FramebusWait, Iceoryx2Wait, RingfireWait};
use crate::run::Run;
use crate::samples::{Percentiles, Samples};
use anyhow::Result;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::{Duration, Instant};

/// A frame of 1920 × 1080 × 3 bytes.
pub const FULL_HD: usize = 1920 * 1080 * 3;
/// The smallest frame.
pub const SMALL: usize = 64;

/// One kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// One-way latency of 1080p frames at fixed rates, and what both sides use of the processors
    Latency,
    /// 64 bytes there and back
    RoundTrip,
    /// Loan, publish, acquire, release in one thread
    Cycle,
    /// The most frames a second
    Rate,
    /// What publishing costs with many viewers
    ProducerCost,
    /// Cost by size of a frame
    FrameSize,
    /// From attaching to the first frame
    Startup,
}

/// Which of the N subscribers take each frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Takers {
    /// Every one of them.
    Each,
    /// One; the others are attached and do not care.
    One,
}

/// Within a kind of work, what is varied.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variant {
    Plain,
    Hz(f64),
    Subscribers { count: usize, takers: Takers },
    Viewers(usize),
    Mode(Delivery),
    OneThread { bytes: usize },
    ThereAndBack { bytes: usize },
}

impl Variant {
    /// Where it stands on a plot's axis.
    pub fn position(self) -> f64 {
        match self {
            Self::Plain | Self::Mode(_) => 0.0,
            Self::Hz(hz) => hz,
            Self::Subscribers { count, .. } | Self::Viewers(count) => count as f64,
            Self::OneThread { bytes } | Self::ThereAndBack { bytes } => bytes as f64,
        }
    }
}

/// One figure to be measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    pub work: Work,
    pub contestant: Contestant,
    pub variant: Variant,
}

impl Case {
    /// Where its processes meet.
    pub fn site(&self, run: &Run, link: &str, bytes: usize) -> Site {
        Site {
            contestant: self.contestant,
            run: run.id().to_owned(),
            directory: run.directory().to_owned(),
            link: link.to_owned(),
            topic: "there".to_owned(),
            hosts: true,
            bytes,
            subscribers: 1,
            delivery: Delivery::Latest,
            hz: None,
        }
    }
}

/// What one measurement found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Measurement {
    pub times: Option<Percentiles>,
    /// Of attaching alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attach: Option<Percentiles>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published_per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken_per_second: Option<f64>,
    /// Of one core.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publisher_cpu_percent: Option<f64>,
    /// Of one core; the mean of all subscribers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscriber_cpu_percent: Option<f64>,
    /// Frames that were published and not taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missed_frames: Option<u64>,
}

/// How much of everything.
#[derive(Clone, Debug)]
pub struct Plan {
    pub quick: bool,
    pub contestants: Vec<Contestant>,
}

impl Plan {
    /// So long, or less in a quick run.
    pub fn time(&self, full_seconds: f64) -> Duration {
        Duration::from_secs_f64(if self.quick { full_seconds * 0.4 } else { full_seconds })
    }

    /// Those of the contestants that do this work.
    pub fn doing(&self, work: Work) -> impl Iterator<Item = Contestant> + '_ {
        self.contestants.iter().copied().filter(move |contestant| part(work, *contestant) == Part::Takes)
    }
}

/// Whether a contestant does a kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Takes,
    /// It would be the same as another contestant's, or a limit that has nothing to do with it.
    Needless,
    /// It can not, and why.
    Lacks(&'static str),
}

/// Who takes part in what, and why not.
pub fn part(work: Work, contestant: Contestant) -> Part {
    use Contestant::{BareFutex, Clock, Framebus, Iceoryx2, Memcpy, Ringfire, SharedPage, UnixSocket, Zenoh};
    // Where nobody waits, one way of waiting stands for all of its bus.
    let stands_for_its_bus = match contestant {
        Framebus(wait) => wait == FramebusWait::Spin,
        Iceoryx2(wait) => wait == Iceoryx2Wait::Poll,
        Ringfire(wait) => wait == RingfireWait::Spin,
        _ => true,
    };
    match (work, contestant) {
        (Work::Latency | Work::RoundTrip, Clock | Memcpy) => Part::Needless,
        (Work::Latency | Work::RoundTrip, _) => Part::Takes,
        (Work::ProducerCost, Clock | Memcpy) => Part::Needless,
        (Work::ProducerCost, _) => Part::Takes,
        (Work::Cycle, Clock) | (Work::FrameSize, Memcpy) => Part::Takes,
        (_, BareFutex | Clock | Memcpy) => Part::Needless,
        (Work::Startup | Work::Cycle | Work::FrameSize, SharedPage) => Part::Needless,
        (Work::Cycle, Zenoh) => Part::Lacks("delivers from threads of its own: there is no cycle in one thread"),
        (Work::Cycle, UnixSocket) => {
            Part::Lacks("a frame does not fit the socket's buffer: one thread would wait for itself")
        }
        (Work::FrameSize, Zenoh) => Part::Lacks("delivers from threads of its own: there is no cycle in one thread"),
        _ if !stands_for_its_bus => Part::Needless,
        _ => Part::Takes,
    }
}

/// What is measured of a kind of work, in the order in which the contestants take turns.
pub fn cases(work: Work, plan: &Plan) -> Vec<Case> {
    match work {
        Work::Latency => latency::cases(plan),
        Work::RoundTrip => round_trip::cases(plan),
        Work::Cycle => cycle::cases(plan),
        Work::Rate => rate::cases(plan),
        Work::ProducerCost => producer_cost::cases(plan),
        Work::FrameSize => frame_size::cases(plan),
        Work::Startup => startup::cases(plan),
    }
}

/// Measures one figure once.
pub fn measure(run: &Run, plan: &Plan, case: &Case) -> Result<Measurement> {
    match case.work {
        Work::Latency => latency::measure(run, plan, case),
        Work::RoundTrip => round_trip::measure(run, plan, case, SMALL),
        Work::Cycle => cycle::measure(run, plan, case),
        Work::Rate => rate::measure(run, plan, case),
        Work::ProducerCost => producer_cost::measure(run, plan, case),
        Work::FrameSize => frame_size::measure(run, plan, case),
        Work::Startup => startup::measure(run, plan, case),
    }
}

/// Cases of each variant in turn, and of each contestant within it.
fn each(work: Work, plan: &Plan, variants: &[Variant]) -> Vec<Case> {
    let of = |variant: &Variant| {
        let variant = *variant;
        plan.doing(work).map(move |contestant| Case { work, contestant, variant }).collect::<Vec<_>>()
    };
    variants.iter().flat_map(of).collect()
}

/// Times what is much quicker than the clock is read: many at a time, about 20 µs together.
pub fn batches(time: Duration, samples: &mut Samples, mut once: impl FnMut() -> Result<()>) -> Result<()> {
    let begun = Instant::now();
    let mut warm_ups = 0_u32;
    while warm_ups < 3 || (begun.elapsed() < time / 10 && warm_ups < 100_000) {
        once()?;
        warm_ups += 1;
    }
    let each_ns = (begun.elapsed().as_nanos() as u64 / u64::from(warm_ups)).max(1);
    let batch = (20_000 / each_ns).clamp(1, 256);
    let end_ns = now_ns() + time.as_nanos() as u64;
    loop {
        let begun_ns = now_ns();
        for _ in 0..batch {
            once()?;
        }
        let ended_ns = now_ns();
        samples.record_batch(ended_ns - begun_ns, batch);
        if ended_ns >= end_ns {
            return Ok(());
        }
    }
}

impl Work {
    /// What a section of the report is called.
    pub fn title(self) -> &'static str {
        match self {
            Self::Latency => "One-way latency, 1080p rgb8",
            Self::RoundTrip => "Round trip, 64 bytes",
            Self::Cycle => "Loan, publish, acquire, release in one thread, 1080p rgb8",
            Self::Rate => "Maximum rate, 64 bytes",
            Self::ProducerCost => "Cost of publishing with many viewers, 1080p rgb8",
            Self::FrameSize => "Cost by size of a frame",
            Self::Startup => "From attaching to the first frame, 1080p rgb8 at 60 Hz",
        }
    }

    /// What it is called in a file's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::RoundTrip => "round-trip",
            Self::Cycle => "cycle",
            Self::Rate => "rate",
            Self::ProducerCost => "producer-cost",
            Self::FrameSize => "frame-size",
            Self::Startup => "startup",
        }
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Plain => Ok(()),
            Self::Hz(hz) => write!(out, "{hz} Hz"),
            Self::Subscribers { count: 1, .. } => write!(out, "1 subscriber"),
            Self::Subscribers { count, takers: Takers::Each } => {
                write!(out, "{count} subscribers, each of which takes every frame")
            }
            Self::Subscribers { count, takers: Takers::One } => {
                write!(out, "{count} subscribers attached, one of which takes the frames")
            }
            Self::Viewers(1) => write!(out, "1 viewer"),
            Self::Viewers(count) => write!(out, "{count} viewers"),
            Self::Mode(Delivery::Latest) => write!(out, "latest frame only"),
            Self::Mode(Delivery::Lossless) => write!(out, "lossless"),
            Self::OneThread { bytes } => write!(out, "cycle in one thread, {bytes} bytes"),
            Self::ThereAndBack { bytes } => write!(out, "round trip, {bytes} bytes"),
        }
    }
}

/// Whether a contestant has a bus at all, in a filter of buses.
pub fn is_wanted(contestant: Contestant, buses: &[Bus]) -> bool {
    buses.is_empty() || buses.contains(&contestant.bus())
}
