//! What segments have ahead of files: slots that are never used take no memory.

use framebus::*;

use crate::common::{attach, options, status};

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
