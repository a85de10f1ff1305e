//! The whole, over the real programs, on System V segments: each producer and viewer is a process of its own.
//!
//! `harness` starts and ends them; `actor` is a process that does with the library what no program would do.
//! `programs_file` has the same on mapped files.

#[path = "programs/actor.rs"]
mod actor;
#[path = "programs/config.rs"]
mod config;
#[path = "programs/crashes.rs"]
mod crashes;
#[path = "programs/demo.rs"]
mod demo;
#[path = "programs/harness.rs"]
mod harness;
#[path = "programs/layout.rs"]
mod layout;
#[path = "programs/modes.rs"]
mod modes;
#[path = "programs/pipes.rs"]
mod pipes;
#[path = "programs/removed.rs"]
mod removed;
#[path = "programs/soak.rs"]
mod soak;
#[path = "programs/strangers.rs"]
mod strangers;

/// What is tested.
pub fn backend() -> framebus::Backend {
    framebus::Backend::SysV
}
