//! Publishers that die: behind every single step of theirs, and so may their successors.

use std::collections::HashMap;

use loom::sync::Arc;
use loom::thread;

use super::super::world::{Publisher, Reader, Stamp, World};
use crate::explore::{Size, explore_deaths, explore_two_deaths};
use crate::sync::{Counts, mortal};

/// A reader of every frame that it can get.
fn read_next(world: &Arc<World>) -> thread::JoinHandle<Vec<Stamp>> {
    let world = world.clone();
    thread::spawn(move || {
        let mut reader = Reader::in_new_place(&world, 0);
        for _ in 0..world.size.reads {
            reader.next(0);
            reader.release(0);
        }
        reader.seen
    })
}

/// What is published in the end, by sequence: a sequence that was seen is that frame for ever.
fn assert_seen_is_published(seen: &[Stamp], published: &[Stamp]) {
    let published: HashMap<_, _> = published.iter().copied().collect();
    for (sequence, author) in seen {
        assert!(
            published.get(sequence).is_none_or(|successor| successor == author),
            "frame {sequence} was seen, and its sequence used again"
        );
    }
}

/// Publishes two frames, as a successor who lives.
fn succeed(world: &World, author: u64) -> [Stamp; 2] {
    let known = world.latest_sequence();
    let mut publisher = Publisher::open(world, author);
    let next = publisher.ledger.next_sequence();
    assert!([known + 1, known + 2].contains(&next), "goes on with the next sequence");
    let mut publish = || if world.size.waits { publisher.publish_when_free() } else { publisher.publish() };
    [publish(), publish()]
}

/// A publisher dies behind `steps` steps of a life of two frames, its opening included.
fn check(size: Size, bound: usize) {
    explore_deaths("death of a publisher", size, Some(bound), |size, steps| {
        let world = Arc::new(World::new(size));
        world.leases.set(0, true);
        let reader = read_next(&world);
        let lived = mortal(Counts::All, steps, || {
            let mut publisher = Publisher::open(&world, 1);
            publisher.publish();
            publisher.publish();
        });
        let published = succeed(&world, 2);
        assert_seen_is_published(&reader.join().unwrap(), &published);
        lived.is_none()
    });
}

pub(crate) fn a_publisher_may_die_at_any_step() {
    check(Size::new(1, 1, 1, 4, 1), 2);
    check(Size::new(1, 2, 1, 4, 1), 2);
}

pub(crate) fn heavy_death_of_a_publisher() {
    check(Size::new(1, 1, 1, 4, 1), 3);
    check(Size::new(1, 2, 1, 4, 2), 3);
}

/// The publisher dies in its second or third frame, and its successor while it rebuilds what it must know, or in its
/// first frame.
fn check_two(size: Size, bound: usize) {
    explore_two_deaths("death of a publisher and of its successor", size, Some(bound), |size, first, second| {
        let world = Arc::new(World::new(size));
        world.leases.set(0, true);
        let mut publisher = Publisher::open(&world, 1);
        publisher.publish();
        let reader = read_next(&world);
        let one = mortal(Counts::Stores, first, || {
            publisher.publish();
            publisher.publish();
        });
        let two = mortal(Counts::Stores, second, || Publisher::open(&world, 2).publish());
        let published = succeed(&world, 3);
        assert_seen_is_published(&reader.join().unwrap(), &published);
        (one.is_none(), two.is_none())
    });
}

pub(crate) fn a_successor_may_die_at_any_step() {
    check_two(Size::new(1, 1, 1, 5, 1), 1);
    check_two(Size::new(1, 2, 1, 5, 1), 1);
}

pub(crate) fn heavy_death_of_a_successor() {
    check_two(Size::new(1, 2, 1, 5, 1), 2);
}

/// A lossless reader misses nothing over the death of a publisher.
fn check_lossless(size: Size, bound: usize) {
    explore_deaths("death of a publisher, lossless", size.waiting(), Some(bound), |size, steps| {
        let world = Arc::new(World::new(size));
        world.leases.set(0, true);
        // Before the first frame, so nothing may be missed.
        Reader::in_new_place(&world, 0).be_lossless();
        let reader = {
            let world = world.clone();
            thread::spawn(move || {
                let mut reader = Reader::in_new_place(&world, 0);
                reader.be_lossless();
                while reader.last < size.reads as u64 {
                    if !reader.next(0) {
                        thread::yield_now();
                    }
                    reader.release(0);
                }
                let seen: Vec<_> = reader.seen.iter().map(|stamp| stamp.0).collect();
                assert_eq!(seen, Vec::from_iter(1..=size.reads as u64), "a frame was missed");
                reader.end_lossless();
                reader.seen
            })
        };
        let lived = mortal(Counts::All, steps, || {
            let mut publisher = Publisher::open(&world, 1);
            publisher.publish_when_free();
            publisher.publish_when_free();
        });
        let published = succeed(&world, 2);
        assert_seen_is_published(&reader.join().unwrap(), &published);
        lived.is_none()
    });
}

// The one that died at once leaves all frames to its successor, so there are no more than the two of that to read.
pub(crate) fn a_lossless_reader_misses_nothing_over_a_takeover() {
    check_lossless(Size::new(1, 1, 1, 4, 2), 1);
    check_lossless(Size::new(1, 2, 1, 4, 2), 1);
}

pub(crate) fn heavy_takeover_of_a_lossless_reader() {
    check_lossless(Size::new(1, 1, 1, 4, 2), 2);
    check_lossless(Size::new(1, 2, 1, 4, 2), 2);
}
