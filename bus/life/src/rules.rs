//! What a configuration allows, which faults can be seeded, and which mends can be tried.

use crate::checks::Check;
use crate::kernel::Geometry;
use crate::world::Budget;

/// Which checks count.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asked {
    All,
    Only(Check),
    AllBut(&'static [Check]),
}

impl Asked {
    pub(crate) fn counts(self, check: Check) -> bool {
        match self {
            Asked::All => true,
            Asked::Only(only) => check == only,
            Asked::AllBut(known) => !known.contains(&check),
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
    /// Whether the once-a-second look also asks if the segments are still under their keys.
    pub looks_at_segments: bool,
    /// Whether the checks make no allowance for who was robbed of its set and has not noticed.
    pub strict: bool,
    /// Whether those that come after a world of the dead may be killed too, one after the other.
    pub successors_die: bool,
    pub fault: Option<Fault>,
    pub mends: &'static [Mend],
}

impl Rules {
    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    pub(crate) fn mended(&self, mend: Mend) -> bool {
        self.mends.contains(&mend)
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
    /// A failed open removes the set that it made without a claim.
    EmptySetNotClaimed,
    /// A subscriber does not ask for the state before it attaches.
    UnfinishedTaken,
    /// A subscriber does not look at the state again once it has its place.
    StateNotLookedAtAgain,
    /// A subscriber keeps its lease in an epoch whose leases are in another set.
    LeaseOfAnotherSetKept,
    /// A removal goes on although a publisher holds the lease.
    RemovalUnderAnothersLease,
}

/// A change of the code that would make a known violation impossible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mend {
    /// Before an unfinished segment goes, its base sequence is noted in the places (made for that where there are
    /// none); and a creation that fails leaves the frames that are the last to bear one.
    SequenceKeptBeforeRemoval,
    /// A removal makes the set where there is none, and claims the lease as ever.
    RemovalAlwaysUnderALease,
    /// A removal does with a segment without a byte in it as an open does: it goes where its creator is dead, be it the
    /// frames or the places, and is left alone where not.
    RemovalAsksForTheCreator,
    /// A subscriber that waits in vain looks whether its frames are still under the key, and follows where they are
    /// not.
    SubscriberLooksForItsFrames,
    /// A failed open removes the set, whoever made it, where there is no segment under the stream's keys.
    EmptySetIsAnybodysToRemove,
}
