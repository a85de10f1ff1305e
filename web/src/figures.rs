//! How a stream does, as our own subscriber sees it.

use std::time::{Duration, Instant};

use framebus::SubscriberCounters;
use framebus_program::Latencies;
use serde_json::{Value, json};

/// Length of the window that figures are told of.
const WINDOW: Duration = Duration::from_secs(1);

/// The figures of the last window.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    pub fps: f64,
    /// Median, 99th percentile, longest; `None` where no frame was measured.
    pub latency_ns: Option<[u64; 3]>,
    pub counters: SubscriberCounters,
    pub encoded_fps: f64,
    /// Mean of a picture; `None` where there was none.
    pub encode_ms: Option<f64>,
}

impl Figures {
    pub(crate) fn json(&self, error: Option<&str>) -> Value {
        let latency = |index: usize| self.latency_ns.map(|latencies| latencies[index]);
        json!({
            "fps": self.fps,
            "latency_p50_ns": latency(0),
            "latency_p99_ns": latency(1),
            "latency_max_ns": latency(2),
            "seen": self.counters.seen,
            "skipped": self.counters.skipped,
            "missed": self.counters.missed,
            "encoded_fps": self.encoded_fps,
            "encode_ms": self.encode_ms,
            "error": error,
        })
    }
}

/// What was encoded, counted by the encoders.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Encoded {
    pub pictures: u64,
    pub time: Duration,
}

/// A window that is being filled.
#[derive(Debug)]
pub(crate) struct Window {
    begun: Instant,
    frames: u64,
    latencies: Latencies,
}

impl Window {
    pub(crate) fn new() -> Self {
        Self { begun: Instant::now(), frames: 0, latencies: Latencies::new() }
    }

    /// A frame came; `None` where its latency means nothing.
    pub(crate) fn saw(&mut self, latency_ns: Option<u64>) {
        self.frames += 1;
        if let Some(latency_ns) = latency_ns {
            self.latencies.record(latency_ns);
        }
    }

    /// Whether it has lasted its second.
    pub(crate) fn is_over(&self) -> bool {
        self.begun.elapsed() >= WINDOW
    }

    /// Its figures; it begins anew.
    pub(crate) fn end(&mut self, counters: SubscriberCounters, encoded: Encoded) -> Figures {
        let seconds = self.begun.elapsed().as_secs_f64();
        let figures = Figures {
            fps: self.frames as f64 / seconds,
            latency_ns: self.latencies.read(),
            counters,
            encoded_fps: encoded.pictures as f64 / seconds,
            encode_ms: (encoded.pictures > 0).then(|| encoded.time.as_secs_f64() * 1e3 / encoded.pictures as f64),
        };
        self.latencies.clear();
        (self.begun, self.frames) = (Instant::now(), 0);
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_tells_what_came_in_it_and_forgets_it() {
        let mut window = Window::new();
        window.saw(None);
        for latency_us in 1..=100 {
            window.saw(Some(latency_us * 1000));
        }
        let figures =
            window.end(SubscriberCounters::default(), Encoded { pictures: 4, time: Duration::from_millis(40) });
        let [p50, p99, longest] = figures.latency_ns.unwrap();
        assert!(p50.abs_diff(50_000) < 1000 && p99.abs_diff(99_000) < 1500, "{p50} {p99}");
        assert_eq!((longest, figures.encode_ms), (100_000, Some(10.0)));
        assert!(figures.fps > 101.0, "{}", figures.fps);
        let figures = window.end(SubscriberCounters::default(), Encoded::default());
        assert_eq!((figures.latency_ns, figures.encode_ms, figures.fps), (None, None, 0.0));
    }
}
