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

#[derive(Default)]
pub struct Summary {
    rows: BTreeMap<Key, Count>,
    events: u64,
    lost: u64,
}

/// In the order of the table.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    stream: String,
    backend: String,
    fate: &'static str,
    who: String,
    culprits: Vec<String>,
}

struct Count {
    events: u64,
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
        let row = self.rows.entry(key).or_insert_with(|| Count {
            events: 0,
            frames: None,
            by: json!(event.by.as_ref().map(holder)),
            culprits: event.culprits.iter().map(holder).collect(),
        });
        row.events += 1;
        if let Some(frames) = Facts::of(&event.fate).frames {
            row.frames = Some(row.frames.unwrap_or(0).saturating_add(frames));
        }
    }

    /// As a table.
    pub fn write(&self, out: &mut impl Write, time: Duration, several: bool) -> io::Result<()> {
        let mut table = vec![["STREAM", "FATE", "WHO", "BECAUSE OF", "EVENTS", "FRAMES"].map(str::to_owned)];
        table.extend(self.rows.iter().map(|(key, row)| {
            let frames = row.frames.map_or_else(|| "–".to_owned(), |frames| frames.to_string());
            let culprits = if key.culprits.is_empty() { "–".to_owned() } else { key.culprits.join(", ") };
            [key.stream.clone(), key.fate.to_owned(), key.who.clone(), culprits, row.events.to_string(), frames]
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
    }
}
