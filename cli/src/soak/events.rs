//! What was done and what came of it, with its time. Memory stays flat: the first and the last are kept, the others counted.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

/// So many of each list are kept from its beginning, and as many from its end.
const KEPT: usize = 500;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Event {
    /// Seconds since the soak began.
    pub at_s: f64,
    pub event: &'static str,
    pub stream: String,
    /// Who it happened to, or who is to blame; empty: nobody in particular.
    pub label: String,
    pub pid: Option<u32>,
    /// Frames that it cost.
    pub frames: u64,
    /// What happened, in words.
    pub detail: String,
}

/// The first and the last of a list that may be long.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Ends {
    pub first: Vec<Event>,
    /// How many are left out between the two.
    pub left_out: u64,
    pub last: VecDeque<Event>,
}

impl Ends {
    fn push(&mut self, event: Event) {
        if self.first.len() < KEPT {
            self.first.push(event);
            return;
        }
        if self.last.len() == KEPT {
            self.last.pop_front();
            self.left_out += 1;
        }
        self.last.push_back(event);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Event> {
        self.first.iter().chain(&self.last)
    }
}

/// All that happened. What cost frames is kept apart, so that kills do not push it out.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Events {
    /// How many there were of each kind.
    pub counts: BTreeMap<&'static str, u64>,
    pub costly: Ends,
    pub other: Ends,
}

impl Events {
    pub(super) fn push(&mut self, event: Event) {
        *self.counts.entry(event.event).or_default() += 1;
        let list = if event.frames > 0 { &mut self.costly } else { &mut self.other };
        list.push(event);
    }

    pub(super) fn count(&self, kind: &str) -> u64 {
        self.counts.get(kind).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_are_kept_and_all_are_counted() {
        let mut events = Events::default();
        for second in 0..10_000 {
            let event = Event {
                at_s: f64::from(second),
                event: "kill",
                stream: String::new(),
                label: String::new(),
                pid: None,
                frames: u64::from(second == 5000),
                detail: String::new(),
            };
            events.push(event);
        }
        assert_eq!(events.count("kill"), 10_000);
        assert_eq!(events.other.left_out, 10_000 - 1 - 2 * KEPT as u64);
        let times: Vec<f64> = events.other.iter().map(|event| event.at_s).collect();
        assert_eq!((times[0], times[KEPT - 1], times[2 * KEPT - 1]), (0.0, KEPT as f64 - 1.0, 9999.0));
        assert_eq!(events.costly.iter().map(|event| event.at_s).collect::<Vec<_>>(), [5000.0]);
    }
}
