//! A lossless subscriber misses nothing: the publisher waits for it, asleep, as it waits for the publisher.

use loom::sync::Arc;
use loom::thread;

use super::super::world::{Publisher, Reader, Stamp, World};
use crate::explore::{Size, explore};

/// Takes every frame from the next one on, sleeping where there is none.
fn read_all(reader: &mut Reader<'_>, size: Size) {
    while reader.last < size.frames {
        let pin = reader.seen.len() % size.max_held;
        reader.release(pin);
        if !reader.next(pin) {
            reader.sleep();
        }
    }
    reader.release_all();
}

fn sequences(seen: &[Stamp]) -> Vec<u64> {
    seen.iter().map(|stamp| stamp.0).collect()
}

fn stream(size: Size) {
    let world = Arc::new(World::new(size));
    let readers: Vec<_> = (0..size.places)
        .map(|place| {
            world.leases.set(place, true);
            // Before the first frame, so nothing may be missed.
            Reader::in_new_place(&world, place).be_lossless();
            let world = world.clone();
            thread::spawn(move || {
                let mut reader = Reader::in_new_place(&world, place);
                reader.be_lossless();
                read_all(&mut reader, size);
                assert_eq!(sequences(&reader.seen), Vec::from_iter(1..=size.frames), "a frame was missed");
            })
        })
        .collect();
    let mut publisher = Publisher::open(&world, 1);
    for _ in 0..size.frames {
        publisher.publish_when_told();
    }
    readers.into_iter().for_each(|reader| reader.join().unwrap());
}

pub(crate) fn a_lossless_reader_misses_nothing() {
    explore("lossless", Size::new(1, 1, 2, 3, 3).waiting(), Some(2), stream);
    explore("lossless", Size::new(1, 2, 2, 4, 4).waiting(), Some(2), stream);
    explore("lossless, too few slots", Size::new(1, 1, 2, 3, 3).without_slots(2).waiting(), Some(2), stream);
}

pub(crate) fn heavy_lossless_readers() {
    explore("lossless", Size::new(2, 2, 1, 3, 3).waiting(), Some(1), stream);
    explore("lossless", Size::new(1, 1, 1, 3, 3).waiting(), Some(3), stream);
    explore("lossless", Size::new(1, 2, 2, 4, 4).waiting(), Some(3), stream);
}

pub(crate) fn two_lossless_readers_miss_nothing() {
    explore("lossless", Size::new(2, 1, 2, 2, 2).waiting(), Some(2), stream);
}

/// The publisher waits for nobody. A frame that a reader misses, it misses because it was evicted, and it knows by then; and who has
/// read in time is not evicted.
pub(crate) fn who_is_evicted_knows_before_it_misses_a_frame() {
    for (history, frames, reads) in [(1, 3, 2), (2, 4, 2)] {
        explore("evicted", Size::new(1, history, 1, frames, reads).waiting(), Some(3), |size| {
            let world = Arc::new(World::new(size));
            world.leases.set(0, true);
            Reader::in_new_place(&world, 0).be_lossless();
            let reader = {
                let world = world.clone();
                thread::spawn(move || {
                    let mut reader = Reader::in_new_place(&world, 0);
                    // It was registered above.
                    reader.lossless = true;
                    for _ in 0..size.reads {
                        let missed_before = reader.last + 1;
                        if reader.next(0) {
                            let missed = reader.last > missed_before;
                            assert!(!missed || reader.evicted_at.is_some(), "a frame was missed without a word");
                        }
                        reader.release(0);
                    }
                    reader.evicted_at
                })
            };
            let mut publisher = Publisher::open(&world, 1);
            let mut evicted = Vec::new();
            for _ in 0..size.frames {
                evicted.extend(publisher.publish_or_evict());
            }
            let found_at = reader.join().unwrap();
            assert!(evicted.len() <= 1, "evicted twice: {evicted:?}");
            if let Some(wanted) = found_at {
                let told = evicted.first().map(|(_, wanted)| *wanted);
                assert_eq!(told, Some(wanted), "evicted, though it had read what was waited for");
            }
        });
    }
}

/// Who begins while frames are published gets some first frame, and from there on every one.
pub(crate) fn a_lossless_reader_that_comes_late_misses_nothing_from_its_first_frame_on() {
    for history in [1, 2] {
        explore("lossless from any time on", Size::new(1, history, 2, 3, 3).waiting(), Some(2), |size| {
            let world = Arc::new(World::new(size));
            let reader = {
                let world = world.clone();
                thread::spawn(move || {
                    let mut reader = Reader::attach(&world, 0);
                    reader.be_lossless();
                    read_all(&mut reader, size);
                    let seen = sequences(&reader.seen);
                    assert_eq!(seen, Vec::from_iter(seen[0]..=size.frames), "a frame was missed");
                })
            };
            let mut publisher = Publisher::open(&world, 1);
            for _ in 0..size.frames {
                publisher.publish_when_told();
            }
            reader.join().unwrap();
        });
    }
}
