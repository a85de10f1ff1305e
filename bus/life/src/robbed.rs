//! What is not promised: where somebody removes the set under a process (`ipcrm -s`, RemoveIPC), that process is
//! robbed of its lease, and does not know until it looks. Each of these fails where the checks make no allowance for
//! that; with the allowance, `holds.rs` finds nothing.

use crate::checks::Check;
use crate::kernel::Geometry::A;
use crate::scenario::Scenario;
use crate::world::Process;

/// A second opener takes the stream over, and for up to a second two publishers give out the same numbers, one of them
/// in the ended epoch.
#[test]
fn a_robbed_publisher_uses_numbers_of_its_successor_until_it_looks() {
    let mut scenario = Scenario::of(&[Process::opener(A, 1), Process::opener(A, 1)]).set_removals(1);
    scenario.rules.strict = true;
    scenario.violates(Check::SequencesAreNotUsedAgain);
}

/// An opener that is robbed while it opens takes its successor's unfinished segment for a dead one's.
#[test]
fn a_robbed_opener_removes_what_its_successor_makes() {
    let mut scenario = Scenario::of(&[Process::opener(A, 1), Process::opener(A, 1)]).set_removals(1);
    scenario.rules.strict = true;
    scenario.violates(Check::NothingOfALivingPublisherIsRemoved);
}
