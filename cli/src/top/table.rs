//! The table: streams, their subscribers below them, and as many columns as the terminal is wide.

use framebus::PublisherState;
use framebus_program::duration;
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row as TableRow, Table};

use super::format::{cut, memory, rate};
use super::paint::{Paint, sign};
use super::probe;
use super::rows::{Fold, Row, What};
use super::trouble::{self, Severity};
use super::ui::Ui;

/// A column: what it tells of a stream, and what of a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    /// How well it is, its name or label.
    Name,
    /// Process.
    Pid,
    /// Frames published, or seen, a second.
    Hz,
    /// The nominal rate.
    Nominal,
    /// Of the newest frame; of a subscriber, how many frames it is behind.
    Age,
    Skipped,
    Missed,
    /// Frames refused, or refused because of it.
    Drops,
    Late,
    /// Frames held: of the slots, or of what one may hold.
    Held,
    Memory,
    Backend,
    Trouble,
}

/// The columns of a terminal so wide. The words of trouble come as soon as there is room: they say it all.
fn columns(width: u16) -> Vec<Column> {
    use Column::*;
    let since = |least: u16, column: Column| (width >= least).then_some(column);
    let all = [
        Some(Name),
        since(60, Pid),
        Some(Hz),
        since(140, Nominal),
        Some(Age),
        since(70, Skipped),
        since(130, Missed),
        Some(Drops),
        since(150, Late),
        since(50, Held),
        since(78, Memory),
        since(165, Backend),
        since(110, Trouble),
    ];
    all.into_iter().flatten().collect()
}

impl Column {
    fn head(self) -> &'static str {
        match self {
            Column::Name => "  STREAM / subscriber",
            Column::Pid => "PID",
            Column::Hz => "HZ",
            Column::Nominal => "OF",
            Column::Age => "AGE",
            Column::Skipped => "SKIP/s",
            Column::Missed => "MISS/s",
            Column::Drops => "DROP/s",
            Column::Late => "LATE/s",
            Column::Held => "HELD",
            Column::Memory => "MEMORY",
            Column::Backend => "BACKEND",
            Column::Trouble => "TROUBLE",
        }
    }

    fn alignment(self) -> Alignment {
        match self {
            Column::Name | Column::Backend | Column::Trouble => Alignment::Left,
            _ => Alignment::Right,
        }
    }

    fn width(self, name: u16) -> Constraint {
        match self {
            Column::Name => Constraint::Length(name),
            Column::Trouble => Constraint::Fill(1),
            Column::Backend => Constraint::Length(10),
            Column::Memory => Constraint::Length(8),
            Column::Pid | Column::Age => Constraint::Length(7),
            Column::Nominal | Column::Hz => Constraint::Length(6),
            _ => Constraint::Length(6),
        }
    }
}

/// Widths of all columns but the name and the trouble, with the spaces before them.
fn others(columns: &[Column]) -> u16 {
    let width = |column: &Column| match column.width(0) {
        Constraint::Length(width) if *column != Column::Name => width + 1,
        _ => 0,
    };
    columns.iter().map(width).sum()
}

/// Draws the table, and moves its first row so that the cursor is seen.
pub fn draw(frame: &mut Frame, area: Rect, rows: &[Row], ui: &mut Ui, paint: Paint) {
    let columns = columns(area.width);
    let page = usize::from(area.height.saturating_sub(1));
    ui.page = page.max(1);
    ui.first = ui.first.clamp((ui.index + 1).saturating_sub(ui.page), ui.index).min(rows.len().saturating_sub(1));
    if rows.len() <= ui.page {
        ui.first = 0;
    }
    let room = area.width.saturating_sub(others(&columns));
    let longest = rows.iter().map(|row| name(row).chars().count() + 1).max().unwrap_or(0) as u16;
    let name_width = match columns.contains(&Column::Trouble) {
        // The words need 24 at least.
        true => longest.clamp(24, room.saturating_sub(25).max(24)),
        false => room,
    };
    let trouble_width = usize::from(room.saturating_sub(name_width + 1));
    let head = columns.iter().map(|column| Cell::new(Line::from(column.head()).alignment(column.alignment())));
    let body = rows.iter().enumerate().skip(ui.first).take(page).map(|(index, row)| {
        let paint = Paint { selected: index == ui.index, ..paint };
        let cells = columns.iter().map(|&column| match column {
            Column::Name => Cell::new(name_line(row, usize::from(name_width), paint)),
            Column::Trouble => Cell::new(trouble_line(row, trouble_width, paint)),
            column => Cell::new(Line::from(cell(column, row, paint)).alignment(column.alignment())),
        });
        let style = if index == ui.index { paint.reversed() } else { Style::new() };
        TableRow::new(cells).style(style)
    });
    let widths = columns.iter().map(|column| column.width(name_width));
    let table = Table::new(body, widths).header(TableRow::new(head).style(paint.bold())).column_spacing(1);
    frame.render_widget(table, area);
}

/// What is shown where there is no row.
pub fn draw_empty(frame: &mut Frame, area: Rect, prefix: &str, ui: &Ui, paint: Paint) {
    let (what, remedy) = match (ui.filter.is_empty(), prefix) {
        (false, _) => (format!("nothing has \"{}\" in its name", ui.filter), "Esc shows all again"),
        (true, "") => ("no streams".to_owned(), "framebus demo makes some; they appear here by themselves"),
        (true, prefix) => (format!("no streams whose name begins with {prefix}"), "framebus ls shows all"),
    };
    let top = area.height.saturating_sub(2) / 2;
    let area = Rect { y: area.y + top, height: (area.height - top).min(2), ..area };
    let lines = vec![Line::styled(what, paint.bold()), Line::styled(remedy, paint.quiet())];
    frame.render_widget(Paragraph::new(lines).alignment(Alignment::Center), area);
}

fn name(row: &Row) -> String {
    match &row.what {
        What::Stream { fold } => {
            let fold = match fold {
                Fold::Nothing => ' ',
                Fold::Open => '▾',
                Fold::Closed => '▸',
            };
            format!("  {fold} {}", row.stream.now.key.name)
        }
        What::Subscriber { subscriber, is_last } => {
            let branch = if *is_last { '└' } else { '├' };
            let ours = is_ours(subscriber.now.holder.pid, &subscriber.now.holder.label);
            format!("    {branch} {}{}", subscriber.now.holder.name(), if ours { " (our probe)" } else { "" })
        }
    }
}

/// Whether a subscriber is this program's own probe.
pub fn is_ours(pid: Option<u32>, label: &str) -> bool {
    pid == Some(std::process::id()) && label == probe::LABEL
}

fn name_line(row: &Row, width: usize, paint: Paint) -> Line<'static> {
    let text = cut(&name(row), width);
    let rest: String = text.chars().skip(1).collect();
    let severity = row.severity();
    match row.what {
        What::Stream { .. } => {
            let sign = Span::styled(sign(severity), paint.severity(severity));
            Line::from(vec![sign, Span::styled(rest, paint.bold())])
        }
        What::Subscriber { .. } => {
            // Below their stream, only those that need it have a sign.
            let sign = match severity {
                Severity::Good => Span::raw(" "),
                severity => Span::styled(sign(severity), paint.severity(severity)),
            };
            let rest: String = rest.chars().skip(2).collect();
            Line::from(vec![Span::raw("  "), sign, Span::raw(rest)])
        }
    }
}

fn trouble_line(row: &Row, width: usize, paint: Paint) -> Line<'static> {
    let texts: Vec<_> = row.troubles.iter().map(|trouble| trouble.text.as_str()).collect();
    Line::styled(cut(&texts.join("; "), width), paint.sentence(row.severity()))
}

fn cell(column: Column, row: &Row, paint: Paint) -> Span<'static> {
    match &row.what {
        What::Stream { .. } => stream_cell(column, row, paint),
        What::Subscriber { .. } => subscriber_cell(column, row, paint),
    }
}

fn stream_cell(column: Column, row: &Row, paint: Paint) -> Span<'static> {
    let stream = row.stream;
    let (now, rates) = (&stream.now, &stream.rates);
    if stream.vanished_ns.is_some() {
        let text = if column == Column::Pid { "–" } else { "" };
        return Span::styled(text, paint.quiet());
    }
    let alive = now.publisher == PublisherState::Alive;
    match column {
        Column::Pid => match (now.publisher, now.publisher_pid) {
            (PublisherState::Alive, Some(pid)) => Span::raw(pid.to_string()),
            (PublisherState::Alive, None) => Span::styled("?", paint.quiet()),
            (PublisherState::Closed, _) => Span::styled("closed", paint.severity(Severity::Attention)),
            _ => Span::styled("gone", paint.severity(Severity::Bad)),
        },
        Column::Hz => match rates.published_hz {
            Some(hz) if alive && hz > 0.0 => Span::styled(rate(hz), paint.severity(trouble::rate_severity(stream))),
            hz => number(hz, paint),
        },
        Column::Nominal => Span::styled(now.nominal_hz.map_or_else(String::new, rate), paint.quiet()),
        Column::Age => match now.age_ns {
            Some(age_ns) if alive => {
                let severity = trouble::age_severity(stream);
                let style = if severity > Severity::Good { paint.severity(severity) } else { Style::new() };
                Span::styled(duration(age_ns), style)
            }
            Some(age_ns) => Span::raw(duration(age_ns)),
            None => Span::styled("–", paint.quiet()),
        },
        Column::Drops => alarming(rates.refused_hz, paint),
        Column::Late => number(rates.late_hz, paint),
        Column::Held => Span::raw(format!("{}/{}", now.held(), now.slots)),
        Column::Memory => Span::raw(memory(now.resident_bytes)),
        Column::Backend => Span::styled(cut(&now.key.backend, 10), paint.quiet()),
        Column::Skipped | Column::Missed | Column::Name | Column::Trouble => Span::raw(""),
    }
}

fn subscriber_cell(column: Column, row: &Row, paint: Paint) -> Span<'static> {
    let What::Subscriber { subscriber, .. } = &row.what else { return Span::raw("") };
    let (now, rates) = (&subscriber.now, &subscriber.rates);
    match column {
        Column::Pid => Span::raw(now.holder.pid.map_or("?".to_owned(), |pid| pid.to_string())),
        Column::Hz => number(rates.seen_hz, paint),
        Column::Age => behind(row.stream.now.last_sequence, now.last_sequence, paint),
        Column::Skipped => number(rates.skipped_hz, paint),
        Column::Missed => match rates.missed_hz.filter(|&hz| hz > 0.0) {
            Some(hz) => Span::styled(rate(hz), paint.severity(Severity::Attention)),
            None => number(rates.missed_hz, paint),
        },
        Column::Drops => alarming(rates.blamed_hz, paint),
        Column::Held => {
            let text = format!("{}/{}", now.held, row.stream.now.max_held);
            let all = trouble::holds_all(row.stream, subscriber);
            Span::styled(text, if all { paint.severity(Severity::Attention) } else { Style::new() })
        }
        _ => Span::raw(""),
    }
}

/// A rate; one of 0 is there, but quiet.
pub fn number(hz: Option<f64>, paint: Paint) -> Span<'static> {
    match hz {
        Some(hz) if hz > 0.0 => Span::raw(rate(hz)),
        Some(_) => Span::styled("0", paint.quiet()),
        None => Span::styled("–", paint.quiet()),
    }
}

/// A rate that should be 0.
pub fn alarming(hz: Option<f64>, paint: Paint) -> Span<'static> {
    match hz {
        Some(hz) if hz > 0.0 => Span::styled(rate(hz), paint.severity(Severity::Bad)),
        hz => number(hz, paint),
    }
}

/// How many frames are newer than the newest one taken.
pub fn behind(newest: u64, taken: u64, paint: Paint) -> Span<'static> {
    match newest.saturating_sub(taken) {
        0 => Span::styled("–", paint.quiet()),
        _ if taken == 0 => Span::styled("none", paint.quiet()),
        frames if frames < 10_000 => Span::raw(format!("-{frames} fr")),
        frames => Span::raw(format!("-{}k fr", frames / 1_000)),
    }
}
