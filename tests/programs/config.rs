//! Mistakes in a config, as a user sees them.

use crate::harness::{failure, framebus};

fn run_with(text: &str) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("framebus.toml"), text).unwrap();
    let mut command = framebus();
    command.args(["producer", "--stream", "front", "--frames", "1"]).current_dir(folder.path());
    failure(command)
}

#[test]
fn all_mistakes_are_told_at_once_with_place_and_remedy() {
    let (code, said) = run_with(
        "[bus]\nname = \"lab\"\n\n[streams.front]\nwidth = 640\nheigth = 480\nformat = \"rgb9\"\nslots = 3\nmax_held = 4\n",
    );
    assert_eq!(code, 2);
    for expected in [
        " --> framebus.toml:6:1",
        "heigth = 480\n  | ^^^^^^",
        "did you mean `height`?",
        " --> framebus.toml:7:10",
        "did you mean \"rgb8\"?",
        "slots = 3 is too few for history = 1 and max_held = 4",
    ] {
        assert!(said.contains(expected), "{expected:?} in\n{said}");
    }
}

#[test]
fn mistakes_in_arguments_and_names_are_usage_errors() {
    let mut command = framebus();
    command.args(["producer", "--stream", "front", "--rate", "0"]);
    let (code, said) = failure(command);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("--rate <HZ>"), "{said}");
    let (code, said) = run_with("[bus]\nname = \"lab 1\"\n");
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("bus name \"lab 1\" has ' ' at byte 3"), "{said}");
}
