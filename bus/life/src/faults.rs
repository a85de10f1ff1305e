//! Proof that the checks can fail: a mistake is put into one step, and the named check must notice it.

use crate::checks::Check;
use crate::kernel::Geometry::{A, B};
use crate::rules::Fault;
use crate::scenario::Scenario;
use crate::world::Process;

fn same() -> Scenario {
    Scenario::of(&[Process::opener(A, 1), Process::opener(A, 1)]).kills(1)
}

fn other() -> Scenario {
    Scenario::of(&[Process::opener(A, 1), Process::opener(B, 1)]).kills(1)
}

fn watched(scenario: &[Process]) -> Scenario {
    let mut processes = scenario.to_vec();
    processes.push(Process::subscriber());
    Scenario::of(&processes).kills(1)
}

fn three() -> Scenario {
    Scenario::of(&[Process::opener(A, 1), Process::opener(B, 1), Process::opener(A, 1)])
}

fn other_watched() -> Scenario {
    watched(&[Process::opener(A, 1), Process::opener(B, 1)])
}

macro_rules! noticed {
    ($($test:ident: $fault:ident by $check:ident in $scenario:expr;)*) => { $(
        #[test]
        fn $test() {
            let mut scenario: Scenario = $scenario;
            scenario.rules.fault = Some(Fault::$fault);
            // Looking again might make good what the fault does.
            (scenario.rules.looks_at_segments, scenario.rules.successors_die) = (false, false);
            scenario.violates(Check::$check);
        }
    )* };
}

noticed! {
    the_segment_is_looked_at_before_the_lease_is_claimed:
        LookBeforeTheClaim by SequencesAreNotUsedAgain in same();
    a_refused_claim_counts_as_granted:
        ClaimNotVerified by OnePublisher in same();
    a_refused_claim_of_a_place_counts_as_granted:
        PlaceClaimNotVerified by PlacesAreNotShared in watched(&[Process::opener(A, 1), Process::subscriber()]);
    an_empty_segment_goes_although_its_creator_lives:
        LivingCreatorIgnored by BlankSegmentsOfTheLivingStay in same().set_removals(1);
    a_stream_of_another_set_is_taken_over:
        TakeoverUnderAnotherSet by ReadyIsComplete in same().set_removals(1);
    ready_stands_there_before_the_places_do:
        ReadyBeforeThePlaces by ReadyIsComplete in same();
    the_lease_is_given_back_after_the_creation:
        LeaseGivenBackAfterCreation by OnePublisher in same();
    the_old_frames_go_before_their_sequence_is_noted:
        OldFramesRemovedBeforeTheCarry by SequencesAreNotUsedAgain in other();
    an_unfinished_segment_takes_its_sequence_along:
        UnfinishedNotCarried by SequencesAreNotUsedAgain in three().kills(1);
    a_noted_sequence_is_lowered:
        KeptSequenceLowered by SequencesAreNotUsedAgain in Scenario::robbed_and_behind();
    a_failed_creation_takes_the_sequence_along:
        FailedOpenTakesTheSequence by SequencesAreNotUsedAgain in other().kills(0).failures(1);
    the_noted_sequence_is_not_read:
        CarriedNotRead by SequencesAreNotUsedAgain in other();
    the_old_places_go_before_the_header_has_the_sequence:
        OldPlacesRemovedFirst by SequencesAreNotUsedAgain in other();
    a_frame_in_the_window_only_does_not_count:
        WindowNotRecovered by SequencesAreNotUsedAgain in same();
    the_end_of_an_epoch_is_not_written_into_it:
        OldEpochNotMarked by NobodyIsStranded in other_watched();
    the_end_of_a_stream_is_not_written_into_it:
        ClosedNotMarked by NobodyIsStranded in other_watched();
    a_close_removes_the_set_before_the_segments:
        SetRemovedBeforeTheSegments by NoOpenTripsOverAnother in same();
    a_close_keeps_the_set:
        SetKeptAtClose by AnOrderlyEndLeavesNothing in same();
    the_old_epoch_goes_before_memory_for_the_new_one_is_had:
        NoRehearsal by FailedOpenLeavesWhatItFound in other().no_memory_for(B);
    a_trial_is_left_for_good:
        TrialNotSwept by AFreshOpenerCleansUp in other();
    a_failed_open_leaves_its_frames:
        FailedOpenLeavesFrames by FailedOpenLeavesNothingItMade in same().failures(1);
    a_failed_open_gives_back_its_lease_before_its_segments_go:
        LeaseGivenBackBeforeTheRemains by NothingIsRemovedWithoutTheLease in same().kills(0).failures(1);
    an_empty_set_is_removed_without_a_claim:
        EmptySetNotClaimed by NothingOfALivingPublisherIsRemoved in same().failures(1);
    an_empty_set_is_left_that_another_one_made:
        OnlyItsMakerRemovesAnEmptySet by AnOrderlyEndLeavesNothing in same().kills(0).failures(1);
    a_subscriber_does_not_ask_for_the_state:
        UnfinishedTaken by SubscribersAreOnFinishedEpochs in other_watched();
    a_subscriber_does_not_look_at_the_state_again:
        StateNotLookedAtAgain by AnAttachedEpochIsCurrent in other_watched();
    a_lease_of_another_set_is_kept:
        LeaseOfAnotherSetKept by PlacesAreNotShared in
            watched(&[Process::opener(A, 0), Process::subscriber()]).kills(0).set_removals(1);
    a_subscriber_does_not_look_for_its_frames:
        SubscriberLooksForNothing by SubscribersMove in
            watched(&[Process::opener(A, 0), Process::opener(A, 0)]).kills(0).segment_removals(1);
    a_removal_takes_no_lease_where_there_is_no_set:
        RemovalWithoutALease by NothingOfALivingPublisherIsRemoved in
            Scenario::of(&[Process::opener(A, 0), Process::opener(A, 0), Process::remover(false)]).set_removals(1);
    a_removal_takes_empty_frames_of_a_living_creator:
        RemovalOfALivingCreatorsFrames by BlankSegmentsOfTheLivingStay in
            Scenario::of(&[Process::opener(A, 1), Process::remover(true)]).set_removals(1);
    a_removal_leaves_empty_places:
        RemovalLeavesEmptyPlaces by ARemovalLeavesNothing in
            Scenario::of(&[Process::opener(A, 1), Process::remover(false)]).kills(1);
    a_removal_minds_no_lease:
        RemovalUnderAnothersLease by NothingOfALivingPublisherIsRemoved in
            Scenario::of(&[Process::opener(A, 1), Process::remover(true)]);
}
