//! Running a model in all its executions, and saying how many those were.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Numbers of a stream, and how much happens in a model.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub places: usize,
    pub history: usize,
    pub max_held: usize,
    /// Frames that are published.
    pub frames: u64,
    /// Acquisitions of each subscriber.
    pub reads: usize,
    /// Slots fewer than the minimum S = H + 1 + N·K.
    pub missing_slots: usize,
    /// Whether the publisher waits for lossless subscribers.
    pub waits: bool,
}

impl Size {
    /// With as many slots as the formula says.
    pub const fn new(places: usize, history: usize, max_held: usize, frames: u64, reads: usize) -> Self {
        Self { places, history, max_held, frames, reads, missing_slots: 0, waits: false }
    }

    pub const fn without_slots(self, missing_slots: usize) -> Self {
        Self { missing_slots, ..self }
    }

    pub const fn waiting(self) -> Self {
        Self { waits: true, ..self }
    }

    pub fn slots(&self) -> usize {
        self.history + 1 + self.places * self.max_held - self.missing_slots
    }
}

impl fmt::Display for Size {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { places, history, max_held, frames, reads, .. } = self;
        let slots = self.slots();
        write!(out, "N={places} H={history} K={max_held} S={slots}, {frames} frames, {reads} reads")
    }
}

/// How many preemptions an execution may have; `None`: any number.
pub(crate) type Bound = Option<usize>;

fn bound_text(bound: Bound) -> String {
    bound.map_or("exhaustive".to_owned(), |bound| format!("at most {bound} preemptions"))
}

/// All executions of the model; returns how many those are.
fn run(bound: Bound, model: impl Fn() + Sync + Send + 'static) -> u64 {
    let executions = Arc::new(AtomicU64::new(0));
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = bound;
    builder.max_branches = 10_000;
    let count = executions.clone();
    builder.check(move || {
        count.fetch_add(1, Relaxed);
        model();
    });
    executions.load(Relaxed)
}

/// Runs a model in all its executions within the bound.
pub(crate) fn explore(what: &str, size: Size, bound: Bound, model: impl Fn(Size) + Sync + Send + 'static) {
    let executions = run(bound, move || model(size));
    println!("{what}, {size}, {}: {executions} executions", bound_text(bound));
}

/// Runs a model with a death behind each step: behind none, one, two, … until nobody dies any more. The model gets the
/// number of steps, and returns whether somebody died of it.
pub(crate) fn explore_deaths(
    what: &str,
    size: Size,
    bound: Bound,
    model: impl Fn(Size, usize) -> bool + Sync + Send + 'static,
) {
    let (steps, executions) = deaths(bound, move |step| model(size, step));
    println!("{what}, {size}, {}: {steps} places to die, {executions} executions", bound_text(bound));
}

/// As [`explore_deaths`], with two who die: for each step of the first one, each step of the second. The model returns
/// whether the first and the second one died.
pub(crate) fn explore_two_deaths(
    what: &str,
    size: Size,
    bound: Bound,
    model: impl Fn(Size, usize, usize) -> (bool, bool) + Sync + Send + 'static,
) {
    let model = Arc::new(model);
    let (mut pairs, mut executions) = (0, 0);
    for first in 0.. {
        let somebody_died = Arc::new(AtomicBool::new(false));
        let (model, died) = (model.clone(), somebody_died.clone());
        let (steps, count) = deaths(bound, move |second| {
            let (first_died, second_died) = model(size, first, second);
            died.fetch_or(first_died, Relaxed);
            second_died
        });
        (pairs, executions) = (pairs + steps, executions + count);
        if !somebody_died.load(Relaxed) {
            break;
        }
    }
    println!("{what}, {size}, {}: {pairs} pairs of places to die, {executions} executions", bound_text(bound));
}

/// Runs a check, which is the whole of a test, in a process of its own.
///
/// Loom maps and unmaps a stack for each thread of each execution. In one process, two checks at a time would wait for each other in the
/// kernel, and take longer than one behind the other.
pub(crate) fn alone(test: &str, check: fn()) {
    const IS_ALONE: &str = "FRAMEBUS_MODEL_IS_ALONE";
    if std::env::var_os(IS_ALONE).is_some() {
        return check();
    }
    // The test runner leaves out the crate's name.
    let (_, test) = test.split_once("::").unwrap();
    let program = std::env::current_exe().unwrap();
    let arguments = ["--exact", test, "--include-ignored", "--nocapture"];
    let run = std::process::Command::new(program).args(arguments).env(IS_ALONE, "1").output().unwrap();
    let told = [run.stdout, run.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    println!("{}{}", told[0], told[1]);
    assert!(run.status.success() && told[0].contains("test result: ok. 1 passed"), "{test}: {}", run.status);
}

/// Places to die, and executions.
fn deaths(bound: Bound, model: impl Fn(usize) -> bool + Sync + Send + 'static) -> (usize, u64) {
    let model = Arc::new(model);
    let mut executions = 0;
    for step in 0.. {
        let somebody_died = Arc::new(AtomicBool::new(false));
        let (model, died) = (model.clone(), somebody_died.clone());
        executions += run(bound, move || {
            died.fetch_or(model(step), Relaxed);
        });
        if !somebody_died.load(Relaxed) {
            return (step, executions);
        }
    }
    unreachable!("every life ends")
}
