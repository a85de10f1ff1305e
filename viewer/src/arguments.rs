//! The command line.

use crate::contract::Limit;
use clap::{Args, ValueEnum};
use framebus::Backend;
use framebus_picture::FileKind;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What the viewer is to do. A front-door program flattens it into its own command line.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// Stream to view: NAME on the config's bus, or BUS/NAME on any; it need not be in the config
    ///
    /// Without it, the config's only stream.
    #[arg(long, value_name = "[BUS/]NAME")]
    pub stream: Option<String>,

    /// Config file; without it $FRAMEBUS_CONFIG, ./framebus.toml, or the built-in demo
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// What the stream is made of: sysv, file, or file:/DIRECTORY; without it, what the config says
    #[arg(long, value_name = "BACKEND")]
    pub backend: Option<Backend>,

    /// Which frames to take; without it, latest, or every where the config says lossless = true of this viewer's label
    #[arg(long, value_enum)]
    pub mode: Option<Mode>,

    /// Oldest age since its capture, in milliseconds, at which a frame may be taken, or none; without it, what the config says
    ///
    /// Frames that are older are counted, in the stream too, and told of once an interval; and so are intervals at whose end
    /// there is no frame that is new enough.
    #[arg(long, value_name = "MS")]
    pub max_age_ms: Option<Limit<Duration>>,

    /// Most frames that may be skipped or missed within a second, or none; without it, what the config says
    #[arg(long, value_name = "N")]
    pub max_skipped_per_s: Option<Limit<u32>>,

    /// Fail (exit code 1, at the end) where the contract was not kept, or where this viewer was evicted with --mode every
    #[arg(long)]
    pub enforce: bool,

    /// How to wait for the next frame; without it, what the config says of the stream, else predict
    #[arg(long, value_enum)]
    pub wait: Option<WaitKind>,

    /// With predict: most time to spend spinning, in per cent of a core; without it, what the config says, else 2
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub spin_budget: Option<f32>,

    /// Check every byte of every frame against the mark in it; torn frames make exit code 1
    ///
    /// Only marked streams can be verified; the producer's pattern source marks its frames.
    #[arg(long)]
    pub verify: bool,

    /// Save one frame as a picture: FILE.png, FILE.jpg or FILE.tiff; PNG and TIFF keep 16 bits
    #[arg(long, value_name = "FILE", value_parser = snapshot_file)]
    pub snapshot: Option<PathBuf>,

    /// Which frame after attaching the snapshot is taken of
    #[arg(long, value_name = "N", default_value_t = 1, requires = "snapshot")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub snapshot_after: u64,

    /// Save every frame that is taken to this folder, with an index (NAME.csv); --mode every takes each one
    #[arg(long, value_name = "DIR")]
    pub record: Option<PathBuf>,

    /// What the frames of --record become; without it, png, and raw where the stream carries no images
    #[arg(long, value_enum, requires = "record")]
    pub record_kind: Option<RecordKind>,

    /// Threads that encode and write with --record; without it one a core, at most 16
    #[arg(long, value_name = "N", requires = "record", value_parser = clap::value_parser!(u8).range(1..=64))]
    pub record_threads: Option<u8>,

    /// Stop after so many frames
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub frames: Option<u64>,

    /// Stop so many seconds after attaching
    #[arg(long, value_name = "S", value_parser = positive_seconds)]
    pub seconds: Option<Duration>,

    /// Stop when the producer closes the stream, instead of waiting for the next one
    #[arg(long)]
    pub until_closed: bool,

    /// How long to wait for a stream that is not there, in seconds; without it for ever, and 0 is not at all
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub patience: Option<Duration>,

    /// Keep each frame so many milliseconds before giving it back: a slow viewer, to try things out
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub hold: u64,

    /// Keep the last N frames, at most the stream's max_held - 1
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub hold_frames: usize,

    /// Write the frames to standard output, for ffmpeg, ffplay or GStreamer
    #[arg(long, value_enum)]
    pub pipe: Option<PipeFormat>,

    /// Serve the streams to browsers at this address, instead of viewing one: HOST:PORT, or a PORT of this machine alone
    ///
    /// --stream, --config and --backend say which streams are shown; without them, it is all of this machine. The program
    /// `framebus web` does the same and has more options.
    #[arg(long, value_name = "ADDR", value_parser = framebus_web::address)]
    #[arg(conflicts_with_all = ["mode", "wait", "spin_budget", "verify", "snapshot", "snapshot_after", "frames", "seconds"])]
    #[arg(conflicts_with_all = ["until_closed", "patience", "hold", "hold_frames", "pipe", "json", "interval", "label"])]
    #[arg(conflicts_with_all = ["window", "terminal", "record", "max_age_ms", "max_skipped_per_s", "enforce"])]
    pub web: Option<SocketAddr>,

    /// Show the stream in a window, over X11
    ///
    /// Keys: space pauses, → or . goes on by one frame, s saves a PNG with all bits to the working directory, n and p go to
    /// the next and previous stream of the bus, o hides the figures, c changes the colours of depth and grey, f shows a
    /// pixel as a pixel, q ends.
    #[arg(long, conflicts_with = "terminal")]
    pub window: bool,

    /// Show the stream in the terminal of standard output, with the same keys
    #[arg(long, conflicts_with = "pipe")]
    pub terminal: bool,

    /// How the terminal shows pictures; auto asks it
    #[arg(long, value_enum, default_value_t, requires = "terminal")]
    pub graphics: GraphicsKind,

    /// Most pictures a second in the terminal
    #[arg(long, value_name = "HZ", default_value = "15", value_parser = rate, requires = "terminal")]
    pub terminal_fps: f32,

    /// Print one JSON object an interval and a last one as the summary (to standard error with --pipe or --terminal)
    #[arg(long)]
    pub json: bool,

    /// Length of an interval of the figures, in seconds
    #[arg(long, value_name = "S", default_value = "1", value_parser = positive_seconds)]
    pub interval: Duration,

    /// What others see this viewer called, up to 31 bytes
    #[arg(long, value_name = "NAME", default_value = "viewer")]
    pub label: String,

    /// Say nothing but errors (and JSON, where asked for)
    #[arg(long, short)]
    pub quiet: bool,
}

impl Arguments {
    /// Whether frames are taken in order, each one.
    pub(crate) fn takes_every(&self) -> bool {
        self.mode == Some(Mode::Every)
    }
}

/// Which frames a viewer takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// The newest one each time; those in between are skipped
    #[default]
    Latest,
    /// Each one in order; a stream with on_full = "wait" waits for this viewer
    Every,
}

/// How a viewer waits for the next frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WaitKind {
    /// Sleep until the producer wakes us
    Block,
    /// Look without pause: the least latency, at the price of a core
    Spin,
    /// Sleep until shortly before the next frame is due, and spin from there; without a rhythm as block
    Predict,
}

impl From<WaitKind> for framebus::Wait {
    fn from(kind: WaitKind) -> Self {
        match kind {
            WaitKind::Block => framebus::Wait::Block,
            WaitKind::Spin => framebus::Wait::Spin,
            WaitKind::Predict => framebus::Wait::Predict,
        }
    }
}

/// How a terminal shows pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum GraphicsKind {
    /// The best of what the terminal says it has
    #[default]
    Auto,
    /// Two pixels a character: every terminal with colours has them
    Blocks,
    /// The protocol of kitty and Ghostty
    Kitty,
    /// Sixels, as in xterm, foot and Windows Terminal
    Sixel,
    /// The protocol of iTerm2 and WezTerm
    Iterm2,
}

/// What goes to standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PipeFormat {
    /// YUV4MPEG2: its header says size and rate, so that readers need no options; i420 and mono as they are, nv12, yuyv
    /// and rgb converted to i420
    Y4m,
    /// The bytes as they are, without the rows' padding; the line to read them with is said on standard error
    Raw,
}

/// What the frames of a recording become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RecordKind {
    /// A picture each: lossless, 16 bits kept, and a producer plays them again
    Png,
    /// A picture each, small: 8 bits, and not quite what they were
    Jpg,
    /// A picture each: lossless, 16 bits and floats kept; as large as the frames, and least to compute
    Tiff,
    /// One file with the bytes of all frames, without padding, and nothing between them
    Raw,
}

impl RecordKind {
    /// The kind of picture, where each frame is one.
    pub(crate) fn picture(self) -> Option<FileKind> {
        match self {
            Self::Png => Some(FileKind::Png),
            Self::Jpg => Some(FileKind::Jpeg),
            Self::Tiff => Some(FileKind::Tiff),
            Self::Raw => None,
        }
    }

    /// The end of its files' names.
    pub(crate) fn end(self) -> &'static str {
        self.picture().map_or("raw", FileKind::end)
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("{text:?} is no number of seconds"))?;
    Duration::try_from_secs_f64(seconds).map_err(|_| format!("{text} s is out of range: expected 0 or more"))
}

fn positive_seconds(text: &str) -> Result<Duration, String> {
    match seconds(text)? {
        // A nanosecond is where the figures begin to have a meaning.
        Duration::ZERO => Err(format!("{text} s is out of range: expected more than 0")),
        time => Ok(time),
    }
}

fn rate(text: &str) -> Result<f32, String> {
    let hz: f32 = text.parse().map_err(|_| format!("{text:?} is no number of pictures a second"))?;
    match (0.1..=240.0).contains(&hz) {
        true => Ok(hz),
        false => Err(format!("{text} is out of range: expected 0.1 to 240 pictures a second")),
    }
}

fn percent(text: &str) -> Result<f32, String> {
    let percent: f32 = text.parse().map_err(|_| format!("{text:?} is no number of per cent"))?;
    match (0.1..=100.0).contains(&percent) {
        true => Ok(percent),
        false => Err(format!("{text} is out of range: expected 0.1 to 100 per cent of a core")),
    }
}

fn snapshot_file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match FileKind::of(&path) {
        Some(_) => Ok(path),
        None => {
            Err(format!("{text:?} is no picture file: expected a name that ends in .png, .jpg, .jpeg, .tif or .tiff"))
        }
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

    fn parse(words: &[&str]) -> Result<Arguments, String> {
        let words = std::iter::once(&"viewer").chain(words);
        Program::try_parse_from(words).map(|program| program.arguments).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_at_all_is_a_good_command_line() {
        let arguments = parse(&[]).unwrap();
        assert_eq!((arguments.mode, arguments.wait, arguments.patience), (None, None, None));
        assert_eq!(arguments.interval, Duration::from_secs(1));
    }

    #[test]
    fn values_that_can_not_be_are_refused_with_what_was_expected() {
        assert!(parse(&["--snapshot", "a.gif"]).unwrap_err().contains("ends in .png, .jpg"));
        assert!(parse(&["--seconds", "0"]).unwrap_err().contains("expected more than 0"));
        assert!(parse(&["--patience", "-1"]).is_err());
        assert!(parse(&["--patience", "soon"]).unwrap_err().contains("no number of seconds"));
        assert!(parse(&["--frames", "0"]).is_err());
        assert!(parse(&["--max-age-ms", "0"]).unwrap_err().contains("expected 0.001 to 3600000 ms"));
        assert!(parse(&["--max-skipped-per-s", "none", "--max-age-ms", "0.5", "--enforce"]).is_ok());
        assert!(parse(&["--spin-budget", "0"]).unwrap_err().contains("0.1 to 100"));
        assert!(parse(&["--record-kind", "png"]).unwrap_err().contains("--record"));
        assert!(parse(&["--record", "a", "--record-threads", "0"]).is_err());
        assert!(parse(&["--web", "nowhere"]).unwrap_err().contains("expected HOST:PORT"));
        assert!(parse(&["--snapshot-after", "3"]).unwrap_err().contains("--snapshot"));
        assert!(parse(&["--terminal", "--terminal-fps", "0"]).unwrap_err().contains("0.1 to 240"));
        assert!(parse(&["--terminal", "--pipe", "raw"]).unwrap_err().contains("cannot be used with"));
        assert!(parse(&["--window", "--terminal"]).unwrap_err().contains("cannot be used with"));
        assert!(parse(&["--graphics", "sixel"]).unwrap_err().contains("--terminal"));
        assert!(parse(&["--terminal", "--graphics", "sixel", "--json"]).is_ok());
        assert!(parse(&["--window", "--pipe", "raw", "--json"]).is_ok());
        assert!(parse(&["--snapshot", "a.JPG", "--patience", "0", "--mode", "every", "--pipe", "y4m"]).is_ok());
    }

    #[test]
    fn serving_to_browsers_does_not_go_with_viewing() {
        for other in
            [&["--pipe", "y4m"][..], &["--snapshot", "a.png"], &["--verify"], &["--json"], &["--mode", "every"]]
        {
            let words = [&["--web", "8080"], other].concat();
            let error = parse(&words).unwrap_err();
            assert!(error.contains("'--web <ADDR>' cannot be used with"), "{other:?}: {error}");
        }
        let arguments = parse(&["--web", "0", "--stream", "a/b", "--backend", "file", "--config", "x.toml", "--quiet"]);
        assert_eq!(arguments.unwrap().web.unwrap().to_string(), "127.0.0.1:0");
    }
}
