//! The targets, as ratios within the run, and whether they are met.
//!
//! A ratio is that of the two medians. Its range is that of the ratios of repetitions with the same number, which were
//! measured shortly after each other.

use super::Figure;
use crate::contenders::Delivery;
use crate::contestant::Contestant::{BareFutex, Framebus, Iceoryx2};
use crate::contestant::{Contestant, FramebusWait, Iceoryx2Wait};
use crate::work::{Measurement, Takers, Variant, Work};
use serde::Serialize;

/// A target, and what was found.
#[derive(Clone, Debug, Serialize)]
pub struct Target {
    /// What shall be how large.
    pub claim: String,
    /// What it was, in the claim's unit.
    pub found: Option<f64>,
    /// Smallest and largest over the repetitions.
    pub range: Option<(f64, f64)>,
    pub verdict: Verdict,
    /// The figures behind it, or what is missing.
    pub detail: String,
}

/// Whether a target is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Met,
    NotMet,
    /// Something was not measured.
    Open,
}

/// What of a measurement is compared.
#[derive(Clone, Copy)]
enum Of {
    P50,
    P99,
    Rate,
    SubscriberCpu,
}

impl Of {
    fn get(self, measurement: &Measurement) -> Option<f64> {
        match self {
            Self::P50 => measurement.times.map(|times| times.p50_ns),
            Self::P99 => measurement.times.map(|times| times.p99_ns),
            Self::Rate => measurement.published_per_second,
            Self::SubscriberCpu => measurement.subscriber_cpu_percent,
        }
    }

    fn show(self, value: f64) -> String {
        match self {
            Self::P50 => super::time(value),
            Self::P99 => format!("p99 {}", super::time(value)),
            Self::Rate => format!("{:.2} M/s", value / 1e6),
            Self::SubscriberCpu => format!("{value:.1} %"),
        }
    }
}

/// What a number shall be.
#[derive(Clone, Copy)]
enum Bound {
    AtMost(f64),
    Below(f64),
    AtLeast(f64),
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::Below(bound) => value < bound,
            Self::AtLeast(bound) => value >= bound,
        }
    }
}

type Key = (Work, Variant, Contestant);

const BLOCK: Contestant = Framebus(FramebusWait::Block);
const SPIN: Contestant = Framebus(FramebusWait::Spin);
const PREDICT: Contestant = Framebus(FramebusWait::Predict);
const POLL: Contestant = Iceoryx2(Iceoryx2Wait::Poll);
const EVENT: Contestant = Iceoryx2(Iceoryx2Wait::Event);

/// All targets, against what was measured.
pub fn evaluate(figures: &[Figure]) -> Vec<Target> {
    let at_60 = |contestant| (Work::Latency, Variant::Hz(60.0), contestant);
    let trip = |contestant| (Work::RoundTrip, Variant::Plain, contestant);
    let rate = |delivery, contestant| (Work::Rate, Variant::Mode(delivery), contestant);
    let cycle = |count, takers, contestant| (Work::Cycle, Variant::Subscribers { count, takers }, contestant);
    let ratio = |claim: &str, one: Key, other: Key, of, bound| ratio(figures, claim, one, other, of, bound);
    let mut targets = vec![
        ratio(
            "60 Hz: predict ≤ 1/60 of iceoryx2's event",
            at_60(PREDICT),
            at_60(EVENT),
            Of::P50,
            Bound::AtMost(1.0 / 60.0),
        ),
        value(figures, "60 Hz: predict uses ≤ 3 % of a core", at_60(PREDICT), Of::SubscriberCpu, Bound::AtMost(3.0)),
        ratio("60 Hz: predict's p99 no worse than block's", at_60(PREDICT), at_60(BLOCK), Of::P99, Bound::AtMost(1.0)),
        ratio("60 Hz: block ≤ 1.15 × a bare futex", at_60(BLOCK), at_60(BareFutex), Of::P50, Bound::AtMost(1.15)),
        ratio("60 Hz: block below iceoryx2's event", at_60(BLOCK), at_60(EVENT), Of::P50, Bound::Below(1.0)),
        ratio("60 Hz: spin ≤ 0.7 × iceoryx2's poll", at_60(SPIN), at_60(POLL), Of::P50, Bound::AtMost(0.7)),
        ratio("64 B round trip ≤ 0.5 × iceoryx2's", trip(SPIN), trip(POLL), Of::P50, Bound::AtMost(0.5)),
        ratio(
            "cycle, 1 subscriber ≤ 1/3 of iceoryx2's",
            cycle(1, Takers::Each, SPIN),
            cycle(1, Takers::Each, POLL),
            Of::P50,
            Bound::AtMost(1.0 / 3.0),
        ),
    ];
    for (takers, which) in [(Takers::Each, "each takes"), (Takers::One, "one takes")] {
        targets.push(ratio(
            &format!("cycle, 8 subscribers, {which} ≤ 1/6 of iceoryx2's"),
            cycle(8, takers, SPIN),
            cycle(8, takers, POLL),
            Of::P50,
            Bound::AtMost(1.0 / 6.0),
        ));
        targets.push(growth(figures, takers, which));
    }
    for (delivery, which) in [(Delivery::Latest, "latest"), (Delivery::Lossless, "lossless")] {
        targets.push(ratio(
            &format!("maximum rate, {which} ≥ 2 × iceoryx2's"),
            rate(delivery, SPIN),
            rate(delivery, POLL),
            Of::Rate,
            Bound::AtLeast(2.0),
        ));
    }
    let is_one_thread = |variant: &Variant| matches!(variant, Variant::OneThread { .. });
    let is_round_trip = |variant: &Variant| matches!(variant, Variant::ThereAndBack { .. });
    targets.push(flat(figures, "cycle does not grow with the frame (largest ≤ 1.2 × smallest)", is_one_thread));
    targets.push(flat(figures, "round trip does not grow with the frame (largest ≤ 1.2 × smallest)", is_round_trip));
    targets
}

fn find<'a>(figures: &'a [Figure], (work, variant, contestant): &Key) -> Option<&'a Figure> {
    let is_it = |figure: &&Figure| {
        (figure.case.work, figure.case.variant, figure.case.contestant) == (*work, *variant, *contestant)
    };
    figures.iter().find(is_it).filter(|figure| !figure.repetitions.is_empty())
}

/// Median over the repetitions that count.
fn middle(figure: &Figure, of: Of) -> Option<f64> {
    crate::samples::median(figure.used().iter().filter_map(|repetition| of.get(&repetition.measurement)))
}

fn range(values: impl Iterator<Item = f64> + Clone) -> Option<(f64, f64)> {
    Some((values.clone().reduce(f64::min)?, values.reduce(f64::max)?))
}

fn open(claim: &str, missing: &Key) -> Target {
    let (work, variant, contestant) = missing;
    let detail = format!("not measured: {} {variant} {contestant}", work.name()).replace("  ", " ");
    Target { claim: claim.to_owned(), found: None, range: None, verdict: Verdict::Open, detail }
}

fn decided(claim: &str, found: f64, range: Option<(f64, f64)>, bound: Bound, detail: String) -> Target {
    let verdict = if bound.holds(found) { Verdict::Met } else { Verdict::NotMet };
    Target { claim: claim.to_owned(), found: Some(found), range, verdict, detail }
}

fn ratio(figures: &[Figure], claim: &str, one: Key, other: Key, of: Of, bound: Bound) -> Target {
    let Some(first) = find(figures, &one) else { return open(claim, &one) };
    let Some(second) = find(figures, &other) else { return open(claim, &other) };
    let (Some(a), Some(b)) = (middle(first, of), middle(second, of)) else { return open(claim, &one) };
    let pairs = first.used().into_iter().filter_map(|repetition| {
        let twin = second.used().into_iter().find(|twin| twin.number == repetition.number)?;
        Some(of.get(&repetition.measurement)? / of.get(&twin.measurement)?)
    });
    let pairs: Vec<f64> = pairs.collect();
    let detail = format!("{} against {}", of.show(a), of.show(b));
    decided(claim, a / b, range(pairs.iter().copied()), bound, detail)
}

fn value(figures: &[Figure], claim: &str, key: Key, of: Of, bound: Bound) -> Target {
    let Some(figure) = find(figures, &key) else { return open(claim, &key) };
    let Some(found) = middle(figure, of) else { return open(claim, &key) };
    let values: Vec<f64> = figure.used().iter().filter_map(|repetition| of.get(&repetition.measurement)).collect();
    decided(claim, found, range(values.iter().copied()), bound, of.show(found))
}

/// Nanoseconds for each further subscriber, over the widest range that was measured.
fn growth(figures: &[Figure], takers: Takers, which: &str) -> Target {
    let claim = format!("cycle, {which}: ≤ 10 ns for each further subscriber");
    let first: Key = (Work::Cycle, Variant::Subscribers { count: 1, takers: Takers::Each }, SPIN);
    let counts = figures.iter().filter_map(|figure| match figure.case {
        case if case.contestant != SPIN || case.work != Work::Cycle || figure.repetitions.is_empty() => None,
        case => match case.variant {
            Variant::Subscribers { count, takers: of } if count > 1 && of == takers => Some(count),
            _ => None,
        },
    });
    let most = counts.max().unwrap_or(32);
    let last: Key = (Work::Cycle, Variant::Subscribers { count: most, takers }, SPIN);
    let Some(few) = find(figures, &first) else { return open(&claim, &first) };
    let Some(many) = find(figures, &last) else { return open(&claim, &last) };
    let (Some(a), Some(b)) = (middle(few, Of::P50), middle(many, Of::P50)) else { return open(&claim, &first) };
    let each = |few: f64, many: f64| (many - few) / (most - 1) as f64;
    let pairs = many.used().into_iter().filter_map(|repetition| {
        let twin = few.used().into_iter().find(|twin| twin.number == repetition.number)?;
        Some(each(Of::P50.get(&twin.measurement)?, Of::P50.get(&repetition.measurement)?))
    });
    let pairs: Vec<f64> = pairs.collect();
    let detail = format!("{} with 1, {} with {most}", super::time(a), super::time(b));
    decided(&claim, each(a, b), range(pairs.iter().copied()), Bound::AtMost(10.0), detail)
}

/// The largest frame against the smallest.
fn flat(figures: &[Figure], claim: &str, is_it: impl Fn(&Variant) -> bool) -> Target {
    let mut ours: Vec<&Figure> = figures
        .iter()
        .filter(|figure| figure.case.work == Work::FrameSize && figure.case.contestant == SPIN)
        .filter(|figure| is_it(&figure.case.variant) && !figure.repetitions.is_empty())
        .collect();
    ours.sort_by(|a, b| a.case.variant.position().total_cmp(&b.case.variant.position()));
    let ([small, .., large], true) = (&ours[..], ours.len() > 1) else {
        return open(claim, &(Work::FrameSize, Variant::Plain, SPIN));
    };
    let key = |figure: &Figure| (figure.case.work, figure.case.variant, figure.case.contestant);
    ratio(figures, claim, key(large), key(small), Of::P50, Bound::AtMost(1.2))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::figure;
    use super::*;

    fn verdict(figures: &[Figure], claim: &str) -> (Verdict, Option<f64>) {
        let targets = evaluate(figures);
        let target = targets.iter().find(|target| target.claim.starts_with(claim)).expect("a target of that claim");
        (target.verdict, target.found)
    }

    fn latency(contestant: Contestant, p50s: &[f64]) -> Figure {
        figure(Work::Latency, Variant::Hz(60.0), contestant, p50s)
    }

    fn cycle(count: usize, takers: Takers, contestant: Contestant, p50: f64) -> Figure {
        figure(Work::Cycle, Variant::Subscribers { count, takers }, contestant, &[p50])
    }

    #[test]
    fn without_figures_every_target_is_open() {
        assert!(evaluate(&[]).iter().all(|target| target.verdict == Verdict::Open && target.found.is_none()));
    }

    #[test]
    fn block_is_compared_with_the_futex_and_the_event() {
        let figures = [
            latency(BLOCK, &[110.0, 90.0, 100.0]),
            latency(BareFutex, &[100.0, 100.0, 50.0]),
            latency(EVENT, &[100.0, 100.0, 100.0]),
        ];
        assert_eq!(verdict(&figures, "60 Hz: block ≤ 1.15"), (Verdict::Met, Some(1.0)));
        // Not below, but equal.
        assert_eq!(verdict(&figures, "60 Hz: block below"), (Verdict::NotMet, Some(1.0)));
        let targets = evaluate(&figures);
        let futex = targets.iter().find(|target| target.claim.contains("bare futex")).expect("that target");
        assert_eq!(futex.range, Some((0.9, 2.0)));
    }

    #[test]
    fn an_sixtieth_is_a_sixtieth() {
        let figures = |event| [latency(PREDICT, &[1000.0]), latency(EVENT, &[event])];
        assert_eq!(verdict(&figures(60_000.0), "60 Hz: predict ≤").0, Verdict::Met);
        assert_eq!(verdict(&figures(59_000.0), "60 Hz: predict ≤").0, Verdict::NotMet);
    }

    #[test]
    fn growth_is_for_each_further_subscriber() {
        let figures = |many| [cycle(1, Takers::Each, SPIN, 50.0), cycle(32, Takers::Each, SPIN, many)];
        assert_eq!(verdict(&figures(360.0), "cycle, each takes: ≤ 10 ns"), (Verdict::Met, Some(10.0)));
        assert_eq!(verdict(&figures(361.0), "cycle, each takes: ≤ 10 ns").0, Verdict::NotMet);
        assert_eq!(verdict(&figures(361.0), "cycle, one takes: ≤ 10 ns").0, Verdict::Open);
    }

    #[test]
    fn rates_shall_be_large() {
        let rate = |contestant, rate| {
            let mut figure = figure(Work::Rate, Variant::Mode(Delivery::Latest), contestant, &[1.0]);
            figure.repetitions[0].measurement.published_per_second = Some(rate);
            figure
        };
        assert_eq!(verdict(&[rate(SPIN, 6e6), rate(POLL, 3e6)], "maximum rate, latest"), (Verdict::Met, Some(2.0)));
        assert_eq!(verdict(&[rate(SPIN, 5e6), rate(POLL, 3e6)], "maximum rate, latest").0, Verdict::NotMet);
    }

    #[test]
    fn the_largest_frame_is_compared_with_the_smallest() {
        let size = |bytes, p50| figure(Work::FrameSize, Variant::OneThread { bytes }, SPIN, &[p50]);
        let figures = [size(64, 50.0), size(99_532_800, 61.0), size(4096, 90.0)];
        assert_eq!(verdict(&figures, "cycle does not grow"), (Verdict::NotMet, Some(1.22)));
        assert_eq!(verdict(&figures[..1], "cycle does not grow").0, Verdict::Open);
    }
}
