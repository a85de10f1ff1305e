//! From repetitions to figures, and where they are written.

mod json;
mod markdown;
mod plots;
mod targets;

use crate::quiet::Disturbance;
use crate::samples::median;
use crate::work::{Case, Measurement};
use anyhow::{Context, Result};
use serde::Serialize;
use std::path::Path;

/// One measurement of a figure.
#[derive(Clone, Debug, Serialize)]
pub struct Repetition {
    /// From 1. Those of the same number were measured within minutes of each other.
    pub number: u32,
    pub quiet: bool,
    #[serde(flatten)]
    pub disturbance: Disturbance,
    #[serde(flatten)]
    pub measurement: Measurement,
}

/// All measurements of one case.
#[derive(Clone, Debug)]
pub struct Figure {
    pub case: Case,
    pub repetitions: Vec<Repetition>,
    pub failures: Vec<String>,
}

/// What is reported of a figure: medians over its repetitions.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Summary {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50_ns: Option<f64>,
    /// Of the repetitions' p50.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50_min_ns: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50_max_ns: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99_ns: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p999_ns: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_ns: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attach_p50_ns: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published_per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken_per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publisher_cpu_percent: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscriber_cpu_percent: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missed_frames: Option<f64>,
    /// Repetitions that went into it.
    pub repetitions: usize,
    /// Whether all of these were quiet.
    pub quiet: bool,
}

impl Figure {
    /// Nothing measured yet.
    pub fn of(case: Case) -> Self {
        Self { case, repetitions: Vec::new(), failures: Vec::new() }
    }

    /// The quiet repetitions, where there are three, or no others; else all of them.
    pub fn used(&self) -> Vec<&Repetition> {
        let quiet: Vec<&Repetition> = self.repetitions.iter().filter(|repetition| repetition.quiet).collect();
        if quiet.len() >= 3 { quiet } else { self.repetitions.iter().collect() }
    }

    /// `None` where nothing was measured.
    pub fn summary(&self) -> Option<Summary> {
        let used = self.used();
        if used.is_empty() {
            return None;
        }
        let values = |get: &dyn Fn(&Measurement) -> Option<f64>| -> Vec<f64> {
            used.iter().filter_map(|repetition| get(&repetition.measurement)).collect()
        };
        let middle = |get: &dyn Fn(&Measurement) -> Option<f64>| median(values(get));
        let p50 = |measurement: &Measurement| measurement.times.map(|times| times.p50_ns);
        Some(Summary {
            p50_ns: middle(&p50),
            p50_min_ns: values(&p50).into_iter().reduce(f64::min),
            p50_max_ns: values(&p50).into_iter().reduce(f64::max),
            p99_ns: middle(&|measurement| measurement.times.map(|times| times.p99_ns)),
            p999_ns: middle(&|measurement| measurement.times.map(|times| times.p999_ns)),
            max_ns: middle(&|measurement| measurement.times.map(|times| times.max_ns)),
            attach_p50_ns: middle(&|measurement| measurement.attach.map(|times| times.p50_ns)),
            published_per_second: middle(&|measurement| measurement.published_per_second),
            taken_per_second: middle(&|measurement| measurement.taken_per_second),
            publisher_cpu_percent: middle(&|measurement| measurement.publisher_cpu_percent),
            subscriber_cpu_percent: middle(&|measurement| measurement.subscriber_cpu_percent),
            missed_frames: middle(&|measurement| measurement.missed_frames.map(|frames| frames as f64)),
            repetitions: used.len(),
            quiet: used.iter().all(|repetition| repetition.quiet),
        })
    }
}

/// Where it was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    pub processor: String,
    pub cores: usize,
    pub kernel: String,
}

impl Machine {
    /// This one.
    pub fn this() -> Self {
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            processor: model.map_or("unknown", |(_, model)| model.trim()).to_owned(),
            cores: crate::cores::allowed().len(),
            kernel: kernel.trim().to_owned(),
        }
    }
}

/// All of a run.
#[derive(Clone, Debug)]
pub struct Results {
    pub machine: Machine,
    pub quick: bool,
    pub repetitions: u32,
    /// What counts as quiet, in per cent of one core.
    pub quiet_percent: f64,
    /// The machine before the run.
    pub before: Disturbance,
    pub seconds: f64,
    /// Who took no part, and why.
    pub missing: Vec<(String, String)>,
    pub figures: Vec<Figure>,
}

impl Results {
    /// How many repetitions there are, and how many of them were not quiet.
    fn noise(&self) -> (usize, usize) {
        let all = self.figures.iter().flat_map(|figure| &figure.repetitions);
        all.fold((0, 0), |(all, noisy), repetition| (all + 1, noisy + usize::from(!repetition.quiet)))
    }

    /// Writes report.md, results.json and the plots.
    pub fn write(&self, directory: &Path) -> Result<()> {
        let targets = targets::evaluate(&self.figures);
        let write = |name: &str, text: String| {
            let path = directory.join(name);
            std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
        };
        write("results.json", json::render(self, &targets)?)?;
        let plots = plots::draw(&self.figures, directory)?;
        let report = markdown::render(self, &targets, &plots);
        write("report.md", report)?;
        println!("{}", markdown::targets(&targets));
        println!("The report is in {}.", directory.join("report.md").display());
        let (all, noisy) = self.noise();
        if noisy > 0 {
            eprintln!("!!! {noisy} of {all} repetitions were NOT QUIET: read the figures with care, or run it again");
        }
        Ok(())
    }
}

/// A time in a unit that suits it.
pub fn time(ns: f64) -> String {
    match ns {
        _ if ns < 100.0 => format!("{ns:.1} ns"),
        _ if ns < 10_000.0 => format!("{ns:.0} ns"),
        _ if ns < 1e6 => format!("{:.1} µs", ns / 1e3),
        _ if ns < 1e9 => format!("{:.2} ms", ns / 1e6),
        _ => format!("{:.2} s", ns / 1e9),
    }
}

#[cfg(test)]
pub mod fixture {
    //! Figures from numbers.

    use super::*;
    use crate::contestant::Contestant;
    use crate::samples::Percentiles;
    use crate::work::{Variant, Work};

    /// What a quiet machine looks like.
    pub const QUIET: Disturbance = Disturbance { others_percent: 1.0, steal_percent: 0.0, load: 0.5 };

    /// A figure whose repetitions have these p50.
    pub fn figure(work: Work, variant: Variant, contestant: Contestant, p50s: &[f64]) -> Figure {
        let repetition = |(index, p50_ns): (usize, &f64)| Repetition {
            number: index as u32 + 1,
            quiet: true,
            disturbance: QUIET,
            measurement: Measurement {
                times: Some(Percentiles {
                    p50_ns: *p50_ns,
                    p99_ns: p50_ns * 2.0,
                    p999_ns: p50_ns * 3.0,
                    max_ns: p50_ns * 4.0,
                    samples: 100,
                }),
                ..Measurement::default()
            },
        };
        let repetitions = p50s.iter().enumerate().map(repetition).collect();
        Figure { case: Case { work, contestant, variant }, repetitions, failures: Vec::new() }
    }

    /// A run with these figures.
    pub fn results(figures: Vec<Figure>) -> Results {
        let machine = Machine { processor: "a processor".to_owned(), cores: 2, kernel: "6.1".to_owned() };
        Results {
            machine,
            quick: false,
            repetitions: 3,
            quiet_percent: 10.0,
            before: QUIET,
            seconds: 60.0,
            missing: vec![("zenoh shm".to_owned(), "built without it".to_owned())],
            figures,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contestant::Contestant;
    use crate::work::{Variant, Work};

    fn noisy(p50s: &[f64], noisy: &[usize]) -> Figure {
        let mut figure = fixture::figure(Work::RoundTrip, Variant::Plain, Contestant::SharedPage, p50s);
        noisy.iter().for_each(|index| figure.repetitions[*index].quiet = false);
        figure
    }

    #[test]
    fn a_summary_is_the_median_of_each_percentile() {
        let summary = noisy(&[10.0, 30.0, 20.0], &[]).summary().expect("three repetitions");
        assert_eq!((summary.p50_ns, summary.p99_ns, summary.max_ns), (Some(20.0), Some(40.0), Some(80.0)));
        assert_eq!((summary.p50_min_ns, summary.p50_max_ns), (Some(10.0), Some(30.0)));
        assert!(summary.quiet);
    }

    #[test]
    fn three_quiet_repetitions_make_the_noisy_ones_needless() {
        let summary = noisy(&[10.0, 11.0, 12.0, 500.0, 600.0], &[3, 4]).summary().expect("repetitions");
        assert_eq!((summary.p50_ns, summary.repetitions, summary.quiet), (Some(11.0), 3, true));
    }

    #[test]
    fn with_fewer_all_are_used_and_the_figure_is_marked() {
        let summary = noisy(&[10.0, 11.0, 500.0, 600.0, 700.0], &[2, 3, 4]).summary().expect("repetitions");
        assert_eq!((summary.p50_ns, summary.repetitions, summary.quiet), (Some(500.0), 5, false));
    }

    #[test]
    fn nothing_measured_is_no_summary() {
        assert!(noisy(&[], &[]).summary().is_none());
    }

    #[test]
    fn times_have_fitting_units() {
        let texts = [1.234, 123.4, 12_345.0, 1_234_567.0, 2e9].map(time);
        assert_eq!(texts, ["1.2 ns", "123 ns", "12.3 µs", "1.23 ms", "2.00 s"]);
    }
}
