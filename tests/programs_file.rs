//! The same as `programs`, on mapped files, where the backend makes a difference.

#[path = "programs/actor.rs"]
mod actor;
#[path = "programs/crashes.rs"]
mod crashes;
#[path = "programs/harness.rs"]
mod harness;
#[path = "programs/modes.rs"]
mod modes;
#[path = "programs/pipes.rs"]
mod pipes;

/// What is tested.
pub fn backend() -> framebus::Backend {
    framebus::Backend::default_file()
}
