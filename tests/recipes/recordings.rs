//! Recordings, and playing them.

use std::fs;

use crate::kitchen::{FRAMES, Kitchen, well};

#[test]
fn a_recording_is_played() {
    let kitchen = Kitchen::new();
    let camera = kitchen.camera();
    let viewer = kitchen.one_frame("again");
    // It would play for ever.
    let recipe = kitchen.cook("record-and-play", &[(" --loop", "")]);
    let frame = well(viewer.end()).stdout;
    well(recipe.end());
    well(camera.interrupt());
    let index = fs::read_to_string(kitchen.path("shots/camera.csv")).unwrap();
    let files: Vec<&str> = index.lines().skip(1).map(|row| row.split(',').next().unwrap()).collect();
    assert_eq!(files.len(), FRAMES);
    let pixels = |file: &&str| image::open(kitchen.path("shots").join(file)).unwrap().into_rgb8().into_raw();
    assert!(files.iter().any(|file| pixels(file) == frame), "what is played was recorded");
}

/// Frames that are all different, through the bus, into files, and through the bus again.
fn round_trip(format: &str, frame_bytes: usize, kind: &str) {
    let kitchen = Kitchen::new();
    let (recorded, played) = (kitchen.stream("first"), kitchen.stream("second"));
    let mut state = 1_u32;
    let noise = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let bytes: Vec<u8> = (0..12 * frame_bytes).map(noise).collect();
    fs::write(kitchen.path("frames.raw"), &bytes).unwrap();
    let shape = format!("--width 62 --height 46 --format {format}");
    let lossless = "--unpaced --on-full wait --wait-ms 20000 --history 2 --await-viewers 1";

    let record =
        format!("framebus viewer --stream {recorded} --mode every --until-closed --record shots --record-kind {kind}");
    let viewer = kitchen.start(&record);
    kitchen.run(&format!("framebus producer --stream {recorded} --source raw:frames.raw {shape} {lossless}"));
    well(viewer.end());

    let viewer = kitchen.start(&format!("framebus viewer --stream {played} --mode every --until-closed --pipe raw"));
    let source = match kind {
        "raw" => format!("raw:shots/first-0000000001.raw {shape}"),
        // It is found out what they are.
        _ => "images:shots".to_owned(),
    };
    // The producer waits for the viewer, and the viewer for who reads what it writes.
    let producer = kitchen.start(&format!("framebus producer --stream {played} --source {source} {lossless}"));
    let arrived = well(viewer.end()).stdout;
    well(producer.end());
    assert_eq!(arrived.len(), bytes.len());
    assert!(arrived == bytes, "the bytes differ");
}

#[test]
fn png_files_of_rgb8_are_played_byte_for_byte() {
    round_trip("rgb8", 62 * 46 * 3, "png");
}

#[test]
fn png_files_of_mono8_are_played_byte_for_byte() {
    round_trip("mono8", 62 * 46, "png");
}

#[test]
fn png_files_of_mono16_are_played_byte_for_byte() {
    round_trip("mono16", 62 * 46 * 2, "png");
}

#[test]
fn raw_files_of_any_format_are_played_byte_for_byte() {
    round_trip("bayer_grbg16", 62 * 46 * 2, "raw");
}
