//! The front door: one program for everything.
#![forbid(unsafe_code)]

mod actor;
mod completions;
mod demo;
mod ls;
mod man;
mod rm;
mod soak;
mod top;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
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
    /// Serves the streams of this machine to browsers: live pictures, figures, snapshots, metrics.
    Web(Box<framebus_web::Arguments>),
    /// Lists all streams of this machine, who publishes and who reads them.
    Ls(ls::Arguments),
    /// Removes streams that nobody publishes: what crashed runs left.
    Rm(rm::Arguments),
    /// Shows all streams live: rates, ages, drops, and who is to blame.
    Top(top::Arguments),
    /// Runs streams for a long time under fire, or calmly, and reports each frame that was lost, and to whom.
    Soak(Box<soak::Arguments>),
    /// Writes the manual's pages.
    Man(man::Arguments),
    /// Prints what a shell needs to complete command lines.
    Completions(completions::Arguments),
    /// Cleans up behind a soak that was killed itself; the soak starts it.
    #[command(hide = true)]
    SoakGuard(soak::guard::Arguments),
}

fn main() -> ExitCode {
    let program = Program::parse();
    framebus_program::start_log(LevelFilter::INFO);
    framebus_program::finish(match program.command {
        Command::Producer(arguments) => framebus_producer::run(*arguments).map(|()| 0),
        Command::Viewer(arguments) => framebus_viewer::run(&arguments).map(|outcome| outcome.exit_code()),
        Command::Web(arguments) => framebus_web::run(&arguments).map(|()| 0),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Ls(arguments) => ls::run(&arguments),
        Command::Rm(arguments) => rm::run(&arguments),
        Command::Top(arguments) => top::run(&arguments),
        Command::Soak(arguments) => soak::run(&arguments),
        Command::Man(arguments) => man::run(&arguments, Program::command()),
        Command::Completions(arguments) => completions::run(&arguments, Program::command()),
        Command::SoakGuard(arguments) => soak::guard::run(&arguments),
    })
}
