//! The last two minutes of a stream as bars: its rate, what it dropped, how old its frames became.

use framebus_program::duration;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Sparkline;

use super::detail::Detail;
use super::format::rate;
use super::history::Sample;
use super::paint::Paint;

/// What a sparkline shows.
struct Spark {
    title: &'static str,
    colour: Color,
    value: fn(&Sample) -> Option<f64>,
    text: fn(f64) -> String,
    /// The full height is this, or the largest value.
    full: f64,
}

/// Draws the three of them.
pub fn draw(frame: &mut Frame, areas: [Rect; 3], detail: &Detail, paint: Paint) {
    let sparks = [
        Spark {
            title: "published",
            colour: Color::Green,
            value: |sample| sample.published_hz,
            text: |hz| format!("{} Hz", rate(hz)),
            full: detail.stream.now.nominal_hz.unwrap_or(0.0),
        },
        Spark {
            title: "dropped",
            colour: Color::Red,
            value: |sample| sample.refused_hz,
            text: |hz| format!("{}/s", rate(hz)),
            full: 0.0,
        },
        Spark {
            title: "age",
            colour: Color::Cyan,
            value: |sample| sample.age_ns.map(|age_ns| age_ns as f64),
            text: |ns| duration(ns as u64),
            // A newest frame is one period old at most, where all is well: half the height.
            full: 2.0 * detail.stream.period_ns().unwrap_or(0.0),
        },
    ];
    for (spark, area) in sparks.iter().zip(areas) {
        spark.draw(frame, area, detail, paint);
    }
}

impl Spark {
    /// A title with the newest and the largest value, and the bars below it.
    fn draw(&self, frame: &mut Frame, area: Rect, detail: &Detail, paint: Paint) {
        let [title, bars] = Layout::vertical([Constraint::Length(1), Constraint::Min(1)]).areas(area);
        let bars = Rect { x: bars.x + 1, width: bars.width.saturating_sub(2), ..bars };
        if bars.is_empty() {
            return;
        }
        let columns = detail.stream.history.columns(detail.at_ns, usize::from(bars.width), self.value);
        let largest = columns.iter().flatten().copied().fold(0.0, f64::max);
        let newest = columns.last().copied().flatten().map_or("–".to_owned(), self.text);
        let words = vec![
            Span::styled(format!(" {} ", self.title), paint.bold()),
            Span::raw(newest),
            Span::styled(format!(", at most {} in the last 2 min", (self.text)(largest)), paint.quiet()),
        ];
        frame.render_widget(Line::from(words), title);
        let full = largest.max(self.full).max(f64::MIN_POSITIVE);
        // In thousandths of the height; what is there at all is seen, as an eighth of a line.
        let least = 1000_u64.div_ceil(8 * u64::from(bars.height.max(1)));
        let scaled = |value: f64| if value > 0.0 { ((value / full * 1000.0) as u64).max(least) } else { 0 };
        let data: Vec<Option<u64>> = columns.into_iter().map(|value| value.map(scaled)).collect();
        let style = if paint.colours { Style::new().fg(self.colour) } else { Style::new() };
        let spark = Sparkline::default().data(data).max(1000).style(style);
        frame.render_widget(spark.absent_value_symbol(" "), bars);
    }
}
