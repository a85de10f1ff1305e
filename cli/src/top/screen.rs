//! The whole screen: a bar on top, the table or one stream, what is wrong with the row under the cursor, and the keys.

use framebus_program::duration;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Padding, Paragraph};

use super::detail::{self, Detail};
use super::format::{cut, memory};
use super::paint::{Paint, sign};
use super::rows::{self, Row, What, rows};
use super::table;
use super::trouble::Severity;
use super::ui::{Probed, Screen, Ui};
use super::watch::Watch;

/// What there is to draw, besides the user's wishes.
pub struct View<'a> {
    pub watch: &'a Watch,
    /// What the names must begin with.
    pub prefix: &'a str,
    /// Why the newest look failed.
    pub fault: Option<&'a str>,
    pub paint: Paint,
}

/// Draws everything.
pub fn draw(frame: &mut Frame, view: &View, ui: &mut Ui) {
    let [head, body, line, keys] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(1), Constraint::Length(1), Constraint::Length(1)])
            .areas(frame.area());
    let rows = rows(view.watch, ui);
    draw_head(frame, head, view, ui);
    let shown = match &ui.screen {
        Screen::Detail { stream, first } => view.watch.streams.get(stream).map(|stream| (stream, *first)),
        Screen::Table => None,
    };
    let wrong = match (shown, &ui.screen) {
        (Some((stream, first)), _) => {
            let detail = Detail { stream, at_ns: view.watch.at_ns, first };
            detail::draw(frame, body, &detail, view.paint);
            None
        }
        (None, Screen::Detail { stream, .. }) => {
            let text = format!(" {} is no longer there; Esc goes back", stream.name);
            frame.render_widget(Line::styled(text, view.paint.bold()), body);
            None
        }
        (None, Screen::Table) if rows.is_empty() => {
            if view.fault.is_none() {
                table::draw_empty(frame, body, view.prefix, ui, view.paint);
            }
            None
        }
        (None, Screen::Table) => {
            table::draw(frame, body, &rows, ui, view.paint);
            // Where all is well under the cursor: the worst of all.
            rows.get(ui.index).filter(|row| !row.troubles.is_empty()).or_else(|| worst(&rows))
        }
    };
    draw_line(frame, line, view, ui, wrong);
    draw_keys(frame, keys, ui, view.paint);
    if ui.help {
        draw_help(frame, view.paint);
    }
}

/// The first of the rows that are worst off.
fn worst<'a, 'b>(rows: &'a [Row<'b>]) -> Option<&'a Row<'b>> {
    let worst = rows.iter().map(Row::severity).max()?;
    rows.iter().find(|row| row.severity() == worst)
}

/// Name, where one is, sums, and how many streams are well.
fn draw_head(frame: &mut Frame, area: Rect, view: &View, ui: &Ui) {
    let streams = &view.watch.streams;
    let living = || streams.values().filter(|stream| stream.vanished_ns.is_none());
    let subscribers: usize = living().map(|stream| stream.subscribers.len()).sum();
    let bytes: u64 = living().map(|stream| stream.now.resident_bytes).sum();
    let count = |severity: Severity| {
        streams.values().filter(|stream| rows::worst(stream, view.watch.at_ns) == severity).count()
    };
    let plural = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let mut left = match &ui.screen {
        Screen::Table => format!(
            " framebus top · {} · {} · {}",
            plural(living().count(), "stream"),
            plural(subscribers, "subscriber"),
            memory(bytes)
        ),
        Screen::Detail { stream, .. } => format!(" framebus top › {}", stream.name),
    };
    left.push_str(&format!(" · every {}", duration(ui.interval.as_nanos() as u64).replace(".0 ", " ")));
    let mut right = Vec::new();
    if ui.paused {
        right.push(Span::styled(" PAUSED ", view.paint.severity(Severity::Attention)));
        right.push(Span::raw(" "));
    }
    for severity in [Severity::Bad, Severity::Attention, Severity::Good] {
        let count = count(severity);
        if count > 0 {
            let text = format!(" {} {count} ", sign(severity));
            let style = if severity == Severity::Good { view.paint.reversed() } else { view.paint.severity(severity) };
            right.push(Span::styled(text, style));
        }
    }
    let right = Line::from(right).right_aligned();
    let room = usize::from(area.width).saturating_sub(right.width() + 1);
    frame.buffer_mut().set_style(area, view.paint.reversed());
    frame.render_widget(Line::styled(cut(&left, room), view.paint.bold()), area);
    frame.render_widget(right, area);
}

/// The filter while it is typed; else why a look failed; else what is wrong under the cursor, or elsewhere.
fn draw_line(frame: &mut Frame, area: Rect, view: &View, ui: &Ui, selected: Option<&Row>) {
    let paint = view.paint;
    let width = usize::from(area.width);
    let line = if ui.typing {
        Line::from(vec![
            Span::styled(" filter: ", paint.bold()),
            Span::raw(ui.filter.clone()),
            Span::styled(" ", paint.reversed()),
            Span::styled("  part of a stream's or subscriber's name", paint.quiet()),
        ])
    } else if let Some(fault) = view.fault {
        Line::styled(cut(&format!(" {} {fault}", sign(Severity::Bad)), width), paint.sentence(Severity::Bad))
    } else if let Some((row, worst)) = selected.filter(|row| !row.troubles.is_empty()).map(|row| (row, row.severity()))
    {
        let who = match &row.what {
            What::Stream { .. } => row.stream.now.key.name.clone(),
            What::Subscriber { subscriber, .. } => subscriber.now.holder.title(),
        };
        let texts: Vec<_> = row.troubles.iter().map(|trouble| trouble.text.as_str()).collect();
        let text = cut(&format!(" {who}: {}", texts.join("; ")), width.saturating_sub(3));
        let sign = Span::styled(sign(worst), paint.severity(worst));
        Line::from(vec![Span::raw(" "), sign, Span::styled(text, paint.sentence(worst))])
    } else if view.watch.seconds.is_none() && !view.watch.streams.is_empty() {
        Line::styled(" rates come with the second look", paint.quiet())
    } else {
        Line::raw("")
    };
    frame.render_widget(line, area);
}

/// As many keys as there is room for, the most wanted first.
fn draw_keys(frame: &mut Frame, area: Rect, ui: &Ui, paint: Paint) {
    let sort = format!("sort: {}{}", ui.sort.name(), if ui.reverse { " (reversed)" } else { "" });
    let filter = if ui.filter.is_empty() { "filter".to_owned() } else { format!("filter: {}", cut(&ui.filter, 12)) };
    let probe = if ui.probed != Probed::Nobody { "probe off" } else { "probe latency" };
    let keys: Vec<(&str, &str)> = if ui.typing {
        vec![("⏎", "keep it"), ("Esc", "show all")]
    } else if let Screen::Detail { .. } = ui.screen {
        let mut keys = vec![("Esc", "back"), ("l", probe), ("←→", "other stream"), ("?", "help"), ("q", "quit")];
        keys.extend([("p", "pause"), ("↑↓", "scroll"), ("+-", "interval")]);
        keys
    } else {
        let mut keys = vec![("⏎", "show"), ("␣", "fold"), ("s", sort.as_str()), ("/", filter.as_str()), ("?", "help")];
        keys.extend([("q", "quit"), ("r", "reverse"), ("p", "pause"), ("+-", "interval"), ("f", "fold all")]);
        // What takes places on streams is to be ended easily.
        keys.insert(if ui.probed == Probed::Nobody { keys.len() } else { 2 }, ("l", probe));
        keys
    };
    let mut line = Line::default();
    for (key, what) in keys {
        let (key, what) = (Span::styled(format!(" {key} "), paint.reversed()), Span::raw(format!(" {what} ")));
        if line.width() + key.width() + what.width() > usize::from(area.width) {
            break;
        }
        line.push_span(key);
        line.push_span(what);
    }
    frame.render_widget(line, area);
}

const HELP: &str = "\
↑ ↓ k j      move; PgUp PgDn Home End g G
Enter        show one stream; Esc goes back
Space ← →    fold and unfold; f all
s F6         sort by name, rate, age, drops,
             skipped, memory, trouble; r reverses
/            filter by part of a name; Esc ends it
+ -          look less, or more often; p pauses
l            latency by our own probes, which take a
             place each: of all, or of one stream
q Ctrl-C     quit

HZ      frames published, or taken, a second
AGE     of the newest frame; subscribers: how
        many frames they are behind it
LAT     from publication to our own probe having it;
        in one stream's view, to each reader
SKIP/s  passed over for a newer one: harmless
MISS/s  gone before they were asked for
DROP/s  refused for want of a slot; subscribers:
        because of this one
HELD    slots in use; subscribers: of what they may";

fn draw_help(frame: &mut Frame, paint: Paint) {
    let area = frame.area();
    let (width, height) = (56.min(area.width), (HELP.lines().count() as u16 + 2).min(area.height));
    let area = Rect { x: (area.width - width) / 2, y: (area.height - height) / 2, width, height };
    frame.render_widget(Clear, area);
    let block = Block::bordered().padding(Padding::horizontal(1)).border_style(paint.bold());
    let block = block.title(" keys and columns ").title_bottom(" any key closes this ");
    frame.render_widget(Paragraph::new(HELP).block(block), area);
}

#[cfg(test)]
#[path = "screen_tests.rs"]
mod tests;
