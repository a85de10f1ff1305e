//! Memory that is there before it is needed: no page fault on the hot path, and few slots that are ever touched.
//!
//! The kernel may move a page at any moment, which costs a page fault that is none of ours: so each measurement may be
//! repeated, and one without any is enough. What framebus does wrong, it does each time.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use framebus::*;

use crate::common::{Remove, attach, observe, options};

const ATTEMPTS: usize = 4;
/// 65 pages, the last of them not whole.
const FRAME: u32 = 64 * 4096 + 100;
const FRAMES: u64 = 3000;
/// With this, records, window and blame fill several pages each.
const LONG_HISTORY: u32 = 700;

/// Page faults of this thread so far.
fn page_faults() -> i64 {
    // SAFETY: rusage is plain data, and getrusage fills it.
    unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::getrusage(libc::RUSAGE_THREAD, &mut usage), 0);
        usage.ru_minflt + usage.ru_majflt
    }
}

fn settings(prefault: Prefault) -> StreamOptions {
    let mut settings = options(Content::Bytes { capacity: FRAME });
    settings.prefault = prefault;
    settings
}

fn name(test: &str, attempt: usize) -> StreamName {
    StreamName::new(&format!("test-{}-{test}", std::process::id()), &format!("attempt-{attempt}")).unwrap()
}

/// Writes a whole frame, and publishes it.
fn publish(publisher: &mut Publisher) -> u64 {
    let mut loan = publisher.loan().unwrap();
    let value = loan.sequence() as u8;
    loan.fill(value);
    loan.publish()
}

/// Takes the newest frame and reads all of it.
fn take(subscriber: &mut Subscriber, buffer: &mut [u8]) -> Frame {
    let frame = subscriber.latest().unwrap().unwrap();
    read(&frame, buffer);
    frame
}

fn read(frame: &Frame, buffer: &mut [u8]) {
    buffer.copy_from_slice(frame);
    assert_eq!((buffer[0], buffer[FRAME as usize - 1]), (frame.info().sequence as u8, frame.info().sequence as u8));
}

/// A buffer that costs no page fault any more.
fn buffer() -> Vec<u8> {
    vec![1; FRAME as usize]
}

/// Takes part in all the code of the hot path once, whose own pages would count, too.
fn rehearse(test: &str) {
    let name = name(test, ATTEMPTS);
    let mut publisher = Publisher::open(&name, &settings(Prefault::Off)).unwrap();
    let mut subscriber = attach(&name).unwrap();
    let mut buffer = buffer();
    for _ in 0..10 {
        publish(&mut publisher);
        drop(take(&mut subscriber, &mut buffer));
        publish(&mut publisher);
        drop(subscriber.next().unwrap());
    }
    page_faults();
}

/// The first attempt at which `measure` finds no page fault, neither the publisher's nor the subscriber's.
fn without_faults(what: &str, mut measure: impl FnMut(usize) -> (i64, i64)) {
    let mut found = Vec::new();
    for attempt in 0..ATTEMPTS {
        found.push(measure(attempt));
        if found.last() == Some(&(0, 0)) {
            return;
        }
    }
    panic!("{what}: page faults of publisher and subscriber at each attempt: {found:?}");
}

/// Page faults over thousands of frames, of a publisher and of a subscriber on a thread of its own, which at times holds a
/// frame for a while.
fn faults_after_warm_up(name: &StreamName, prefault: Prefault, holds: bool) -> (i64, i64) {
    let mut publisher = Publisher::open(name, &settings(prefault)).unwrap();
    let mut subscriber = attach(name).unwrap();
    // What was taken last; the publisher goes on once it is the newest.
    let taken = AtomicU64::new(0);
    // The publisher's look at its lease, once a second, is part of the warm-up.
    let warm_up = Duration::from_millis(1100);
    let begun = Instant::now();
    let warm = || begun.elapsed() >= warm_up;
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let mut buffer = buffer();
            let (mut held, mut before, mut counted) = (None, None, 0);
            loop {
                assert!(subscriber.wait(Instant::now() + Duration::from_secs(20)).unwrap(), "the publisher hangs");
                let frame = take(&mut subscriber, &mut buffer);
                let sequence = frame.info().sequence;
                if holds && sequence.is_multiple_of(50) {
                    held = Some(frame);
                } else if sequence % 50 == 25 {
                    held = None;
                }
                if let Some(held) = &held {
                    read(held, &mut buffer);
                }
                taken.store(sequence, Ordering::Release);
                match before {
                    None if warm() && sequence > 200 => before = Some(page_faults()),
                    None => {}
                    Some(_) => counted += 1,
                }
                if let Some(before) = before.filter(|_| counted == FRAMES) {
                    return page_faults() - before;
                }
            }
        });
        let mut before = None;
        while !reading.is_finished() {
            let sequence = publish(&mut publisher);
            while taken.load(Ordering::Acquire) < sequence && !reading.is_finished() {
                std::thread::yield_now();
            }
            if before.is_none() && warm() && sequence > 200 {
                before = Some(page_faults());
            }
        }
        (page_faults() - before.unwrap(), reading.join().unwrap())
    })
}

#[test]
fn no_page_fault_on_the_hot_path_after_warm_up() {
    without_faults("quick", |attempt| faults_after_warm_up(&name("quick", attempt), Prefault::Warm, false));
}

#[test]
fn no_page_fault_on_the_hot_path_while_frames_are_held() {
    without_faults("holding", |attempt| faults_after_warm_up(&name("holding", attempt), Prefault::Warm, true));
}

/// Page faults of the first frames: as many as there are slots, so that each of them is written and read for the first time.
fn faults_of_the_first(publisher: &mut Publisher, subscriber: &mut Subscriber, slots: usize) -> (i64, i64) {
    let mut buffer = buffer();
    let mut held = Vec::with_capacity(slots);
    let (mut writing, mut reading, mut used) = (0, 0, BTreeSet::new());
    let first = subscriber.frames_memory().start;
    for _ in 0..slots {
        let before = page_faults();
        publish(publisher);
        writing += page_faults() - before;
        // Held while the publisher wrote, so that it took another slot.
        if held.len() == publisher.geometry().max_held() {
            held.remove(0);
        }
        let before = page_faults();
        let frame = take(subscriber, &mut buffer);
        reading += page_faults() - before;
        used.insert(slot(&frame, first));
        held.push(frame);
    }
    assert!(used.len() >= slots.min(3), "slots {used:?}");
    (writing, reading)
}

fn slot(frame: &Frame, first: *const u8) -> usize {
    (frame.as_ptr() as usize - first as usize) / (FRAME as usize).next_multiple_of(4096)
}

#[test]
fn warm_slots_cost_no_page_fault_from_the_first_frame_on() {
    rehearse("first");
    without_faults("warm", |attempt| {
        let name = name("first", attempt);
        let mut publisher = Publisher::open(&name, &settings(Prefault::Warm)).unwrap();
        let mut subscriber = attach(&name).unwrap();
        faults_of_the_first(&mut publisher, &mut subscriber, 3)
    });
    let name = name("first", ATTEMPTS);
    let mut publisher = Publisher::open(&name, &settings(Prefault::Off)).unwrap();
    let mut subscriber = attach(&name).unwrap();
    let (writing, reading) = faults_of_the_first(&mut publisher, &mut subscriber, 3);
    assert!(writing > 0 && reading > 0, "without, there are some: {writing}, {reading}");
}

#[test]
fn with_everything_prefaulted_no_slot_costs_a_page_fault() {
    rehearse("all");
    let measured = |name: &StreamName, prefault| {
        let mut settings = settings(prefault);
        (settings.history, settings.max_held) = (LONG_HISTORY, 8);
        let mut publisher = Publisher::open(name, &settings).unwrap();
        let mut subscriber = attach(name).unwrap();
        let (mut buffer, mut writing, mut reading) = (buffer(), 0, 0);
        // All slots of the window in turn.
        for _ in 0..LONG_HISTORY + 10 {
            let before = page_faults();
            publish(&mut publisher);
            writing += page_faults() - before;
            let before = page_faults();
            let frame = subscriber.next().unwrap().unwrap();
            read(&frame, &mut buffer);
            drop(frame);
            reading += page_faults() - before;
        }
        (writing, reading)
    };
    without_faults("all", |attempt| measured(&name("all", attempt), Prefault::All));
    let (writing, reading) = measured(&name("all", ATTEMPTS), Prefault::Warm);
    assert!(writing > 0 && reading > 0, "the warm slots alone are not all of them: {writing}, {reading}");
}

#[test]
fn pages_of_headers_records_and_places_cost_no_page_fault_even_without_prefault() {
    rehearse("control");
    without_faults("control", |attempt| {
        let name = name("control", attempt);
        let mut settings = settings(Prefault::Off);
        (settings.history, settings.max_subscribers) = (LONG_HISTORY, 200);
        let mut publisher = Publisher::open(&name, &settings).unwrap();
        // Of all places, the last lies some pages from the first.
        let mut subscribers: Vec<_> = (0..60).map(|_| attach(&name).unwrap()).collect();
        let subscriber = subscribers.last_mut().unwrap();
        let (mut writing, mut reading) = (0, 0);
        for _ in 0..LONG_HISTORY + 10 {
            let before = page_faults();
            publisher.loan().unwrap().publish();
            writing += page_faults() - before;
            let before = page_faults();
            drop(subscriber.next().unwrap().unwrap());
            reading += page_faults() - before;
        }
        (writing, reading)
    });
}

#[test]
fn a_successor_and_a_subscriber_of_its_stream_find_the_slots_mapped() {
    rehearse("successor");
    without_faults("successor", |attempt| {
        let name = name("successor", attempt);
        let _remove = Remove(&name);
        let mut settings = settings(Prefault::Warm);
        settings.persist = true;
        let mut publisher = Publisher::open(&name, &settings).unwrap();
        let mut subscriber = attach(&name).unwrap();
        publish(&mut publisher);
        drop(publisher);
        settings.persist = false;
        let mut successor = Publisher::open(&name, &settings).unwrap();
        assert_eq!(successor.next_sequence(), 2, "a takeover");
        faults_of_the_first(&mut successor, &mut subscriber, 3)
    });
}

#[test]
fn a_subscriber_that_moves_to_a_new_epoch_finds_its_slots_mapped() {
    rehearse("epoch");
    without_faults("epoch", |attempt| {
        let name = name("epoch", attempt);
        let _remove = Remove(&name);
        let mut settings = settings(Prefault::All);
        settings.persist = true;
        settings.history = 2;
        let publisher = Publisher::open(&name, &settings).unwrap();
        let mut subscriber = attach(&name).unwrap();
        drop(publisher);
        (settings.persist, settings.history) = (false, 3);
        let mut publisher = Publisher::open(&name, &settings).unwrap();
        // Nothing is there so far: it moves, and that is all.
        assert!(subscriber.latest().unwrap().is_none());
        assert_eq!(subscriber.epoch(), 1);
        faults_of_the_first(&mut publisher, &mut subscriber, 5)
    });
}

#[test]
fn an_observer_finds_the_warm_slots_mapped() {
    rehearse("observer");
    without_faults("observer", |attempt| {
        let name = name("observer", attempt);
        let mut publisher = Publisher::open(&name, &settings(Prefault::Warm)).unwrap();
        let mut observer = observe(&name).unwrap();
        let mut bytes = buffer();
        bytes.reserve(4096);
        let mut faults = 0;
        for _ in 0..3 {
            publish(&mut publisher);
            let before = page_faults();
            observer.latest(&mut bytes).unwrap().unwrap();
            faults += page_faults() - before;
        }
        (0, faults)
    });
}

#[test]
fn low_slots_are_used_again_as_soon_as_they_are_let_go() {
    let name = name("low", 0);
    let mut publisher = Publisher::open(&name, &settings(Prefault::Off)).unwrap();
    let (mut quick, mut holder) = (attach(&name).unwrap(), attach(&name).unwrap());
    let (first, mut buffer) = (quick.frames_memory().start, buffer());
    let mut used = |publisher: &mut Publisher, frames: usize| -> BTreeSet<usize> {
        let slots = (0..frames).map(|_| {
            // The frame before is still held when the next one is written, as by a viewer that draws it.
            let before = quick.latest().unwrap();
            publish(publisher);
            drop(before);
            slot(&take(&mut quick, &mut buffer), first)
        });
        slots.collect()
    };
    let warm = BTreeSet::from([0, 1, 2]);
    let quick_ones = used(&mut publisher, 1000);
    assert!(quick_ones.is_subset(&warm), "{quick_ones:?}");
    for _ in 0..10 {
        let held = holder.latest().unwrap().unwrap();
        let slot_held = slot(&held, holder.frames_memory().start);
        publish(&mut publisher);
        let others = used(&mut publisher, 100);
        assert!(!others.contains(&slot_held) && others.iter().all(|slot| *slot <= 3), "{others:?}, held {slot_held}");
        drop(held);
        used(&mut publisher, 3);
        let after = used(&mut publisher, 100);
        assert!(after.is_subset(&warm) && after.contains(&0), "{after:?}");
    }
}

#[test]
fn subscribers_get_huge_pages_where_the_publisher_got_some() {
    let name = name("huge", 0);
    let _remove = Remove(&name);
    // Three slots of 3 MiB and a bit: some huge pages lie across two slots, and the last one is not whole.
    let mut settings = options(Content::Bytes { capacity: (3 << 20) + 5000 });
    (settings.huge_pages, settings.persist) = (true, true);
    let publisher = Publisher::open(&name, &settings).unwrap();
    let at_first = publisher.memory().unwrap();
    drop(publisher);
    settings.persist = false;
    let mut publisher = Publisher::open(&name, &settings).unwrap();
    let mut subscriber = attach(&name).unwrap();
    let (of_publisher, of_subscriber) = (publisher.memory().unwrap(), subscriber.memory().unwrap());
    println!("{of_publisher:?} {of_subscriber:?}");
    assert_eq!(at_first.huge_bytes, of_publisher.huge_bytes, "its successor has them, too");
    let geometry = publisher.geometry();
    assert_eq!(of_publisher.total_bytes, geometry.frames_bytes() as u64);
    assert!(of_publisher.mapped_bytes >= 9 << 20 && of_subscriber.mapped_bytes >= 9 << 20);
    assert_eq!(of_publisher.huge_bytes, of_subscriber.huge_bytes);
    assert_eq!(of_publisher.huge_bytes % (2 << 20), 0);
    if of_publisher.huge_bytes == 0 {
        let setting = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/shmem_enabled");
        eprintln!("skipped: the kernel gave no huge pages, shmem_enabled is {setting:?}");
    }
    publisher.loan().unwrap().fill(3);
    let mut loan = publisher.loan().unwrap();
    loan.fill(9);
    loan.publish();
    assert!(subscriber.latest().unwrap().unwrap().iter().all(|&byte| byte == 9));
}

#[test]
fn huge_pages_without_prefault_take_no_memory_beforehand() {
    let name = name("huge-later", 0);
    let mut settings = options(Content::Bytes { capacity: 4 << 20 });
    (settings.huge_pages, settings.prefault) = (true, Prefault::Off);
    let publisher = Publisher::open(&name, &settings).unwrap();
    let mapped = publisher.memory().unwrap().mapped_bytes;
    // The header's pages, which may be a huge one.
    assert!(mapped <= 2 << 20, "{mapped}");
}
