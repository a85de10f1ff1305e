//! docs/operations.md: each symptom was made in a test, and the test that it names is there; what it quotes is what programs say.

use std::path::{Path, PathBuf};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true if path.file_name().is_some_and(|name| name == "target") => {}
            true => sources(&path, found),
            false if path.extension().is_some_and(|extension| extension == "rs") => found.push(path),
            false => {}
        }
    }
}

/// The names in the last column of a row: `module::test`.
fn named(row: &str) -> Vec<(&str, &str)> {
    let last = row.trim_end_matches([' ', '|']).rsplit('|').next().unwrap_or_default();
    last.split('`').skip(1).step_by(2).filter_map(|name| name.rsplit_once("::")).collect()
}

/// What a message and its quotation have in common: `{value}` in one is `…` in the other, and each is left out.
fn without_values(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '…']) {
        kept.push_str(&rest[..at]);
        rest = &rest[at..];
        rest = match rest.strip_prefix('{') {
            // The brackets of a message have no bracket within, and stand in one line.
            Some(value) => match value.find(['{', '}', '\n']) {
                Some(end) if value[end..].starts_with('}') => &value[end + 1..],
                _ => value,
            },
            None => &rest['…'.len_utf8()..],
        };
    }
    kept.push_str(rest);
    kept.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What the programs' sources have between their quotation marks, and all else.
fn all_that_is_said(root: &Path) -> String {
    let mut files = Vec::new();
    ["bus/src", "cli/src", "config/src", "producer/src", "program/src", "viewer/src", "web/src"]
        .iter()
        .for_each(|folder| sources(&root.join(folder), &mut files));
    let mut said = String::new();
    for file in files {
        // A string goes on in the next line after a backslash, without what stands before its first word.
        let text = std::fs::read_to_string(file).unwrap();
        let mut lines = text.split("\\\n");
        said.push_str(lines.next().unwrap());
        lines.for_each(|line| said.push_str(line.trim_start()));
    }
    without_values(&said)
}

const PAGE: &str = "docs/operations.md";

fn rows(page: &str) -> impl Iterator<Item = &str> {
    page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| symptom"))
}

#[test]
fn every_quoted_word_of_a_symptom_is_one_that_programs_say() {
    /// By the system's library.
    const SYSTEMS: [&str; 2] = ["Permission denied", "No space left on device"];
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (page, said) = (std::fs::read_to_string(root.join(PAGE)).unwrap(), all_that_is_said(&root));
    let mut quoted = 0;
    for row in rows(&page) {
        let symptom = row[2..].split(" | ").next().unwrap();
        for words in symptom.split('`').skip(1).step_by(2).filter(|words| !SYSTEMS.contains(words)) {
            assert!(said.contains(&without_values(words)), "no program says {words:?}: {row}");
            quoted += 1;
        }
    }
    assert!(quoted > 20, "the quotations were found: {quoted}");
    assert!(!said.contains(&without_values("no slot of stream … is free because of …")), "what nobody says is found");
}

#[test]
fn every_symptom_names_a_test_that_makes_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    ["bus", "cli", "config", "producer", "tests", "viewer", "web"]
        .iter()
        .for_each(|folder| sources(&root.join(folder), &mut files));
    let page = std::fs::read_to_string(root.join(PAGE)).unwrap();
    let mut symptoms = 0;
    for row in rows(&page) {
        let tests = named(row);
        assert!(!tests.is_empty(), "this symptom names no test: {row}");
        for (module, test) in tests {
            let module = module.rsplit("::").next().unwrap();
            let is_there = files.iter().any(|file| {
                // A module is a file, or a folder of them.
                file.iter().any(|part| part == module || part.to_str() == Some(&format!("{module}.rs")))
                    && std::fs::read_to_string(file).unwrap().contains(&format!("#[test]\nfn {test}("))
            });
            assert!(is_there, "there is no test {module}::{test}, of: {row}");
        }
        symptoms += 1;
    }
    assert!(symptoms > 20, "the tables were found: {symptoms}");
}
