//! One stream: all that is known of it, its last two minutes, and each subscriber.

use framebus::PublisherState;
use framebus_program::duration;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::format::{cut, memory, rate};
use super::paint::{Paint, sign};
use super::probe::Reading;
use super::trouble::{self, Severity, Trouble};
use super::watch::Watched;
use super::{people, sparks};

/// What the detail view draws.
pub struct Detail<'a> {
    pub stream: &'a Watched,
    pub at_ns: u64,
    /// First subscriber on the screen.
    pub first: usize,
}

/// Draws it.
pub fn draw(frame: &mut Frame, area: Rect, detail: &Detail, paint: Paint) {
    let troubles = trouble::of_stream(detail.stream, detail.at_ns);
    let facts = facts(detail, area.width);
    let trouble_rows = troubles.len().clamp(1, 3) as u16;
    let people = (detail.stream.subscribers.len() as u16 + 1).min(area.height / 3).max(2);
    // The sparklines share what is left: with their titles, two to six lines each, or none.
    let fixed = facts.len() as u16 + trouble_rows + people + 3;
    let spark = match area.height.saturating_sub(fixed) / 3 {
        0 | 1 => 0,
        lines => lines.min(6),
    };
    let [top, wrong, probe, _, sparks, _, table] = Layout::vertical([
        Constraint::Length(facts.len() as u16),
        Constraint::Length(trouble_rows),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(spark * 3),
        Constraint::Length(1),
        Constraint::Min(2),
    ])
    .areas(area);
    frame.render_widget(Paragraph::new(facts.into_iter().map(|fact| fact.line(paint)).collect::<Vec<_>>()), top);
    frame.render_widget(Paragraph::new(trouble_lines(&troubles, area.width, paint)), wrong);
    frame.render_widget(probe_line(detail.stream.probe.as_ref(), paint), probe);
    let rows: [Rect; 3] = Layout::vertical([Constraint::Length(spark); 3]).areas(sparks);
    sparks::draw(frame, rows, detail, paint);
    people::draw(frame, table, detail, paint);
}

/// Something to know, and its value.
struct Fact(&'static str, String);

impl Fact {
    fn line(self, paint: Paint) -> Line<'static> {
        Line::from(vec![Span::styled(format!(" {:<11}", self.0), paint.quiet()), Span::raw(self.1)])
    }
}

fn facts(detail: &Detail, width: u16) -> Vec<Fact> {
    let (stream, now) = (detail.stream, &detail.stream.now);
    let state = match (stream.vanished_ns, now.publisher, now.publisher_pid) {
        (Some(_), ..) => "closed, and the stream is removed".to_owned(),
        (_, PublisherState::Alive, Some(pid)) => format!("alive, pid {pid}"),
        (_, PublisherState::Alive, None) => "alive, in another PID namespace".to_owned(),
        (_, PublisherState::Closed, _) => "closed the stream".to_owned(),
        _ => "gone".to_owned(),
    };
    let restarts = match stream.restarts {
        0 => String::new(),
        1 => ", restarted once since we look".to_owned(),
        count => format!(", restarted {count} times since we look"),
    };
    let newest = match now.age_ns {
        Some(age_ns) => format!("frame {}, {} old", now.last_sequence, duration(age_ns)),
        None => "no frame so far".to_owned(),
    };
    let hz = stream.rates.published_hz.map_or("–".to_owned(), rate);
    let nominal = now.nominal_hz.map_or(String::new(), |nominal| format!(" of {}", rate(nominal)));
    let facts = vec![
        Fact("content", format!("{}, up to {} a frame", now.content, memory(now.slot_bytes))),
        Fact("publisher", format!("{state}{restarts}")),
        Fact("newest", format!("{newest}; {hz}{nominal} Hz")),
        Fact(
            "counted",
            format!("refused {}, late {}, abandoned {}, evicted {}", now.refused, now.late, now.abandoned, now.evicted),
        ),
        Fact(
            "room",
            format!(
                "{} slots ({} held), history {}, {} of {} subscribers, each may hold {}",
                now.slots,
                now.held(),
                now.history,
                now.subscribers.len(),
                now.max_subscribers,
                now.max_held
            ),
        ),
        Fact(
            "memory",
            format!(
                "{} of {}, {} id {}, uid {}, mode {:04o}",
                memory(now.resident_bytes),
                memory(now.frames_bytes),
                now.key.backend,
                now.segment_id,
                now.uid,
                now.mode
            ),
        ),
    ];
    let room = usize::from(width).saturating_sub(13);
    facts.into_iter().map(|Fact(name, text)| Fact(name, cut(&text, room))).collect()
}

fn trouble_lines(troubles: &[Trouble], width: u16, paint: Paint) -> Vec<Line<'static>> {
    let name = |index: usize| if index == 0 { format!(" {:<11}", "trouble") } else { " ".repeat(12) };
    if troubles.is_empty() {
        let none = Span::styled(format!("{} none", sign(Severity::Good)), paint.severity(Severity::Good));
        return vec![Line::from(vec![Span::styled(name(0), paint.quiet()), none])];
    }
    let line = |(index, trouble): (usize, &Trouble)| {
        Line::from(vec![
            Span::styled(name(index), paint.quiet()),
            Span::styled(sign(trouble.severity), paint.severity(trouble.severity)),
            Span::raw(" "),
            Span::styled(cut(&trouble.text, usize::from(width).saturating_sub(15)), paint.sentence(trouble.severity)),
        ])
    };
    troubles.iter().enumerate().map(line).collect()
}

fn probe_line(probe: Option<&Reading>, paint: Paint) -> Line<'static> {
    let name = Span::styled(format!(" {:<11}", "latency"), paint.quiet());
    let text = match probe {
        None => Span::styled("below, the readers' own; press l to measure with a probe", paint.quiet()),
        Some(Reading { fault: Some(fault), .. }) => Span::styled(fault.text.clone(), paint.sentence(Severity::Bad)),
        Some(Reading { latency: None, .. }) => Span::raw("probe: no frame in the last interval"),
        Some(Reading { latency: Some(latency), .. }) => {
            let [p50, p99, max] = [latency.p50_ns, latency.p99_ns, latency.max_ns].map(duration);
            let frames = latency.frames;
            Span::raw(format!("probe (ours): p50 {p50}, p99 {p99}, max {max}; {frames} frames"))
        }
    };
    Line::from(vec![name, text])
}
