//! What a face says of a stream, in a few lines.

use crate::figures::Interval;
use crate::status::time_text;
use framebus::{ImageShape, PixelFormat};
use framebus_picture::{Palette, Reading};

/// The figures that are shown: those of the last interval, and what was skipped in all.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Numbers {
    /// `None` before the first interval is over.
    pub fps: Option<f64>,
    pub p50_ns: Option<u64>,
    pub p99_ns: Option<u64>,
    pub skipped: u64,
}

impl Numbers {
    pub(crate) fn note(&mut self, interval: &Interval<'_>) {
        self.fps = Some(interval.fps);
        (self.p50_ns, self.p99_ns) = (interval.latency.latency_p50_ns, interval.latency.latency_p99_ns);
        self.skipped += interval.skipped;
    }

    /// Rate.
    pub(crate) fn hz(&self) -> String {
        self.fps.map_or("- Hz".to_owned(), |fps| format!("{fps:.1} Hz"))
    }

    /// Rate and latency.
    pub(crate) fn rate(&self) -> String {
        let mut text = self.hz();
        if let (Some(p50), Some(p99)) = (self.p50_ns, self.p99_ns) {
            text.push_str(&format!("  latency p50 {} p99 {}", time_text(p50), time_text(p99)));
        }
        text
    }
}

/// Size and format.
pub(crate) fn shape(shape: ImageShape) -> String {
    format!("{} × {} {}", shape.width(), shape.height(), shape.format())
}

/// Which frame it is, and how old.
pub(crate) fn frame(sequence: u64, capture_ns: u64, now_ns: u64, skipped: u64) -> String {
    format!("frame {sequence}  age {}  skipped {skipped}", time_text(now_ns.saturating_sub(capture_ns)))
}

/// Whether pixels of this format have one value, so that colours can be chosen for it.
pub(crate) fn has_values(format: PixelFormat) -> bool {
    matches!(format, PixelFormat::DepthF32 | PixelFormat::Mono16 | PixelFormat::Mono8)
}

/// Which colours stand for which values.
pub(crate) fn colours(format: PixelFormat, palette: Palette, range: [f32; 2]) -> String {
    let [low, high] = range;
    match format {
        PixelFormat::DepthF32 => format!("{palette} {low:.2} to {high:.2} m"),
        _ => format!("{palette} {low:.0} to {high:.0}"),
    }
}

/// The value of a pixel.
pub(crate) fn pixel((x, y): (u32, u32), readings: &[Reading]) -> String {
    let mut text = format!("({x}, {y})");
    for Reading { channel, value } in readings {
        match *channel {
            "depth" if *value > 0.0 => text.push_str(&format!("  {value:.3} m")),
            "depth" => text.push_str("  no depth"),
            _ => text.push_str(&format!("  {channel} {value}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_what_they_are_about() {
        let numbers = Numbers { fps: Some(29.97), p50_ns: Some(85_300), p99_ns: Some(1_200_000), skipped: 4 };
        assert_eq!(numbers.rate(), "30.0 Hz  latency p50 85.3 µs p99 1.20 ms");
        assert_eq!(Numbers { fps: Some(0.0), ..Numbers::default() }.rate(), "0.0 Hz");
        assert_eq!(Numbers::default().rate(), "- Hz", "nobody knows yet");
        assert_eq!(shape(ImageShape::new(640, 480, PixelFormat::Nv12).unwrap()), "640 × 480 nv12");
        assert_eq!(frame(7, 1_000, 17_000, 4), "frame 7  age 16.0 µs  skipped 4");
        assert_eq!(colours(PixelFormat::DepthF32, Palette::Turbo, [0.5, 7.25]), "turbo 0.50 to 7.25 m");
        assert_eq!(colours(PixelFormat::Mono16, Palette::Grey, [12.0, 4095.0]), "grey 12 to 4095");
        let reading = |channel, value| Reading { channel, value };
        assert_eq!(pixel((3, 4), &[reading("R", 12.0), reading("G", 0.0)]), "(3, 4)  R 12  G 0");
        assert_eq!(pixel((3, 4), &[reading("depth", 1.2345)]), "(3, 4)  1.234 m");
        assert_eq!(pixel((3, 4), &[reading("depth", f64::NAN)]), "(3, 4)  no depth");
    }
}
