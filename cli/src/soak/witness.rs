//! The soak's own subscriber on each stream: takes every frame in order, verifies every byte, and knows whether the
//! sequence may go where it went.
//!
//! Sequences strictly increase, over restarts, over other geometries, over `kill -9` at any instruction. The one exception
//! is a stream that its producer closed cleanly: that is its end, and the next stream of the name begins at 1. So a
//! sequence may go back only where a producer that does not `persist` was interrupted between the publication of the
//! frame before and that of the frame after, and the supervisor notes those times. Each close explains one new
//! beginning, no more.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use crossbeam_channel::Sender;
use framebus::{Frame, PublisherState, Subscriber, mark, now_ns};
use framebus_program::Latencies;

use super::backend::{Stream, subscriber};
use super::verdict::Promise;

/// What the witness is called among the stream's subscribers.
pub(super) const LABEL: &str = "witness";
/// How long it waits at a time, between looks at whether it is over.
const SLICE: Duration = Duration::from_millis(50);
/// A stream that is not there for so long is a finding of its own, by others.
const PATIENCE: Duration = Duration::from_millis(200);
/// No frame for at least so long, and so many periods, is told as a pause.
const PAUSE: Duration = Duration::from_millis(40);
const PAUSE_PERIODS: u64 = 5;
/// Clean closes that are remembered until the witness has seen what came after.
const CLOSES: usize = 64;

/// A producer was told to close its stream.
#[derive(Clone, Copy, Debug)]
struct Close {
    told_ns: u64,
    /// When it had ended, as far as it has.
    ended_ns: u64,
}

/// What the witness counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub taken: u64,
    pub missed: u64,
    pub torn: u64,
    /// Clean closes after which the stream began anew.
    pub beginnings: u64,
    /// Moves to another epoch.
    pub epochs: u64,
    pub last_sequence: u64,
}

/// Shared between the witness's thread and the supervisor.
#[derive(Debug)]
struct Shared {
    tally: Tally,
    /// Of the present second, and of the whole soak.
    second: Latencies,
    whole: Latencies,
    closes: Vec<Close>,
    last_frame: Instant,
}

/// Something that the witness has to say at once.
#[derive(Clone, Debug)]
pub(super) enum Remark {
    Broken {
        promise: Promise,
        at_ns: u64,
        detail: String,
    },
    /// Frames that were gone before they could be taken.
    Missed {
        at_ns: u64,
        frames: u64,
        before: u64,
    },
    /// No frame for a while; sequences, and what the stream carries now where it is another epoch.
    Pause {
        from_ns: u64,
        until_ns: u64,
        last: u64,
        next: u64,
        epoch: Option<String>,
    },
}

/// A witness at work.
pub(super) struct Witness {
    shared: Arc<Mutex<Shared>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Witness {
    pub(super) fn start(
        number: usize,
        stream: &Stream,
        period: Duration,
        remarks: Sender<(usize, Remark)>,
    ) -> anyhow::Result<Self> {
        let (second, whole) = (Latencies::new(), Latencies::new());
        let (tally, closes, last_frame) = (Tally::default(), Vec::new(), Instant::now());
        let shared = Arc::new(Mutex::new(Shared { tally, second, whole, closes, last_frame }));
        let stop = Arc::new(AtomicBool::new(false));
        let pause_ns = PAUSE.max(period * PAUSE_PERIODS as u32).as_nanos() as u64;
        let mut watch = Watch {
            stream: number,
            watched: stream.clone(),
            pause_ns,
            remarks,
            shared: shared.clone(),
            last: None,
            epoch: 0,
        };
        let stopped = stop.clone();
        let thread = std::thread::Builder::new().name(LABEL.to_owned()).spawn(move || {
            while !stopped.load(Relaxed) {
                watch.attach_and_watch(&stopped);
            }
        });
        Ok(Self { shared, stop, thread: Some(thread.context("starting the witness")?) })
    }

    pub(super) fn tally(&self) -> Tally {
        lock(&self.shared).tally
    }

    /// Time since the last frame.
    pub(super) fn silence(&self) -> Duration {
        lock(&self.shared).last_frame.elapsed()
    }

    /// Median, 99th percentile and maximum since the last call.
    pub(super) fn take_latency(&self) -> [Option<u64>; 3] {
        let mut shared = lock(&self.shared);
        let Shared { second, .. } = &mut *shared;
        let latency = second.read();
        second.clear();
        latency.map_or([None; 3], |figures| figures.map(Some))
    }

    /// Latencies of the whole soak.
    pub(super) fn latencies(&self) -> Latencies {
        lock(&self.shared).whole.clone()
    }

    /// The producer is about to be told to end, and will close the stream.
    pub(super) fn expect_close(&self) {
        let closes = &mut lock(&self.shared).closes;
        if closes.len() == CLOSES {
            closes.remove(0);
        }
        closes.push(Close { told_ns: now_ns(), ended_ns: u64::MAX });
    }

    /// The producer that was told so has ended, in whatever way.
    pub(super) fn note_closed(&self) {
        if let Some(close) = lock(&self.shared).closes.last_mut() {
            close.ended_ns = close.ended_ns.min(now_ns());
        }
    }

    /// Ends it: its place is free afterwards.
    pub(super) fn end(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.end();
    }
}

/// The last frame that was taken.
#[derive(Clone, Copy, Debug)]
struct Last {
    sequence: u64,
    publish_ns: u64,
}

struct Watch {
    stream: usize,
    watched: Stream,
    pause_ns: u64,
    remarks: Sender<(usize, Remark)>,
    shared: Arc<Mutex<Shared>>,
    last: Option<Last>,
    epoch: u64,
}

impl Watch {
    fn say(&self, remark: Remark) {
        let _ = self.remarks.send((self.stream, remark));
    }

    fn broken(&self, promise: Promise, detail: String) {
        self.say(Remark::Broken { promise, at_ns: now_ns(), detail });
    }

    fn attach_and_watch(&mut self, stop: &AtomicBool) {
        let options = subscriber(&self.watched.backend, LABEL, PATIENCE);
        let mut subscriber = match Subscriber::attach_with(&self.watched.name, options) {
            Ok(subscriber) => subscriber,
            // Not there yet, or not just now. That it comes back is looked after elsewhere.
            Err(framebus::AttachError::NotFound { .. } | framebus::AttachError::Unfinished { .. }) => return,
            Err(error) => {
                let promise = match error {
                    framebus::AttachError::Full { .. } => Promise::Places,
                    _ => Promise::GoesOn,
                };
                self.broken(promise, format!("the witness: {error}"));
                std::thread::sleep(PATIENCE);
                return;
            }
        };
        self.epoch = subscriber.epoch();
        let attached_ns = now_ns();
        while !stop.load(Relaxed) {
            if let Err(error) = self.watch_one(&mut subscriber, attached_ns) {
                self.broken(Promise::GoesOn, format!("the witness lost the stream: {:#}", anyhow::Error::new(error)));
                return;
            }
        }
        // What was published until now is seen to its end, unless somebody publishes for ever.
        for _ in 0..64 {
            if !subscriber.has_newer() || subscriber.publisher() == PublisherState::Alive {
                return;
            }
            let _ = self.watch_one(&mut subscriber, attached_ns);
        }
    }

    fn watch_one(&mut self, subscriber: &mut Subscriber, attached_ns: u64) -> Result<(), framebus::AcquireError> {
        if !subscriber.wait(Instant::now() + SLICE)? {
            return Ok(());
        }
        let before = subscriber.counters();
        let Some(frame) = subscriber.next()? else { return Ok(()) };
        let taken_ns = now_ns();
        let after = subscriber.counters();
        if after.seen == before.seen {
            return Ok(());
        }
        let moved = subscriber.epoch() != self.epoch;
        self.epoch = subscriber.epoch();
        let carries = moved.then(|| subscriber.content().to_string());
        self.examine(&frame, taken_ns, attached_ns, after.missed - before.missed, carries);
        Ok(())
    }

    fn examine(&mut self, frame: &Frame, taken_ns: u64, attached_ns: u64, missed: u64, moved: Option<String>) {
        let (sequence, publish_ns) = (frame.info().sequence, frame.info().publish_ns);
        let torn = mark::verify(frame, sequence);
        if let Err(error) = &torn {
            self.broken(Promise::Torn, format!("the witness: frame {sequence}: {error}"));
        }
        let begins = self.last.is_some_and(|last| sequence <= last.sequence);
        if begins {
            self.judge_beginning(sequence, publish_ns, moved.is_some());
        }
        if let Some(last) = self.last {
            if publish_ns < last.publish_ns {
                let detail = format!(
                    "frame {sequence} was published {} ns before frame {}, which was taken before it",
                    last.publish_ns - publish_ns,
                    last.sequence
                );
                self.broken(Promise::Order, detail);
            } else if publish_ns - last.publish_ns >= self.pause_ns {
                let (from_ns, until_ns) = (last.publish_ns, publish_ns);
                let epoch = moved.clone();
                self.say(Remark::Pause { from_ns, until_ns, last: last.sequence, next: sequence, epoch });
            }
        }
        if missed > 0 {
            self.say(Remark::Missed { at_ns: taken_ns, frames: missed, before: sequence });
        }
        self.last = Some(Last { sequence, publish_ns });
        let mut shared = lock(&self.shared);
        let shared = &mut *shared;
        let tally = &mut shared.tally;
        tally.taken += 1;
        tally.missed += missed;
        tally.torn += u64::from(torn.is_err());
        tally.beginnings += u64::from(begins);
        tally.epochs += u64::from(moved.is_some());
        tally.last_sequence = sequence;
        shared.last_frame = Instant::now();
        // A frame that was there before we came says nothing of the way.
        if publish_ns >= attached_ns {
            let latency_ns = taken_ns.saturating_sub(publish_ns);
            shared.second.record(latency_ns);
            shared.whole.record(latency_ns);
        }
    }

    /// The sequence is not greater than the last one: was the stream closed in between?
    fn judge_beginning(&mut self, sequence: u64, publish_ns: u64, moved: bool) {
        let Some(last) = self.last else { return };
        let explained = take_close(&mut lock(&self.shared).closes, last.publish_ns, publish_ns);
        if !explained {
            let epoch = if moved { "in a new epoch" } else { "in the same epoch" };
            let detail = format!(
                "the witness took frame {sequence} after frame {}, {epoch}, and no producer was closing the stream between \
                 their publications",
                last.sequence
            );
            self.broken(Promise::Order, detail);
        }
    }
}

/// Whether a close lies between two frames; it and those before it explain nothing any more then.
fn take_close(closes: &mut Vec<Close>, before_ns: u64, after_ns: u64) -> bool {
    let found = closes.iter().rposition(|close| close.told_ns <= after_ns && close.ended_ns >= before_ns);
    if let Some(index) = found {
        closes.drain(..=index);
    }
    found.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_explains_one_new_beginning_and_only_around_its_time() {
        let close = |told_ns, ended_ns| Close { told_ns, ended_ns };
        let mut closes = vec![close(100, 200), close(1000, u64::MAX)];
        assert!(!take_close(&mut closes, 300, 900), "nobody closed it then");
        assert!(take_close(&mut closes, 150, 500));
        assert!(!take_close(&mut closes, 150, 500), "that one is used up");
        assert!(take_close(&mut closes, 1100, 1200), "it has not ended yet, and goes on publishing for a moment");
        assert!(!take_close(&mut closes, 1100, 1200));
    }

    /// Frames as their publisher would make them, straight into a witness's eyes.
    fn watched(publish: impl FnOnce(&mut framebus::Publisher)) -> (Tally, Vec<Remark>) {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let bus = format!("test-{}-witness{}", std::process::id(), COUNT.fetch_add(1, Relaxed));
        let name = framebus::StreamName::new(&bus, "front").unwrap();
        let stream = Stream { name: name.clone(), backend: framebus::Backend::SysV };
        let mut options = framebus::StreamOptions::new(framebus::Content::Bytes { capacity: 4096 });
        options.history = 16;
        let mut publisher = framebus::Publisher::open(&name, &options).unwrap();
        let (sender, remarks) = crossbeam_channel::unbounded();
        let mut witness = Witness::start(0, &stream, Duration::from_secs(60), sender).unwrap();
        while publisher.subscribers() == 0 {
            std::thread::yield_now();
        }
        publish(&mut publisher);
        while witness.tally().taken < publisher.next_sequence() - 1 {
            std::thread::yield_now();
        }
        witness.end();
        (witness.tally(), remarks.try_iter().map(|(_, remark)| remark).collect())
    }

    #[test]
    fn good_frames_are_counted_and_nothing_is_said() {
        let (tally, remarks) = watched(|publisher| {
            for _ in 0..10 {
                let mut loan = publisher.loan().unwrap();
                let sequence = loan.sequence();
                mark::stamp(&mut loan, sequence, 0);
                loan.publish();
            }
        });
        assert_eq!((tally.taken, tally.torn, tally.last_sequence, remarks.len()), (10, 0, 10, 0), "{remarks:?}");
    }

    #[test]
    fn a_single_wrong_byte_breaks_the_promise() {
        let (tally, remarks) = watched(|publisher| {
            let mut loan = publisher.loan().unwrap();
            mark::stamp(&mut loan, 1, 0);
            loan[4000] ^= 1;
            loan.publish();
        });
        assert_eq!(tally.torn, 1);
        let Remark::Broken { promise: Promise::Torn, detail, .. } = &remarks[0] else { panic!("{remarks:?}") };
        assert!(detail.contains("frame 1: the bytes of frame 1 have the check sum"), "{detail}");
    }

    #[test]
    fn a_frame_of_another_sequence_breaks_the_promise() {
        let (tally, _) = watched(|publisher| {
            let mut loan = publisher.loan().unwrap();
            mark::stamp(&mut loan, 7, 0);
            loan.publish();
        });
        assert_eq!(tally.torn, 1);
    }
}
