//! The front door: one program for everything.
#![forbid(unsafe_code)]
#![deny(clippy::print_stderr, clippy::print_stdout)]

mod actor;
mod check;
mod completions;
mod demo;
mod doctor;
mod gc;
mod ls;
mod man;
mod rm;
mod soak;
mod top;
mod trace;

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
    /// Removes streams by name; refuses while somebody publishes or reads them, unless forced.
    Rm(rm::Arguments),
    /// Checks a config: slots, memory, and what each setting guarantees.
    ///
    /// Exit codes: 0 it can be used, 2 it has mistakes, which are told all at once.
    Check(check::Arguments),
    /// Checks whether this machine is fit for the streams of a config, and says what mends what is not.
    ///
    /// It changes nothing. Exit codes: 0 all is well, or warnings only; 1 a failure; 2 the command line or the config is at
    /// fault.
    Doctor(doctor::Arguments),
    /// Removes what provably nobody uses: what crashed runs left.
    Gc(gc::Arguments),
    /// Shows all streams live: rates, ages, drops, and who is to blame.
    Top(top::Arguments),
    /// Follows streams, and prints what became of frames that were not simply published and seen, and who is to blame.
    Trace(Box<trace::Arguments>),
    /// Runs streams for a long time under fire, or calmly, and reports each frame that was lost, and to whom.
    Soak(Box<soak::Arguments>),
    /// Writes the manual's pages.
    ///
    /// They are called framebus.1, framebus-producer.1 and so on. `man -l FILE` reads one; in a folder man1 of the manual's path,
    /// such as /usr/local/share/man/man1, `man framebus-producer` finds it.
    Man(man::Arguments),
    /// Prints what a shell needs to complete command lines.
    ///
    /// For bash, put it into ~/.local/share/bash-completion/completions/framebus; for zsh, as _framebus into a folder of $fpath;
    /// for fish, into ~/.config/fish/completions/framebus.fish. For one session of bash: source <(framebus completions bash)
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
        Command::Check(arguments) => check::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Gc(arguments) => gc::run(&arguments),
        Command::Top(arguments) => top::run(&arguments),
        Command::Trace(arguments) => trace::run(&arguments),
        Command::Soak(arguments) => soak::run(&arguments),
        Command::Man(arguments) => man::run(&arguments, Program::command()),
        Command::Completions(arguments) => completions::run(&arguments, Program::command()),
        Command::SoakGuard(arguments) => soak::guard::run(&arguments),
    })
}
