//! The order of a run: repetition 1 of everything, repetition 2 of everything, …, so that what changes on the machine over
//! the minutes falls on all alike.

use crate::arguments::Arguments;
use crate::contestant::Contestant;
use crate::quiet::{self, Disturbance, Moment};
use crate::report::{Figure, Machine, Repetition, Results};
use crate::run::Run;
use crate::work::{self, Case, Plan, Work};
use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use std::time::{Duration, Instant};

/// Runs everything that the arguments ask for, and writes the report.
pub fn run(arguments: &Arguments) -> Result<()> {
    std::fs::create_dir_all(&arguments.out).with_context(|| format!("making {}", arguments.out.display()))?;
    let wanted = |contestant: &Contestant| work::is_wanted(*contestant, &arguments.bus);
    let (missing, contestants): (Vec<_>, Vec<_>) =
        Contestant::ALL.into_iter().filter(wanted).partition(|contestant| contestant.missing().is_some());
    let plan = Plan { quick: arguments.quick, contestants };
    let is_asked = |work: &Work| arguments.only.is_empty() || arguments.only.contains(work);
    let works: Vec<Work> = Work::value_variants().iter().copied().filter(is_asked).collect();
    let cases: Vec<Case> = works.iter().flat_map(|work| work::cases(*work, &plan)).collect();
    ensure!(!cases.is_empty(), "nothing to measure: none of these buses does that work");

    let run = Run::begin()?;
    let before = quiet::watch(Duration::from_millis(500))?;
    if !before.is_quiet(arguments.quiet) {
        shout(&format!("the machine is NOT QUIET: {}", describe(&before)));
    }
    let repetitions = arguments.repetitions();
    let mut session = Session { run: &run, plan: &plan, arguments, retries_left: retry_budget(&cases, repetitions) };
    let mut figures: Vec<Figure> = cases.iter().map(|case| Figure::of(*case)).collect();
    let begun = Instant::now();
    let total = cases.len() * repetitions as usize;
    'run: for number in 1..=repetitions {
        for (index, figure) in figures.iter_mut().enumerate() {
            let done = (number - 1) as usize * cases.len() + index + 1;
            let place = format!("[{done}/{total}] repetition {number}");
            session.measure(figure, number, &place)?;
            if run.is_interrupted() {
                shout("interrupted: the report has what was measured so far");
                break 'run;
            }
        }
    }
    let missing =
        missing.into_iter().filter_map(|contestant| Some((contestant.to_string(), contestant.missing()?.to_owned())));
    let results = Results {
        machine: Machine::this(),
        quick: arguments.quick,
        repetitions,
        quiet_percent: arguments.quiet,
        before,
        seconds: begun.elapsed().as_secs_f64(),
        missing: missing.collect(),
        figures,
    };
    let interrupted = run.is_interrupted();
    drop(run);
    results.write(&arguments.out)?;
    if interrupted {
        bail!("interrupted");
    }
    Ok(())
}

/// A noisy machine shall not make a run endless: a quarter of all measurements may be repeated.
fn retry_budget(cases: &[Case], repetitions: u32) -> usize {
    (cases.len() * repetitions as usize).div_ceil(4)
}

struct Session<'a> {
    run: &'a Run,
    plan: &'a Plan,
    arguments: &'a Arguments,
    retries_left: usize,
}

impl Session<'_> {
    /// Adds one repetition to a figure, or why there is none.
    fn measure(&mut self, figure: &mut Figure, number: u32, place: &str) -> Result<()> {
        let case = figure.case;
        let what = format!("{place}: {} {} {}", case.work.name(), case.variant, case.contestant).replace("  ", " ");
        for attempt in 0..=self.arguments.retries {
            let moment = Moment::now()?;
            let measured = work::measure(self.run, self.plan, &case);
            let disturbance = moment.disturbance_since()?;
            if self.run.is_interrupted() {
                return Ok(());
            }
            let measurement = match measured {
                Ok(measurement) => measurement,
                Err(error) => {
                    shout(&format!("{what} FAILED: {error:#}"));
                    figure.failures.push(format!("{error:#}"));
                    return Ok(());
                }
            };
            let quiet = disturbance.is_quiet(self.arguments.quiet);
            if !quiet && attempt < self.arguments.retries && self.retries_left > 0 {
                self.retries_left -= 1;
                shout(&format!("{what}: NOT QUIET ({}), once more", describe(&disturbance)));
                continue;
            }
            let p50 = measurement.times.map_or("-".to_owned(), |times| crate::report::time(times.p50_ns));
            eprintln!("{what}: p50 {p50}{}", if quiet { "" } else { " (NOT QUIET, marked)" });
            figure.repetitions.push(Repetition { number, quiet, disturbance, measurement });
            return Ok(());
        }
        Ok(())
    }
}

fn describe(disturbance: &Disturbance) -> String {
    format!(
        "others use {:.0} % of a core, the hypervisor takes {:.0} %, load {:.1}",
        disturbance.others_percent, disturbance.steal_percent, disturbance.load
    )
}

fn shout(words: &str) {
    eprintln!("!!! {words}");
}
