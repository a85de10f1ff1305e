//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use framebus::{Backend, PixelFormat, Rate, Slots};

use crate::source::SourceSpec;

/// What a producer is told.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// The stream: NAME on the config's bus, or BUS/NAME [default: the config's only stream]
    #[arg(long, value_name = "[BUS/]NAME")]
    pub stream: Option<String>,

    /// The config [default: $FRAMEBUS_CONFIG, ./framebus.toml, or the embedded demo]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// What the stream is made of: sysv, file, or file:/DIRECTORY [default: the config's]
    #[arg(long, value_name = "BACKEND")]
    pub backend: Option<Backend>,

    /// Where frames come from: pattern, pattern:SCENE, images:DIR_OR_GLOB, gif:PATH, y4m:PATH, raw:PATH, imu, lidar,
    /// exec:COMMAND, v4l2:/dev/videoN
    ///
    /// pattern: a synthetic camera, in any format; its scenes are card (the default), bars, ramp, noise, checkerboard, edges
    /// and depth. images: PNG, JPEG and TIFF files, in the order of their names. gif: an animation, at the rate of its
    /// first delay. y4m, raw: video, where PATH - is standard input. imu, lidar, lidar:BEAMS: synthetic sensors, as records
    /// framebus.Imu and framebus.LaserScan. exec: the y4m or raw output of a shell command, which is started again when it
    /// ends. v4l2: a camera.
    #[arg(long, value_name = "SOURCE", default_value = "pattern")]
    pub source: SourceSpec,

    /// Pixels in a row [default: the config's or the source's]
    #[arg(long, value_name = "PIXELS", help_heading = "Shape and rate")]
    pub width: Option<u32>,

    /// Rows [default: the config's or the source's]
    #[arg(long, value_name = "PIXELS", help_heading = "Shape and rate")]
    pub height: Option<u32>,

    /// pattern: change the size while running, as a camera does whose mode is switched: to the next of these each second, and round
    #[arg(long, value_name = "WxH,…", value_delimiter = ',', value_parser = parse_size, help_heading = "Shape and rate")]
    pub sizes: Vec<(u32, u32)>,

    /// Pixel format, rgb8 for instance [default: the config's or the source's]
    #[arg(long, value_name = "NAME", help_heading = "Shape and rate")]
    pub format: Option<PixelFormat>,

    /// Frames a second, 29.97 or 30000/1001 [default: the config's or the source's, or 30]. exec: without this one, frames
    /// are published as they come; v4l2: asks the camera for this one
    #[arg(long, value_name = "HZ", value_parser = parse_rate, help_heading = "Shape and rate")]
    pub rate: Option<Rate>,

    /// Publish as fast as frames arrive; with --on-full wait, as fast as lossless readers take them
    #[arg(long, help_heading = "Shape and rate")]
    pub unpaced: bool,

    /// Newest frames that can be acquired
    #[arg(long, value_name = "FRAMES", help_heading = "Stream")]
    pub history: Option<u32>,

    /// Number of slots, or auto
    #[arg(long, value_name = "NUMBER", value_parser = parse_slots, help_heading = "Stream")]
    pub slots: Option<Slots>,

    /// Most subscribers at a time
    #[arg(long, value_name = "NUMBER", help_heading = "Stream")]
    pub max_subscribers: Option<u32>,

    /// Most frames that a subscriber may hold
    #[arg(long, value_name = "FRAMES", help_heading = "Stream")]
    pub max_held: Option<u32>,

    /// When no slot is free: drop the frame, or wait for one and for lossless readers
    #[arg(long, value_name = "POLICY", help_heading = "Stream")]
    pub on_full: Option<Full>,

    /// How long to wait before a frame counts as dropped; frames of files and pipes are tried again [default: 1000]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Stream")]
    pub wait_ms: Option<u64>,

    /// When that time is over because of a lossless reader: evict that reader, or refuse the frame [default: evict]
    #[arg(long, value_name = "POLICY", help_heading = "Stream")]
    pub on_stuck: Option<Stuck>,

    /// Keep the stream, with its last frames, when this producer ends
    #[arg(long, help_heading = "Stream")]
    pub persist: bool,

    /// Begin when so many viewers are attached
    #[arg(long, value_name = "NUMBER", default_value_t = 0, help_heading = "Run")]
    pub await_viewers: usize,

    /// End after so many frames
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Run")]
    pub frames: Option<u64>,

    /// End after so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds, help_heading = "Run")]
    pub seconds: Option<Duration>,

    /// Start over when images, an animation or a file are at their end
    #[arg(long = "loop", help_heading = "Run")]
    pub start_over: bool,

    /// End when the command of exec: ends or the camera of v4l2: goes away, instead of starting it again
    #[arg(long, conflicts_with = "start_over", help_heading = "Run")]
    pub no_restart: bool,

    /// Leave out the mark and check sum in the pattern's first 32 bytes
    #[arg(long, help_heading = "Run")]
    pub no_mark: bool,

    /// Run at this real-time priority (SCHED_FIFO), 1 to 99
    #[arg(long, value_name = "PRIORITY", value_parser = clap::value_parser!(u8).range(1..=99), help_heading = "Run")]
    pub realtime: Option<u8>,

    /// Run on this CPU only
    #[arg(long, value_name = "NUMBER", help_heading = "Run")]
    pub cpu: Option<usize>,

    /// Keep this process's memory from being paged out
    #[arg(long, help_heading = "Run")]
    pub lock_memory: bool,

    /// Print one JSON object an interval and a last one with the summary to standard output
    #[arg(long, help_heading = "Run")]
    pub json: bool,

    /// Time between two status lines
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds, default_value = "1", help_heading = "Run")]
    pub interval: Duration,
}

impl Arguments {
    /// Whether frames wait for deadlines of ours. Those of a camera do not: later than at once is older than need be. A
    /// command is slowed down to a rate only where that was asked for here.
    pub(crate) fn is_paced(&self) -> bool {
        !self.unpaced
            && match self.source {
                SourceSpec::V4l2(_) => false,
                SourceSpec::Exec(_) => self.rate.is_some(),
                _ => true,
            }
    }
}

/// The policy of `--on-full`; its time is that of `--wait-ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Full {
    /// Refuse the frame at once.
    Drop,
    /// Wait for a slot, and for lossless subscribers.
    Wait,
}

/// The policy of `--on-stuck`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Stuck {
    /// Wait for it no longer: it is named and told, and all others go on.
    Evict,
    /// Refuse the frame, for all; of files and pipes it is tried again.
    Refuse,
}

fn parse_rate(text: &str) -> Result<Rate, String> {
    let rate = match text.split_once('/') {
        Some((numerator, denominator)) => match (numerator.parse(), denominator.parse()) {
            (Ok(numerator), Ok(denominator)) => {
                Rate::new(numerator, denominator).filter(|rate| Rate::from_hz(rate.hz()).is_some())
            }
            _ => None,
        },
        None => text.parse().ok().and_then(Rate::from_hz),
    };
    rate.ok_or_else(|| "expected frames a second from 0.001 to 1000000, or a fraction like 30000/1001".to_owned())
}

fn parse_size(text: &str) -> Result<(u32, u32), String> {
    let sides = text.split_once('x').and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    sides.filter(|&(width, height)| width > 0 && height > 0).ok_or_else(|| "expected a size like 1920x1080".to_owned())
}

fn parse_slots(text: &str) -> Result<Slots, String> {
    match (text, text.parse()) {
        ("auto", _) => Ok(Slots::Auto),
        (_, Ok(slots)) => Ok(Slots::Exactly(slots)),
        _ => Err("expected a number or auto".to_owned()),
    }
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.001..=1e9).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "expected seconds, 0.001 at least".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser, Debug)]
    struct Program {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Program::try_parse_from(line.split_whitespace()).map(|program| program.arguments)
    }

    #[test]
    fn rates_are_decimals_or_fractions() {
        assert_eq!(parse("p --rate 29.97").unwrap().rate, Rate::new(29_970, 1000));
        assert_eq!(parse("p --rate 30000/1001").unwrap().rate, Rate::new(30_000, 1001));
        for wrong in ["0", "-1", "nan", "1/0", "30/", "2000000", "1/2000", "fast"] {
            assert!(parse_rate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_comes_by_itself_is_paced_only_when_asked_to_be() {
        let is_paced = |line: &str| parse(line).unwrap().is_paced();
        assert!(is_paced("p") && is_paced("p --source y4m:-") && !is_paced("p --unpaced"));
        assert!(!is_paced("p --source exec:x") && is_paced("p --source exec:x --rate 5"));
        assert!(!is_paced("p --source v4l2:/dev/video0 --rate 5"));
    }

    #[test]
    fn sizes_are_a_list() {
        assert_eq!(parse("p --sizes 1920x1080,320x240").unwrap().sizes, [(1920, 1080), (320, 240)]);
        for wrong in ["", "0x1", "1x", "1920", "1x2,"] {
            assert!(parse_size(wrong).is_err() || parse(&format!("p --sizes {wrong}")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn slots_are_a_number_or_auto() {
        assert_eq!(parse("p --slots auto").unwrap().slots, Some(Slots::Auto));
        assert_eq!(parse("p --slots 3").unwrap().slots, Some(Slots::Exactly(3)));
        assert!(parse("p --slots many").is_err());
    }

    #[test]
    fn an_unknown_format_is_answered_with_the_known_ones() {
        let error = parse("p --format rgb888").unwrap_err().to_string();
        assert!(error.contains("\"rgb888\" is no pixel format: expected one of mono8, mono16, rgb8"), "{error}");
    }

    #[test]
    fn an_unknown_source_is_answered_with_the_known_ones() {
        let error = parse("p --source webcam").unwrap_err().to_string();
        let expected =
            "\"webcam\" is no source: expected pattern, pattern:SCENE, images:DIR_OR_GLOB, gif:PATH, y4m:PATH";
        assert!(error.contains(expected), "{error}");
    }
}
