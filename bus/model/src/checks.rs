//! The checks. Each prints its size and how many executions it took.

use std::sync::Arc as StdArc;
use std::sync::atomic::{AtomicU64 as StdU64, Ordering as StdOrdering};

use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use super::slots::{self, PlaceSet, SlotLedger};
use super::world::{Reader, Size, World};

/// Runs a model in all its executions, or in those with at most `preemptions`.
pub(crate) fn explore(name: &str, preemptions: Option<usize>, model: impl Fn() + Sync + Send + 'static) {
    let executions = StdArc::new(StdU64::new(0));
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.max_branches = 10_000;
    let count = executions.clone();
    builder.check(move || {
        count.fetch_add(1, StdOrdering::Relaxed);
        model();
    });
    let bound = preemptions.map_or("exhaustive".to_owned(), |bound| format!("at most {bound} preemptions"));
    println!("{name}: {} executions, {bound}", executions.load(StdOrdering::Relaxed));
}

#[derive(Clone, Copy, Debug)]
enum Reads {
    Latest,
    Next,
    /// Every other read is a `next`.
    Mixed,
}

/// Publishes from one thread and reads in others; each reader holds as many frames as it may.
fn publish_and_read(size: Size, reads: Reads) {
    let world = Arc::new(World::new(size));
    let readers: Vec<_> = (0..size.places)
        .map(|place| {
            let world = world.clone();
            thread::spawn(move || {
                let mut reader = Reader::new(&world, place);
                for read in 0..size.reads {
                    let pin = read % size.max_held;
                    reader.release(pin);
                    match (reads, (read + place) % 2) {
                        (Reads::Latest, _) | (Reads::Mixed, 0) => reader.latest(pin),
                        (Reads::Next, _) | (Reads::Mixed, _) => reader.next(pin),
                    }
                }
                (0..size.max_held).for_each(|pin| reader.release(pin));
            })
        })
        .collect();
    let mut ledger = world.ledger();
    for _ in 0..size.frames {
        world.publish(&mut ledger, PlaceSet::default);
    }
    readers.into_iter().for_each(|reader| reader.join().unwrap());
}

fn size(places: usize, history: usize, max_held: usize, frames: u64, reads: usize) -> Size {
    Size { places, history, max_held, frames, reads, missing_slots: 0 }
}

pub(crate) fn latest_of_one_reader_is_never_torn() {
    explore("latest, N=1 H=1 K=1, 2 frames", None, || publish_and_read(size(1, 1, 1, 2, 2), Reads::Latest));
    explore("latest, N=1 H=1 K=1, 4 frames", Some(4), || publish_and_read(size(1, 1, 1, 4, 2), Reads::Latest));
}

pub(crate) fn next_of_one_reader_is_never_torn() {
    explore("next, N=1 H=1 K=1, 2 frames", None, || publish_and_read(size(1, 1, 1, 2, 2), Reads::Next));
    explore("next, N=1 H=1 K=1, 4 frames", Some(3), || publish_and_read(size(1, 1, 1, 4, 2), Reads::Next));
    explore("next, N=1 H=2 K=1, 4 frames", Some(4), || publish_and_read(size(1, 2, 1, 4, 2), Reads::Next));
}

pub(crate) fn a_reader_that_holds_two_frames_keeps_both() {
    explore("mixed, N=1 H=1 K=2", Some(3), || publish_and_read(size(1, 1, 2, 4, 3), Reads::Mixed));
}

pub(crate) fn two_readers_do_not_disturb_each_other() {
    explore("latest, N=2 H=1 K=1", Some(2), || publish_and_read(size(2, 1, 1, 3, 2), Reads::Latest));
    explore("mixed, N=2 H=1 K=1", Some(2), || publish_and_read(size(2, 1, 1, 3, 2), Reads::Mixed));
}

/// A reader dies with a pinned slot; the place's next holder claims the lease and pins on its own.
pub(crate) fn a_dead_readers_place_is_used_again_safely() {
    explore("reuse of a place, N=1 H=1 K=1, one slot fewer", Some(3), || {
        // One slot fewer: the publisher has to ask which leases are dropped.
        let world = Arc::new(World::new(Size { missing_slots: 1, ..size(1, 1, 1, 3, 1) }));
        // The lease: who holds the place, as the kernel keeps it.
        let lease = Arc::new(Mutex::new(false));
        let mut ledger = world.ledger();
        world.publish(&mut ledger, PlaceSet::default);
        // The dead one pinned the first frame, and its lease was dropped.
        let dead = slots::pin_latest(world.words(), &world.places[0].pins[0]).unwrap().unwrap();
        let successor = {
            let (world, lease) = (world.clone(), lease.clone());
            thread::spawn(move || {
                *lease.lock().unwrap() = true;
                slots::release(&world.places[0].pins[0]);
                let mut reader = Reader::new(&world, 0);
                reader.latest(0);
                reader.release(0);
                *lease.lock().unwrap() = false;
            })
        };
        for _ in 0..2 {
            let dropped = || {
                let mut dropped = PlaceSet::default();
                if !*lease.lock().unwrap() {
                    dropped.insert(0);
                }
                dropped
            };
            // With the slot held by a living reader there may be none: that is what `on_full` is for.
            if let Ok(slot) = ledger.claim(world.words(), &world.places, dropped) {
                world.write(&ledger, slot);
                ledger.publish(world.words(), &world.places, slot);
            }
        }
        let _ = dead;
        successor.join().unwrap();
    });
}

/// The publisher dies while it writes; a successor rebuilds the ledger and goes on.
pub(crate) fn a_publisher_that_died_in_a_loan_is_succeeded() {
    explore("takeover from a loan, N=1 H=1 K=1", Some(3), || {
        take_over(|world, first| {
            let slot = first.claim(world.words(), &world.places, PlaceSet::default).unwrap();
            world.write(first, slot);
        });
    });
}

/// The publisher ends behind its second publication, or dies in it, in the variants; a successor goes on.
pub(crate) fn a_successor_of_a_dead_publisher_goes_on() {
    explore("takeover, N=1 H=1 K=1", Some(3), || {
        take_over(|world, first| {
            world.publish(first, PlaceSet::default);
        });
    });
}

fn take_over(second_frame: impl Fn(&World, &mut SlotLedger)) {
    let world = Arc::new(World::new(size(1, 1, 1, 3, 2)));
    let reader = {
        let world = world.clone();
        thread::spawn(move || {
            let mut reader = Reader::new(&world, 0);
            for _ in 0..2 {
                reader.next(0);
                reader.release(0);
            }
        })
    };
    let mut first = world.ledger();
    world.publish(&mut first, PlaceSet::default);
    second_frame(&world, &mut first);
    drop(first);
    let mut second = world.ledger();
    assert!([2, 3].contains(&second.next_sequence()), "goes on with the next sequence");
    for _ in 0..2 {
        world.publish(&mut second, PlaceSet::default);
    }
    reader.join().unwrap();
}

/// A subscriber sleeps only where the publisher will see its flag: futex(2) as a lock and a condition.
pub(crate) fn no_wake_up_is_lost() {
    explore("sleep and wake, N=1", None, || {
        let world = Arc::new(World::new(size(1, 1, 1, 1, 1)));
        // The kernel's side of the futex: its bucket lock, and the queue of sleepers.
        let kernel = Arc::new((Mutex::new(()), Condvar::new()));
        let sleeper = {
            let (world, kernel) = (world.clone(), kernel.clone());
            thread::spawn(move || {
                while world.latest_sequence() == 0 {
                    let word = slots::announce_sleep(world.words(), &world.places[0]);
                    if world.latest_sequence() == 0 {
                        let guard = kernel.0.lock().unwrap();
                        // FUTEX_WAIT looks at the word under the lock, and sleeps only if it is as expected. A sleep
                        // that nobody ends is a deadlock, which loom reports.
                        if world.futex_word() == word {
                            drop(kernel.1.wait(guard).unwrap());
                        }
                    }
                    slots::end_sleep(&world.places[0]);
                }
            })
        };
        let mut ledger = world.ledger();
        if world.publish(&mut ledger, PlaceSet::default) {
            let _guard = kernel.0.lock().unwrap();
            kernel.1.notify_all();
        }
        sleeper.join().unwrap();
    });
}

/// With one slot fewer than the formula says, the publisher finds none.
pub(crate) fn one_slot_fewer() {
    explore("one slot fewer", None, || {
        publish_and_read(Size { missing_slots: 1, ..size(1, 1, 1, 3, 2) }, Reads::Latest);
    });
}
