//! A state of the whole: the kernel, the processes, what may still go wrong, and what has been seen.

use crate::checks::Check;
use crate::kernel::{Geometry, Id, Kernel, Key, PUBLISHER, State};
use crate::opener::{self, Opener};
use crate::remover::{self, Remover};
use crate::rules::Rules;
use crate::subscriber::{self, Subscriber};

/// Most processes of a world.
pub(crate) const PROCESSES: usize = 4;

/// A process; its index in the world is its pid, and never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Process {
    Absent,
    Opener(Opener),
    Subscriber(Subscriber),
    Remover(Remover),
    /// Its memory is unmapped, its leases not yet dropped: the kernel does one after the other.
    Dying,
    Dead,
}

impl Process {
    pub(crate) fn opener(geometry: Geometry, frames: u8) -> Self {
        Process::Opener(Opener::new(geometry, frames))
    }

    pub(crate) fn subscriber() -> Self {
        Process::Subscriber(Subscriber::NEW)
    }

    pub(crate) fn remover(force: bool) -> Self {
        Process::Remover(Remover::new(force))
    }

    fn attached(&self, id: Id) -> u8 {
        let count = |maps: &[Id]| maps.iter().filter(|map| **map == id).count() as u8;
        match self {
            Process::Opener(opener) => count(&opener.maps()),
            Process::Subscriber(subscriber) => count(&subscriber.maps()),
            Process::Remover(remover) => count(&remover.maps()),
            Process::Absent | Process::Dying | Process::Dead => 0,
        }
    }

    /// It runs, and has not come to its end.
    pub(crate) fn is_running(&self) -> bool {
        match self {
            Process::Opener(opener) => opener.pc != opener::Pc::Done,
            Process::Subscriber(subscriber) => subscriber.pc != subscriber::Pc::Done,
            Process::Remover(remover) => remover.pc != remover::Pc::Done,
            Process::Absent | Process::Dying | Process::Dead => false,
        }
    }

    fn each_id(&mut self, visit: &mut impl FnMut(&mut Id)) {
        match self {
            Process::Opener(opener) => opener.each_id(visit),
            Process::Subscriber(subscriber) => subscriber.each_id(visit),
            Process::Remover(remover) => remover.each_id(visit),
            Process::Absent | Process::Dying | Process::Dead => {}
        }
    }
}

/// What may still go wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Budget {
    /// `kill -9` of any process at any step.
    pub kills: u8,
    /// `ipcrm -s`, or RemoveIPC.
    pub set_removals: u8,
    /// `ipcrm -m` of the frames or the places.
    pub segment_removals: u8,
    /// System calls of an opener that fail for want of memory.
    pub failures: u8,
}

/// What no process knows, for the checks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct History {
    /// Newest sequence that somebody could see in the stream's present life, which a close and a removal end.
    pub seen: u8,
    /// A publisher left the stream on purpose.
    pub persisted: bool,
    /// Somebody removed segments by hand; true until the next READY.
    pub torn: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub kernel: Kernel,
    pub processes: [Process; PROCESSES],
    pub budget: Budget,
    pub history: History,
}

impl World {
    pub(crate) fn new(processes: &[Process], budget: Budget) -> Self {
        let mut all = [Process::Absent; PROCESSES];
        all[..processes.len()].copy_from_slice(processes);
        Self { kernel: Kernel::EMPTY, processes: all, budget, history: History::default() }
    }

    /// How often a segment is attached, `shm_nattch`.
    pub(crate) fn attached(&self, id: Id) -> u8 {
        self.processes.iter().map(|process| process.attached(id)).sum()
    }

    fn reap(&mut self) {
        let processes = self.processes;
        self.kernel.reap(|id| processes.iter().map(|process| process.attached(id)).sum());
    }

    pub(crate) fn openers(&self) -> impl Iterator<Item = (usize, &Opener)> {
        self.processes.iter().enumerate().filter_map(|(index, process)| match process {
            Process::Opener(opener) => Some((index, opener)),
            _ => None,
        })
    }

    pub(crate) fn subscribers(&self) -> impl Iterator<Item = (usize, &Subscriber)> {
        self.processes.iter().enumerate().filter_map(|(index, process)| match process {
            Process::Subscriber(subscriber) => Some((index, subscriber)),
            _ => None,
        })
    }

    /// How many choices someone has here at most; a step may still turn out to be impossible.
    pub(crate) fn choices(&self, mover: Mover) -> u8 {
        let allowed = |allowed: bool| u8::from(allowed);
        match mover {
            Mover::Process(process) => match self.processes[process] {
                Process::Opener(opener) => opener.choices(),
                Process::Subscriber(subscriber) if subscriber.pc == subscriber::Pc::Rest => 2,
                Process::Remover(remover) => remover.choices(),
                process => allowed(process.is_running()),
            },
            Mover::Kill(process) => allowed(self.budget.kills > 0 && self.processes[process].is_running()),
            Mover::Undo(process) => allowed(self.processes[process] == Process::Dying),
            Mover::RemoveSet => allowed(self.budget.set_removals > 0),
            Mover::RemoveSegment(_) => allowed(self.budget.segment_removals > 0),
        }
    }

    fn each_id(&mut self, visit: &mut impl FnMut(&mut Id)) {
        self.kernel.each_id(visit);
        self.processes.iter_mut().for_each(|process| process.each_id(visit));
    }

    /// Numbers all ids anew, in their order and without gaps: ids are only ever compared, so worlds that differ in
    /// nothing else behave the same. Ids of what is gone keep a number for as long as somebody remembers them.
    fn renumber(&mut self) {
        let mut used = 0_u64;
        self.each_id(&mut |id| used |= 1 << *id);
        used &= !1;
        self.each_id(&mut |id| {
            if *id != 0 {
                *id = (used & ((1 << *id) - 1)).count_ones() as u8 + 1;
            }
        });
        self.kernel.set_next_id(used.count_ones() as u8 + 1);
    }

    /// The world in which all processes are killed, and the kernel is done with them.
    pub(crate) fn after_all_died(&self, budget: Budget) -> World {
        let mut after = *self;
        for process in 0..PROCESSES {
            after.kill(process);
            after.kernel.undo(process);
        }
        after.processes = [Process::Absent; PROCESSES];
        after.budget = budget;
        after.reap();
        after.kernel.forget_creators();
        after.renumber();
        after
    }

    fn kill(&mut self, process: usize) {
        if let Process::Opener(opener) = self.processes[process] {
            self.lose_sequence_with(&opener);
        }
        self.processes[process] = Process::Dying;
    }

    /// What was removed by hand took the last sequence along, and now its publisher does too.
    pub(crate) fn lose_sequence_with(&mut self, opener: &Opener) {
        if self.history.torn && (opener.own.frames, opener.frames, opener.made_frames) != (0, 0, 0) {
            self.history.seen = 0;
        }
    }
}

/// One step of one process or of the adversary, upon a copy of the world.
pub(crate) struct Turn<'a> {
    pub world: World,
    pub rules: &'a Rules,
    /// Who makes the step.
    pub me: usize,
    pub violation: Option<Check>,
}

/// Who makes a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mover {
    Process(usize),
    Kill(usize),
    /// The kernel drops the leases of a process that was killed.
    Undo(usize),
    RemoveSet,
    RemoveSegment(Key),
}

/// All who may ever make a step.
pub(crate) fn movers() -> impl Iterator<Item = Mover> {
    let each = |mover: fn(usize) -> Mover| (0..PROCESSES).map(mover);
    let by_hand = [Mover::RemoveSet, Mover::RemoveSegment(Key::Frames), Mover::RemoveSegment(Key::Places)];
    each(Mover::Process).chain(each(Mover::Kill)).chain(each(Mover::Undo)).chain(by_hand)
}

impl<'a> Turn<'a> {
    pub(crate) fn new(world: &World, rules: &'a Rules) -> Self {
        Turn { world: *world, rules, me: 0, violation: None }
    }

    /// Makes one of the world's [`choices`](World::choices), and says what it is; `None` where it is not possible.
    pub(crate) fn step(&mut self, mover: Mover, choice: u8) -> Option<&'static str> {
        let label = match mover {
            Mover::Process(process) => {
                self.me = process;
                match self.world.processes[process] {
                    Process::Opener(opener) => opener::step(self, opener, choice)?,
                    Process::Subscriber(subscriber) => subscriber::step(self, subscriber, choice)?,
                    Process::Remover(remover) => remover::step(self, remover, choice)?,
                    Process::Absent | Process::Dying | Process::Dead => return None,
                }
            }
            Mover::Kill(process) => {
                self.world.budget.kills -= 1;
                self.world.kill(process);
                "kill -9: its memory is unmapped"
            }
            Mover::Undo(process) => {
                self.world.processes[process] = Process::Dead;
                self.world.kernel.undo(process);
                "the kernel drops its leases"
            }
            Mover::RemoveSet => {
                let possible = self.world.budget.set_removals > 0 && self.world.kernel.set != 0;
                self.world.budget.set_removals -= possible.then_some(1)?;
                self.world.kernel.remove_set(self.world.kernel.set);
                "ipcrm -s"
            }
            Mover::RemoveSegment(key) => {
                let id = self.world.kernel.find(key);
                let possible = self.world.budget.segment_removals > 0 && id != 0;
                self.world.budget.segment_removals -= possible.then_some(1)?;
                self.world.kernel.at(id).key = Key::Gone;
                self.tear(id);
                "ipcrm -m"
            }
        };
        self.world.reap();
        self.world.renumber();
        Some(label)
    }

    /// Where nobody is there who would know the last sequence, it is lost with what was removed by hand.
    fn tear(&mut self, id: Id) {
        self.world.history.torn = true;
        if !self.world.openers().any(|(_, opener)| opener.own.frames != 0 || opener.uses(id)) {
            self.world.history.seen = 0;
        }
    }

    pub(crate) fn violate(&mut self, check: Check) {
        self.violation.get_or_insert(check);
    }

    /// Whether the adversary has not interfered with the kernel's objects or with memory so far.
    pub(crate) fn undisturbed(&self) -> bool {
        let (now, begin) = (self.world.budget, self.rules.budget);
        self.rules.no_memory_for.is_none()
            && (now.set_removals, now.segment_removals, now.failures)
                == (begin.set_removals, begin.segment_removals, begin.failures)
    }

    /// Whether the set in which this process claimed the publisher's lease was removed. It does not know, so until it
    /// looks, or comes to its end, it may take what others have made meanwhile for remains.
    fn is_robbed(&self) -> bool {
        let lease = match self.world.processes[self.me] {
            Process::Opener(opener) if opener.lease != 0 => opener.lease,
            Process::Opener(opener) => opener.own.lease,
            Process::Remover(remover) => remover.lease,
            _ => 0,
        };
        lease != 0 && !self.world.kernel.set_exists(lease)
    }

    /// It may remove things: it holds the lease, or perhaps does not know that it was robbed.
    fn may_remove(&self) -> bool {
        let removed_by_hand = self.world.budget.set_removals < self.rules.budget.set_removals;
        removed_by_hand || self.world.kernel.holds(self.world.kernel.set, PUBLISHER, self.me)
    }

    /// shmctl(2) with `IPC_RMID`; false: there is no such segment.
    pub(crate) fn remove_segment(&mut self, id: Id) -> bool {
        let Some(&segment) = self.world.kernel.get(id) else { return false };
        let (me, set) = (self.me, self.world.kernel.set);
        let living = self
            .world
            .openers()
            .any(|(other, opener)| other != me && self.world.kernel.holds(set, PUBLISHER, other) && opener.uses(id));
        let robbed = self.is_robbed() && !self.rules.strict;
        if robbed && segment.key != Key::Gone {
            self.tear(id);
        }
        if living && !robbed {
            self.violate(Check::NothingOfALivingPublisherIsRemoved);
        }
        let creator = segment.creator as usize;
        let blank = segment.header == crate::kernel::Header::Blank && segment.key != Key::Gone;
        if blank && creator != me && self.world.processes.get(creator).is_some_and(Process::is_running) {
            self.violate(Check::BlankSegmentsOfTheLivingStay);
        }
        if !self.may_remove() {
            self.violate(Check::NothingIsRemovedWithoutTheLease);
        }
        self.world.kernel.at(id).key = Key::Gone;
        true
    }

    /// semctl(2) with `IPC_RMID`.
    pub(crate) fn remove_set(&mut self, id: Id) {
        let may = self.may_remove();
        let holder = self.world.kernel.held[PUBLISHER];
        if self.world.kernel.remove_set(id) && holder != 0 && holder as usize != self.me + 1 {
            self.violate(Check::NothingOfALivingPublisherIsRemoved);
        }
        if !may {
            self.violate(Check::NothingIsRemovedWithoutTheLease);
        }
    }

    /// Stores CLOSED: who does that to the stream under the key, or to what was left of it, ends its life.
    pub(crate) fn mark_closed(&mut self, id: Id) {
        let under_key = self.world.kernel.find(Key::Frames);
        self.world.kernel.at(id).state = State::Closed;
        if under_key == id || under_key == 0 {
            self.world.history.seen = 0;
        }
    }

    /// shmat(2); false: the segment is destroyed.
    pub(crate) fn attach(&self, id: Id, map: &mut Id) -> bool {
        let exists = self.world.kernel.get(id).is_some();
        *map = if exists { id } else { 0 };
        exists
    }
}
