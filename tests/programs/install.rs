//! What an installation has beside the program: the manual's pages, and completions of shells.
//!
//! That each visible command has a page, and that each example is a command line, is tested where they are made.

use std::io::Read;
use std::process::{Command, Stdio};

use crate::harness::framebus;

/// Whether a program is installed, and says that it is itself: a small system may have another one in the place of `man`, which
/// only tells how to get it. Says so where it is not.
fn has(program: &str, version: &str) -> bool {
    let told = Command::new(program).arg("--version").output();
    let found = told.is_ok_and(|told| told.status.success() && told.stdout.starts_with(version.as_bytes()));
    if !found {
        eprintln!("skipped: {program} is not installed");
    }
    found
}

#[test]
fn the_manual_has_a_page_for_each_command_that_the_help_shows_and_man_can_read_them() {
    let folder = tempfile::tempdir().unwrap();
    let man1 = folder.path().join("share/man/man1");
    let made = framebus().arg("man").arg(&man1).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let help = framebus().arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        // What does not begin in the third column is the rest of a longer explanation.
        .filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' '))?.split(' ').next())
        .filter(|command| *command != "help")
        .collect();
    assert!(commands.len() > 8, "{help}");
    let mut files: Vec<String> =
        std::fs::read_dir(&man1).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    let mut expected: Vec<String> = commands.iter().map(|command| format!("framebus-{command}.1")).collect();
    expected.push("framebus.1".to_owned());
    files.sort();
    expected.sort();
    assert_eq!(files, expected);

    if !has("man", "man ") {
        return;
    }
    for file in files {
        // man(1) tells what its formatter complains of.
        let mut man = Command::new("man");
        man.args(["--warnings", "-l"]).arg(man1.join(&file)).env("MANWIDTH", "100").env("LC_ALL", "C.UTF-8");
        let read = man.stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8_lossy(&read.stdout);
        assert!(read.status.success(), "{file}: {read:?}");
        assert_eq!(String::from_utf8_lossy(&read.stderr), "", "{file}");
        for heading in ["NAME", "SYNOPSIS", "EXIT STATUS", "ENVIRONMENT", "FILES", "EXAMPLES", "SEE ALSO"] {
            assert!(text.lines().any(|line| line == heading), "{heading} in {file}:\n{text}");
        }
    }
}

#[test]
fn the_first_page_goes_to_standard_output() {
    let page = framebus().arg("man").output().unwrap();
    assert!(page.status.success() && page.stderr.is_empty(), "{page:?}");
    let text = String::from_utf8(page.stdout).unwrap();
    assert!(text.contains(".TH framebus 1"), "{text}");
}

#[test]
fn a_folder_that_can_not_be_made_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut command = framebus();
    command.arg("man").arg(file.path().join("man1"));
    let (code, words) = crate::harness::failure(command);
    assert_eq!(code, 1, "{words}");
    assert!(words.contains("can not make the folder for the manual's pages, ") && words.contains("man1"), "{words}");
}

#[test]
fn bash_completes_commands_and_options_and_offers_nothing_that_is_hidden() {
    let script = framebus().args(["completions", "bash"]).output().unwrap();
    assert!(script.status.success() && script.stderr.is_empty(), "{script:?}");
    if !has("bash", "GNU bash") {
        return;
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &script.stdout).unwrap();
    let checked = Command::new("bash").arg("-n").arg(file.path()).output().unwrap();
    assert!(checked.status.success(), "{checked:?}");
    // bash(1), "Programmable Completion": the function gets the words in COMP_WORDS, and answers in COMPREPLY.
    let complete = |line: &str| -> Vec<String> {
        let words: Vec<&str> = line.split(' ').collect();
        let current = words.len() - 1;
        let program = format!(
            "source \"$1\" && shift && COMP_WORDS=(\"$@\") && COMP_CWORD={current} \
             && _framebus \"$1\" \"${{COMP_WORDS[{current}]}}\" \"${{COMP_WORDS[{}]}}\" && printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            current - 1
        );
        let mut bash = Command::new("bash");
        bash.args(["--norc", "-c", &program, "bash"]).arg(file.path()).args(&words);
        let answer = bash.output().unwrap();
        assert!(answer.status.success(), "{line}: {answer:?}");
        String::from_utf8(answer.stdout).unwrap().lines().map(str::to_owned).collect()
    };
    assert_eq!(complete("framebus de"), ["demo"]);
    let all = complete("framebus ");
    assert!(["demo", "producer", "viewer", "man"].iter().all(|name| all.contains(&(*name).to_owned())), "{all:?}");
    assert!(!all.iter().any(|word| word.contains("guard")), "{all:?}");
    assert_eq!(complete("framebus producer --await"), ["--await-viewers"]);
    assert_eq!(complete("framebus viewer --mode ev"), ["every"]);
    assert_eq!(complete("framebus completions fi"), ["fish"]);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    for arguments in [&["man"][..], &["completions", "bash"], &["completions", "zsh"]] {
        let mut child = framebus().args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // Nobody ever reads: a page is shorter than what a pipe takes in, so it is closed before anything comes.
        drop(child.stdout.take());
        let mut words = String::new();
        child.stderr.take().unwrap().read_to_string(&mut words).unwrap();
        assert!(child.wait().unwrap().success() && words.is_empty(), "{arguments:?}: {words}");
    }
}
