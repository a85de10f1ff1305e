//! What must hold: some of it in every state, some at one kind of step, some of whatever could come after a state.

use crate::kernel::{Kernel, Key, PUBLISHER, Segment, State};
use crate::opener;
use crate::rules::{Asked, Rules};
use crate::subscriber::{self, Subscriber};
use crate::world::{Mover, Process, Turn, World};

/// The promises, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    // in every state
    /// At most one process publishes the READY segment under the key, and it holds the lease of the set that this
    /// names.
    OnePublisher,
    /// Who believes to hold a lease of a set that is there holds it.
    LeasesAreTrue,
    /// A READY segment under the key names places that are complete and bear its cookie, and its publisher's set.
    ReadyIsComplete,
    /// A subscriber is on no segment that was never READY.
    SubscribersAreOnFinishedEpochs,
    /// Two subscribers never have the same place of the same places segment.
    PlacesAreNotShared,
    /// A subscriber is never on a READY segment that has lost its key and has nobody left who would end it, but where
    /// somebody has removed something by hand: then it must look for itself.
    NobodyIsStranded,
    /// A subscriber whose epoch has ended, or has lost its key, comes to the READY one under the key, left alone.
    SubscribersMove,
    /// All processes have ended in order: nothing of the stream is left.
    AnOrderlyEndLeavesNothing,

    // at a step
    /// Nobody removes a set or a segment of the one who holds the publisher's lease.
    NothingOfALivingPublisherIsRemoved,
    /// Who removes a set or a segment holds the publisher's lease, unless it was robbed of it.
    NothingIsRemovedWithoutTheLease,
    /// A segment without a byte in it is not removed while its creator lives.
    BlankSegmentsOfTheLivingStay,
    /// No sequence that anybody could see is used again in a stream's life.
    SequencesAreNotUsedAgain,
    /// An attach ends on an epoch that is READY.
    AnAttachedEpochIsCurrent,
    /// A failed open leaves the READY stream that it found.
    FailedOpenLeavesWhatItFound,
    /// A failed open leaves no segment that it made, but what bears the last sequence.
    FailedOpenLeavesNothingItMade,
    /// Undisturbed, no call of an open fails because of what others do; it is refused, or it succeeds.
    NoOpenTripsOverAnother,
    /// A removal that says so has removed everything.
    ARemovalLeavesNothing,

    // from every state on
    /// All processes are killed: a fresh opener publishes behind the last sequence, and leaves nothing when it closes.
    AFreshOpenerCleansUp,
    /// All processes are killed: a remover leaves nothing.
    AFreshRemoverCleansUp,
}

/// What holds of a world by itself.
pub(crate) fn state(world: &World, rules: &Rules, asked: Asked) -> Option<Check> {
    of_publishers(world, rules)
        .into_iter()
        .chain(world.subscribers().flat_map(|(process, subscriber)| of_subscriber(world, rules, process, subscriber)))
        .chain([orderly_end(world, rules)])
        .flatten()
        .find(|check| asked.counts(*check))
}

fn of_publishers(world: &World, rules: &Rules) -> [Option<Check>; 3] {
    let kernel = &world.kernel;
    let untrue = world.openers().any(|(process, opener)| {
        opener.own.frames != 0
            && kernel.set_exists(opener.own.lease)
            && !kernel.holds(opener.own.lease, PUBLISHER, process)
    });
    let untrue = untrue.then_some(Check::LeasesAreTrue);
    let Some(current) = ready(kernel).filter(|current| kernel.set_exists(current.leases_id)) else {
        return [untrue, None, None];
    };
    let mut publishers = world.openers().filter(|(_, opener)| opener.own.frames == current.id);
    let unheld = publishers.any(|(process, _)| !kernel.holds(current.leases_id, PUBLISHER, process));
    let torn = world.history.torn || world.budget.segment_removals < rules.budget.segment_removals;
    let complete = torn || opener::places_are_found(kernel, current.id);
    [untrue, unheld.then_some(Check::OnePublisher), (!complete).then_some(Check::ReadyIsComplete)]
}

/// The READY segment under the key.
fn ready(kernel: &Kernel) -> Option<&Segment> {
    kernel.segments().find(|segment| (segment.key, segment.state) == (Key::Frames, State::Ready))
}

fn of_subscriber(world: &World, rules: &Rules, process: usize, subscriber: &Subscriber) -> [Option<Check>; 5] {
    let (kernel, there) = (&world.kernel, subscriber.at);
    let untrue = kernel.set_exists(there.lease) && !kernel.holds(there.lease, 1 + there.place as usize, process);
    let untrue = untrue.then_some(Check::LeasesAreTrue);
    let Some(frames) = kernel.get(there.frames) else { return [untrue, None, None, None, None] };
    let unfinished = !frames.is_finished();
    let shares = |other: &Subscriber| (other.at.places, other.at.place) == (there.places, there.place);
    let shared = world.subscribers().any(|(other, subscriber)| other != process && shares(subscriber));
    let ends = |opener: &opener::Opener| opener.uses(frames.id) || opener.old == frames.id;
    let orphan = (frames.state, frames.key) == (State::Ready, Key::Gone);
    let stranded = orphan && !by_hand(world, rules) && !world.openers().any(|(_, opener)| ends(opener));
    let rests = subscriber.pc == subscriber::Pc::Rest;
    let ended = frames.state != State::Ready || orphan;
    let moves = rests && ended && frames.latest <= subscriber.last;
    let stays = moves && !follows(world, rules, process, subscriber);
    [
        untrue,
        unfinished.then_some(Check::SubscribersAreOnFinishedEpochs),
        shared.then_some(Check::PlacesAreNotShared),
        stranded.then_some(Check::NobodyIsStranded),
        stays.then_some(Check::SubscribersMove),
    ]
}

/// Whether a subscriber comes to the epoch under the key, where there is one with a place for it.
fn follows(world: &World, rules: &Rules, process: usize, subscriber: &Subscriber) -> bool {
    let kernel = &world.kernel;
    let intact =
        |successor: &&Segment| opener::places_are_found(kernel, successor.id) && kernel.set_exists(successor.leases_id);
    let Some(successor) = ready(kernel).filter(intact) else {
        return true;
    };
    let reuses = successor.leases_id == subscriber.at.lease;
    let places = 1..=successor.geometry.places();
    let free = places.into_iter().any(|place| kernel.held[place] == 0);
    let kept = reuses && (subscriber.at.place as usize) < successor.geometry.places();
    if !free && !kept {
        return true;
    }
    let mut end = *world;
    let at = |end: &World| match end.processes[process] {
        Process::Subscriber(subscriber) => subscriber,
        _ => Subscriber::NEW,
    };
    alone(&mut end, rules, process, |end, _| at(end).pc != subscriber::Pc::Rest);
    ready(&end.kernel).is_some_and(|ready| ready.id == at(&end).at.frames)
}

/// Somebody has removed a set or a segment by hand.
fn by_hand(world: &World, rules: &Rules) -> bool {
    let (now, begin) = (world.budget, rules.budget);
    (now.set_removals, now.segment_removals) != (begin.set_removals, begin.segment_removals)
}

fn orderly_end(world: &World, rules: &Rules) -> Option<Check> {
    let ended = |process: &Process| !process.is_running() && !matches!(process, Process::Dying | Process::Dead);
    let orderly = world.processes.iter().all(ended) && !by_hand(world, rules) && !world.history.persisted;
    (orderly && !world.kernel.is_empty()).then_some(Check::AnOrderlyEndLeavesNothing)
}

/// Lets one process run, with the first choice that it has at each step, for as long as `goes_on` says so.
pub(crate) fn alone(
    world: &mut World,
    rules: &Rules,
    process: usize,
    mut goes_on: impl FnMut(&World, &'static str) -> bool,
) -> Option<Check> {
    const MANY: usize = 200;
    for _ in 0..MANY {
        let (label, next, violation) = (0..2).find_map(|choice| {
            let mut turn = Turn::new(world, rules);
            let label = turn.step(Mover::Process(process), choice)?;
            Some((label, turn.world, turn.violation))
        })?;
        *world = next;
        if violation.is_some() || !goes_on(world, label) {
            return violation;
        }
    }
    None
}
