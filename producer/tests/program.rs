//! The program itself, as a process: what it publishes, what it says, and how it ends.

mod support;

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use framebus::sensors::{Imu, LaserScan};
use framebus::{
    AttachError, ImageShape, PixelFormat, Record, RecordSubscriber, StreamName, Subscriber, SubscriberOptions, mark,
};
use support::{Producer, WATCHDOG, attach, next, stream, until};

fn assert_removed(name: &StreamName) {
    let found = Subscriber::attach(name).map(|_| ());
    assert!(matches!(found, Err(AttachError::NotFound { .. })), "{found:?}");
}

/// What the kernel and the stream itself say of it.
fn status(name: &StreamName) -> framebus::StreamStatus {
    let streams = framebus::list(&framebus::Backend::SysV).unwrap();
    streams.into_iter().find(|stream| stream.name == *name).unwrap()
}

const WIDTH: usize = 64;
const HEIGHT: usize = 48;
const I420_BYTES: usize = WIDTH * HEIGHT * 3 / 2;
const SMALL: [&str; 6] = ["--width", "64", "--height", "48", "--format", "rgb8"];
const HEADER: &[u8] = b"YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C420jpeg\n";

/// The bytes of frame `number`, of which no two are alike.
fn payload(number: u32, bytes: usize) -> Vec<u8> {
    (0..bytes as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8 ^ number as u8).collect()
}

#[test]
fn the_pattern_is_published_and_told_in_json() {
    let name = stream("pattern");
    let text = name.to_string();
    let mut arguments = vec!["--stream", &text, "--rate", "100", "--frames", "50", "--json", "--interval", "0.1"];
    arguments.extend(SMALL);
    let producer = Producer::start(&arguments);
    let mut viewer = attach(&name, false);
    let frame = next(&mut viewer);
    assert_eq!(mark::verify(&frame, frame.info().sequence), Ok(()));
    assert!(frame.info().capture_ns <= frame.info().publish_ns && frame.info().capture_ns > 0);
    assert_eq!(viewer.rate().unwrap().hz(), 100.0);
    drop(frame);
    let outcome = producer.outcome(false);
    assert!(outcome.status.success(), "{}", outcome.errors);
    let lines: Vec<serde_json::Value> = outcome.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (summary, intervals) = lines.split_last().unwrap();
    for key in ["stream", "published", "drops", "late", "abandoned", "rate_hz"] {
        assert!(!summary[key].is_null(), "{key} of {summary}");
        assert!(intervals.iter().all(|interval| !interval[key].is_null()));
    }
    assert_eq!(
        (&summary["kind"], &summary["published"], &summary["drops"]),
        (&"summary".into(), &50.into(), &0.into())
    );
    assert_eq!((&summary["first_sequence"], &summary["last_sequence"]), (&1.into(), &50.into()));
    assert!(!intervals.is_empty() && intervals.iter().all(|interval| interval["kind"] == "interval"));
    assert_removed(&name);
}

#[test]
fn what_is_drawn_is_captured_at_its_deadline_and_published_behind_it() {
    let name = stream("tick");
    let text = name.to_string();
    let mut arguments = vec!["--stream", &text, "--rate", "50", "--history", "8"];
    arguments.extend(SMALL);
    let producer = Producer::start(&arguments);
    let mut viewer = attach(&name, false);
    let (begun, mut before, mut exact) = (Instant::now(), 0, 0);
    // A frame that was begun too late, on a busy machine, is captured when it was begun; most are not.
    while exact < 20 {
        assert!(begun.elapsed() < WATCHDOG, "only {exact} frames are a period behind the one before");
        let frame = next(&mut viewer);
        let info = frame.info();
        assert!(info.capture_ns <= info.publish_ns);
        // The mark has the same sequence and time.
        assert_eq!(mark::verify(&frame, info.sequence), Ok(()));
        assert_eq!(frame[16..24], info.capture_ns.to_ne_bytes());
        exact += usize::from(info.capture_ns == before + 20_000_000);
        before = info.capture_ns;
    }
    producer.interrupt();
    assert!(producer.outcome(false).status.success());
    assert_removed(&name);
}

#[test]
fn a_frame_that_is_ready_when_the_run_ends_counts_as_nothing() {
    let name = stream("ready");
    let text = name.to_string();
    // Frames are begun a millisecond ahead at least: at this rate there is always one.
    let mut arguments = vec!["--stream", &text, "--rate", "900", "--json", "--persist"];
    arguments.extend(SMALL);
    let producer = Producer::start(&arguments);
    next(&mut attach(&name, false));
    producer.interrupt();
    let outcome = producer.outcome(false);
    // What it leaves tells what the stream itself has counted.
    let left = status(&name);
    framebus::remove(&framebus::Backend::SysV, &name, false).unwrap();
    assert!(outcome.status.success(), "{}", outcome.errors);
    let summary = outcome.summary();
    assert_eq!((summary.abandoned, summary.drops, summary.last_sequence), (0, 0, Some(summary.published)));
    assert_eq!((left.counters.abandoned, left.last_sequence), (0, summary.published));
}

#[test]
fn what_is_drawn_while_no_slot_is_free_is_dropped_and_goes_on_with_the_next_number() {
    let name = stream("full");
    let text = name.to_string();
    let mut arguments = vec!["--stream", &text, "--rate", "200", "--slots", "3", "--json"];
    arguments.extend(SMALL);
    let producer = Producer::start(&arguments);
    let mut viewer = attach(&name, false);
    let held = [next(&mut viewer), next(&mut viewer)];
    until("a frame is refused", || status(&name).counters.refused > 2);
    let last = status(&name).last_sequence;
    drop(held);
    until("frames come again", || status(&name).last_sequence > last + 2);
    producer.interrupt();
    let outcome = producer.outcome(false);
    assert!(outcome.status.success(), "{}", outcome.errors);
    let summary = outcome.summary();
    assert!(summary.drops > 2 && summary.abandoned == 0, "{summary:?}");
    assert_eq!((summary.first_sequence, summary.last_sequence), (Some(1), Some(summary.published)));
}

#[test]
fn scenes_are_published_in_the_streams_format() {
    for (scene, format) in [("depth", "depth_f32"), ("ramp", "mono16"), ("edges", "nv12"), ("noise", "bayer_rggb8")] {
        let name = stream(scene);
        let (text, source) = (name.to_string(), format!("pattern:{scene}"));
        let mut arguments = vec!["--stream", &text, "--source", &source, "--await-viewers", "1", "--frames", "3"];
        arguments.extend(["--width", "64", "--height", "48", "--format", format, "--json"]);
        let producer = Producer::start(&arguments);
        let frame = next(&mut attach(&name, false));
        assert_eq!(mark::verify(&frame, frame.info().sequence), Ok(()), "{scene}");
        assert_eq!(frame.image().unwrap().shape().format().name(), format);
        drop(frame);
        let outcome = producer.outcome(false);
        assert_eq!((outcome.summary().published, outcome.summary().source), (3, source.clone()), "{}", outcome.errors);
    }
    let outcome = Producer::start(&["--source", "pattern:smpte"]).outcome(true);
    assert_eq!(outcome.status.code(), Some(2));
    assert!(outcome.error().contains("is no scene of the pattern: expected one of card, bars"), "{}", outcome.errors);
}

/// The first record of a source on a stream that stands in no config; its rate, and how many were published.
fn first_record<T: Record + Copy>(source: &str) -> (T, f64, u64) {
    let name = stream(source.split(':').next().unwrap());
    let text = name.to_string();
    let arguments = ["--stream", &text, "--source", source, "--await-viewers", "1", "--frames", "2", "--json"];
    let producer = Producer::start(&arguments);
    let mut options = SubscriberOptions::default();
    options.patience = WATCHDOG;
    let mut records = RecordSubscriber::<T>::attach_with(&name, options).unwrap();
    let rate_hz = records.subscriber().rate().unwrap().hz();
    assert!(records.wait(Instant::now() + WATCHDOG).unwrap(), "no record comes");
    let record = *records.latest().unwrap().unwrap();
    let outcome = producer.outcome(false);
    assert!(outcome.status.success(), "{}", outcome.errors);
    assert_removed(&name);
    (record, rate_hz, outcome.summary().published)
}

#[test]
fn synthetic_sensors_publish_the_records_of_the_library() {
    let (imu, rate_hz, published) = first_record::<Imu>("imu");
    assert_eq!((rate_hz, published), (200.0, 2));
    let acceleration = imu.linear_acceleration_m_s2.iter().map(|part| part * part).sum::<f32>().sqrt();
    assert!((8.0..12.0).contains(&acceleration), "{imu:?}");
    let (scan, rate_hz, published) = first_record::<LaserScan>("lidar:360");
    assert_eq!((rate_hz, published, scan.ranges_m().len()), (10.0, 2, 360));
    assert!(scan.ranges_m().iter().any(|range| (1.0..8.0).contains(range)));
}

#[test]
fn a_config_names_the_type_of_a_sensors_records_and_another_one_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (file, name) = (directory.path().join("robot.toml"), stream("sensors"));
    let streams = "[streams.imu]\ntype = \"framebus.Imu\"\nrate_hz = 500\nhistory = 64\n\
                   [streams.scan]\ntype = \"framebus.LaserScan\"\n\
                   [streams.front]\nwidth = 64\nheight = 48\nformat = \"mono8\"\n";
    std::fs::write(&file, format!("[bus]\nname = \"{}\"\n{streams}", name.bus())).unwrap();
    let run = |stream: &str, more: &[&str]| {
        let path = file.to_str().unwrap();
        let mut arguments = vec!["--config", path, "--stream", stream, "--source", "imu", "--frames", "2", "--json"];
        arguments.extend(more);
        Producer::start(&arguments).outcome(true)
    };
    let outcome = run("imu", &[]);
    assert!(outcome.status.success() && outcome.errors.contains("at 500 Hz"), "{}", outcome.errors);
    assert_eq!(outcome.summary().published, 2);
    for (stream, more, expected) in [
        ("scan", &[][..], "it carries records framebus.LaserScan in"),
        ("front", &[], "it carries images of 64 × 48 mono8 in"),
        ("imu", &["--width", "64"], "the source imu publishes records framebus.Imu of 40 bytes; leave out --width"),
    ] {
        let outcome = run(stream, more);
        assert_eq!(outcome.status.code(), Some(2), "{stream}");
        assert!(outcome.error().contains(expected), "{}", outcome.errors);
    }
}

#[test]
fn a_y4m_pipe_comes_out_byte_for_byte_however_slow_the_reader() {
    let name = stream("y4m");
    let text = name.to_string();
    let arguments = [
        "--stream",
        &text,
        "--source",
        "y4m:-",
        "--on-full",
        "wait",
        "--wait-ms",
        "20",
        "--on-stuck",
        "refuse",
        "--unpaced",
        "--json",
    ];
    let mut producer = Producer::start(&arguments);
    producer.write(HEADER);
    let mut viewer = attach(&name, true);
    let shape = ImageShape::new(WIDTH as u32, HEIGHT as u32, PixelFormat::I420).unwrap();
    assert_eq!(viewer.content(), &framebus::Content::Image(shape));
    assert_eq!(viewer.rate().unwrap().hz(), 25.0);
    const FRAMES: u32 = 200;
    let mut pipe = producer.0.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        for number in 1..=FRAMES {
            // Parameters behind FRAME are allowed.
            pipe.write_all(if number % 2 == 0 { b"FRAME\n" } else { b"FRAME Ixyz Xcomment\n" }).unwrap();
            pipe.write_all(&payload(number, I420_BYTES)).unwrap();
        }
    });
    let mut kept = None;
    for number in 1..=FRAMES {
        if number == 3 {
            until("the producer's patience is over", || status(&name).counters.refused > 0);
        }
        let frame = next(&mut viewer);
        assert_eq!(frame.info().sequence, u64::from(number));
        assert!(*frame == payload(number, I420_BYTES), "frame {number} differs");
        // A reader that holds a frame meanwhile changes nothing.
        kept = Some(frame);
    }
    writer.join().unwrap();
    let outcome = producer.outcome(true);
    drop(kept);
    let summary = outcome.summary();
    assert!(outcome.status.success(), "{}", outcome.errors);
    assert_eq!((summary.published, summary.drops, summary.abandoned), (u64::from(FRAMES), 0, 0));
}

#[test]
fn a_y4m_pipe_in_which_another_video_begins_changes_the_stream() {
    let name = stream("y4m-change");
    let text = name.to_string();
    let arguments = ["--stream", &text, "--source", "y4m:-", "--on-full", "wait", "--unpaced", "--json"];
    let mut producer = Producer::start(&arguments);
    let header = |width: usize| format!("YUV4MPEG2 W{width} H2 F25:1 Cmono\n").into_bytes();
    producer.write(&header(8));
    let mut viewer = attach(&name, true);
    for (width, frames) in [(8, 2), (16, 2), (4, 1)] {
        if width != 8 {
            producer.write(&header(width));
        }
        for _ in 0..frames {
            producer.write(&[b"FRAME\n", vec![width as u8; width * 2].as_slice()].concat());
        }
    }
    for (number, width) in [8, 8, 16, 16, 4].into_iter().enumerate() {
        let frame = next(&mut viewer);
        assert_eq!((frame.info().sequence, frame.info().width), (number as u64 + 1, width));
        assert_eq!(*frame, vec![width as u8; width as usize * 2]);
    }
    let outcome = producer.outcome(true);
    assert!(outcome.status.success(), "{}", outcome.errors);
    assert_eq!((outcome.summary().published, viewer.epoch()), (5, 1), "going back to less takes no new epoch");
}

#[test]
fn a_file_that_starts_over_begins_with_its_first_size_again() {
    let name = stream("y4m-loop");
    let text = name.to_string();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    for width in [8, 16] {
        let video = format!("YUV4MPEG2 W{width} H2 F25:1 Cmono\nFRAME\n{}", "x".repeat(width * 2));
        file.write_all(video.as_bytes()).unwrap();
    }
    let source = format!("y4m:{}", file.path().display());
    let arguments = ["--stream", &text, "--source", &source, "--loop", "--on-full", "wait", "--await-viewers", "1"];
    let producer = Producer::start(&[&arguments[..], &["--rate", "500", "--frames", "6"]].concat());
    let mut viewer = attach(&name, true);
    for width in [8, 16, 8, 16, 8, 16] {
        let frame = next(&mut viewer);
        assert_eq!((frame.info().width, frame.len()), (width, width as usize * 2));
    }
    assert!(producer.outcome(false).status.success());
}

#[test]
fn sizes_are_for_the_pattern_of_images() {
    for (source, expected) in [("imu", "the source has sizes of its own"), ("pattern", "frames have 1 bytes")] {
        let name = stream("sizes").to_string();
        let arguments =
            ["--stream", &name, "--source", source, "--sizes", "64x48,1x1", "--width", "8", "--height", "8"];
        let arguments = if source == "imu" { &arguments[..6] } else { &arguments[..] };
        let format: &[&str] = if source == "imu" { &[] } else { &["--format", "mono8"] };
        let outcome = Producer::start(&[arguments, format].concat()).outcome(true);
        assert_eq!(outcome.status.code(), Some(2), "{}", outcome.errors);
        assert!(outcome.error().contains(expected), "{}", outcome.errors);
    }
}

#[test]
fn a_stream_that_waits_for_its_readers_waits_for_them_at_its_end_too() {
    let name = stream("end");
    let text = name.to_string();
    let mut arguments = vec!["--stream", &text, "--source", "raw:-", "--unpaced", "--history", "4", "--json"];
    arguments.extend([
        "--on-full",
        "wait",
        "--wait-ms",
        "30000",
        "--width",
        "64",
        "--height",
        "48",
        "--format",
        "mono8",
    ]);
    let mut producer = Producer::start(&arguments);
    let mut viewer = attach(&name, true);
    producer.write(&payload(1, WIDTH * HEIGHT));
    assert_eq!(next(&mut viewer).info().sequence, 1);
    for number in 2..=5 {
        producer.write(&payload(number, WIDTH * HEIGHT));
    }
    until("all frames are published", || status(&name).last_sequence == 5);
    drop(producer.0.stdin.take());
    // Time enough to end, for a producer that does not wait; one that does is not disturbed by it.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(100) && producer.0.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    for number in 2..=5 {
        assert_eq!(next(&mut viewer).info().sequence, number);
    }
    let outcome = producer.outcome(false);
    assert!(outcome.status.success(), "{}", outcome.errors);
    assert_eq!((outcome.summary().published, outcome.summary().drops), (5, 0));
    assert_removed(&name);
}

#[test]
fn a_frame_that_is_cut_off_is_never_published() {
    let name = stream("short");
    let text = name.to_string();
    let mut producer = Producer::start(&["--stream", &text, "--source", "y4m:-", "--json", "--persist"]);
    producer.write(HEADER);
    for part in [I420_BYTES, 100] {
        producer.write(b"FRAME\n");
        producer.write(&payload(1, part));
    }
    let outcome = producer.outcome(true);
    assert_eq!(outcome.status.code(), Some(1));
    assert_eq!(
        outcome.error(),
        "error: frame 2 of y4m:- is cut off: found 100 bytes, expected 4608; it was not published"
    );
    let summary = outcome.summary();
    assert_eq!((summary.published, summary.abandoned, summary.last_sequence), (1, 1, Some(1)));
    assert_eq!(attach(&name, false).latest().unwrap().unwrap().info().sequence, 1);
    // The next producer takes over what was left there, goes on, and ends it.
    let mut arguments = vec!["--stream", &text, "--frames", "3", "--json"];
    arguments.extend(["--width", "64", "--height", "48", "--format", "i420"]);
    let outcome = Producer::start(&arguments).outcome(true);
    assert_eq!((outcome.summary().first_sequence, outcome.summary().last_sequence), (Some(2), Some(4)));
    assert_removed(&name);
}

#[test]
fn a_source_that_does_not_fit_the_stream_is_refused_with_both_shapes() {
    let name = stream("wrong");
    let text = name.to_string();
    let mut arguments = vec!["--stream", &text, "--source", "y4m:-"];
    arguments.extend(SMALL);
    let mut producer = Producer::start(&arguments);
    producer.write(HEADER);
    let outcome = producer.outcome(true);
    assert_eq!(outcome.status.code(), Some(2));
    assert_eq!(
        outcome.error(),
        format!(
            "error: can not publish y4m:- on stream {name}: the video is 64 × 48 i420, the stream 64 × 48 rgb8; convert \
             the video, change the config, or give --width 64 --height 48 --format i420"
        )
    );
    assert_removed(&name);
}

#[test]
fn a_config_names_the_streams_and_a_wrong_one_is_exit_code_2() {
    let directory = tempfile::tempdir().unwrap();
    let (file, name) = (directory.path().join("robot.toml"), stream("config"));
    let two = "width = 64\nheight = 48\nformat = \"mono8\"\nrate_hz = 200\n";
    let config = format!("[bus]\nname = \"{}\"\n[streams.front]\n{two}[streams.rear]\n{two}", name.bus());
    std::fs::write(&file, config).unwrap();
    let path = file.to_str().unwrap();
    let outcome = Producer::start(&["--config", path]).outcome(true);
    assert_eq!(outcome.status.code(), Some(2));
    assert!(outcome.error().ends_with("has front, rear; give --stream NAME"), "{}", outcome.errors);
    let outcome = Producer::start(&["--config", path, "--stream", "rear", "--frames", "2", "--json"]).outcome(true);
    assert_eq!(outcome.summary().stream, format!("{}/rear", name.bus()));
    assert_eq!(Producer::start(&["--config", "/nonexistent.toml"]).outcome(true).status.code(), Some(2));
    assert_eq!(Producer::start(&["--source", "webcam"]).outcome(true).status.code(), Some(2));
    let missing = Producer::start(&["--stream", "front", "--config", path, "--source", "y4m:/nonexistent.y4m"]);
    let missing = missing.outcome(true);
    assert_eq!(missing.status.code(), Some(1));
    assert_eq!(missing.error(), "error: can not open y4m:/nonexistent.y4m: No such file or directory (os error 2)");
}

#[test]
fn an_interrupt_during_a_blocked_read_ends_the_stream_cleanly() {
    // Between two frames, and in the midst of one.
    for part in [0, 17] {
        let name = stream(&format!("interrupt{part}"));
        let text = name.to_string();
        let mut producer = Producer::start(&["--stream", &text, "--source", "y4m:-", "--json"]);
        producer.write(HEADER);
        producer.write(b"FRAME\n");
        producer.write(&payload(1, I420_BYTES));
        if part > 0 {
            producer.write(b"FRAME\n");
            producer.write(&payload(2, part));
        }
        // Its standard input stays open all the while.
        let mut viewer = attach(&name, false);
        assert_eq!(next(&mut viewer).info().sequence, 1);
        producer.interrupt();
        let outcome = producer.outcome(false);
        assert!(outcome.status.success(), "{}", outcome.errors);
        assert_eq!((outcome.summary().published, outcome.summary().drops), (1, 0));
        assert_removed(&name);
    }
}

#[test]
fn frames_for_which_no_slot_is_free_are_consumed_and_counted() {
    let name = stream("drops");
    let text = name.to_string();
    let mut arguments = vec!["--stream", &text, "--source", "raw:-", "--unpaced", "--slots", "3", "--json"];
    arguments.extend(["--width", "64", "--height", "48", "--format", "mono8"]);
    let mut producer = Producer::start(&arguments);
    let mut viewer = attach(&name, false);
    let mut held = Vec::new();
    for number in 1..=2 {
        producer.write(&payload(number, WIDTH * HEIGHT));
        held.push(next(&mut viewer));
    }
    for number in 3..=10 {
        producer.write(&payload(number, WIDTH * HEIGHT));
    }
    let outcome = producer.outcome(true);
    assert!(outcome.status.success(), "{}", outcome.errors);
    // The third slot takes frame 3; then that is the latest, and the other two are held.
    assert_eq!((outcome.summary().published, outcome.summary().drops), (3, 7));
    assert!(outcome.errors.contains("no slot of stream"), "{}", outcome.errors);
    for (number, frame) in held.iter().enumerate() {
        assert!(**frame == payload(number as u32 + 1, WIDTH * HEIGHT));
    }
}

#[test]
fn files_and_images_start_over_when_asked_to() {
    let directory = tempfile::tempdir().unwrap();
    let video = directory.path().join("two.y4m");
    let frames = [1, 2].map(|number| [b"FRAME\n".as_slice(), &payload(number, I420_BYTES)].concat()).concat();
    std::fs::write(&video, [HEADER, &frames].concat()).unwrap();
    let raw = directory.path().join("two.raw");
    std::fs::write(&raw, payload(1, 2 * I420_BYTES)).unwrap();
    let picture = directory.path().join("one.png");
    image::RgbImage::new(64, 48).save(&picture).unwrap();
    let animation = directory.path().join("two.gif");
    let mut encoder = image::codecs::gif::GifEncoder::new(std::fs::File::create(&animation).unwrap());
    (0..2).for_each(|_| encoder.encode_frame(image::Frame::new(image::RgbaImage::new(64, 48))).unwrap());
    drop(encoder);
    let sources = [
        format!("y4m:{}", video.display()),
        format!("raw:{}", raw.display()),
        format!("images:{}", directory.path().display()),
        format!("gif:{}", animation.display()),
    ];
    for (index, source) in sources.iter().enumerate() {
        let text = stream(&format!("loop{index}")).to_string();
        let mut arguments =
            vec!["--stream", &text, "--source", source, "--unpaced", "--json", "--frames", "7", "--loop"];
        if index == 1 {
            arguments.extend(["--width", "64", "--height", "48", "--format", "i420"]);
        }
        let outcome = Producer::start(&arguments).outcome(true);
        assert!(outcome.status.success(), "{source}: {}", outcome.errors);
        assert_eq!(outcome.summary().published, 7, "{source}");
    }
    let text = stream("loop").to_string();
    let mut producer = Producer::start(&["--stream", &text, "--source", "y4m:-", "--loop"]);
    producer.write(HEADER);
    assert_eq!(
        producer.outcome(true).error(),
        "error: can not start y4m:- over (--loop): it is a pipe, expected a file; leave out --loop"
    );
}

#[test]
fn a_reader_of_the_json_that_goes_away_is_no_failure() {
    let name = stream("closed");
    let text = name.to_string();
    let mut arguments = vec!["--stream", &text, "--json", "--interval", "0.01"];
    arguments.extend(SMALL);
    let mut producer = Producer::start(&arguments);
    let mut first = [0; 1];
    producer.0.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    assert_eq!(&first, b"{");
    drop(producer.0.stdout.take());
    let outcome = producer.outcome(false);
    assert!(outcome.status.success(), "{}", outcome.errors);
    assert_removed(&name);
}

#[test]
fn what_the_machine_refuses_is_said_before_there_is_a_stream() {
    let name = stream("cpu");
    let text = name.to_string();
    for cpu in ["1023", "4096"] {
        let mut arguments = vec!["--stream", &text, "--cpu", cpu];
        arguments.extend(SMALL);
        let outcome = Producer::start(&arguments).outcome(true);
        assert_eq!(outcome.status.code(), Some(2));
        assert!(outcome.error().starts_with(&format!("error: can not run on CPU {cpu} (--cpu)")), "{}", outcome.errors);
        assert!(!outcome.errors.contains("publishing"), "{}", outcome.errors);
        assert_removed(&name);
    }
}
