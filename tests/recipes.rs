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

/// What is tested: the default, as the README has it.
pub fn backend() -> framebus::Backend {
    framebus::Backend::SysV
}

#[test]
fn every_recipe_of_the_readme_is_tried() {
    let tried = [ffmpeg::RECIPES, gstreamer::RECIPES, opencv::RECIPES, recordings::RECIPES].concat();
    let mut tried: Vec<String> = tried.into_iter().map(str::to_owned).collect();
    tried.sort();
    let mut written = readme::names();
    written.sort();
    assert_eq!(written, tried);
    assert!(readme::blocks_without_a_name().is_empty(), "{:?}", readme::blocks_without_a_name());
}
