//! The README's recipes, run as they stand there: one that rots fails here.
//!
//! `readme` takes the commands out of README.md, `kitchen` runs them, on streams, in a folder and with a `PATH` of their
//! own. A recipe whose programs are not installed is skipped, and says so.

#[path = "recipes/ffmpeg.rs"]
mod ffmpeg;
#[path = "recipes/gstreamer.rs"]
mod gstreamer;
#[path = "programs/harness.rs"]
#[allow(dead_code)] // the programs' tests have more to do
mod harness;
#[path = "recipes/kitchen.rs"]
mod kitchen;
#[path = "recipes/opencv.rs"]
mod opencv;
#[path = "recipes/readme.rs"]
mod readme;
#[path = "recipes/recordings.rs"]
mod recordings;

use std::collections::BTreeSet;

/// What is tested: the default, as the README has it.
pub fn backend() -> framebus::Backend {
    framebus::Backend::SysV
}

/// The tests that cook.
const COOKS: [&str; 4] = [
    include_str!("recipes/ffmpeg.rs"),
    include_str!("recipes/gstreamer.rs"),
    include_str!("recipes/opencv.rs"),
    include_str!("recipes/recordings.rs"),
];

/// The names of the recipes that tests cook: what stands in quotes behind these words, in lines that are no comments.
fn tried() -> BTreeSet<String> {
    let lines = COOKS.into_iter().flat_map(str::lines).filter(|line| !line.trim_start().starts_with("//"));
    let names = lines.flat_map(|line| {
        let behind = ["cook(\"", "cook_python(\"", "play(\""].into_iter().flat_map(|word| line.split(word).skip(1));
        behind.filter_map(|rest| rest.split('"').next())
    });
    names.map(str::to_owned).collect()
}

#[test]
fn every_recipe_of_the_readme_is_tried() {
    let written = readme::names();
    assert_eq!(written.iter().cloned().collect::<BTreeSet<_>>(), tried());
    assert_eq!(written.len(), tried().len(), "a name stands for one recipe: {written:?}");
    assert!(readme::blocks_without_a_name().is_empty(), "{:?}", readme::blocks_without_a_name());
}
