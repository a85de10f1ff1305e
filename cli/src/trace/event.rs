//! What happened, and who is concerned, as plain data.

use framebus::{Fate, PlaceHolder, TraceEvent};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// `CLOCK_MONOTONIC`, ns.
    pub at_ns: u64,
    /// 0: it is about no frame.
    pub sequence: u64,
    pub fate: Fate,
    /// A subscriber; `None`: the publisher.
    pub by: Option<Who>,
    /// Who is to blame.
    pub culprits: Vec<Who>,
}

/// A subscriber.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    pub place: usize,
    /// `None`: of another PID namespace.
    pub pid: Option<u32>,
    pub label: String,
}

impl Event {
    pub fn of(traced: TraceEvent) -> Self {
        let TraceEvent { event, by, culprits, .. } = traced;
        Self {
            at_ns: event.at_ns,
            sequence: event.sequence,
            fate: event.fate,
            by: by.map(Who::of),
            culprits: culprits.into_iter().map(Who::of).collect(),
        }
    }
}

impl Who {
    fn of(holder: PlaceHolder) -> Self {
        Self { place: holder.place, pid: holder.pid, label: holder.label }
    }

    /// `LABEL (pid PID)`, or its place where the process is not known.
    pub fn title(&self) -> String {
        let label = if self.label.is_empty() { "unnamed" } else { &self.label };
        // Labels are others' words: nothing in them may move the cursor.
        let label: String = label.chars().map(|one| if one.is_control() { '\u{fffd}' } else { one }).collect();
        match self.pid {
            Some(pid) => format!("{label} (pid {pid})"),
            None => format!("{label} (place {})", self.place),
        }
    }
}
