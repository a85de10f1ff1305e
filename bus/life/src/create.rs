//! How an opener ends an epoch and begins one: `Opening::{supersede, rehearse, replace, create, finish}`.

use crate::kernel::{Header, Id, Key, PUBLISHER, State};
use crate::opener::{self, Opener, check_opened, creator_is_dead, places_are_intact};
use crate::publisher;
use crate::rules::{Fault, Mend};
use crate::unwind::{Reason, fail};
use crate::world::Turn;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Pc {
    // rehearse
    CreateTrial,
    AttachTrial,
    RemoveTrial,
    DetachTrial,
    // supersede
    AttachOld,
    RecoverOld,
    LookAtOldPlaces,
    AttachOldPlaces,
    Carry,
    MarkSuperseded,
    // the mend: the sequence is noted in the places, whatever became of the old ones
    KeepFind,
    KeepCreate,
    KeepAttach,
    KeepStore,
    // replace
    RemoveFound,
    // create
    FindLeftover,
    AttachLeftover,
    ExamineLeftover,
    BlankLeftover,
    CreateFrames,
    AttachFrames,
    BeginHeader,
    WriteHeader,
    MarkCreating,
    RemoveLeftover,
    CreatePlaces,
    AttachPlaces,
    WritePlacesHeader,
    NamePlaces,
    PrepareMemory,
    SetAccess,
    MarkReady,
    DetachOld,
    Recover,
}

use Pc::*;

/// Where the replacement of an unfinished segment begins.
pub(crate) fn replace_unfinished(turn: &Turn<'_>, base: u8) -> opener::Pc {
    let keep = base > 0 && turn.rules.mended(Mend::SequenceKeptBeforeRemoval);
    opener::Pc::Create(if keep { KeepFind } else { RemoveFound })
}

pub(crate) fn step(turn: &mut Turn<'_>, opener: &mut Opener, pc: Pc, choice: u8) -> Option<&'static str> {
    match choice {
        0 => Some(match pc {
            CreateTrial | AttachTrial | RemoveTrial | DetachTrial => rehearse(turn, opener, pc),
            AttachOld | RecoverOld | LookAtOldPlaces | AttachOldPlaces | Carry | MarkSuperseded => {
                supersede(turn, opener, pc)
            }
            KeepFind | KeepCreate | KeepAttach | KeepStore | RemoveFound => replace(turn, opener, pc),
            FindLeftover | AttachLeftover | ExamineLeftover | BlankLeftover => leftover_places(turn, opener, pc),
            _ => create(turn, opener, pc),
        }),
        1 => spoil(turn, opener, pc),
        _ => None,
    }
}

/// A renewal notes its sequence where a successor will look for it, whatever became of its own places.
pub(crate) fn keep_for_renewal(turn: &mut Turn<'_>, opener: &mut Opener) -> &'static str {
    replace(turn, opener, KeepFind)
}

fn go(opener: &mut Opener, pc: Pc) {
    opener.pc = opener::Pc::Create(pc);
}

/// Goes on where a call succeeded, and fails where another process has made it fail.
fn go_if(turn: &mut Turn<'_>, opener: &mut Opener, succeeded: bool, pc: Pc) {
    if succeeded {
        go(opener, pc);
    } else {
        fail(turn, opener, Reason::System);
    }
}

fn rehearse(turn: &mut Turn<'_>, opener: &mut Opener, pc: Pc) -> &'static str {
    match pc {
        CreateTrial => {
            if turn.rules.has(Fault::NoRehearsal) {
                go(opener, AttachOld);
            } else {
                make(turn, opener, Key::Trial, AttachTrial);
            }
            "rehearse: creates the trial"
        }
        AttachTrial => {
            let attached = turn.attach(turn.world.kernel.find(Key::Trial), &mut opener.look);
            go_if(turn, opener, attached, RemoveTrial);
            "rehearse: attaches the trial"
        }
        RemoveTrial => {
            let removed = turn.remove_segment(opener.look);
            go_if(turn, opener, removed, DetachTrial);
            "rehearse: removes the trial"
        }
        _ => {
            opener.look = 0;
            go(opener, AttachOld);
            "rehearse: detaches the trial"
        }
    }
}

fn supersede(turn: &mut Turn<'_>, opener: &mut Opener, pc: Pc) -> &'static str {
    let removed_first = turn.rules.has(Fault::OldFramesRemovedBeforeTheCarry);
    match pc {
        AttachOld => {
            let attached = turn.attach(opener.found, &mut opener.old);
            go_if(turn, opener, attached, RecoverOld);
            "supersede: attaches the old frames"
        }
        RecoverOld => {
            opener.base = recover(turn, opener.old);
            go(opener, if removed_first { RemoveFound } else { LookAtOldPlaces });
            "supersede: SlotLedger::recover of the old frames"
        }
        LookAtOldPlaces => {
            let keeps = turn.rules.mended(Mend::SequenceKeptBeforeRemoval) && opener.base > 0;
            let intact = places_are_intact(&turn.world.kernel, opener.old);
            go(
                opener,
                if intact {
                    AttachOldPlaces
                } else if keeps {
                    KeepFind
                } else {
                    MarkSuperseded
                },
            );
            "attach_places: looks at the old places"
        }
        AttachOldPlaces => {
            let places = turn.world.kernel.at(opener.old).places_id;
            let attached = turn.attach(places, &mut opener.look);
            go_if(turn, opener, attached, Carry);
            "attach_places: attaches the old places"
        }
        Carry => {
            turn.world.kernel.at(opener.look).carried = opener.base;
            opener.look = 0;
            go(opener, MarkSuperseded);
            "supersede: carry_sequence, and detaches the old places"
        }
        _ => {
            if !turn.rules.has(Fault::OldEpochNotMarked) {
                turn.world.kernel.at(opener.old).state = State::Superseded;
            }
            go(opener, if removed_first { FindLeftover } else { RemoveFound });
            "end_epoch: state SUPERSEDED"
        }
    }
}

fn replace(turn: &mut Turn<'_>, opener: &mut Opener, pc: Pc) -> &'static str {
    match pc {
        KeepFind => {
            opener.leftover = turn.world.kernel.find(Key::Places);
            go(opener, if opener.leftover == 0 { KeepCreate } else { KeepAttach });
            "keep_sequence (mended): looks for the places"
        }
        KeepCreate => {
            make(turn, opener, Key::Places, KeepAttach);
            (opener.leftover, opener.made_places) = (opener.made_places, 0);
            "keep_sequence (mended): creates places, to note the sequence there"
        }
        KeepAttach => {
            let attached = turn.attach(opener.leftover, &mut opener.look);
            go_if(turn, opener, attached, KeepStore);
            "keep_sequence (mended): attaches the places"
        }
        KeepStore => {
            let places = turn.world.kernel.at(opener.look);
            (places.header, places.carried) = (Header::Written, places.carried.max(opener.base));
            (opener.look, opener.leftover) = (0, 0);
            if opener.own.lease != 0 && opener.lease == opener.own.lease {
                opener.pc = opener::Pc::Publish(publisher::Pc::RenewMark);
            } else {
                go(opener, if opener.old == 0 { RemoveFound } else { MarkSuperseded });
            }
            "keep_sequence (mended): notes the sequence in the places"
        }
        _ => {
            let removed = turn.remove_segment(opener.found);
            let carries = turn.rules.has(Fault::OldFramesRemovedBeforeTheCarry) && opener.old != 0;
            go_if(turn, opener, removed, if carries { LookAtOldPlaces } else { FindLeftover });
            opener.found = 0;
            "replace: removes the segment under the key"
        }
    }
}

fn leftover_places(turn: &mut Turn<'_>, opener: &mut Opener, pc: Pc) -> &'static str {
    match pc {
        FindLeftover => {
            opener.leftover = turn.world.kernel.find(Key::Places);
            go(opener, if opener.leftover == 0 { CreateFrames } else { AttachLeftover });
            "leftover_places: looks for old places"
        }
        AttachLeftover => {
            let attached = turn.attach(opener.leftover, &mut opener.look);
            go_if(turn, opener, attached, ExamineLeftover);
            "leftover_places: attaches the old places"
        }
        ExamineLeftover => {
            let places = *turn.world.kernel.at(opener.look);
            opener.look = 0;
            if !turn.rules.has(Fault::CarriedNotRead) {
                opener.base = opener.base.max(places.carried);
            }
            let blank = places.header == Header::Blank;
            let first = turn.rules.has(Fault::OldPlacesRemovedFirst);
            go(
                opener,
                if blank {
                    BlankLeftover
                } else if first {
                    RemoveLeftover
                } else {
                    CreateFrames
                },
            );
            "leftover_places: examines the old places, and detaches them"
        }
        _ => {
            let dead = creator_is_dead(turn, opener.leftover);
            match (turn.world.kernel.get(opener.leftover).is_some(), dead, turn.world.attached(opener.leftover)) {
                (false, ..) => fail(turn, opener, Reason::System),
                (_, true, 0) => go(opener, CreateFrames),
                (_, false, 0) => fail(turn, opener, Reason::Unfinished),
                // Asks again.
                _ => {}
            }
            "refuse_living_creator: status of the empty places"
        }
    }
}

fn create(turn: &mut Turn<'_>, opener: &mut Opener, pc: Pc) -> &'static str {
    match pc {
        CreateFrames => {
            make(turn, opener, Key::Frames, AttachFrames);
            "create: creates the frames"
        }
        AttachFrames => {
            let attached = turn.attach(opener.made_frames, &mut opener.frames);
            go_if(turn, opener, attached, BeginHeader);
            "create: attaches the frames"
        }
        BeginHeader => {
            turn.world.kernel.at(opener.frames).header = Header::Begun;
            go(opener, WriteHeader);
            "write_header: its first word"
        }
        WriteHeader => {
            let frames = turn.world.kernel.at(opener.frames);
            (frames.header, frames.base_sequence, frames.leases_id) = (Header::Written, opener.base, opener.lease);
            go(opener, MarkCreating);
            "write_header: all but the places"
        }
        MarkCreating => {
            let ready = turn.rules.has(Fault::ReadyBeforeThePlaces);
            turn.world.kernel.at(opener.frames).state = if ready { State::Ready } else { State::Creating };
            go(opener, if opener.leftover == 0 { CreatePlaces } else { RemoveLeftover });
            "create: state CREATING"
        }
        RemoveLeftover => {
            let removed = turn.remove_segment(opener.leftover);
            go_if(turn, opener, removed, if opener.made_frames == 0 { CreateFrames } else { CreatePlaces });
            opener.leftover = 0;
            "create: removes the old places"
        }
        CreatePlaces => {
            make(turn, opener, Key::Places, AttachPlaces);
            "create: creates the places"
        }
        AttachPlaces => {
            let attached = turn.attach(opener.made_places, &mut opener.places);
            go_if(turn, opener, attached, WritePlacesHeader);
            "create: attaches the places"
        }
        WritePlacesHeader => {
            let places = turn.world.kernel.at(opener.places);
            (places.header, places.cookie) = (Header::Written, opener.frames);
            go(opener, NamePlaces);
            "write_places_header"
        }
        NamePlaces => {
            let frames = turn.world.kernel.at(opener.frames);
            (frames.places_id, frames.latest) = (opener.places, opener.base);
            go(opener, PrepareMemory);
            "create: the header names the places, `latest` is the base"
        }
        PrepareMemory => {
            go(opener, SetAccess);
            "prepare_memory"
        }
        SetAccess => {
            let exists = turn.world.kernel.set_exists(opener.lease);
            go_if(turn, opener, exists, if opener.made_frames == 0 { Recover } else { MarkReady });
            "finish: sets mode and group of the set"
        }
        MarkReady => {
            turn.world.kernel.at(opener.frames).state = State::Ready;
            (opener.made_frames, opener.made_places) = (0, 0);
            let keys = [turn.world.kernel.at(opener.frames).key, turn.world.kernel.at(opener.places).key];
            turn.world.history.torn &= keys != [Key::Frames, Key::Places];
            if turn.rules.has(Fault::LeaseGivenBackAfterCreation) {
                turn.world.kernel.release(opener.lease, PUBLISHER, turn.me);
            }
            go(opener, if opener.old == 0 { Recover } else { DetachOld });
            "create: state READY"
        }
        DetachOld => {
            opener.old = 0;
            go(opener, Recover);
            "supersede: detaches the old frames"
        }
        _ => {
            check_opened(turn, opener.frames, opener.lease);
            publisher::begin(turn, opener);
            "Publisher::on: SlotLedger::recover"
        }
    }
}

/// A frame in the window counts as published, also where its publisher died before `latest`. Returns the last sequence.
pub(crate) fn recover(turn: &mut Turn<'_>, frames: Id) -> u8 {
    let ignored = turn.rules.has(Fault::WindowNotRecovered);
    let frames = turn.world.kernel.at(frames);
    if frames.entry == frames.latest + 1 && !ignored {
        frames.latest = frames.entry;
    }
    frames.latest
}

/// shmget(2) with `IPC_CREAT | IPC_EXCL`.
fn make(turn: &mut Turn<'_>, opener: &mut Opener, key: Key, then: Pc) {
    if key != Key::Places && turn.rules.no_memory_for == Some(opener.geometry) {
        return fail(turn, opener, Reason::Memory);
    }
    let Some(id) = turn.world.kernel.create(key, turn.me, opener.geometry) else {
        return fail(turn, opener, Reason::System);
    };
    match key {
        Key::Frames => opener.made_frames = id,
        Key::Places => opener.made_places = id,
        Key::Trial | Key::Gone => {}
    }
    go(opener, then);
}

/// What else may come of a step: no memory, or no patience left.
fn spoil(turn: &mut Turn<'_>, opener: &mut Opener, pc: Pc) -> Option<&'static str> {
    match pc {
        BlankLeftover if turn.world.attached(opener.leftover) > 0 => {
            fail(turn, opener, Reason::Unfinished);
            Some("refuse_living_creator: gives up")
        }
        CreateTrial | CreateFrames | CreatePlaces | PrepareMemory => {
            turn.world.budget.failures = turn.world.budget.failures.checked_sub(1)?;
            fail(turn, opener, Reason::Memory);
            Some("this call fails: no memory can be had")
        }
        _ => None,
    }
}
