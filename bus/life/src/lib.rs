//! A model of a stream's whole life, explored state by state: create, attach, claim, take over, supersede, close,
//! remove, with a death at every step, and with sets and segments removed by hand under everybody.
//!
//! It is independent of the code: the steps of `lifecycle.rs`, `attach.rs`, `inspect.rs` and of the publisher's
//! once-a-second look are written down here a second time, one system call or one store to shared memory each, under
//! the names of their functions; what a read of shared memory finds is decided in the step that follows it. The
//! kernel is modelled as Linux is, not as the manual has it: ids are never used again, who knows the id of a removed
//! segment can attach it for as long as somebody has it attached, and the memory of a dying process is unmapped
//! before its leases drop.
//!
//! ```text
//! kernel.rs       semaphore set, segments, system calls         checks.rs     what must hold, by name
//! opener.rs       lifecycle::open, up to the decision           aftermath.rs  what holds once all are killed
//! create.rs       supersede, keep_sequence, replace, create     explore.rs    breadth first through all states
//! unwind.rs       an open that fails                            scenario.rs   processes, and what may go wrong
//! publisher.rs    frames, the look, renew, close, leave         holds.rs      the configurations
//! subscriber.rs   attach, take, follow, go                      robbed.rs     what is not promised after `ipcrm -s`
//! remover.rs      framebus rm                                   faults.rs     mistakes that a named check must notice
//! world.rs        a state, a step, `kill -9`, `ipcrm`           rules.rs      faults, allowances
//! ```
//!
//! # What is left out
//!
//! The slot protocol (`bus/model` has it): a publication is two stores here, the window entry and `latest`. Strangers
//! under our keys, permissions, forks, other PID namespaces, a killed process that its parent has not waited for, ids
//! that wrap. Calls that fail for want of memory while somebody removes things by hand. Time: a wait that may end early
//! or never covers them all. Stores reach others in program order; `READY` is stored with Release and read with
//! Acquire, so there is nothing else to see.
//!
//! # Allowances
//!
//! *Undisturbed*, that is without `ipcrm`, everything in `checks.rs` holds without exception. Who is **robbed** of
//! its set does not know until it looks, or until its open or its removal comes to an end. Until then it may publish
//! into an ended epoch, under numbers that its successor uses too, and may take what its successor has made for
//! remains. So such frames do not count for `SequencesAreNotUsedAgain`, and such removals count as made by hand. What
//! was removed by hand takes the last sequence along if its publisher dies before it has looked. Two subscribers
//! share no place even then. `Rules::strict` takes the allowances back, and `robbed.rs` shows that they are needed.
//!
//! # Why no model checker from outside
//!
//! Spin and TLC are not there in a plain `cargo test`. stateright is the crate for this in Rust; it brings 43 more,
//! an HTTP server for its user interface among them, for what are a hundred lines here: a queue, a set of
//! fingerprints, and the way back to print it.
#![cfg_attr(not(test), allow(dead_code))] // the tests are the program

mod aftermath;
mod checks;
mod create;
mod explore;
mod kernel;
mod opener;
mod publisher;
mod remover;
mod rules;
mod scenario;
mod subscriber;
mod unwind;
mod world;

#[cfg(test)]
mod faults;
#[cfg(test)]
mod holds;
#[cfg(test)]
mod robbed;
