//! A configuration: which processes, what may go wrong, which rules. Each exploration prints its size.

use std::time::Instant;

use crate::checks::Check;
use crate::explore::{Explored, explore};
use crate::kernel::Geometry;
use crate::rules::{Asked, Mend, Rules};
use crate::world::{Budget, Process, World};

/// All mends. What is proven with them is proven of the code as it will be with them; `known.rs` takes one away at a
/// time.
pub(crate) const ALL: &[Mend] = &[
    Mend::SequenceKeptBeforeRemoval,
    Mend::RemovalAlwaysUnderALease,
    Mend::RemovalAsksForTheCreator,
    Mend::SubscriberLooksForItsFrames,
    Mend::EmptySetIsAnybodysToRemove,
];

#[derive(Clone)]
pub(crate) struct Scenario {
    name: String,
    processes: Vec<Process>,
    pub rules: Rules,
}

impl Scenario {
    /// Nothing goes wrong, publishers may leave their streams there, the look asks for the segments too, and everything
    /// is mended.
    pub(crate) fn of(processes: &[Process]) -> Self {
        let rules =
            Rules { persist: true, looks_at_segments: true, successors_die: true, mends: ALL, ..Rules::default() };
        let name = processes.iter().map(describe).collect::<Vec<_>>().join(", ");
        Self { name, processes: processes.to_vec(), rules }
    }

    pub(crate) fn kills(mut self, kills: u8) -> Self {
        self.rules.budget.kills = kills;
        self
    }

    pub(crate) fn set_removals(mut self, set_removals: u8) -> Self {
        self.rules.budget.set_removals = set_removals;
        self
    }

    pub(crate) fn segment_removals(mut self, segment_removals: u8) -> Self {
        self.rules.budget.segment_removals = segment_removals;
        self
    }

    pub(crate) fn failures(mut self, failures: u8) -> Self {
        self.rules.budget.failures = failures;
        self
    }

    pub(crate) fn no_memory_for(mut self, geometry: Geometry) -> Self {
        self.rules.no_memory_for = Some(geometry);
        self
    }

    pub(crate) fn mends(mut self, mends: &'static [Mend]) -> Self {
        self.rules.mends = mends;
        self
    }

    /// Goes through all states, and says how many there were.
    pub(crate) fn explore(&self, asked: Asked) -> Explored {
        let begun = Instant::now();
        let explored = explore(&World::new(&self.processes, self.rules.budget), &self.rules, asked);
        let Budget { kills, set_removals, segment_removals, failures } = self.rules.budget;
        let budget = [
            (kills, "kill -9"),
            (set_removals, "ipcrm -s"),
            (segment_removals, "ipcrm -m"),
            (failures, "failed calls"),
        ];
        let budget: Vec<String> =
            budget.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        println!(
            "{}; {}: {} states, {} steps deep, {} worlds of the dead, {:.1} s",
            self.name,
            if budget.is_empty() { "nothing goes wrong".to_owned() } else { budget.join(", ") },
            explored.states,
            explored.depth,
            explored.aftermaths,
            begun.elapsed().as_secs_f32(),
        );
        explored
    }

    /// Everything that is asked holds in every state.
    pub(crate) fn holds_for(&self, asked: Asked) {
        if let Some((check, trace)) = self.explore(asked).violation {
            panic!("{check:?} does not hold:\n  {}", trace.join("\n  "));
        }
    }

    pub(crate) fn holds(&self) {
        self.holds_for(Asked::All);
    }

    /// This check fails somewhere.
    pub(crate) fn violates(&self, check: Check) {
        match self.explore(Asked::Only(check)).violation {
            Some((_, trace)) => println!("{check:?} does not hold:\n  {}", trace.join("\n  ")),
            None => panic!("{check:?} holds in every state"),
        }
    }
}

fn describe(process: &Process) -> &'static str {
    match process {
        Process::Opener(opener) if opener.geometry == Geometry::A => "opener A",
        Process::Opener(_) => "opener B",
        Process::Subscriber(_) => "subscriber",
        Process::Remover(_) => "remover",
        Process::Absent | Process::Dying | Process::Dead => "nobody",
    }
}
