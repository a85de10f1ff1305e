//! `viewer --record` and `--snapshot` against a publisher in the test: what is in the files, what is counted, how it ends.

use framebus::{Content, ImageShape, ImageView, OnFull, PixelFormat, Publisher, Rate, StreamName, StreamOptions};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// After so long something hangs.
const WATCHDOG: Duration = Duration::from_secs(30);

fn name(what: &str) -> StreamName {
    StreamName::new(&format!("test-{}-{what}", std::process::id()), "front").unwrap()
}

fn images(shape: ImageShape) -> StreamOptions {
    let mut options = StreamOptions::new(Content::Image(shape));
    options.rate = Rate::new(30, 1);
    options
}

fn publish(publisher: &mut Publisher, write: impl FnOnce(&mut [u8], u64)) -> u64 {
    let mut loan = publisher.loan().unwrap();
    let sequence = loan.sequence();
    write(&mut loan, sequence);
    loan.publish()
}

fn words(stream: &StreamName, directory: &Path, more: &str) -> Vec<String> {
    let seconds = WATCHDOG.as_secs();
    let line = format!("--stream {stream} --record {} --seconds {seconds} --json {more}", directory.display());
    line.split_whitespace().map(str::to_owned).collect()
}

fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_remove("FRAMEBUS_CONFIG").current_dir(env!("CARGO_MANIFEST_DIR"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A running viewer, whose end is waited for even when the test fails.
struct Viewer(Option<Child>);

impl Viewer {
    fn start(stream: &StreamName, directory: &Path, more: &str) -> Self {
        let mut command = command(env!("CARGO_BIN_EXE_viewer"));
        Self(Some(command.args(words(stream, directory, more)).spawn().unwrap()))
    }

    /// Calls `each` until the viewer has ended.
    fn until_end(mut self, mut each: impl FnMut()) -> Ended {
        let begun = Instant::now();
        while self.0.as_mut().unwrap().try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < 2 * WATCHDOG, "the viewer does not end");
            each();
            std::thread::yield_now();
        }
        Ended::new(self.0.take().unwrap().wait_with_output().unwrap())
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// How a viewer ended.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    summary: Value,
    stderr: String,
}

impl Ended {
    fn new(output: Output) -> Self {
        let stdout = String::from_utf8(output.stdout).unwrap();
        let summary = stdout.lines().last().map_or(Value::Null, |line| serde_json::from_str(line).unwrap());
        Self { code: output.status.code(), summary, stderr: String::from_utf8(output.stderr).unwrap() }
    }

    fn number(&self, key: &str) -> u64 {
        self.summary[key].as_u64().unwrap_or_else(|| panic!("{key} in {self:?}"))
    }
}

/// The rows of the index, fields apart.
fn index(directory: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(directory.join("front.csv")).unwrap();
    text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

/// All names in the folder but the index's.
fn files(directory: &Path) -> BTreeSet<String> {
    let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name != "front.csv").collect()
}

/// Every file is in the index once, and everything in the index is a file.
fn check_index(directory: &Path) -> usize {
    let rows = index(directory);
    let named: BTreeSet<String> = rows.iter().map(|row| row[0].clone()).collect();
    assert_eq!(files(directory), named);
    assert_eq!(named.len(), rows.len());
    let sequences: Vec<u64> = rows.iter().map(|row| row[2].parse().unwrap()).collect();
    assert!(sequences.is_sorted(), "{sequences:?}");
    rows.len()
}

#[test]
fn every_frame_is_recorded_where_the_producer_waits_however_slow_the_encoder() {
    const FRAMES: u64 = 60;
    let stream = name("every");
    let shape = ImageShape::with_stride(160, 90, PixelFormat::Rgb8, 500).unwrap();
    let mut options = images(shape);
    (options.history, options.on_full) = (2, OnFull::Wait(WATCHDOG));
    let mut publisher = Publisher::open(&stream, &options).unwrap();
    let byte =
        |sequence: u64, row: usize, column: usize| ((sequence as usize * 7919 + row * 480 + column) * 31 % 253) as u8;
    let mut publish_next = || {
        publish(&mut publisher, |bytes, sequence| {
            for (row, bytes) in bytes.chunks_mut(500).enumerate() {
                bytes.iter_mut().enumerate().for_each(|(column, target)| *target = byte(sequence, row, column));
            }
        })
    };
    publish_next();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new/folder");
    let viewer =
        Viewer::start(&stream, &path, &format!("--mode every --frames {FRAMES} --record-threads 1 --interval 0.01"));
    let begun = Instant::now();
    while !path.join("front-0000000001.png").exists() {
        assert!(begun.elapsed() < WATCHDOG, "frame 1 is not recorded");
        std::thread::yield_now();
    }
    // It has come: from now on, none may be lost.
    (2..=FRAMES).for_each(|sequence| assert_eq!(publish_next(), sequence));
    let ended = viewer.until_end(|| {});
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let numbers = ["frames", "recorded", "record_skipped", "missed"].map(|key| ended.number(key));
    assert_eq!(numbers, [FRAMES, FRAMES, 0, 0]);
    assert!(ended.stderr.contains(&format!("recording images of 160 × 90 rgb8 as png to {}", path.display())));
    assert_eq!(check_index(&path), FRAMES as usize);
    for (sequence, row) in (1..=FRAMES).zip(index(&path)) {
        assert_eq!(row[0], format!("front-{sequence:010}.png"));
        assert_eq!(row[6..9], ["160", "90", "rgb8"]);
        let picture = image::open(path.join(&row[0])).unwrap();
        let rows = picture.as_rgb8().unwrap().as_raw().chunks(480).enumerate();
        let is_it = |(row, bytes): (usize, &[u8])| {
            bytes.iter().enumerate().all(|(at, found)| *found == byte(sequence, row, at))
        };
        assert!(rows.clone().all(is_it), "frame {sequence} differs");
    }
}

#[test]
fn a_recorder_that_is_too_slow_skips_frames_and_says_so() {
    let stream = name("slow");
    let shape = ImageShape::new(1280, 720, PixelFormat::Rgb8).unwrap();
    let mut publisher = Publisher::open(&stream, &images(shape)).unwrap();
    publish(&mut publisher, |bytes, _| bytes.fill(7));
    let directory = tempfile::tempdir().unwrap();
    let viewer = Viewer::start(&stream, directory.path(), "--frames 120 --record-threads 1 --record-kind tiff");
    let ended = viewer.until_end(|| {
        publish(&mut publisher, |_, _| {});
    });
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let [recorded, skipped] = ["recorded", "record_skipped"].map(|key| ended.number(key));
    assert_eq!(recorded + skipped, 120);
    assert!(skipped > 0 && recorded >= 9, "{ended:?}");
    assert_eq!(ended.stderr.matches("the recorder is behind").count(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains(&format!("recorded {recorded}, skipped {skipped}: ")), "{}", ended.stderr);
    assert_eq!(check_index(directory.path()) as u64, recorded);
}

#[test]
fn a_recording_goes_on_and_nothing_is_written_over() {
    let stream = name("again");
    let shape = ImageShape::new(32, 24, PixelFormat::Mono8).unwrap();
    let mut publisher = Publisher::open(&stream, &images(shape)).unwrap();
    let directory = tempfile::tempdir().unwrap();
    publish(&mut publisher, |bytes, _| bytes.fill(1));
    let run = || Viewer::start(&stream, directory.path(), "--frames 1").until_end(|| {});
    assert_eq!(run().number("recorded"), 1);
    // What is there already is passed over.
    let again = run();
    assert_eq!((again.code, again.number("recorded"), check_index(directory.path())), (Some(0), 0, 1));
    assert!(again.stderr.contains("going on behind frame 1 of stream"), "{}", again.stderr);
    publish(&mut publisher, |bytes, _| bytes.fill(2));
    let on = run();
    assert_eq!((on.code, on.number("recorded"), check_index(directory.path())), (Some(0), 1, 2));
    let before = files(directory.path());
    let bytes = |file: &String| fs::read(directory.path().join(file)).unwrap();
    let contents: Vec<Vec<u8>> = before.iter().map(bytes).collect();

    // Made anew, it counts from 1 again.
    drop(publisher);
    let mut publisher = Publisher::open(&stream, &images(shape)).unwrap();
    publish(&mut publisher, |bytes, _| bytes.fill(99));
    let ended = Viewer::start(&stream, directory.path(), "--frames 1 -q").until_end(|| {});
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.starts_with(&format!("error: can not record frame 1 of stream {stream} to ")),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("record it to another folder, and nothing is written over"), "{}", ended.stderr);
    assert_eq!(files(directory.path()), before);
    assert_eq!(before.iter().map(bytes).collect::<Vec<_>>(), contents);
}

#[test]
fn a_disk_that_is_full_ends_the_recording_and_what_was_written_stays() {
    let stream = name("full");
    let shape = ImageShape::new(640, 480, PixelFormat::Rgb8).unwrap();
    let mut publisher = Publisher::open(&stream, &images(shape)).unwrap();
    for kind in ["png", "raw"] {
        let directory = tempfile::tempdir().unwrap();
        publish(&mut publisher, |bytes, _| bytes.fill(7));
        // A limit on the size of files stands in for the disk: frames of one colour fit as png, noise does not. Of a raw
        // file, the first frame fits.
        let limit = if kind == "png" { 400 } else { 3000 };
        let mut limited = command("sh");
        limited.args(["-c", "trap '' XFSZ; ulimit -f \"$1\"; shift; exec \"$@\"", "sh", &limit.to_string()]);
        limited.arg(env!("CARGO_BIN_EXE_viewer"));
        limited.args(words(&stream, directory.path(), &format!("--record-kind {kind}")));
        let viewer = Viewer(Some(limited.spawn().unwrap()));
        let ended = viewer.until_end(|| {
            let recorded = fs::read_dir(directory.path()).unwrap().count() > 3;
            publish(&mut publisher, |bytes, sequence| {
                let mut state = if recorded { sequence as u32 } else { 0 };
                bytes.iter_mut().for_each(|byte| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(if recorded { 1_013_904_223 } else { 0 });
                    *byte = (state >> 24) as u8;
                });
            });
        });
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        assert!(ended.stderr.contains("error: recording ended at frame "), "{}", ended.stderr);
        assert!(ended.stderr.contains("File too large"), "{}", ended.stderr);
        let rows = index(directory.path());
        assert_eq!(ended.number("recorded"), rows.len() as u64, "{}", ended.stderr);
        assert!(!rows.is_empty());
        if kind == "png" {
            check_index(directory.path());
            for file in files(directory.path()) {
                assert_eq!(image::open(directory.path().join(file)).unwrap().width(), 640);
            }
        } else {
            let bytes = fs::metadata(directory.path().join(&rows[0][0])).unwrap().len();
            assert_eq!(bytes, 640 * 480 * 3 * rows.len() as u64, "whole frames only");
        }
    }
}

#[test]
fn a_folder_that_can_not_be_is_said_before_the_first_frame() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let mut viewer = command(env!("CARGO_BIN_EXE_viewer"));
    let ended = Ended::new(viewer.args(words(&name("nowhere"), &file.join("x"), "")).output().unwrap());
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("it can not be made: Not a directory"), "{}", ended.stderr);
}

#[test]
fn ctrl_c_waits_for_what_is_on_its_way() {
    let stream = name("interrupt");
    let shape = ImageShape::new(640, 480, PixelFormat::Rgb8).unwrap();
    let mut publisher = Publisher::open(&stream, &images(shape)).unwrap();
    publish(&mut publisher, |bytes, _| bytes.fill(7));
    let directory = tempfile::tempdir().unwrap();
    let viewer = Viewer::start(&stream, directory.path(), "--record-threads 2");
    let pid = viewer.0.as_ref().unwrap().id();
    let pid = rustix::process::Pid::from_raw(pid as i32).unwrap();
    let mut interrupted = false;
    let ended = viewer.until_end(|| {
        publish(&mut publisher, |_, _| {});
        if !interrupted && directory.path().exists() && files(directory.path()).len() > 5 {
            rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
            interrupted = true;
        }
    });
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.number("recorded") + ended.number("record_skipped"), ended.number("frames"));
    assert_eq!(check_index(directory.path()) as u64, ended.number("recorded"));
}

#[test]
fn what_is_no_image_is_recorded_as_its_bytes() {
    let stream = name("bytes");
    let mut options = StreamOptions::new(Content::Bytes { capacity: 100 });
    (options.history, options.on_full) = (4, OnFull::Wait(WATCHDOG));
    let mut publisher = Publisher::open(&stream, &options).unwrap();
    for text in ["one", "second", "3"] {
        let mut loan = publisher.loan().unwrap();
        loan.set_len(text.len());
        loan.copy_from_slice(text.as_bytes());
        loan.publish();
    }
    let directory = tempfile::tempdir().unwrap();
    let ended = Viewer::start(&stream, directory.path(), "--mode every --frames 3").until_end(|| {});
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(fs::read_to_string(directory.path().join("front-0000000001.raw")).unwrap(), "onesecond3");
    let places: Vec<[String; 3]> =
        index(directory.path()).into_iter().map(|row| [row[2].clone(), row[9].clone(), row[10].clone()]).collect();
    assert_eq!(places, [["1", "0", "3"], ["2", "3", "6"], ["3", "9", "1"]]);

    let other = tempfile::tempdir().unwrap();
    let ended = Viewer::start(&stream, other.path(), "--record-kind png --mode every -q").until_end(|| {});
    assert_eq!(ended.code, Some(1));
    let expected =
        format!("error: can not record stream {stream} as png: it carries no images; use --record-kind raw\n");
    assert_eq!(ended.stderr, expected);
}

#[test]
fn every_format_is_recorded_as_every_kind() {
    for format in PixelFormat::all() {
        let stream = name(&format!("kinds-{format}"));
        let least = format.min_stride_bytes(18).unwrap();
        let shape = ImageShape::with_stride(18, 10, format, least + 4).unwrap();
        let mut publisher = Publisher::open(&stream, &images(shape)).unwrap();
        let bytes: Vec<u8> = match format {
            PixelFormat::DepthF32 => {
                (0..shape.frame_bytes() / 4).flat_map(|at| (at as f32 / 16.0).to_ne_bytes()).collect()
            }
            _ => (0..shape.frame_bytes()).map(|at| (at * 3 % 251) as u8).collect(),
        };
        publish(&mut publisher, |target, _| target.copy_from_slice(&bytes));
        let view = ImageView::new(shape, &bytes).unwrap();
        let expected = framebus_picture::picture(view).unwrap().into_image();
        for kind in ["png", "jpg", "tiff", "raw"] {
            let directory = tempfile::tempdir().unwrap();
            let more = format!("--frames 1 --record-kind {kind}");
            let ended = Viewer::start(&stream, directory.path(), &more).until_end(|| {});
            assert_eq!((ended.code, ended.number("recorded")), (Some(0), 1), "{format} {kind}: {}", ended.stderr);
            let path = directory.path().join(format!("front-0000000001.{kind}"));
            match (kind, format) {
                ("raw", _) => {
                    let tight: Vec<u8> =
                        (0..shape.planes().count()).flat_map(|plane| view.rows(plane)).flatten().copied().collect();
                    assert_eq!(fs::read(path).unwrap(), tight, "{format}");
                }
                ("tiff", PixelFormat::DepthF32) => {
                    assert!(ended.stderr.contains("depth in metres, 32-bit floats"), "{}", ended.stderr);
                    let metres: Vec<u8> = view.rows(0).flatten().copied().collect();
                    let file = fs::read(path).unwrap();
                    assert!(file.windows(metres.len()).any(|part| part == metres), "the floats stand in the file");
                }
                ("jpg", _) => assert_eq!(image::open(path).unwrap().width(), 18, "{format}"),
                _ => assert_eq!(image::open(path).unwrap(), expected, "{format} {kind}"),
            }
        }
    }
}
