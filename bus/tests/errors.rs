//! What users may rely on of every error type, and that the library has nothing that logs.

use std::error::Error;
use std::process::Command;

/// Goes through `?` into whatever a user has, and from one thread to another.
fn is_an_error<T: Error + Send + Sync + 'static>() -> &'static str {
    std::any::type_name::<T>().rsplit("::").next().unwrap()
}

/// All of them; the test below finds one that is missing.
fn known() -> Vec<&'static str> {
    vec![
        is_an_error::<framebus::AcquireError>(),
        is_an_error::<framebus::AttachError>(),
        is_an_error::<framebus::BackendError>(),
        is_an_error::<framebus::GeometryError>(),
        is_an_error::<framebus::LoanError>(),
        #[cfg(feature = "mark")]
        is_an_error::<framebus::mark::MarkError>(),
        is_an_error::<framebus::NameError>(),
        is_an_error::<framebus::ObserveError>(),
        is_an_error::<framebus::OpenError>(),
        is_an_error::<framebus::RemoveError>(),
        is_an_error::<framebus::SetContentError>(),
        is_an_error::<framebus::ShapeError>(),
        is_an_error::<framebus::SystemError>(),
        is_an_error::<framebus::WatchError>(),
    ]
}

/// The lines of all the library's files.
fn lines() -> Vec<String> {
    let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
    let mut lines = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(entry.path()),
                false => lines.extend(std::fs::read_to_string(entry.path()).unwrap().lines().map(str::to_owned)),
            }
        }
    }
    lines
}

#[test]
fn every_public_error_type_is_an_error_that_threads_can_share_and_may_grow() {
    let (mut found, lines) = (Vec::new(), lines());
    for (number, line) in lines.iter().enumerate() {
        let item = line.strip_prefix("pub enum ").or_else(|| line.strip_prefix("pub struct "));
        let Some(name) = item.and_then(|item| item.split(' ').next()).filter(|name| name.ends_with("Error")) else {
            continue;
        };
        let attributes = lines[..number].iter().rev().take_while(|line| !line.trim().is_empty() && *line != "}");
        assert!(attributes.clone().any(|line| line == "#[non_exhaustive]"), "{name} is #[non_exhaustive]");
        found.push(name);
    }
    let mut known = known();
    known.sort_unstable();
    #[cfg(not(feature = "mark"))]
    found.retain(|name| *name != "MarkError");
    found.sort_unstable();
    assert_eq!(found, known);
}

#[test]
fn the_library_depends_on_nothing_that_logs() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["tree", "--package", "framebus", "--edges", "normal", "--all-features", "--prefix", "none"]);
    let tree = cargo.args(["--offline", "--format", "{p}"]).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let text = String::from_utf8(tree.stdout).unwrap();
    let crates: Vec<&str> = text.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(crates.contains(&"libc"), "{text}");
    for logger in ["log", "tracing", "tracing-core", "env_logger", "slog", "defmt"] {
        assert!(!crates.contains(&logger), "{logger} in the dependencies of the library:\n{text}");
    }
}
