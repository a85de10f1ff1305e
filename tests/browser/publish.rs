//! Streams to look at: of the program `producer`, or with bytes that the tests know, published in the test itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use framebus::{Content, ImageShape, PixelFormat, Publisher, StreamName};

use crate::harness::{Running, TestStream, options};

/// The program `producer`; Ctrl-C ends it when it is dropped, and with it the stream.
pub struct Producer(Option<Running>);

impl Producer {
    /// Starts it, and waits for its first frame.
    pub fn start(stream: &TestStream, arguments: &str) -> Self {
        let producer = Self(Some(stream.producer(arguments)));
        stream.wait_for_frame(1);
        producer
    }

    /// `kill -9`: the stream stays.
    pub fn kill(mut self) {
        self.0.take().unwrap().kill();
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        if let Some(running) = self.0.take() {
            let ended = running.interrupt();
            assert!(ended.status.success() || std::thread::panicking(), "{ended:?}");
        }
    }
}

/// A publisher in a thread of its own; its stream is gone when it is dropped.
pub struct Publishing {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Publishing {
    /// Publishes frames that `paint` fills: it gets the bytes, and the number of the frame from 0.
    pub fn start(
        name: &StreamName,
        content: Content,
        period: Duration,
        mut paint: impl FnMut(&mut [u8], u32) + Send + 'static,
    ) -> Self {
        let mut publisher = Publisher::open(name, &options(content)).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            for number in 0.. {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                if let Ok(mut loan) = publisher.loan() {
                    loan.set_capture_ns(framebus::now_ns());
                    paint(&mut loan, number);
                    loan.publish();
                }
                std::thread::sleep(period);
            }
        });
        Self { stop, thread: Some(thread) }
    }

    /// Images that are all the same.
    pub fn still(name: &StreamName, width: u32, height: u32, format: PixelFormat, bytes: Vec<u8>) -> Self {
        let content = Content::Image(ImageShape::new(width, height, format).unwrap());
        Self::start(name, content, Duration::from_millis(40), move |frame, _| frame.copy_from_slice(&bytes))
    }
}

impl Drop for Publishing {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the publisher panicked");
        }
    }
}
