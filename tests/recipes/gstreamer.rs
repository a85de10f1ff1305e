//! To GStreamer and from it.

use std::process::{Command, Stdio};

use crate::ffmpeg::probe;
use crate::kitchen::{FRAMES, Kitchen, has, well};

/// Whether GStreamer has these elements; says it where not.
fn has_elements(elements: &[&str]) -> bool {
    let missing = |element: &&&str| {
        let mut inspect = Command::new("gst-inspect-1.0");
        !inspect.arg(element).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    let missing: Vec<&&str> = elements.iter().filter(missing).collect();
    if !missing.is_empty() {
        eprintln!("skipped: GStreamer has no {missing:?}");
    }
    missing.is_empty()
}

#[test]
fn a_pipeline_feeds_a_stream() {
    if !has(&["gst-launch-1.0"]) || !has_elements(&["videotestsrc", "y4menc", "fdsink"]) {
        return;
    }
    let kitchen = Kitchen::new();
    let viewer = kitchen.one_frame("gst");
    let recipe = kitchen.cook("gstreamer-in", &[]);
    let frame = well(viewer.end()).stdout;
    assert_eq!(frame.len(), 640 * 480 * 3 / 2);
    // The first bar is white: Y 235, U 128, V 128.
    assert!(frame[0].abs_diff(235) <= 2 && frame[640 * 480].abs_diff(128) <= 2, "{} {}", frame[0], frame[640 * 480]);
    well(recipe.end());
}

#[test]
fn a_pipeline_feeds_a_stream_of_16_bits() {
    if !has(&["gst-launch-1.0"]) || !has_elements(&["videotestsrc", "fdsink"]) || cfg!(target_endian = "big") {
        return;
    }
    let kitchen = Kitchen::new();
    let viewer = kitchen.one_frame("deep");
    let recipe = kitchen.cook("gstreamer-in-raw", &[]);
    let frame = well(viewer.end()).stdout;
    assert_eq!(frame.len(), 640 * 480 * 2);
    // The first bar is white, in limited range. (GStreamer makes each sample of 8 bits twice: their order does not show.)
    let first = u16::from_ne_bytes([frame[0], frame[1]]);
    assert!((0xE900..0xEE00).contains(&first), "{first:#x}");
    well(recipe.end());
}

#[test]
fn a_pipeline_takes_a_stream() {
    let elements = ["fdsrc", "rawvideoparse", "videoconvert", "jpegenc", "avimux", "filesink"];
    if !has(&["gst-launch-1.0", "ffprobe"]) || !has_elements(&elements) {
        return;
    }
    let kitchen = Kitchen::new();
    let camera = kitchen.camera();
    well(kitchen.cook("gstreamer-out", &[]).end());
    well(camera.interrupt());
    assert_eq!(probe(&kitchen, "camera.avi"), format!("1280,720,{FRAMES}"));
}
