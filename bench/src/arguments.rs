//! The command line.

use crate::contestant::Bus;
use crate::work::Work;
use clap::Parser;
use std::path::PathBuf;

/// Runs framebus and its peers at the same work, interleaved, and writes a report with ratios first.
#[derive(Debug, Parser)]
#[command(name = "framebus-bench", version, max_term_width = 100)]
pub struct Arguments {
    /// Where report.md, results.json and the plots go
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    pub out: PathBuf,

    /// A short run of one or two minutes: fewer cases, shorter, two repetitions
    #[arg(long)]
    pub quick: bool,

    /// Only this work
    #[arg(long, value_name = "WORK", value_delimiter = ',')]
    pub only: Vec<Work>,

    /// Only these buses
    #[arg(long, value_name = "BUS", value_delimiter = ',')]
    pub bus: Vec<Bus>,

    /// How often everything is measured [default: 5, with --quick 2]
    #[arg(long, value_name = "N", overrides_with = "repetitions", value_parser = clap::value_parser!(u32).range(1..))]
    pub repetitions: Option<u32>,

    /// How much of one core others (and the hypervisor) may take during a measurement that counts as quiet, in per cent
    #[arg(long, value_name = "PERCENT", default_value_t = 10.0)]
    pub quiet: f64,

    /// How often a measurement is repeated that was not quiet, before it is kept and marked
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub retries: u32,
}

impl Arguments {
    /// How often everything is measured.
    pub fn repetitions(&self) -> u32 {
        self.repetitions.unwrap_or(if self.quick { 2 } else { 5 })
    }
}
