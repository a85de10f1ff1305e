//! What is done with a stream whose bytes are anything.

use std::fmt::Display;
use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Instant;

use framebus::{Content, Frame, Publisher, StreamOptions, Subscriber, SubscriberOptions, Trace, Wait, list};

use crate::input::Input;
use crate::store::{Part, Store};
use crate::world::World;

/// Where the fields of a header, the words and the records are, so that an input need not guess: part, offset, bytes.
/// docs/layout.md names them.
#[rustfmt::skip]
const FIELDS: [(Part, usize, usize); 68] = {
    use Part::{Frames as F, Places as P};
    [
        (F, 0, 8), (F, 8, 4), (F, 12, 4), (F, 16, 8), (F, 24, 8), (F, 40, 8), (F, 104, 8), (F, 168, 4), (F, 172, 4),
        (F, 176, 4), (F, 180, 4), (F, 184, 8), (F, 192, 8), (F, 200, 8), (F, 208, 8), (F, 216, 8), (F, 224, 8),
        (F, 232, 4), (F, 236, 4), (F, 240, 8), (F, 248, 4), (F, 252, 4), (F, 256, 4), (F, 260, 4), (F, 264, 4),
        (F, 268, 4), (F, 272, 4), (F, 276, 4), (F, 280, 8), (F, 344, 8), (F, 352, 8), (F, 360, 4),
        // Control: latest, futex, state; the publisher's pid; the window's first words.
        (F, 1024, 8), (F, 1032, 4), (F, 1036, 4), (F, 1200, 4), (F, 4096, 8), (F, 4104, 8), (F, 4112, 8), (F, 4120, 8),
        // Places: header, and the words of the first two places.
        (P, 0, 8), (P, 8, 4), (P, 12, 4), (P, 16, 8), (P, 32, 8), (P, 96, 8), (P, 160, 8), (P, 168, 4), (P, 172, 4),
        (P, 256, 4), (P, 264, 8), (P, 272, 4), (P, 276, 4), (P, 280, 4), (P, 512, 4), (P, 520, 8), (P, 528, 4),
        (P, 532, 4), (P, 424, 4), (P, 432, 8),
        // Rings: number of events, time and kind of the first one, of the publisher and of the first place; when that was taken, its pid.
        (F, 1920, 8), (F, 1984, 8), (F, 1992, 8), (P, 4392, 8), (P, 4416, 8), (P, 4424, 8), (P, 424, 8), (P, 432, 4),
    ]
};

/// Numbers at which something ends.
const EDGES: [u64; 16] =
    [0, 1, 2, 3, 4, 5, 6, 7, 255, 65_535, u32::MAX as u64, 1 << 31, (1 << 48) - 1, 1 << 62, i64::MAX as u64, u64::MAX];

/// More steps than this tell nothing new.
const MOST_STEPS: usize = 48;

/// How many inputs there are for one that may list.
const RUNS_A_LIST: u32 = 64;
static RUNS: AtomicU32 = AtomicU32::new(0);

/// What an input holds of a stream.
struct Session<'a, S> {
    world: &'a mut World<S>,
    subscriber: Option<Subscriber>,
    frames: Vec<Frame>,
    publisher: Option<Publisher>,
    /// Looks on from outside.
    trace: Option<Trace>,
    /// Steps that cost much: at most one of each.
    may_list: bool,
    may_open: bool,
}

/// Runs an input: its first byte names a stream, the rest are steps.
pub fn run<S: Store>(worlds: &mut [World<S>], data: &[u8]) {
    let mut input = Input(data);
    let first = input.u8();
    let world = &mut worlds[usize::from(first & 15) % 10];
    // What lists all streams of the machine depends on others, and takes as long as they have streams.
    let may_list = RUNS.fetch_add(1, Relaxed).is_multiple_of(RUNS_A_LIST);
    let (subscriber, frames, publisher, may_open) = (None, Vec::new(), None, first >> 4 == 15);
    let trace = None;
    let mut session = Session { world, subscriber, frames, publisher, trace, may_list, may_open };
    for _ in 0..MOST_STEPS {
        if input.is_empty() {
            break;
        }
        session.step(&mut input);
    }
    // Whatever an input is about, somebody reads the stream in the end.
    if session.subscriber.is_none() {
        session.attach(0);
    }
    session.take(Subscriber::latest);
    session.take(Subscriber::next);
    session.look();
    session.trace();
    let Session { world, subscriber, frames, publisher, trace, .. } = session;
    drop((frames, subscriber, publisher, trace));
    world.restore();
}

fn say(error: impl Display) {
    assert!(!error.to_string().is_empty());
}

impl<S: Store> Session<'_, S> {
    fn step(&mut self, input: &mut Input) {
        match input.u8() % 16 {
            0 => self.set_field(input),
            1 => self.set_bytes(Part::Frames, input),
            2 => self.set_bytes(Part::Places, input),
            3 => self.set_frame(input),
            4 => self.write(Part::Frames, 1036, &u32::from(input.u8() % 6).to_ne_bytes()),
            5 => self.attach(input.u8()),
            6 => self.take(Subscriber::latest),
            7 => self.take(Subscriber::next),
            8 => self.wait(),
            9 if input.u8() & 1 != 0 => self.trace(),
            9 => self.look(),
            10 if !self.frames.is_empty() => drop(self.frames.remove(input.below(self.frames.len()))),
            11 => self.subscriber = None,
            12 => self.list(),
            13 => self.open(input.u8()),
            14 => self.publish(input.u8()),
            15 => self.fill(input),
            _ => {}
        }
    }

    fn write(&mut self, part: Part, offset: usize, bytes: &[u8]) {
        // Nobody but the publisher writes the frames: with one at work, only the places are fair game.
        if part == Part::Frames && self.publisher.is_some() {
            return;
        }
        if let Some(store) = &mut self.world.store {
            store.write(part, offset, bytes);
        }
    }

    fn set_field(&mut self, input: &mut Input) {
        let (part, offset, bytes) = FIELDS[usize::from(input.u8()) % FIELDS.len()];
        let how = input.u8();
        let value = match how {
            0..=63 => EDGES[usize::from(how) % EDGES.len()],
            64..=127 => {
                // Next to what stands there.
                let mut now = [0; 8];
                if let Some(store) = &self.world.store {
                    store.read(part, offset, &mut now[..bytes]);
                }
                u64::from_ne_bytes(now).wrapping_add(u64::from(how & 7)).wrapping_sub(4)
            }
            _ => input.u64(),
        };
        self.write(part, offset, &value.to_ne_bytes()[..bytes]);
    }

    fn set_bytes(&mut self, part: Part, input: &mut Input) {
        let offset = input.below(8192);
        let run = input.run(64).to_vec();
        self.write(part, offset, &run);
    }

    /// A frame that makes sense to a reader, with any numbers in it.
    fn set_frame(&mut self, input: &mut Input) {
        let geometry = match &self.subscriber {
            Some(subscriber) => *subscriber.geometry(),
            None => match framebus::Geometry::of(&self.world.options()) {
                Ok(geometry) => geometry,
                Err(_) => return,
            },
        };
        let slot = input.below(geometry.slots());
        let sequence = match input.u8() {
            edge @ 0..=127 => EDGES[usize::from(edge) % EDGES.len()],
            _ => input.u64(),
        };
        let packed = (sequence << 16 | slot as u64).to_ne_bytes();
        let record = (4096 + 8 * (geometry.history() + geometry.max_subscribers())).next_multiple_of(128) + slot * 128;
        self.write(Part::Frames, record, &sequence.wrapping_mul(2).to_ne_bytes());
        self.write(Part::Frames, 4096 + 8 * (sequence % geometry.history() as u64) as usize, &packed);
        self.write(Part::Frames, 1024, &packed);
        if input.u8() & 1 != 0 {
            // FrameInfo: len, width, height, stride, format.
            self.write(Part::Frames, record + 32, &input.u64().to_ne_bytes());
            for offset in [40, 44, 48, 52] {
                self.write(Part::Frames, record + offset, &u32::from(input.u8()).to_ne_bytes());
            }
        }
    }

    /// Much of a segment at once, or another length of a file that nobody has mapped.
    fn fill(&mut self, input: &mut Input) {
        let part = if input.u8() & 1 == 0 { Part::Frames } else { Part::Places };
        let (offset, len, byte) = (input.below(8192), input.below(8193), input.u8());
        if byte == 1 {
            self.trace = None;
            let unused = self.subscriber.is_none() && self.frames.is_empty() && self.publisher.is_none();
            if let Some(store) = self.world.store.as_mut().filter(|_| unused) {
                store.resize(part, offset * 8 + len % 8);
            }
            return;
        }
        self.write(part, offset, &vec![byte; len]);
    }

    fn attach(&mut self, how: u8) {
        self.subscriber = None;
        let mut options = SubscriberOptions::default();
        options.backend = self.world.backend.clone();
        options.wait = if how & 1 == 0 { Wait::Block } else { Wait::Spin };
        options.lossless = how & 2 != 0;
        options.label = "fuzz".to_owned();
        match Subscriber::attach_with(&self.world.name, options) {
            Ok(subscriber) => self.subscriber = Some(subscriber),
            Err(error) => say(error),
        }
    }

    fn take<E: Display>(&mut self, take: impl FnOnce(&mut Subscriber) -> Result<Option<Frame>, E>) {
        let Some(subscriber) = &mut self.subscriber else { return };
        match take(subscriber) {
            Ok(Some(frame)) => {
                look_at(&frame);
                self.frames.push(frame);
            }
            Ok(None) => {}
            Err(error) => say(error),
        }
    }

    fn wait(&mut self) {
        if let Some(Err(error)) = self.subscriber.as_mut().map(|subscriber| subscriber.wait(Instant::now())) {
            say(error);
        }
    }

    fn look(&self) {
        self.frames.iter().for_each(look_at);
        let Some(subscriber) = &self.subscriber else { return };
        black_box((subscriber.counters(), subscriber.publisher(), subscriber.has_newer(), subscriber.held()));
        black_box((subscriber.geometry(), subscriber.epoch(), subscriber.is_lossless(), subscriber.frames_memory()));
        say(subscriber.content());
        if let Some(rate) = subscriber.rate() {
            say(rate);
            black_box(rate.time_of(u64::MAX));
        }
    }

    fn trace(&mut self) {
        let (backend, name) = (&self.world.backend, &self.world.name);
        match self.trace.get_or_insert_with(|| Trace::open(backend, name)).poll() {
            Ok(traced) => {
                assert!(traced.events.len() < 1000, "no more than the rings have room for");
                traced.events.iter().for_each(|line| say(&line.event.fate));
            }
            Err(error) => say(error),
        }
    }

    fn list(&mut self) {
        if std::mem::take(&mut self.may_list) {
            black_box(list(&self.world.backend).expect("the kernel's table"));
        }
    }

    fn open(&mut self, how: u8) {
        if !std::mem::take(&mut self.may_open) {
            return;
        }
        // A publisher that finds a blank segment waits a while for those to go who use it: do not make it wait.
        if self.world.has_blank() {
            (self.subscriber, self.frames, self.trace) = (None, Vec::new(), None);
        }
        (self.world.store, self.world.published) = (None, true);
        match Publisher::open(&self.world.name, &other(self.world.options(), how)) {
            Ok(publisher) => self.publisher = Some(publisher),
            Err(error) => say(error),
        }
        self.world.open();
    }

    fn publish(&mut self, how: u8) {
        let Some(publisher) = &mut self.publisher else { return };
        if how & 7 == 7 {
            self.publisher = None;
            return;
        }
        black_box((publisher.counters(), publisher.subscribers(), publisher.next_sequence()));
        match publisher.loan() {
            Ok(mut loan) => {
                loan.fill(how);
                if how & 1 == 0 {
                    loan.publish();
                }
            }
            Err(error) => say(error),
        }
    }
}

/// The stream's options, or others.
fn other(mut options: StreamOptions, how: u8) -> StreamOptions {
    match how & 7 {
        1 => options.history += 1,
        2 => options.max_subscribers += 1,
        3 => options.max_held += 1,
        4 => options.content = Content::Bytes { capacity: 5000 },
        5 => options.rate = framebus::Rate::new(u32::MAX, 1),
        _ => {}
    }
    options.persist = how & 8 != 0;
    options
}

fn look_at(frame: &Frame) {
    let sum = |bytes: &[u8]| bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    black_box((frame.info().sequence, sum(frame)));
    if let Some(image) = frame.image() {
        say(image.shape());
        for plane in 0..4 {
            image.rows(plane).for_each(|row| {
                black_box(sum(row));
            });
        }
    }
}
