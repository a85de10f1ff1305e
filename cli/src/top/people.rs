//! The subscribers of one stream, with all that is known of them.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Row as TableRow, Table};

use super::cells::{self, Column};
use super::detail::Detail;
use super::paint::{Paint, sign};
use super::table::subscriber_cell;
use super::trouble::{self, Severity};
use super::watch::{Watched, WatchedSubscriber};

/// Columns of the table of subscribers: head, width, and from which width of the terminal on.
const COLUMNS: [(&str, u16, u16); 16] = [
    ("SUBSCRIBER", 18, 0),
    ("PID", 7, 60),
    ("SEEN/s", 6, 0),
    ("AGE", 7, 66),
    ("LAT p50", 7, 96),
    ("LAT p99", 7, 78),
    ("AGE p99", 7, 106),
    ("HOLD p99", 8, 116),
    ("SKIP/s", 6, 0),
    ("MISS/s", 6, 72),
    ("DROP/s", 6, 0),
    ("HELD", 5, 50),
    ("SEEN", 9, 128),
    ("SKIPPED", 8, 138),
    ("MISSED", 7, 146),
    ("DROPPED", 8, 88),
];

/// Draws their table.
pub fn draw(frame: &mut Frame, area: Rect, detail: &Detail, paint: Paint) {
    let subscribers = &detail.stream.subscribers;
    if subscribers.is_empty() {
        frame.render_widget(Line::styled(" nobody reads it", paint.quiet()), area);
        return;
    }
    let shown: Vec<usize> = (0..COLUMNS.len()).filter(|&index| area.width >= COLUMNS[index].2).collect();
    let right = |index: usize, text: Span<'static>| {
        let alignment = if index == 0 { Alignment::Left } else { Alignment::Right };
        Cell::new(Line::from(text).alignment(alignment))
    };
    let words = area.width >= 180;
    let mut head: Vec<_> = shown
        .iter()
        .map(|&index| right(index, Span::raw(format!("{}{}", if index == 0 { "  " } else { "" }, COLUMNS[index].0))))
        .collect();
    let mut widths: Vec<_> = shown.iter().map(|&index| Constraint::Length(COLUMNS[index].1)).collect();
    // The name takes the room that is left, or the words do.
    widths[0] = if words { Constraint::Length(26) } else { Constraint::Fill(1) };
    if words {
        head.push(Cell::new("TROUBLE"));
        widths.push(Constraint::Fill(1));
    }
    let page = usize::from(area.height.saturating_sub(1));
    let first = detail.first.min(subscribers.len().saturating_sub(page));
    let body = subscribers.iter().skip(first).take(page).map(|subscriber| {
        let troubles = trouble::of_subscriber(detail.stream, subscriber);
        let cells = cells(detail.stream, subscriber, trouble::severity(&troubles), paint);
        let mut row: Vec<_> = shown
            .iter()
            .map(|&index| match index {
                0 => Cell::new(cells[0].clone()),
                _ => Cell::new(cells[index].clone().alignment(Alignment::Right)),
            })
            .collect();
        if words {
            let texts: Vec<_> = troubles.iter().map(|trouble| trouble.text.as_str()).collect();
            row.push(Cell::new(Line::styled(texts.join("; "), paint.sentence(trouble::severity(&troubles)))));
        }
        TableRow::new(row)
    });
    let table = Table::new(body, widths).header(TableRow::new(head).style(paint.bold())).column_spacing(1);
    frame.render_widget(table, area);
}

/// A subscriber's cells, in the order of [`COLUMNS`].
fn cells(stream: &Watched, subscriber: &WatchedSubscriber, severity: Severity, paint: Paint) -> [Line<'static>; 16] {
    let now = &subscriber.now;
    let cell = |column| Line::from(subscriber_cell(column, stream, subscriber, paint));
    let dropped = Span::raw(now.blamed.to_string());
    [
        Line::from(vec![
            Span::styled(sign(severity), paint.severity(severity)),
            Span::raw(format!(" {}", cells::name(subscriber))),
        ]),
        cell(Column::Pid),
        cell(Column::Hz),
        cell(Column::Age),
        cell(Column::LatencyP50),
        cell(Column::LatencyP99),
        cell(Column::FrameAge),
        cell(Column::Hold),
        cell(Column::Skipped),
        cell(Column::Missed),
        cell(Column::Drops),
        cell(Column::Held),
        Line::raw(now.seen.to_string()),
        Line::raw(now.skipped.to_string()),
        Line::raw(now.missed.to_string()),
        Line::from(if now.blamed > 0 { dropped } else { dropped.style(paint.quiet()) }),
    ]
}
