//! To OpenCV and from it.

use std::process::Command;

use crate::kitchen::{FRAMES, Kitchen, has, well};

fn has_opencv() -> bool {
    let found = Command::new("/usr/bin/python3").args(["-c", "import cv2, numpy"]).output();
    let found = found.is_ok_and(|output| output.status.success());
    if !found {
        eprintln!("skipped: /usr/bin/python3 has no cv2 (Debian: python3-opencv)");
    }
    found
}

#[test]
fn a_script_sees_the_pixels_of_every_frame() {
    if !has_opencv() {
        return;
    }
    let kitchen = Kitchen::new();
    kitchen.stream("camera");
    image::RgbImage::from_pixel(1280, 720, image::Rgb([200, 30, 20])).save(kitchen.path("red.png")).unwrap();
    let camera = kitchen.start("framebus producer --stream lab/camera --source images:red.png --rate 40 --loop");
    let printed = String::from_utf8(well(kitchen.cook_python("opencv-read").end()).stdout).unwrap();
    well(camera.interrupt());
    assert_eq!(printed, "red, green, blue [200.  30.  20.] edges 0.0\n".repeat(FRAMES));
}

#[test]
fn a_script_feeds_a_stream() {
    if !has(&["ffmpeg"]) || !has_opencv() {
        return;
    }
    let kitchen = Kitchen::new();
    kitchen.video();
    let viewer = kitchen.one_frame("opencv");
    let recipe = kitchen.cook_python("opencv-write");
    let frame = well(viewer.end()).stdout;
    assert_eq!(frame.len(), 320 * 240 * 3);
    // Blue, green, red, and what H.264 makes of it.
    let is_red = |pixel: &[u8]| pixel.iter().zip([20, 30, 200]).all(|(found, expected)| found.abs_diff(expected) <= 14);
    assert!(frame.chunks(3).all(is_red), "{:?}", &frame[..3]);
    well(recipe.end());
}
