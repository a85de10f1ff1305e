//! The layout in memory, read from another language by docs/layout.md alone.

use std::io::ErrorKind;
use std::process::Command;
use std::time::Duration;

use framebus::{Content, ImageShape, PixelFormat, Publisher, Rate, Subscriber};
use serde_json::{Value, json};

use crate::harness::{TestStream, options, subscriber_options};

#[test]
fn a_python_program_finds_everything_where_the_document_says() {
    let stream = TestStream::new("layout");
    let shape = ImageShape::with_stride(62, 46, PixelFormat::Bgr8, 192).unwrap();
    let mut settings = options(Content::Image(shape));
    (settings.rate, settings.history, settings.max_held) = (Rate::new(30_000, 1001), 4, 3);
    let mut publisher = Publisher::open(&stream.name, &settings).unwrap();
    let mut reader = subscriber_options();
    reader.label = "reader".to_owned();
    let mut subscriber = Subscriber::attach_with(&stream.name, reader).unwrap();
    let mut bytes = Vec::new();
    for sequence in 1..=6_u8 {
        let mut loan = publisher.loan().unwrap();
        loan.iter_mut().enumerate().for_each(|(at, byte)| *byte = (at as u8).wrapping_mul(sequence));
        loan.user_mut()[..4].copy_from_slice(b"pose");
        bytes = loan.to_vec();
        loan.publish();
        // Far enough apart to be measured; the fifth is skipped.
        std::thread::sleep(Duration::from_millis(1));
        if sequence != 5 {
            drop(subscriber.latest().unwrap());
        }
    }
    publisher.count_late(2, Duration::from_millis(3));

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/programs/layout.py");
    let output = match Command::new("python3").arg(script).arg(stream.name.to_string()).output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!("skipped: there is no python3");
            return;
        }
        output => output.unwrap(),
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let geometry = publisher.geometry();
    let expected = json!({
        "magic": "FRAMEBUS", "version": 2, "order": 0x0102_0304, "total": geometry.frames_bytes(),
        "name": stream.name.to_string(), "slots": 4 + 1 + 8 * 3, "history": 4, "places": 8, "pins": 3,
        "capacity": shape.frame_bytes(), "content": 1, "flags": 2, "rate": [30_000, 1001], "shape": [62, 46, 4, 192],
        "state": 2, "sequence": 6, "generation": 12, "info_sequence": 6, "info_shape": [62, 46, 192, 4],
        "user": "pose", "window_entry": true, "crc": crc32(&bytes), "len": shape.frame_bytes(), "places_id": true,
        "places_magic": "FRAMEPLC", "places_count": 8, "cookie": true, "seen": 5, "label": "reader",
        "ages": 5, "in_bounds": true, "told": [[6, 1, std::process::id()], [3, 6, 3_000_000]], "own": [[16, 5, 1]],
    });
    assert_eq!(found, expected);
}

/// CRC-32 as zlib has it, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let bit = |sum: u32, _| (sum >> 1) ^ if sum & 1 == 1 { 0xEDB8_8320 } else { 0 };
    !bytes.iter().fold(u32::MAX, |sum, &byte| (0..8).fold(sum ^ u32::from(byte), bit))
}
