//! An open that fails: what it made goes again (L5), its lease is given back, and a set that it made for nothing goes.
//! `Made::drop`, the order in which the values of `create` and `Opening` drop, and `remove_empty_set`.

use crate::checks::Check;
use crate::kernel::{Claim, Key, PUBLISHER, State};
use crate::opener::{self, Opener};
use crate::publisher;
use crate::rules::{Fault, Mend};
use crate::world::Turn;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Pc {
    Detach,
    RemoveFrames,
    RemovePlaces,
    GiveBack,
    DetachOld,
    EmptySetClaim,
    EmptySetLook,
    EmptySetRemove,
    EmptySetGiveBack,
}

/// Why an open failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Busy,
    Unfinished,
    Memory,
    /// A system call's error that another process's doing has caused.
    System,
}

/// Begins to unwind.
pub(crate) fn fail(turn: &mut Turn<'_>, opener: &mut Opener, reason: Reason) {
    let holds = turn.world.kernel.holds(opener.lease, PUBLISHER, turn.me);
    if holds && turn.rules.no_memory_for.is_some() && opener.ready != 0 {
        let found = turn.world.kernel.get(opener.ready);
        if !found.is_some_and(|found| (found.key, found.state) == (Key::Frames, State::Ready)) {
            turn.violate(Check::FailedOpenLeavesWhatItFound);
        }
    }
    if reason == Reason::System && turn.undisturbed() {
        turn.violate(Check::NoOpenTripsOverAnother);
    }
    if opener.lease == 0 {
        // Only `run` is followed by `remove_empty_set`.
        opener.created = false;
    } else if turn.rules.mended(Mend::EmptySetIsAnybodysToRemove) && opener.lease != opener.own.lease {
        opener.created = true;
    }
    unwind(turn, opener);
}

/// Chooses what comes next.
fn unwind(turn: &mut Turn<'_>, opener: &mut Opener) {
    let pc = if (opener.look, opener.frames, opener.places) != (0, 0, 0) {
        Pc::Detach
    } else if opener.made_frames != 0 {
        Pc::RemoveFrames
    } else if opener.made_places != 0 {
        Pc::RemovePlaces
    } else if opener.lease != 0 {
        Pc::GiveBack
    } else if opener.old != 0 {
        Pc::DetachOld
    } else if opener.created {
        Pc::EmptySetClaim
    } else {
        return end(turn, opener);
    };
    opener.pc = opener::Pc::Unwind(pc);
}

fn end(turn: &mut Turn<'_>, opener: &mut Opener) {
    opener.forget();
    if opener.own.frames != 0 {
        // `look_at_lease` says so, and the next loan tries again.
        opener.pc = opener::Pc::Publish(publisher::Pc::Rest);
        return;
    }
    opener.pc = opener::Pc::Done;
    let bears = turn.rules.mended(Mend::SequenceKeptBeforeRemoval);
    let me = turn.me as u8;
    let made_by_me = turn.world.kernel.segments().filter(|made| made.key != Key::Gone && made.creator == me);
    let needless = made_by_me.filter(|made| !(bears && made.base_sequence.max(made.carried) > 0)).count();
    if needless > 0 {
        turn.violate(Check::FailedOpenLeavesNothingItMade);
    }
}

pub(crate) fn step(turn: &mut Turn<'_>, opener: &mut Opener, pc: Pc) -> &'static str {
    let me = turn.me;
    let label = match pc {
        Pc::Detach => {
            (opener.look, opener.frames, opener.places) = (0, 0, 0);
            "a failed open: detaches"
        }
        Pc::RemoveFrames => {
            let base = turn.world.kernel.get(opener.made_frames).map_or(0, |made| made.base_sequence);
            let bears = base > 0 && turn.rules.mended(Mend::SequenceKeptBeforeRemoval);
            if !bears && !turn.rules.has(Fault::FailedOpenLeavesFrames) {
                turn.remove_segment(opener.made_frames);
            }
            opener.made_frames = 0;
            "Made::drop: removes the frames"
        }
        Pc::RemovePlaces => {
            turn.remove_segment(opener.made_places);
            opener.made_places = 0;
            "Made::drop: removes the places"
        }
        Pc::GiveBack => {
            // A renewal does not give back the lease of the stream that it has.
            if opener.lease != opener.own.lease {
                turn.world.kernel.release(opener.lease, PUBLISHER, me);
            }
            opener.lease = 0;
            "a failed open: gives back the lease"
        }
        Pc::DetachOld => {
            opener.old = 0;
            "a failed open: detaches the old frames"
        }
        Pc::EmptySetClaim => {
            let unclaimed = turn.rules.has(Fault::EmptySetNotClaimed);
            if unclaimed || turn.world.kernel.claim(opener.set, PUBLISHER, me) == Claim::Claimed {
                opener.pc = opener::Pc::Unwind(Pc::EmptySetLook);
            } else {
                opener.created = false;
                unwind(turn, opener);
            }
            return "remove_empty_set: claims";
        }
        Pc::EmptySetLook => {
            let places =
                turn.rules.mended(Mend::EmptySetIsAnybodysToRemove) && turn.world.kernel.find(Key::Places) != 0;
            let used = turn.world.kernel.find(Key::Frames) != 0 || places;
            opener.pc = opener::Pc::Unwind(if used { Pc::EmptySetGiveBack } else { Pc::EmptySetRemove });
            return "remove_empty_set: looks for segments";
        }
        Pc::EmptySetRemove => {
            turn.remove_set(opener.set);
            opener.pc = opener::Pc::Unwind(Pc::EmptySetGiveBack);
            return "remove_empty_set: removes the set";
        }
        Pc::EmptySetGiveBack => {
            turn.world.kernel.release(opener.set, PUBLISHER, me);
            opener.created = false;
            "remove_empty_set: gives back the lease"
        }
    };
    unwind(turn, opener);
    label
}
