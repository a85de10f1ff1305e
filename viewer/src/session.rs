//! The loop: wait for a frame, take it, look at it where it lies, give it back.
//!
//! Nothing is allocated for a frame, and nothing waits without an end: the loop comes round at least each [`SLICE`], to
//! see whether the user or the clock wants it to stop.

use crate::arguments::Arguments;
use crate::contract::interval_warning;
use crate::face::{self, Face, State, Wish};
use crate::figures::{Counts, Figures, Summary};
use crate::pipe::Pipe;
use crate::record::Recorder;
use crate::run::End;
use crate::snapshot::Snapshot;
use crate::status::{Status, event};
use crate::usual::Usual;
use crate::verify::Verifier;
use framebus::{AcquireError, Content, Frame, PublisherState, StreamName, Subscriber, now_ns};
use framebus_program::UsageError;
use std::collections::VecDeque;
use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The longest wait without a look around.
const SLICE: Duration = Duration::from_millis(100);

/// Least time between two words on what the frames are.
const CHANGE_SAID_EVERY: Duration = Duration::from_secs(1);

/// What happens to each frame.
pub(crate) struct Tasks {
    pub verifier: Option<Verifier>,
    pub pipe: Option<Pipe<File>>,
    pub snapshot: Option<Snapshot>,
    pub recorder: Option<Recorder>,
}

/// When it is enough, whatever the streams do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub until: Option<Instant>,
    pub frames: Option<u64>,
}

/// Why a stream is no longer viewed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    End(End),
    /// Another stream is to be viewed.
    Turn(StreamName),
}

/// An attached viewer at work.
pub(crate) struct Session<'a> {
    arguments: &'a Arguments,
    status: &'a Status,
    stop: &'a AtomicBool,
    subscriber: Subscriber,
    stream: String,
    tasks: &'a mut Tasks,
    face: Option<&'a mut Face>,
    limits: Limits,
    figures: Figures,
    held: VecDeque<Frame>,
    begun: Instant,
    begun_ns: u64,
    next_interval: Instant,
    next_beat: Instant,
    producer_is_there: bool,
    /// What was said last of the frames; `None` before the first.
    content: Option<Content>,
    /// When that may be said again.
    next_remark: Instant,
    /// Times that the publisher did not wait for us any longer.
    evicted: u64,
    /// Of this interval, it was said.
    told_eviction: bool,
    /// When the last new frame was taken; before the first, when the session began.
    taken_ns: u64,
    /// From a frame to the next one.
    usual: Usual,
}

impl<'a> Session<'a> {
    /// `lossless`: the publisher was asked to wait for us.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn begin(
        arguments: &'a Arguments,
        status: &'a Status,
        stop: &'a AtomicBool,
        subscriber: Subscriber,
        tasks: &'a mut Tasks,
        mut face: Option<&'a mut Face>,
        limits: Limits,
        lossless: bool,
    ) -> anyhow::Result<Self> {
        let stream = subscriber.name().to_string();
        let (begun, begun_ns) = (Instant::now(), now_ns());
        if let Some(face) = &mut face {
            face.set_state(State::Live);
        }
        let mut session = Self {
            figures: Figures::new(stream.clone(), arguments.label.clone()),
            held: VecDeque::with_capacity(arguments.hold_frames + 1),
            next_interval: begun + arguments.interval,
            next_beat: begun,
            producer_is_there: true,
            content: None,
            next_remark: begun,
            evicted: 0,
            told_eviction: false,
            taken_ns: begun_ns,
            usual: Usual::default(),
            arguments,
            status,
            stop,
            subscriber,
            stream,
            tasks,
            face,
            limits,
            begun,
            begun_ns,
        };
        session.figures.has_contract = !session.subscriber.contract().is_empty();
        let content = session.subscriber.content();
        event!(status, stream = session.stream, pid = std::process::id(), label = arguments.label, %content, "viewer attached");
        if arguments.takes_every() && lossless && !session.subscriber.is_lossless() {
            session.say(&format!(
                "the producer of {} does not wait for viewers (on_full = \"drop\"): frames that go before they are taken \
                 are counted as missed",
                session.stream
            ));
        }
        Ok(session)
    }

    /// Views the stream until something ends it.
    pub(crate) fn watch(&mut self) -> anyhow::Result<Leave> {
        loop {
            if let Some(leave) = self.look_around()? {
                return Ok(leave);
            }
            if !self.subscriber.wait(self.next_look())? {
                if self.arguments.until_closed && self.subscriber.publisher() == PublisherState::Closed {
                    return Ok(Leave::End(End::Closed));
                }
                self.look_for_producer();
                if let Some(leave) = self.show_again()? {
                    return Ok(leave);
                }
                continue;
            }
            if let Some(frame) = self.take()?
                && let Some(leave) = self.handle(frame)?
            {
                return Ok(leave);
            }
        }
    }

    /// All that becomes of a new frame.
    fn handle(&mut self, frame: Frame) -> anyhow::Result<Option<Leave>> {
        self.process(&frame)?;
        if self.arguments.hold > 0
            && let Some(leave) = self.linger(Duration::from_millis(self.arguments.hold))?
        {
            return Ok(Some(leave));
        }
        if self.arguments.hold_frames > 0 {
            self.held.push_back(frame);
            if self.held.len() > self.arguments.hold_frames {
                self.held.pop_front();
            }
        }
        let enough = self.limits.frames.is_some_and(|frames| self.counts().frames >= frames);
        Ok(enough.then_some(Leave::End(End::Frames)))
    }

    /// The figures of the whole. `watched` is why it ended.
    pub(crate) fn finish(mut self, watched: &anyhow::Result<Leave>) -> Summary {
        // Who stops of his own accord may have been waiting for a frame; a stream that is closed has no newer one.
        if !matches!(watched, Ok(Leave::End(End::Closed | End::Frames))) {
            self.judge_staleness();
        }
        self.figures.summary(self.counts(), self.begun.elapsed())
    }

    fn counts(&self) -> Counts {
        let (verified, torn) =
            self.tasks.verifier.as_ref().map_or((0, 0), |verifier| (verifier.verified, verifier.torn));
        let (recorded, record_skipped) = self.tasks.recorder.as_ref().map_or((0, 0), Recorder::counts);
        let counts = Counts::new(self.subscriber.counters(), self.subscriber.predictions(), verified, torn);
        let violations = self.subscriber.violations().into();
        Counts { recorded, record_skipped, evicted: self.evicted, violations, ..counts }
    }

    /// What is due by the clock, and whether it is time to end.
    fn look_around(&mut self) -> anyhow::Result<Option<Leave>> {
        if self.stop.load(Ordering::Relaxed) {
            return Ok(Some(Leave::End(End::Interrupted)));
        }
        if let Some(face) = &mut self.face {
            let wish = face.look()?;
            face.remarks().iter().for_each(|remark| self.status.say(remark));
            match wish {
                Some(Wish::Quit) => return Ok(Some(Leave::End(End::Quit))),
                Some(Wish::Turn(other)) => return Ok(Some(Leave::Turn(other))),
                None => {}
            }
        }
        let now = Instant::now();
        if self.limits.until.is_some_and(|until| now >= until) {
            return Ok(Some(Leave::End(End::Seconds)));
        }
        if now >= self.next_beat {
            self.status.beat();
            self.next_beat = now + SLICE;
        }
        if now >= self.next_interval {
            // Without drift; and after a long pause not for each interval that went by.
            self.next_interval = (self.next_interval + self.arguments.interval).max(now);
            self.judge_staleness();
            self.told_eviction = false;
            let (counts, held) = (self.counts(), self.subscriber.held());
            let interval = self.figures.end_interval(counts, now - self.begun, now_ns(), held);
            let warning = interval_warning(&interval, &self.subscriber.contract());
            if let Some(face) = &mut self.face {
                face.note(&interval);
            }
            self.status.interval(&interval)?;
            warning.iter().for_each(|warning| self.warn(warning));
        }
        Ok(None)
    }

    /// When to look around again at the latest.
    fn next_look(&self) -> Instant {
        let soon = Instant::now() + if self.face.is_some() { face::SLICE } else { SLICE };
        soon.min(self.next_interval).min(self.limits.until.unwrap_or(soon))
    }

    /// Says something, wherever the user looks.
    fn say(&mut self, text: &str) {
        self.status.say(text);
        if let Some(face) = &mut self.face {
            face.say(text);
        }
    }

    /// The next new frame; `None` where the stream changed between waiting and taking.
    fn take(&mut self) -> anyhow::Result<Option<Frame>> {
        let seen = self.subscriber.counters().seen;
        let taken = match self.arguments.takes_every() {
            false => self.subscriber.latest(),
            true => self.subscriber.next(),
        };
        let frame = match taken {
            Err(error @ AcquireError::Evicted { .. }) => return Ok(self.note_eviction(&error)),
            taken => taken?,
        };
        let acquired_ns = now_ns();
        let Some(frame) = frame.filter(|_| self.subscriber.counters().seen > seen) else { return Ok(None) };
        self.note_frame(&frame, acquired_ns)?;
        Ok(Some(frame))
    }

    /// Offers the newest frame to the face once more, where it wants to see it and there is none that it has not seen.
    fn show_again(&mut self) -> anyhow::Result<Option<Leave>> {
        // A newer one is taken as all are: with --mode every, `latest` would pass over those before it. Between this look
        // and `latest` there is no time for two.
        if !self.face.as_ref().is_some_and(|face| face.wants_frame()) || self.subscriber.has_newer() {
            return Ok(None);
        }
        let seen = self.subscriber.counters().seen;
        let frame = match self.subscriber.latest() {
            Ok(Some(frame)) => frame,
            // None to be had just now: it will be asked for again.
            Ok(None) | Err(AcquireError::AllHeld { .. }) => return Ok(None),
            Err(error @ AcquireError::Evicted { .. }) => return Ok(self.note_eviction(&error)),
            Err(error) => return Err(error.into()),
        };
        if self.subscriber.counters().seen > seen {
            self.note_frame(&frame, now_ns())?;
            return self.handle(frame);
        }
        if let Some(face) = &mut self.face {
            face.offer(&frame, true)?;
        }
        Ok(None)
    }

    /// The publisher waits for us no longer: what is gone is counted with the next frame, and from there on it shall wait again. No
    /// frame comes of it.
    fn note_eviction<T>(&mut self, error: &AcquireError) -> Option<T> {
        self.evicted += 1;
        self.subscriber.be_lossless();
        if !std::mem::replace(&mut self.told_eviction, true) {
            self.warn(&format!("{error}. From the next frame on it is waited for again"));
        }
        None
    }

    /// Counts it as a violation where there is no frame that is new enough. Between two frames the newest one is as old as their
    /// distance, whatever a contract says of frames when they are taken.
    fn judge_staleness(&mut self) {
        let usual = self.usual.most(self.subscriber.rate());
        if u128::from(now_ns().saturating_sub(self.taken_ns)) > usual.as_nanos() {
            self.subscriber.is_stale();
        }
    }

    /// Says that something is not as it should be, wherever the user looks.
    fn warn(&mut self, text: &str) {
        self.status.warn(text);
        if let Some(face) = &mut self.face {
            face.say(text);
        }
    }

    /// Counts a new frame.
    fn note_frame(&mut self, frame: &Frame, acquired_ns: u64) -> anyhow::Result<()> {
        let info = frame.info();
        self.taken_ns = acquired_ns;
        if !self.producer_is_there {
            self.usual.forget_last();
        }
        self.usual.saw(info.sequence, info.publish_ns);
        let latency_ns = (info.publish_ns >= self.begun_ns).then(|| acquired_ns.saturating_sub(info.publish_ns));
        self.figures.saw(info.sequence, info.capture_ns, acquired_ns, latency_ns);
        self.note_content(frame);
        self.note_changes(info.sequence)?;
        Ok(())
    }

    /// Everything that is done with a frame while it is ours.
    fn process(&mut self, frame: &Frame) -> anyhow::Result<()> {
        let view = frame.image();
        if let Some(verifier) = &mut self.tasks.verifier
            && let Some(remark) = verifier.check(frame, frame.info().sequence, &self.stream)?
        {
            self.say(&remark);
        }
        if let Some(pipe) = &mut self.tasks.pipe
            && let Some(remark) = pipe.write(frame, view, self.subscriber.rate())?
        {
            self.say(&remark);
        }
        let number = self.subscriber.counters().seen;
        if let Some(snapshot) = &mut self.tasks.snapshot
            && let Some(remark) = snapshot.offer(number, view)?
        {
            self.say(&remark);
        }
        if let Some(recorder) = &mut self.tasks.recorder
            && let Some(remark) = recorder.offer(frame, view, self.subscriber.rate())?
        {
            self.say(&remark);
        }
        match &mut self.face {
            Some(face) => face.offer(frame, false),
            None => Ok(()),
        }
    }

    /// Holds what is held so much longer, as a slow viewer does.
    fn linger(&mut self, time: Duration) -> anyhow::Result<Option<Leave>> {
        let over = Instant::now() + time;
        while Instant::now() < over {
            if let Some(leave) = self.look_around()? {
                return Ok(Some(leave));
            }
            std::thread::sleep(self.next_look().min(over).saturating_duration_since(Instant::now()));
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
        if let Some(face) = &mut self.face {
            face.set_state(State::Left(what));
        }
        let sequence = self.subscriber.counters().last_sequence;
        event!(self.status, stream = self.stream, sequence, cause = what, "publisher gone");
        if !self.status.is_logged() {
            self.status.say(&format!("the producer of {} {what}; waiting for the next one", self.stream));
        }
    }

    /// Says that the frames are others than before; at most once a second, should they change all the time.
    fn note_content(&mut self, frame: &Frame) {
        let declared = self.subscriber.content();
        let shape = matches!(declared, Content::Image(_)).then(|| frame.shape()).flatten().map(Content::Image);
        let found = shape.as_ref().unwrap_or(declared);
        if self.content.as_ref() == Some(found) || (self.content.is_some() && Instant::now() < self.next_remark) {
            return;
        }
        let found = found.clone();
        if let Some(before) = self.content.replace(found.clone()) {
            self.next_remark = Instant::now() + CHANGE_SAID_EVERY;
            self.say(&format!("stream {} carries {found} now, after {before}", self.stream));
        }
    }

    /// Says what is new about the stream that a new frame came from.
    fn note_changes(&mut self, sequence: u64) -> Result<(), UsageError> {
        if !self.producer_is_there {
            self.producer_is_there = true;
            self.figures.restarts += 1;
            if let Some(face) = &mut self.face {
                face.set_state(State::Live);
            }
            event!(self.status, stream = self.stream, sequence, restarts = self.figures.restarts, "publisher back");
            if !self.status.is_logged() {
                self.say(&format!("the producer of {} is back, with frame {sequence}", self.stream));
            }
        }
        if self.figures.epochs == self.subscriber.epoch() {
            return Ok(());
        }
        self.figures.epochs = self.subscriber.epoch();
        let content = self.subscriber.content();
        let epoch = self.figures.epochs;
        event!(self.status, stream = self.stream, sequence, epoch, %content, "viewer moved to a new epoch");
        check_held(&self.subscriber, self.arguments.hold_frames)
    }
}

/// Whether so many frames can be kept: one more is held for a moment.
///
/// # Errors
/// Where the stream allows for fewer.
pub(crate) fn check_held(subscriber: &Subscriber, wanted: usize) -> Result<(), UsageError> {
    let most = subscriber.geometry().max_held() - 1;
    if wanted <= most {
        return Ok(());
    }
    Err(UsageError(format!(
        "--hold-frames {wanted} is too much for stream {}: a subscriber may hold {} frames there, and one is the newest; \
         expected at most {most}, or a producer with max_held = {}",
        subscriber.name(),
        most + 1,
        wanted + 1
    )))
}
