//! A producer that changes the size of its frames while it is read, as a camera does whose mode is switched.

use std::process::Stdio;
use std::time::Instant;

use framebus::{Frame, OnChange, Subscriber};

use crate::harness::{Ended, Piped, TestStream, WATCHDOG, eventually, subscriber_options};

/// 64 × 48, then 192 × 144, which is a new epoch, then 32 × 24, which is not; 1 s each, and round.
const PRODUCER: &str = "--width 64 --height 48 --format mono8 --rate 30 --sizes 192x144,32x24,64x48";
const SIZES: [(u32, u32); 3] = [(64, 48), (192, 144), (32, 24)];

/// Frames of all three sizes.
const FRAMES: u64 = 90;

fn check(viewer: &Ended) {
    let (first, last) = (viewer.number("first_sequence"), viewer.number("last_sequence"));
    let accounted = viewer.number("frames") + viewer.number("skipped") + viewer.number("missed");
    assert_eq!(accounted, last - first + 1, "{viewer:?}");
    assert_eq!(viewer.number("torn"), 0, "{viewer:?}");
    assert_eq!(viewer.number("verified"), viewer.number("frames"), "{viewer:?}");
    assert_eq!(viewer.number("epochs"), 1, "{viewer:?}");
}

#[test]
fn viewers_of_every_kind_follow_and_those_that_want_every_frame_get_it() {
    let stream = TestStream::new("sizes");
    let every: Vec<_> = ["block", "spin", "predict"]
        .iter()
        .map(|wait| stream.viewer(&format!("--mode every --wait {wait} --verify --until-closed")))
        .collect();
    let latest: Vec<_> = ["block", "spin", "predict"]
        .iter()
        .map(|wait| stream.viewer(&format!("--mode latest --wait {wait} --verify --until-closed")))
        .collect();
    let producer = stream.producer(&format!("{PRODUCER} --frames {FRAMES} --history {FRAMES} --await-viewers 6")).end();
    assert_eq!((producer.number("published"), producer.number("drops")), (FRAMES, 0), "{producer:?}");
    for viewer in every {
        let viewer = viewer.end();
        check(&viewer);
        assert_eq!((viewer.number("frames"), viewer.number("missed")), (FRAMES, 0), "{viewer:?}");
        let told = "carries images of 192 × 144 mono8 now, after images of 64 × 48 mono8";
        assert!(viewer.stderr.contains(&format!("stream {} {told}", stream.name)), "{viewer:?}");
    }
    for viewer in latest {
        check(&viewer.end());
    }
}

#[test]
fn a_lossless_viewer_of_a_stream_without_history_gets_every_frame() {
    let stream = TestStream::new("lossless");
    let viewer = stream.viewer("--mode every --verify --until-closed");
    let options = format!("--frames {FRAMES} --on-full wait --wait-ms 20000 --await-viewers 1");
    let producer = stream.producer(&format!("{PRODUCER} {options}")).end();
    assert_eq!((producer.number("published"), producer.number("drops")), (FRAMES, 0), "{producer:?}");
    let viewer = viewer.end();
    check(&viewer);
    assert_eq!((viewer.number("frames"), viewer.number("missed")), (FRAMES, 0), "{viewer:?}");
}

#[test]
fn a_recording_goes_on_in_files_of_each_size() {
    let stream = TestStream::new("recorded");
    let folder = tempfile::tempdir().unwrap();
    let record = format!("--mode every --record {} --record-kind raw --until-closed", folder.path().display());
    let viewer = stream.viewer(&record);
    let producer = stream.producer(&format!("{PRODUCER} --frames {FRAMES} --history {FRAMES} --await-viewers 1")).end();
    assert_eq!(producer.number("published"), FRAMES, "{producer:?}");
    assert_eq!(viewer.end().number("recorded"), FRAMES);
    let mut bytes: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().extension().is_some_and(|end| end == "raw"))
        .map(|entry| (entry.file_name(), entry.metadata().unwrap().len()))
        .collect();
    bytes.sort();
    let bytes: Vec<u64> = bytes.into_iter().map(|(_, bytes)| bytes).collect();
    assert_eq!(bytes, SIZES.map(|(width, height)| u64::from(width) * u64::from(height) * FRAMES / 3));
}

#[test]
fn a_pipe_ends_with_an_error_that_names_both_sizes_and_what_came_before_is_whole() {
    for format in ["raw", "y4m"] {
        let stream = TestStream::new("pipe");
        let mut viewer = stream.command("viewer", &format!("--mode every --pipe {format} --quiet --patience 60"));
        viewer.stdin(Stdio::null());
        let viewer = Piped::start(viewer);
        let producer = stream.producer(&format!("{PRODUCER} --frames 200 --history {FRAMES} --await-viewers 1"));
        let output = viewer.end();
        producer.interrupt();
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(
            String::from_utf8_lossy(&output.stderr),
            "error: the stream changed from images of 64 × 48 mono8 to images of 192 × 144 mono8, and a pipe can not \
             say so: start again for the new ones, or record them (--record), each in its size\n"
        );
        let frames = 30 * 64 * 48;
        let header = "YUV4MPEG2 W64 H48 F30:1 Ip A0:0 Cmono\n".len() + 30 * "FRAME\n".len();
        assert_eq!(output.stdout.len(), if format == "raw" { frames } else { header + frames });
    }
}

/// What a process keeps mapped of the stream.
fn mapped_segments(pid: u32, stream: &TestStream) -> usize {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    let sysv = [stream.name.key(), stream.name.places_key()].map(|key| format!("/SYSV{key:08x} "));
    let file = format!("/{}/{}/", stream.name.bus(), stream.name.stream());
    maps.lines().filter(|line| sysv.iter().chain([&file]).any(|name| line.contains(name))).count()
}

#[test]
fn many_changes_leave_nothing_behind_in_producer_and_viewer() {
    // Each of the first frames is larger than all before it, so it takes an epoch of its own.
    let sizes: Vec<_> = (1..=60).map(|step| format!("{}x{}", 64 + 8 * step, 48 + 6 * step)).collect();
    for sizes in [String::new(), format!("--unpaced --sizes {}", sizes.join(","))] {
        let stream = TestStream::new("many");
        let viewer = stream.viewer("--mode latest --verify");
        let producer = stream.producer(&format!("--width 64 --height 48 --format mono8 --rate 1 {sizes}"));
        viewer.wait_for("frames", 1);
        stream.wait_for_frame(if sizes.is_empty() { 1 } else { 100 });
        // Its frames, and its places: as many as where nothing ever changes.
        eventually("both have the last epoch alone", || {
            let mapped = [&viewer, &producer].map(|process| mapped_segments(process.child.id(), &stream));
            (mapped == [2, 2]).then_some(())
        });
        let viewer = viewer.interrupt();
        assert_eq!(viewer.number("torn"), 0, "{viewer:?}");
        assert_eq!(viewer.number("epochs") > 0, !sizes.is_empty(), "{viewer:?}");
        producer.interrupt();
    }
}

/// A subscriber of this process, with a frame that it holds all the time.
struct Holder {
    subscriber: Subscriber,
    held: Frame,
    bytes: Vec<u8>,
}

#[test]
fn a_producer_killed_around_its_change_of_size_is_succeeded_and_held_frames_stay() {
    let stream = TestStream::new("killed");
    let mut holder: Option<Holder> = None;
    let mut last = 0;
    // It is somewhere around its change; each step of that is in `steps/`.
    for round in 0..6 {
        let producer = stream.producer("--width 64 --height 48 --format mono8 --rate 50 --sizes 192x144,64x48");
        let first = stream.wait_for_frame(last + 1);
        let holder = holder.get_or_insert_with(|| {
            let mut subscriber = Subscriber::attach_with(&stream.name, subscriber_options()).unwrap();
            let held = subscriber.latest().unwrap().unwrap();
            let bytes = held.to_vec();
            Holder { subscriber, held, bytes }
        });
        stream.wait_for_frame(first + 44 + round);
        producer.kill();
        let begun = Instant::now();
        while let Some(frame) = holder.subscriber.next().unwrap() {
            assert!(begun.elapsed() < WATCHDOG);
            assert!(frame.info().sequence > last, "{} after {last}", frame.info().sequence);
            last = frame.info().sequence;
            let shape = frame.shape().unwrap();
            assert_eq!(frame.len(), shape.frame_bytes());
            framebus::mark::verify(&frame, last).unwrap_or_else(|error| panic!("frame {last}: {error}"));
        }
        assert_eq!(*holder.held, *holder.bytes, "in round {round}");
    }
    drop(holder);
    stream.remove();
}

#[test]
fn who_asked_to_be_told_is_told_by_the_real_programs_stream() {
    let stream = TestStream::new("told");
    let producer = stream.producer(&format!("{PRODUCER} --history {FRAMES} --await-viewers 1 --frames 45"));
    let mut options = subscriber_options();
    (options.on_change, options.patience) = (OnChange::Tell, WATCHDOG);
    let mut subscriber = Subscriber::attach_with(&stream.name, options).unwrap();
    let error = loop {
        assert!(subscriber.wait(Instant::now() + WATCHDOG).unwrap());
        match subscriber.next() {
            Ok(_) => {}
            Err(error) => break error.to_string(),
        }
    };
    let expected = "it carried images of 64 × 48 mono8, and from here on images of 192 × 144 mono8";
    assert_eq!(error, format!("stream {} changes: {expected}", stream.name));
    assert_eq!(producer.end().number("published"), 45);
}
