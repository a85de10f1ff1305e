//! Makes the changed copies of slots.rs that `mutants.rs` lists.

use std::fmt::Write;
use std::path::{Path, PathBuf};

#[path = "mutants.rs"]
mod mutants;

use mutants::{DEATHS, FAULTS, Variant};

fn main() {
    let here = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").unwrap());
    let out = PathBuf::from(std::env::var("OUT_DIR").unwrap());
    let original = here.join("../src/slots.rs");
    println!("cargo::rerun-if-changed={}", original.display());
    println!("cargo::rerun-if-changed=mutants.rs");
    println!("cargo::rerun-if-changed=build.rs");
    let source = std::fs::read_to_string(&original).unwrap();
    let mut modules = String::new();
    for (kind, variants) in [("faults", FAULTS), ("deaths", DEATHS)] {
        for variant in variants {
            let copy = out.join(format!("{}.rs", variant.name));
            std::fs::write(&copy, change(&source, variant)).unwrap();
            write_module(&mut modules, variant, &copy, &here.join("src"));
        }
        let names: String = variants.iter().map(|variant| format!("    {kind}!({});\n", variant.name)).collect();
        writeln!(modules, "mod {kind} {{\n    use super::*;\n{names}}}").unwrap();
    }
    std::fs::write(out.join("variants.rs"), modules).unwrap();
}

/// The source with the variant's changes, each of which must be possible in exactly one place.
fn change(source: &str, variant: &Variant) -> String {
    variant.changes.iter().fold(source.to_owned(), |source, (from, to)| {
        let places = source.matches(from).count();
        assert_eq!(
            places, 1,
            "{}: slots.rs has {places} places with {from:?}: bring mutants.rs up to date",
            variant.name
        );
        source.replace(from, to)
    })
}

/// A copy of the world and the checks on top of the changed copy of slots.rs.
fn write_module(out: &mut String, variant: &Variant, slots: &Path, source: &Path) {
    let (name, check) = (variant.name, variant.check);
    let (slots, world, checks) = (slots.display(), source.join("world.rs"), source.join("checks.rs"));
    writeln!(
        out,
        "#[allow(clippy::all)]
mod {name} {{
    #[path = {slots:?}]
    mod slots;
    #[path = {world:?}]
    mod world;
    #[path = {checks:?}]
    mod checks;
    #[test]
    #[ignore = \"run by the test of the same name, in a process of its own\"]
    fn check() {{ checks::{check}() }}
}}",
        slots = slots.to_string()
    )
    .unwrap();
}
