//! What the storm does to whom, and when: all of it from the seed.
//!
//! The plan does not depend on how quick the machine is: acts come from one generator a stream, and what a process
//! is told when it starts comes from one generator a life. What becomes of it does depend on the machine, of course.

use std::time::Duration;

use super::arguments::Settings;

/// Mean time from an act to the next one, on one stream.
const MEAN_GAP_MS: u64 = 55;

/// SplitMix64 (Steele, Lea, Flood 2014): the plan of a seed shall be the same in each version of framebus and its crates.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    fn new(seed: u64, purpose: [u64; 3]) -> Self {
        let mut random = Self(seed);
        for word in purpose {
            random.0 = random.next() ^ word;
        }
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// `least` to `most`, both included.
    fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.next() % (most - least + 1)
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    fn ms(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_micros(self.between(least * 1000, most * 1000))
    }
}

/// Who is meant: a member of a stream's cast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Member {
    Producer,
    /// By index; the last ones are those that come and go.
    Viewer(usize),
}

/// What is done to somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// `kill -9`.
    Kill,
    /// Ctrl-C.
    Interrupt,
    /// SIGSTOP, and SIGCONT after so long.
    Stop(Duration),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Act {
    /// Time since the act before.
    pub after: Duration,
    pub member: Member,
    pub deed: Deed,
}

/// The acts on one stream, without an end.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    random: Random,
    viewers: u64,
}

impl Plan {
    pub(super) fn new(settings: &Settings, stream: usize) -> Self {
        let viewers = (settings.viewers + settings.passers_by) as u64;
        Self { random: Random::new(settings.seed, [0, stream as u64, 0]), viewers }
    }

    pub(super) fn next(&mut self) -> Act {
        let random = &mut self.random;
        let after = random.ms(1, 2 * MEAN_GAP_MS);
        let member = match random.chance(30) {
            true => Member::Producer,
            false => Member::Viewer(random.between(0, self.viewers - 1) as usize),
        };
        // A producer that ends cleanly closes its stream, or leaves it: each as often as it takes to be found out.
        let deed = match random.between(1, if member == Member::Producer { 120 } else { 100 }) {
            1..=70 => Deed::Kill,
            71..=80 | 101.. => Deed::Interrupt,
            _ => Deed::Stop(random.ms(5, 500)),
        };
        Act { after, member, deed }
    }
}

/// What a process is told when it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Time between the end of its predecessor and its start.
    pub rest: Duration,
    /// It is killed so long after its start: in the midst of creating, taking over, attaching.
    pub fuse: Option<Duration>,
    /// Producer: index of the shape.
    pub shape: usize,
    /// Producer: a clean end leaves the stream there.
    pub persist: bool,
    /// Viewer: takes every frame instead of the newest.
    pub every: bool,
    /// Viewer: keeps each frame so long.
    pub hold: Duration,
    /// Viewer: keeps so many frames.
    pub hold_frames: usize,
    /// Viewer: ends after so many frames.
    pub frames: Option<u64>,
}

impl Part {
    /// Of the member's so-manieth life.
    pub(super) fn new(settings: &Settings, stream: usize, member: Member, life: u64) -> Self {
        let calm = Self {
            rest: if life == 0 { Duration::ZERO } else { Duration::from_secs(1) },
            fuse: None,
            shape: 0,
            persist: false,
            every: matches!(member, Member::Viewer(index) if index % 2 == 1),
            hold: Duration::ZERO,
            hold_frames: 0,
            frames: None,
        };
        if settings.calm {
            return calm;
        }
        let who = match member {
            Member::Producer => 1,
            Member::Viewer(index) => 2 + index as u64,
        };
        let random = &mut Random::new(settings.seed, [who, stream as u64, life]);
        // The first lives begin the soak: nobody is to be killed before he is there.
        // It takes some ms to begin, and what is to be hit, a creation or a take-over, takes a part of one.
        let percent = if member == Member::Producer { 40 } else { 25 };
        let fuse = (random.chance(percent) && life > 0).then(|| random.ms(0, 12));
        let rest = if random.chance(50) { Duration::ZERO } else { random.ms(0, 60) };
        let part = Self { rest, fuse, ..calm };
        match member {
            Member::Producer => {
                let shape = if random.chance(50) { 0 } else { random.between(0, settings.shapes.len() as u64 - 1) };
                Self { shape: shape as usize, persist: random.chance(50), ..part }
            }
            Member::Viewer(index) => {
                let passes_by = index >= settings.viewers;
                Self {
                    every: random.chance(50),
                    hold: if random.chance(30) { random.ms(1, 80) } else { Duration::ZERO },
                    hold_frames: random.between(0, 2) as usize,
                    frames: passes_by.then(|| random.between(1, 20)),
                    ..part
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soak::testing::settings;

    #[test]
    fn a_seed_repeats_its_plan_and_another_one_does_not() {
        let acts = |seed: u64| {
            let mut plan = Plan::new(&settings(&format!("--seed {seed}")), 0);
            (0..100).map(|_| plan.next()).collect::<Vec<_>>()
        };
        assert_eq!(acts(7), acts(7));
        assert_ne!(acts(7), acts(8));
        let part = |life| Part::new(&settings("--seed 7"), 0, Member::Viewer(3), life);
        assert_eq!(part(3), part(3));
        assert!((1..20).any(|life| part(life) != part(0)));
    }

    #[test]
    fn the_plan_of_a_seed_is_for_ever() {
        let mut random = Random::new(1, [0, 0, 0]);
        let first = random.next();
        // From the published algorithm; a report of years ago must be repeatable.
        assert_eq!(Random(0).next(), 0xe220_a839_7b1d_cdaf);
        assert_ne!(first, random.next());
    }

    #[test]
    fn a_storm_kills_everybody_and_a_calm_nobody() {
        let mut plan = Plan::new(&settings("--seed 1 --viewers 2"), 0);
        let acts: Vec<Act> = (0..2000).map(|_| plan.next()).collect();
        for member in [Member::Producer, Member::Viewer(0), Member::Viewer(1), Member::Viewer(2), Member::Viewer(3)] {
            let kills = acts.iter().filter(|act| act.member == member && act.deed == Deed::Kill).count();
            assert!(kills > 100, "{member:?}: {kills}");
        }
        let calm = settings("--seed 1 --calm");
        assert!((0..100).all(|life| Part::new(&calm, 0, Member::Producer, life).fuse.is_none()));
    }
}
