//! The real stream against a slow, obvious one: the same frames, the same gaps, the same counters, whatever is done in
//! whatever order.

use std::sync::atomic::{AtomicU32, Ordering};

use framebus::*;

use crate::common;
use proptest::prelude::*;

const SUBSCRIBERS: usize = 3;
const MAX_HELD: usize = 2;

/// What can be done.
#[derive(Clone, Debug)]
enum Step {
    Publish,
    Abandon,
    Latest(usize),
    Next(usize),
    /// Drops the subscriber's oldest held frame.
    Drop(usize),
    /// Drops a subscriber with all that it holds, and attaches a new one.
    Reattach(usize),
    /// Ends the publisher without closing the stream, and opens the next one: of the same geometry, or another.
    Restart {
        history: u32,
        capacity: u32,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let who = 0..SUBSCRIBERS;
    let step = prop_oneof![
        8 => Just(Step::Publish),
        1 => Just(Step::Abandon),
        5 => who.clone().prop_map(Step::Latest),
        6 => who.clone().prop_map(Step::Next),
        6 => who.clone().prop_map(Step::Drop),
        1 => who.prop_map(Step::Reattach),
        1 => (1..4_u32, 1..3_u32).prop_map(|(history, size)| Step::Restart { history, capacity: size * 64 }),
    ];
    prop::collection::vec(step, 1..120)
}

/// The obvious stream.
struct Oracle {
    epochs: Vec<Epoch>,
    abandoned: u64,
    readers: Vec<Reader>,
}

#[derive(Clone, Copy)]
struct Epoch {
    /// Last sequence before it, and last one of it so far.
    base: u64,
    last: u64,
    history: u64,
    capacity: u32,
}

struct Reader {
    epoch: usize,
    last: u64,
    start: u64,
    /// Sequences that it holds, with their epochs.
    held: Vec<(usize, u64)>,
    counters: SubscriberCounters,
}

impl Epoch {
    fn oldest(&self) -> u64 {
        (self.last + 1).saturating_sub(self.history).max(self.base + 1)
    }
}

impl Oracle {
    fn now(&self) -> Epoch {
        *self.epochs.last().unwrap()
    }

    fn attach(&self) -> Reader {
        let epoch = self.epochs.len() - 1;
        Reader { epoch, last: 0, start: self.now().oldest(), held: Vec::new(), counters: SubscriberCounters::default() }
    }

    /// What an acquisition must give: a frame, nothing, or a refusal.
    fn acquire(&mut self, who: usize, in_order: bool) -> Result<Option<u64>, ()> {
        let (epochs, reader) = (&self.epochs, &mut self.readers[who]);
        let own = epochs[reader.epoch];
        if reader.epoch + 1 < epochs.len() && !(own.last > reader.last && own.last > own.base) {
            // All taken there: it moves on.
            reader.epoch = epochs.len() - 1;
            if reader.last == 0 {
                reader.start = epochs[reader.epoch].oldest();
            }
        }
        let epoch = epochs[reader.epoch];
        if reader.held.iter().filter(|(held, _)| *held == reader.epoch).count() == MAX_HELD {
            reader.counters.refused += 1;
            return Err(());
        }
        let wanted = if reader.last == 0 { reader.start } else { reader.last + 1 };
        let sequence = if in_order { wanted.max(epoch.oldest()) } else { epoch.last };
        if epoch.last == epoch.base || sequence > epoch.last {
            return Ok(None);
        }
        if sequence > reader.last {
            reader.counters.seen += 1;
            match in_order {
                true => reader.counters.missed += sequence - wanted,
                false if reader.last > 0 => reader.counters.skipped += sequence - wanted,
                false => {}
            }
            (reader.last, reader.counters.last_sequence) = (sequence, sequence);
        }
        reader.held.push((reader.epoch, sequence));
        Ok(Some(sequence))
    }
}

/// The real stream.
struct Real {
    name: StreamName,
    publisher: Option<Publisher>,
    subscribers: Vec<Subscriber>,
    held: Vec<Vec<Frame>>,
}

fn options(history: u32, capacity: u32) -> StreamOptions {
    let mut options = common::options(Content::Bytes { capacity });
    (options.history, options.max_held, options.persist) = (history, MAX_HELD as u32, true);
    options.prefault = Prefault::Off;
    options
}

impl Drop for Real {
    fn drop(&mut self) {
        self.held.clear();
        self.subscribers.clear();
        drop(self.publisher.take());
        remove(&crate::backend(), &self.name, true).unwrap();
    }
}

/// Whether the bytes are those that the frame of this sequence was given.
fn is_intact(frame: &Frame, sequence: u64, capacity: u32) -> bool {
    frame.info().sequence == sequence
        && frame.len() == capacity as usize
        && frame.iter().all(|&byte| byte == sequence as u8)
}

fn run(steps: &[Step]) -> Result<(), TestCaseError> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = StreamName::new(&format!("test-{}-oracle-{number}", std::process::id()), "front").unwrap();
    let first = Epoch { base: 0, last: 0, history: 2, capacity: 64 };
    let publisher = Publisher::open(&name, &options(2, 64)).unwrap();
    let subscribers = (0..SUBSCRIBERS).map(|_| common::attach(&name).unwrap()).collect();
    let held = (0..SUBSCRIBERS).map(|_| Vec::new()).collect();
    let mut real = Real { name, publisher: Some(publisher), subscribers, held };
    let mut oracle = Oracle { epochs: vec![first], abandoned: 0, readers: Vec::new() };
    oracle.readers = (0..SUBSCRIBERS).map(|_| oracle.attach()).collect();

    for step in steps {
        let publisher = real.publisher.as_mut().unwrap();
        match *step {
            Step::Publish => {
                let mut loan = publisher.loan().unwrap();
                let sequence = loan.sequence();
                loan.fill(sequence as u8);
                prop_assert_eq!(loan.publish(), oracle.now().last + 1);
                oracle.epochs.last_mut().unwrap().last += 1;
            }
            Step::Abandon => {
                publisher.loan().unwrap().fill(0xAA);
                oracle.abandoned += 1;
            }
            Step::Latest(who) | Step::Next(who) => {
                let in_order = matches!(step, Step::Next(_));
                let subscriber = &mut real.subscribers[who];
                let found = if in_order { subscriber.next() } else { subscriber.latest() };
                match (oracle.acquire(who, in_order), found) {
                    (Ok(expected), Ok(found)) => {
                        prop_assert_eq!(found.as_ref().map(|frame| frame.info().sequence), expected);
                        real.held[who].extend(found);
                    }
                    (Err(()), Err(AcquireError::AllHeld { .. })) => {}
                    (expected, found) => prop_assert!(false, "expected {expected:?}, found {found:?}"),
                }
                prop_assert_eq!(real.subscribers[who].counters(), oracle.readers[who].counters);
            }
            Step::Drop(who) => {
                if !real.held[who].is_empty() {
                    real.held[who].remove(0);
                    oracle.readers[who].held.remove(0);
                }
            }
            Step::Reattach(who) => {
                real.held[who].clear();
                real.subscribers.remove(who);
                real.subscribers.insert(who, common::attach(&real.name).unwrap());
                oracle.readers[who] = oracle.attach();
            }
            Step::Restart { history, capacity } => {
                drop(real.publisher.take());
                let publisher = Publisher::open(&real.name, &options(history, capacity)).unwrap();
                let now = oracle.now();
                if (now.history, now.capacity) != (u64::from(history), capacity) {
                    let (base, history) = (now.last, u64::from(history));
                    oracle.epochs.push(Epoch { base, last: base, history, capacity });
                    oracle.abandoned = 0;
                }
                real.publisher = Some(publisher);
            }
        }
        let counters = real.publisher.as_ref().unwrap().counters();
        prop_assert_eq!((counters.refused, counters.abandoned), (0, oracle.abandoned));
        for (reader, frames) in oracle.readers.iter().zip(&real.held) {
            for (&(epoch, sequence), frame) in reader.held.iter().zip(frames) {
                prop_assert!(is_intact(frame, sequence, oracle.epochs[epoch].capacity), "frame {sequence} changed");
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_stream_does_what_the_obvious_one_does(steps in steps()) {
        run(&steps)?;
    }
}
