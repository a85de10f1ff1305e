//! The whole, over the real programs, on System V segments: each producer and viewer is a process of its own.
//!
//! `harness` starts and ends them; `actor` is a process that does with the library what no program would do.
//! `programs_file` has the same on mapped files.

#[path = "programs/actor.rs"]
mod actor;
#[path = "programs/check.rs"]
mod check;
#[path = "programs/config.rs"]
mod config;
#[path = "programs/containers.rs"]
mod containers;
#[path = "programs/contracts.rs"]
mod contracts;
#[path = "programs/crashes.rs"]
mod crashes;
#[path = "programs/demo.rs"]
mod demo;
#[path = "programs/doctor.rs"]
mod doctor;
#[path = "programs/endings.rs"]
mod endings;
#[path = "programs/exec.rs"]
mod exec;
#[path = "programs/gc.rs"]
mod gc;
#[path = "programs/harness.rs"]
mod harness;
#[path = "programs/hostile.rs"]
mod hostile;
#[path = "programs/install.rs"]
mod install;
#[path = "programs/journal.rs"]
mod journal;
#[path = "programs/json.rs"]
mod json;
#[path = "programs/layout.rs"]
mod layout;
#[path = "programs/limits.rs"]
mod limits;
#[path = "programs/lossless.rs"]
mod lossless;
#[path = "programs/ls.rs"]
mod ls;
#[path = "programs/modes.rs"]
mod modes;
#[path = "programs/namespaces.rs"]
mod namespaces;
#[path = "programs/operations.rs"]
mod operations;
#[path = "programs/ours.rs"]
mod ours;
#[path = "programs/pipes.rs"]
mod pipes;
#[path = "programs/removed.rs"]
mod removed;
#[path = "programs/rm.rs"]
mod rm;
#[path = "programs/scribblers.rs"]
mod scribblers;
#[path = "programs/signals.rs"]
mod signals;
#[path = "programs/sizes.rs"]
mod sizes;
#[path = "programs/soak.rs"]
mod soak;
#[path = "programs/strangers.rs"]
mod strangers;
#[path = "programs/top.rs"]
mod top;
#[path = "programs/trace.rs"]
mod trace;
#[path = "programs/users.rs"]
mod users;
#[path = "programs/web.rs"]
mod web;

/// What is tested.
pub fn backend() -> framebus::Backend {
    framebus::Backend::SysV
}
