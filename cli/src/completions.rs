//! `framebus completions`: what a shell needs to complete our command lines, made from clap's own table of them.

use std::io::Write;

use clap_complete::Shell;

/// For whom.
#[derive(clap::Args)]
pub struct Arguments {
    /// Which shell.
    #[arg(value_enum)]
    shell: Shell,
}

pub fn run(arguments: &Arguments, program: clap::Command) -> anyhow::Result<u8> {
    // The generator panics where it can not write; a reader that goes is no failure.
    std::io::stdout().lock().write_all(&script(arguments.shell, program))?;
    Ok(0)
}

fn script(shell: Shell, program: clap::Command) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut visible(&program), program.get_name(), &mut script);
    script
}

/// The program without what is hidden: the generators do not ask.
fn visible(program: &clap::Command) -> clap::Command {
    let shown = clap::Command::new("framebus").version(env!("CARGO_PKG_VERSION"));
    shown.subcommands(program.get_subcommands().filter(|command| !command.is_hide_set()).cloned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, ValueEnum};

    #[test]
    fn every_shell_is_told_of_all_visible_commands_and_of_no_hidden_one() {
        let program = crate::Program::command();
        for shell in Shell::value_variants() {
            let script = String::from_utf8(script(*shell, program.clone())).unwrap();
            for command in program.get_subcommands() {
                let name = command.get_name();
                assert_eq!(script.contains(name), !command.is_hide_set(), "{name} in the script of {shell}");
            }
        }
    }
}
