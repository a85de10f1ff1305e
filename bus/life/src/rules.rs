//! What a configuration allows, and which faults can be seeded.

use crate::checks::Check;
use crate::kernel::Geometry;
use crate::world::Budget;

/// Which checks count.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asked {
    All,
    Only(Check),
}

impl Asked {
    pub(crate) fn counts(self, check: Check) -> bool {
        match self {
            Asked::All => true,
            Asked::Only(only) => check == only,
        }
    }
}

/// How the processes of a configuration behave.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    pub budget: Budget,
    /// Frames of this geometry can never be had: the kernel says ENOSPC each time.
    pub no_memory_for: Option<Geometry>,
    /// Whether a publisher may leave its stream there (`persist`).
    pub persist: bool,
    /// Whether a publisher may change from geometry A to B while it lives (`set_content`).
    pub resizes: bool,
    /// Whether the once-a-second look also asks if the segments are still under their keys.
    pub looks_at_segments: bool,
    /// Whether the checks make no allowance for who was robbed of its set and has not noticed.
    pub strict: bool,
    /// Whether those that come after a world of the dead may be killed too, one after the other.
    pub successors_die: bool,
    pub fault: Option<Fault>,
}

impl Rules {
    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }
}

/// A mistake that can be made in a step; `faults.rs` names the check that notices it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The segment under the key is looked at before the lease is claimed, and acted upon after.
    LookBeforeTheClaim,
    /// A publisher's claim that is refused counts as one that is granted.
    ClaimNotVerified,
    /// The same, of a place.
    PlaceClaimNotVerified,
    /// A segment without a byte in it is removed although its creator may live.
    LivingCreatorIgnored,
    /// A stream is taken over whose leases are in another set.
    TakeoverUnderAnotherSet,
    /// READY stands there where CREATING should.
    ReadyBeforeThePlaces,
    /// The creator drops its lease as soon as the stream is READY.
    LeaseGivenBackAfterCreation,
    /// The frames of the old epoch are removed before their last sequence is noted in the places.
    OldFramesRemovedBeforeTheCarry,
    /// An unfinished segment is removed, and the sequence that it bears is not noted in the places before.
    UnfinishedNotCarried,
    /// What is noted in the places is noted also where a higher sequence stands there.
    KeptSequenceLowered,
    /// A creation that fails behind the removal of the old places takes its frames along, the last to bear the sequence.
    FailedOpenTakesTheSequence,
    /// What is noted in old places is not read.
    CarriedNotRead,
    /// The old places are removed before the new header has the sequence.
    OldPlacesRemovedFirst,
    /// A frame that is in the window and not in `latest` does not count.
    WindowNotRecovered,
    /// The end of an epoch is not written into it.
    OldEpochNotMarked,
    /// The end of a stream is not written into it.
    ClosedNotMarked,
    /// A close removes the set before the segments.
    SetRemovedBeforeTheSegments,
    /// A close does not remove the set.
    SetKeptAtClose,
    /// The old epoch goes before it is known that memory for the new one can be had.
    NoRehearsal,
    /// Nobody removes a trial whose creator was killed.
    TrialNotSwept,
    /// A creation that fails leaves its frames.
    FailedOpenLeavesFrames,
    /// An open that fails in `finish` gives back its lease before it removes what it made.
    LeaseGivenBackBeforeTheRemains,
    /// A failed open removes the set without a claim.
    EmptySetNotClaimed,
    /// A failed open leaves an empty set that another one made.
    OnlyItsMakerRemovesAnEmptySet,
    /// A subscriber does not ask for the state before it attaches.
    UnfinishedTaken,
    /// A subscriber does not look at the state again once it has its place.
    StateNotLookedAtAgain,
    /// A subscriber keeps its lease in an epoch whose leases are in another set.
    LeaseOfAnotherSetKept,
    /// A subscriber that waits in vain does not look whether its frames are still under the key.
    SubscriberLooksForNothing,
    /// A removal goes on although a publisher holds the lease.
    RemovalUnderAnothersLease,
    /// A removal goes on without a lease where there is no set.
    RemovalWithoutALease,
    /// A removal removes frames without a byte in them although their creator may live.
    RemovalOfALivingCreatorsFrames,
    /// A removal leaves places without a byte in them.
    RemovalLeavesEmptyPlaces,
}
