//! framebus and its peers at the same work, in one run: see bench/README.md.

mod actor;
mod arguments;
mod clock;
mod contenders;
mod contestant;
mod cores;
mod limits;
mod quiet;
mod report;
mod run;
mod samples;
mod schedule;
mod work;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    // What this program says to itself, when it starts itself again for one role.
    if std::env::args_os().nth(1).is_some_and(|first| first == actor::ROLE) {
        return actor::main();
    }
    let arguments = arguments::Arguments::parse();
    match schedule::run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("framebus-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
