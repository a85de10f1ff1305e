//! Floods stay readable: the first event of a kind is told at once, and those that follow within a second have one line together.
//!
//! Of one kind are events with the same fate, met by the same one because of the same ones. A line for many stands where its
//! second ends.

use framebus::Fate;

use super::event::{Event, Who};
use super::facts::Facts;
use super::line::Line;
use super::streams::Place;

const SECOND_NS: u64 = 1_000_000_000;

/// Holds events back for up to a second.
#[derive(Default)]
pub struct Joiner {
    open: Vec<Open>,
}

/// A kind of events, of which one was told less than a second ago.
struct Open {
    stream: Place,
    fate: &'static str,
    by: Option<Who>,
    culprits: Vec<Who>,
    /// When the second ends.
    until_ns: u64,
    since: Option<Many>,
}

/// Events of one kind.
#[derive(Clone)]
pub struct Many {
    pub times: u64,
    pub first_sequence: u64,
    /// The newest of them.
    pub last: Event,
    pub facts: Facts,
}

/// Who comes and goes is told one by one.
fn is_joined(fate: &Fate) -> bool {
    !matches!(
        fate,
        Fate::Began { .. }
            | Fate::Attached
            | Fate::Left
            | Fate::Died
            | Fate::Gone
            | Fate::Closed
            | Fate::Evicted { .. }
            | Fate::WasEvicted
    )
}

impl Joiner {
    /// The line of an event, unless it is held back. Before somebody's end stands what was held back of that one.
    pub fn take(&mut self, stream: &Place, event: &Event) -> Vec<Line> {
        if !is_joined(&event.fate) {
            let of_all = matches!(event.fate, Fate::Gone | Fate::Closed | Fate::Began { .. });
            let mut lines = self.end(|open| open.stream == *stream && (of_all || open.by == event.by));
            lines.push(Line::of(stream, event));
            return lines;
        }
        let fate = event.fate.name();
        let same = |open: &&mut Open| {
            open.fate == fate && open.stream == *stream && open.by == event.by && open.culprits == event.culprits
        };
        let facts = Facts::of(&event.fate);
        let Some(open) = self.open.iter_mut().find(same) else {
            let (by, culprits) = (event.by.clone(), event.culprits.clone());
            let until_ns = event.at_ns.saturating_add(SECOND_NS);
            self.open.push(Open { stream: stream.clone(), fate, by, culprits, until_ns, since: None });
            return vec![Line::of(stream, event)];
        };
        open.since = Some(match open.since.take() {
            None => Many { times: 1, first_sequence: event.sequence, last: event.clone(), facts },
            Some(many) => Many { times: many.times + 1, last: event.clone(), facts: many.facts.and(facts), ..many },
        });
        Vec::new()
    }

    /// The lines of some kinds, whose second is over before its time.
    fn end(&mut self, is_over: impl Fn(&Open) -> bool) -> Vec<Line> {
        let over = self.open.extract_if(.., |open| is_over(open));
        let lines = over.filter_map(|open| open.since.map(|many| Line::of_many(&open.stream, &many)));
        in_order(lines.collect())
    }

    /// The lines of those whose second is over.
    pub fn due(&mut self, now_ns: u64) -> Vec<Line> {
        let mut lines = Vec::new();
        self.open.retain_mut(|open| {
            if now_ns < open.until_ns {
                return true;
            }
            open.until_ns = now_ns.saturating_add(SECOND_NS);
            let many = open.since.take();
            let is_going_on = many.is_some();
            lines.extend(many.map(|many| Line::of_many(&open.stream, &many)));
            is_going_on
        });
        in_order(lines)
    }
}

fn in_order(mut lines: Vec<Line>) -> Vec<Line> {
    lines.sort_by_key(|line| line.at_ns);
    lines
}

#[cfg(test)]
mod tests {
    use super::super::testing::{event, place};
    use super::*;

    #[test]
    fn the_first_is_told_at_once_and_the_others_of_a_second_together() {
        let (mut joiner, stream) = (Joiner::default(), place("robot/front"));
        let skipped = |at_ms: u64, sequence, frames| event(at_ms, sequence, Fate::Skipped { frames }, Some("slow"));
        assert_eq!(joiner.take(&stream, &skipped(0, 5, 4))[0].what, "skipped 4 frames: a newer one was taken");
        assert!(joiner.take(&stream, &skipped(100, 9, 3)).is_empty());
        assert!(joiner.take(&stream, &skipped(200, 14, 4)).is_empty());
        // Somebody else's are another kind.
        let other = event(300, 9, Fate::Skipped { frames: 1 }, Some("other"));
        assert!(!joiner.take(&stream, &other).is_empty());
        assert!(joiner.due(999_000_000).is_empty());
        let lines = joiner.due(SECOND_NS);
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].what, "skipped 7 frames in 2 times: newer ones were taken");
        assert_eq!(lines[0].frames, Some((9, 14)));
        // It goes on, so the next second is a line as well; one alone looks like any other.
        assert!(joiner.take(&stream, &skipped(1_500, 20, 1)).is_empty());
        assert_eq!(joiner.due(2 * SECOND_NS)[0].what, "skipped 1 frame: a newer one was taken");
        // And after a second without any, the next one is told at once.
        assert!(joiner.due(3 * SECOND_NS).is_empty());
        assert!(!joiner.take(&stream, &skipped(3_500, 21, 1)).is_empty());
    }

    #[test]
    fn who_comes_and_goes_is_told_one_by_one() {
        let (mut joiner, stream) = (Joiner::default(), place("robot/front"));
        for at_ms in 0..4 {
            assert_eq!(joiner.take(&stream, &event(at_ms, 0, Fate::Attached, Some("web"))).len(), 1);
        }
        assert!(joiner.due(u64::MAX).is_empty());
    }

    #[test]
    fn before_somebodys_end_stands_what_was_held_back_of_that_one() {
        let (mut joiner, stream) = (Joiner::default(), place("robot/front"));
        let skipped = |at_ms: u64, who| event(at_ms, at_ms, Fate::Skipped { frames: 1 }, Some(who));
        for at_ms in 1..4 {
            joiner.take(&stream, &skipped(at_ms, "slow"));
            joiner.take(&stream, &skipped(at_ms, "other"));
        }
        let lines = joiner.take(&stream, &event(5, 0, Fate::Left, Some("slow")));
        let words: Vec<_> = lines.iter().map(|line| line.what.as_str()).collect();
        assert_eq!(words, ["skipped 2 frames in 2 times: newer ones were taken", "left"]);
        assert_eq!(joiner.take(&stream, &event(6, 0, Fate::Gone, None)).len(), 2, "the stream's end is everybody's");
        assert!(joiner.due(u64::MAX).is_empty());
    }
}
