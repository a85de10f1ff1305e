//! The same as `programs`, on mapped files, where the backend makes a difference.

#[path = "programs/actor.rs"]
mod actor;
#[path = "programs/containers.rs"]
mod containers;
#[path = "programs/crashes.rs"]
mod crashes;
#[path = "programs/exec.rs"]
mod exec;
#[path = "programs/gc.rs"]
mod gc;
#[path = "programs/harness.rs"]
mod harness;
#[path = "programs/hostile.rs"]
mod hostile;
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
#[path = "programs/ours.rs"]
mod ours;
#[path = "programs/pipes.rs"]
mod pipes;
#[path = "programs/rm.rs"]
mod rm;
#[path = "programs/scribblers.rs"]
mod scribblers;
#[path = "programs/signals.rs"]
mod signals;
#[path = "programs/sizes.rs"]
mod sizes;
#[path = "programs/users.rs"]
mod users;
#[path = "programs/web.rs"]
mod web;

/// What is tested.
pub fn backend() -> framebus::Backend {
    framebus::Backend::default_file()
}
