//! The encoders: few threads that make something of frames.
//!
//! An encoder takes a stream's newest frame when it is free for it, draws it for all who want it, gives it back, and only
//! then makes JPEGs. Streams stand in one queue, each at most once: so they take turns.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use axum::body::Bytes;
use crossbeam_channel::{Receiver, Sender, unbounded};
use framebus::{Frame, ImageView};
use framebus_picture::{Channel, FileKind, Preview, Reading};
use std::io::Cursor;
use std::sync::Mutex;

use crate::lock;
use crate::picture::{About, Picture, Style, Task};
use crate::still::{NO_IMAGE, Still, about};
use crate::watch::{Shot, Watched};

/// How much encoders stand back for everything else on the machine, the producers first of all (setpriority(2)).
const NICE: i32 = 10;

/// Previews that an encoder keeps for the next frame.
const PREVIEWS: usize = 4;

/// What an encoder is to do.
pub(crate) enum Job {
    /// What is wanted of a stream's newest frame.
    Live(Arc<Watched>),
    /// Something of a copy.
    Still(Arc<Still>, Task),
    /// To end.
    End,
}

/// The threads, and how busy they are.
pub(crate) struct Encoders {
    jobs: Sender<Job>,
    busy_ns: Arc<AtomicU64>,
    count: usize,
    /// When the business was last told, what it had come to then, and what was told.
    told: Mutex<(Instant, u64, f64)>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Encoders {
    /// Starts so many threads.
    ///
    /// # Errors
    /// The system has no more threads.
    pub(crate) fn start(count: usize) -> anyhow::Result<Self> {
        let (jobs, queue) = unbounded();
        let busy_ns = Arc::new(AtomicU64::new(0));
        let encoders = Self {
            jobs,
            busy_ns: busy_ns.clone(),
            count,
            told: Mutex::new((Instant::now(), 0, 0.0)),
            threads: Mutex::default(),
        };
        for index in 0..count {
            let encoder = Encoder { queue: queue.clone(), busy_ns: busy_ns.clone(), previews: Vec::new() };
            let builder = std::thread::Builder::new().name(format!("encoder {index}"));
            let thread = builder.spawn(move || encoder.run()).context("starting an encoder's thread")?;
            lock(&encoders.threads).push(thread);
        }
        Ok(encoders)
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Where jobs go.
    pub(crate) fn queue(&self) -> &Sender<Job> {
        &self.jobs
    }

    /// How busy they were in the last second or so, in per cent of all of them.
    pub(crate) fn busy_percent(&self) -> f64 {
        let (told_at, told_ns, percent) = &mut *lock(&self.told);
        let elapsed = told_at.elapsed();
        if elapsed >= Duration::from_millis(900) {
            let busy_ns = self.busy_ns.load(Ordering::Relaxed);
            *percent = (busy_ns - *told_ns) as f64 / elapsed.as_nanos() as f64 / self.count as f64 * 100.0;
            (*told_at, *told_ns) = (Instant::now(), busy_ns);
        }
        *percent
    }

    /// Ends the threads, behind what is in the queue.
    pub(crate) fn end(&self) {
        let threads = std::mem::take(&mut *lock(&self.threads));
        for _ in &threads {
            // Where no thread is left to hear it, all have ended.
            let _ = self.jobs.send(Job::End);
        }
        for thread in threads {
            // It catches panics; one outside has printed its message.
            let _ = thread.join();
        }
    }
}

/// One thread.
struct Encoder {
    queue: Receiver<Job>,
    busy_ns: Arc<AtomicU64>,
    previews: Vec<Preview>,
}

impl Encoder {
    fn run(mut self) {
        // Where it is not allowed, it runs as everybody does.
        let _ = rustix::process::setpriority_process(None, NICE);
        while let Ok(job) = self.queue.recv() {
            let begun = Instant::now();
            // Bytes that another process wrote must not end a thread that all streams share.
            let done = catch_unwind(AssertUnwindSafe(|| match job {
                Job::Live(watched) => {
                    self.live(&watched);
                    true
                }
                Job::Still(still, task) => {
                    self.still(&still, task);
                    true
                }
                Job::End => false,
            }));
            self.busy_ns.fetch_add(begun.elapsed().as_nanos() as u64, Ordering::Relaxed);
            if matches!(done, Ok(false)) {
                return;
            }
        }
    }

    /// Makes what is wanted of the stream's newest frame.
    fn live(&mut self, watched: &Arc<Watched>) {
        self.live_if(watched, Frame::is_intact);
    }

    /// The same, of a frame that is as its publisher wrote it: asked for behind all that is read of it.
    fn live_if(&mut self, watched: &Arc<Watched>, is_intact: impl FnOnce(&Frame) -> bool) {
        let Some((shot, tasks, turn)) = watched.begin_turn() else { return };
        let begun = Instant::now();
        let Shot { frame, latency_ns } = shot;
        let Some(view) = frame.image() else {
            tasks.into_iter().for_each(|task| task.refuse(NO_IMAGE));
            return;
        };
        let about = about(frame.info(), view.shape(), latency_ns);
        let mut drawn: Vec<Drawn> = Vec::new();
        let mut read: Vec<(Task, Read)> = Vec::new();
        for task in tasks.into_iter().filter(|task| !task.is_forgotten()) {
            match task {
                Task::Picture(style, reply) => match drawn.iter_mut().find(|drawn| drawn.style == style) {
                    Some(drawn) => drawn.replies.push(reply),
                    None => match self.draw(view, &style) {
                        Ok(preview) => drawn.push(Drawn { style, preview, replies: vec![reply] }),
                        Err(error) => Task::Picture(style, reply).refuse(&error),
                    },
                },
                Task::Still(reply) => match Still::of(&frame, latency_ns) {
                    Some(still) => read.push((Task::Still(reply), Read::Still(Arc::new(still)))),
                    None => Task::Still(reply).refuse(NO_IMAGE),
                },
                task => match Read::of(view, &task) {
                    Some(answer) => read.push((task, answer)),
                    None => task.refuse("not here"),
                },
            }
        }
        let is_intact = is_intact(&frame);
        drop(frame);
        if !is_intact {
            let pictures = drawn.into_iter().flat_map(|Drawn { style, preview, replies }| {
                self.previews.push(preview);
                replies.into_iter().map(move |reply| Task::Picture(style, reply))
            });
            turn.has_spoilt(pictures.chain(read.into_iter().map(|(task, _)| task)).collect());
            self.previews.truncate(PREVIEWS);
            return;
        }
        turn.has_read();
        read.into_iter().for_each(|(task, read)| read.answer(about, task));
        let count = drawn.len();
        for Drawn { style, preview, replies } in drawn {
            let picture = encode(about, style, &preview).map(Arc::new);
            if let Ok(picture) = &picture {
                watched.keep(picture.clone());
            }
            for reply in replies {
                let _ = reply.send(picture.clone());
            }
            self.previews.push(preview);
        }
        self.previews.truncate(PREVIEWS);
        turn.has_encoded(count, begun.elapsed());
    }

    /// Makes something of a copy.
    fn still(&mut self, still: &Arc<Still>, task: Task) {
        if task.is_forgotten() {
            return;
        }
        let Some(view) = still.image() else { return task.refuse(NO_IMAGE) };
        match task {
            Task::Picture(style, reply) => {
                let picture = self.draw(view, &style).and_then(|preview| {
                    let picture = encode(still.about(), style, &preview).map(Arc::new);
                    self.previews.push(preview);
                    picture
                });
                let _ = reply.send(picture);
                self.previews.truncate(PREVIEWS);
            }
            Task::Still(reply) => drop(reply.send(Ok(still.clone()))),
            Task::Save(kind, reply) => drop(reply.send(save(view, kind).map(|file| (still.about(), file)))),
            task => match Read::of(view, &task) {
                Some(read) => read.answer(still.about(), task),
                None => task.refuse("not here"),
            },
        }
    }

    fn draw(&mut self, view: ImageView<'_>, style: &Style) -> Result<Preview, String> {
        let mut preview = self.previews.pop().unwrap_or_default();
        preview.draw(view, &style.look).map_err(|error| format!("{error:#}"))?;
        Ok(preview)
    }
}

/// A preview, and who waits for its JPEG.
struct Drawn {
    style: Style,
    preview: Preview,
    replies: Vec<crate::picture::Reply<Arc<Picture>>>,
}

/// What was read of a frame and takes no JPEG; believed when the frame is known to be intact.
enum Read {
    Pixel(Option<Vec<Reading>>),
    Histogram(Vec<Channel>),
    Still(Arc<Still>),
}

impl Read {
    /// Reads what a task wants of an image; `None` where it wants something else.
    fn of(view: ImageView<'_>, task: &Task) -> Option<Self> {
        match task {
            Task::Pixel(x, y, _) => Some(Self::Pixel(framebus_picture::pixel(view, *x, *y))),
            Task::Histogram(_) => Some(Self::Histogram(framebus_picture::histogram(view))),
            Task::Picture(..) | Task::Still(_) | Task::Save(..) => None,
        }
    }

    /// Answers the task that it was read for. Who asked may have gone.
    fn answer(self, about: About, task: Task) {
        match (self, task) {
            (Self::Pixel(readings), Task::Pixel(_, _, reply)) => drop(reply.send(Ok((about, readings)))),
            (Self::Histogram(channels), Task::Histogram(reply)) => drop(reply.send(Ok((about, channels)))),
            (Self::Still(still), Task::Still(reply)) => drop(reply.send(Ok(still))),
            (_, task) => task.refuse("not here"),
        }
    }
}

fn encode(about: About, style: Style, preview: &Preview) -> Result<Picture, String> {
    // As a rule it is a tenth of the pixels' bytes.
    let mut jpeg = Vec::with_capacity(preview.rgb().len() / 8);
    framebus_picture::write_jpeg(preview, style.quality, &mut jpeg).map_err(|error| format!("{error:#}"))?;
    Ok(Picture { about, style, step: preview.step(), range: preview.range(), jpeg: jpeg.into() })
}

fn save(view: ImageView<'_>, kind: FileKind) -> Result<Bytes, String> {
    let mut file = Cursor::new(Vec::new());
    let encoded = framebus_picture::picture(view).and_then(|picture| kind.encode(&picture, &mut file));
    encoded.map(|()| file.into_inner().into()).map_err(|error| format!("{error:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use framebus::{Backend, Content, ImageShape, PixelFormat, Publisher, StreamName, StreamOptions};
    use tokio::sync::oneshot;

    use crate::watch::Key;

    /// An encoder in our hands, at a stream with one frame; `tell` gets it and what it is to work for.
    fn with_encoder(test: &str, tell: impl FnOnce(&mut Encoder, &Arc<Watched>)) {
        let name = StreamName::new(&format!("web-{test}-{}", std::process::id()), "front").unwrap();
        let shape = ImageShape::new(8, 8, PixelFormat::Mono8).unwrap();
        let mut publisher = Publisher::open(&name, &StreamOptions::new(Content::Image(shape))).unwrap();
        publisher.loan().unwrap().publish();
        let (jobs, queue) = unbounded();
        let mut encoder = Encoder { queue, busy_ns: Arc::default(), previews: Vec::new() };
        let watched = Arc::new(Watched::new(Key { name, backend: Backend::SysV }, jobs));
        std::thread::scope(|scope| {
            scope.spawn(|| watched.run(&|| false));
            let told = catch_unwind(AssertUnwindSafe(|| tell(&mut encoder, &watched)));
            watched.end();
            told.unwrap();
        });
    }

    impl Encoder {
        /// Works at the next job, whose frame is intact or not.
        fn work(&mut self, is_intact: bool) {
            match self.queue.recv_timeout(Duration::from_secs(30)) {
                Ok(Job::Live(watched)) => self.live_if(&watched, |_| is_intact),
                other => panic!("no frame: {}", other.is_ok()),
            }
        }
    }

    #[test]
    fn what_was_read_of_an_overwritten_frame_is_read_of_another_one() {
        with_encoder("intact", |encoder, watched| {
            let _waiting = watched.wait();
            let ((histogram, histogram_of), (still, still_of)) = (oneshot::channel(), oneshot::channel());
            let (pixel, mut pixel_of) = oneshot::channel();
            watched.ask(Task::Histogram(histogram));
            watched.ask(Task::Still(still));
            watched.ask(Task::Pixel(1, 1, pixel));
            encoder.work(false);
            assert!(pixel_of.try_recv().is_err(), "nothing is told of it");
            encoder.work(true);
            assert_eq!(pixel_of.try_recv().unwrap().unwrap().0.sequence, 1);
            assert_eq!(histogram_of.blocking_recv().unwrap().unwrap().1.len(), 1);
            assert_eq!(still_of.blocking_recv().unwrap().unwrap().about().sequence, 1);
        });
    }

    #[test]
    fn where_every_frame_is_overwritten_that_is_said() {
        with_encoder("spoilt", |encoder, watched| {
            let _waiting = watched.wait();
            let (histogram, mut histogram_of) = oneshot::channel();
            watched.ask(Task::Histogram(histogram));
            let error = loop {
                encoder.work(false);
                match histogram_of.try_recv() {
                    Ok(answer) => break answer.map(|_| ()).unwrap_err(),
                    Err(oneshot::error::TryRecvError::Empty) => {}
                    Err(error) => panic!("{error}"),
                }
            };
            assert!(error.contains("overwrites the frames"), "{error}");
        });
    }
}
