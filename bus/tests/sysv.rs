//! The tests in `both/`, on System V segments; and what is true of those alone.

#[path = "both/accounting.rs"]
mod accounting;
#[cfg(feature = "async")]
#[path = "both/asynchronous.rs"]
mod asynchronous;
#[path = "both/common.rs"]
mod common;
#[path = "both/costs.rs"]
mod costs;
#[path = "both/events.rs"]
mod events;
#[path = "both/faults.rs"]
mod faults;
#[path = "both/fork.rs"]
mod fork;
#[cfg(feature = "mark")]
#[path = "both/hammer.rs"]
mod hammer;
#[path = "sysv/memory.rs"]
mod memory;
#[path = "both/observer.rs"]
mod observer;
#[path = "both/oracle.rs"]
mod oracle;
#[path = "both/predict.rs"]
mod predict;
#[path = "both/sizes.rs"]
mod sizes;
#[path = "both/stream.rs"]
mod stream;
#[path = "both/threads.rs"]
mod threads;
#[path = "both/traces.rs"]
mod traces;
#[path = "both/waitset.rs"]
mod waitset;

use framebus::{Backend, StreamName};

/// What is tested.
pub fn backend() -> Backend {
    Backend::SysV
}

/// Removes all of a stream whose publisher's lease this very process still holds.
pub fn remove_by_hand(name: &StreamName) {
    // SAFETY: plain integers; the objects under these keys are the test's own.
    unsafe {
        for key in [name.key(), name.places_key()] {
            libc::shmctl(libc::shmget(key, 0, 0), libc::IPC_RMID, std::ptr::null_mut());
        }
        libc::semctl(libc::semget(name.key(), 0, 0), 0, libc::IPC_RMID);
    }
}
