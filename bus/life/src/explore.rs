//! Goes through all states, breadth first, so that the first trace found is a shortest one.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use crate::aftermath::Aftermath;
use crate::checks::{self, Check};
use crate::rules::{Asked, Rules};
use crate::world::{Mover, Turn, World, movers};

/// What came of an exploration.
pub(crate) struct Explored {
    pub states: usize,
    pub depth: usize,
    /// Different worlds in which everybody was killed.
    pub aftermaths: usize,
    /// What does not hold, and the shortest way there.
    pub violation: Option<(Check, Vec<String>)>,
}

/// How a state was reached.
#[derive(Clone, Copy)]
struct Link {
    parent: u32,
    mover: u8,
    choice: u8,
}

struct Search<'a> {
    rules: &'a Rules,
    movers: Vec<Mover>,
    links: Vec<Link>,
}

impl Search<'_> {
    /// The labels of the steps to a state, by going the way again.
    fn trace(&self, begin: &World, state: u32) -> Vec<String> {
        let mut way = Vec::new();
        let mut at = state as usize;
        while at != 0 {
            way.push(self.links[at]);
            at = self.links[at].parent as usize;
        }
        let mut world = *begin;
        let mut labels = Vec::new();
        for link in way.into_iter().rev() {
            let mover = self.movers[link.mover as usize];
            let mut turn = Turn::new(&world, self.rules);
            let label = turn.step(mover, link.choice).unwrap_or("a step that can not be made again");
            labels.push(format!("{mover:?}: {label}"));
            world = turn.world;
        }
        labels
    }
}

/// Explores every state that can be reached from `begin`, up to the first violation of what is asked for.
pub(crate) fn explore(begin: &World, rules: &Rules, asked: Asked) -> Explored {
    let mut search = Search { rules, movers: movers().collect(), links: Vec::new() };
    let mut seen = Fingerprints::default();
    let mut aftermath = Aftermath::new(rules);
    search.links.push(Link { parent: 0, mover: 0, choice: 0 });
    seen.insert(fingerprint(begin));
    let mut frontier = vec![(*begin, 0_u32)];
    let mut depth = 0;
    let mut violation = None;
    'levels: while !frontier.is_empty() {
        let mut next = Vec::new();
        for (world, parent) in &frontier {
            for mover in 0..search.movers.len() {
                for choice in 0..world.choices(search.movers[mover]) {
                    let mut turn = Turn::new(world, rules);
                    if turn.step(search.movers[mover], choice).is_none() {
                        continue;
                    }
                    let new = seen.insert(fingerprint(&turn.world));
                    if !new && turn.violation.is_none() {
                        continue;
                    }
                    search.links.push(Link { parent: *parent, mover: mover as u8, choice });
                    let index = search.links.len() as u32 - 1;
                    let found = turn
                        .violation
                        .filter(|check| asked.counts(*check))
                        .or_else(|| checks::state(&turn.world, rules, asked))
                        .map(|check| (check, Vec::new()))
                        .or_else(|| aftermath.check(&turn.world, asked));
                    if let Some((check, way_on)) = found {
                        let mut trace = search.trace(begin, index);
                        trace.extend(way_on.into_iter().map(str::to_owned));
                        violation = Some((check, trace));
                        break 'levels;
                    }
                    if new {
                        next.push((turn.world, index));
                    }
                }
            }
        }
        depth += usize::from(!next.is_empty());
        frontier = next;
    }
    Explored { states: seen.len(), depth, aftermaths: aftermath.worlds(), violation }
}

/// States by their fingerprints.
pub(crate) type Fingerprints = HashSet<u64, BuildHasherDefault<AsItIs>>;

/// A state's fingerprint stands for it, as in other explorers: of ten million states, two share one of the 2⁶⁴ with a
/// probability of less than one in a hundred thousand.
pub(crate) fn fingerprint(state: &impl Hash) -> u64 {
    let mut hasher = Mixing(0);
    state.hash(&mut hasher);
    hasher.finish()
}

/// Mixes each word by a multiplication whose two halves are folded together.
struct Mixing(u64);

impl Mixing {
    fn mix(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word ^ 0xa076_1d64_78bd_642f) * 0xe703_7ed1_a0b4_28db;
        self.0 = (product as u64) ^ ((product >> 64) as u64) ^ self.0.rotate_left(23);
    }
}

impl Hasher for Mixing {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.mix(u64::from(*byte)));
    }

    fn write_u8(&mut self, word: u8) {
        self.mix(u64::from(word));
    }

    fn write_isize(&mut self, word: isize) {
        self.mix(word as u64);
    }

    fn finish(&self) -> u64 {
        let mut last = Mixing(self.0);
        last.mix(0);
        last.0
    }
}

/// A fingerprint is a hash already.
#[derive(Default)]
pub(crate) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0 << 8 | u64::from(*byte));
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = word;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
