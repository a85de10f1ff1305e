//! The tests in `both/`, on mapped files; and what is true of files alone.

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
#[path = "file/files.rs"]
mod files;
#[path = "both/fork.rs"]
mod fork;
#[cfg(feature = "mark")]
#[path = "both/hammer.rs"]
mod hammer;
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

use std::path::PathBuf;

use framebus::{Backend, DEFAULT_DIRECTORY, StreamName};

/// What is tested.
pub fn backend() -> Backend {
    Backend::default_file()
}

/// Where a stream's files are.
pub fn directory(name: &StreamName) -> PathBuf {
    PathBuf::from(DEFAULT_DIRECTORY).join(name.bus()).join(name.stream())
}

/// Removes all of a stream whose publisher's lease this very process still holds.
pub fn remove_by_hand(name: &StreamName) {
    std::fs::remove_dir_all(directory(name).parent().unwrap()).unwrap();
}
