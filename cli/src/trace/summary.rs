//! How often which fate met whom, and because of whom.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use serde_json::{Value, json};

use super::event::Who;
use super::facts::Facts;
use super::json::holder;
use super::line::who;
use super::streams::{Told, What};

/// Most rows: who comes and goes for weeks is told apart by process.
const MOST_ROWS: usize = 1000;

#[derive(Default)]
pub struct Summary {
    rows: BTreeMap<Key, Count>,
    /// Rows that are no longer there, in one.
    others: Option<Others>,
    events: u64,
    lost: u64,
}

/// What was folded together.
#[derive(Clone, Copy, Default)]
struct Others {
    events: u64,
    frames: u64,
}

/// In the order of the table.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    stream: String,
    backend: String,
    fate: &'static str,
    who: String,
    culprits: Vec<String>,
}

struct Count {
    events: u64,
    /// Number of the last of them.
    last: u64,
    frames: Option<u64>,
    by: Value,
    culprits: Value,
}

impl Summary {
    pub fn count(&mut self, told: &Told) {
        let event = match &told.what {
            What::Lost(events) => {
                self.lost += events;
                return;
            }
            What::Event(event) => event,
        };
        self.events += 1;
        let key = Key {
            stream: told.stream.name.to_string(),
            backend: told.stream.backend.to_string(),
            fate: event.fate.name(),
            who: who(event.by.as_ref()),
            culprits: event.culprits.iter().map(Who::title).collect(),
        };
        if self.rows.len() >= MOST_ROWS && !self.rows.contains_key(&key) {
            self.fold();
        }
        let row = self.rows.entry(key).or_insert_with(|| Count {
            events: 0,
            last: 0,
            frames: None,
            by: json!(event.by.as_ref().map(holder)),
            culprits: event.culprits.iter().map(holder).collect(),
        });
        (row.events, row.last) = (row.events + 1, self.events);
        if let Some(frames) = Facts::of(&event.fate).frames {
            row.frames = Some(row.frames.unwrap_or(0).saturating_add(frames));
        }
    }

    /// Makes room: the row with the fewest events goes; of several, the one that has had none for longest.
    fn fold(&mut self) {
        let least = self.rows.iter().min_by_key(|(_, row)| (row.events, row.last)).map(|(key, _)| key.clone());
        let Some(row) = least.and_then(|key| self.rows.remove(&key)) else { return };
        let others = self.others.get_or_insert_default();
        others.events += row.events;
        others.frames = others.frames.saturating_add(row.frames.unwrap_or(0));
    }

    /// As a table.
    pub fn write(&self, out: &mut impl Write, time: Duration, several: bool) -> io::Result<()> {
        let mut table = vec![["STREAM", "FATE", "WHO", "BECAUSE OF", "EVENTS", "FRAMES"].map(str::to_owned)];
        table.extend(self.rows.iter().map(|(key, row)| {
            let frames = row.frames.map_or_else(|| "–".to_owned(), |frames| frames.to_string());
            let culprits = if key.culprits.is_empty() { "–".to_owned() } else { key.culprits.join(", ") };
            [key.stream.clone(), key.fate.to_owned(), key.who.clone(), culprits, row.events.to_string(), frames]
        }));
        table.extend(self.others.map(|Others { events, frames }| {
            let [all, fate, who] = ["others", "–", "–"].map(str::to_owned);
            let [all, fate] = if several { [all, fate] } else { [fate, all] };
            [all, fate, who, "–".to_owned(), events.to_string(), frames.to_string()]
        }));
        let widths: [usize; 6] =
            std::array::from_fn(|at| table.iter().map(|row| row[at].chars().count()).max().unwrap_or(0));
        writeln!(
            out,
            "\n{} events in {:.1} s{}",
            self.events,
            time.as_secs_f64(),
            match self.lost {
                0 => String::new(),
                lost => format!(", and {lost} that were lost"),
            }
        )?;
        if self.rows.is_empty() {
            return Ok(());
        }
        for row in table {
            let cells = row.iter().zip(widths).enumerate().skip(usize::from(!several));
            let cells = cells.map(|(at, (text, width))| match at {
                4.. => format!("{text:>width$}"),
                _ => format!("{text:<width$}"),
            });
            writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }

    /// As an object; the keys are in docs/json.md.
    pub fn object(&self, time: Duration) -> Value {
        let row = |(key, row): (&Key, &Count)| {
            json!({
                "stream": key.stream,
                "backend": key.backend,
                "fate": key.fate,
                "by": row.by,
                "culprits": row.culprits,
                "events": row.events,
                "frames": row.frames,
            })
        };
        json!({
            "kind": "summary",
            "seconds": (time.as_secs_f64() * 1000.0).round() / 1000.0,
            "events": self.events,
            "lost": self.lost,
            "fates": self.rows.iter().map(row).collect::<Vec<_>>(),
            "others": self.others.map(|Others { events, frames }| json!({ "events": events, "frames": frames })),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{culprit, event, place};
    use super::*;
    use framebus::Fate;

    #[test]
    fn a_table_counts_by_fate_who_and_culprit() {
        let mut summary = Summary::default();
        let told = |fate: Fate, by: Option<&str>, culprits: &[u32]| {
            let mut event = event(0, 9, fate, by);
            event.culprits = culprits.iter().map(|&pid| culprit(1, pid, "hoarder")).collect();
            Told { stream: place("robot/front"), at_ns: 0, what: What::Event(event) }
        };
        let held = || Fate::Held { culprits: vec![1], held_ns: 5, waited: Duration::ZERO };
        summary.count(&told(held(), None, &[77]));
        summary.count(&told(held(), None, &[77]));
        summary.count(&told(held(), None, &[78]));
        summary.count(&told(Fate::Skipped { frames: 4 }, Some("slow"), &[]));
        summary.count(&told(Fate::Left, Some("slow"), &[]));
        summary.count(&Told { what: What::Lost(3), ..told(held(), None, &[]) });
        let mut out = Vec::new();
        summary.write(&mut out, Duration::from_millis(2500), false).unwrap();
        let expected = "
5 events in 2.5 s, and 3 that were lost
FATE     WHO           BECAUSE OF        EVENTS  FRAMES
held     publisher     hoarder (pid 77)       2       2
held     publisher     hoarder (pid 78)       1       1
left     slow (pid 1)  –                      1       –
skipped  slow (pid 1)  –                      1       4
";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        let object = summary.object(Duration::from_millis(2500));
        assert_eq!((&object["events"], &object["lost"]), (&json!(5), &json!(3)));
        assert_eq!(object["fates"][0]["culprits"][0]["pid"], 77);
        assert!(object["others"].is_null());
    }

    #[test]
    fn those_that_come_and_go_for_weeks_are_folded_and_who_does_most_stays() {
        let mut summary = Summary::default();
        let skipped = |pid: u32| {
            let mut event = event(0, 9, Fate::Skipped { frames: 2 }, None);
            event.by = Some(culprit(0, pid, "viewer"));
            Told { stream: place("robot/front"), at_ns: 0, what: What::Event(event) }
        };
        let most = MOST_ROWS as u32;
        (0..3).for_each(|_| summary.count(&skipped(7)));
        (1000..1000 + 2 * most).for_each(|pid| summary.count(&skipped(pid)));
        let object = summary.object(Duration::ZERO);
        let rows = object["fates"].as_array().unwrap();
        assert_eq!((rows.len(), &object["events"]), (MOST_ROWS, &json!(2 * most + 3)));
        assert_eq!(object["others"], json!({ "events": most + 1, "frames": 2 * (most + 1) }));
        let events = |pid: u32| rows.iter().find(|row| row["by"]["pid"] == pid).map(|row| row["events"].clone());
        assert_eq!((events(7), events(1000), events(999 + 2 * most)), (Some(json!(3)), None, Some(json!(1))));
        for several in [true, false] {
            let mut out = Vec::new();
            summary.write(&mut out, Duration::ZERO, several).unwrap();
            let text = String::from_utf8(out).unwrap();
            let last: Vec<_> = text.lines().last().unwrap().split_whitespace().collect();
            let figures = [(most + 1).to_string(), (2 * (most + 1)).to_string()];
            assert_eq!((last[0], &last[last.len() - 2..]), ("others", &figures.each_ref().map(String::as_str)[..]));
        }
    }
}
