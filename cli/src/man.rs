//! `framebus man`: the manual's pages, made from clap's own table of commands and options.
//!
//! What a command line does not tell (exit codes, the environment, files, examples) stands in [`more`], one entry a
//! command. A test parses each example, so that none of them grows old.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use framebus_program::{Level, say};

/// What the pages are to be written to.
#[derive(clap::Args)]
pub struct Arguments {
    /// Folder for all pages; it is made where it is missing [default: the first page goes to standard output]
    directory: Option<PathBuf>,
}

pub fn run(arguments: &Arguments, program: clap::Command) -> anyhow::Result<u8> {
    let pages = pages(program)?;
    let Some(directory) = &arguments.directory else {
        std::io::stdout().lock().write_all(&pages[0].text)?;
        return Ok(0);
    };
    let folder = || format!("the folder for the manual's pages, {}", directory.display());
    std::fs::create_dir_all(directory).with_context(|| format!("can not make {}", folder()))?;
    for page in &pages {
        let path = directory.join(&page.file);
        std::fs::write(&path, &page.text).with_context(|| format!("can not write {}", path.display()))?;
    }
    say(Level::Note, format_args!("{} pages in {}", pages.len(), directory.display()));
    Ok(0)
}

/// A page as it is written.
struct Page {
    /// `framebus-producer.1`.
    file: String,
    text: Vec<u8>,
}

/// All pages, the program's own first.
fn pages(program: clap::Command) -> std::io::Result<Vec<Page>> {
    let version = program.get_version().unwrap_or_default().to_owned();
    let mut program = program.disable_help_subcommand(true);
    program.build();
    let commands: Vec<clap::Command> = program.get_subcommands().filter(|it| !it.is_hide_set()).cloned().collect();
    let mut names: Vec<String> = commands.iter().map(|command| format!("framebus-{}", command.get_name())).collect();
    names.insert(0, "framebus".to_owned());
    let mut pages = vec![page(program, &version, &names)?];
    for command in commands {
        pages.push(page(command, &version, &names)?);
    }
    Ok(pages)
}

fn page(command: clap::Command, version: &str, names: &[String]) -> std::io::Result<Page> {
    let more = more(command.get_name());
    let has_commands = command.get_subcommands().any(|command| !command.is_hide_set());
    let man = Man::new(command).source(format!("framebus {version}")).manual("framebus");
    let (file, mut text) = (man.get_filename(), Vec::new());
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if has_commands {
        man.render_subcommands_section(&mut text)?;
    }
    let mut roff = Roff::new();
    let one = format!("{FAILED} {}", more.one);
    let codes = [&[("0", more.zero), ("1", one.trim_end())], EXIT_STATUS, &[more.signals]].concat();
    list(&mut roff, "EXIT STATUS", &codes);
    list(&mut roff, "ENVIRONMENT", &[more.environment, ENVIRONMENT].concat());
    list(&mut roff, "FILES", &[more.files, FILES].concat());
    if !more.examples.is_empty() {
        roff.control("SH", ["EXAMPLES"]);
        for (words, line) in more.examples {
            roff.control("PP", []).text([roman(*words)]);
            roff.control("PP", []).control("RS", ["4"]).text([bold(*line)]).control("RE", []);
        }
    }
    roff.control("SH", ["SEE ALSO"]);
    let this = file.trim_end_matches(".1");
    let others: Vec<String> = names.iter().filter(|name| *name != this).map(|name| format!("{name}(1)")).collect();
    roff.text([roman(others.join(", "))]);
    roff.to_writer(&mut text)?;
    Ok(Page { file, text })
}

/// A section of terms and what they mean; none where there are none.
fn list(roff: &mut Roff, heading: &str, entries: &[(&str, &str)]) {
    if entries.is_empty() {
        return;
    }
    roff.control("SH", [heading]);
    for (term, meaning) in entries {
        roff.control("TP", []).text([bold(*term)]).text([roman(*meaning)]);
    }
}

/// What a page has beyond the command line's own table.
#[derive(Clone, Copy)]
struct More {
    /// What exit code 0 means.
    zero: &'static str,
    /// What else exit code 1 means.
    one: &'static str,
    /// What a signal makes of it.
    signals: (&'static str, &'static str),
    environment: &'static [(&'static str, &'static str)],
    files: &'static [(&'static str, &'static str)],
    /// Words, and a command line.
    examples: &'static [(&'static str, &'static str)],
}

const FAILED: &str = "Something failed; standard error says what, to what, and what to do about it.";
const EXIT_STATUS: &[(&str, &str)] = &[("2", "The command line or the config is at fault.")];
/// Of a command that goes on until it is told to end.
const IN_GOOD_ORDER: (&str, &str) = (
    "128 + N",
    "A second SIGINT or SIGTERM, which are the signals N, ended it at once. The first SIGINT, SIGTERM or SIGHUP ends it in good order, \
     with its summary where it has one, and counts as no failure.",
);
/// Of a command that ends by itself.
const AT_ONCE: (&str, &str) = (
    "128 + N",
    "What a shell says where signal N ended it: SIGINT, SIGTERM and SIGHUP end it at once. What it had done by then is done, and \
     it can be started again.",
);
const BOTH: (&str, &str) = (
    "128 + N",
    "Signal N ended it at once. producer, viewer, web, demo, top, trace and soak end in good order by the first SIGINT, SIGTERM or \
     SIGHUP, which counts as no failure, and at once by a SIGINT or SIGTERM behind it; all other commands end at once by the first.",
);
const ENVIRONMENT: &[(&str, &str)] = &[
    ("FRAMEBUS_LOG", "What is logged to standard error: off, error, warn, info, debug or trace."),
    (
        "JOURNAL_STREAM",
        "Set by systemd(1). Where it names standard error, the log has the journal's levels, and neither times nor colours.",
    ),
];
const CONFIG: (&str, &str) = ("FRAMEBUS_CONFIG", "The config, where no --config says another one.");
const TOKEN: (&str, &str) = ("FRAMEBUS_TOKEN", "What a browser must know, where no --token says it.");
const FILES: &[(&str, &str)] = &[
    ("/proc/sysvipc/shm, /proc/sysvipc/sem", "The kernel's tables of what streams are made of; ipcs(1) shows them."),
    ("/dev/shm", "Where streams are whose backend is file, unless another folder is said."),
];
const CONFIG_FILE: (&str, &str) = ("./framebus.toml", "The config, where nothing else says another one.");

/// What a command's page has beyond clap's table; a command without an entry has what all have.
fn more(command: &str) -> More {
    let all = More {
        zero: "All is well; also where Ctrl-C ended it, or where the reader of standard output has seen enough.",
        one: "",
        signals: IN_GOOD_ORDER,
        environment: &[],
        files: &[],
        examples: &[],
    };
    let quick = More {
        zero: "All is well; also where the reader of standard output has seen enough.",
        signals: AT_ONCE,
        ..all
    };
    match command {
        "framebus" => More {
            signals: BOTH,
            examples: &[
                ("A camera and two viewers, for ten seconds:", "framebus demo"),
                ("All streams of this machine, live:", "framebus top"),
            ],
            ..all
        },
        "demo" => More { examples: &[("With figures for a program:", "framebus demo --seconds 3 --json")], ..all },
        "producer" => More {
            environment: &[CONFIG],
            files: &[CONFIG_FILE],
            examples: &[
                (
                    "A synthetic camera:",
                    "framebus producer --stream lab/camera --width 1280 --height 720 --format rgb8 --rate 30",
                ),
                (
                    "Every frame of a video from a pipe, for viewers that want each one:",
                    "framebus producer --stream lab/video --source y4m:- --on-full wait --await-viewers 1 --unpaced",
                ),
            ],
            ..all
        },
        "viewer" => More {
            one: "Also where --verify found a torn frame, or where, with --enforce, the contract was not kept: a frame was too old when \
                 it was taken, too many were skipped, none came, or the producer waited for this viewer no longer.",
            environment: &[CONFIG, TOKEN],
            files: &[CONFIG_FILE],
            examples: &[
                ("Live figures, every byte checked:", "framebus viewer --stream lab/camera --verify"),
                ("A picture:", "framebus viewer --stream lab/camera --snapshot now.png --frames 1"),
                ("Video for another program:", "framebus viewer --stream lab/camera --mode every --pipe y4m"),
            ],
            ..all
        },
        "web" => More {
            environment: &[TOKEN],
            examples: &[
                ("On this machine, at http://127.0.0.1:8080/:", "framebus web"),
                ("For others, who need the token that it prints:", "framebus web --listen 0.0.0.0:8080"),
            ],
            ..all
        },
        "ls" => More {
            one: "Also where some streams can not be seen; the others are listed.",
            examples: &[("One bus:", "framebus ls robot/"), ("For a program:", "framebus ls --json")],
            ..quick
        },
        "rm" => More {
            one: "Also where a stream was not there, or is in use; the others are removed.",
            examples: &[("All that a crashed run left of a bus:", "framebus rm robot")],
            ..quick
        },
        "gc" => More {
            one: "Also where some streams can not be seen, or a system call failed; the others are removed.",
            examples: &[("What provably nobody uses:", "framebus gc")],
            ..quick
        },
        "top" => More {
            one: "With --once and --json, also where some streams can not be seen; the others are shown.",
            examples: &[
                ("One look, as text:", "framebus top --once"),
                ("An object a stream every ten seconds:", "framebus top --json --interval 10"),
            ],
            ..all
        },
        "trace" => More { examples: &[("What befalls a stream's frames:", "framebus trace robot/front")], ..all },
        "doctor" => More {
            environment: &[CONFIG],
            files: &[CONFIG_FILE],
            examples: &[("What this machine lacks:", "framebus doctor")],
            ..quick
        },
        "check" => More {
            environment: &[CONFIG],
            files: &[CONFIG_FILE],
            examples: &[("What a config comes to:", "framebus check framebus.toml")],
            ..quick
        },
        "soak" => More {
            zero: "All promises were kept.",
            one: "Also where a promise was broken: the verdict says which, when, and by whom.",
            examples: &[
                ("A storm of half an hour:", "framebus soak --minutes 30"),
                (
                    "A calm night, where each skipped or late frame counts:",
                    "framebus soak --minutes 480 --calm --strict",
                ),
            ],
            ..all
        },
        "man" => More {
            examples: &[
                ("A look at the first page:", "framebus man"),
                ("All pages, for everybody:", "framebus man /usr/local/share/man/man1"),
            ],
            ..quick
        },
        "completions" => More { examples: &[("For bash:", "framebus completions bash")], ..quick },
        _ => all,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Parser};

    use crate::Program;

    #[test]
    fn every_visible_command_has_a_page_and_no_hidden_one_has() {
        let files: Vec<String> = pages(Program::command()).unwrap().into_iter().map(|page| page.file).collect();
        let program = Program::command();
        let page = |command: &clap::Command| format!("framebus-{}.1", command.get_name());
        let mut expected: Vec<String> =
            program.get_subcommands().filter(|command| !command.is_hide_set()).map(page).collect();
        expected.insert(0, "framebus.1".to_owned());
        assert_eq!(files, expected);
        let hidden: Vec<String> = program.get_subcommands().filter(|command| command.is_hide_set()).map(page).collect();
        assert!(!hidden.is_empty() && hidden.iter().all(|file| !files.contains(file)), "{hidden:?}");
    }

    #[test]
    fn every_command_has_an_example_and_each_one_is_a_command_line() {
        let program = Program::command();
        let visible = program.get_subcommands().filter(|command| !command.is_hide_set());
        for name in visible.map(clap::Command::get_name).chain(["framebus"]) {
            let examples = more(name).examples;
            assert!(!examples.is_empty(), "an example of {name}, in more()");
            for (_, line) in examples {
                let parsed = Program::try_parse_from(line.split_whitespace());
                assert!(parsed.is_ok(), "{line}: {}", parsed.err().unwrap());
            }
        }
    }

    #[test]
    fn each_page_says_how_the_command_ends_and_what_it_reads() {
        for page in pages(Program::command()).unwrap() {
            let text = String::from_utf8(page.text).unwrap();
            for heading in ["NAME", "SYNOPSIS", "EXIT STATUS", "ENVIRONMENT", "FILES", "EXAMPLES", "SEE ALSO"] {
                let lines = [format!(".SH {heading}"), format!(".SH \"{heading}\"")];
                assert!(text.lines().any(|line| lines.contains(&line.to_owned())), "{heading} in {}", page.file);
            }
            assert!(!text.contains("soak-guard"), "{}", page.file);
        }
    }

    #[test]
    fn only_commands_that_catch_signals_say_that_they_end_in_good_order() {
        let program = Program::command();
        let visible = program.get_subcommands().filter(|command| !command.is_hide_set());
        let caught: Vec<&str> =
            visible.map(clap::Command::get_name).filter(|name| more(name).signals == IN_GOOD_ORDER).collect();
        assert_eq!(caught, ["demo", "producer", "viewer", "web", "top", "trace", "soak"]);
        assert!(caught.iter().all(|name| BOTH.1.contains(name)));
    }

    #[test]
    fn a_command_with_a_config_says_where_it_finds_it() {
        for command in Program::command().get_subcommands().filter(|command| !command.is_hide_set()) {
            let help = command.clone().render_long_help().to_string();
            let finds = help.contains("FRAMEBUS_CONFIG");
            let told = more(command.get_name());
            assert_eq!(
                (told.environment.contains(&CONFIG), told.files.contains(&CONFIG_FILE)),
                (finds, finds),
                "{help}"
            );
        }
    }
}
