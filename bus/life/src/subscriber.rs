//! A subscriber: attaches, takes frames, follows to the next epoch with the lease it has, and goes. `attach.rs`,
//! `Subscriber::{latest, wait, follow, begin_epoch}`.

use crate::checks::Check;
use crate::kernel::{Claim, Id, Key, State};
use crate::rules::Fault;
use crate::world::{Process, Turn};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Pc {
    /// Between two calls; attached or not.
    Rest,
    // attach_now
    Find,
    AttachFrames,
    Examine,
    AttachPlaces,
    LookAtPlaces,
    Claim,
    Clear,
    StillReady,
    // follow: the old attachment drops
    DropOld,
    GiveBackOld,
    // attach_now comes to nothing: what it has drops
    Detach,
    GiveBack,
    // the subscriber drops
    LeaveDetach,
    LeaveGiveBack,
    Done,
}

/// `Attachment`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Attachment {
    pub frames: Id,
    pub places: Id,
    /// The set in which the place's lease was claimed; 0: none was.
    pub lease: Id,
    pub place: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Subscriber {
    pub pc: Pc,
    /// Where it is.
    pub at: Attachment,
    /// Where it is about to be.
    pub new: Attachment,
    found: Id,
    /// Newest sequence taken.
    pub last: u8,
}

impl Subscriber {
    pub(crate) const NEW: Subscriber = {
        let none = Attachment { frames: 0, places: 0, lease: 0, place: 0 };
        Subscriber { pc: Pc::Rest, at: none, new: none, found: 0, last: 0 }
    };

    pub(crate) fn maps(&self) -> [Id; 4] {
        [self.at.frames, self.at.places, self.new.frames, self.new.places]
    }

    pub(crate) fn each_id(&mut self, visit: &mut impl FnMut(&mut Id)) {
        for attachment in [&mut self.at, &mut self.new] {
            visit(&mut attachment.frames);
            visit(&mut attachment.places);
            visit(&mut attachment.lease);
        }
        visit(&mut self.found);
    }

    pub(crate) fn is_attached(&self) -> bool {
        self.at.frames != 0
    }

    /// The new attachment goes on with the lease of the old one.
    fn reuses_lease(&self) -> bool {
        self.new.lease != 0 && (self.new.lease, self.new.place) == (self.at.lease, self.at.place)
    }
}

pub(crate) fn step(turn: &mut Turn<'_>, mut subscriber: Subscriber, choice: u8) -> Option<&'static str> {
    let label = match subscriber.pc {
        Pc::Rest => rest(turn, &mut subscriber, choice)?,
        Pc::Done => return None,
        _ if choice > 0 => return None,
        Pc::DropOld | Pc::GiveBackOld | Pc::Detach | Pc::GiveBack | Pc::LeaveDetach | Pc::LeaveGiveBack => {
            end(turn, &mut subscriber)
        }
        _ => attach_now(turn, &mut subscriber),
    };
    turn.world.processes[turn.me] = Process::Subscriber(subscriber);
    Some(label)
}

fn rest(turn: &mut Turn<'_>, subscriber: &mut Subscriber, choice: u8) -> Option<&'static str> {
    if choice == 1 {
        subscriber.pc = if subscriber.is_attached() { Pc::LeaveDetach } else { Pc::Done };
        return Some("the subscriber is dropped");
    }
    if choice > 1 {
        return None;
    }
    if !subscriber.is_attached() {
        subscriber.pc = Pc::Find;
        return Some("Subscriber::attach");
    }
    let frames = *turn.world.kernel.at(subscriber.at.frames);
    if frames.latest > subscriber.last && frames.latest > frames.base_sequence {
        subscriber.last = frames.latest;
        return Some("latest: takes the newest frame");
    }
    // Nobody writes to an epoch that has ended: what it has is taken first.
    if frames.state != State::Ready {
        subscriber.pc = Pc::Find;
        return Some("begin: the epoch has ended; follow");
    }
    let looks = !turn.rules.has(Fault::SubscriberLooksForNothing);
    if looks && turn.world.kernel.find(Key::Frames) != frames.id {
        subscriber.pc = Pc::Find;
        return Some("wait: the frames are not under the key; follow");
    }
    None
}

fn attach_now(turn: &mut Turn<'_>, subscriber: &mut Subscriber) -> &'static str {
    let me = turn.me;
    let kernel = &mut turn.world.kernel;
    match subscriber.pc {
        Pc::Find => {
            subscriber.found = kernel.find(Key::Frames);
            subscriber.pc = if subscriber.found == 0 { Pc::Rest } else { Pc::AttachFrames };
            "attach_now: looks for the segment under the key"
        }
        Pc::AttachFrames => {
            let attached = turn.attach(subscriber.found, &mut subscriber.new.frames);
            subscriber.found = 0;
            subscriber.pc = if attached { Pc::Examine } else { Pc::Rest };
            "attach_now: attaches the frames"
        }
        Pc::Examine => {
            let frames = kernel.at(subscriber.new.frames);
            let any = turn.rules.has(Fault::UnfinishedTaken) && frames.places_id != 0;
            subscriber.pc = if frames.state == State::Ready || any { Pc::AttachPlaces } else { Pc::Detach };
            "attach_now: examines the frames"
        }
        Pc::AttachPlaces => {
            // What is destroyed between the two calls counts as not found.
            let named = kernel.at(subscriber.new.frames).places_id;
            let places = if kernel.find(Key::Places) == named { named } else { 0 };
            let attached = turn.attach(places, &mut subscriber.new.places);
            subscriber.pc = if attached { Pc::LookAtPlaces } else { Pc::Detach };
            "attach_now: looks for the places, and attaches them"
        }
        Pc::LookAtPlaces => {
            let frames = *kernel.at(subscriber.new.frames);
            let places = subscriber.at.place as usize;
            let same_set = subscriber.at.lease == frames.leases_id || turn.rules.has(Fault::LeaseOfAnotherSetKept);
            let intact = kernel.at(subscriber.new.places).cookie == frames.id;
            if !intact || !kernel.set_exists(frames.leases_id) {
                subscriber.pc = Pc::Detach;
            } else if subscriber.at.lease != 0 && same_set && places < frames.geometry.places() {
                (subscriber.new.lease, subscriber.new.place) = (subscriber.at.lease, subscriber.at.place);
                subscriber.pc = Pc::Clear;
            } else {
                subscriber.pc = Pc::Claim;
            }
            "attach_now: looks at the places' cookie, and for the set"
        }
        Pc::Claim => {
            let frames = *kernel.at(subscriber.new.frames);
            let mut claim = kernel.claim(frames.leases_id, 1 + subscriber.new.place as usize, me);
            if claim == Claim::Held && turn.rules.has(Fault::PlaceClaimNotVerified) {
                claim = Claim::Claimed;
            }
            match claim {
                Claim::Claimed => {
                    subscriber.new.lease = frames.leases_id;
                    subscriber.pc = Pc::Clear;
                }
                Claim::Held if (subscriber.new.place as usize + 1) < frames.geometry.places() => {
                    subscriber.new.place += 1;
                }
                // All held is an error, a removed set "not there"; both end here, and may be tried again.
                Claim::Held | Claim::Gone => subscriber.pc = Pc::Detach,
            }
            "claim_place"
        }
        Pc::Clear => {
            // What an earlier holder of the place left is of no account here: nobody else may be there.
            let unlooked = turn.rules.has(Fault::StateNotLookedAtAgain);
            subscriber.pc = Pc::StillReady;
            if unlooked {
                begin_epoch(turn, subscriber);
            }
            "attach_now: clears its pins"
        }
        _ => {
            let any = turn.rules.has(Fault::UnfinishedTaken);
            if kernel.at(subscriber.new.frames).state == State::Ready || any {
                begin_epoch(turn, subscriber);
            } else {
                subscriber.pc = Pc::Detach;
            }
            "attach_now: looks at the state again"
        }
    }
}

/// The subscriber is in the new epoch; what it had of an old one drops next.
fn begin_epoch(turn: &mut Turn<'_>, subscriber: &mut Subscriber) {
    let frames = *turn.world.kernel.at(subscriber.new.frames);
    if frames.state != State::Ready {
        turn.violate(Check::AnAttachedEpochIsCurrent);
    }
    if frames.base_sequence < subscriber.last {
        subscriber.last = 0;
    }
    if subscriber.is_attached() {
        subscriber.pc = Pc::DropOld;
    } else {
        (subscriber.at, subscriber.new) = (subscriber.new, Attachment::default());
        subscriber.pc = Pc::Rest;
    }
}

fn end(turn: &mut Turn<'_>, subscriber: &mut Subscriber) -> &'static str {
    let me = turn.me;
    let reuses = subscriber.reuses_lease();
    match subscriber.pc {
        Pc::DropOld => {
            (subscriber.at.frames, subscriber.at.places) = (0, 0);
            if reuses {
                (subscriber.at, subscriber.new) = (subscriber.new, Attachment::default());
            }
            subscriber.pc = if reuses { Pc::Rest } else { Pc::GiveBackOld };
            "follow: detaches the old epoch"
        }
        Pc::GiveBackOld => {
            let old = subscriber.at;
            turn.world.kernel.release(old.lease, 1 + old.place as usize, me);
            (subscriber.at, subscriber.new) = (subscriber.new, Attachment::default());
            subscriber.pc = Pc::Rest;
            "follow: gives back the old place"
        }
        Pc::Detach => {
            (subscriber.new.frames, subscriber.new.places) = (0, 0);
            subscriber.pc = if reuses || subscriber.new.lease == 0 { Pc::Rest } else { Pc::GiveBack };
            if subscriber.pc == Pc::Rest {
                subscriber.new = Attachment::default();
            }
            "attach_now: comes to nothing, and detaches"
        }
        Pc::GiveBack => {
            turn.world.kernel.release(subscriber.new.lease, 1 + subscriber.new.place as usize, me);
            subscriber.new = Attachment::default();
            subscriber.pc = Pc::Rest;
            "attach_now: gives back the place"
        }
        Pc::LeaveDetach => {
            (subscriber.at.frames, subscriber.at.places) = (0, 0);
            subscriber.pc = Pc::LeaveGiveBack;
            "drop: detaches"
        }
        _ => {
            turn.world.kernel.release(subscriber.at.lease, 1 + subscriber.at.place as usize, me);
            *subscriber = Subscriber { pc: Pc::Done, ..Subscriber::NEW };
            "drop: gives back the place"
        }
    }
}
