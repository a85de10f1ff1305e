//! The pictures of the README, made by the programs themselves: `docs/pictures/make`.

use framebus::StreamName;

use crate::harness::{Running, framebus};
use crate::page::{Page, quoted};
use crate::server::Server;
use crate::wall::on_card;

/// Whose streams are in the pictures; there must be no others of this name.
const BUS: &str = "rover";

/// Stream, and how it is produced.
const STREAMS: [(&str, &str); 6] = [
    ("front", "--source pattern --width 1280 --height 720 --format rgb8 --rate 30"),
    ("depth", "--source pattern:depth --width 640 --height 360 --format depth_f32 --rate 15"),
    ("thermal", "--source pattern --width 320 --height 256 --format mono16 --rate 9"),
    ("rear", "--source pattern:bars --width 640 --height 480 --format yuyv --rate 25"),
    ("imu", "--source imu --history 64"),
    ("lidar", "--source lidar"),
];

fn name(stream: &str) -> StreamName {
    format!("{BUS}/{stream}").parse().unwrap()
}

fn produce(stream: &str, words: &str, source: Option<&str>) -> Running {
    let mut command = framebus();
    command.args(["producer", "--json", "--stream", &name(stream).to_string()]).args(words.split_whitespace());
    command.args(source.map(|source| ["--source", source]).into_iter().flatten());
    Running::start(command)
}

/// A reader for the tables.
fn read(stream: &str, label: &str) -> Running {
    let mut command = framebus();
    command.args(["viewer", "--quiet", "--stream", &name(stream).to_string(), "--label", label]);
    Running::start(command)
}

#[test]
#[ignore = "makes the pictures of the README: docs/pictures/make"]
fn pictures() {
    let mut running: Vec<Running> = STREAMS.iter().map(|(stream, words)| produce(stream, words, None)).collect();
    // A real one, where there is a video: that of $FRAMEBUS_VIDEO.
    let video = std::env::var("FRAMEBUS_VIDEO").ok();
    if let Some(video) = &video {
        let command = "ffmpeg -loglevel error -re -stream_loop -1 -pix_fmt yuv420p -f yuv4mpegpipe -";
        let source = format!("exec:{}", command.replace("-pix_fmt", &format!("-i '{video}' -pix_fmt")));
        running.push(produce("plaza", "", Some(&source)));
    }
    running.extend([read("front", "perception"), read("front", "recorder"), read("lidar", "safety")]);
    let server = Server::start(BUS);
    let Some(mut page) = Page::open(&server.host, "") else { panic!("pictures need a Chromium") };
    page.size((1440, 880));
    // So long that there is something in the sparklines.
    std::thread::sleep(std::time::Duration::from_secs(40));
    for (stream, _) in STREAMS {
        let badge = quoted(&on_card(&name(stream), ".badge"));
        page.wait_for(&format!("{stream} is live"), &format!("document.querySelector({badge}).innerText == 'Live'"));
    }
    page.screenshot("wall");
    page.visit(&format!("#{}", name(if video.is_some() { "plaza" } else { "front" })));
    page.wait_for("the picture", "document.getElementById('stage').dataset.sequence > 0");
    page.key("h");
    page.point(520.0, 430.0);
    std::thread::sleep(std::time::Duration::from_secs(20));
    page.screenshot("full");
    for process in running {
        process.interrupt();
    }
}
