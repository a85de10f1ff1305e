//! How an opener ends an epoch and begins one: `Opening::{supersede, rehearse, keep_sequence,
//! replace, create, leftover_places, finish}`.

use crate::kernel::{Header, Id, Key, PUBLISHER, State};
use crate::opener::{self, Keeping, Opener, check_opened, creator_is_dead};
use crate::publisher;
use crate::rules::Fault;
use crate::unwind::{Reason, fail, fail_in_finish};
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
    MarkSuperseded,
    // keep_sequence, behind leftover_places
    KeepCreate,
    KeepAttach,
    KeepCarry,
    KeepHeader,
    KeepDetach,
    // replace
    RemoveFound,
    // leftover_places
    FindLeftover,
    AttachLeftover,
    ExamineLeftover,
    BlankLeftover,
    // create
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

/// How the replacement of an unfinished segment begins, which may be all that knows the last sequence.
pub(crate) fn replace_unfinished(turn: &Turn<'_>, opener: &mut Opener, base: u8) -> (opener::Pc, u8) {
    let keeps = base > 0 && !turn.rules.has(Fault::UnfinishedNotCarried);
    if keeps {
        opener.keeping = Keeping::Unfinished;
    }
    (opener::Pc::Create(if keeps { FindLeftover } else { RemoveFound }), base)
}

pub(crate) fn step(turn: &mut Turn<'_>, opener: &mut Opener, pc: Pc, choice: u8) -> Option<&'static str> {
    match choice {
        0 => Some(match pc {
            CreateTrial | AttachTrial | RemoveTrial | DetachTrial => rehearse(turn, opener, pc),
            AttachOld | RecoverOld | MarkSuperseded => supersede(turn, opener, pc),
            KeepCreate | KeepAttach | KeepCarry | KeepHeader | KeepDetach => keep_sequence(turn, opener, pc),
            RemoveFound => replace(turn, opener),
            FindLeftover | AttachLeftover | ExamineLeftover | BlankLeftover => leftover_places(turn, opener, pc),
            _ => create(turn, opener, pc),
        }),
        1 => spoil(turn, opener, pc),
        _ => None,
    }
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
            opener.base = opener.last().max(recover(turn, opener.old));
            opener.keeping = Keeping::OldEpoch;
            go(opener, if removed_first { RemoveFound } else { FindLeftover });
            "supersede: SlotLedger::recover of the old frames"
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

fn replace(turn: &mut Turn<'_>, opener: &mut Opener) -> &'static str {
    let removed = turn.remove_segment(opener.found);
    go_if(turn, opener, removed, FindLeftover);
    opener.found = 0;
    "replace: removes the segment under the key"
}

fn leftover_places(turn: &mut Turn<'_>, opener: &mut Opener, pc: Pc) -> &'static str {
    match pc {
        FindLeftover => {
            opener.leftover = turn.world.kernel.find(Key::Places);
            if opener.leftover == 0 || opener.leftover == opener.named {
                leftover_known(turn, opener);
            } else {
                go(opener, AttachLeftover);
            }
            if opener.keeping == Keeping::No {
                "create: leftover_places: looks for old places"
            } else {
                "keep_sequence: leftover_places: looks for old places"
            }
        }
        AttachLeftover => {
            let attached = turn.attach(opener.leftover, &mut opener.look);
            go_if(turn, opener, attached, ExamineLeftover);
            "leftover_places: attaches the old places"
        }
        ExamineLeftover => {
            let places = *turn.world.kernel.at(opener.look);
            opener.look = 0;
            let unread = if opener.keeping == Keeping::No { Fault::CarriedNotRead } else { Fault::KeptSequenceLowered };
            if !turn.rules.has(unread) {
                opener.base = opener.base.max(places.carried);
            }
            if places.header == Header::Blank {
                go(opener, BlankLeftover);
            } else {
                leftover_known(turn, opener);
            }
            "leftover_places: examines the old places, and detaches them"
        }
        _ => {
            let dead = creator_is_dead(turn, opener.leftover);
            match (turn.world.kernel.get(opener.leftover).is_some(), dead, turn.world.attached(opener.leftover)) {
                (false, ..) => fail(turn, opener, Reason::System),
                (_, true, 0) => leftover_known(turn, opener),
                (_, false, 0) => fail(turn, opener, Reason::Unfinished),
                // Asks again.
                _ => {}
            }
            "refuse_living_creator: status of the empty places"
        }
    }
}

/// It is known which places are left, if any, and that they may be used.
fn leftover_known(turn: &Turn<'_>, opener: &mut Opener) {
    let first = turn.rules.has(Fault::OldPlacesRemovedFirst);
    go(
        opener,
        match (opener.keeping, opener.leftover) {
            (Keeping::No, 0) => CreateFrames,
            (Keeping::No, _) if first => RemoveLeftover,
            (Keeping::No, _) => CreateFrames,
            (_, 0) => KeepCreate,
            _ => KeepAttach,
        },
    );
}

fn keep_sequence(turn: &mut Turn<'_>, opener: &mut Opener, pc: Pc) -> &'static str {
    match pc {
        KeepCreate => {
            make(turn, opener, Key::Places, KeepAttach);
            (opener.leftover, opener.made_places, opener.keeps_in_new) = (opener.made_places, 0, true);
            "keep_sequence: creates places"
        }
        KeepAttach => {
            let attached = turn.attach(opener.leftover, &mut opener.look);
            go_if(turn, opener, attached, KeepCarry);
            "keep_sequence: attaches the places"
        }
        KeepCarry => {
            turn.world.kernel.at(opener.look).carried = opener.base;
            go(opener, if opener.keeps_in_new { KeepHeader } else { KeepDetach });
            "keep_sequence: carry_sequence"
        }
        KeepHeader => {
            turn.world.kernel.at(opener.look).header = Header::Written;
            go(opener, KeepDetach);
            "keep_sequence: write_places_header, without a cookie"
        }
        _ => {
            (opener.look, opener.leftover, opener.keeps_in_new) = (0, 0, false);
            match std::mem::replace(&mut opener.keeping, Keeping::No) {
                Keeping::Renewal => {
                    (opener.named, opener.base) = (0, 0);
                    opener.pc = opener::Pc::Open(opener::Open::FindTrial);
                }
                Keeping::OldEpoch => go(opener, MarkSuperseded),
                Keeping::Unfinished | Keeping::No => go(opener, RemoveFound),
            }
            "keep_sequence: detaches the places"
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
            let bears = opener.made_frames != 0 && opener.base > 0;
            opener.frames_stay = removed && bears && !turn.rules.has(Fault::FailedOpenTakesTheSequence);
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
            if exists {
                let taken_over = opener.made_frames == 0;
                if taken_over {
                    opened(opener);
                } else {
                    go(opener, MarkReady);
                }
            } else {
                fail_in_finish(turn, opener, Reason::System);
            }
            "finish: sets mode and group of the set"
        }
        MarkReady => {
            turn.world.kernel.at(opener.frames).state = State::Ready;
            (opener.made_frames, opener.made_places, opener.frames_stay) = (0, 0, false);
            let keys = [turn.world.kernel.at(opener.frames).key, turn.world.kernel.at(opener.places).key];
            turn.world.history.torn &= keys != [Key::Frames, Key::Places];
            if turn.rules.has(Fault::LeaseGivenBackAfterCreation) {
                turn.world.kernel.release(opener.lease, PUBLISHER, turn.me);
            }
            if opener.old == 0 {
                opened(opener);
            } else {
                go(opener, DetachOld);
            }
            "create: state READY"
        }
        DetachOld => {
            opener.old = 0;
            opened(opener);
            "supersede: detaches the old frames"
        }
        _ => {
            check_opened(turn, opener.frames, opener.lease);
            publisher::begin(turn, opener);
            "Publisher::on: SlotLedger::recover"
        }
    }
}

/// `run` is done; a renewal ends its old epoch then.
fn opened(opener: &mut Opener) {
    if opener.own.frames == 0 {
        go(opener, Recover);
    } else {
        opener.pc = opener::Pc::Publish(publisher::Pc::EndOld);
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
        SetAccess => {
            turn.world.budget.failures = turn.world.budget.failures.checked_sub(1)?;
            fail_in_finish(turn, opener, Reason::Memory);
            Some("this call fails: mode or group can not be set")
        }
        CreateTrial | KeepCreate | CreateFrames | CreatePlaces | PrepareMemory => {
            turn.world.budget.failures = turn.world.budget.failures.checked_sub(1)?;
            fail(turn, opener, Reason::Memory);
            Some("this call fails: no memory can be had")
        }
        _ => None,
    }
}
