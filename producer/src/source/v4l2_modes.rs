//! Which of a camera's modes is taken, and how its pixel formats are called here.
//!
//! What was asked for must be there exactly (size, format); of what is left, the first rule that tells two modes apart:
//!
//! 1. it comes near the rate: 1 % where one was asked for, else 80 % of 30 Hz;
//! 2. its pixels are published as they are: JPEG has to be decoded, which costs a core;
//! 3. it has more pixels;
//! 4. its format is further up in [`PREFERRED`];
//! 5. its rate is nearer.

use framebus::{PixelFormat, Rate};

use super::Wish;
use PixelFormat as F;

/// The rate that is looked for where nobody says one.
const USUAL_HZ: f64 = 30.0;

/// What most cameras have, for those that take any size.
const USUAL_SIZES: [(u32, u32); 3] = [(640, 480), (1280, 720), (1920, 1080)];

/// Formats of colour before those without, light ones before heavy ones; the others come after these.
const PREFERRED: [PixelFormat; 9] =
    [F::Yuyv, F::Nv12, F::I420, F::Rgb8, F::Bgr8, F::Rgba8, F::Bgra8, F::Mono8, F::Mono16];

/// Most modes of a format that a message lists.
const MOST_TOLD: usize = 12;

/// What V4L2 calls a format.
pub(super) type FourCc = [u8; 4];

/// What becomes of a camera's pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pixels {
    /// They are published as they are.
    As(PixelFormat),
    /// A picture each frame, published as rgb8.
    Jpeg,
}

impl Pixels {
    /// `None` for what can not be published.
    ///
    /// Source: linux/videodev2.h. Z16 is depth, in a unit that the camera says.
    pub(super) fn of(fourcc: FourCc) -> Option<Self> {
        match &fourcc {
            b"MJPG" | b"JPEG" => Some(Self::Jpeg),
            b"Z16 " => Some(Self::As(F::Mono16)),
            _ => F::all().find(|format| format.fourcc() == Some(&fourcc)).map(Self::As),
        }
    }

    pub(super) fn format(self) -> PixelFormat {
        match self {
            Self::As(format) => format,
            Self::Jpeg => F::Rgb8,
        }
    }
}

/// Frames a second of a mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rates {
    /// The driver does not say.
    Unknown,
    Listed(Vec<Rate>),
    Between {
        slowest: Rate,
        fastest: Rate,
    },
}

impl Rates {
    fn nearest(&self, hz: f64) -> Option<Rate> {
        let distance = |rate: &Rate| (rate.hz() - hz).abs();
        match self {
            Self::Unknown => None,
            Self::Listed(rates) => rates.iter().copied().min_by(|a, b| distance(a).total_cmp(&distance(b))),
            Self::Between { slowest, fastest } if hz <= slowest.hz() => Some(*slowest),
            Self::Between { fastest, .. } if hz >= fastest.hz() => Some(*fastest),
            Self::Between { .. } => Rate::from_hz(hz),
        }
    }
}

/// One thing that a camera can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mode {
    pub(super) fourcc: FourCc,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) rates: Rates,
}

/// What is asked of a camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) fourcc: FourCc,
    pub(super) pixels: Pixels,
    pub(super) width: u32,
    pub(super) height: u32,
    /// `None` where the driver does not say what there is.
    pub(super) rate: Option<Rate>,
}

/// The best mode, or what there is instead.
pub(super) fn choose(modes: &[Mode], wish: &Wish) -> Result<Choice, String> {
    let wanted_hz = wish.rate.map_or(USUAL_HZ, |rate| rate.hz());
    let near = if wish.rate.is_some() { 0.01 } else { 0.2 };
    let fits = |mode: &Mode, pixels: Pixels| {
        wish.width.is_none_or(|width| width == mode.width)
            && wish.height.is_none_or(|height| height == mode.height)
            && wish.format.is_none_or(|format| format == pixels.format())
    };
    let candidates = modes.iter().filter_map(|mode| {
        let pixels = Pixels::of(mode.fourcc).filter(|&pixels| fits(mode, pixels))?;
        let rate = mode.rates.nearest(wanted_hz);
        let off = rate.map_or(0.0, |rate| (rate.hz() - wanted_hz).abs() / wanted_hz);
        let choice = Choice { fourcc: mode.fourcc, pixels, width: mode.width, height: mode.height, rate };
        Some((off, choice))
    });
    let rank = |&(off, choice): &(f64, Choice)| {
        let order = PREFERRED.iter().position(|&format| format == choice.pixels.format()).unwrap_or(PREFERRED.len());
        let pixels = u64::from(choice.width) * u64::from(choice.height);
        (off <= near, choice.pixels != Pixels::Jpeg, pixels, std::cmp::Reverse(order))
    };
    let best = candidates.max_by(|a, b| rank(a).cmp(&rank(b)).then(b.0.total_cmp(&a.0)));
    best.map(|(_, choice)| choice).ok_or_else(|| format!("it has no {}; {}", wish_in_words(wish), in_words(modes)))
}

/// Sizes of a camera that takes any within bounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steps {
    /// Width and height, in pixels; as for the others.
    pub(super) least: (u32, u32),
    pub(super) most: (u32, u32),
    pub(super) step: (u32, u32),
}

impl Steps {
    /// The sizes to choose from: what was asked for, the usual ones, the largest.
    pub(super) fn sizes(&self, wish: &Wish) -> Vec<(u32, u32)> {
        let fits = |side: u32, least: u32, most: u32, step: u32| {
            (least..=most).contains(&side) && (side - least).is_multiple_of(step.max(1))
        };
        let mut sizes: Vec<(u32, u32)> = USUAL_SIZES
            .into_iter()
            .chain([self.most])
            .map(|(width, height)| (wish.width.unwrap_or(width), wish.height.unwrap_or(height)))
            .filter(|&(width, height)| {
                fits(width, self.least.0, self.most.0, self.step.0)
                    && fits(height, self.least.1, self.most.1, self.step.1)
            })
            .collect();
        sizes.sort_unstable();
        sizes.dedup();
        sizes
    }
}

/// A FourCC as people write it.
pub(super) fn name(fourcc: FourCc) -> String {
    String::from_utf8_lossy(&fourcc).trim_end().escape_default().to_string()
}

fn wish_in_words(wish: &Wish) -> String {
    let side = |side: Option<u32>| side.map_or_else(|| "any".to_owned(), |side| side.to_string());
    let size = match (wish.width, wish.height) {
        (None, None) => "mode of any size".to_owned(),
        (width, height) => format!("mode of {} × {}", side(width), side(height)),
    };
    match wish.format {
        Some(format) => format!("{size} that can be published as {format}"),
        None => format!("{size} that can be published"),
    }
}

/// All that a camera has, a list for each format.
fn in_words(modes: &[Mode]) -> String {
    let mut formats: Vec<FourCc> = Vec::new();
    for mode in modes {
        if !formats.contains(&mode.fourcc) {
            formats.push(mode.fourcc);
        }
    }
    if formats.is_empty() {
        return "it lists no mode at all".to_owned();
    }
    let told = formats.iter().map(|&fourcc| {
        let of_it: Vec<&Mode> = modes.iter().filter(|mode| mode.fourcc == fourcc).collect();
        let mut text: Vec<String> = of_it.iter().take(MOST_TOLD).map(|mode| mode_in_words(mode)).collect();
        if of_it.len() > MOST_TOLD {
            text.push(format!("{} more", of_it.len() - MOST_TOLD));
        }
        let what = match Pixels::of(fourcc) {
            Some(Pixels::As(format)) => format!("{format}, {}", name(fourcc)),
            Some(Pixels::Jpeg) => format!("rgb8 from {}", name(fourcc)),
            None => format!("{}, which can not be published", name(fourcc)),
        };
        format!("{what}: {}", text.join(", "))
    });
    format!("it has {}", told.collect::<Vec<_>>().join("; "))
}

fn mode_in_words(mode: &Mode) -> String {
    let hz = |rate: &Rate| format!("{}", (rate.hz() * 100.0).round() / 100.0);
    let rates = match &mode.rates {
        Rates::Unknown => return format!("{} × {}", mode.width, mode.height),
        Rates::Listed(rates) => rates.iter().map(hz).collect::<Vec<_>>().join("/"),
        Rates::Between { slowest, fastest } => format!("{} to {}", hz(slowest), hz(fastest)),
    };
    format!("{} × {} at {rates} Hz", mode.width, mode.height)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(fourcc: &FourCc, width: u32, height: u32, hz: &[u32]) -> Mode {
        let rates = Rates::Listed(hz.iter().map(|&hz| Rate::new(hz, 1).unwrap()).collect());
        Mode { fourcc: *fourcc, width, height, rates }
    }

    /// A usual webcam: large pictures are quick only as JPEG.
    fn webcam() -> Vec<Mode> {
        vec![
            mode(b"MJPG", 1920, 1080, &[30, 15]),
            mode(b"MJPG", 640, 480, &[30, 15]),
            mode(b"YUYV", 640, 480, &[30, 15]),
            mode(b"YUYV", 1280, 720, &[10, 5]),
            mode(b"YUYV", 1920, 1080, &[5]),
            mode(b"H264", 1920, 1080, &[60]),
        ]
    }

    fn chosen(wish: Wish) -> (String, u32, u32, Option<f64>) {
        let choice = choose(&webcam(), &wish).unwrap();
        (name(choice.fourcc), choice.width, choice.height, choice.rate.map(|rate| rate.hz()))
    }

    fn hz(hz: u32) -> Option<Rate> {
        Rate::new(hz, 1)
    }

    const ANY: Wish = Wish { width: None, height: None, format: None, rate: None };

    #[test]
    fn without_a_wish_it_is_the_largest_that_is_quick_and_needs_no_decoding() {
        assert_eq!(chosen(ANY), ("YUYV".to_owned(), 640, 480, Some(30.0)));
    }

    #[test]
    fn jpeg_is_taken_where_nothing_else_has_the_size_and_the_rate_or_rgb_is_asked_for() {
        let large = Wish { width: Some(1920), height: Some(1080), ..ANY };
        assert_eq!(chosen(large), ("MJPG".to_owned(), 1920, 1080, Some(30.0)));
        assert_eq!(chosen(Wish { rate: hz(5), ..large }), ("YUYV".to_owned(), 1920, 1080, Some(5.0)));
        assert_eq!(chosen(Wish { format: Some(F::Yuyv), ..large }), ("YUYV".to_owned(), 1920, 1080, Some(5.0)));
        let small = Wish { width: Some(640), height: Some(480), ..ANY };
        assert_eq!(chosen(small).0, "YUYV");
        assert_eq!(chosen(Wish { format: Some(F::Rgb8), ..small }).0, "MJPG");
    }

    #[test]
    fn a_rate_that_no_mode_has_gets_the_nearest() {
        let wish = Wish { width: Some(640), rate: hz(20), ..ANY };
        assert_eq!(chosen(wish), ("YUYV".to_owned(), 640, 480, Some(15.0)));
        let ntsc = Mode { rates: Rates::Listed(vec![Rate::new(30_000, 1001).unwrap()]), ..mode(b"NV12", 8, 8, &[]) };
        assert_eq!(choose(&[ntsc], &Wish { rate: hz(30), ..ANY }).unwrap().rate, Rate::new(30_000, 1001));
    }

    #[test]
    fn rates_between_bounds_and_unknown_ones_are_taken_as_they_are() {
        let rates = Rates::Between { slowest: hz(5).unwrap(), fastest: hz(60).unwrap() };
        assert_eq!(rates.nearest(90.0), hz(60));
        assert_eq!(rates.nearest(1.0), hz(5));
        assert_eq!(rates.nearest(24.0).unwrap().hz(), 24.0);
        let unknown = Mode { rates: Rates::Unknown, ..mode(b"GREY", 8, 8, &[]) };
        assert_eq!(choose(&[unknown], &ANY).unwrap().rate, None);
    }

    #[test]
    fn what_is_not_there_is_answered_with_what_is() {
        let why = choose(&webcam(), &Wish { width: Some(800), format: Some(F::Nv12), ..ANY }).unwrap_err();
        assert_eq!(
            why,
            "it has no mode of 800 × any that can be published as nv12; it has rgb8 from MJPG: 1920 × 1080 at 30/15 Hz, 640 \
             × 480 at 30/15 Hz; yuyv, YUYV: 640 × 480 at 30/15 Hz, 1280 × 720 at 10/5 Hz, 1920 × 1080 at 5 Hz; H264, which \
             can not be published: 1920 × 1080 at 60 Hz"
        );
        assert!(choose(&[], &ANY).unwrap_err().ends_with("it lists no mode at all"));
    }

    #[test]
    fn every_format_is_known_by_its_fourcc() {
        for format in F::all().filter(|&format| format != F::DepthF32) {
            assert_eq!(Pixels::of(*format.fourcc().unwrap()), Some(Pixels::As(format)));
        }
        assert_eq!(Pixels::of(*b"YU12"), Some(Pixels::As(F::I420)));
        assert_eq!(Pixels::of(*b"Z16 "), Some(Pixels::As(F::Mono16)));
        assert_eq!(Pixels::of(*b"MJPG").map(Pixels::format), Some(F::Rgb8));
        assert_eq!(Pixels::of(*b"UYVY"), None);
        assert_eq!(name([0, 1, b'a', b' ']), "\\u{0}\\u{1}a");
    }

    #[test]
    fn a_camera_of_any_size_is_asked_for_the_wish_or_a_usual_one() {
        let steps = Steps { least: (32, 32), most: (1600, 1200), step: (16, 2) };
        assert_eq!(steps.sizes(&ANY), [(640, 480), (1280, 720), (1600, 1200)]);
        assert_eq!(steps.sizes(&Wish { width: Some(800), height: Some(602), ..ANY }), [(800, 602)]);
        assert_eq!(steps.sizes(&Wish { width: Some(801), ..ANY }), []);
    }
}
