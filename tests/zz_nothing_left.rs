//! After all other tests: nothing of theirs is left on the machine.
//!
//! Cargo runs the test binaries of a package in the order of their names, this one last. Where a runner has another
//! order, streams of test processes that still live are theirs to remove.

#[path = "programs/leftovers.rs"]
mod leftovers;

#[test]
fn no_test_leaves_a_segment_a_semaphore_set_or_a_file() {
    assert_eq!(leftovers::segments(), Vec::<String>::new());
    assert_eq!(leftovers::semaphore_sets(), Vec::<String>::new());
    assert_eq!(leftovers::directories(), Vec::<String>::new());
}
