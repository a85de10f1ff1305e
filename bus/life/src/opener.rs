//! An opener: a process that opens the stream for publishing, publishes, and ends. Here its memory, and how it gets in:
//! `lifecycle::open` up to the decision what to do; `create.rs`, `unwind.rs` and `publisher.rs` have the rest.

use crate::checks::Check;
use crate::create;
use crate::kernel::{Claim, Geometry, Header, Id, Kernel, Key, PUBLISHER, State};
use crate::publisher;
use crate::rules::Fault;
use crate::unwind::{self, Reason};
use crate::world::{Process, Turn};

/// Where an opener stands: what its next step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Pc {
    Open(Open),
    Create(create::Pc),
    Unwind(unwind::Pc),
    Publish(publisher::Pc),
    Done,
}

/// `lifecycle::open_behind`, `open_leases`, `Opening::{run, remove_trial, attach_places}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Open {
    SetExclusive,
    SetAny,
    Claim,
    FindTrial,
    StatTrial,
    SweepTrial,
    Find,
    Attach,
    Examine,
    Blank,
    LookAtPlaces,
    AttachPlaces,
    AttachFrames,
}

/// `OwnedStream`, and its ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Own {
    pub frames: Id,
    pub places: Id,
    /// The set in which the publisher's lease was claimed.
    pub lease: Id,
    pub next_sequence: u8,
    /// A renewal has failed: the next loan looks again before it publishes anything.
    pub look_is_due: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Opener {
    pub pc: Pc,
    pub geometry: Geometry,
    /// How many frames it may still publish.
    pub frames_left: u8,
    /// What it publishes.
    pub own: Own,
    /// The set that it found or made, and whether it made it.
    pub set: Id,
    pub created: bool,
    /// It holds the lease, or held it until its open failed: then it may remove the set.
    pub tidies: bool,
    /// The set in which it has claimed the lease for this opening.
    pub lease: Id,
    /// The segment under the key.
    pub found: Id,
    /// The same, where it was READY.
    pub ready: Id,
    /// Mapped for a moment.
    pub look: Id,
    /// The epoch that it ends, mapped for writing.
    pub old: Id,
    /// The places that the header of the old epoch names.
    pub named: Id,
    pub leftover: Id,
    /// What the leftover places are looked for.
    pub keeping: Keeping,
    /// `keep_sequence` has made the places, and must write their header.
    pub keeps_in_new: bool,
    /// `base_sequence` of the epoch to come.
    pub base: u8,
    /// What goes again if the creation fails: `Made`.
    pub made_frames: Id,
    pub made_places: Id,
    /// These frames are the last to bear the sequence, and stay.
    pub frames_stay: bool,
    /// The new stream's mappings.
    pub frames: Id,
    pub places: Id,
    /// What was decided before the lease was claimed; only with a seeded fault.
    pub decided: Option<(Open, u8)>,
}

impl Opener {
    pub(crate) fn new(geometry: Geometry, frames_left: u8) -> Self {
        Self {
            pc: Pc::Open(Open::SetExclusive),
            geometry,
            frames_left,
            own: Own::default(),
            set: 0,
            created: false,
            tidies: false,
            lease: 0,
            found: 0,
            ready: 0,
            look: 0,
            old: 0,
            named: 0,
            leftover: 0,
            keeping: Keeping::No,
            keeps_in_new: false,
            base: 0,
            made_frames: 0,
            made_places: 0,
            frames_stay: false,
            frames: 0,
            places: 0,
            decided: None,
        }
    }

    /// Forgets all of an opening but the stream that came of it.
    pub(crate) fn forget(&mut self) {
        *self = Self { pc: self.pc, own: self.own, ..Self::new(self.geometry, self.frames_left) };
    }

    pub(crate) fn maps(&self) -> [Id; 6] {
        [self.look, self.old, self.frames, self.places, self.own.frames, self.own.places]
    }

    pub(crate) fn choices(&self) -> u8 {
        match self.pc {
            Pc::Publish(publisher::Pc::Rest) => 5,
            Pc::Create(_) | Pc::Open(Open::Blank) => 2,
            Pc::Open(_) | Pc::Unwind(_) | Pc::Publish(_) => 1,
            Pc::Done => 0,
        }
    }

    /// What is known to have been used: a renewal goes on behind it.
    pub(crate) fn last(&self) -> u8 {
        self.own.next_sequence.saturating_sub(1)
    }

    /// Whether it publishes this segment, or is about to.
    pub(crate) fn uses(&self, id: Id) -> bool {
        let used = [self.made_frames, self.made_places, self.frames, self.places, self.own.frames, self.own.places];
        used.contains(&id)
    }

    pub(crate) fn each_id(&mut self, visit: &mut impl FnMut(&mut Id)) {
        visit(&mut self.own.frames);
        visit(&mut self.own.places);
        visit(&mut self.own.lease);
        visit(&mut self.set);
        visit(&mut self.lease);
        visit(&mut self.found);
        visit(&mut self.ready);
        visit(&mut self.look);
        visit(&mut self.old);
        visit(&mut self.named);
        visit(&mut self.leftover);
        visit(&mut self.made_frames);
        visit(&mut self.made_places);
        visit(&mut self.frames);
        visit(&mut self.places);
    }
}

/// For whom `keep_sequence` looks for the leftover places; else it is `create` that does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Keeping {
    No,
    /// `supersede`
    OldEpoch,
    /// `run`, before an unfinished segment goes.
    Unfinished,
    /// `OwnedStream::renew`
    Renewal,
}

/// Makes an opener's next step.
pub(crate) fn step(turn: &mut Turn<'_>, mut opener: Opener, choice: u8) -> Option<&'static str> {
    let label = match opener.pc {
        Pc::Open(pc) if choice == 0 => Some(open(turn, &mut opener, pc)),
        Pc::Open(Open::Blank) if choice == 1 && turn.world.attached(opener.found) > 0 => {
            unwind::fail(turn, &mut opener, Reason::Unfinished);
            Some("refuse_living_creator: gives up")
        }
        Pc::Create(pc) => create::step(turn, &mut opener, pc, choice),
        Pc::Unwind(pc) if choice == 0 => Some(unwind::step(turn, &mut opener, pc)),
        Pc::Publish(pc) => publisher::step(turn, &mut opener, pc, choice),
        Pc::Open(_) | Pc::Unwind(_) | Pc::Done => None,
    }?;
    turn.world.processes[turn.me] = Process::Opener(opener);
    Some(label)
}

/// Whether the creator of a segment without a byte in it is provably dead: `Opening::refuse_living_creator`.
pub(crate) fn creator_is_dead(turn: &Turn<'_>, id: Id) -> bool {
    let creator = turn.world.kernel.get(id).map_or(usize::MAX, |segment| segment.creator as usize);
    creator == turn.me || turn.world.processes.get(creator).is_none_or(|process| *process == Process::Dead)
}

fn open(turn: &mut Turn<'_>, opener: &mut Opener, pc: Open) -> &'static str {
    let me = turn.me;
    let early = turn.rules.has(Fault::LookBeforeTheClaim) && opener.lease == 0;
    let claim_or_look = Pc::Open(if early { Open::Find } else { Open::Claim });
    let go = |opener: &mut Opener, pc| opener.pc = Pc::Open(pc);
    match pc {
        Open::SetExclusive => {
            if turn.world.kernel.set == 0 {
                (opener.set, opener.created) = (turn.world.kernel.create_set(me as u8), true);
                opener.pc = claim_or_look;
            } else {
                go(opener, Open::SetAny);
            }
            "open_leases: semget(IPC_CREAT | IPC_EXCL)"
        }
        Open::SetAny => {
            opener.set = turn.world.kernel.set;
            if opener.set == 0 {
                opener.set = turn.world.kernel.create_set(me as u8);
            }
            opener.pc = claim_or_look;
            "open_leases: semget(IPC_CREAT)"
        }
        Open::Claim => {
            claim(turn, opener);
            "open: claims the publisher's lease"
        }
        Open::FindTrial => {
            opener.found = turn.world.kernel.find(Key::Trial);
            if turn.rules.has(Fault::TrialNotSwept) {
                opener.found = 0;
            }
            go(opener, if opener.found == 0 { Open::Find } else { Open::StatTrial });
            "remove_trial: looks for a trial that somebody left"
        }
        Open::StatTrial => {
            let removable = creator_is_dead(turn, opener.found) && turn.world.attached(opener.found) == 0;
            go(opener, if removable { Open::SweepTrial } else { Open::Find });
            "remove_trial: status of the trial"
        }
        Open::SweepTrial => {
            if turn.remove_segment(opener.found) {
                go(opener, Open::Find);
            } else {
                unwind::fail(turn, opener, Reason::System);
            }
            "remove_trial: removes the trial"
        }
        Open::Find => {
            opener.found = turn.world.kernel.find(Key::Frames);
            if opener.found != 0 {
                go(opener, Open::Attach);
            } else if early {
                opener.decided = Some((Open::Find, 0));
                go(opener, Open::Claim);
            } else {
                opener.base = opener.last();
                opener.pc = Pc::Create(create::Pc::FindLeftover);
            }
            "run: looks for the segment under the key"
        }
        Open::Attach => {
            if turn.attach(opener.found, &mut opener.look) {
                go(opener, Open::Examine);
            } else {
                unwind::fail(turn, opener, Reason::System);
            }
            "run: attaches the frames for a look"
        }
        Open::Examine => {
            let (pc, base) = decide(turn, opener);
            opener.look = 0;
            if early {
                opener.decided = Some((stand_in(pc), base));
                go(opener, Open::Claim);
            } else {
                (opener.pc, opener.base) = (pc, base);
            }
            "run: examines the frames, and detaches them"
        }
        Open::Blank => {
            let dead = creator_is_dead(turn, opener.found) || turn.rules.has(Fault::LivingCreatorIgnored);
            match (turn.world.kernel.get(opener.found).is_some(), dead, turn.world.attached(opener.found)) {
                (false, ..) => unwind::fail(turn, opener, Reason::System),
                (_, true, 0) => opener.pc = Pc::Create(create::Pc::RemoveFound),
                (_, true, _) if turn.rules.has(Fault::LivingCreatorIgnored) => {
                    opener.pc = Pc::Create(create::Pc::RemoveFound);
                }
                (_, false, 0) => unwind::fail(turn, opener, Reason::Unfinished),
                // Asks again.
                _ => {}
            }
            "refuse_living_creator: status of the empty frames"
        }
        Open::LookAtPlaces => {
            let intact = places_are_found(&turn.world.kernel, opener.found);
            opener.pc = if intact { Pc::Open(Open::AttachPlaces) } else { Pc::Create(create::Pc::CreateTrial) };
            "attach_places: looks at the places"
        }
        Open::AttachPlaces => {
            if turn.attach(opener.named, &mut opener.places) {
                go(opener, Open::AttachFrames);
            } else {
                unwind::fail(turn, opener, Reason::System);
            }
            "attach_places: attaches the places"
        }
        Open::AttachFrames => {
            if turn.attach(opener.found, &mut opener.frames) {
                opener.pc = Pc::Create(create::Pc::SetAccess);
            } else {
                unwind::fail(turn, opener, Reason::System);
            }
            "run: attaches the frames to take them over"
        }
    }
}

fn claim(turn: &mut Turn<'_>, opener: &mut Opener) {
    let mut claim = turn.world.kernel.claim(opener.set, PUBLISHER, turn.me);
    if claim == Claim::Held && turn.rules.has(Fault::ClaimNotVerified) {
        claim = Claim::Claimed;
    }
    match claim {
        Claim::Claimed => {
            opener.lease = opener.set;
            opener.pc = Pc::Open(Open::FindTrial);
            if let Some((decided, base)) = opener.decided.take() {
                opener.base = base;
                opener.pc = match decided {
                    Open::Find => Pc::Create(create::Pc::FindLeftover),
                    Open::Examine => Pc::Create(create::Pc::RemoveFound),
                    Open::Blank | Open::LookAtPlaces => Pc::Open(decided),
                    _ => Pc::Create(create::Pc::CreateTrial),
                };
            }
        }
        Claim::Held => unwind::fail(turn, opener, Reason::Busy),
        // Removed by a publisher that closed the stream between our two calls.
        Claim::Gone => {
            opener.forget();
            opener.pc = Pc::Open(Open::SetExclusive);
        }
    }
}

/// A decision that was taken too early, until the lease is claimed.
fn stand_in(pc: Pc) -> Open {
    match pc {
        Pc::Create(create::Pc::RemoveFound) => Open::Examine,
        Pc::Open(other) => other,
        _ => Open::Attach,
    }
}

/// What the segment under the key asks for, and the sequence to go on behind.
fn decide(turn: &mut Turn<'_>, opener: &mut Opener) -> (Pc, u8) {
    let found = *turn.world.kernel.at(opener.found);
    let supersede = Pc::Create(create::Pc::CreateTrial);
    let last = opener.last();
    match (found.header, found.state) {
        (Header::Blank, _) => (Pc::Open(Open::Blank), last),
        (_, State::None | State::Creating) => create::replace_unfinished(turn, opener, found.base_sequence.max(last)),
        (_, State::Ready) => {
            (opener.ready, opener.named) = (opener.found, found.places_id);
            let same_set = found.leases_id == opener.set || turn.rules.has(Fault::TakeoverUnderAnotherSet);
            let same = found.geometry == opener.geometry && same_set;
            (if same { Pc::Open(Open::LookAtPlaces) } else { supersede }, last)
        }
        (_, State::Superseded) => {
            opener.named = found.places_id;
            (supersede, last)
        }
        (_, State::Closed) => {
            opener.named = found.places_id;
            (Pc::Create(create::Pc::RemoveFound), last)
        }
    }
}

/// The places that a frames segment names are under the key, and bear its cookie.
pub(crate) fn places_are_found(kernel: &Kernel, frames: Id) -> bool {
    let named = kernel.get(frames).and_then(|frames| kernel.get(frames.places_id));
    named.is_some_and(|places| (places.key, places.header, places.cookie) == (Key::Places, Header::Written, frames))
}

/// What must hold where a stream is handed over to its publisher: subscribers will claim in the set that it names.
pub(crate) fn check_opened(turn: &mut Turn<'_>, frames: Id, lease: Id) {
    let complete = turn.world.kernel.get(frames).is_some_and(|frames| frames.leases_id == lease);
    if !complete {
        turn.violate(Check::ReadyIsComplete);
    }
}
