//! A configuration: which processes, what may go wrong, which rules. Each exploration prints its size.

use std::time::Instant;

use crate::checks::Check;
use crate::explore::{Explored, explore};
use crate::kernel::Geometry;
use crate::rules::{Asked, Rules};
use crate::world::{Budget, Mover, Process, Turn, World};

#[derive(Clone)]
pub(crate) struct Scenario {
    name: String,
    processes: Vec<Process>,
    /// What has happened before everything may happen: who, by which choice first, up to which step.
    begun: Vec<(Mover, u8, &'static str)>,
    pub rules: Rules,
}

impl Scenario {
    /// Nothing goes wrong, publishers may leave their streams there, and the look asks for the segments too.
    pub(crate) fn of(processes: &[Process]) -> Self {
        let rules = Rules { persist: true, looks_at_segments: true, successors_die: true, ..Rules::default() };
        let name = processes.iter().map(describe).collect::<Vec<_>>().join(", ");
        Self { name, processes: processes.to_vec(), begun: Vec::new(), rules }
    }

    /// The first publisher was robbed of its set, and has not looked; the second one is ahead of it, and has left.
    pub(crate) fn robbed_and_behind() -> Self {
        let opener = Process::opener;
        Self::of(&[opener(Geometry::A, 2), opener(Geometry::A, 1), opener(Geometry::B, 0)])
            .kills(1)
            .set_removals(1)
            .behind(Mover::Process(0), 0, "publish: latest")
            .behind(Mover::RemoveSet, 0, "ipcrm -s")
            .behind(Mover::Process(1), 0, "publish: latest")
            .behind(Mover::Process(1), 2, "drop: gives back the lease")
    }

    pub(crate) fn kills(mut self, kills: u8) -> Self {
        self.rules.budget.kills = kills;
        self
    }

    pub(crate) fn resizes(mut self) -> Self {
        self.rules.resizes = true;
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

    /// Someone goes on alone, by this choice first, up to the step of this label, before everything may happen.
    pub(crate) fn behind(mut self, mover: Mover, choice: u8, label: &'static str) -> Self {
        self.begun.push((mover, choice, label));
        self
    }

    fn begin(&self) -> World {
        let mut world = World::new(&self.processes, self.rules.budget);
        for &(mover, first, last) in &self.begun {
            let mut choice = first;
            loop {
                let mut turn = Turn::new(&world, &self.rules);
                let label = turn.step(mover, choice).expect("a step that is possible");
                (world, choice) = (turn.world, 0);
                if label == last {
                    break;
                }
            }
        }
        world
    }

    /// Goes through all states, and says how many there were.
    pub(crate) fn explore(&self, asked: Asked) -> Explored {
        let begun = Instant::now();
        let explored = explore(&self.begin(), &self.rules, asked);
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

    /// Everything holds in every state.
    pub(crate) fn holds(&self) {
        if let Some((check, trace)) = self.explore(Asked::All).violation {
            panic!("{check:?} does not hold:\n  {}", trace.join("\n  "));
        }
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
