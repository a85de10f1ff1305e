//! The source `v4l2:` over the real program. No machine that runs tests need have a camera: one is feigned by camera.c,
//! which is preloaded into the producer and answers what that asks of its device. Without a C compiler these tests are
//! skipped.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use framebus::StreamName;

/// Nothing here takes nearly so long; a test that hangs ends.
const WATCHDOG: Duration = Duration::from_secs(60);

/// A name that no other test, and no other run of this one, has.
fn stream(of: &str) -> StreamName {
    StreamName::new(&format!("v4l2-{}-{of}", std::process::id()), "camera").unwrap()
}

fn command(name: &StreamName, device: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_producer"));
    command
        .args(["--stream", &name.to_string(), "--source", &format!("v4l2:{device}"), "--json"])
        .args(arguments)
        .current_dir(std::env::temp_dir())
        .env_remove("FRAMEBUS_CONFIG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Waits until it ends: exit code, standard output, standard error.
fn outcome(mut child: Child) -> (Option<i32>, String, String) {
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > WATCHDOG {
            let _ = child.kill();
            panic!("the producer does not end");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let (mut out, mut errors) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    (child.wait().unwrap().code(), out, errors)
}

#[cfg(not(feature = "v4l2"))]
#[test]
fn a_program_without_cameras_says_how_to_come_by_one_that_has_them() {
    let (code, _, errors) = outcome(command(&stream("without"), "/dev/video0", &[]).spawn().unwrap());
    assert_eq!(code, Some(2));
    assert!(errors.contains("was built without the feature v4l2; build it with --features v4l2"), "{errors}");
    assert!(errors.contains("exec:ffmpeg -f v4l2 -i /dev/video0"), "{errors}");
}

#[cfg(feature = "v4l2")]
mod camera {
    use super::*;
    use std::path::PathBuf;

    use framebus::{ImageShape, PixelFormat, Subscriber, SubscriberOptions};
    use framebus_producer::Summary;
    use rustix::process::{Pid, Signal, kill_process};

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
            Producer(Some(command.spawn().unwrap()))
        }
    }

    /// A producer; ended by drop, with the time to remove its stream.
    struct Producer(Option<Child>);

    impl Producer {
        fn interrupt(&self) {
            let child = self.0.as_ref().unwrap();
            kill_process(Pid::from_child(child), Signal::INT).unwrap();
        }

        /// Waits until it has closed the camera, which is a memfd.
        fn until_it_lets_go(&self) {
            let files = format!("/proc/{}/fd", self.0.as_ref().unwrap().id());
            let begun = Instant::now();
            while std::fs::read_dir(&files).unwrap().flatten().any(|file| {
                std::fs::read_link(file.path()).is_ok_and(|to| to.to_string_lossy().contains("memfd:camera"))
            }) {
                assert!(begun.elapsed() < WATCHDOG, "the camera is not let go");
                std::thread::sleep(Duration::from_millis(2));
            }
        }

        fn outcome(mut self) -> (Option<i32>, String, String) {
            outcome(self.0.take().unwrap())
        }

        fn summary(self) -> (Summary, String) {
            let (code, out, errors) = self.outcome();
            assert_eq!(code, Some(0), "{errors}");
            (serde_json::from_str(out.lines().last().unwrap()).unwrap(), errors)
        }
    }

    impl Drop for Producer {
        fn drop(&mut self) {
            if self.0.is_some() {
                self.interrupt();
                let _ = outcome(self.0.take().unwrap());
            }
        }
    }

    fn attach(name: &StreamName) -> Subscriber {
        let mut options = SubscriberOptions::default();
        options.patience = WATCHDOG;
        Subscriber::attach_with(name, options).unwrap()
    }

    fn next(viewer: &mut Subscriber) -> framebus::Frame {
        assert!(viewer.wait(Instant::now() + WATCHDOG).unwrap(), "no frame comes");
        viewer.next().unwrap().unwrap()
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
            let (code, _, errors) = outcome(command(&stream("none"), device, &[]).spawn().unwrap());
            assert_eq!(code, Some(1), "{errors}");
            assert!(errors.contains(expected), "{errors}");
        }
    }

    #[test]
    fn frames_come_without_the_padding_of_the_drivers_rows_and_with_its_times() {
        let Some(camera) = Camera::new("well") else { return };
        let name = stream("yuyv");
        let producer = camera.start(&name, &["--frames", "25", "--await-viewers", "1"]);
        let mut viewer = attach(&name);
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
        let (summary, errors) = producer.summary();
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
        assert_eq!(attach(&name).rate().unwrap().hz(), 15.0);
        producer.interrupt();
        let (_, errors) = producer.summary();
        assert!(errors.contains("has no rate of 20 Hz in this mode"), "{errors}");
    }

    #[test]
    fn motion_jpeg_is_published_as_rgb_where_it_alone_has_the_size() {
        let Some(camera) = Camera::new("well") else { return };
        let name = stream("jpeg");
        let producer = camera.start(&name, &["--width", "128"]);
        let mut viewer = attach(&name);
        let frame = next(&mut viewer);
        assert_eq!(frame.len(), 128 * 96 * 3);
        assert!(frame[..3].iter().zip([200, 30, 60]).all(|(&found, expected)| found.abs_diff(expected) < 8));
        drop(frame);
        producer.interrupt();
        assert!(producer.summary().1.contains("gives 128 × 96 rgb8 (MJPG) at 30 Hz"));
    }

    #[test]
    fn a_camera_that_can_not_be_had_as_asked_is_an_error_that_says_what_there_is() {
        let Some(camera) = Camera::new("well") else { return };
        let (code, _, errors) = camera.start(&stream("size"), &["--width", "99"]).outcome();
        assert_eq!(code, Some(2));
        assert!(
            errors.contains("it has no mode of 99 × any that can be published; it has yuyv, YUYV: 64 × 48"),
            "{errors}"
        );
        camera.fare("busy");
        let (code, _, errors) = camera.start(&stream("busy"), &[]).outcome();
        assert_eq!(code, Some(1));
        assert!(errors.contains("another program captures from it"), "{errors}");
        camera.fare("strange");
        let (code, _, errors) = camera.start(&stream("strange"), &[]).outcome();
        assert_eq!(code, Some(1));
        assert!(errors.contains("its driver's answers make no sense"), "{errors}");
    }

    #[test]
    fn times_of_another_clock_are_not_taken_for_ours() {
        let Some(camera) = Camera::new("clock") else { return };
        let name = stream("clock");
        let producer = camera.start(&name, &[]);
        let mut viewer = attach(&name);
        let asked_ns = framebus::now_ns();
        let frame = next(&mut viewer);
        let frame = if frame.info().publish_ns < asked_ns { next(&mut viewer) } else { frame };
        assert!(frame.info().capture_ns <= frame.info().publish_ns);
        drop(frame);
        producer.interrupt();
        let (_, errors) = producer.summary();
        assert_eq!(errors.matches("does not say in CLOCK_MONOTONIC when a frame was taken").count(), 1, "{errors}");
    }

    #[test]
    fn damaged_frames_are_left_out_and_said_once() {
        let Some(camera) = Camera::new("damaged") else { return };
        let (summary, errors) = camera.start(&stream("damaged"), &["--frames", "5"]).summary();
        assert!(summary.abandoned >= 4, "{summary:?}");
        assert_eq!(errors.matches("the driver says that its data is damaged").count(), 1, "{errors}");
    }

    #[test]
    fn a_camera_that_is_unplugged_heals_when_it_is_back_and_not_as_another_one() {
        let Some(camera) = Camera::new("well") else { return };
        let name = stream("unplugged");
        let producer = camera.start(&name, &[]);
        let mut viewer = attach(&name);
        let epoch = viewer.epoch();
        let before = next(&mut viewer).info().sequence;
        camera.unplug();
        producer.until_it_lets_go();
        let last = viewer.latest().unwrap().map_or(before, |frame| frame.info().sequence);
        camera.fare("well");
        assert!(next(&mut viewer).info().sequence > last);
        assert_eq!(viewer.epoch(), epoch);
        camera.unplug();
        producer.until_it_lets_go();
        camera.fare("other");
        let (code, out, errors) = producer.outcome();
        assert_eq!(code, Some(1), "{errors}");
        assert!(errors.contains("came back as another camera, start this producer anew"), "{errors}");
        let summary: Summary = serde_json::from_str(out.lines().last().unwrap()).unwrap();
        assert_eq!(summary.restarts, 1, "{errors}");
        // Where that is not wanted, it is the end.
        camera.fare("well");
        let producer = camera.start(&name, &["--no-restart"]);
        next(&mut attach(&name));
        camera.unplug();
        let (code, _, errors) = producer.outcome();
        assert_eq!(code, Some(1));
        assert!(errors.contains("is gone: it was unplugged"), "{errors}");
    }
}
