//! The loop: wait for a frame, take it, look at it where it lies, give it back.
//!
//! Nothing is allocated for a frame, and nothing waits without an end: the loop comes round at least each [`SLICE`], to
//! see whether the user or the clock wants it to stop.

use crate::arguments::{Arguments, Mode};
use crate::figures::{Counts, Figures, Summary};
use crate::pipe::Pipe;
use crate::record::Recorder;
use crate::run::End;
use crate::snapshot::Snapshot;
use crate::status::Status;
use crate::verify::Verifier;
use framebus::{Content, Frame, PublisherState, Subscriber, now_ns};
use framebus_program::UsageError;
use std::collections::VecDeque;
use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The longest wait without a look around.
const SLICE: Duration = Duration::from_millis(100);

/// What happens to each frame.
pub(crate) struct Tasks {
    pub verifier: Option<Verifier>,
    pub pipe: Option<Pipe<File>>,
    pub snapshot: Option<Snapshot>,
    pub recorder: Option<Recorder>,
}

/// How a session ended.
pub(crate) struct Finished {
    pub summary: Summary,
    pub snapshot: Option<Snapshot>,
    pub recorded: anyhow::Result<()>,
}

/// An attached viewer at work.
pub(crate) struct Session<'a> {
    arguments: &'a Arguments,
    status: &'a Status,
    stop: &'a AtomicBool,
    subscriber: Subscriber,
    stream: String,
    tasks: Tasks,
    figures: Figures,
    held: VecDeque<Frame>,
    begun: Instant,
    begun_ns: u64,
    next_interval: Instant,
    next_beat: Instant,
    producer_is_there: bool,
    content: Content,
}

impl<'a> Session<'a> {
    pub(crate) fn begin(
        arguments: &'a Arguments,
        status: &'a Status,
        stop: &'a AtomicBool,
        subscriber: Subscriber,
        tasks: Tasks,
    ) -> anyhow::Result<Self> {
        let stream = subscriber.name().to_string();
        let (begun, begun_ns) = (Instant::now(), now_ns());
        let session = Self {
            figures: Figures::new(stream.clone(), arguments.label.clone())?,
            held: VecDeque::with_capacity(arguments.hold_frames + 1),
            next_interval: begun + arguments.interval,
            next_beat: begun,
            producer_is_there: true,
            content: subscriber.content().clone(),
            arguments,
            status,
            stop,
            subscriber,
            stream,
            tasks,
            begun,
            begun_ns,
        };
        session.check_held()?;
        let content = &session.content;
        tracing::debug!(stream = session.stream, %content, geometry = ?session.subscriber.geometry(), "attached");
        if arguments.mode == Mode::Every && !session.subscriber.is_lossless() {
            status.say(&format!(
                "the producer of {} does not wait for viewers (on_full = \"drop\"): frames that go before they are taken \
                 are counted as missed",
                session.stream
            ));
        }
        Ok(session)
    }

    /// One frame more than are kept is held for a moment.
    fn check_held(&self) -> Result<(), UsageError> {
        let (wanted, most) = (self.arguments.hold_frames, self.subscriber.geometry().max_held() - 1);
        if wanted <= most {
            return Ok(());
        }
        Err(UsageError(format!(
            "--hold-frames {wanted} is too much for stream {}: a subscriber may hold {} frames there, and one is the newest; \
             expected at most {most}, or a producer with max_held = {}",
            self.stream,
            most + 1,
            wanted + 1
        )))
    }

    /// Views the stream until something ends it.
    pub(crate) fn watch(&mut self) -> anyhow::Result<End> {
        let until = self.arguments.seconds.map(|seconds| self.begun + seconds);
        loop {
            if let Some(end) = self.look_around(until)? {
                return Ok(end);
            }
            if !self.subscriber.wait(self.next_look(until))? {
                if self.arguments.until_closed && self.subscriber.publisher() == PublisherState::Closed {
                    return Ok(End::Closed);
                }
                self.look_for_producer();
                continue;
            }
            let Some(frame) = self.take()? else { continue };
            self.process(&frame)?;
            if self.arguments.hold > 0
                && let Some(end) = self.linger(Duration::from_millis(self.arguments.hold), until)?
            {
                return Ok(end);
            }
            if self.arguments.hold_frames > 0 {
                self.held.push_back(frame);
                if self.held.len() > self.arguments.hold_frames {
                    self.held.pop_front();
                }
            }
            if self.arguments.frames.is_some_and(|frames| self.counts().frames >= frames) {
                return Ok(End::Frames);
            }
        }
    }

    /// The figures of the whole, and what became of the files. Waits for those that are on their way.
    pub(crate) fn finish(mut self) -> Finished {
        let lasted = self.begun.elapsed();
        let recorded = self.tasks.recorder.as_mut().map_or(Ok(()), Recorder::finish);
        let summary = self.figures.summary(self.counts(), lasted);
        Finished { summary, snapshot: self.tasks.snapshot, recorded }
    }

    fn counts(&self) -> Counts {
        let (verified, torn) =
            self.tasks.verifier.as_ref().map_or((0, 0), |verifier| (verifier.verified, verifier.torn));
        let (recorded, record_skipped) = self.tasks.recorder.as_ref().map_or((0, 0), Recorder::counts);
        let counts = Counts::new(self.subscriber.counters(), self.subscriber.predictions(), verified, torn);
        Counts { recorded, record_skipped, ..counts }
    }

    /// What is due by the clock, and whether it is time to end.
    fn look_around(&mut self, until: Option<Instant>) -> anyhow::Result<Option<End>> {
        if self.stop.load(Ordering::Relaxed) {
            return Ok(Some(End::Interrupted));
        }
        let now = Instant::now();
        if until.is_some_and(|until| now >= until) {
            return Ok(Some(End::Seconds));
        }
        if now >= self.next_beat {
            self.status.beat();
            self.next_beat = now + SLICE;
        }
        if now >= self.next_interval {
            // Without drift; and after a long pause not for each interval that went by.
            self.next_interval = (self.next_interval + self.arguments.interval).max(now);
            let (counts, held) = (self.counts(), self.subscriber.held());
            self.status.interval(&self.figures.end_interval(counts, now - self.begun, now_ns(), held))?;
        }
        Ok(None)
    }

    /// When to look around again at the latest.
    fn next_look(&self, until: Option<Instant>) -> Instant {
        let soon = Instant::now() + SLICE;
        soon.min(self.next_interval).min(until.unwrap_or(soon))
    }

    /// The next new frame; `None` where the stream changed between waiting and taking.
    fn take(&mut self) -> anyhow::Result<Option<Frame>> {
        let seen = self.subscriber.counters().seen;
        let frame = match self.arguments.mode {
            Mode::Latest => self.subscriber.latest()?,
            Mode::Every => self.subscriber.next()?,
        };
        let acquired_ns = now_ns();
        let Some(frame) = frame.filter(|_| self.subscriber.counters().seen > seen) else { return Ok(None) };
        let info = frame.info();
        let latency_ns = (info.publish_ns >= self.begun_ns).then(|| acquired_ns.saturating_sub(info.publish_ns));
        self.figures.saw(info.sequence, info.capture_ns, acquired_ns, latency_ns);
        self.note_changes(info.sequence)?;
        Ok(Some(frame))
    }

    /// Everything that is done with a frame while it is ours.
    fn process(&mut self, frame: &Frame) -> anyhow::Result<()> {
        let view = frame.image();
        if let Some(verifier) = &mut self.tasks.verifier
            && let Some(remark) = verifier.check(frame, frame.info().sequence, &self.stream)?
        {
            self.status.say(&remark);
        }
        if let Some(pipe) = &mut self.tasks.pipe
            && let Some(remark) = pipe.write(frame, view, self.subscriber.rate())?
        {
            self.status.say(&remark);
        }
        let number = self.subscriber.counters().seen;
        if let Some(snapshot) = &mut self.tasks.snapshot
            && let Some(remark) = snapshot.offer(number, view)?
        {
            self.status.say(&remark);
        }
        if let Some(recorder) = &mut self.tasks.recorder
            && let Some(remark) = recorder.offer(frame, view)?
        {
            self.status.say(&remark);
        }
        Ok(())
    }

    /// Holds what is held so much longer, as a slow viewer does.
    fn linger(&mut self, time: Duration, until: Option<Instant>) -> anyhow::Result<Option<End>> {
        let over = Instant::now() + time;
        while Instant::now() < over {
            if let Some(end) = self.look_around(until)? {
                return Ok(Some(end));
            }
            std::thread::sleep(self.next_look(until).min(over).saturating_duration_since(Instant::now()));
        }
        Ok(None)
    }

    /// Says it once when there is nobody to publish.
    fn look_for_producer(&mut self) {
        if !self.producer_is_there {
            return;
        }
        let what = match self.subscriber.publisher() {
            PublisherState::Gone => "is gone",
            PublisherState::Closed => "has closed the stream",
            _ => return,
        };
        self.producer_is_there = false;
        self.status.say(&format!("the producer of {} {what}; waiting for the next one", self.stream));
    }

    /// Says what is new about the stream that a new frame came from.
    fn note_changes(&mut self, sequence: u64) -> Result<(), UsageError> {
        if !self.producer_is_there {
            self.producer_is_there = true;
            self.figures.restarts += 1;
            self.status.say(&format!("the producer of {} is back, with frame {sequence}", self.stream));
        }
        if self.figures.epochs == self.subscriber.epoch() {
            return Ok(());
        }
        self.figures.epochs = self.subscriber.epoch();
        let content = self.subscriber.content();
        tracing::debug!(stream = self.stream, %content, geometry = ?self.subscriber.geometry(), "moved");
        if *content != self.content {
            self.status.say(&format!("stream {} carries {content} now, after {}", self.stream, self.content));
            self.content = content.clone();
        }
        self.check_held()
    }
}
