//! An opener that publishes: frames, the once-a-second look, a change of size, and its end. `publisher.rs`, `OwnedStream::{close,
//! is_intact, renew}`.

use crate::checks::Check;
use crate::create;
use crate::kernel::{Geometry, Header, Key, PUBLISHER, State};
use crate::opener::{Keeping, Open, Opener, Own, Pc as OpenerPc};
use crate::rules::Fault;
use crate::world::Turn;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Pc {
    /// Between two calls: publishes, closes, leaves, or looks whether its stream is still there.
    Rest,
    Latest,
    // renew, its end
    LookForOwn,
    EndOld,
    // look_at_lease, its end: the old stream is left
    LeaveOld,
    // close
    CloseMark,
    ClosePlaces,
    CloseFrames,
    CloseSet,
    Detach,
    GiveBack,
}

/// The stream is opened: from here on it is published.
pub(crate) fn begin(turn: &mut Turn<'_>, opener: &mut Opener) {
    let next_sequence = create::recover(turn, opener.frames) + 1;
    if opener.own.frames != 0 {
        opener.own.next_sequence = next_sequence;
        opener.pc = OpenerPc::Publish(Pc::LeaveOld);
    } else {
        hand_over(opener, next_sequence);
    }
}

fn hand_over(opener: &mut Opener, next_sequence: u8) {
    let (frames, places, lease) = (opener.frames, opener.places, opener.lease);
    opener.own = Own { frames, places, lease, next_sequence, look_is_due: false };
    opener.pc = OpenerPc::Publish(Pc::Rest);
    opener.forget();
}

pub(crate) fn step(turn: &mut Turn<'_>, opener: &mut Opener, pc: Pc, choice: u8) -> Option<&'static str> {
    match pc {
        Pc::Rest => rest(turn, opener, choice),
        _ if choice > 0 => None,
        Pc::Latest | Pc::LookForOwn | Pc::EndOld | Pc::LeaveOld => Some(go_on(turn, opener, pc)),
        _ => Some(close(turn, opener, pc)),
    }
}

fn go(opener: &mut Opener, pc: Pc) {
    opener.pc = OpenerPc::Publish(pc);
}

fn rest(turn: &mut Turn<'_>, opener: &mut Opener, choice: u8) -> Option<&'static str> {
    let own = opener.own;
    let kernel = &mut turn.world.kernel;
    match choice {
        0 if opener.frames_left > 0 && !own.look_is_due => {
            opener.frames_left -= 1;
            kernel.at(own.frames).entry = own.next_sequence;
            go(opener, Pc::Latest);
            see(turn, own);
            Some("publish: window entry")
        }
        1 => {
            go(opener, Pc::CloseMark);
            Some("drop: the stream is to be closed")
        }
        2 if turn.rules.persist => {
            turn.world.history.persisted = true;
            go(opener, Pc::Detach);
            Some("drop: the stream is left there")
        }
        3 if !kernel.set_exists(own.lease) => {
            opener.pc = OpenerPc::Open(Open::SetExclusive);
            Some("renew: the set is gone")
        }
        3 if turn.rules.looks_at_segments
            && (kernel.find(Key::Frames), kernel.find(Key::Places)) != (own.frames, own.places) =>
        {
            renew(opener);
            Some("renew: a segment is not under its key")
        }
        4 if turn.rules.resizes && opener.geometry == Geometry::A && kernel.set_exists(own.lease) => {
            opener.geometry = Geometry::B;
            renew(opener);
            Some("set_content: the frames have outgrown their slots")
        }
        _ => None,
    }
}

fn renew(opener: &mut Opener) {
    let own = opener.own;
    (opener.set, opener.lease, opener.base) = (own.lease, own.lease, opener.last());
    (opener.named, opener.keeping) = (own.places, Keeping::Renewal);
    opener.pc = OpenerPc::Create(create::Pc::FindLeftover);
}

fn go_on(turn: &mut Turn<'_>, opener: &mut Opener, pc: Pc) -> &'static str {
    let Own { frames, next_sequence, .. } = opener.own;
    match pc {
        Pc::LookForOwn => {
            // Every loan looks again, and where a change of size has failed, goes on with what there was.
            opener.own.look_is_due = true;
            opener.geometry = turn.world.kernel.at(frames).geometry;
            let found = turn.world.kernel.find(Key::Frames) == frames;
            go(opener, if found { Pc::Rest } else { Pc::EndOld });
            "renew: has failed, and looks for its frames"
        }
        Pc::EndOld => {
            turn.world.kernel.at(frames).state = State::Superseded;
            if opener.frames == 0 {
                go(opener, Pc::Rest);
            } else {
                opener.pc = OpenerPc::Create(create::Pc::Recover);
            }
            "renew: the old epoch's state SUPERSEDED"
        }
        Pc::LeaveOld => {
            hand_over(opener, next_sequence);
            "look_at_lease: leaves the old stream"
        }
        _ => {
            turn.world.kernel.at(frames).latest = next_sequence;
            opener.own.next_sequence += 1;
            go(opener, Pc::Rest);
            "publish: latest"
        }
    }
}

fn close(turn: &mut Turn<'_>, opener: &mut Opener, pc: Pc) -> &'static str {
    let Own { frames, places, lease, .. } = opener.own;
    let set_first = turn.rules.has(Fault::SetRemovedBeforeTheSegments);
    match pc {
        Pc::CloseMark => {
            if turn.rules.has(Fault::ClosedNotMarked) {
                turn.world.history.seen = 0;
            } else {
                turn.mark_closed(frames);
            }
            go(opener, if set_first { Pc::CloseSet } else { Pc::ClosePlaces });
            "close: state CLOSED"
        }
        Pc::ClosePlaces => {
            let kernel = &turn.world.kernel;
            let found = kernel.find(Key::Places);
            // What a failed renewal left.
            let is_ours = kernel.get(found).is_some_and(|found| found.header == Header::Written);
            if found == places || (is_ours && kernel.set_exists(lease)) {
                turn.remove_segment(found);
            }
            go(opener, Pc::CloseFrames);
            "close: removes the places"
        }
        Pc::CloseFrames => {
            let kernel = &turn.world.kernel;
            let found = kernel.find(Key::Frames);
            // What a failed renewal left.
            let is_unfinished = kernel.get(found).is_some_and(|found| {
                found.header == Header::Written && matches!(found.state, State::None | State::Creating)
            });
            let is_remains = is_unfinished && kernel.set_exists(lease);
            if is_remains {
                // What carried the stream on: its life ends with it.
                turn.world.history.seen = 0;
            }
            if found == frames || is_remains {
                turn.remove_segment(found);
            }
            let kept = turn.rules.has(Fault::SetKeptAtClose);
            go(opener, if set_first || kept { Pc::Detach } else { Pc::CloseSet });
            "close: removes the frames"
        }
        Pc::CloseSet => {
            turn.remove_set(lease);
            go(opener, if set_first { Pc::ClosePlaces } else { Pc::Detach });
            "close: removes the set"
        }
        Pc::Detach => {
            turn.world.lose_sequence_with(opener);
            (opener.own.frames, opener.own.places) = (0, 0);
            go(opener, Pc::GiveBack);
            "drop: detaches"
        }
        _ => {
            turn.world.kernel.release(lease, PUBLISHER, turn.me);
            opener.own = Own::default();
            opener.pc = OpenerPc::Done;
            opener.forget();
            "drop: gives back the lease"
        }
    }
}

/// From now on somebody may see the frame: no other one of this stream may ever have its number.
fn see(turn: &mut Turn<'_>, own: Own) {
    let kernel = &turn.world.kernel;
    let held = kernel.holds(own.lease, PUBLISHER, turn.me);
    let current = kernel.get(own.frames).is_some_and(|own| (own.key, own.state) == (Key::Frames, State::Ready));
    let nobody_else = kernel.held[PUBLISHER] == 0;
    // Who was robbed of its set or its segment may go on for itself until it looks, while others go on with the stream.
    let counts = if turn.undisturbed() { held } else { current && (held || nobody_else) };
    if turn.rules.strict || counts {
        if own.next_sequence <= turn.world.history.seen {
            turn.violate(Check::SequencesAreNotUsedAgain);
        }
        turn.world.history.seen = turn.world.history.seen.max(own.next_sequence);
    }
}
