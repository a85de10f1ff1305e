//! An open that fails: what it made goes again (L5), its lease is given back, and a set without segments goes.
//! `Made::drop`, the order in which the values of `create`, `finish` and `Opening` drop, and `remove_unused_leases`.

use crate::checks::Check;
use crate::kernel::{Claim, Header, Key, PUBLISHER, State};
use crate::opener::{self, Opener};
use crate::publisher;
use crate::rules::Fault;
use crate::world::Turn;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Pc {
    Detach,
    RemoveFrames,
    RemovePlaces,
    GiveBack,
    DetachOld,
    // finish, with a seeded fault
    FinishDetach,
    FinishGiveBack,
    // remove_unused_leases
    UnusedClaim,
    UnusedFrames,
    UnusedExamineFrames,
    UnusedPlaces,
    UnusedExaminePlaces,
    UnusedRemove,
    UnusedGiveBack,
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
    account(turn, opener, reason);
    unwind(turn, opener);
}

/// The same in `finish`, which has the mappings and the lease: they must not drop before `create` drops the rest.
pub(crate) fn fail_in_finish(turn: &mut Turn<'_>, opener: &mut Opener, reason: Reason) {
    account(turn, opener, reason);
    if turn.rules.has(Fault::LeaseGivenBackBeforeTheRemains) {
        opener.pc = opener::Pc::Unwind(Pc::FinishDetach);
    } else {
        unwind(turn, opener);
    }
}

fn account(turn: &mut Turn<'_>, opener: &mut Opener, reason: Reason) {
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
    // Only `run` is followed by `remove_unused_leases`, and not that of a renewal under the lease that it has.
    let maker = opener.created || !turn.rules.has(Fault::OnlyItsMakerRemovesAnEmptySet);
    opener.tidies = opener.lease != 0 && opener.lease != opener.own.lease && maker;
}

/// Chooses what comes next.
fn unwind(turn: &mut Turn<'_>, opener: &mut Opener) {
    let in_supersede = opener.old != 0 && opener.found != 0;
    let pc = if in_supersede || (opener.look, opener.frames, opener.places) != (0, 0, 0) {
        Pc::Detach
    } else if opener.made_frames != 0 && !opener.frames_stay {
        Pc::RemoveFrames
    } else if opener.made_places != 0 {
        Pc::RemovePlaces
    } else if opener.lease != 0 {
        Pc::GiveBack
    } else if opener.old != 0 {
        Pc::DetachOld
    } else if opener.tidies {
        Pc::UnusedClaim
    } else {
        return end(turn, opener);
    };
    opener.pc = opener::Pc::Unwind(pc);
}

fn end(turn: &mut Turn<'_>, opener: &mut Opener) {
    opener.forget();
    if opener.own.frames != 0 {
        opener.pc = opener::Pc::Publish(publisher::Pc::LookForOwn);
        return;
    }
    opener.pc = opener::Pc::Done;
    let me = turn.me as u8;
    let made_by_me = turn.world.kernel.segments().filter(|made| made.key != Key::Gone && made.creator == me);
    let needless = made_by_me.filter(|made| made.base_sequence.max(made.carried) == 0).count();
    if needless > 0 {
        turn.violate(Check::FailedOpenLeavesNothingItMade);
    }
}

pub(crate) fn step(turn: &mut Turn<'_>, opener: &mut Opener, pc: Pc) -> &'static str {
    let me = turn.me;
    let label = match pc {
        Pc::Detach => {
            (opener.look, opener.frames, opener.places) = (0, 0, 0);
            if opener.found != 0 {
                // Behind `replace`, it drops last.
                opener.old = 0;
            }
            "a failed open: detaches"
        }
        Pc::RemoveFrames => {
            if !turn.rules.has(Fault::FailedOpenLeavesFrames) {
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
        Pc::FinishDetach => {
            (opener.frames, opener.places) = (0, 0);
            opener.pc = opener::Pc::Unwind(Pc::FinishGiveBack);
            return "finish fails: detaches";
        }
        Pc::GiveBack | Pc::FinishGiveBack => {
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
        pc => return remove_unused_leases(turn, opener, pc),
    };
    unwind(turn, opener);
    label
}

fn remove_unused_leases(turn: &mut Turn<'_>, opener: &mut Opener, pc: Pc) -> &'static str {
    let go = |opener: &mut Opener, pc| opener.pc = opener::Pc::Unwind(pc);
    match pc {
        Pc::UnusedClaim => {
            let unclaimed = turn.rules.has(Fault::EmptySetNotClaimed);
            if unclaimed || turn.world.kernel.claim(opener.set, PUBLISHER, turn.me) == Claim::Claimed {
                go(opener, Pc::UnusedFrames);
            } else {
                opener.tidies = false;
                unwind(turn, opener);
            }
            "remove_unused_leases: claims"
        }
        Pc::UnusedFrames | Pc::UnusedPlaces => {
            let (key, examine, none) = match pc {
                Pc::UnusedFrames => (Key::Frames, Pc::UnusedExamineFrames, Pc::UnusedPlaces),
                _ => (Key::Places, Pc::UnusedExaminePlaces, Pc::UnusedRemove),
            };
            // What is destroyed between the two calls counts as not found.
            opener.look = turn.world.kernel.find(key);
            go(opener, if opener.look == 0 { none } else { examine });
            "remove_unused_leases: looks for a segment, and attaches it"
        }
        Pc::UnusedExamineFrames | Pc::UnusedExaminePlaces => {
            let blank = turn.world.kernel.at(opener.look).header == Header::Blank;
            let next = if pc == Pc::UnusedExamineFrames { Pc::UnusedPlaces } else { Pc::UnusedRemove };
            opener.look = 0;
            go(opener, if blank { next } else { Pc::UnusedGiveBack });
            "remove_unused_leases: examines the segment, and detaches it"
        }
        Pc::UnusedRemove => {
            turn.remove_set(opener.set);
            go(opener, Pc::UnusedGiveBack);
            "remove_unused_leases: removes the set"
        }
        _ => {
            turn.world.kernel.release(opener.set, PUBLISHER, turn.me);
            opener.tidies = false;
            unwind(turn, opener);
            "remove_unused_leases: gives back the lease"
        }
    }
}
