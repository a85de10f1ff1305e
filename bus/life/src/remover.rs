//! A remover: `framebus rm`, with and without force. `inspect::{remove, remove_without_leases}`, `lifecycle::{end,
//! remove_places}`.

use crate::checks::Check;
use crate::kernel::{Claim, Header, Id, Key, PUBLISHER};
use crate::opener::{creator_is_dead, places_are_intact};
use crate::rules::{Fault, Mend};
use crate::world::{Process, Turn};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Pc {
    // remove
    Find,
    FindSet,
    SizeOfSet,
    Claim,
    FindAgain,
    CheckOurs,
    // readers
    ReadersFrames,
    ReadersPlaces,
    ReadersHeld,
    // lifecycle::end
    EndAttach,
    EndMark,
    EndRemove,
    EndDetach,
    // lifecycle::remove_places
    FindPlaces,
    ExaminePlaces,
    RemovePlaces,
    // remove, its end
    SweepTrial,
    RemoveSet,
    GiveBack,
    // the mend: the set is our own, so it says nothing of readers
    StatUnderOwnSet,
    // remove_without_leases
    CheckOursWithoutLeases,
    StatWithoutLeases,
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Remover {
    pub pc: Pc,
    force: bool,
    set: Id,
    /// The set in which it holds the publisher's lease.
    pub lease: Id,
    found: Id,
    /// Mapped.
    look: Id,
    places: Id,
    /// Whose lease is asked for next.
    place: u8,
    /// It made the set, because there was none.
    made_set: bool,
    /// It came to its end, and said that the stream is removed.
    pub succeeded: bool,
}

impl Remover {
    pub(crate) fn new(force: bool) -> Self {
        Self {
            pc: Pc::Find,
            force,
            set: 0,
            lease: 0,
            found: 0,
            look: 0,
            places: 0,
            place: 0,
            made_set: false,
            succeeded: false,
        }
    }

    pub(crate) fn maps(&self) -> [Id; 1] {
        [self.look]
    }

    pub(crate) fn each_id(&mut self, visit: &mut impl FnMut(&mut Id)) {
        visit(&mut self.set);
        visit(&mut self.lease);
        visit(&mut self.found);
        visit(&mut self.look);
        visit(&mut self.places);
    }

    /// The same, and a set that it made goes again.
    fn stop_with_own_set(&mut self, turn: &mut Turn<'_>) {
        if self.made_set {
            turn.remove_set(self.lease);
        }
        self.stop();
    }

    /// Refuses, or fails: whatever it has drops.
    fn stop(&mut self) {
        self.look = 0;
        self.pc = Pc::GiveBack;
        if self.lease == 0 {
            *self = Self { pc: Pc::Done, ..Self::new(self.force) };
        }
    }
}

pub(crate) fn step(turn: &mut Turn<'_>, mut remover: Remover, choice: u8) -> Option<&'static str> {
    if choice > 0 {
        return None;
    }
    let label = match remover.pc {
        Pc::Done => return None,
        Pc::Find | Pc::FindSet | Pc::SizeOfSet | Pc::Claim | Pc::FindAgain | Pc::CheckOurs | Pc::StatUnderOwnSet => {
            begin(turn, &mut remover)
        }
        Pc::ReadersFrames | Pc::ReadersPlaces | Pc::ReadersHeld => readers(turn, &mut remover),
        Pc::CheckOursWithoutLeases | Pc::StatWithoutLeases => without_leases(turn, &mut remover),
        _ => remove(turn, &mut remover),
    };
    turn.world.processes[turn.me] = Process::Remover(remover);
    Some(label)
}

fn begin(turn: &mut Turn<'_>, remover: &mut Remover) -> &'static str {
    let kernel = &mut turn.world.kernel;
    match remover.pc {
        Pc::Find => {
            remover.found = kernel.find(Key::Frames);
            remover.pc = Pc::FindSet;
            "remove: looks for the segment under the key"
        }
        Pc::FindSet => {
            remover.set = kernel.set;
            if remover.set == 0 && turn.rules.mended(Mend::RemovalAlwaysUnderALease) && nothing_is_there(turn) {
                remover.stop();
            } else if remover.set == 0 && turn.rules.mended(Mend::RemovalAlwaysUnderALease) {
                (remover.set, remover.made_set) = (turn.world.kernel.create_set(turn.me as u8), true);
                remover.pc = Pc::SizeOfSet;
            } else {
                remover.pc = if remover.set == 0 { Pc::CheckOursWithoutLeases } else { Pc::SizeOfSet };
            }
            "LeaseSet::find: semget"
        }
        Pc::SizeOfSet => {
            let mended = turn.rules.mended(Mend::RemovalAlwaysUnderALease);
            let there = kernel.set_exists(remover.set) || mended;
            remover.pc = if there { Pc::Claim } else { Pc::CheckOursWithoutLeases };
            "LeaseSet::find: size"
        }
        Pc::Claim => {
            let claim = kernel.claim(remover.set, PUBLISHER, turn.me);
            let ignored = claim == Claim::Held && turn.rules.has(Fault::RemovalUnderAnothersLease);
            if claim == Claim::Claimed || ignored {
                (remover.lease, remover.pc) = (remover.set, Pc::FindAgain);
            } else {
                remover.stop();
            }
            "remove: claims the publisher's lease"
        }
        Pc::FindAgain => {
            remover.found = kernel.find(Key::Frames);
            remover.pc = if remover.found == 0 { Pc::FindPlaces } else { Pc::CheckOurs };
            "remove: looks for the segment again"
        }
        Pc::StatUnderOwnSet => {
            remover.pc = Pc::EndAttach;
            if turn.world.attached(remover.found) > 0 {
                remover.stop_with_own_set(turn);
            }
            "remove (mended): status, under its own set"
        }
        _ => {
            let blank = kernel.get(remover.found).map(|found| found.header == Header::Blank);
            let asks = turn.rules.mended(Mend::RemovalAsksForTheCreator);
            let living = blank == Some(true) && asks && !removable(turn, remover.found);
            remover.pc = if remover.force { Pc::EndAttach } else { Pc::ReadersFrames };
            if remover.made_set {
                remover.pc = Pc::StatUnderOwnSet;
            }
            if blank.is_none() || living {
                remover.stop_with_own_set(turn);
            }
            "check_ours"
        }
    }
}

/// A segment without a byte in it may go.
fn removable(turn: &Turn<'_>, id: Id) -> bool {
    creator_is_dead(turn, id) && turn.world.attached(id) == 0
}

fn nothing_is_there(turn: &Turn<'_>) -> bool {
    [Key::Frames, Key::Places, Key::Trial].iter().all(|key| turn.world.kernel.find(*key) == 0)
}

fn readers(turn: &mut Turn<'_>, remover: &mut Remover) -> &'static str {
    match remover.pc {
        Pc::ReadersFrames => {
            let attached = turn.attach(remover.found, &mut remover.look);
            let finished = attached && turn.world.kernel.at(remover.look).is_finished();
            remover.pc = if finished { Pc::ReadersPlaces } else { Pc::EndAttach };
            "readers: attaches and examines the frames"
        }
        Pc::ReadersPlaces => {
            remover.pc =
                if places_are_intact(&turn.world.kernel, remover.found) { Pc::ReadersHeld } else { Pc::EndAttach };
            "readers: looks at the places"
        }
        _ => {
            let frames = *turn.world.kernel.at(remover.look);
            // In the set under the key, whichever the frames name. A set that is gone says nothing: held.
            let held =
                !turn.world.kernel.set_exists(remover.set) || turn.world.kernel.held[1 + remover.place as usize] != 0;
            remover.place += 1;
            if held {
                remover.stop();
            } else if remover.place as usize == frames.geometry.places() {
                (remover.pc, remover.place, remover.look) = (Pc::EndAttach, 0, 0);
            }
            "readers: is the place's lease held?"
        }
    }
}

fn without_leases(turn: &mut Turn<'_>, remover: &mut Remover) -> &'static str {
    if remover.pc == Pc::CheckOursWithoutLeases {
        let there = turn.world.kernel.get(remover.found).is_some();
        remover.pc = Pc::StatWithoutLeases;
        if !there {
            remover.stop();
        }
        return "remove_without_leases: check_ours";
    }
    let there = turn.world.kernel.get(remover.found).is_some();
    remover.pc = Pc::EndAttach;
    if !there || turn.world.attached(remover.found) > 0 {
        remover.stop();
    }
    "remove_without_leases: status"
}

fn remove(turn: &mut Turn<'_>, remover: &mut Remover) -> &'static str {
    match remover.pc {
        Pc::EndAttach => {
            let attached = turn.attach(remover.found, &mut remover.look);
            let finished = attached && turn.world.kernel.at(remover.look).is_finished();
            remover.pc = if finished { Pc::EndMark } else { Pc::EndRemove };
            if !attached {
                remover.stop();
            }
            "end: attaches and examines the frames"
        }
        Pc::EndMark => {
            turn.mark_closed(remover.look);
            remover.pc = Pc::EndRemove;
            "end: state CLOSED"
        }
        Pc::EndRemove => {
            if turn.world.kernel.find(Key::Frames) == remover.found {
                turn.world.history.seen = 0;
            }
            turn.remove_segment(remover.found);
            remover.pc = Pc::EndDetach;
            "end: removes the frames"
        }
        Pc::EndDetach => {
            (remover.look, remover.pc) = (0, Pc::FindPlaces);
            "end: detaches"
        }
        Pc::FindPlaces => {
            remover.places = turn.world.kernel.find(Key::Places);
            remover.pc = if remover.places == 0 { after_places(remover) } else { Pc::ExaminePlaces };
            finish_without_lease(remover);
            "remove_places: looks for the places"
        }
        Pc::ExaminePlaces => {
            match turn.world.kernel.get(remover.places).map(|places| places.header) {
                None => remover.stop(),
                Some(Header::Blank) => {
                    let asks = turn.rules.mended(Mend::RemovalAsksForTheCreator);
                    let removes = asks && removable(turn, remover.places);
                    remover.pc = if removes { Pc::RemovePlaces } else { after_places(remover) };
                    finish_without_lease(remover);
                }
                Some(_) => remover.pc = Pc::RemovePlaces,
            }
            "remove_places: examines the places"
        }
        Pc::RemovePlaces => {
            if turn.world.kernel.find(Key::Frames) == 0 && turn.world.kernel.find(Key::Places) == remover.places {
                turn.world.history.seen = 0;
            }
            if turn.remove_segment(remover.places) {
                remover.pc = after_places(remover);
                finish_without_lease(remover);
            } else {
                remover.stop();
            }
            "remove_places: removes the places"
        }
        Pc::SweepTrial => {
            let trial = turn.world.kernel.find(Key::Trial);
            if trial != 0 && creator_is_dead(turn, trial) && turn.world.attached(trial) == 0 {
                turn.remove_segment(trial);
            }
            remover.pc = Pc::RemoveSet;
            "remove: removes a trial that somebody left"
        }
        Pc::RemoveSet => {
            let undisturbed = turn.undisturbed() && turn.world.kernel.holds(remover.lease, PUBLISHER, turn.me);
            turn.remove_set(remover.lease);
            if undisturbed && !nothing_is_there(turn) {
                turn.violate(Check::ARemovalLeavesNothing);
            }
            remover.succeeded = true;
            remover.pc = Pc::GiveBack;
            "remove: removes the set"
        }
        _ => {
            turn.world.kernel.release(remover.lease, PUBLISHER, turn.me);
            let succeeded = remover.succeeded;
            *remover = Remover { pc: Pc::Done, succeeded, ..Remover::new(remover.force) };
            "remove: gives back the lease"
        }
    }
}

fn after_places(remover: &Remover) -> Pc {
    if remover.lease == 0 { Pc::Done } else { Pc::SweepTrial }
}

/// Without leases, there is nothing left to do behind the places.
fn finish_without_lease(remover: &mut Remover) {
    if remover.pc == Pc::Done {
        *remover = Remover { pc: Pc::Done, succeeded: true, ..Remover::new(remover.force) };
    }
}
