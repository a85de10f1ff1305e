//! The table: streams, their subscribers below them, and as many columns as the terminal is wide.

use framebus::PublisherState;
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row as TableRow, Table};

use super::cells::{self, Column};
use super::format::cut;
use super::paint::{Paint, sign};
use super::probe::Reading;
use super::rows::{Fold, Row, What};
use super::trouble::{self, Severity};
use super::ui::{Probed, Ui};
use super::watch::{Watched, WatchedSubscriber};

/// The columns of a terminal so wide. The words of trouble come as soon as there is room: they say it all. Latencies were asked
/// for, so others give way to them.
fn columns(width: u16, latency: bool) -> Vec<Column> {
    use Column::*;
    let latency = latency && width >= 40;
    let width = if latency { width - 16 } else { width };
    let since = |least: u16, column: Column| (width >= least).then_some(column);
    let all = [
        Some(Name),
        since(60, Pid),
        Some(Hz),
        since(140, Nominal),
        Some(Age),
        latency.then_some(LatencyP50),
        latency.then_some(LatencyP99),
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

fn alignment(column: Column) -> Alignment {
    match column {
        Column::Name | Column::Backend | Column::Trouble => Alignment::Left,
        _ => Alignment::Right,
    }
}

fn width(column: Column, name: u16) -> Constraint {
    match column {
        Column::Name => Constraint::Length(name),
        Column::Trouble => Constraint::Fill(1),
        Column::Backend => Constraint::Length(10),
        Column::Memory => Constraint::Length(8),
        Column::Pid | Column::Age | Column::LatencyP50 | Column::LatencyP99 => Constraint::Length(7),
        _ => Constraint::Length(6),
    }
}

/// Widths of all columns but the name and the trouble, with the spaces before them.
fn others(columns: &[Column]) -> u16 {
    let width = |column: &Column| match width(*column, 0) {
        Constraint::Length(width) if *column != Column::Name => width + 1,
        _ => 0,
    };
    columns.iter().map(width).sum()
}

/// Draws the table, and moves its first row so that the cursor is seen.
pub fn draw(frame: &mut Frame, area: Rect, rows: &[Row], ui: &mut Ui, paint: Paint) {
    let columns = columns(area.width, ui.probed == Probed::Shown);
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
    let head = columns.iter().map(|column| Cell::new(Line::from(column.head()).alignment(alignment(*column))));
    let body = rows.iter().enumerate().skip(ui.first).take(page).map(|(index, row)| {
        let paint = Paint { selected: index == ui.index, ..paint };
        let cells = columns.iter().map(|&column| match column {
            Column::Name => Cell::new(name_line(row, usize::from(name_width), paint)),
            Column::Trouble => Cell::new(trouble_line(row, trouble_width, paint)),
            column => Cell::new(Line::from(cell(column, row, paint)).alignment(alignment(column))),
        });
        let style = if index == ui.index { paint.reversed() } else { Style::new() };
        TableRow::new(cells).style(style)
    });
    let widths = columns.iter().map(|&column| width(column, name_width));
    let table = Table::new(body, widths).header(TableRow::new(head).style(paint.bold())).column_spacing(1);
    frame.render_widget(table, area);
}

/// What is shown where there is no row.
pub fn draw_empty(frame: &mut Frame, area: Rect, prefix: &str, ui: &Ui, paint: Paint) {
    let (what, mut remedy) = framebus_program::no_streams(prefix);
    if prefix.is_empty() {
        remedy.push_str("; they appear here by themselves");
    }
    let (what, remedy) = match ui.filter.as_str() {
        "" => (what, remedy),
        filter => (format!("nothing has \"{filter}\" in its name"), "Esc shows all again".to_owned()),
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
            format!("    {branch} {}", cells::name(subscriber))
        }
    }
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
        What::Stream { .. } => stream_cell(column, row.stream, paint),
        What::Subscriber { subscriber, .. } => subscriber_cell(column, row.stream, subscriber, paint),
    }
}

fn stream_cell(column: Column, stream: &Watched, paint: Paint) -> Span<'static> {
    let (now, rates) = (&stream.now, &stream.rates);
    let text = cut(&cells::of_stream(column, stream), 10);
    let alive = now.publisher == PublisherState::Alive;
    let style = match column {
        _ if stream.vanished_ns.is_some() => paint.quiet(),
        Column::Pid => match now.publisher {
            PublisherState::Alive if now.publisher_pid.is_some() => Style::new(),
            PublisherState::Alive => paint.quiet(),
            PublisherState::Closed => paint.severity(Severity::Attention),
            _ => paint.severity(Severity::Bad),
        },
        Column::Hz if alive && is_some(rates.published_hz) => paint.severity(trouble::rate_severity(stream)),
        Column::Hz => number(rates.published_hz, paint),
        Column::Age if now.age_ns.is_none() => paint.quiet(),
        Column::Age if alive && trouble::age_severity(stream) > Severity::Good => {
            paint.severity(trouble::age_severity(stream))
        }
        Column::LatencyP50 | Column::LatencyP99 => match &stream.probe {
            Some(Reading { latency: None, fault: Some(fault) }) if fault.is_full => paint.severity(Severity::Attention),
            Some(Reading { latency: Some(_), .. }) => Style::new(),
            _ => paint.quiet(),
        },
        Column::Drops if is_some(rates.refused_hz) => paint.severity(Severity::Bad),
        Column::Drops => number(rates.refused_hz, paint),
        Column::Late => number(rates.late_hz, paint),
        Column::Nominal | Column::Backend => paint.quiet(),
        _ => Style::new(),
    };
    Span::styled(text, style)
}

/// A subscriber's cell, here and where one stream is shown.
pub fn subscriber_cell(
    column: Column,
    stream: &Watched,
    subscriber: &WatchedSubscriber,
    paint: Paint,
) -> Span<'static> {
    let (now, rates) = (&subscriber.now, &subscriber.rates);
    let style = match column {
        Column::Hz => number(rates.seen_hz, paint),
        Column::Age if now.last_sequence == 0 || now.last_sequence >= stream.now.last_sequence => paint.quiet(),
        Column::Skipped => number(rates.skipped_hz, paint),
        Column::Missed if is_some(rates.missed_hz) => paint.severity(Severity::Attention),
        Column::Missed => number(rates.missed_hz, paint),
        Column::Drops if is_some(rates.blamed_hz) => paint.severity(Severity::Bad),
        Column::Drops => number(rates.blamed_hz, paint),
        Column::Held if trouble::holds_all(stream, subscriber) => paint.severity(Severity::Attention),
        _ => Style::new(),
    };
    Span::styled(cells::of_subscriber(column, stream, subscriber), style)
}

fn is_some(hz: Option<f64>) -> bool {
    hz > Some(0.0)
}

/// A rate; one of 0 is there, but quiet.
fn number(hz: Option<f64>, paint: Paint) -> Style {
    if is_some(hz) { Style::new() } else { paint.quiet() }
}
