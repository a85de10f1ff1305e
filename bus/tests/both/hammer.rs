//! A publisher and subscribers at the same time, in threads: every byte of every frame is verified, here and in the
//! thread that lets go of it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use framebus::*;

use crate::common::{attach, options};

/// Some kilobytes, so that a frame takes a while to write and to read.
const FRAME_BYTES: u32 = 8000;
const MAX_HELD: u32 = 4;

/// Frames that each subscriber takes: a moment's worth, or what the variable says.
fn frames_to_take() -> u64 {
    let set = std::env::var("FRAMEBUS_STRESS_FRAMES").ok();
    set.map_or(2_000, |frames| frames.parse().expect("FRAMEBUS_STRESS_FRAMES is a number"))
}

fn verify(frame: &Frame) {
    mark::verify(frame, frame.info().sequence).unwrap();
}

/// Counts down when a subscriber's thread ends, also by a panic: the publisher must not go on for ever.
struct Busy<'a>(&'a AtomicUsize);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn publish(name: &StreamName, options: &StreamOptions, busy: &AtomicUsize) {
    // Each publisher is succeeded by another one, as after a crash: the last of them closes the stream.
    while busy.load(Ordering::Relaxed) > 0 {
        let mut publisher = Publisher::open(name, options).unwrap();
        for _ in 0..1_000 {
            let mut loan = publisher.loan().expect("a slot is always free");
            let sequence = loan.sequence();
            mark::stamp(&mut loan, sequence, now_ns());
            loan.publish();
        }
    }
}

fn read(mut subscriber: Subscriber, in_order: bool, elsewhere: SyncSender<Frame>) {
    let (mut held, mut last, target) = (Vec::new(), 0, frames_to_take());
    let watchdog = Instant::now() + Duration::from_secs(300);
    while subscriber.counters().seen < target {
        assert!(Instant::now() < watchdog, "only {} frames so far", subscriber.counters().seen);
        let taken = if in_order { subscriber.next() } else { subscriber.latest() };
        match taken {
            Ok(Some(frame)) => {
                let sequence = frame.info().sequence;
                assert!(if in_order { sequence > last } else { sequence >= last }, "{sequence} behind {last}");
                last = sequence;
                verify(&frame);
                match sequence % 3 {
                    0 => held.push(frame),
                    1 => elsewhere.send(frame).expect("somebody takes it"),
                    _ => {}
                }
            }
            Ok(None) => assert!(subscriber.wait(watchdog).unwrap(), "no frame comes"),
            // They did not change while they were held.
            Err(AcquireError::AllHeld { .. }) => held.drain(..).for_each(|frame| verify(&frame)),
            Err(error) => panic!("{error}"),
        }
        // All of them may be elsewhere.
        thread::yield_now();
    }
    // Those that are elsewhere, and these, outlive their subscriber.
    drop(subscriber);
    held.iter().for_each(verify);
}

fn let_go(frames: Receiver<Frame>) {
    frames.into_iter().for_each(|frame| verify(&frame));
}

#[test]
fn many_threads_see_no_torn_frame() {
    const SUBSCRIBERS: u32 = 4;
    let name = StreamName::new(&format!("test-{}-hammered", std::process::id()), "front").unwrap();
    let mut options = options(Content::Bytes { capacity: FRAME_BYTES });
    (options.history, options.max_subscribers, options.max_held) = (3, SUBSCRIBERS, MAX_HELD);
    options.persist = true;
    // From here on there is a stream to attach to.
    drop(Publisher::open(&name, &options).unwrap());
    let busy = AtomicUsize::new(SUBSCRIBERS as usize);
    thread::scope(|scope| {
        for reader in 0..SUBSCRIBERS {
            let subscriber = attach(&name).unwrap();
            let (sender, receiver) = sync_channel(MAX_HELD as usize);
            scope.spawn(|| let_go(receiver));
            let busy = &busy;
            scope.spawn(move || {
                let _busy = Busy(busy);
                read(subscriber, reader % 2 == 0, sender);
            });
        }
        scope.spawn(|| publish(&name, &options, &busy));
    });
    options.persist = false;
    drop(Publisher::open(&name, &options).unwrap());
    assert!(crate::common::status(&name).is_none(), "the last publisher closed it");
}

/// How often a stream is made.
const CREATIONS: usize = 500;

/// Who attaches while the stream is being made sees it at any stage, and waits, or takes what is ready.
#[test]
fn a_stream_that_is_being_made_is_no_stranger() {
    let name = StreamName::new(&format!("test-{}-made", std::process::id()), "front").unwrap();
    let (options, made) = (options(Content::Bytes { capacity: 64 }), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while made.load(Ordering::Relaxed) < CREATIONS {
                    match attach(&name) {
                        Ok(_) | Err(AttachError::NotFound { .. } | AttachError::Unfinished { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
        while made.fetch_add(1, Ordering::Relaxed) < CREATIONS {
            drop(Publisher::open(&name, &options).unwrap());
        }
    });
}
