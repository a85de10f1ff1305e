//! `kill -9` at every step, and a failure of every system call.
//!
//! The package `framebus-steps` is the library's own files, in which every store to shared memory and every system call has
//! a number. A *scene* is what a process does with it. In `crashes`, a process plays a scene and is killed at step 1, the
//! next one at step 2, and so on to the last; each time, everybody else must go on, a successor must work, and nothing may
//! be left. In `failures`, the system calls of a scene fail, one after the other.

#[path = "steps/aftermath.rs"]
mod aftermath;
#[path = "steps/crashes.rs"]
mod crashes;
#[path = "steps/failures.rs"]
mod failures;
#[path = "steps/scenes.rs"]
mod scenes;
