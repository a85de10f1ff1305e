//! The front door: one program for everything.
#![forbid(unsafe_code)]

mod demo;
mod ls;
mod rm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::filter::LevelFilter;

/// A shared-memory frame bus: one producer a stream, any number of viewers, no copies.
///
/// Exit codes: 0 all is well, 1 something failed, 2 the command line or the config is at fault.
#[derive(Parser)]
#[command(name = "framebus", version)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs a synthetic camera and two viewers as processes of their own, and says how it went.
    Demo(demo::Arguments),
    /// Publishes frames on a stream at a fixed rate (the program `producer`).
    Producer(Box<framebus_producer::Arguments>),
    /// Looks at a stream: live figures, frames to a pipe, a snapshot (the program `viewer`).
    Viewer(Box<framebus_viewer::Arguments>),
    /// Lists all streams of this machine, who publishes and who reads them.
    Ls(ls::Arguments),
    /// Removes streams that nobody publishes: what crashed runs left.
    Rm(rm::Arguments),
}

fn main() -> ExitCode {
    let program = Program::parse();
    let level = std::env::var("FRAMEBUS_LOG").ok().and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::INFO);
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(terminal)
        .with_target(false)
        .init();
    match program.command {
        Command::Producer(arguments) => framebus_producer::finish(framebus_producer::run(*arguments)),
        Command::Viewer(arguments) => framebus_viewer::conclude(framebus_viewer::run(&arguments)),
        Command::Demo(arguments) => finish(demo::run(&arguments)),
        Command::Ls(arguments) => finish(ls::run(&arguments)),
        Command::Rm(arguments) => finish(rm::run(&arguments)),
    }
}

/// Turns what a command came to into an exit code; prints the whole chain of causes.
fn finish(result: anyhow::Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        // Who closed our standard output has seen enough.
        let closed_pipe = error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe);
        if closed_pipe {
            return ExitCode::SUCCESS;
        }
        eprintln!("error: {error:#}");
        ExitCode::from(framebus_producer::exit_code(&error))
    })
}
