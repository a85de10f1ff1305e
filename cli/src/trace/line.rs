//! An event, or many of one kind, as a line.

use std::fmt::Display;
use std::io::{self, Write};

use framebus::Fate;
use framebus_program::duration;
use ratatui::crossterm::terminal;

use super::clock::Clock;
use super::event::{Event, Who};
use super::join::Many;
use super::streams::{Place, Told};

/// How much it matters, which is what its colour says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Somebody came or went.
    Light,
    /// As it may be for a viewer that is slower than the camera.
    Plain,
    /// Frames are lost for good, or somebody does not get what was agreed.
    Heavy,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub at_ns: u64,
    pub stream: String,
    /// The first and the last sequence.
    pub frames: Option<(u64, u64)>,
    pub who: String,
    pub what: String,
    /// Who is to blame.
    pub culprits: Vec<String>,
    pub weight: Weight,
}

/// A subscriber, or who tells all else.
pub fn who(by: Option<&Who>) -> String {
    by.map_or_else(|| "publisher".to_owned(), Who::title)
}

fn weight(fate: &Fate) -> Weight {
    match fate {
        Fate::Began { .. } | Fate::Attached | Fate::Left | Fate::Closed => Weight::Light,
        Fate::Skipped { .. } | Fate::Late { .. } | Fate::Abandoned | Fate::AllHeld => Weight::Plain,
        _ => Weight::Heavy,
    }
}

impl Line {
    pub fn of(stream: &Place, event: &Event) -> Self {
        let sequence = event.sequence;
        Self {
            at_ns: event.at_ns,
            stream: stream.name.to_string(),
            frames: (sequence > 0).then_some((sequence, sequence)),
            who: who(event.by.as_ref()),
            what: event.fate.to_string(),
            culprits: event.culprits.iter().map(Who::title).collect(),
            weight: weight(&event.fate),
        }
    }

    pub fn of_many(stream: &Place, many: &Many) -> Self {
        let line = Self::of(stream, &many.last);
        if many.times == 1 {
            return line;
        }
        let frames = line.frames.map(|(_, last)| (many.first_sequence.min(last), last));
        Self { frames, what: of_many(many), ..line }
    }

    /// Events were overwritten before we read them.
    pub fn lost(told: &Told, events: u64) -> Self {
        Self {
            at_ns: told.at_ns,
            stream: told.stream.name.to_string(),
            frames: None,
            who: "trace".to_owned(),
            what: format!("{events} events came too quickly and are lost; the counts of framebus ls have all"),
            culprits: Vec::new(),
            weight: Weight::Heavy,
        }
    }
}

fn of_many(many: &Many) -> String {
    let (times, facts) = (many.times, &many.facts);
    let time = |ns: Option<u64>| duration(ns.unwrap_or(0));
    let number = |count: Option<u64>| count.unwrap_or(0);
    let after = match facts.waited_ns {
        Some(1..) => format!(" after {} in all", time(facts.waited_ns)),
        _ => String::new(),
    };
    match many.last.fate {
        Fate::Held { .. } => {
            format!("refused {times} frames{after}: no slot was free, one was held for {}", time(facts.held_ns))
        }
        Fate::Unread { .. } => {
            format!("refused {times} frames{after}: a lossless reader was {} behind", number(facts.behind))
        }
        Fate::Late { .. } => {
            let deadlines = number(facts.frames);
            let left_out = if deadlines > times { format!(", {deadlines} deadlines") } else { String::new() };
            format!("late {times} times by up to {}{left_out}", time(facts.late_ns))
        }
        Fate::Abandoned => format!("abandoned {times} frames: begun and not published"),
        Fate::Skipped { .. } => {
            format!("skipped {} frames in {times} times: newer ones were taken", number(facts.frames))
        }
        Fate::Missed { .. } => {
            format!("missed {} frames in {times} times: gone before asked for", number(facts.frames))
        }
        Fate::AllHeld => format!("not taken {times} times: it holds all the frames that it may"),
        Fate::TooOld { .. } => {
            let (age, limit) = (time(facts.age_ns), time(facts.limit_ns));
            format!("violated {times} times: up to {age} old when taken, allowed {limit}")
        }
        Fate::Stale { .. } => {
            let (age, limit) = (time(facts.age_ns), time(facts.limit_ns));
            format!("violated {times} times: the newest frame was up to {age} old, allowed {limit}")
        }
        ref other => format!("{times} times: {other}"),
    }
}

/// Columns that are as wide as what was in them so far, so that lines stand below each other.
pub struct Columns {
    clock: Clock,
    pub several: bool,
    /// Standard output is one: colours, and lines that are broken between words.
    terminal: bool,
    colours: bool,
    stream: usize,
    frames: usize,
    who: usize,
}

/// Wider ones push the rest aside.
const MOST: usize = 28;

impl Columns {
    pub fn new(clock: Clock, several: bool, terminal: bool) -> Self {
        let colours = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { clock, several, terminal, colours, stream: 0, frames: 10, who: 9 }
    }

    pub fn write(&mut self, out: &mut impl Write, line: &Line) -> io::Result<()> {
        let width = self.terminal.then(|| terminal::size().ok()).flatten().map(|(columns, _)| usize::from(columns));
        writeln!(out, "{}", self.text(line, width))
    }

    /// A line for a terminal so wide.
    fn text(&mut self, line: &Line, width: Option<usize>) -> String {
        let frames = match line.frames {
            None => String::new(),
            Some((first, last)) if first == last => format!("frame {last}"),
            Some((first, last)) => format!("{first}…{last}"),
        };
        fn pad(column: &mut usize, text: impl Display) -> String {
            let text = text.to_string();
            *column = (*column).max(text.chars().count()).min(MOST);
            let width = *column;
            format!("{text:<width$}  ")
        }
        let time = self.clock.text(line.at_ns);
        let indent = time.chars().count() + 2;
        let mut head = String::new();
        if self.several {
            head += &pad(&mut self.stream, &line.stream);
        }
        head += &pad(&mut self.frames, frames);
        head += &pad(&mut self.who, &line.who);
        let mut what = line.what.clone();
        if !line.culprits.is_empty() {
            what += &format!("  by {}", line.culprits.join(", "));
        }
        let (quiet, style, end) = match (self.colours, line.weight) {
            (false, _) => ("", "", ""),
            (true, Weight::Light) => ("\u{1b}[2m", "\u{1b}[2m", "\u{1b}[0m"),
            (true, Weight::Plain) => ("\u{1b}[2m", "", "\u{1b}[0m"),
            (true, Weight::Heavy) => ("\u{1b}[2m", "\u{1b}[1;31m", "\u{1b}[0m"),
        };
        // On a narrow terminal the words go on below the columns rather than below the time.
        let at = indent + head.chars().count();
        let (head, what) = match width {
            Some(width) if at + what.chars().count() > width => {
                let room = width.saturating_sub(indent);
                let first = if width.saturating_sub(at) >= 24 { width - at } else { 0 };
                let gap = format!("\n{}", " ".repeat(indent));
                let head = if first == 0 { format!("{}{gap}", head.trim_end()) } else { head };
                (head, broken(&what, if first == 0 { room } else { first }, room).join(&gap))
            }
            _ => (head, what),
        };
        format!("{quiet}{time}{end}  {head}{style}{what}{end}")
    }
}

/// Words in lines of at most so many characters; a word that is longer has a line to itself.
fn broken(text: &str, first: usize, others: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let room = if lines.len() == 1 { first } else { others };
        let line = lines.last_mut().expect("there is one from the beginning");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= room {
            *line += &format!(" {word}");
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::testing::{culprit, event, place};
    use super::*;
    use std::time::Duration;

    fn refused() -> Line {
        let fate = Fate::Held { culprits: vec![2], held_ns: 340_000_000, waited: Duration::ZERO };
        let mut refused = event(0, 4711, fate, None);
        refused.culprits.push(culprit(2, 77, "recorder"));
        Line::of(&place("robot/front"), &refused)
    }

    fn columns(several: bool) -> Columns {
        Columns::new(Clock::Monotonic, several, false)
    }

    #[test]
    fn a_line_says_when_what_and_because_of_whom() {
        let expected =
            "0  frame 4711  publisher  refused: no slot was free, one was held for 340ms  by recorder (pid 77)";
        assert_eq!(columns(false).text(&refused(), None), expected);
        assert!(columns(true).text(&refused(), None).starts_with("0  robot/front  frame 4711  publisher  refused"));
    }

    #[test]
    fn columns_grow_with_what_stands_in_them() {
        let mut columns = columns(false);
        let attached = Line::of(&place("robot/front"), &event(0, 0, Fate::Attached, Some("a-longer-name")));
        assert_eq!(columns.text(&attached, None), "0              a-longer-name (pid 1)  attached");
        let line = columns.text(&refused(), None);
        assert!(line.starts_with("0  frame 4711  publisher              refused"), "{line}");
    }

    #[test]
    fn a_narrow_terminal_has_the_words_below_the_columns() {
        let line = columns(false).text(&refused(), Some(60));
        let expected =
            "0  frame 4711  publisher  refused: no slot was free, one was\n   held for 340ms by recorder (pid 77)";
        assert_eq!(line, expected);
        let line = columns(false).text(&refused(), Some(40));
        let expected =
            "0  frame 4711  publisher\n   refused: no slot was free, one was\n   held for 340ms by recorder (pid 77)";
        assert_eq!(line, expected);
        assert!(columns(false).text(&refused(), Some(0)).contains("340ms"), "and no terminal is too narrow");
    }

    #[test]
    fn a_label_does_not_move_the_cursor() {
        let line = Line::of(&place("robot/front"), &event(0, 0, Fate::Left, Some("evil\u{1b}[2J\n")));
        assert_eq!(line.who, "evil\u{fffd}[2J\u{fffd} (pid 1)");
    }
}
