//! Copies of frames, for who may only read.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use framebus::*;

use crate::common::{observe, options, status};

fn name(test: &str) -> StreamName {
    StreamName::new(&format!("test-{}-observer-{test}", std::process::id()), "front").unwrap()
}

fn publish(publisher: &mut Publisher) -> u64 {
    let mut loan = publisher.loan().unwrap();
    let sequence = loan.sequence();
    loan.fill(sequence as u8);
    loan.user_mut()[0] = sequence as u8;
    loan.publish()
}

#[test]
fn the_newest_frame_is_copied_and_nobody_sees_the_observer() {
    let name = name("copy");
    let mut publisher = Publisher::open(&name, &options(Content::Bytes { capacity: 1001 })).unwrap();
    let mut observer = observe(&name).unwrap();
    let mut bytes = vec![9; 5];
    assert!(observer.latest(&mut bytes).unwrap().is_none(), "nothing was published");
    assert!(!observer.wait(Instant::now()).unwrap());
    publish(&mut publisher);
    publish(&mut publisher);
    assert!(observer.wait(Instant::now()).unwrap());
    let info = observer.latest(&mut bytes).unwrap().unwrap();
    assert_eq!((info.sequence, info.len, info.user[0], bytes.len()), (2, 1001, 2, 1001));
    assert!(bytes.iter().all(|&byte| byte == 2));
    assert!(!observer.wait(Instant::now()).unwrap(), "the same frame is not newer");
    assert_eq!(status(&name).unwrap().subscribers.len(), 0);
    assert_eq!(publisher.subscribers(), 0);
}

#[test]
fn an_observer_follows_the_stream_into_its_next_epoch_and_its_next_life() {
    let name = name("follow");
    let mut persisting = options(Content::Bytes { capacity: 64 });
    persisting.persist = true;
    let mut publisher = Publisher::open(&name, &persisting).unwrap();
    publish(&mut publisher);
    let mut observer = observe(&name).unwrap();
    let mut bytes = Vec::new();
    assert_eq!(observer.latest(&mut bytes).unwrap().unwrap().sequence, 1);
    drop(publisher);
    let mut publisher = Publisher::open(&name, &options(Content::Bytes { capacity: 5000 })).unwrap();
    assert_eq!(publish(&mut publisher), 2);
    assert!(observer.wait(Instant::now() + Duration::from_secs(20)).unwrap());
    assert_eq!(observer.latest(&mut bytes).unwrap().unwrap().sequence, 2);
    assert_eq!((bytes.len(), observer.geometry().slot_capacity_bytes()), (5000, 5000));
    drop(publisher);
    // What it has taken stays; nothing newer comes.
    assert!(!observer.wait(Instant::now()).unwrap());
    let mut publisher = Publisher::open(&name, &options(Content::Bytes { capacity: 64 })).unwrap();
    assert_eq!(publish(&mut publisher), 1);
    assert!(observer.wait(Instant::now() + Duration::from_secs(20)).unwrap());
    assert_eq!(observer.latest(&mut bytes).unwrap().unwrap().sequence, 1);
}

struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_copy_is_of_one_frame_however_fast_the_publisher_is() {
    let name = name("race");
    // Three slots, and frames that take a while to copy: they are overwritten all the time.
    let mut options = options(Content::Bytes { capacity: 200_000 });
    (options.slots, options.max_held) = (Slots::Exactly(3), 1);
    let mut publisher = Publisher::open(&name, &options).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                publish(&mut publisher);
            }
        });
        // However this ends, the publisher ends too.
        let _guard = Done(&done);
        let mut observer = observe(&name).unwrap();
        let (mut bytes, mut copied, mut outrun, mut last) = (Vec::new(), 0_u32, 0_u32, 0);
        let watchdog = Instant::now() + Duration::from_secs(60);
        while copied < 200 {
            assert!(Instant::now() < watchdog, "{copied} copied, {outrun} times outrun");
            match observer.latest(&mut bytes) {
                Ok(Some(info)) => {
                    assert!(bytes.iter().all(|&byte| byte == info.sequence as u8), "frame {} is torn", info.sequence);
                    assert_eq!(info.user[0], info.sequence as u8);
                    assert!(info.sequence >= last, "time ran backwards");
                    last = info.sequence;
                    copied += 1;
                }
                Ok(None) => {}
                Err(ObserveError::Outrun { .. }) => outrun += 1,
                Err(error) => panic!("{error}"),
            }
        }
    });
}

/// Runs something as another user, with the stream's group; only root can.
fn as_another(group: u32, what: impl FnOnce() -> u8) -> u8 {
    // SAFETY: the child uses what its one thread owned, and leaves without running anything else's destructors.
    unsafe {
        let child = libc::fork();
        assert_ne!(child, -1);
        if child == 0 {
            let changed = libc::setgroups(0, std::ptr::null()) | libc::setgid(group) | libc::setuid(65_534);
            let what = std::panic::AssertUnwindSafe(what);
            let answer = if changed == 0 { std::panic::catch_unwind(what).unwrap_or(0x80) } else { 0x81 };
            libc::_exit(answer.into());
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(child, &mut status, 0), child);
        libc::WEXITSTATUS(status) as u8
    }
}

#[test]
fn who_may_only_read_can_observe_and_can_not_subscribe() {
    // SAFETY: geteuid can not fail.
    if unsafe { libc::geteuid() } != 0 {
        eprintln!("skipped: only root can act as another user");
        return;
    }
    let name = name("rights");
    let group = 54_321;
    let mut options = options(Content::Bytes { capacity: 64 });
    (options.mode, options.group) = (0o640, Some(group));
    let mut publisher = Publisher::open(&name, &options).unwrap();
    publish(&mut publisher);
    let seen = as_another(group, || {
        let mut bytes = Vec::new();
        let observed = observe(&name).unwrap().latest(&mut bytes).unwrap().unwrap().sequence == 1;
        let refused = crate::common::attach(&name).map(drop).unwrap_err().to_string();
        u8::from(observed && bytes == [1; 64]) | u8::from(refused.contains("Permission denied")) << 1
    });
    assert_eq!(seen, 0b11);
    let stranger = as_another(group + 1, || u8::from(observe(&name).is_err()));
    assert_eq!(stranger, 1);
}
