//! The numbers of a fate, by their names: the same for lines, objects and sums.

use std::time::Duration;

use framebus::Fate;

/// What stands in a fate; `None` where it has no such thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Frames that it is about.
    pub frames: Option<u64>,
    /// How many frames the slowest lossless subscriber was behind.
    pub behind: Option<u64>,
    /// How long a slot had been held.
    pub held_ns: Option<u64>,
    /// How long the publisher waited.
    pub waited_ns: Option<u64>,
    /// By how much a frame was late.
    pub late_ns: Option<u64>,
    pub age_ns: Option<u64>,
    /// Of the contract: oldest age.
    pub limit_ns: Option<u64>,
    /// Of the contract: most frames lost within a second.
    pub limit_frames: Option<u64>,
    /// The process that began to publish.
    pub publisher_pid: Option<u32>,
    /// How many publishers there were in this epoch, with that.
    pub publishers: Option<u64>,
}

fn ns(time: Duration) -> Option<u64> {
    u64::try_from(time.as_nanos()).ok()
}

impl Facts {
    pub fn of(fate: &Fate) -> Self {
        let none = Self::default();
        match *fate {
            Fate::Held { held_ns, waited, .. } => {
                Self { frames: Some(1), held_ns: Some(held_ns), waited_ns: ns(waited), ..none }
            }
            Fate::Unread { behind, waited, .. } => {
                Self { frames: Some(1), behind: Some(behind), waited_ns: ns(waited), ..none }
            }
            Fate::Late { by_ns, frames } => Self { frames: Some(frames), late_ns: Some(by_ns), ..none },
            Fate::Abandoned => Self { frames: Some(1), ..none },
            Fate::Evicted { behind, waited, .. } => Self { behind: Some(behind), waited_ns: ns(waited), ..none },
            Fate::Began { pid, publishers } => Self { publisher_pid: Some(pid), publishers: Some(publishers), ..none },
            Fate::Skipped { frames } | Fate::Missed { frames } => Self { frames: Some(frames), ..none },
            Fate::TooOld { age_ns, limit_ns } => {
                Self { frames: Some(1), age_ns: Some(age_ns), limit_ns: Some(limit_ns), ..none }
            }
            Fate::TooManySkipped { frames, limit } => Self { frames: Some(frames), limit_frames: Some(limit), ..none },
            Fate::Stale { age_ns, limit_ns } => Self { age_ns: Some(age_ns), limit_ns: Some(limit_ns), ..none },
            _ => none,
        }
    }

    /// Two of one kind in one: frames are added up, of times and distances the larger one counts.
    pub fn and(self, other: Self) -> Self {
        let sum = |a: Option<u64>, b: Option<u64>| a.map(|a| a.saturating_add(b.unwrap_or(0))).or(b);
        Self {
            frames: sum(self.frames, other.frames),
            behind: self.behind.max(other.behind),
            held_ns: self.held_ns.max(other.held_ns),
            waited_ns: sum(self.waited_ns, other.waited_ns),
            late_ns: self.late_ns.max(other.late_ns),
            age_ns: self.age_ns.max(other.age_ns),
            limit_ns: other.limit_ns,
            limit_frames: other.limit_frames,
            publisher_pid: other.publisher_pid,
            publishers: other.publishers,
        }
    }
}
