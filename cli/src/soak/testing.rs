//! Settings for the tests of this module, from a command line.

use clap::Parser;

use super::arguments::{Arguments, Settings};

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    arguments: Arguments,
}

pub(super) fn settings(line: &str) -> Settings {
    let words = ["soak"].into_iter().chain(line.split_whitespace());
    Settings::of(&Program::parse_from(words).arguments).unwrap()
}
