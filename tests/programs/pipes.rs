//! Video through pipes, byte for byte.

use std::io::Write;
use std::process::Stdio;

use crate::harness::{Piped, TestStream};

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
    let viewer = Piped::start(stream.command("viewer", "--mode every --pipe y4m --quiet --until-closed --patience 60"));
    let mut producer = stream.command("producer", &format!("--source y4m:- --await-viewers 1 {producer}"));
    producer.stdin(Stdio::piped());
    let mut producer = Piped::start(producer);
    let mut input = producer.child.stdin.take().unwrap();
    let sent = video.clone();
    let writer = std::thread::spawn(move || input.write_all(&sent));
    let [viewer, producer] = [viewer, producer].map(Piped::end);
    writer.join().unwrap().unwrap();
    for ended in [&viewer, &producer] {
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    }
    (video, viewer.stdout)
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
