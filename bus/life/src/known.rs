//! What does not hold of the code as it stands, each with the mend that would make it hold: with all mends but that
//! one the named check fails, and with all of them `holds.rs` finds nothing. When the code has a mend, it becomes the
//! model's only way, and its test here goes.

use crate::checks::Check;
use crate::kernel::Geometry::{A, B};
use crate::rules::Mend;
use crate::scenario::Scenario;
use crate::world::Process;

/// The publisher is killed; its successor of another geometry is, behind the removal of the old places; and the
/// successor of that one is, behind the removal of the unfinished frames: these were the last to bear the sequence. A
/// creation that fails there, not killed at all, loses it too.
#[test]
fn three_deaths_in_a_row_lose_the_sequence() {
    const OTHERS: &[Mend] = &[
        Mend::RemovalAlwaysUnderALease,
        Mend::RemovalAsksForTheCreator,
        Mend::SubscriberLooksForItsFrames,
        Mend::EmptySetIsAnybodysToRemove,
    ];
    Scenario::of(&[Process::opener(A, 1)]).mends(OTHERS).violates(Check::SequencesAreNotUsedAgain);
    let mut no_deaths = Scenario::of(&[Process::opener(A, 1), Process::opener(B, 1)]).failures(1).mends(OTHERS);
    no_deaths.rules.successors_die = false;
    no_deaths.violates(Check::SequencesAreNotUsedAgain);
}

/// A creator is killed between making its places and writing their header: `rm` says that all is removed, and leaves
/// them.
#[test]
fn a_removal_leaves_empty_places() {
    const OTHERS: &[Mend] = &[
        Mend::SequenceKeptBeforeRemoval,
        Mend::RemovalAlwaysUnderALease,
        Mend::SubscriberLooksForItsFrames,
        Mend::EmptySetIsAnybodysToRemove,
    ];
    let scenario = Scenario::of(&[Process::opener(A, 1), Process::remover(false)]).kills(1).mends(OTHERS);
    scenario.violates(Check::ARemovalLeavesNothing);
}

/// The set is gone, so `rm` goes on without a lease; an opener makes a new set meanwhile, and its segment is removed.
#[test]
fn a_removal_without_leases_takes_a_living_publishers_places() {
    const OTHERS: &[Mend] = &[
        Mend::SequenceKeptBeforeRemoval,
        Mend::RemovalAsksForTheCreator,
        Mend::SubscriberLooksForItsFrames,
        Mend::EmptySetIsAnybodysToRemove,
    ];
    let processes = [Process::opener(A, 0), Process::opener(A, 0), Process::remover(false)];
    let scenario = Scenario::of(&processes).set_removals(1).mends(OTHERS);
    scenario.violates(Check::NothingOfALivingPublisherIsRemoved);
}

/// A segment is removed by hand under a subscriber, and its publisher is dead, or dies before it looks: nobody ever
/// tells the subscriber that its epoch has ended.
#[test]
fn a_subscriber_waits_for_ever_where_nobody_ends_its_epoch() {
    const OTHERS: &[Mend] = &[
        Mend::SequenceKeptBeforeRemoval,
        Mend::RemovalAlwaysUnderALease,
        Mend::RemovalAsksForTheCreator,
        Mend::EmptySetIsAnybodysToRemove,
    ];
    let scenario = Scenario::of(&[Process::opener(A, 1), Process::subscriber()]).mends(OTHERS);
    scenario.clone().segment_removals(1).violates(Check::NobodyIsStranded);
}

/// One opener makes the set, another one claims the lease; the first is refused, the second fails: nobody removes the
/// set.
#[test]
fn two_failed_opens_leave_an_empty_set() {
    const OTHERS: &[Mend] = &[
        Mend::SequenceKeptBeforeRemoval,
        Mend::RemovalAlwaysUnderALease,
        Mend::RemovalAsksForTheCreator,
        Mend::SubscriberLooksForItsFrames,
    ];
    let scenario = Scenario::of(&[Process::opener(A, 1), Process::opener(A, 1)]).failures(1).mends(OTHERS);
    scenario.violates(Check::AnOrderlyEndLeavesNothing);
}

/// Not to be mended: who was robbed of its set does not know until it looks. A second opener takes the stream over, and
/// for up to a second two publishers give out the same numbers, one of them in the ended epoch.
#[test]
fn a_robbed_publisher_uses_numbers_of_its_successor_until_it_looks() {
    let mut scenario = Scenario::of(&[Process::opener(A, 1), Process::opener(A, 1)]).set_removals(1);
    scenario.rules.strict = true;
    scenario.violates(Check::SequencesAreNotUsedAgain);
}

/// The same: an opener that is robbed while it opens takes its successor's unfinished segment for a dead one's.
#[test]
fn a_robbed_opener_removes_what_its_successor_makes() {
    let mut scenario = Scenario::of(&[Process::opener(A, 1), Process::opener(A, 1)]).set_removals(1);
    scenario.rules.strict = true;
    scenario.violates(Check::NothingOfALivingPublisherIsRemoved);
}
