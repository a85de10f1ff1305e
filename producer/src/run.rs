//! A producer's run, from the arguments to the summary.
//!
//! A frame: wait for the deadline, wait for the source's next frame, take a loan, let the source write into it, publish.
//! What is made here (drawn, computed, decoded from pictures) is written ahead of the deadline, into its slot, and
//! published at it, as a camera with filled buffers does: the deadline is when it was "captured". A frame that is ready
//! when the run ends was never due; it counts as nothing. So does one that waits for a slot then.
//!
//! Where no slot is free:
//!
//! | | the frame |
//! |---|---|
//! | `on_full = "drop"` | is consumed from the source, so that time goes on, and counts as dropped |
//! | `on_full = "wait"`, pattern, imu, lidar, cameras | counts as dropped when the time to wait is over: a camera can not be stopped |
//! | `on_full = "wait"`, files, pipes and commands | is tried again until there is a slot: the source waits, and each of its frames is published |
//!
//! It is the same where the source's frames have changed and the stream can not follow, for want of memory; then it is asked
//! again [once a second](CHANGE_TRIED_EVERY).
//!
//! Lossless viewers that are stuck are evicted by the library when the time to wait is over (`on_stuck = "evict"`, the default),
//! and miss what is published meanwhile; or they make it refuse the frame (`"refuse"`), and then it is as above. Who was evicted is told
//! here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use framebus::{Content, ContentChange, ImageShape, LoanError, OnFull, Publisher, SetContentError, now_ns};
use framebus_program::usage;

use crate::arguments::Arguments;
use crate::pace::{Lead, Pace};
use crate::plan::Target;
use crate::realtime;
use crate::report::{Reporter, aside};
use crate::source::{Arrival, Opening, Order, Source, SourceSpec, Written};
use crate::stop::Stop;
use crate::summary::{Counts, Summary};

/// Least time between two tries, should the stream's time to wait be next to nothing.
const RETRY: Duration = Duration::from_millis(1);

/// Least time between two tries to change the stream for the same frames: each takes the memory on trial.
const CHANGE_TRIED_EVERY: Duration = Duration::from_secs(1);

/// How soon the end of the run is noticed meanwhile.
const SLICE: Duration = Duration::from_millis(20);

/// Publishes until the source, the frames or the time are at their end, or until SIGINT, SIGTERM or SIGHUP.
///
/// Takes over these signals for the rest of the process's life, and writes to standard output (`--json`) or standard
/// error.
///
/// # Errors
/// Whatever failed, with its causes; [`exit_code`](framebus_program::exit_code) tells wrong usage from a failed run.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let stop = Stop::on_signals()?;
    let target = Target::find(&arguments)?;
    let counts = Arc::new(Counts::default());
    end_after(arguments.seconds, &stop);
    let opening = Opening {
        stop: stop.clone(),
        counts: counts.clone(),
        restart: !arguments.no_restart,
        wish: target.wish(&arguments),
    };
    let opened = Instant::now();
    let Some(mut source) = Source::open(&arguments.source, opening)? else {
        // Stopped before the source had said what it is: there is a summary all the same.
        let reporter = Reporter::start(&target.name, &counts, arguments.interval, arguments.json, &stop)?;
        let (stream, spec) = (target.name.to_string(), arguments.source.to_string());
        return reporter.finish(&counts.summary(&stream, &spec, opened.elapsed().as_secs_f64(), 0, 0));
    };
    let (options, rate) = target.options(&arguments, source.told())?;
    let order = Order {
        name: target.name,
        content: options.content.clone(),
        rate,
        start_over: arguments.start_over,
        mark: !arguments.no_mark,
        sizes: arguments.sizes.clone(),
    };
    if !order.sizes.is_empty() && !matches!(arguments.source, SourceSpec::Pattern(_)) {
        return Err(usage!(
            "can not use --sizes with --source {}: the source has sizes of its own; leave out --sizes",
            arguments.source
        ));
    }
    source.prepare(&order)?;
    // Threads that shall not have this one's priority are there by now; the stream is not, should it be denied.
    let reporter = Reporter::start(&order.name, &counts, arguments.interval, arguments.json, &stop)?;
    realtime::apply(&arguments)?;
    let publisher = Publisher::open(&order.name, &options)?;
    tracing::info!(
        stream = %order.name,
        pid = std::process::id(),
        sequence = publisher.next_sequence(),
        "{}: {}, {}, {}, {} slots",
        beginning(&publisher),
        arguments.source,
        options.content,
        if arguments.is_paced() { format!("at {rate}") } else { "unpaced".to_owned() },
        publisher.geometry().slots(),
    );
    if options.huge_pages {
        tell_huge_pages(&publisher);
    }

    await_viewers(&publisher, arguments.await_viewers, &stop);
    end_after(arguments.seconds, &stop);
    let (begun, before) = (Instant::now(), publisher.counters());
    let (counts_too, lead) = (counts.clone(), Lead::default());
    let mut producer =
        Producer { publisher, source, stop, counts: counts_too, frames: arguments.frames, lead, refused: None };
    let pace = arguments.is_paced().then(|| Pace::new(rate, now_ns()));
    let result = producer.publish_all(pace);
    let after = producer.publisher.counters();
    // Both begin anew with the epoch that somebody's `ipcrm` makes necessary.
    let (waits, waited_ns) =
        (after.waits.saturating_sub(before.waits), after.waited_ns.saturating_sub(before.waited_ns));
    let cause = producer.cause(&result);
    // The stream ends before the summary is told: whoever reads that finds it gone.
    drop(producer);
    let (stream, spec) = (order.name.to_string(), arguments.source.to_string());
    let summary = counts.summary(&stream, &spec, begun.elapsed().as_secs_f64(), waits, waited_ns);
    let left = if options.persist { "left with its last frames" } else { "closed" };
    let Summary { published, drops, late, abandoned, restarts, lost, .. } = summary;
    let sequence = summary.last_sequence.unwrap_or(0);
    aside(|| {
        tracing::info!(stream, sequence, cause, published, drops, late, abandoned, restarts, lost, "stream {left}")
    });
    let told = reporter.finish(&summary);
    result.and(told)
}

/// What became of the name with this publisher.
fn beginning(publisher: &Publisher) -> &'static str {
    match (publisher.counters().publishers, publisher.next_sequence()) {
        (0 | 1, 1) => "stream created",
        (0 | 1, _) => "stream goes on in a new epoch",
        _ => "stream taken over",
    }
}

/// The kernel does not say when it gives no huge pages.
fn tell_huge_pages(publisher: &Publisher) {
    match publisher.memory() {
        Ok(memory) if memory.huge_bytes == 0 => tracing::warn!(
            "the kernel gave no huge pages: it has none, memory is too scattered, or \
             /sys/kernel/mm/transparent_hugepage/shmem_enabled says deny (docs/memory.md)"
        ),
        Ok(memory) => tracing::info!(
            "{} MiB of the frames are in huge pages, {} MiB are mapped",
            memory.huge_bytes >> 20,
            memory.mapped_bytes >> 20
        ),
        Err(error) => tracing::debug!("can not tell whether there are huge pages: {error}"),
    }
}

/// A stream's readers may come in any order; who wants them to see the first frame waits for them here.
fn await_viewers(publisher: &Publisher, viewers: usize, stop: &Stop) {
    if publisher.subscribers() < viewers {
        tracing::info!("waiting until {viewers} of the stream's viewers are attached: {}", publisher.name());
    }
    while publisher.subscribers() < viewers && !stop.is_asked() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn end_after(time: Option<Duration>, stop: &Stop) {
    if let Some(time) = time {
        stop.end_at_ns(now_ns().saturating_add(time.as_nanos() as u64));
    }
}

/// What the loop works with.
struct Producer {
    publisher: Publisher,
    source: Source,
    stop: Stop,
    counts: Arc<Counts>,
    /// End after so many were published.
    frames: Option<u64>,
    /// Of a source that is ahead.
    lead: Lead,
    /// The stream could not follow the source's last change.
    refused: Option<Refused>,
}

/// A change of the stream that could not be.
struct Refused {
    shape: ImageShape,
    /// When that was tried last.
    tried: Instant,
    why: String,
}

impl Refused {
    /// Whether it may be tried to change the stream to this.
    fn allows(before: Option<&Self>, shape: ImageShape, now: Instant) -> bool {
        before.is_none_or(|it| it.shape != shape || now.duration_since(it.tried) >= CHANGE_TRIED_EVERY)
    }
}

impl Producer {
    fn publish_all(&mut self, mut pace: Option<Pace>) -> anyhow::Result<()> {
        let is_ahead = self.source.is_ahead();
        while !self.stop.is_due() && self.frames.is_none_or(|frames| self.counts.published() < frames) {
            if let Some(pace) = &pace {
                let lead_ns = if is_ahead { self.lead.ns(pace) } else { 0 };
                if !pace.wait_until_before(lead_ns, &self.stop) {
                    break;
                }
            }
            if self.source.arrive()? == Arrival::End {
                break;
            }
            let published = self.follow_source()? && self.publish_one(pace.as_ref().filter(|_| is_ahead))?;
            self.note_evicted();
            if let Some(pace) = &mut pace {
                let now = now_ns();
                let behind = Duration::from_nanos(now.saturating_sub(pace.deadline_ns()));
                let late = u64::from(published && pace.is_late(now)) + pace.advance(now);
                self.counts.count_late(late);
                self.publisher.count_late(late, behind);
            }
        }
        Ok(())
    }

    /// Changes the stream with its source; false: that could not be, and the frame was consumed, or the run ends.
    fn follow_source(&mut self) -> anyhow::Result<bool> {
        let Some(shape) = self.source.shape() else { return Ok(true) };
        loop {
            if Refused::allows(self.refused.as_ref(), shape, Instant::now()) {
                match self.publisher.set_content(Content::Image(shape)) {
                    Ok(ContentChange::None) => return Ok(true),
                    Ok(change) => {
                        let how = if change == ContentChange::NewEpoch { " in a new epoch" } else { "" };
                        let sequence = self.publisher.next_sequence();
                        let name = self.publisher.name();
                        let carries = format!("stream {name} carries images of {shape} from frame {sequence} on{how}");
                        aside(|| tracing::info!("{carries}"));
                        return Ok(true);
                    }
                    // It may have room for it later, or for the next frame: nothing that ends a camera.
                    Err(error @ SetContentError::Refused { .. }) => {
                        let why = format!("{:#}", anyhow::Error::new(error));
                        self.refused = Some(Refused { shape, tried: Instant::now(), why });
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            self.refused.iter().for_each(|refused| self.counts.note_trouble(refused.why.clone()));
            if !self.tries_again() {
                self.counts.count_dropped();
                self.source.skip()?;
                return Ok(false);
            }
            if self.stop.is_due() {
                return Ok(false);
            }
            std::thread::sleep(SLICE);
        }
    }

    /// Whether a frame that can not be published now is tried again, for as long as it takes.
    fn tries_again(&self) -> bool {
        matches!(self.publisher.options().on_full, OnFull::Wait(_)) && self.source.is_recorded()
    }

    fn note_evicted(&mut self) {
        for evicted in self.publisher.take_evicted() {
            let OnFull::Wait(waited) = self.publisher.options().on_full else { continue };
            let name = self.publisher.name();
            self.counts.note_evicted(format!(
                "evicted {evicted} from stream {name}: it did not read for longer than {waited:?} (wait_ms); it is told, and all \
                 others go on"
            ));
        }
    }

    /// Why the run is over.
    fn cause(&self, result: &anyhow::Result<()>) -> &'static str {
        match framebus_program::signal_name() {
            _ if result.is_err() => "it failed",
            Some(signal) => signal,
            None if self.stop.is_asked() => "nobody reads standard output",
            None if self.stop.is_due() => "the time is over",
            None if self.frames.is_some_and(|frames| self.counts.published() >= frames) => "all frames are published",
            None => "the source has ended",
        }
    }

    /// Publishes the frame that has arrived, or consumes it; true: it was published. With a `pace`, it is ahead of that.
    fn publish_one(&mut self, pace: Option<&Pace>) -> anyhow::Result<bool> {
        let arrived_ns = now_ns();
        let tries_again = self.tries_again();
        loop {
            // Where it is tried again for long, they are told of all the same.
            self.note_evicted();
            match self.publisher.loan_unless(|| self.stop.is_due()) {
                Ok(mut loan) => {
                    let (sequence, begun_ns) = (loan.sequence(), now_ns());
                    // Of what is ahead, its deadline, or, should that be past, when it was begun; of all else, when its
                    // first bytes were there.
                    let capture_ns = pace.map_or(arrived_ns, |pace| pace.deadline_ns().max(begun_ns));
                    loan.set_capture_ns(capture_ns);
                    return match self.source.write(&mut loan, sequence, capture_ns) {
                        Ok(Written::Whole) => {
                            if let Some(taken_ns) = self.source.taken_ns() {
                                loan.set_capture_ns(taken_ns);
                            }
                            if let Some(pace) = pace {
                                self.lead.learn(now_ns().saturating_sub(begun_ns));
                                if !pace.wait(&self.stop) {
                                    loan.discard();
                                    return Ok(false);
                                }
                            }
                            loan.publish();
                            self.counts.count_published(sequence, now_ns());
                            Ok(true)
                        }
                        // Dropping the loan abandons the frame.
                        Ok(Written::Stopped | Written::Broken) => {
                            self.counts.count_abandoned();
                            Ok(false)
                        }
                        Err(error) => {
                            self.counts.count_abandoned();
                            Err(error)
                        }
                    };
                }
                // As with a frame that is ready when the run ends: it was never due.
                Err(LoanError::Stopped { .. }) => return Ok(false),
                Err(error @ (LoanError::Held { .. } | LoanError::Unread { .. })) => {
                    self.counts.note_trouble(error.to_string());
                    if tries_again {
                        if self.stop.is_due() {
                            return Ok(false);
                        }
                        std::thread::sleep(RETRY);
                        continue;
                    }
                    self.counts.count_dropped();
                    self.source.skip()?;
                    return Ok(false);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use framebus::PixelFormat;

    #[test]
    fn a_change_that_was_refused_is_tried_again_after_a_second_and_another_one_at_once() {
        let shape = |width| ImageShape::new(width, 480, PixelFormat::Mono8).unwrap();
        let tried = Instant::now();
        let refused = Refused { shape: shape(640), tried, why: "no memory".to_owned() };
        let allows = |width, ms| Refused::allows(Some(&refused), shape(width), tried + Duration::from_millis(ms));
        assert_eq!([0, 999, 1000].map(|ms| allows(640, ms)), [false, false, true]);
        assert!(allows(320, 0), "a smaller one may fit");
        assert!(Refused::allows(None, shape(640), tried));
    }
}
