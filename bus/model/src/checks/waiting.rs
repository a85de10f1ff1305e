//! Sleeping and being woken: a sleeper sleeps only where the other side will see its flag.

use loom::sync::Arc;
use loom::thread;

use super::super::world::{Publisher, Reader, World};
use crate::explore::{Size, explore, explore_deaths};
use crate::sync::{Counts, mortal};

/// Subscribers that sleep until they have seen the newest frame.
fn sleepers(world: &Arc<World>) -> Vec<thread::JoinHandle<()>> {
    let sleeper = |place| {
        let world = world.clone();
        thread::spawn(move || {
            let mut reader = Reader::in_new_place(&world, place);
            while reader.last < world.size.frames {
                reader.sleep();
                reader.last = world.latest_sequence();
            }
        })
    };
    (0..world.size.places).map(sleeper).collect()
}

pub(crate) fn no_wake_up_is_lost() {
    let publish = |size: Size| {
        let world = Arc::new(World::new(size));
        let sleepers = sleepers(&world);
        let mut publisher = Publisher::open(&world, 1);
        for _ in 0..size.frames {
            publisher.publish();
        }
        sleepers.into_iter().for_each(|sleeper| sleeper.join().unwrap());
    };
    explore("sleep and wake", Size::new(1, 1, 1, 1, 1), None, publish);
    explore("sleep and wake", Size::new(1, 1, 1, 2, 1), Some(3), publish);
    explore("sleep and wake", Size::new(2, 1, 1, 1, 1), Some(3), publish);
}

/// A publisher that dies before it wakes leaves sleepers: they look again after 100 ms, but are not to depend on that
/// when there is a successor. There are no time-outs here.
pub(crate) fn a_successor_wakes_who_was_left_asleep() {
    explore_deaths("sleep, death and takeover", Size::new(1, 1, 1, 1, 1), Some(3), |size, steps| {
        let world = Arc::new(World::new(size));
        let sleepers = sleepers(&world);
        let lived = mortal(Counts::All, steps, || {
            Publisher::open_and_ring(&world, 1).publish();
        });
        let mut successor = Publisher::open_and_ring(&world, 2);
        if world.latest_sequence() == 0 {
            successor.publish();
        }
        sleepers.into_iter().for_each(|sleeper| sleeper.join().unwrap());
        lived.is_none()
    });
}

/// A publisher that waits for a slot is woken by whoever lets go of one.
pub(crate) fn no_release_is_missed() {
    let publish = |size: Size| {
        let world = Arc::new(World::new(size));
        let reader = |place| {
            let world = world.clone();
            thread::spawn(move || {
                let mut reader = Reader::in_new_place(&world, place);
                for _ in 0..size.reads {
                    reader.latest(0);
                    reader.release(0);
                }
            })
        };
        // All places have a holder who lives, so there is nothing to get from the dead.
        (0..size.places).for_each(|place| world.leases.set(place, true));
        let readers: Vec<_> = (0..size.places).map(reader).collect();
        let mut publisher = Publisher::open(&world, 1);
        for _ in 0..size.frames {
            publisher.publish_when_told();
        }
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    };
    explore("wait for a slot", Size::new(1, 1, 1, 3, 1).without_slots(1).waiting(), Some(4), publish);
    explore("wait for a slot", Size::new(1, 1, 1, 4, 2).without_slots(1).waiting(), Some(2), publish);
    explore("wait for a slot", Size::new(2, 1, 1, 3, 1).without_slots(2).waiting(), Some(2), publish);
}
