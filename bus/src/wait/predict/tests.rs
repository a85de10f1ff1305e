//! Simulated publishers and waiting threads: no clock is read.

use super::*;

const MS: f64 = 1e6;
const US: f64 = 1e3;
const PERIOD: f64 = 1e9 / 60.0;

/// A small generator (xorshift64*), so that each run is the same.
struct Chance(u64);

impl Chance {
    /// 0 to 1.
    fn even(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A time with this mean; most are shorter, few much longer.
    fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.even()).ln()
    }
}

/// What a viewer got that waits for each frame and takes it.
#[derive(Default)]
struct Outcome {
    /// From publication to when the viewer had it, ns, in the order of the frames.
    latencies: Vec<f64>,
    /// Time spun, as a share of all time.
    spun: f64,
}

impl Outcome {
    /// The share of frames that came while they were spun for.
    fn hits(&self, from: usize) -> f64 {
        let frames = &self.latencies[from..];
        frames.iter().filter(|&&latency| latency < US).count() as f64 / frames.len() as f64
    }
}

/// The waiting loop, with frames published at these times, and a thread that wakes up late by as much as `lateness` says.
fn watch(predictor: &mut Predictor, published: &[f64], mut lateness: impl FnMut() -> f64) -> Outcome {
    let (mut now, mut spun) = (published[0], 0.0);
    let mut outcome = Outcome::default();
    let mut sleep = |until: f64, frame: f64| until.min(frame) + lateness();
    for (index, &frame) in published.iter().enumerate() {
        while now < frame {
            match predictor.plan(now as u64) {
                None => now = sleep(f64::INFINITY, frame),
                Some(plan) if now < plan.from as f64 => {
                    now = sleep(plan.from as f64, frame);
                    predictor.woke(plan, now as u64, now >= frame);
                }
                Some(plan) => {
                    let end = frame.min(plan.until as f64).max(now + 50.0);
                    match end >= frame {
                        true => predictor.met(now as u64),
                        false => predictor.spun((end - now) as u64, true),
                    }
                    spun += end - now;
                    now = end;
                }
            }
        }
        outcome.latencies.push(now - frame);
        predictor.took(index as u64 + 1, frame as u64);
    }
    outcome.spun = spun / (published[published.len() - 1] - published[0]);
    outcome
}

fn camera(frames: usize, mut jitter: impl FnMut(usize) -> f64) -> Vec<f64> {
    (0..frames).map(|number| 1e9 + number as f64 * PERIOD + jitter(number)).collect()
}

fn predictor(budget: f64) -> Predictor {
    let mut predictor = Predictor::new(budget);
    predictor.begin_epoch(Some(PERIOD));
    predictor
}

#[test]
fn a_camera_is_met_at_a_small_part_of_the_budget() {
    let (mut chance, mut late) = (Chance(1), Chance(2));
    let published = camera(1000, |_| chance.exponential(20.0 * US));
    let outcome = watch(&mut predictor(0.02), &published, || 50.0 * US + late.exponential(10.0 * US));
    assert!(outcome.hits(50) > 0.9, "{}", outcome.hits(50));
    assert!(outcome.spun < 0.012, "{}", outcome.spun);
}

#[test]
fn without_a_nominal_rate_the_period_is_found_out() {
    let (mut chance, mut late) = (Chance(3), Chance(4));
    let published = camera(1000, |_| chance.exponential(20.0 * US));
    let outcome = watch(&mut Predictor::new(0.02), &published, || 50.0 * US + late.exponential(10.0 * US));
    assert!(outcome.hits(50) > 0.9, "{}", outcome.hits(50));
}

#[test]
fn a_clock_that_runs_differently_from_the_nominal_rate_is_followed() {
    let (mut chance, mut late) = (Chance(5), Chance(6));
    let published = camera(1000, |number| number as f64 * 100.0 * US + chance.exponential(5.0 * US));
    let outcome = watch(&mut predictor(0.02), &published, || 50.0 * US + late.exponential(10.0 * US));
    assert!(outcome.hits(100) > 0.9, "{}", outcome.hits(100));
}

#[test]
fn who_pauses_after_each_frame_is_foretold_from_the_last() {
    let (mut chance, mut late) = (Chance(7), Chance(8));
    let mut drift = 0.0;
    let published = camera(1000, |_| {
        drift += chance.exponential(30.0 * US);
        drift
    });
    let outcome = watch(&mut predictor(0.02), &published, || 50.0 * US + late.exponential(10.0 * US));
    assert!(outcome.hits(50) > 0.8, "{}", outcome.hits(50));
}

#[test]
fn outliers_cost_no_more_than_the_budget() {
    let (mut chance, mut late) = (Chance(9), Chance(10));
    let published = camera(3000, |_| if chance.even() < 0.05 { 3.0 * MS } else { chance.exponential(20.0 * US) });
    let lateness = || if late.even() < 0.05 { 2.0 * MS } else { 50.0 * US + late.exponential(20.0 * US) };
    let outcome = watch(&mut predictor(0.02), &published, lateness);
    assert!(outcome.spun <= 0.0201, "{}", outcome.spun);
    assert!(outcome.hits(50) > 0.75, "{}", outcome.hits(50));
}

#[test]
fn a_stream_without_rhythm_is_slept_for() {
    let (mut chance, mut late) = (Chance(11), Chance(12));
    let mut time = 1e9;
    let published: Vec<f64> = (0..3000)
        .map(|_| {
            time += chance.exponential(PERIOD);
            time
        })
        .collect();
    let outcome = watch(&mut Predictor::new(0.02), &published, || 50.0 * US + late.exponential(10.0 * US));
    assert!(outcome.spun < 0.002, "{}", outcome.spun);
}

#[test]
fn a_stream_that_stops_is_not_spun_for() {
    let mut late = Chance(14);
    let mut published = camera(200, |_| 0.0);
    published.push(published[199] + 1e12);
    let mut predictor = predictor(0.02);
    let before = watch(&mut predictor, &published[..200], || 50.0 * US + late.exponential(10.0 * US));
    assert!(before.hits(50) > 0.9);
    let spun = predictor.counters.spun_ns;
    watch(&mut predictor, &published[199..], || 50.0 * US);
    assert!(predictor.counters.spun_ns - spun < (0.1 * PERIOD) as u64);
}

#[test]
fn a_new_phase_and_a_new_rate_are_learned() {
    let mut late = Chance(15);
    let mut time = 1e9;
    let published: Vec<f64> = (0..600)
        .map(|number| {
            time += match number {
                200 => 0.4 * PERIOD,
                400.. => PERIOD * 1.5,
                _ => PERIOD,
            };
            time
        })
        .collect();
    let outcome = watch(&mut predictor(0.02), &published, || 50.0 * US + late.exponential(10.0 * US));
    for from in [100, 210, 440] {
        let part = Outcome { latencies: outcome.latencies[from..from + 90].to_vec(), ..Outcome::default() };
        assert!(part.hits(0) > 0.9, "from {from}: {}", part.hits(0));
    }
}

#[test]
fn periods_that_are_left_out_do_not_disturb_the_others() {
    let (mut chance, mut late) = (Chance(16), Chance(17));
    let whole = camera(2000, |_| 0.0);
    let published: Vec<f64> = whole.into_iter().filter(|_| chance.even() < 0.9).collect();
    let outcome = watch(&mut predictor(0.02), &published, || 50.0 * US + late.exponential(10.0 * US));
    assert!(outcome.hits(50) > 0.75, "{}", outcome.hits(50));
}

#[test]
fn a_thread_that_wakes_up_late_for_a_while_recovers() {
    let (mut late, mut sleeps) = (Chance(18), 0);
    let published = camera(1200, |_| 0.0);
    let lateness = || {
        sleeps += 1;
        if (200..400).contains(&sleeps) { late.exponential(5.0 * MS) } else { 50.0 * US + late.exponential(10.0 * US) }
    };
    let outcome = watch(&mut predictor(0.02), &published, lateness);
    assert!(outcome.hits(800) > 0.9, "{}", outcome.hits(800));
}

#[test]
fn times_that_are_garbage_are_survived() {
    let mut predictor = predictor(0.02);
    let garbage = [0, u64::MAX, 1, 1 << 60, 5, 1 << 60, 1 << 59, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 1 << 60, 0, 0, 0, 0];
    for (sequence, &time) in garbage.iter().cycle().take(300).enumerate() {
        predictor.took(sequence as u64, time);
        predictor.plan(1 << 40);
    }
}

#[test]
fn a_budget_of_nothing_spins_nothing() {
    let published = camera(200, |_| 0.0);
    let outcome = watch(&mut predictor(0.0), &published, || 50.0 * US);
    assert_eq!(outcome.spun, 0.0);
}

#[test]
fn a_frame_that_was_spun_for_in_vain_is_not_spun_for_again() {
    let published = camera(100, |_| 0.0);
    let mut predictor = predictor(0.02);
    watch(&mut predictor, &published, || 50.0 * US);
    let plan = predictor.plan(published[99] as u64 + 1).expect("a rhythm without jitter is foretold");
    assert_eq!(predictor.plan(plan.from), Some(Plan { from: plan.from, until: plan.until }));
    // Cut short, by the account, say: there is time left, and some of it could be paid.
    predictor.spun(10, true);
    assert_eq!(predictor.plan(plan.from), None);
    predictor.took(101, plan.until);
    assert!(predictor.plan(plan.until + 1).is_some(), "the next one is");
}
