//! Publishers that succeed each other, subscribers that come and go, frames that travel between threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use crate::heap::{Heap, Size};
use crate::subscriber::{Frame, Subscriber};

/// Frames that each subscriber takes: some tenths of a second, or what the variable says.
fn frames_to_take() -> u64 {
    let set = std::env::var("FRAMEBUS_HAMMER_FRAMES").ok();
    set.map_or(10_000, |frames| frames.parse().expect("FRAMEBUS_HAMMER_FRAMES is a number"))
}

/// Publishes until all subscribers are done; each publisher is succeeded by another, in a thread of its own.
fn publish(heap: &Heap, subscribers: &AtomicUsize) {
    const FRAMES_OF_A_PUBLISHER: u64 = 5_000;
    while subscribers.load(Relaxed) > 0 {
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut ledger = heap.ledger();
                for _ in 0..FRAMES_OF_A_PUBLISHER {
                    heap.publish(&mut ledger);
                }
            });
        });
    }
}

/// Takes frames, holds some for a while, and lets others go in another thread.
fn read(heap: &Arc<Heap>, in_order: bool, elsewhere: &SyncSender<Frame>) {
    let (mut taken, target) = (0, frames_to_take());
    while taken < target {
        // Each subscriber lives for a while; its frames may outlive it, so a place is free only when they are gone.
        let mut subscriber = Subscriber::new(heap);
        let mut held = Vec::new();
        for _ in 0..1000 {
            let frame = if in_order { subscriber.next() } else { subscriber.latest() };
            let Some(frame) = frame else {
                // No newer one, or they are all held.
                held.clear();
                thread::yield_now();
                continue;
            };
            taken += 1;
            match frame.sequence() % 4 {
                0 => held.push(frame),
                1 => elsewhere.send(frame).expect("somebody takes it"),
                _ => frame.verify(),
            }
        }
        match subscriber_goes_first(taken) {
            true => drop(subscriber),
            false => drop(std::mem::take(&mut held)),
        }
    }
}

fn subscriber_goes_first(taken: u64) -> bool {
    taken.is_multiple_of(2)
}

fn hammer(history: usize, max_held: usize) {
    const READERS: usize = 4;
    // Twice the places: a frame that is on its way elsewhere keeps that of a subscriber which is gone. So many may be on
    // their way, and one in the hands of the thread elsewhere.
    const TRAVELLING: usize = 8;
    let heap = Arc::new(Heap::new(Size { places: READERS * 2 + TRAVELLING + 1, history, max_held }));
    let busy = AtomicUsize::new(READERS);
    let (sender, receiver) = sync_channel::<Frame>(TRAVELLING);
    thread::scope(|scope| {
        scope.spawn(|| publish(&heap, &busy));
        scope.spawn(move || receiver.into_iter().for_each(drop));
        for reader in 0..READERS {
            let (sender, heap, busy) = (sender.clone(), &heap, &busy);
            scope.spawn(move || {
                // Also where this thread panics: the publisher must not go on for ever.
                let _done = Done(busy);
                read(heap, reader % 2 == 0, &sender);
            });
        }
        drop(sender);
    });
}

struct Done<'a>(&'a AtomicUsize);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[test]
fn a_window_of_one_frame_is_never_torn() {
    hammer(1, 2);
}

#[test]
fn a_window_of_some_frames_is_never_torn() {
    hammer(8, 3);
}
