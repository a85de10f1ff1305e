//! The program `viewer`: the command line, a log on standard error, and the library.
#![forbid(unsafe_code)]

use clap::Parser;
use std::process::ExitCode;
use tracing_subscriber::filter::LevelFilter;

/// Look at a stream of the bus: live figures, frames to a pipe, a snapshot to a file.
#[derive(Parser)]
#[command(name = "viewer", version)]
struct Program {
    #[command(flatten)]
    arguments: framebus_viewer::Arguments,
}

fn main() -> ExitCode {
    let program = Program::parse();
    let level = std::env::var("FRAMEBUS_LOG").ok().and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::WARN);
    tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).init();
    framebus_viewer::conclude(framebus_viewer::run(&program.arguments))
}
