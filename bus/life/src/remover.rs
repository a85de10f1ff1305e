//! A remover: `framebus rm`, with and without force. `inspect::{remove, make_leases, remove_segments, check_ours,
//! readers}`, `lifecycle::{end, remove_rest}`.

use crate::checks::Check;
use crate::kernel::{Claim, Header, Id, Key, PUBLISHER};
use crate::opener::{creator_is_dead, places_are_found};
use crate::rules::Fault;
use crate::world::{Process, Turn};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Pc {
    // remove
    FindSet,
    SizeOfSet,
    // make_leases
    LookForAnything,
    MakeSet,
    // remove
    Claim,
    // remove_segments
    Find,
    CheckOurs,
    BlankFrames,
    StatUnderOwnSet,
    // readers
    ReadersFrames,
    ReadersPlaces,
    ReadersHeld,
    // lifecycle::end
    EndAttach,
    EndMark,
    EndRemove,
    EndDetach,
    // lifecycle::remove_rest
    FindTrial,
    StatTrial,
    RemoveTrial,
    FindPlaces,
    ExaminePlaces,
    BlankPlaces,
    RemovePlaces,
    // remove, its end
    RemoveSet,
    GiveBack,
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
    /// The places that the removed header names.
    named: Id,
    places: Id,
    /// Whose lease is asked for next.
    place: u8,
    /// There was no set: what it holds says nothing of readers, and goes again whatever comes of the removal.
    robbed: bool,
    /// It says that the stream is removed.
    pub succeeded: bool,
}

impl Remover {
    pub(crate) fn new(force: bool) -> Self {
        Self {
            pc: Pc::FindSet,
            force,
            set: 0,
            lease: 0,
            found: 0,
            look: 0,
            named: 0,
            places: 0,
            place: 0,
            robbed: false,
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
        visit(&mut self.named);
        visit(&mut self.places);
    }

    /// Refuses, or fails: whatever it has drops.
    fn stop(&mut self) {
        self.look = 0;
        if self.lease == 0 {
            self.done();
        } else {
            self.pc = if self.robbed { Pc::RemoveSet } else { Pc::GiveBack };
        }
    }

    /// Removes the set where all else is removed.
    fn succeed(&mut self) {
        self.succeeded = true;
        if self.lease == 0 {
            self.done();
        } else {
            self.pc = Pc::RemoveSet;
        }
    }

    fn done(&mut self) {
        *self = Self { pc: Pc::Done, succeeded: self.succeeded, ..Self::new(self.force) };
    }

    /// How many choices it has here: an empty segment that is attached may be asked for again, or given up.
    pub(crate) fn choices(&self) -> u8 {
        match self.pc {
            Pc::BlankFrames | Pc::StatTrial | Pc::BlankPlaces => 2,
            Pc::Done => 0,
            _ => 1,
        }
    }
}

pub(crate) fn step(turn: &mut Turn<'_>, mut remover: Remover, choice: u8) -> Option<&'static str> {
    let label = match remover.pc {
        Pc::Done => return None,
        Pc::BlankFrames | Pc::StatTrial | Pc::BlankPlaces => living_creator(turn, &mut remover, choice)?,
        _ if choice > 0 => return None,
        Pc::FindSet | Pc::SizeOfSet | Pc::LookForAnything | Pc::MakeSet | Pc::Claim => begin(turn, &mut remover),
        Pc::Find | Pc::CheckOurs | Pc::StatUnderOwnSet => look(turn, &mut remover),
        Pc::ReadersFrames | Pc::ReadersPlaces | Pc::ReadersHeld => readers(turn, &mut remover),
        Pc::EndAttach | Pc::EndMark | Pc::EndRemove | Pc::EndDetach => end(turn, &mut remover),
        Pc::RemoveSet | Pc::GiveBack => finish(turn, &mut remover),
        _ => remove_rest(turn, &mut remover),
    };
    turn.world.processes[turn.me] = Process::Remover(remover);
    Some(label)
}

fn begin(turn: &mut Turn<'_>, remover: &mut Remover) -> &'static str {
    let kernel = &mut turn.world.kernel;
    match remover.pc {
        Pc::FindSet => {
            remover.set = kernel.set;
            remover.pc = if remover.set == 0 { Pc::LookForAnything } else { Pc::SizeOfSet };
            "find_leases: semget"
        }
        Pc::SizeOfSet => {
            remover.pc = if kernel.set_exists(remover.set) { Pc::Claim } else { Pc::LookForAnything };
            "find_leases: size"
        }
        Pc::LookForAnything => {
            (remover.set, remover.robbed) = (0, true);
            if nothing_is_there(turn) {
                remover.stop();
            } else {
                remover.pc = if turn.rules.has(Fault::RemovalWithoutALease) { Pc::Find } else { Pc::MakeSet };
            }
            "make_leases: looks for segments"
        }
        Pc::MakeSet => {
            remover.set = if kernel.set == 0 { kernel.create_set(turn.me as u8) } else { kernel.set };
            remover.pc = Pc::Claim;
            "make_leases: semget(IPC_CREAT)"
        }
        _ => {
            let claim = kernel.claim(remover.set, PUBLISHER, turn.me);
            let ignored = claim == Claim::Held && turn.rules.has(Fault::RemovalUnderAnothersLease);
            if claim == Claim::Claimed || ignored {
                (remover.lease, remover.pc) = (remover.set, Pc::Find);
            } else {
                remover.stop();
            }
            "remove: claims the publisher's lease"
        }
    }
}

fn look(turn: &mut Turn<'_>, remover: &mut Remover) -> &'static str {
    match remover.pc {
        Pc::Find => {
            remover.found = turn.world.kernel.find(Key::Frames);
            remover.pc = if remover.found == 0 { Pc::FindTrial } else { Pc::CheckOurs };
            "remove_segments: looks for the segment under the key"
        }
        Pc::CheckOurs => {
            let ignores = turn.rules.has(Fault::RemovalOfALivingCreatorsFrames);
            match turn.world.kernel.get(remover.found).map(|found| found.header) {
                None => remover.stop(),
                Some(Header::Blank) if !ignores => remover.pc = Pc::BlankFrames,
                Some(_) => are_ours(remover),
            }
            "check_ours: attaches, examines and detaches the frames"
        }
        _ => {
            remover.pc = Pc::ReadersFrames;
            if turn.world.kernel.get(remover.found).is_none() || turn.world.attached(remover.found) > 0 {
                remover.stop();
            }
            "remove_segments: status of the frames, whose leases were removed"
        }
    }
}

/// Behind `check_ours`.
fn are_ours(remover: &mut Remover) {
    remover.pc = match (remover.force, remover.robbed) {
        (true, _) => Pc::EndAttach,
        (false, true) => Pc::StatUnderOwnSet,
        (false, false) => Pc::ReadersFrames,
    };
}

/// A segment without a byte in it goes where its creator is dead and nobody has it attached; waits for the latter.
fn living_creator(turn: &mut Turn<'_>, remover: &mut Remover, choice: u8) -> Option<&'static str> {
    let id = if remover.pc == Pc::BlankPlaces { remover.places } else { remover.found };
    let attached = turn.world.attached(id) > 0;
    if choice > 1 || (choice == 1 && !attached) {
        return None;
    }
    let removable = !attached && creator_is_dead(turn, id);
    match (turn.world.kernel.get(id).is_some(), remover.pc) {
        (false, _) => remover.stop(),
        // Asks again.
        _ if attached && choice == 0 => {}
        (true, Pc::BlankFrames) if removable => are_ours(remover),
        (true, Pc::BlankFrames) => remover.stop(),
        (true, Pc::StatTrial) => remover.pc = if removable { Pc::RemoveTrial } else { Pc::FindPlaces },
        (true, _) if removable => remover.pc = Pc::RemovePlaces,
        (true, _) => remover.succeed(),
    }
    Some("living_creator: status of an empty segment")
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
                if places_are_found(&turn.world.kernel, remover.found) { Pc::ReadersHeld } else { Pc::EndAttach };
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

fn end(turn: &mut Turn<'_>, remover: &mut Remover) -> &'static str {
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
            remover.named = turn.world.kernel.at(remover.look).places_id;
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
        _ => {
            (remover.look, remover.pc) = (0, Pc::FindTrial);
            "end: detaches"
        }
    }
}

fn remove_rest(turn: &mut Turn<'_>, remover: &mut Remover) -> &'static str {
    let kernel = &turn.world.kernel;
    match remover.pc {
        Pc::FindTrial => {
            remover.found = kernel.find(Key::Trial);
            remover.pc = if remover.found == 0 { Pc::FindPlaces } else { Pc::StatTrial };
            "remove_rest: looks for a trial"
        }
        Pc::RemoveTrial => {
            remover.pc = Pc::FindPlaces;
            if !turn.remove_segment(remover.found) {
                remover.stop();
            }
            "remove_rest: removes a trial that somebody left"
        }
        Pc::FindPlaces => {
            remover.places = kernel.find(Key::Places);
            match remover.places {
                0 => remover.succeed(),
                places if places == remover.named => remover.pc = Pc::RemovePlaces,
                _ => remover.pc = Pc::ExaminePlaces,
            }
            "remove_rest: looks for the places"
        }
        Pc::ExaminePlaces => {
            match kernel.get(remover.places).map(|places| places.header) {
                None => remover.stop(),
                Some(Header::Blank) if turn.rules.has(Fault::RemovalLeavesEmptyPlaces) => remover.succeed(),
                Some(Header::Blank) => remover.pc = Pc::BlankPlaces,
                Some(_) => remover.pc = Pc::RemovePlaces,
            }
            "remove_rest: attaches, examines and detaches the places"
        }
        _ => {
            if kernel.find(Key::Frames) == 0 && kernel.find(Key::Places) == remover.places {
                turn.world.history.seen = 0;
            }
            if turn.remove_segment(remover.places) {
                remover.succeed();
            } else {
                remover.stop();
            }
            "remove_rest: removes the places"
        }
    }
}

fn finish(turn: &mut Turn<'_>, remover: &mut Remover) -> &'static str {
    if remover.pc == Pc::RemoveSet {
        let undisturbed = turn.undisturbed() && turn.world.kernel.holds(remover.lease, PUBLISHER, turn.me);
        turn.remove_set(remover.lease);
        if remover.succeeded && undisturbed && !nothing_is_there(turn) {
            turn.violate(Check::ARemovalLeavesNothing);
        }
        remover.pc = Pc::GiveBack;
        return "remove: removes the set";
    }
    turn.world.kernel.release(remover.lease, PUBLISHER, turn.me);
    remover.done();
    "remove: gives back the lease"
}
