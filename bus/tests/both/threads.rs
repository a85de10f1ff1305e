//! Leases belong to the process, not to the thread that claimed them.

use framebus::*;

use crate::common::{attach, options, status};

fn name(test: &str) -> StreamName {
    StreamName::new(&format!("test-{}-{test}", std::process::id()), "front").unwrap()
}

/// On a thread of its own, which ends.
fn elsewhere<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(work).join().unwrap())
}

#[test]
fn handles_outlive_the_threads_that_made_them_and_end_on_any_other() {
    let name = name("any-thread");
    let settings = options(Content::Bytes { capacity: 64 });
    let mut publisher = elsewhere(|| Publisher::open(&name, &settings).unwrap());
    let mut subscriber = elsewhere(|| attach(&name).unwrap());
    // The threads that claimed the leases are gone, and the leases are not.
    assert_eq!(publisher.subscribers(), 1);
    assert!(matches!(Publisher::open(&name, &settings), Err(OpenError::Busy { pid: Some(pid), .. })
        if pid == std::process::id()));
    elsewhere(|| publisher.loan().unwrap().publish());
    let frame = elsewhere(|| subscriber.latest().unwrap().unwrap());
    assert_eq!((frame.len(), subscriber.publisher()), (64, PublisherState::Alive));
    elsewhere(|| drop(subscriber));
    assert_eq!(publisher.subscribers(), 1, "a frame keeps the place");
    elsewhere(|| drop(frame));
    assert_eq!(publisher.subscribers(), 0, "given back by another thread than the one that claimed it");
    elsewhere(|| drop(publisher));
    assert!(status(&name).is_none());
    // And again, from yet another thread.
    elsewhere(|| Publisher::open(&name, &settings).unwrap().loan().unwrap().publish());
}

#[test]
fn claims_and_returns_on_different_threads_cancel_out() {
    // The kernel undoes at the end of a process what was not given back; a claim and its return must cancel out even
    // where they come from different threads, many times.
    let name = name("undo");
    let settings = options(Content::Bytes { capacity: 64 });
    let publisher = Publisher::open(&name, &settings).unwrap();
    for _ in 0..500 {
        let subscriber = elsewhere(|| attach(&name).unwrap());
        elsewhere(|| drop(subscriber));
    }
    assert_eq!(publisher.subscribers(), 0);
    let all: Result<Vec<_>, _> = (0..8).map(|_| attach(&name)).collect();
    assert!(all.is_ok(), "each place was given back");
}

#[test]
fn publisher_and_subscribers_of_one_thread_and_of_one_process_do_not_disturb_each_other() {
    let name = name("one");
    let mut settings = options(Content::Bytes { capacity: 64 });
    settings.history = 4;
    let mut publisher = Publisher::open(&name, &settings).unwrap();
    let [mut first, mut second] = [attach(&name).unwrap(), attach(&name).unwrap()];
    for sequence in 1..=100 {
        publisher.loan().unwrap().publish();
        let of_first = first.next().unwrap().unwrap();
        let of_second = elsewhere(|| second.next().unwrap().unwrap());
        assert_eq!((of_first.info().sequence, of_second.info().sequence), (sequence, sequence));
    }
    assert_eq!((first.counters().missed, second.counters().missed, publisher.counters().refused), (0, 0, 0));
    // One goes; the other keeps its own lease.
    drop(first);
    assert_eq!(publisher.subscribers(), 1);
}

#[test]
fn subscribers_of_one_process_share_a_mapping_for_as_long_as_one_of_them_or_a_frame_is_there() {
    let name = name("share");
    let settings = options(Content::Bytes { capacity: 64 });
    let mut publisher = Publisher::open(&name, &settings).unwrap();
    publisher.loan().unwrap().publish();
    let (first, mut second) = (attach(&name).unwrap(), attach(&name).unwrap());
    assert_eq!(first.frames_memory(), second.frames_memory());
    drop(first);
    let frame = second.latest().unwrap().unwrap();
    let memory = second.frames_memory();
    drop(second);
    assert_eq!(frame.iter().map(|&byte| u32::from(byte)).sum::<u32>(), 0, "the frame keeps it");
    assert_eq!(attach(&name).unwrap().frames_memory(), memory);
    // Another stream of the same name is another segment.
    drop(publisher);
    let _publisher = Publisher::open(&name, &settings).unwrap();
    let third = attach(&name).unwrap();
    assert_ne!(third.frames_memory(), memory, "a frame of the old one still has that");
    assert_eq!(attach(&name).unwrap().frames_memory(), third.frames_memory());
    drop(frame);
}
