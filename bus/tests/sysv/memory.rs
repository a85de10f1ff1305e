//! What segments have of their own: slots that are never used take no memory, and a segment is locked for good.

use framebus::*;

use crate::common::{Remove, attach, options, status};

#[test]
fn with_quick_subscribers_only_three_slots_are_ever_touched() {
    let name = StreamName::new(&format!("test-{}-slots", std::process::id()), "front").unwrap();
    let slot = 1 << 20;
    let mut options = options(Content::Bytes { capacity: slot });
    options.prefault = Prefault::Off;
    let mut publisher = Publisher::open(&name, &options).unwrap();
    let mut subscribers = [attach(&name).unwrap(), attach(&name).unwrap()];
    for byte in 0..50 {
        let mut loan = publisher.loan().unwrap();
        loan.fill(byte);
        loan.publish();
        subscribers.iter_mut().for_each(|subscriber| drop(subscriber.latest().unwrap()));
    }
    let resident = status(&name).unwrap().resident_bytes;
    let slots = resident / u64::from(slot);
    assert!(slots <= 3, "{resident} bytes are resident, {slots} slots");
    assert!(publisher.geometry().slots() >= 18);
}

/// Whether the frames segment is locked (`SHM_LOCKED` of shmctl(2)).
fn is_locked(name: &StreamName) -> bool {
    const SHM_LOCKED: u16 = 0o2000;
    // SAFETY: shmid_ds is plain data, and IPC_STAT fills it.
    unsafe {
        let mut status: libc::shmid_ds = std::mem::zeroed();
        assert_eq!(libc::shmctl(libc::shmget(name.key(), 0, 0), libc::IPC_STAT, &mut status), 0);
        status.shm_perm.mode as u16 & SHM_LOCKED != 0
    }
}

#[test]
fn a_stream_is_locked_when_it_is_made_or_taken_over() {
    let name = StreamName::new(&format!("test-{}-lock", std::process::id()), "front").unwrap();
    let _remove = Remove(&name);
    let mut options = options(Content::Bytes { capacity: 4096 });
    options.persist = true;
    drop(Publisher::open(&name, &options).unwrap());
    assert!(!is_locked(&name));
    options.lock = true;
    drop(Publisher::open(&name, &options).unwrap());
    assert!(is_locked(&name));
    // Another geometry, and so another segment.
    (options.history, options.persist) = (2, false);
    let _publisher = Publisher::open(&name, &options).unwrap();
    assert!(is_locked(&name));
}
