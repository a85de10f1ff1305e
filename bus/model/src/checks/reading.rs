//! Reading while frames are published: nothing is torn, nothing runs backwards, and a slot is always free.

use loom::sync::Arc;
use loom::thread;

use super::super::world::{Publisher, Reader, World};
use crate::explore::{Size, explore};

#[derive(Clone, Copy, Debug)]
enum Reads {
    Latest,
    /// As `latest` goes on where the publisher was faster than its first try.
    Any,
    Next,
    /// Every other read is a `next`, and every other reader begins with one.
    Mixed,
}

/// Publishes from one thread and reads in others; each reader holds as many frames as it may.
fn publish_and_read(size: Size, reads: Reads) {
    let world = Arc::new(World::new(size));
    let readers: Vec<_> = (0..size.places)
        .map(|place| {
            let world = world.clone();
            thread::spawn(move || {
                let mut reader = Reader::in_new_place(&world, place);
                for read in 0..size.reads {
                    let pin = read % size.max_held;
                    reader.release(pin);
                    match (reads, (read + place) % 2) {
                        (Reads::Latest, _) | (Reads::Mixed, 0) => reader.latest(pin),
                        (Reads::Any, _) => reader.any(pin),
                        (Reads::Next, _) | (Reads::Mixed, _) => {
                            reader.next(pin);
                        }
                    }
                }
                reader.release_all();
            })
        })
        .collect();
    // All places have a holder who lives.
    (0..size.places).for_each(|place| world.leases.set(place, true));
    let mut publisher = Publisher::open(&world, 1);
    for _ in 0..size.frames {
        publisher.publish();
    }
    readers.into_iter().for_each(|reader| reader.join().unwrap());
}

fn check(size: Size, reads: Reads, bound: Option<usize>) {
    explore(&format!("{reads:?}"), size, bound, move |size| publish_and_read(size, reads));
}

pub(crate) fn latest_of_one_reader_is_never_torn() {
    check(Size::new(1, 1, 1, 2, 2), Reads::Latest, None);
    check(Size::new(1, 1, 1, 4, 2), Reads::Latest, Some(3));
}

pub(crate) fn latest_is_never_torn_however_fast_the_publisher() {
    check(Size::new(1, 1, 1, 2, 2), Reads::Any, None);
    check(Size::new(1, 1, 1, 4, 2), Reads::Any, Some(4));
    check(Size::new(2, 1, 1, 3, 1), Reads::Any, Some(2));
}

pub(crate) fn next_of_one_reader_is_never_torn() {
    check(Size::new(1, 1, 1, 2, 2), Reads::Next, None);
    check(Size::new(1, 1, 1, 4, 2), Reads::Next, Some(3));
    check(Size::new(1, 2, 1, 4, 2), Reads::Next, Some(3));
}

pub(crate) fn a_reader_that_holds_two_frames_keeps_both() {
    check(Size::new(1, 1, 2, 4, 3), Reads::Mixed, Some(3));
    check(Size::new(1, 2, 2, 4, 3), Reads::Mixed, Some(2));
}

pub(crate) fn two_readers_do_not_disturb_each_other() {
    check(Size::new(2, 1, 1, 3, 1), Reads::Latest, Some(2));
    check(Size::new(2, 1, 1, 3, 1), Reads::Mixed, Some(2));
    check(Size::new(2, 1, 1, 3, 2), Reads::Mixed, Some(1));
}

pub(crate) fn three_readers_do_not_disturb_each_other() {
    check(Size::new(3, 1, 1, 2, 1), Reads::Mixed, Some(1));
    check(Size::new(3, 2, 1, 3, 1), Reads::Mixed, Some(1));
    check(Size::new(3, 1, 1, 4, 1), Reads::Mixed, Some(1));
}

pub(crate) fn heavy_one_reader() {
    check(Size::new(1, 1, 1, 4, 2), Reads::Latest, Some(4));
    check(Size::new(1, 1, 1, 3, 1), Reads::Latest, None);
    check(Size::new(1, 1, 1, 3, 1), Reads::Next, None);
    check(Size::new(1, 2, 1, 4, 2), Reads::Next, Some(4));
    check(Size::new(1, 2, 2, 5, 4), Reads::Mixed, Some(2));
}

pub(crate) fn heavy_three_readers() {
    check(Size::new(2, 1, 1, 3, 2), Reads::Latest, Some(2));
    check(Size::new(2, 1, 1, 3, 2), Reads::Any, Some(2));
    check(Size::new(3, 1, 1, 2, 1), Reads::Mixed, Some(2));
    check(Size::new(2, 1, 1, 3, 2), Reads::Mixed, Some(2));
    check(Size::new(3, 1, 1, 3, 1), Reads::Mixed, Some(2));
    check(Size::new(3, 2, 1, 3, 1), Reads::Mixed, Some(2));
    check(Size::new(3, 2, 1, 4, 2), Reads::Mixed, Some(1));
    check(Size::new(3, 1, 1, 4, 2), Reads::Mixed, Some(1));
    check(Size::new(3, 1, 2, 4, 3), Reads::Mixed, Some(1));
}

/// With one slot fewer than the formula says, the publisher finds none.
pub(crate) fn one_slot_fewer() {
    check(Size::new(1, 1, 1, 3, 2).without_slots(1), Reads::Latest, None);
}
