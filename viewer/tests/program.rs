//! The program `viewer` against a publisher in the test: its figures, its files, what comes out of its pipe, and what it
//! says when things go wrong.

use framebus::{Content, ImageShape, OnFull, PixelFormat, Publisher, Rate, StreamName, StreamOptions, mark, now_ns};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
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

fn mono(width: u32, height: u32) -> StreamOptions {
    images(ImageShape::new(width, height, PixelFormat::Mono8).unwrap())
}

fn publish(publisher: &mut Publisher, write: impl FnOnce(&mut [u8], u64)) -> u64 {
    let mut loan = publisher.loan().unwrap();
    let sequence = loan.sequence();
    write(&mut loan, sequence);
    loan.publish()
}

fn publish_marked(publisher: &mut Publisher) -> u64 {
    publish(publisher, |bytes, sequence| {
        bytes.fill(sequence as u8);
        mark::stamp(bytes, sequence, now_ns());
    })
}

fn command(stream: &StreamName, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_viewer"));
    // A config of somebody who runs the tests is none of theirs.
    command.env_remove("FRAMEBUS_CONFIG").current_dir(env!("CARGO_MANIFEST_DIR"));
    command.args(["--stream", &stream.to_string()]).args(words);
    // A viewer that waits for frames that never come shall end, and its test fail.
    if !words.contains(&"--seconds") {
        command.args(["--seconds", &WATCHDOG.as_secs().to_string()]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A running viewer, whose end is waited for even when the test fails.
struct Viewer(Child);

impl Viewer {
    fn start(stream: &StreamName, words: &[&str]) -> Self {
        Self(command(stream, words).spawn().unwrap())
    }

    fn lines(&mut self) -> impl Iterator<Item = String> + use<> {
        BufReader::new(self.0.stdout.take().unwrap()).lines().map(Result::unwrap)
    }

    fn remarks(&mut self) -> impl Iterator<Item = String> + use<> {
        BufReader::new(self.0.stderr.take().unwrap()).lines().map(Result::unwrap)
    }

    /// Calls `each` until the viewer has ended.
    fn until_end(mut self, mut each: impl FnMut()) -> Output {
        let begun = Instant::now();
        while self.0.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < 2 * WATCHDOG, "the viewer does not end");
            each();
            std::thread::yield_now();
        }
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        self.0.stdout.take().map(|mut out| out.read_to_end(&mut stdout).unwrap());
        self.0.stderr.take().map(|mut out| out.read_to_end(&mut stderr).unwrap());
        Output { status: self.0.wait().unwrap(), stdout, stderr }
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The last line of standard output, which must be the summary.
fn summary(output: &Output) -> Value {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let line = text.lines().last().unwrap_or_else(|| panic!("no summary; {}", stderr(output)));
    let object: Value = serde_json::from_str(line).unwrap();
    assert_eq!(object["kind"], "summary");
    object
}

#[test]
fn every_marked_frame_is_verified_and_counted() {
    let stream = name("verify");
    let mut publisher = Publisher::open(&stream, &mono(320, 240)).unwrap();
    let first = publish_marked(&mut publisher);
    let viewer = Viewer::start(&stream, &["--verify", "--frames", "40", "--json", "--interval", "0.01"]);
    let output = viewer.until_end(|| {
        publish_marked(&mut publisher);
    });
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let summary = summary(&output);
    assert_eq!(summary["stream"], stream.to_string());
    assert_eq!((&summary["frames"], &summary["verified"], &summary["torn"]), (&40.into(), &40.into(), &0.into()));
    let number = |key: &str| summary[key].as_u64().unwrap_or_else(|| panic!("{key} in {summary}"));
    assert!(number("first_sequence") >= first);
    // Every frame is accounted for.
    let span = number("last_sequence") - number("first_sequence") + 1;
    assert_eq!(span, 40 + number("skipped"));
    assert!(number("latency_p50_ns") <= number("latency_p99_ns"));
    assert!(number("latency_p99_ns") <= number("latency_max_ns"));
    let text = String::from_utf8(output.stdout).unwrap();
    let objects: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (_, intervals) = objects.split_last().unwrap();
    assert!(intervals.iter().all(|object| object["kind"] == "interval"));
}

#[test]
fn a_torn_frame_is_found_and_makes_exit_code_1() {
    let stream = name("torn");
    let mut publisher = Publisher::open(&stream, &mono(320, 240)).unwrap();
    publish_marked(&mut publisher);
    let viewer = Viewer::start(&stream, &["--verify", "--frames", "30", "--json"]);
    let output = viewer.until_end(|| {
        publish(&mut publisher, |bytes, sequence| {
            bytes.fill(1);
            mark::stamp(bytes, sequence, 0);
            bytes[70_000] ^= 1;
        });
    });
    assert_eq!(output.status.code(), Some(1));
    let summary = summary(&output);
    let torn = summary["torn"].as_u64().unwrap();
    // Only the first frame was good, and it was there before the viewer came.
    assert!((29..=30).contains(&torn), "{summary}");
    let said = stderr(&output);
    assert!(said.contains("the frame is torn"), "{said}");
    assert!(said.contains(&format!("torn {torn} of 30 verified")), "{said}");
}

#[test]
fn a_stream_without_marks_can_not_be_verified() {
    let stream = name("unmarked");
    let mut publisher = Publisher::open(&stream, &mono(32, 24)).unwrap();
    publish(&mut publisher, |bytes, _| bytes.fill(0));
    let output = command(&stream, &["--verify", "-q"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        stderr(&output),
        format!(
            "error: can not verify stream {stream}: the frame bears no mark: its source does not make marked frames (the \
             pattern source does); leave --verify out\n"
        )
    );
}

#[test]
fn a_stream_that_is_not_there_is_named_with_its_remedy() {
    let stream = name("missing");
    let output = command(&stream, &["--patience", "0"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        stderr(&output),
        format!(
            "error: can not attach to stream {stream}: there is none (waited 0ns); start its publisher, or look at the \
             names with framebus ls\n"
        )
    );
    let output = command(&stream, &["--patience", "0.3"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.starts_with(&format!("waiting for stream {stream}: start its producer\n")), "{said}");
    assert!(said.contains("there is none (waited 300ms)"), "{said}");
}

#[test]
fn a_viewer_may_come_before_its_producer() {
    let stream = name("early");
    let mut viewer = Viewer::start(&stream, &["--frames", "3"]);
    let mut remarks = viewer.remarks();
    assert_eq!(remarks.next().unwrap(), format!("waiting for stream {stream}: start its producer"));
    let mut publisher = Publisher::open(&stream, &mono(32, 24)).unwrap();
    let output = viewer.until_end(|| {
        publish(&mut publisher, |bytes, _| bytes.fill(0));
    });
    assert_eq!(output.status.code(), Some(0));
}

/// What stands in a y4m file, and the frames behind it.
fn read_y4m(stdout: &mut BufReader<ChildStdout>, frames: usize, frame_bytes: usize) -> (String, Vec<Vec<u8>>) {
    let mut header = String::new();
    stdout.read_line(&mut header).unwrap();
    (header, (0..frames).map(|_| read_y4m_frame(stdout, frame_bytes)).collect())
}

fn read_y4m_frame(stdout: &mut BufReader<ChildStdout>, frame_bytes: usize) -> Vec<u8> {
    let mut marker = [0; 6];
    stdout.read_exact(&mut marker).unwrap();
    assert_eq!(&marker, b"FRAME\n");
    let mut bytes = vec![0; frame_bytes];
    stdout.read_exact(&mut bytes).unwrap();
    bytes
}

/// Every frame through `--mode every --pipe y4m`, from rows that are `stride` apart.
fn pipe_every_frame(what: &str, stride: u32) {
    const FRAMES: u64 = 60;
    let stream = name(what);
    let shape = ImageShape::with_stride(66, 41, PixelFormat::I420, stride).unwrap();
    let mut options = images(shape);
    options.history = 4;
    options.on_full = OnFull::Wait(WATCHDOG);
    let mut publisher = Publisher::open(&stream, &options).unwrap();
    let byte = |sequence: u64, plane: usize, row: usize, column: usize| {
        (sequence as usize * 31 + plane * 7 + row * 3 + column) as u8
    };
    let mut publish_next = |sequence: u64| {
        let found = publish(&mut publisher, |bytes, sequence| {
            bytes.fill(0xEE);
            for (index, plane) in shape.planes().enumerate() {
                for row in 0..plane.rows {
                    for (column, target) in bytes[plane.row(row)].iter_mut().enumerate() {
                        *target = byte(sequence, index, row, column);
                    }
                }
            }
        });
        assert_eq!(found, sequence);
    };
    publish_next(1);
    let count = FRAMES.to_string();
    let mut viewer = Viewer::start(&stream, &["--mode", "every", "--pipe", "y4m", "--frames", &count, "-q", "--json"]);
    let mut stdout = BufReader::new(viewer.0.stdout.take().unwrap());
    let tight = ImageShape::new(66, 41, PixelFormat::I420).unwrap();
    let (header, mut frames) = read_y4m(&mut stdout, 1, tight.frame_bytes());
    assert_eq!(header, "YUV4MPEG2 W66 H41 F30:1 Ip A0:0 C420jpeg\n");
    // It has come: from now on, none may be lost.
    std::thread::scope(|scope| {
        scope.spawn(|| (2..=FRAMES).for_each(&mut publish_next));
        frames.extend((2..=FRAMES).map(|_| read_y4m_frame(&mut stdout, tight.frame_bytes())));
    });
    for (index, frame) in frames.iter().enumerate() {
        let mut expected = Vec::new();
        for (plane, layout) in tight.planes().enumerate() {
            for row in 0..layout.rows {
                expected.extend((0..layout.row_bytes).map(|column| byte(index as u64 + 1, plane, row, column)));
            }
        }
        assert!(*frame == expected, "frame {} differs", index + 1);
    }
    let mut rest = Vec::new();
    stdout.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty());
    let output = viewer.until_end(|| {});
    assert_eq!(output.status.code(), Some(0));
    // With frames on standard output, JSON goes to standard error.
    let object: Value = serde_json::from_str(stderr(&output).lines().last().unwrap()).unwrap();
    assert_eq!((&object["kind"], &object["frames"]), (&"summary".into(), &FRAMES.into()));
    assert_eq!((&object["skipped"], &object["missed"]), (&0.into(), &0.into()));
}

#[test]
fn every_frame_goes_through_a_y4m_pipe_byte_for_byte() {
    pipe_every_frame("y4m", 66);
}

#[test]
fn padding_does_not_go_through_a_y4m_pipe() {
    pipe_every_frame("y4m-padded", 80);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    for (what, words) in [("epipe", ["--pipe", "y4m"]), ("epipe-json", ["--json", "--interval=0.001"])] {
        let stream = name(what);
        let mut publisher = Publisher::open(&stream, &mono(320, 240)).unwrap();
        publish_marked(&mut publisher);
        let mut viewer = Viewer::start(&stream, &words);
        let mut first = [0; 4];
        let mut stdout = viewer.0.stdout.take().unwrap();
        stdout.read_exact(&mut first).unwrap();
        drop(stdout);
        let output = viewer.until_end(|| {
            publish_marked(&mut publisher);
        });
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(!stderr(&output).contains("error"), "{}", stderr(&output));
    }
}

#[test]
fn raw_bytes_of_any_stream_go_through_a_pipe() {
    let stream = name("raw");
    let mut publisher = Publisher::open(&stream, &StreamOptions::new(Content::Bytes { capacity: 100 })).unwrap();
    let mut loan = publisher.loan().unwrap();
    loan.set_len(5);
    loan.copy_from_slice(b"hello");
    loan.publish();
    let output = command(&stream, &["--pipe", "raw", "--frames", "1"]).output().unwrap();
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b"hello"[..]));
    let output = command(&stream, &["--pipe", "y4m", "-q"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr(&output), "error: can not pipe as y4m: the stream carries no images; use --pipe raw\n");
    let output = command(&stream, &["--snapshot", "none.png", "-q"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("only images have pictures"), "{}", stderr(&output));
}

#[test]
fn a_snapshot_has_the_pixels_of_its_frame() {
    let stream = name("snapshot");
    let shape = ImageShape::with_stride(50, 30, PixelFormat::Bgr8, 160).unwrap();
    let mut publisher = Publisher::open(&stream, &images(shape)).unwrap();
    let colour = |x: u32, y: u32| [x as u8 * 5, y as u8 * 8, 77];
    publish(&mut publisher, |bytes, _| {
        for y in 0..30 {
            for x in 0..50 {
                let [red, green, blue] = colour(x, y);
                bytes[(y * 160 + x * 3) as usize..][..3].copy_from_slice(&[blue, green, red]);
            }
        }
    });
    let directory = tempfile::tempdir().unwrap();
    for (file, tolerance) in [("a.png", 0), ("a.jpg", 40)] {
        let path = directory.path().join(file);
        let output = command(&stream, &["--frames", "1", "--snapshot", path.to_str().unwrap()]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let picture = image::open(&path).unwrap().to_rgb8();
        assert_eq!(picture.dimensions(), (50, 30));
        for (x, y, pixel) in picture.enumerate_pixels() {
            let near = pixel.0.iter().zip(colour(x, y)).all(|(a, b)| a.abs_diff(b) <= tolerance);
            assert!(near, "{file} ({x}, {y}): {:?}, expected {:?}", pixel.0, colour(x, y));
        }
    }
    let files = std::fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(files, 2, "nothing is left beside the pictures");
}

#[test]
fn a_snapshot_that_never_came_is_a_failure() {
    let stream = name("no-snapshot");
    let _publisher = Publisher::open(&stream, &mono(32, 24)).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.png");
    let words = ["-q", "--seconds", "0.05", "--snapshot", path.to_str().unwrap()];
    let output = command(&stream, &words).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("was not saved: it was to be frame 1 after attaching, and 0 came"));
    assert!(!Path::new(&path).exists());
}

#[test]
fn a_viewer_survives_its_producer_and_follows_the_next_one() {
    let stream = name("restart");
    let mut publisher = Publisher::open(&stream, &mono(32, 24)).unwrap();
    publish(&mut publisher, |bytes, _| bytes.fill(1));
    let mut viewer = Viewer::start(&stream, &["--json", "--frames", "6", "--interval", "0.05"]);
    let mut lines = viewer.lines();
    let mut remarks = viewer.remarks();
    // It has come when it has seen a frame.
    let seen = |line: String| serde_json::from_str::<Value>(&line).unwrap()["frames"].as_u64().unwrap() > 0;
    assert!(lines.by_ref().any(seen));
    drop(publisher);
    let said = format!("the producer of {stream} has closed the stream; waiting for the next one");
    assert!(remarks.by_ref().any(|line| line == said), "{said}");

    let mut publisher = Publisher::open(&stream, &mono(64, 48)).unwrap();
    let begun = Instant::now();
    let last = std::thread::scope(|scope| {
        let reader = scope.spawn(|| (lines.last().unwrap(), remarks.collect::<Vec<_>>()));
        while !reader.is_finished() {
            assert!(begun.elapsed() < 2 * WATCHDOG, "the viewer does not go on");
            publish(&mut publisher, |bytes, _| bytes.fill(2));
            std::thread::yield_now();
        }
        reader.join().unwrap()
    });
    let (line, remarks) = last;
    let summary: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&summary["frames"], &summary["restarts"], &summary["epochs"]), (&6.into(), &1.into(), &1.into()));
    let carries = format!("stream {stream} carries images of 64 × 48 mono8 now, after images of 32 × 24 mono8");
    assert!(remarks.contains(&carries), "{remarks:?}");
    assert_eq!(viewer.until_end(|| {}).status.code(), Some(0));
}

#[test]
fn a_y4m_pipe_ends_when_the_size_changes() {
    let stream = name("y4m-change");
    let mut publisher = Publisher::open(&stream, &mono(32, 24)).unwrap();
    publish(&mut publisher, |bytes, _| bytes.fill(1));
    let mut viewer = Viewer::start(&stream, &["--pipe", "y4m", "-q"]);
    let mut stdout = BufReader::new(viewer.0.stdout.take().unwrap());
    let (_, frames) = read_y4m(&mut stdout, 1, 32 * 24);
    assert_eq!(frames[0], [1; 32 * 24]);
    drop(publisher);
    let mut publisher = Publisher::open(&stream, &mono(64, 48)).unwrap();
    let output = viewer.until_end(|| {
        publish(&mut publisher, |bytes, _| bytes.fill(2));
    });
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        stderr(&output),
        "error: the stream changed from images of 32 × 24 mono8 to images of 64 × 48 mono8, and a pipe can not say so: \
         start again for the new ones, or record them (--record), each in its size\n"
    );
}

#[test]
fn frames_can_be_kept_up_to_what_the_stream_allows() {
    let stream = name("held");
    let mut options = mono(32, 24);
    options.max_held = 4;
    let mut publisher = Publisher::open(&stream, &options).unwrap();
    publish_marked(&mut publisher);
    let output = command(&stream, &["--hold-frames", "4"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("expected at most 3, or a producer with max_held = 5"), "{}", stderr(&output));
    let words = ["--hold-frames", "3", "--hold", "5", "--frames", "20", "--verify", "--json", "--interval", "0.001"];
    let output = Viewer::start(&stream, &words).until_end(|| {
        publish_marked(&mut publisher);
    });
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(text.lines().any(|line| line.contains("\"held\":4")), "{text}");
    let summary = summary(&output);
    assert!(summary["skipped"].as_u64().unwrap() > 0, "a slow viewer skips: {summary}");
}

#[test]
fn what_is_wrong_with_the_command_line_makes_exit_code_2() {
    let stream = name("usage");
    for words in [&["--stream", "no/good/name"][..], &["--config", "no/such/file.toml"], &["--mode", "some"]] {
        let mut command = command(&stream, &[]);
        // A second --stream would be refused for another reason.
        if words[0] == "--stream" {
            command = Command::new(env!("CARGO_BIN_EXE_viewer"));
        }
        let output = command.args(words).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{words:?}: {}", stderr(&output));
        assert!(stderr(&output).contains("error"), "{words:?}: {}", stderr(&output));
    }
}

#[test]
fn spinning_sees_the_same_frames() {
    let stream = name("spin");
    let mut publisher = Publisher::open(&stream, &mono(32, 24)).unwrap();
    publish_marked(&mut publisher);
    let words = ["--wait", "spin", "--verify", "--frames", "20", "--json"];
    let output = Viewer::start(&stream, &words).until_end(|| {
        publish_marked(&mut publisher);
    });
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(summary(&output)["frames"], 20);
}
