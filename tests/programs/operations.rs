//! docs/operations.md: each symptom was made in a test, and the test that it names is there.

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

#[test]
fn every_symptom_names_a_test_that_makes_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    ["bus", "cli", "config", "producer", "tests", "viewer", "web"]
        .iter()
        .for_each(|folder| sources(&root.join(folder), &mut files));
    let text = std::fs::read_to_string(root.join("docs/operations.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| symptom"));
    let mut symptoms = 0;
    for row in rows {
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
