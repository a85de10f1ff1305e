//! Video through pipes, byte for byte.

use std::io::{Read, Write};
use std::process::Stdio;

use crate::harness::TestStream;

const HEADER: &str = "YUV4MPEG2 W62 H46 F30000:1001 Ip A0:0 C420jpeg\n";
const FRAME_BYTES: usize = 62 * 46 * 3 / 2;

/// A video of frames that are all different.
pub fn video(frames: usize) -> Vec<u8> {
    let mut bytes = HEADER.as_bytes().to_vec();
    let mut state = 1_u32;
    for _ in 0..frames {
        bytes.extend(b"FRAME\n");
        bytes.extend((0..FRAME_BYTES).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        }));
    }
    bytes
}

fn through_the_bus(producer: &str) -> (Vec<u8>, Vec<u8>) {
    let video = video(120);
    let stream = TestStream::new("y4m");
    let mut viewer = stream.command("viewer", "--mode every --pipe y4m --quiet --until-closed");
    let mut viewer = viewer.stdout(Stdio::piped()).spawn().unwrap();
    let mut producer = stream.command("producer", &format!("--source y4m:- --await-viewers 1 {producer}"));
    let mut producer = producer.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut input = producer.stdin.take().unwrap();
    let sent = video.clone();
    let writer = std::thread::spawn(move || input.write_all(&sent));
    let mut arrived = Vec::new();
    viewer.stdout.take().unwrap().read_to_end(&mut arrived).unwrap();
    writer.join().unwrap().unwrap();
    assert!(viewer.wait().unwrap().success());
    assert!(producer.wait().unwrap().success());
    (video, arrived)
}

#[test]
fn a_video_arrives_byte_for_byte_where_the_publisher_waits() {
    let (sent, arrived) = through_the_bus("--unpaced --on-full wait --wait-ms 20000 --history 2");
    assert_eq!(arrived.len(), sent.len());
    assert!(arrived == sent, "the bytes differ");
}

#[test]
fn a_video_arrives_byte_for_byte_where_the_history_is_deep() {
    let (sent, arrived) = through_the_bus("--history 120 --rate 1000");
    // The rate is the producer's own here.
    let body = |bytes: &[u8]| bytes[bytes.iter().position(|&byte| byte == b'\n').unwrap()..].to_vec();
    let (arrived, sent) = (body(&arrived), body(&sent));
    assert_eq!(arrived.len(), sent.len());
    assert!(arrived == sent, "the bytes differ");
}
