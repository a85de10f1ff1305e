//! Readers that die: behind every single step of theirs. The kernel drops their lease, and their place is used again.

use loom::sync::Arc;
use loom::thread;

use super::super::slots;
use super::super::world::{Publisher, Reader, World};
use crate::explore::{Size, explore, explore_deaths, explore_two_deaths};
use crate::sync::{Counts, mortal};

/// A reader's life: it holds all it may, and sleeps in between.
fn live(reader: &mut Reader<'_>, world: &World) {
    reader.latest(0);
    // It says that it will sleep, and does not: to die asleep is to die here.
    slots::announce_sleep(world.words(), &world.places[0]);
    slots::end_sleep(&world.places[0]);
    let second = world.size.max_held - 1;
    if second == 0 {
        reader.release(0);
    }
    reader.next(second);
    reader.release_all();
}

/// What comes behind a death.
#[derive(Clone, Copy)]
struct Story {
    lossless: bool,
    /// Whether another reader takes the place.
    heir: bool,
}

/// A reader dies behind `steps` steps, attaching included; another one takes its place and reads. Returns whether it died.
fn die(world: &World, steps: usize, story: Story) -> bool {
    let lived = mortal(Counts::All, steps, || {
        let mut reader = Reader::attach(world, 0);
        if story.lossless {
            reader.be_lossless();
        }
        live(&mut reader, world);
    });
    world.leases.set(0, false);
    if story.heir {
        let mut heir = Reader::attach(world, 0);
        heir.latest(0);
        heir.release(0);
        // It lives on, and holds nothing.
    }
    lived.is_none()
}

/// A stream during which the reader of place 0 dies; `publish` publishes a frame or does not.
fn with_a_death(size: Size, steps: usize, story: Story, publish: impl Fn(&mut Publisher<'_>)) -> bool {
    let world = Arc::new(World::new(size));
    let mut publisher = Publisher::open(&world, 1);
    publish(&mut publisher);
    let mortal_reader = {
        let world = world.clone();
        thread::spawn(move || die(&world, steps, story))
    };
    for _ in 1..size.frames {
        publish(&mut publisher);
    }
    let died = mortal_reader.join().unwrap();
    // Whatever the dead one left in the place, it holds nothing back, in no slot.
    for _ in 0..=size.history {
        publisher.publish();
    }
    died
}

fn check(size: Size, bound: usize, heir: bool) {
    let what = format!("death of a reader{}", if heir { ", and its heir" } else { "" });
    explore_deaths(&what, size, Some(bound), move |size, steps| {
        with_a_death(size, steps, Story { lossless: false, heir }, |publisher| {
            if size.missing_slots == 0 {
                publisher.publish();
            } else if let Ok(slot) = publisher.claim() {
                // The living may leave no slot, and the publisher has to ask who is dead.
                publisher.publish_in(slot);
            }
        })
    });
}

pub(crate) fn a_reader_may_die_at_any_step() {
    check(Size::new(1, 1, 1, 3, 1), 2, true);
    check(Size::new(1, 2, 1, 4, 2), 1, true);
    check(Size::new(1, 1, 2, 4, 2), 1, true);
    check(Size::new(1, 1, 1, 3, 2), 1, false);
}

pub(crate) fn a_reader_may_die_where_slots_are_few() {
    check(Size::new(1, 1, 1, 3, 1).without_slots(1), 2, true);
    check(Size::new(1, 2, 1, 4, 2).without_slots(1), 1, true);
    check(Size::new(1, 1, 2, 4, 2).without_slots(2), 1, true);
    check(Size::new(1, 1, 1, 3, 2).without_slots(1), 1, false);
}

pub(crate) fn heavy_death_of_a_reader() {
    check(Size::new(1, 1, 1, 3, 2), 2, true);
    check(Size::new(1, 1, 1, 3, 2).without_slots(1), 2, true);
    check(Size::new(1, 1, 1, 4, 2), 2, true);
    check(Size::new(1, 2, 1, 4, 2), 2, true);
    check(Size::new(1, 1, 2, 3, 2).without_slots(2), 2, true);
    check(Size::new(1, 2, 1, 4, 2).without_slots(1), 2, false);
    check(Size::new(1, 1, 1, 3, 2), 3, false);
}

/// The dead one's heir dies too.
pub(crate) fn heavy_death_of_an_heir() {
    for size in [Size::new(1, 1, 1, 3, 1), Size::new(1, 1, 1, 3, 1).without_slots(1)] {
        explore_two_deaths("death of a reader, and of its heir", size, Some(1), |size, first, second| {
            let world = Arc::new(World::new(size));
            let mut publisher = Publisher::open(&world, 1);
            publisher.publish();
            let mortals = {
                let world = world.clone();
                thread::spawn(move || {
                    let story = Story { lossless: false, heir: false };
                    let one = die(&world, first, story);
                    (one, die(&world, second, Story { heir: true, ..story }))
                })
            };
            for _ in 1..size.frames {
                if let Ok(slot) = publisher.claim() {
                    publisher.publish_in(slot);
                }
            }
            let died = mortals.join().unwrap();
            publisher.publish();
            died
        });
    }
}

/// The cursor of a dead lossless reader holds the publisher back until it asks the kernel.
pub(crate) fn a_lossless_reader_may_die_at_any_step() {
    check_lossless(Size::new(1, 1, 1, 3, 2), 1, true);
    check_lossless(Size::new(1, 1, 1, 3, 2), 1, false);
    check_lossless(Size::new(1, 2, 1, 4, 2), 1, false);
}

pub(crate) fn heavy_death_of_a_lossless_reader() {
    check_lossless(Size::new(1, 1, 1, 3, 2), 2, true);
    check_lossless(Size::new(1, 2, 1, 4, 2), 2, true);
}

fn check_lossless(size: Size, bound: usize, heir: bool) {
    let what = format!("death of a lossless reader{}", if heir { ", and its heir" } else { "" });
    explore_deaths(&what, size.waiting(), Some(bound), move |size, steps| {
        with_a_death(size, steps, Story { lossless: true, heir }, |publisher| {
            publisher.publish_when_free();
        })
    });
}

/// Another reader's frames are none of the dead one's business.
pub(crate) fn a_death_does_not_touch_the_other_reader() {
    check_beside(Size::new(2, 1, 1, 3, 1).without_slots(1), true);
    check_beside(Size::new(2, 1, 1, 3, 1).without_slots(2), false);
}

fn check_beside(size: Size, heir: bool) {
    let what = format!("death beside another reader{}", if heir { ", and an heir" } else { "" });
    explore_deaths(&what, size, Some(1), move |size, steps| {
        let world = Arc::new(World::new(size));
        world.leases.set(1, true);
        let mut publisher = Publisher::open(&world, 1);
        publisher.publish();
        let mortal_reader = {
            let world = world.clone();
            thread::spawn(move || die(&world, steps, Story { lossless: false, heir }))
        };
        let other = {
            let world = world.clone();
            thread::spawn(move || {
                let mut reader = Reader::in_new_place(&world, 1);
                reader.latest(0);
                reader.release(0);
            })
        };
        for _ in 1..size.frames {
            if let Ok(slot) = publisher.claim() {
                publisher.publish_in(slot);
            }
        }
        other.join().unwrap();
        mortal_reader.join().unwrap()
    });
}

/// A reader died with a pinned slot; the place's next holder claims the lease and pins on its own.
pub(crate) fn a_dead_readers_place_is_used_again_safely() {
    // One slot fewer: the publisher has to ask which leases are dropped.
    explore("reuse of a place", Size::new(1, 1, 1, 4, 1).without_slots(1), Some(3), |size| {
        let world = Arc::new(World::new(size));
        let mut publisher = Publisher::open(&world, 1);
        publisher.publish();
        // The dead one pinned the first frame, and its lease was dropped.
        Reader::in_new_place(&world, 0).latest(0);
        let heir = {
            let world = world.clone();
            thread::spawn(move || {
                let mut reader = Reader::attach(&world, 0);
                reader.latest(0);
                reader.release(0);
                world.leases.set(0, false);
            })
        };
        for _ in 1..size.frames {
            // With the slot held by a living reader there may be none: that is what `on_full` is for.
            if let Ok(slot) = publisher.claim() {
                publisher.publish_in(slot);
            }
        }
        heir.join().unwrap();
    });
}
