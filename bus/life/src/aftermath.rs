//! What could come after everybody is killed: one process after the other, each killed at any step, and in the end
//! one that is left alone. A fresh opener must publish behind the last sequence, and leave nothing when it closes; a
//! remover must leave nothing. Many worlds come to the same one when all are dead, so each of those is looked at
//! once.

use crate::checks::{Check, alone};
use crate::explore::{Fingerprints, fingerprint};
use crate::kernel::{Geometry, Segment};
use crate::opener;
use crate::rules::{Asked, Rules};
use crate::world::{Process, World};

/// How far the sequence goes while one successor after the other is killed: there has to be an end somewhere.
const FRAMES_OF_SUCCESSORS: u8 = 4;

pub(crate) struct Aftermath {
    rules: Rules,
    seen: Fingerprints,
}

/// A world in which all are dead, and how it came to that: which process ran in which earlier one, for how many steps.
struct Fallen {
    world: World,
    from: Option<(usize, Process, usize)>,
}

impl Aftermath {
    pub(crate) fn new(rules: &Rules) -> Self {
        let mut rules = rules.clone();
        rules.no_memory_for = None;
        Self { rules, seen: Fingerprints::default() }
    }

    /// Different worlds of the dead so far.
    pub(crate) fn worlds(&self) -> usize {
        self.seen.len()
    }

    fn is_new(&mut self, world: &World) -> bool {
        self.seen.insert(fingerprint(&(world.kernel, world.history)))
    }

    /// The first check that does not hold, and the steps to it.
    pub(crate) fn check(&mut self, world: &World, asked: Asked) -> Option<(Check, Vec<&'static str>)> {
        let after = world.after_all_died(self.rules.budget);
        if !self.is_new(&after) {
            return None;
        }
        let mut all = vec![Fallen { world: after, from: None }];
        let mut next = 0;
        while next < all.len() {
            for process in successors() {
                let mut world = all[next].world;
                world.processes[0] = process;
                let mut steps = 0;
                let rules = self.rules.clone();
                let found = alone(&mut world, &rules, 0, |world, _| {
                    steps += 1;
                    if rules.successors_die && last_sequence(world) < FRAMES_OF_SUCCESSORS {
                        let after = world.after_all_died(rules.budget);
                        if self.is_new(&after) {
                            all.push(Fallen { world: after, from: Some((next, process, steps)) });
                        }
                    }
                    world.processes[0].is_running()
                });
                let found = found.or_else(|| left_over(&world));
                if let Some(check) = found.filter(|check| asked.counts(*check)) {
                    return Some((check, self.trace(&all, next, process)));
                }
            }
            next += 1;
        }
        None
    }

    /// The steps to a fallen world, and those of the process that comes last, to its end.
    fn trace(&self, all: &[Fallen], last: usize, process: Process) -> Vec<&'static str> {
        let mut runs = vec![(last, process, usize::MAX)];
        while let Some(run) = all[runs[runs.len() - 1].0].from {
            runs.push(run);
        }
        let mut labels = Vec::new();
        for (from, process, steps) in runs.into_iter().rev() {
            labels.push("everybody is killed");
            let mut world = all[from].world;
            world.processes[0] = process;
            let mut left = steps;
            alone(&mut world, &self.rules, 0, |_, label| {
                labels.push(label);
                left -= 1;
                left > 0
            });
        }
        labels
    }
}

/// Who may come next.
fn successors() -> [Process; 4] {
    let opener = |geometry| Process::opener(geometry, 1);
    [opener(Geometry::A), opener(Geometry::B), Process::remover(false), Process::remover(true)]
}

/// The highest sequence that stands anywhere.
fn last_sequence(world: &World) -> u8 {
    let of = |segment: &Segment| segment.entry.max(segment.latest).max(segment.base_sequence).max(segment.carried);
    world.kernel.segments().map(of).max().unwrap_or(0)
}

/// What a process that ran alone to its end has not cleaned up.
fn left_over(end: &World) -> Option<Check> {
    match end.processes[0] {
        Process::Opener(opener) => {
            let done = (opener.pc, opener.frames_left) == (opener::Pc::Done, 0);
            (!done || !end.kernel.is_empty()).then_some(Check::AFreshOpenerCleansUp)
        }
        _ => (!end.kernel.is_empty()).then_some(Check::AFreshRemoverCleansUp),
    }
}
