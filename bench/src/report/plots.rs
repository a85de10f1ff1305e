//! Plots, one a kind of work: lines where something is varied over a range, bars otherwise.

use super::{Figure, time};
use crate::contestant::Contestant;
use crate::work::{Takers, Variant, Work};
use anyhow::{Result, anyhow};
use clap::ValueEnum;
use plotters::prelude::*;
use std::path::Path;

const SIZE: (u32, u32) = (900, 560);
const FONT: &str = "sans-serif";

/// Far enough apart to be told from each other, also by the colour-blind (Okabe and Ito's, and greys).
const COLOURS: [RGBColor; 10] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(90, 90, 90),
    RGBColor(148, 103, 60),
    RGBColor(170, 170, 170),
    RGBColor(0, 0, 0),
];

/// A line of a plot.
struct Series {
    /// The same contestant has the same colour in all plots.
    colour: usize,
    name: String,
    points: Vec<(f64, f64)>,
}

/// Draws what there are figures for; returns the files' names.
pub fn draw(figures: &[Figure], directory: &Path) -> Result<Vec<(Work, String)>> {
    let mut drawn = Vec::new();
    for work in Work::value_variants() {
        for (suffix, axis, chosen) in charts(*work) {
            let figures: Vec<&Figure> =
                figures.iter().filter(|figure| figure.case.work == *work && chosen(&figure.case.variant)).collect();
            let series = series(&figures);
            if series.is_empty() {
                continue;
            }
            let name = format!("{}{suffix}.svg", work.name());
            let path = directory.join(&name);
            let title = format!(
                "{}{}",
                work.title(),
                if suffix.is_empty() {
                    String::new()
                } else {
                    format!(" ({})", suffix.trim_start_matches('-').replace('-', " "))
                }
            );
            let outcome = match axis {
                Some(axis) if series.iter().any(|line| line.points.len() > 1) => lines(&path, &title, axis, &series),
                _ => bars(&path, &title, &series),
            };
            outcome.map_err(|error| anyhow!("drawing {}: {error}", path.display()))?;
            drawn.push((*work, name));
        }
    }
    Ok(drawn)
}

type Chart = (&'static str, Option<&'static str>, fn(&Variant) -> bool);

/// What is drawn of a kind of work: a file's suffix, what the axis shows (none: bars), which variants.
fn charts(work: Work) -> Vec<Chart> {
    match work {
        Work::Latency => vec![("", Some("frames a second"), |_| true)],
        Work::Cycle => vec![
            ("-each-takes", Some("subscribers"), |variant| {
                matches!(variant, Variant::Subscribers { takers: Takers::Each, .. })
            }),
            ("-one-takes", Some("subscribers"), |variant| {
                matches!(
                    variant,
                    Variant::Subscribers { takers: Takers::One, .. } | Variant::Subscribers { count: 1, .. }
                )
            }),
        ],
        Work::ProducerCost => vec![("", Some("viewers"), |_| true)],
        Work::FrameSize => vec![
            ("-one-thread", Some("bytes of a frame"), |variant| matches!(variant, Variant::OneThread { .. })),
            ("-round-trip", Some("bytes of a frame"), |variant| matches!(variant, Variant::ThereAndBack { .. })),
        ],
        Work::Rate => vec![
            ("-latest", None, |variant| *variant == Variant::Mode(crate::contenders::Delivery::Latest)),
            ("-lossless", None, |variant| *variant == Variant::Mode(crate::contenders::Delivery::Lossless)),
        ],
        Work::RoundTrip | Work::Startup => vec![("", None, |_| true)],
    }
}

fn series(figures: &[&Figure]) -> Vec<Series> {
    let mut all: Vec<Series> = Vec::new();
    for figure in figures {
        let Some(p50_ns) = figure.summary().and_then(|summary| summary.p50_ns).filter(|ns| *ns > 0.0) else { continue };
        let (name, point) = (figure.case.contestant.to_string(), (figure.case.variant.position(), p50_ns));
        match all.iter_mut().find(|line| line.name == name) {
            Some(line) => line.points.push(point),
            None => {
                let colour = Contestant::ALL.iter().position(|one| *one == figure.case.contestant).unwrap_or(0);
                all.push(Series { colour, name, points: vec![point] });
            }
        }
    }
    for line in &mut all {
        line.points.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    all
}

/// Smallest and largest, with room around them on a logarithmic axis.
fn span(values: impl Iterator<Item = f64> + Clone, room: f64) -> (f64, f64) {
    let (min, max) = (values.clone().fold(f64::INFINITY, f64::min), values.fold(0.0, f64::max));
    (min / room, max * room)
}

fn colour(index: usize) -> RGBColor {
    COLOURS[index % COLOURS.len()]
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

fn lines(path: &Path, title: &str, axis: &str, series: &[Series]) -> Drawn {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let points = || series.iter().flat_map(|line| &line.points);
    let (left, right) = span(points().map(|point| point.0), 1.1);
    let (bottom, top) = span(points().map(|point| point.1), 1.5);
    let (plot, legend) = root.split_horizontally(SIZE.0 - 230);
    let mut chart = ChartBuilder::on(&plot)
        .caption(title, (FONT, 18))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(76)
        .build_cartesian_2d((left..right).log_scale(), (bottom..top).log_scale())?;
    chart
        .configure_mesh()
        .x_desc(axis)
        .y_desc("p50")
        .x_label_formatter(&|value| format!("{value:.0}"))
        .y_label_formatter(&|ns| time(*ns))
        .light_line_style(WHITE)
        .draw()?;
    for (index, line) in series.iter().enumerate() {
        // The second round of colours is drawn thin.
        let style = colour(line.colour).stroke_width(if line.colour < COLOURS.len() { 3 } else { 1 });
        chart.draw_series(LineSeries::new(line.points.iter().copied(), style))?;
        chart.draw_series(line.points.iter().map(|point| Circle::new(*point, 3, colour(line.colour).filled())))?;
        let y = 44 + 20 * index as i32;
        legend.draw(&PathElement::new(vec![(4, y), (28, y)], style))?;
        legend.draw(&Text::new(line.name.clone(), (36, y - 6), (FONT, 13)))?;
    }
    root.present()?;
    Ok(())
}

fn bars(path: &Path, title: &str, series: &[Series]) -> Drawn {
    let height = 90 + 30 * series.len() as u32;
    let root = SVGBackend::new(path, (SIZE.0, height)).into_drawing_area();
    root.fill(&WHITE)?;
    root.draw(&Text::new(format!("{title}, p50, logarithmic"), (20, 16), (FONT, 18)))?;
    let values = || series.iter().filter_map(|line| line.points.first()).map(|point| point.1);
    let (min, max) = span(values(), 1.0);
    let (left, width) = (220.0, f64::from(SIZE.0) - 220.0 - 120.0);
    for (index, (line, ns)) in series.iter().zip(values()).enumerate() {
        let y = 60 + 30 * index as i32;
        // The shortest bar still is one.
        let part = if max > min { 0.1 + 0.9 * (ns / min).ln() / (max / min).ln() } else { 1.0 };
        let right = (left + width * part) as i32;
        root.draw(&Rectangle::new([(left as i32, y), (right, y + 20)], colour(line.colour).filled()))?;
        root.draw(&Text::new(line.name.clone(), (20, y + 4), (FONT, 14)))?;
        root.draw(&Text::new(time(ns), (right + 8, y + 4), (FONT, 14)))?;
    }
    root.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::fixture::figure;
    use super::*;
    use crate::contestant::FramebusWait;

    #[test]
    fn each_kind_of_work_gets_its_plots() {
        let directory = std::env::temp_dir().join(format!("framebus-bench-plots-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory of our own");
        let spin = Contestant::Framebus(FramebusWait::Spin);
        let figures = [
            figure(Work::Latency, Variant::Hz(30.0), spin, &[500.0]),
            figure(Work::Latency, Variant::Hz(60.0), spin, &[400.0]),
            figure(Work::RoundTrip, Variant::Plain, Contestant::SharedPage, &[100.0]),
            figure(Work::Cycle, Variant::Subscribers { count: 1, takers: Takers::Each }, spin, &[40.0]),
        ];
        let names: Vec<String> = draw(&figures, &directory).expect("plots").into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["latency.svg", "round-trip.svg", "cycle-each-takes.svg", "cycle-one-takes.svg"]);
        let latency = std::fs::read_to_string(directory.join("latency.svg")).expect("a plot");
        assert!(
            latency.starts_with("<svg") && latency.contains("framebus spin") && latency.contains("frames a second")
        );
        let trip = std::fs::read_to_string(directory.join("round-trip.svg")).expect("a plot");
        assert!(trip.contains("100 ns") && trip.contains("limit: shared page"));
        std::fs::remove_dir_all(&directory).expect("what we made");
    }
}
