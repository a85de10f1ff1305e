//! What the user has asked to see, and what each key does to it.

use std::collections::BTreeSet;
use std::time::Duration;

use framebus::PublisherState;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::look::StreamKey;
use super::rows::{self, RowKey};
use super::watch::{Watch, Watched};

/// What the streams are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Sort {
    #[default]
    Name,
    Rate,
    Age,
    Drops,
    Skipped,
    Memory,
    Trouble,
}

/// What is on the screen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Screen {
    #[default]
    Table,
    /// One stream, and the first of its subscribers that is shown.
    Detail { stream: StreamKey, first: usize },
}

/// On which streams subscribers of our own measure latencies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Probed {
    #[default]
    Nobody,
    /// The one that is shown alone.
    One(StreamKey),
    /// All that the table shows and somebody publishes.
    Shown,
}

/// What the user has asked for.
#[derive(Clone, Debug)]
pub struct Ui {
    pub screen: Screen,
    pub help: bool,
    pub sort: Sort,
    pub reverse: bool,
    /// Part of a stream's name or of a subscriber's label, in upper or lower case; empty: all.
    pub filter: String,
    /// The filter is being typed.
    pub typing: bool,
    pub folded: BTreeSet<StreamKey>,
    pub paused: bool,
    pub interval: Duration,
    /// The row under the cursor, and where it was at last.
    pub selected: Option<RowKey>,
    pub index: usize,
    /// First row on the screen, and how many fit: kept by the view.
    pub first: usize,
    pub page: usize,
    pub probed: Probed,
}

/// What the program is to do after a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Draw,
    Quit,
}

/// Intervals to choose from with + and -, in ms.
const INTERVALS_MS: [u64; 9] = [100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000];

impl Sort {
    fn next(self) -> Self {
        match self {
            Sort::Name => Sort::Rate,
            Sort::Rate => Sort::Age,
            Sort::Age => Sort::Drops,
            Sort::Drops => Sort::Skipped,
            Sort::Skipped => Sort::Memory,
            Sort::Memory => Sort::Trouble,
            Sort::Trouble => Sort::Name,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Sort::Name => "name",
            Sort::Rate => "rate",
            Sort::Age => "age",
            Sort::Drops => "drops",
            Sort::Skipped => "skipped",
            Sort::Memory => "memory",
            Sort::Trouble => "trouble",
        }
    }
}

impl Ui {
    pub fn new(interval: Duration, sort: Sort) -> Self {
        Self {
            screen: Screen::Table,
            help: false,
            sort,
            reverse: false,
            filter: String::new(),
            typing: false,
            folded: BTreeSet::new(),
            paused: false,
            interval,
            selected: None,
            index: 0,
            first: 0,
            page: 10,
            probed: Probed::Nobody,
        }
    }

    /// The streams that are to have a probe. One that nobody publishes could not be removed while we read it.
    pub fn wanted(&self, watch: &Watch) -> BTreeSet<StreamKey> {
        let is_alive =
            |stream: &&Watched| stream.vanished_ns.is_none() && stream.now.publisher == PublisherState::Alive;
        match &self.probed {
            Probed::Nobody => BTreeSet::new(),
            Probed::One(stream) => BTreeSet::from([stream.clone()]),
            Probed::Shown => {
                let streams = rows::streams(watch, self).into_iter().filter(is_alive);
                streams.map(|stream| stream.now.key.clone()).collect()
            }
        }
    }

    /// A probe takes a place: that of one stream does not outlast its view, nor follow to another one unasked.
    fn leave_stream(&mut self) {
        if let Probed::One(_) = self.probed {
            self.probed = Probed::Nobody;
        }
    }

    /// What a key does.
    pub fn key(&mut self, key: KeyEvent, watch: &Watch) -> Action {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return if key.code == KeyCode::Char('c') { Action::Quit } else { Action::Draw };
        }
        if self.typing {
            self.type_filter(key.code);
        } else if self.help {
            // Any key closes it.
            self.help = false;
        } else if key.code == KeyCode::Char('q') {
            return Action::Quit;
        } else if !self.common_key(key.code) {
            match self.screen.clone() {
                Screen::Table => self.table_key(key.code, watch),
                Screen::Detail { stream, first } => self.detail_key(key.code, stream, first, watch),
            }
        }
        self.settle(watch);
        Action::Draw
    }

    /// Puts the cursor on a row that is there, after a look or a key: on the same one, or where it was.
    pub fn settle(&mut self, watch: &Watch) {
        let keys: Vec<RowKey> = rows::rows(watch, self).iter().map(rows::Row::key).collect();
        let found = keys.iter().position(|key| Some(key) == self.selected.as_ref());
        self.index = found.unwrap_or(self.index.min(keys.len().saturating_sub(1)));
        self.selected = keys.get(self.index).cloned();
    }

    fn type_filter(&mut self, code: KeyCode) {
        match code {
            KeyCode::Enter | KeyCode::Down | KeyCode::Up => self.typing = false,
            KeyCode::Esc => {
                self.typing = false;
                self.filter.clear();
            }
            KeyCode::Backspace => {
                self.filter.pop();
            }
            KeyCode::Char(character) if self.filter.chars().count() < 64 => self.filter.push(character),
            _ => {}
        }
    }

    /// Keys that mean the same wherever one is; whether it was one.
    fn common_key(&mut self, code: KeyCode) -> bool {
        match code {
            KeyCode::Char('?' | 'h') | KeyCode::F(1) => self.help = true,
            KeyCode::Char('p') => self.paused = !self.paused,
            KeyCode::Char('+' | '=') => self.change_interval(true),
            KeyCode::Char('-') => self.change_interval(false),
            _ => return false,
        }
        true
    }

    fn change_interval(&mut self, longer: bool) {
        let now = self.interval.as_millis() as u64;
        let next = match longer {
            true => INTERVALS_MS.into_iter().find(|&ms| ms > now),
            false => INTERVALS_MS.into_iter().rev().find(|&ms| ms < now),
        };
        self.interval = next.map_or(self.interval, Duration::from_millis);
    }

    fn table_key(&mut self, code: KeyCode, watch: &Watch) {
        match code {
            KeyCode::Down | KeyCode::Char('j') => self.step(1, watch),
            KeyCode::Up | KeyCode::Char('k') => self.step(-1, watch),
            KeyCode::PageDown => self.step(self.page as isize, watch),
            KeyCode::PageUp => self.step(-(self.page as isize), watch),
            KeyCode::Home | KeyCode::Char('g') => self.step(isize::MIN, watch),
            KeyCode::End | KeyCode::Char('G') => self.step(isize::MAX, watch),
            KeyCode::Char(' ') => self.fold(None),
            KeyCode::Left => self.fold(Some(true)),
            KeyCode::Right => self.fold(Some(false)),
            KeyCode::Char('f') => match self.folded.is_empty() {
                true => self.folded = watch.streams.keys().cloned().collect(),
                false => self.folded.clear(),
            },
            KeyCode::Enter => {
                if let Some(RowKey { stream, .. }) = self.selected.clone() {
                    self.screen = Screen::Detail { stream, first: 0 };
                }
            }
            KeyCode::Char('s') | KeyCode::F(6) => self.sort = self.sort.next(),
            KeyCode::Char('l') => {
                self.probed = match self.probed {
                    Probed::Nobody => Probed::Shown,
                    _ => Probed::Nobody,
                }
            }
            KeyCode::Char('r') => self.reverse = !self.reverse,
            KeyCode::Char('/') => self.typing = true,
            KeyCode::Esc => self.filter.clear(),
            _ => {}
        }
    }

    fn step(&mut self, by: isize, watch: &Watch) {
        let rows = rows::rows(watch, self);
        let last = rows.len().saturating_sub(1);
        let to = self.index.saturating_add_signed(by).min(last);
        self.selected = rows.get(to).map(rows::Row::key);
        self.index = to;
    }

    /// Folds the stream under the cursor, or unfolds it; `None`: the other way round.
    fn fold(&mut self, fold: Option<bool>) {
        let Some(RowKey { stream, .. }) = self.selected.clone() else { return };
        if fold.unwrap_or(!self.folded.contains(&stream)) {
            self.folded.insert(stream.clone());
            // Its subscribers are no longer there to be selected.
            self.selected = Some(RowKey { stream, holder: None });
        } else {
            self.folded.remove(&stream);
        }
    }

    fn detail_key(&mut self, code: KeyCode, stream: StreamKey, first: usize, watch: &Watch) {
        let subscribers = watch.streams.get(&stream).map_or(0, |stream| stream.subscribers.len());
        match code {
            KeyCode::Esc | KeyCode::Enter | KeyCode::Backspace => {
                self.screen = Screen::Table;
                self.selected = Some(RowKey { stream, holder: None });
                self.leave_stream();
            }
            KeyCode::Char('l') => {
                self.probed = match self.probed {
                    Probed::Nobody => Probed::One(stream),
                    _ => Probed::Nobody,
                }
            }
            KeyCode::Down | KeyCode::Char('j') => {
                self.screen = Screen::Detail { stream, first: (first + 1).min(subscribers.saturating_sub(1)) };
            }
            KeyCode::Up | KeyCode::Char('k') => {
                self.screen = Screen::Detail { stream, first: first.saturating_sub(1) };
            }
            KeyCode::Right | KeyCode::Char('n') => self.neighbour(&stream, 1, watch),
            KeyCode::Left | KeyCode::Char('N') => self.neighbour(&stream, -1, watch),
            _ => {}
        }
    }

    /// Shows the stream that the table has before or after this one.
    fn neighbour(&mut self, stream: &StreamKey, by: isize, watch: &Watch) {
        let keys: Vec<_> = rows::streams(watch, self).into_iter().map(|stream| stream.now.key.clone()).collect();
        let here = keys.iter().position(|key| key == stream).unwrap_or(0);
        let to = here.saturating_add_signed(by).min(keys.len().saturating_sub(1));
        if let Some(stream) = keys.get(to).filter(|key| *key != stream) {
            self.screen = Screen::Detail { stream: stream.clone(), first: 0 };
            self.leave_stream();
        }
    }
}

#[cfg(test)]
#[path = "ui_tests.rs"]
mod tests;
