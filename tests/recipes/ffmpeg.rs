//! To ffmpeg and from it.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::time::Duration;

use framebus::mark;

use crate::kitchen::{FRAMES, Kitchen, has, well};

/// Width, height and number of frames of a video.
pub fn probe(kitchen: &Kitchen, file: &str) -> String {
    let probe =
        "ffprobe -v error -count_frames -select_streams v -show_entries stream=width,height,nb_read_frames -of csv=p=0";
    String::from_utf8(kitchen.run(&format!("{probe} {file}")).stdout).unwrap().trim().to_owned()
}

#[test]
fn a_stream_becomes_an_mp4() {
    if !has(&["ffmpeg", "ffprobe"]) {
        return;
    }
    let kitchen = Kitchen::new();
    let camera = kitchen.camera();
    well(kitchen.cook("record-mp4", &[]).end());
    well(camera.interrupt());
    assert_eq!(probe(&kitchen, "camera.mp4"), format!("1280,720,{FRAMES}"));
}

#[test]
fn a_lossless_video_has_every_byte_of_every_frame() {
    if !has(&["ffmpeg"]) {
        return;
    }
    let kitchen = Kitchen::new();
    let camera = kitchen.camera();
    let said = String::from_utf8(well(kitchen.cook("record-lossless", &[]).end()).stderr).unwrap();
    well(camera.interrupt());
    // What the viewer says is what the recipe does.
    assert!(said.contains("ffmpeg -f rawvideo -pix_fmt rgb24 -s 1280x720 -framerate 40/1 -i -"), "{said}");
    let raw = kitchen.run("ffmpeg -loglevel error -i camera.mkv -f rawvideo -pix_fmt rgb24 -").stdout;
    let frames: Vec<&[u8]> = raw.chunks(1280 * 720 * 3).collect();
    assert_eq!(frames.len(), FRAMES);
    for frame in frames {
        assert!((1..10_000).any(|sequence| mark::verify(frame, sequence).is_ok()), "a frame is not what it was");
    }
}

#[test]
fn a_stream_goes_over_the_network() {
    if !has(&["ffmpeg"]) {
        return;
    }
    let kitchen = Kitchen::new();
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let target = receiver.local_addr().unwrap().to_string();
    let frames = format!("--frames {FRAMES} --pipe y4m");
    let camera = kitchen.camera();
    let recipe = kitchen.cook("stream-udp", &[("192.168.1.20:5000", &target), ("--pipe y4m", &frames)]);
    let mut packet = [0; 65_536];
    let bytes = loop {
        match receiver.recv(&mut packet) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            received => break received.unwrap(),
        }
    };
    // 188 bytes each, and 0x47 in front (ISO 13818-1).
    assert!(bytes > 0 && bytes.is_multiple_of(188), "{bytes} bytes");
    assert!(packet[..bytes].iter().step_by(188).all(|byte| *byte == 0x47));
    well(recipe.end());
    well(camera.interrupt());
}

/// A frame of 320 × 240 i420 of the video's colour (BT.601: Y 84, U 98, V 203, or nearly so).
fn is_red(frame: &[u8]) -> bool {
    let (luma, chroma) = frame.split_at(320 * 240);
    let (u, v) = chroma.split_at(chroma.len() / 2);
    let near = |plane: &[u8], expected: u8| plane.iter().all(|sample| sample.abs_diff(expected) <= 8);
    frame.len() == 320 * 240 * 3 / 2 && near(luma, 84) && near(u, 98) && near(v, 203)
}

fn play(recipe: &str, stream: &str, replace: &[(&str, &str)]) {
    if !has(&["ffmpeg"]) {
        return;
    }
    let kitchen = Kitchen::new();
    kitchen.video();
    let viewer = kitchen.one_frame(stream);
    let recipe = kitchen.cook(recipe, replace);
    let frame = well(viewer.end()).stdout;
    assert!(is_red(&frame), "{} bytes: {:?}", frame.len(), frame.first());
    well(recipe.end());
}

#[test]
fn a_file_becomes_a_stream() {
    play("play-file", "video", &[]);
}

#[test]
fn a_networkcamera_becomes_a_stream() {
    // Nobody is at that address: a file at its own pace stands in.
    play("play-rtsp", "door", &[("-rtsp_transport tcp -i rtsp://192.168.1.30/stream", "-re -i video.mp4")]);
}
