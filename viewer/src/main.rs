//! The program `viewer`: the command line, a log on standard error, and the library.
#![forbid(unsafe_code)]
#![deny(clippy::print_stderr, clippy::print_stdout)]

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
    framebus_program::start_log(LevelFilter::WARN);
    framebus_program::finish(framebus_viewer::run(&program.arguments).map(|outcome| outcome.exit_code()))
}
