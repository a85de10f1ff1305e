//! Where frames come from.
//!
//! A source is first opened, which tells what it knows of shape and rate; then prepared for the stream as it is to be;
//! then asked for one frame after the other: `arrive` waits until the next one begins, and `write` writes it into the
//! loaned slot, or `skip` consumes it where there was no slot.

mod again;
mod decoded;
mod exec;
mod gif;
mod group;
mod images;
mod imu;
mod input;
mod lidar;
mod pattern;
mod random;
mod raw;
#[cfg(feature = "v4l2")]
mod v4l2;
#[cfg(any(feature = "v4l2", test))]
mod v4l2_frame;
#[cfg(any(feature = "v4l2", test))]
mod v4l2_modes;
#[cfg(feature = "v4l2")]
mod v4l2_open;
mod y4m;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use framebus::{Content, ImageShape, PixelFormat, Rate, StreamName};

use crate::stop::Stop;
use crate::summary::Counts;
use exec::Exec;
use gif::Gif;
use images::Images;
use imu::Imu;
use input::{Ended, Input};
use lidar::Lidar;
use pattern::Pattern;
pub use pattern::Scene;
use raw::Raw;
#[cfg(feature = "v4l2")]
use v4l2::V4l2;
use y4m::Y4m;

/// The value of `--source`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceSpec {
    /// A synthetic camera.
    Pattern(Scene),
    /// A synthetic inertial measurement unit: records [`framebus::sensors::Imu`].
    Imu,
    /// A synthetic laser scanner of so many beams: records [`framebus::sensors::LaserScan`].
    Lidar(u32),
    /// An animated GIF.
    Gif(String),
    /// PNG, JPEG and TIFF files of a directory, or of a glob, in the order of their names.
    Images(String),
    /// YUV4MPEG2 video from a file, or `-` for standard input.
    Y4m(String),
    /// Frames of the stream's size, one after the other, from a file, or `-` for standard input.
    Raw(String),
    /// What a shell command writes to its standard output: YUV4MPEG2 video, or else frames of the stream's size.
    Exec(String),
    /// A camera, by the path of its device.
    V4l2(String),
}

impl FromStr for SourceSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || {
            format!(
                "{text:?} is no source: expected pattern, pattern:SCENE, images:DIR_OR_GLOB, gif:PATH, y4m:PATH, y4m:-, \
                 raw:PATH, raw:- (- is standard input), imu, lidar, lidar:BEAMS, exec:COMMAND or v4l2:/dev/videoN"
            )
        };
        match text.split_once(':') {
            None if text == "pattern" => Ok(Self::Pattern(Scene::default())),
            None if text == "imu" => Ok(Self::Imu),
            None if text == "lidar" => Ok(Self::Lidar(lidar::DEFAULT_BEAMS)),
            Some((_, "")) | None => Err(unknown()),
            Some(("pattern", scene)) => scene.parse().map(Self::Pattern),
            Some(("lidar", beams)) => Lidar::parse_beams(beams).map(Self::Lidar),
            Some(("gif", path)) => Ok(Self::Gif(path.to_owned())),
            Some(("images", path)) => Ok(Self::Images(path.to_owned())),
            Some(("y4m", path)) => Ok(Self::Y4m(path.to_owned())),
            Some(("raw", path)) => Ok(Self::Raw(path.to_owned())),
            Some(("exec", command)) => Ok(Self::Exec(command.to_owned())),
            Some(("v4l2", path)) => Ok(Self::V4l2(path.to_owned())),
            Some(_) => Err(unknown()),
        }
    }
}

impl fmt::Display for SourceSpec {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pattern(Scene::Card) => write!(out, "pattern"),
            Self::Pattern(scene) => write!(out, "pattern:{scene}"),
            Self::Imu => write!(out, "imu"),
            Self::Lidar(lidar::DEFAULT_BEAMS) => write!(out, "lidar"),
            Self::Lidar(beams) => write!(out, "lidar:{beams}"),
            Self::Gif(path) => write!(out, "gif:{path}"),
            Self::Images(path) => write!(out, "images:{path}"),
            Self::Y4m(path) => write!(out, "y4m:{path}"),
            Self::Raw(path) => write!(out, "raw:{path}"),
            Self::Exec(command) => write!(out, "exec:{command}"),
            Self::V4l2(path) => write!(out, "v4l2:{path}"),
        }
    }
}

impl SourceSpec {
    /// What its stream carries, where that is not images.
    pub(crate) fn record(&self) -> Option<Content> {
        match self {
            Self::Imu => Some(Imu::content()),
            Self::Lidar(_) => Some(Lidar::content()),
            _ => None,
        }
    }
}

/// What an opened source knows of its frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) shape: Option<ImageShape>,
    pub(crate) rate: Option<Rate>,
}

/// What is asked for, as far as somebody said it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(not(feature = "v4l2"), allow(dead_code))]
pub(crate) struct Wish {
    pub(crate) width: Option<u32>,
    pub(crate) height: Option<u32>,
    pub(crate) format: Option<PixelFormat>,
    pub(crate) rate: Option<Rate>,
}

/// How a source is opened.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) stop: Stop,
    /// Where restarts and lost frames are counted.
    pub(crate) counts: Arc<Counts>,
    /// Whether what ended by itself is started again.
    pub(crate) restart: bool,
    #[cfg_attr(not(feature = "v4l2"), allow(dead_code))]
    pub(crate) wish: Wish,
}

/// What the frames are to be, and how the source is to make them.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) name: StreamName,
    pub(crate) content: Content,
    pub(crate) rate: Rate,
    pub(crate) start_over: bool,
    pub(crate) mark: bool,
    /// Sizes that a pattern takes in turn, one a second; empty: it keeps its own.
    pub(crate) sizes: Vec<(u32, u32)>,
}

/// Whether there is a next frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// There is.
    Frame,
    /// The source is at its end, or it is time to stop.
    End,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// It is complete.
    Whole,
    /// It was time to stop in its midst.
    Stopped,
    /// The source broke off in its midst, and will heal.
    Broken,
}

/// An opened source.
pub(crate) enum Source {
    Pattern(Box<Pattern>),
    Imu(Imu),
    Lidar(Lidar),
    Gif(Gif),
    Images(Images),
    Y4m(Y4m),
    Raw(Raw),
    Exec(Box<Exec>),
    #[cfg(feature = "v4l2")]
    V4l2(Box<V4l2>),
}

impl Source {
    /// Opens it, and reads as much as it takes to know the shape; `None`: it was time to stop meanwhile.
    pub(crate) fn open(spec: &SourceSpec, opening: Opening) -> anyhow::Result<Option<Self>> {
        let stop = &opening.stop;
        Ok(Some(match spec {
            SourceSpec::Pattern(scene) => Self::Pattern(Box::new(Pattern::new(*scene))),
            SourceSpec::Imu => Self::Imu(Imu::new()),
            SourceSpec::Lidar(beams) => Self::Lidar(Lidar::new(*beams)),
            SourceSpec::Gif(path) => Self::Gif(Gif::open(path, stop)?),
            SourceSpec::Images(path) => Self::Images(Images::open(path, stop)?),
            SourceSpec::Raw(path) => Self::Raw(Raw::open(Input::open(path, spec.to_string(), stop)?)),
            SourceSpec::Y4m(path) => match Y4m::open(Input::open(path, spec.to_string(), stop)?)? {
                Some(video) => Self::Y4m(video),
                None => return Ok(None),
            },
            SourceSpec::Exec(command) => match Exec::open(command, opening)? {
                Some(exec) => Self::Exec(Box::new(exec)),
                None => return Ok(None),
            },
            #[cfg(feature = "v4l2")]
            SourceSpec::V4l2(path) => Self::V4l2(Box::new(V4l2::open(path, opening)?)),
            #[cfg(not(feature = "v4l2"))]
            SourceSpec::V4l2(path) => {
                return Err(framebus_program::usage!(
                    "can not open v4l2:{path}: this program was built without the feature v4l2; build it with --features \
                     v4l2, or let ffmpeg read the camera: --source 'exec:ffmpeg -f v4l2 -i {path} -pix_fmt yuv420p -f \
                     yuv4mpegpipe -'"
                ));
            }
        }))
    }

    /// What it knows of its frames.
    pub(crate) fn told(&self) -> Told {
        match self {
            Self::Pattern(_) | Self::Raw(_) => Told::default(),
            Self::Imu(_) => Told { shape: None, rate: Some(imu::DEFAULT_RATE) },
            Self::Lidar(_) => Told { shape: None, rate: Some(lidar::DEFAULT_RATE) },
            Self::Gif(gif) => gif.told(),
            Self::Images(images) => Told { shape: Some(images.first_shape()), rate: None },
            Self::Y4m(video) => video.told(),
            Self::Exec(exec) => exec.told(),
            #[cfg(feature = "v4l2")]
            Self::V4l2(camera) => camera.told(),
        }
    }

    /// Makes it ready for the stream; fails where it can not make such frames.
    pub(crate) fn prepare(&mut self, order: &Order) -> anyhow::Result<()> {
        match self {
            Self::Pattern(pattern) => pattern.prepare(order),
            Self::Imu(imu) => {
                imu.prepare(order);
                Ok(())
            }
            Self::Lidar(lidar) => {
                lidar.prepare(order);
                Ok(())
            }
            Self::Gif(gif) => gif.prepare(order),
            Self::Images(images) => images.prepare(order),
            Self::Y4m(video) => video.prepare(order),
            Self::Raw(raw) => raw.prepare(order),
            Self::Exec(exec) => exec.prepare(order),
            #[cfg(feature = "v4l2")]
            Self::V4l2(camera) => camera.prepare(order),
        }
    }

    /// Waits until the next frame begins.
    pub(crate) fn arrive(&mut self) -> anyhow::Result<Arrival> {
        match self {
            Self::Pattern(pattern) => pattern.arrive(),
            Self::Imu(_) | Self::Lidar(_) => Ok(Arrival::Frame),
            Self::Gif(gif) => gif.frames().arrive(),
            Self::Images(images) => images.frames().arrive(),
            Self::Y4m(video) => video.arrive(),
            Self::Raw(raw) => raw.arrive(),
            Self::Exec(exec) => exec.arrive(),
            #[cfg(feature = "v4l2")]
            Self::V4l2(camera) => camera.arrive(),
        }
    }

    /// The shape of the frame that has arrived, where it may be another than that of the frame before. It is written in that.
    pub(crate) fn shape(&mut self) -> Option<ImageShape> {
        match self {
            Self::Pattern(pattern) => pattern.shape(),
            Self::Gif(gif) => gif.frames().shape(),
            Self::Images(images) => images.frames().shape(),
            Self::Y4m(video) => Some(video.shape()),
            Self::Exec(exec) => exec.shape(),
            #[cfg(feature = "v4l2")]
            Self::V4l2(camera) => Some(camera.shape()),
            Self::Imu(_) | Self::Lidar(_) | Self::Raw(_) => None,
        }
    }

    /// Writes the frame that has arrived. On an error, `bytes` may hold a part of it.
    pub(crate) fn write(&mut self, bytes: &mut [u8], sequence: u64, capture_ns: u64) -> anyhow::Result<Written> {
        match self {
            Self::Pattern(pattern) => pattern.write(bytes, sequence, capture_ns),
            Self::Imu(imu) => imu.write(bytes, sequence),
            Self::Lidar(lidar) => lidar.write(bytes, sequence),
            Self::Gif(gif) => gif.frames().write(bytes),
            Self::Images(images) => images.frames().write(bytes),
            Self::Y4m(video) => return video.write(bytes),
            Self::Raw(raw) => return raw.write(bytes),
            Self::Exec(exec) => return Ok(exec.write(bytes)),
            #[cfg(feature = "v4l2")]
            Self::V4l2(camera) => return Ok(camera.write(bytes)),
        }
        Ok(Written::Whole)
    }

    /// Consumes the frame that has arrived without writing it anywhere.
    pub(crate) fn skip(&mut self) -> anyhow::Result<Written> {
        match self {
            Self::Pattern(_) | Self::Imu(_) | Self::Lidar(_) => {}
            Self::Gif(gif) => gif.frames().skip(),
            Self::Images(images) => images.frames().skip(),
            Self::Y4m(video) => return video.skip(),
            Self::Raw(raw) => return raw.skip(),
            Self::Exec(exec) => return Ok(exec.skip()),
            #[cfg(feature = "v4l2")]
            Self::V4l2(camera) => camera.skip(),
        }
        Ok(Written::Whole)
    }

    /// When the frame that was just written was taken, in ns of the bus's clock, where the source knows it better than
    /// by its arrival.
    pub(crate) fn taken_ns(&self) -> Option<u64> {
        match self {
            #[cfg(feature = "v4l2")]
            Self::V4l2(camera) => camera.taken_ns(),
            _ => None,
        }
    }

    /// Whether a frame that could not be published is lost: then, on a stream that waits, it is tried again.
    pub(crate) fn is_recorded(&self) -> bool {
        match self {
            Self::Pattern(_) | Self::Imu(_) | Self::Lidar(_) => false,
            #[cfg(feature = "v4l2")]
            Self::V4l2(_) => false,
            // A command is held back by its full pipe.
            Self::Gif(_) | Self::Images(_) | Self::Y4m(_) | Self::Raw(_) | Self::Exec(_) => true,
        }
    }

    /// Whether its frames can be written before they are due: they are made here, and nobody is waited for.
    pub(crate) fn is_ahead(&self) -> bool {
        matches!(self, Self::Pattern(_) | Self::Imu(_) | Self::Lidar(_) | Self::Gif(_) | Self::Images(_))
    }
}

/// Whether two shapes are the same but for the distance of their rows: then frames are copied, without conversion.
fn differ_in_padding_only(one: &ImageShape, other: &ImageShape) -> bool {
    (one.width(), one.height(), one.format()) == (other.width(), other.height(), other.format())
}

/// The source ended where it should not.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct CutOff(String);

/// The end of a read of `expected` bytes of frame `frame` (from 1).
fn written(ended: Ended, input: &Input, frame: u64, already: usize, expected: usize) -> anyhow::Result<Written> {
    match ended {
        Ended::Whole => Ok(Written::Whole),
        Ended::Stopped => Ok(Written::Stopped),
        Ended::Short(found) => anyhow::bail!(
            "frame {frame} of {} is cut off: found {} bytes, expected {expected}; it was not published",
            input.name(),
            already + found
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read_as_they_are_written() {
        for text in [
            "pattern",
            "pattern:bars",
            "images:/a/b*.png",
            "gif:a",
            "y4m:-",
            "raw:c:d",
            "imu",
            "lidar",
            "lidar:9",
            "exec:a -b c:d | e",
            "v4l2:/dev/video0",
        ] {
            assert_eq!(text.parse::<SourceSpec>().unwrap().to_string(), text);
        }
        assert_eq!("pattern:card".parse(), Ok(SourceSpec::Pattern(Scene::Card)));
        assert!("pattern:smpte".parse::<SourceSpec>().unwrap_err().contains("expected one of card, bars"));
        assert!("lidar:9999".parse::<SourceSpec>().unwrap_err().contains("expected 1 to 1440"));
        for wrong in
            ["", "patterns", "y4m", "y4m:", "raw:", "images:", "imu:", "imu:9", "gif:", "v4l2:", "exec:", "pattern:"]
        {
            assert!(wrong.parse::<SourceSpec>().unwrap_err().contains("is no source: expected pattern"), "{wrong}");
        }
    }
}
