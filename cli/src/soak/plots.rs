//! Curves over time, as SVG to be put into a page.
//!
//! Lines and words are drawn in one colour that is then replaced by `currentColor`, so that they go with a light page and
//! with a dark one. A logarithmic axis is a linear one of logarithms, with whole decades as its labels.

use plotters::prelude::*;

use super::timeline::Row;

const SIZE: (u32, u32) = (960, 220);
const INK: RGBColor = RGBColor(1, 2, 3);
const INK_IN_SVG: &str = "#010203";
/// A moment at which a promise was broken.
pub(super) const MARK: RGBColor = RGBColor(220, 38, 38);

/// A curve.
pub(super) struct Curve {
    pub name: &'static str,
    pub colour: RGBColor,
    pub value: fn(&Row) -> Option<f64>,
}

/// Points of a curve without a hole between them.
type Run = Vec<(f64, f64)>;

/// The vertical axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Axis {
    /// From 0.
    Linear,
    /// Times in ns, by decades. Zero is nothing there.
    LogNs,
}

impl Axis {
    fn place(self, value: f64) -> Option<f64> {
        match self {
            Axis::Linear => Some(value),
            Axis::LogNs => (value > 0.0).then(|| value.log10()),
        }
    }

    fn label(self, place: f64) -> String {
        match self {
            Axis::Linear => number(place),
            Axis::LogNs if (place - place.round()).abs() < 1e-6 => decade(place.round() as i32),
            Axis::LogNs => String::new(),
        }
    }

    /// Its range, and how many labels fit.
    fn range(self, places: impl Iterator<Item = f64>) -> (std::ops::Range<f64>, usize) {
        let (least, most) = places.fold((f64::MAX, f64::MIN), |(least, most), at| (at.min(least), at.max(most)));
        match self {
            Axis::Linear => (0.0..(most.max(0.0) * 1.1).max(1.0), 5),
            Axis::LogNs if most < least => (3.0..6.0, 4),
            Axis::LogNs => {
                let (least, most) = (least.floor(), most.ceil().max(least.floor() + 1.0));
                (least..most, (most - least) as usize + 1)
            }
        }
    }
}

/// Draws curves over the rows; `marks` are moments to be marked, in seconds.
pub(super) fn draw(rows: &[Row], curves: &[Curve], axis: Axis, marks: &[f64]) -> anyhow::Result<String> {
    let end_s = rows.last().map_or(1.0, |last| last.at_s + last.seconds).max(1e-3);
    let (unit_s, unit) = unit(end_s);
    let runs: Vec<(RGBColor, Vec<Run>)> =
        curves.iter().map(|curve| (curve.colour, runs(rows, curve, axis, unit_s))).collect();
    let places = runs.iter().flat_map(|(_, runs)| runs.iter().flatten().map(|&(_, place)| place));
    let (range, labels) = axis.range(places);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&root)
            .margin(6)
            .margin_right(28)
            .x_label_area_size(26)
            .y_label_area_size(62)
            .build_cartesian_2d(0.0..end_s / unit_s, range.clone())?;
        let words = ("sans-serif", 13).into_font().color(&INK.mix(0.75));
        chart
            .configure_mesh()
            .bold_line_style(INK.mix(0.12))
            .light_line_style(TRANSPARENT)
            .axis_style(INK.mix(0.4))
            .label_style(words)
            .x_labels(10)
            .y_labels(labels)
            .x_label_formatter(&|at| format!("{} {unit}", number(*at)))
            .y_label_formatter(&|place| axis.label(*place))
            .draw()?;
        for at_s in marks {
            let line = [(at_s / unit_s, range.start), (at_s / unit_s, range.end)];
            chart.draw_series(LineSeries::new(line, MARK.mix(0.6)))?;
        }
        for (colour, runs) in runs {
            for run in runs {
                // A single point is drawn as a short line, or it would not be seen.
                let half = 4e-3 * end_s / unit_s;
                let run = if let [(at, place)] = run[..] { vec![(at - half, place), (at + half, place)] } else { run };
                chart.draw_series(LineSeries::new(run, colour.stroke_width(2)))?;
            }
        }
        root.present()?;
    }
    let fixed = format!("<svg width=\"{}\" height=\"{}\" ", SIZE.0, SIZE.1);
    Ok(svg.replace(&fixed, "<svg ").replace(INK_IN_SVG, "currentColor"))
}

/// A curve's points, in runs without a hole, at the middle of their rows.
fn runs(rows: &[Row], curve: &Curve, axis: Axis, unit_s: f64) -> Vec<Run> {
    let mut runs = vec![Vec::new()];
    for row in rows {
        match (curve.value)(row).and_then(|value| axis.place(value)) {
            Some(place) => {
                if let Some(run) = runs.last_mut() {
                    run.push(((row.at_s + row.seconds / 2.0) / unit_s, place));
                }
            }
            None => runs.push(Vec::new()),
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}

/// The unit of time that goes with so many seconds.
fn unit(end_s: f64) -> (f64, &'static str) {
    match end_s {
        ..180.0 => (1.0, "s"),
        ..10_800.0 => (60.0, "min"),
        ..345_600.0 => (3600.0, "h"),
        _ => (86_400.0, "d"),
    }
}

/// A number on an axis, without digits that say nothing.
fn number(value: f64) -> String {
    if value.abs() >= 10_000.0 {
        return format!("{}k", number(value / 1000.0));
    }
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// 10 to the `power` ns.
fn decade(power: i32) -> String {
    let (power, unit) = match power {
        ..3 => (power, "ns"),
        3..6 => (power - 3, "µs"),
        6..9 => (power - 6, "ms"),
        _ => (power - 9, "s"),
    };
    format!("{} {unit}", number(10_f64.powi(power)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_bear_round_numbers_with_units() {
        let decades: Vec<String> = [2, 3, 5, 6, 8, 9, 10].map(decade).into();
        assert_eq!(decades, ["100 ns", "1 µs", "100 µs", "1 ms", "100 ms", "1 s", "10 s"]);
        assert_eq!([0.0, 0.25, 100.0, 25_000.0].map(number), ["0", "0.25", "100", "25k"]);
        assert_eq!((unit(60.0).1, unit(600.0).1, unit(36_000.0).1, unit(604_800.0).1), ("s", "min", "h", "d"));
    }

    #[test]
    fn a_curve_has_holes_where_there_is_nothing_and_no_colour_of_a_page() {
        let row = |at_s: f64, max: Option<u64>| Row { at_s, seconds: 1.0, latency_max_ns: max, ..Row::default() };
        let rows = [row(0.0, Some(1000)), row(1.0, Some(2000)), row(2.0, None), row(3.0, Some(1_000_000))];
        let value = |row: &Row| row.latency_max_ns.map(|ns| ns as f64);
        let curves = [Curve { name: "max", colour: RGBColor(9, 8, 7), value }];
        let svg = draw(&rows, &curves, Axis::LogNs, &[2.5]).unwrap();
        assert_eq!(svg.matches("stroke=\"#090807\"").count(), 2, "{svg}");
        assert!(svg.contains("viewBox") && !svg.contains("width=\"960\" height"), "{svg}");
        assert!(svg.contains("currentColor") && !svg.contains(INK_IN_SVG));
        assert!(svg.contains("1 ms") && svg.contains("1 µs") && svg.contains("#DC2626"), "{svg}");
        assert!(draw(&[], &curves, Axis::Linear, &[]).is_ok());
    }
}
