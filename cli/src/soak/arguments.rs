//! The command line, and what it comes to.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use framebus::{Content, ImageShape, PixelFormat, Rate, Slots, StreamName, StreamOptions};
use framebus_program::usage;
use framebus_viewer::Limit;

use super::backend::{Backends, Stream};

/// Newest frames that can be taken: enough for the witness to see each one in spite of a busy machine.
const HISTORY: u32 = 4;
/// Two that a viewer keeps, and the newest.
const MAX_HELD: u32 = 3;
/// Viewers of a storm that come, look at a few frames, and go.
const PASSERS_BY: usize = 2;
/// Places besides the viewers': the witness's, and some for whoever wants to have a look meanwhile.
const OTHER_PLACES: usize = 3;

/// Runs producers and viewers for a long time, kills and stops them at random, and verifies every byte of every frame.
///
/// All of them are real processes. At the end nothing may be torn, lost or left behind. With --calm nobody is killed:
/// what is dropped, skipped or late then is your machine's doing, and the report says when, and because of whom.
///
/// Exit codes: 0 all promises were kept, 1 one was broken (the verdict says which, when, and by whom) or the soak failed,
/// 2 the command line is at fault.
#[derive(clap::Args)]
pub struct Arguments {
    /// How long, in minutes [default: 1]
    #[arg(long, value_name = "M", conflicts_with = "seconds", value_parser = positive)]
    minutes: Option<f64>,
    /// How long, in seconds
    #[arg(long, value_name = "S", value_parser = positive)]
    seconds: Option<f64>,
    /// Streams at a time [default: one on each backend]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=16))]
    streams: Option<u16>,
    /// Viewers of each stream; a storm adds two that come and go
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=64))]
    viewers: u16,
    /// Kill and stop nobody
    #[arg(long)]
    calm: bool,
    /// Skipped, missed and late frames break a promise too (of use with --calm)
    #[arg(long)]
    strict: bool,
    /// Promise that no viewer takes a frame older than so many milliseconds, or goes without one so long
    #[arg(long, value_name = "MS")]
    max_age_ms: Option<Limit<Duration>>,
    /// Promise that no viewer loses more frames than so many within a second
    #[arg(long, value_name = "N")]
    max_skipped_per_s: Option<Limit<u32>>,
    /// Frames a second
    #[arg(long, value_name = "HZ", default_value = "100", value_parser = rate)]
    rate: Rate,
    /// Size of the pictures, which are rgb8; a storm uses others too
    #[arg(long, value_name = "WxH", default_value = "640x480")]
    size: Size,
    /// Slots of a stream, or auto; with fewer than auto, frames may be refused
    #[arg(long, value_name = "NUMBER", default_value = "auto", value_parser = slots)]
    slots: Slots,
    /// What the streams are made of: sysv, file, file:/DIRECTORY, or both in turn
    #[arg(long, value_name = "BACKEND", default_value = "both")]
    backend: Backends,
    /// Seed of the storm: the same one makes the same plan [default: another one each time]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Name of the bus; nothing else may be on it [default: soak-PID]
    #[arg(long, value_name = "NAME")]
    bus: Option<String>,
    /// Folder of the report [default: framebus-soak-DATE-TIME]
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Print one JSON object a second and stream, and a last one with the verdict
    #[arg(long)]
    json: bool,
}

/// Width and height in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size {
    width: u32,
    height: u32,
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let sides = text.split_once(['x', 'X', '×']);
        let sides = sides.and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
        match sides {
            // A storm halves it, and the mark needs some bytes.
            Some((width, height)) if width >= 8 && height >= 8 => Ok(Self { width, height }),
            _ => Err("expected WIDTHxHEIGHT, 8x8 at least, such as 640x480".to_owned()),
        }
    }
}

/// What is to be done, after a look at whether it can.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub time: Duration,
    pub streams: Vec<Stream>,
    pub viewers: usize,
    /// Viewers that come and go.
    pub passers_by: usize,
    pub calm: bool,
    pub strict: bool,
    /// What the viewers rely on.
    pub max_age: Option<Duration>,
    pub max_skipped_per_s: Option<u32>,
    pub rate: Rate,
    /// The first is the stream's own; the others are those that a storm changes to.
    pub shapes: Vec<ImageShape>,
    pub slots: Slots,
    pub seed: u64,
    pub bus: String,
    pub folder: PathBuf,
    pub json: bool,
    pub started: SystemTime,
}

impl Settings {
    pub(super) fn of(arguments: &Arguments) -> anyhow::Result<Self> {
        let started = SystemTime::now();
        let seconds = arguments.seconds.or(arguments.minutes.map(|minutes| minutes * 60.0)).unwrap_or(60.0);
        let bus = arguments.bus.clone().unwrap_or_else(|| format!("soak-{}", std::process::id()));
        let Size { width, height } = arguments.size;
        let shape = |width, height, format| {
            ImageShape::new(width, height, format).map_err(|error| usage!("can not use --size: {error}"))
        };
        let backends = arguments.backend.list();
        let count = arguments.streams.map_or(backends.len(), usize::from);
        let streams = (0..count).map(|index| {
            let name = StreamName::new(&bus, &format!("camera-{}", index + 1))?;
            Ok(Stream { name, backend: backends[index % backends.len()].clone() })
        });
        let settings = Self {
            time: Duration::from_secs_f64(seconds),
            streams: streams.collect::<Result<_, framebus::NameError>>()?,
            viewers: arguments.viewers.into(),
            passers_by: if arguments.calm { 0 } else { PASSERS_BY },
            calm: arguments.calm,
            strict: arguments.strict,
            max_age: arguments.max_age_ms.and_then(Limit::most),
            max_skipped_per_s: arguments.max_skipped_per_s.and_then(Limit::most),
            rate: arguments.rate,
            shapes: vec![
                shape(width, height, PixelFormat::Rgb8)?,
                shape(width / 2, height / 2, PixelFormat::Rgb8)?,
                shape(width, height, PixelFormat::Mono8)?,
            ],
            slots: arguments.slots,
            seed: arguments.seed.unwrap_or_else(|| seed_of(started)),
            folder: arguments.report.clone().unwrap_or_else(|| format!("framebus-soak-{}", stamp(started)).into()),
            bus,
            json: arguments.json,
            started,
        };
        framebus::Geometry::of(&settings.options(0)).map_err(|error| usage!("can not soak such a stream: {error}"))?;
        Ok(settings)
    }

    /// The stream as a producer of this shape opens it.
    pub(super) fn options(&self, shape: usize) -> StreamOptions {
        let mut options = StreamOptions::new(Content::Image(self.shapes[shape]));
        options.rate = Some(self.rate);
        options.history = HISTORY;
        options.slots = self.slots;
        options.max_held = MAX_HELD;
        options.max_subscribers = (self.viewers + self.passers_by + OTHER_PLACES) as u32;
        options
    }

    /// The config that all processes read: the streams as `options(0)` has them.
    pub(super) fn config(&self) -> String {
        let options = self.options(0);
        let (shape, rate) = (self.shapes[0], self.rate.hz());
        let slots = match self.slots {
            Slots::Auto => "\"auto\"".to_owned(),
            Slots::Exactly(number) => number.to_string(),
        };
        let mut text = format!("# What the processes of the soak read.\n[bus]\nname = \"{}\"\n", self.bus);
        for stream in &self.streams {
            text.push_str(&format!(
                "\n[streams.{}]\nwidth = {}\nheight = {}\nformat = \"{}\"\nrate_hz = {rate}\nhistory = {}\n\
                 max_subscribers = {}\nmax_held = {}\nslots = {slots}\n",
                stream.name.stream(),
                shape.width(),
                shape.height(),
                shape.format().name(),
                options.history,
                options.max_subscribers,
                options.max_held
            ));
            if let Some(age) = self.max_age {
                text.push_str(&format!("max_age_ms = {}\n", age.as_nanos() as f64 / 1e6));
            }
            if let Some(most) = self.max_skipped_per_s {
                text.push_str(&format!("max_skipped_per_s = {most}\n"));
            }
        }
        text
    }

    /// Whether viewers rely on something.
    pub(super) fn has_contract(&self) -> bool {
        self.max_age.is_some() || self.max_skipped_per_s.is_some()
    }

    /// With a free slot whatever viewers do, not a single frame may be refused.
    pub(super) fn refuses_nothing(&self) -> bool {
        self.slots == Slots::Auto || self.calm
    }
}

/// `20261122-204439Z`: sorts by time, and is a file name everywhere.
fn stamp(time: SystemTime) -> String {
    let text = humantime::format_rfc3339_seconds(time).to_string();
    text.replace(['-', ':'], "").replace('T', "-")
}

fn seed_of(time: SystemTime) -> u64 {
    let ns = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64);
    // Short enough to be typed.
    (ns ^ u64::from(std::process::id()) << 20) % 1_000_000_000
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (0.001..=1e7).contains(number));
    number.ok_or_else(|| "expected a number greater than 0".to_owned())
}

fn rate(text: &str) -> Result<Rate, String> {
    let rate = text.parse().ok().and_then(Rate::from_hz);
    rate.ok_or_else(|| "expected frames a second from 0.001 to 1000000".to_owned())
}

fn slots(text: &str) -> Result<Slots, String> {
    match (text, text.parse()) {
        ("auto", _) => Ok(Slots::Auto),
        (_, Ok(slots)) => Ok(Slots::Exactly(slots)),
        _ => Err("expected a number or auto".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn settings(line: &str) -> anyhow::Result<Settings> {
        let words = ["soak"].into_iter().chain(line.split_whitespace());
        Settings::of(&Program::try_parse_from(words)?.arguments)
    }

    #[test]
    fn the_defaults_make_a_minute_of_storm_on_each_backend() {
        let settings = settings("").unwrap();
        assert_eq!((settings.time, settings.streams.len(), settings.calm), (Duration::from_secs(60), 2, false));
        assert!(settings.refuses_nothing());
        assert!(settings.folder.to_str().unwrap().starts_with("framebus-soak-2"), "{:?}", settings.folder);
    }

    #[test]
    fn what_can_not_be_is_refused_before_anything_starts() {
        for wrong in
            ["--size 640", "--size 4x4", "--minutes 0", "--minutes 1 --seconds 1", "--bus a/b", "--slots 2", "--rate x"]
        {
            assert!(settings(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_config_of_the_processes_says_what_the_probe_opens() {
        let settings = settings("--streams 2 --rate 29.97 --slots 9 --max-age-ms 0.7 --max-skipped-per-s 2").unwrap();
        let config = framebus_config::Config::parse(&settings.config(), "soak.toml").unwrap();
        assert_eq!(config.streams.len(), 2);
        let bus = framebus_config::Bus::from_config(config).unwrap();
        assert_eq!(bus.options("camera-2").unwrap(), settings.options(0));
        let contract = bus.subscriber_options("camera-2").unwrap().contract;
        assert_eq!((contract.max_age, contract.max_skipped_per_s), (Some(Duration::from_micros(700)), Some(2)));
    }

    #[test]
    fn a_folder_is_named_after_the_second_it_was_begun() {
        assert_eq!(stamp(SystemTime::UNIX_EPOCH + Duration::from_secs(86_400)), "19700102-000000Z");
    }
}
