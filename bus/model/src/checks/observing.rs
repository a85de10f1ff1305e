//! Observing: copying a frame out without a pin, from a segment that one may only read.

use loom::sync::Arc;
use loom::thread;

use super::super::slots::{self, Outrun};
use super::super::world::{Publisher, World};
use crate::explore::{Size, explore, explore_deaths};
use crate::sync::Ordering::Acquire;
use crate::sync::{Counts, mortal};
use crate::words::unpack;

/// Observes as often as the size says; what is returned is a whole frame, and time does not run backwards.
fn observer(world: &Arc<World>) -> thread::JoinHandle<()> {
    let world = world.clone();
    thread::spawn(move || {
        let mut last = 0;
        for _ in 0..world.size.reads {
            match slots::observe(world.words(), |slot, sequence| (sequence, world.glance(slot))) {
                Ok(Some((sequence, words))) => {
                    assert_eq!(words, [sequence; 2], "not the frame, or not all of it");
                    assert!(sequence >= last, "time ran backwards");
                    last = sequence;
                }
                Ok(None) => assert_eq!(last, 0, "there was a frame before"),
                Err(Outrun) => {}
            }
        }
    })
}

fn check(size: Size, bound: Option<usize>) {
    explore("observe", size, bound, |size| {
        let world = Arc::new(World::new(size));
        let observer = observer(&world);
        let mut publisher = Publisher::open(&world, 1);
        for _ in 0..size.frames {
            publisher.publish();
        }
        observer.join().unwrap();
        // Nobody publishes any more, so the first look succeeds.
        let newest = slots::observe(world.words(), |slot, _| world.glance(slot));
        assert_eq!(newest, Ok(Some([size.frames; 2])));
    });
}

pub(crate) fn an_observer_sees_whole_frames() {
    check(Size::new(0, 1, 1, 2, 1), None);
    check(Size::new(0, 1, 1, 3, 1), Some(3));
    check(Size::new(0, 1, 1, 4, 2), Some(1));
    check(Size::new(0, 2, 1, 4, 2), Some(2));
}

pub(crate) fn heavy_observer() {
    check(Size::new(0, 1, 1, 3, 1), None);
    check(Size::new(0, 1, 1, 4, 2), Some(2));
    check(Size::new(0, 2, 1, 4, 1), Some(4));
}

/// A reader whose pin somebody else has cleared: it has none, for all that the publisher knows. Behind its reads it finds out.
pub(crate) fn a_frame_whose_pin_was_voided_says_so() {
    for frames in [2, 3] {
        explore("a voided pin", Size::new(0, 1, 1, frames, 1), None, |size| {
            let world = Arc::new(World::new(size));
            let mut publisher = Publisher::open(&world, 1);
            publisher.publish();
            let reader = {
                let world = world.clone();
                thread::spawn(move || {
                    let (sequence, slot) = unpack(world.words().control.latest.load(Acquire));
                    let words = world.glance(slot);
                    if slots::is_still(world.words(), slot, sequence) {
                        assert_eq!(words, [sequence; 2], "it says that it is intact, and is not");
                    }
                })
            };
            for _ in 1..size.frames {
                publisher.publish();
            }
            reader.join().unwrap();
        });
    }
}

fn check_takeover(size: Size, bound: usize) {
    explore_deaths("observe, death and takeover", size, Some(bound), |size, steps| {
        let world = Arc::new(World::new(size));
        let mut publisher = Publisher::open(&world, 1);
        publisher.publish();
        let observer = observer(&world);
        let lived = mortal(Counts::All, steps, || publisher.publish());
        let mut successor = Publisher::open(&world, 2);
        for _ in 2..size.frames {
            successor.publish();
        }
        observer.join().unwrap();
        lived.is_none()
    });
}

pub(crate) fn an_observer_sees_whole_frames_over_a_takeover() {
    check_takeover(Size::new(0, 1, 1, 3, 1), 2);
    check_takeover(Size::new(0, 2, 1, 4, 1), 2);
}
