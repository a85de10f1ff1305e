//! Proof that the checks can fail.
//!
//! `build.rs` makes a changed copy of a file for each seeded fault that `mutants` lists, and here each copy has its own
//! world and check. A check runs in a process of its own: a model that fails may take its process along.

use std::process::Command;

/// Runs the check of a variant; true: it held.
fn check_holds(variant: &str) -> bool {
    let name = format!("variants::{variant}::check");
    let mut command = Command::new(std::env::current_exe().unwrap());
    let output = command.args(["--exact", &name, "--ignored"]).env("RUST_BACKTRACE", "0").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("running 1 test"), "there is no check {name}:\n{text}");
    output.status.success()
}

macro_rules! fault {
    ($name:ident) => {
        #[test]
        fn $name() {
            assert!(!check_holds(stringify!($name)), "no check notices this fault");
        }
    };
}

include!(concat!(env!("OUT_DIR"), "/variants.rs"));
