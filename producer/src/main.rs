//! The program `producer`: see the library.
#![forbid(unsafe_code)]
#![deny(clippy::print_stderr, clippy::print_stdout)]

use std::process::ExitCode;

use clap::Parser;

/// Publishes frames on a stream at a fixed rate.
///
/// Exit codes: 0 when the run ended as asked (also by Ctrl-C), 1 when it failed, 2 when the arguments or the config are wrong.
#[derive(Parser)]
#[command(name = "producer", version)]
struct Program {
    #[command(flatten)]
    arguments: framebus_producer::Arguments,
}

fn main() -> ExitCode {
    let program = Program::parse();
    framebus_program::start_log(tracing_subscriber::filter::LevelFilter::INFO);
    framebus_program::finish(framebus_producer::run(program.arguments).map(|()| 0))
}
