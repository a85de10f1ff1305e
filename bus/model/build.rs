//! Makes the changed copies of files that `mutants` lists.

use std::fmt::Write;
use std::path::{Path, PathBuf};

#[path = "mutants/mod.rs"]
mod mutants;

use mutants::{File, Variant};

fn main() {
    let here = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").unwrap());
    let out = PathBuf::from(std::env::var("OUT_DIR").unwrap());
    let files = Files {
        slots: here.join("../src/slots.rs"),
        keep: here.join("../src/keep.rs"),
        ring: here.join("../src/ring.rs"),
        own: here.join("src"),
    };
    for path in [
        &files.slots,
        &files.keep,
        &files.ring,
        &files.own.join("world.rs"),
        &here.join("mutants"),
        &here.join("build.rs"),
    ] {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    let mut modules = String::new();
    for variant in mutants::faults() {
        let original = match variant.file {
            File::Slots => files.slots.clone(),
            File::Keep => files.keep.clone(),
            File::Ring => files.ring.clone(),
            File::World => files.own.join("world.rs"),
        };
        let source = std::fs::read_to_string(original).unwrap();
        let copy = out.join(format!("{}.rs", variant.name));
        std::fs::write(&copy, change(&source, variant)).unwrap();
        write_module(&mut modules, variant, &copy, &files);
    }
    let names: String = mutants::faults().map(|variant| format!("    fault!({});\n", variant.name)).collect();
    writeln!(modules, "mod faults {{\n    use super::*;\n{names}}}").unwrap();
    std::fs::write(out.join("variants.rs"), modules).unwrap();
}

/// The files as they are.
struct Files {
    slots: PathBuf,
    keep: PathBuf,
    ring: PathBuf,
    /// The model's own folder.
    own: PathBuf,
}

/// The source with the variant's changes, each of which must be possible in exactly one place.
fn change(source: &str, variant: &Variant) -> String {
    // The copy is no module of the crate's root, and neither is what it keeps.
    let source = source.replace("use crate::attach::", "use super::attach::");
    variant.changes.iter().fold(source, |source, (from, to)| {
        let places = source.matches(from).count();
        assert_eq!(places, 1, "{}: its file has {places} places with {from:?}: bring mutants up to date", variant.name);
        source.replace(from, to)
    })
}

/// A world and a check of the variant's own, on top of the changed copy.
fn write_module(out: &mut String, variant: &Variant, copy: &Path, files: &Files) {
    let own = |file: &str| files.own.join(file);
    let below: &[(&str, PathBuf)] = match variant.file {
        File::Slots => &[("slots", copy.into()), ("world", own("world.rs"))],
        File::Ring => &[("ring", copy.into())],
        File::World => &[("slots", files.slots.clone()), ("world", copy.into())],
        File::Keep => &[("keep", copy.into()), ("attach", own("attach.rs"))],
    };
    let (subject, check) = variant.check.split_once("::").unwrap();
    writeln!(out, "#[allow(clippy::all, unused)]\nmod {} {{", variant.name).unwrap();
    for (module, path) in below {
        writeln!(out, "    #[path = {:?}]\n    mod {module};", path.to_str().unwrap()).unwrap();
    }
    writeln!(
        out,
        "    mod checks {{
        #[path = {path:?}]
        pub(crate) mod {subject};
    }}
    #[test]
    #[ignore = \"run by the test of the same name, in a process of its own\"]
    fn check() {{ checks::{subject}::{check}() }}
}}",
        path = own(&format!("checks/{subject}.rs")).to_str().unwrap()
    )
    .unwrap();
}
