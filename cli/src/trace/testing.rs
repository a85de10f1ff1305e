//! Events made up for tests.

use framebus::{Backend, Fate};

use super::event::{Event, Who};
use super::streams::Place;

pub fn place(name: &str) -> Place {
    Place { name: name.parse().unwrap(), backend: Backend::SysV }
}

pub fn culprit(place: usize, pid: u32, label: &str) -> Who {
    Who { place, pid: Some(pid), label: label.to_owned() }
}

/// So many ms after the beginning, by the publisher or by a subscriber of this label, which is process 1.
pub fn event(at_ms: u64, sequence: u64, fate: Fate, by: Option<&str>) -> Event {
    let by = by.map(|label| culprit(0, 1, label));
    Event { at_ns: at_ms * 1_000_000, sequence, fate, by, culprits: Vec::new() }
}
