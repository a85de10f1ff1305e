//! The source `v4l2:` over the real program. No machine that runs tests need have a camera: one is feigned by camera.c,
//! which is preloaded into the producer and answers what that asks of its device. Without a C compiler these tests are
//! skipped.

mod support;

use std::process::Command;

use framebus::StreamName;
use support::{Producer, stream};

fn command(name: &StreamName, device: &str, arguments: &[&str]) -> Command {
    let (name, source) = (name.to_string(), format!("v4l2:{device}"));
    support::command(&[&["--stream", &name, "--source", &source, "--json"], arguments].concat())
}

fn start(name: &StreamName, device: &str, arguments: &[&str]) -> Producer {
    Producer::start_with(&mut command(name, device, arguments))
}

#[cfg(not(feature = "v4l2"))]
#[test]
fn a_program_without_cameras_says_how_to_come_by_one_that_has_them() {
    let outcome = start(&stream("without"), "/dev/video0", &[]).outcome(false);
    assert_eq!(outcome.status.code(), Some(2));
    let error = outcome.error();
    assert!(error.contains("was built without the feature v4l2; build it with --features v4l2"), "{error}");
    assert!(error.contains("exec:ffmpeg -f v4l2 -i /dev/video0"), "{error}");
}

#[cfg(feature = "v4l2")]
mod camera {
    use super::*;
    use std::path::PathBuf;

    use framebus::{ImageShape, PixelFormat};

    use crate::support::{Outcome, attach, next, until};

    /// A feigned camera: a file that says how it fares, and what answers for it.
    struct Camera {
        folder: tempfile::TempDir,
    }

    impl Camera {
        /// `None`, with a word why, where it can not be built.
        fn new(fares: &str) -> Option<Self> {
            let folder = tempfile::tempdir().unwrap();
            let built = Command::new("cc")
                .args(["-shared", "-fPIC", "-o"])
                .arg(folder.path().join("camera.so"))
                .args([concat!(env!("CARGO_MANIFEST_DIR"), "/tests/camera.c"), "-ldl"])
                .output();
            match built {
                Ok(built) if built.status.success() => {}
                Ok(built) => {
                    println!("skipped: camera.c is not built here: {}", String::from_utf8_lossy(&built.stderr));
                    return None;
                }
                Err(error) => {
                    println!("skipped: no C compiler: {error}");
                    return None;
                }
            }
            let pixels: Vec<u8> = (0..128 * 96).flat_map(|_| [200, 30, 60]).collect();
            image::save_buffer(folder.path().join("a.jpg"), &pixels, 128, 96, image::ColorType::Rgb8).unwrap();
            let camera = Self { folder };
            camera.fare(fares);
            Some(camera)
        }

        fn device(&self) -> PathBuf {
            self.folder.path().join("video")
        }

        fn fare(&self, fares: &str) {
            // At once, whenever it is read.
            let new = self.folder.path().join("new");
            std::fs::write(&new, fares).unwrap();
            std::fs::rename(new, self.device()).unwrap();
        }

        fn unplug(&self) {
            std::fs::remove_file(self.device()).unwrap();
        }

        fn start(&self, name: &StreamName, arguments: &[&str]) -> Producer {
            let mut command = command(name, self.device().to_str().unwrap(), arguments);
            command
                .env("LD_PRELOAD", self.folder.path().join("camera.so"))
                .env("CAMERA_DEVICE", self.device())
                .env("CAMERA_JPEG", self.folder.path().join("a.jpg"));
            Producer::start_with(&mut command)
        }
    }

    /// Waits until the producer has closed the camera, which is a memfd.
    fn until_it_lets_go(producer: &Producer) {
        let files = format!("/proc/{}/fd", producer.0.id());
        until("the camera is let go", || {
            !std::fs::read_dir(&files).unwrap().flatten().any(|file| {
                std::fs::read_link(file.path()).is_ok_and(|to| to.to_string_lossy().contains("memfd:camera"))
            })
        });
    }

    /// The end of a producer that ends by itself, and well.
    fn well(producer: Producer) -> Outcome {
        let outcome = producer.outcome(false);
        assert!(outcome.status.success(), "{}", outcome.errors);
        outcome
    }

    #[test]
    fn what_is_no_camera_is_an_error_that_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("video0");
        for (device, expected) in [
            (missing.to_str().unwrap(), "No such file or directory (os error 2); there is no such device"),
            ("/dev/null", "it is no V4L2 device, expected one like /dev/video0"),
            ("/proc/self/status", "it is no V4L2 device, expected one like /dev/video0"),
            (folder.path().to_str().unwrap(), "expected a device like /dev/video0"),
        ] {
            let outcome = start(&stream("none"), device, &[]).outcome(false);
            assert_eq!(outcome.status.code(), Some(1), "{}", outcome.errors);
            assert!(outcome.errors.contains(expected), "{}", outcome.errors);
        }
    }

    #[test]
    fn frames_come_without_the_padding_of_the_drivers_rows_and_with_its_times() {
        let Some(camera) = Camera::new("well") else { return };
        let name = stream("yuyv");
        let producer = camera.start(&name, &["--frames", "25", "--await-viewers", "1"]);
        let mut viewer = attach(&name, false);
        let shape = ImageShape::new(64, 48, PixelFormat::Yuyv).unwrap();
        assert_eq!(viewer.content(), &framebus::Content::Image(shape));
        assert_eq!(viewer.rate().unwrap().hz(), 30.0);
        for _ in 0..5 {
            let frame = next(&mut viewer);
            assert!(frame.iter().all(|&byte| byte == frame[0]) && frame[0] != 0xee);
            // The camera says that it took the frame 5 ms before it gave it away; the driver counts whole microseconds.
            let info = frame.info();
            assert!(info.publish_ns >= info.capture_ns + 4_999_000, "{info:?}");
        }
        let outcome = well(producer);
        let (summary, errors) = (outcome.summary(), outcome.errors);
        assert_eq!((summary.published, summary.restarts), (25, 0));
        // Each tenth number is left out.
        assert!(summary.lost >= 2, "{summary:?}");
        assert!(errors.contains("gives 64 × 48 yuyv (YUYV) at 30 Hz"), "{errors}");
    }

    #[test]
    fn the_stream_promises_the_rate_that_the_camera_has_and_not_the_one_asked_for() {
        let Some(camera) = Camera::new("well") else { return };
        let name = stream("rate");
        let producer = camera.start(&name, &["--rate", "20"]);
        assert_eq!(attach(&name, false).rate().unwrap().hz(), 15.0);
        producer.interrupt();
        let errors = well(producer).errors;
        assert!(errors.contains("has no rate of 20 Hz in this mode"), "{errors}");
    }

    #[test]
    fn motion_jpeg_is_published_as_rgb_where_it_alone_has_the_size() {
        let Some(camera) = Camera::new("well") else { return };
        let name = stream("jpeg");
        let producer = camera.start(&name, &["--width", "128"]);
        let mut viewer = attach(&name, false);
        let frame = next(&mut viewer);
        assert_eq!(frame.len(), 128 * 96 * 3);
        assert!(frame[..3].iter().zip([200, 30, 60]).all(|(&found, expected)| found.abs_diff(expected) < 8));
        drop(frame);
        producer.interrupt();
        assert!(well(producer).errors.contains("gives 128 × 96 rgb8 (MJPG) at 30 Hz"));
    }

    #[test]
    fn a_camera_that_can_not_be_had_as_asked_is_an_error_that_says_what_there_is() {
        let Some(camera) = Camera::new("well") else { return };
        let outcome = camera.start(&stream("size"), &["--width", "99"]).outcome(false);
        assert_eq!(outcome.status.code(), Some(2));
        assert!(
            outcome.errors.contains("it has no mode of 99 × any that can be published; it has yuyv, YUYV: 64 × 48"),
            "{}",
            outcome.errors
        );
        camera.fare("busy");
        let outcome = camera.start(&stream("busy"), &[]).outcome(false);
        assert_eq!(outcome.status.code(), Some(1));
        assert!(outcome.errors.contains("another program captures from it"), "{}", outcome.errors);
        camera.fare("strange");
        let outcome = camera.start(&stream("strange"), &[]).outcome(false);
        assert_eq!(outcome.status.code(), Some(1));
        assert!(outcome.errors.contains("its driver's answers make no sense"), "{}", outcome.errors);
    }

    #[test]
    fn times_of_another_clock_are_not_taken_for_ours() {
        let Some(camera) = Camera::new("clock") else { return };
        let name = stream("clock");
        let producer = camera.start(&name, &[]);
        let mut viewer = attach(&name, false);
        let asked_ns = framebus::now_ns();
        let frame = next(&mut viewer);
        let frame = if frame.info().publish_ns < asked_ns { next(&mut viewer) } else { frame };
        assert!(frame.info().capture_ns <= frame.info().publish_ns);
        drop(frame);
        producer.interrupt();
        let errors = well(producer).errors;
        assert_eq!(errors.matches("does not say in CLOCK_MONOTONIC when a frame was taken").count(), 1, "{errors}");
    }

    #[test]
    fn damaged_frames_are_left_out_and_said_once() {
        let Some(camera) = Camera::new("damaged") else { return };
        let outcome = well(camera.start(&stream("damaged"), &["--frames", "5"]));
        let (summary, errors) = (outcome.summary(), outcome.errors);
        assert!(summary.abandoned >= 4, "{summary:?}");
        assert_eq!(errors.matches("the driver says that its data is damaged").count(), 1, "{errors}");
    }

    #[test]
    fn a_camera_that_is_unplugged_heals_when_it_is_back_also_as_another_one() {
        let Some(camera) = Camera::new("well") else { return };
        let name = stream("unplugged");
        let producer = camera.start(&name, &[]);
        let mut viewer = attach(&name, false);
        let epoch = viewer.epoch();
        let before = next(&mut viewer).info().sequence;
        camera.unplug();
        until_it_lets_go(&producer);
        let last = viewer.latest().unwrap().map_or(before, |frame| frame.info().sequence);
        camera.fare("well");
        assert!(next(&mut viewer).info().sequence > last);
        assert_eq!(viewer.epoch(), epoch);
        camera.unplug();
        until_it_lets_go(&producer);
        camera.fare("other");
        let frame = std::iter::repeat_with(|| next(&mut viewer)).find(|frame| frame.info().width == 32).unwrap();
        assert_eq!(frame.shape().unwrap().to_string(), "32 × 24 mono8");
        producer.interrupt();
        let outcome = well(producer);
        assert!(outcome.errors.contains("came back otherwise"), "{}", outcome.errors);
        assert!(outcome.errors.contains("carries images of 32 × 24 mono8 from frame"), "{}", outcome.errors);
        assert_eq!(outcome.summary().restarts, 2, "{}", outcome.errors);
        // Where that is not wanted, it is the end.
        camera.fare("well");
        let producer = camera.start(&name, &["--no-restart"]);
        next(&mut attach(&name, false));
        camera.unplug();
        let outcome = producer.outcome(false);
        assert_eq!(outcome.status.code(), Some(1));
        assert!(outcome.errors.contains("is gone: it was unplugged"), "{}", outcome.errors);
    }
}
