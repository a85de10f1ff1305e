//! Where frames come from.
//!
//! A source is first opened, which tells what it knows of shape and rate; then prepared for the stream as it is to be;
//! then asked for one frame after the other: `arrive` waits until the next one begins, and `write` writes it into the
//! loaned slot, or `skip` consumes it where there was no slot.

mod again;
mod exec;
mod group;
mod images;
mod input;
mod pattern;
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
use images::Images;
use input::{Ended, Input};
use pattern::Pattern;
use raw::Raw;
#[cfg(feature = "v4l2")]
use v4l2::V4l2;
use y4m::Y4m;

/// The value of `--source`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceSpec {
    /// A synthetic camera.
    Pattern,
    /// PNG and JPEG files of a directory, or of a glob, in the order of their names.
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
                "{text:?} is no source: expected pattern, images:DIR_OR_GLOB, y4m:PATH, raw:PATH (- is standard input), \
                 exec:COMMAND or v4l2:/dev/videoN"
            )
        };
        match text.split_once(':') {
            None if text == "pattern" => Ok(Self::Pattern),
            Some((_, "")) | None => Err(unknown()),
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
            Self::Pattern => write!(out, "pattern"),
            Self::Images(path) => write!(out, "images:{path}"),
            Self::Y4m(path) => write!(out, "y4m:{path}"),
            Self::Raw(path) => write!(out, "raw:{path}"),
            Self::Exec(command) => write!(out, "exec:{command}"),
            Self::V4l2(path) => write!(out, "v4l2:{path}"),
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
            SourceSpec::Pattern => Self::Pattern(Box::default()),
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
            Self::Pattern(_) => Ok(Arrival::Frame),
            Self::Images(images) => images.arrive(),
            Self::Y4m(video) => video.arrive(),
            Self::Raw(raw) => raw.arrive(),
            Self::Exec(exec) => exec.arrive(),
            #[cfg(feature = "v4l2")]
            Self::V4l2(camera) => camera.arrive(),
        }
    }

    /// Writes the frame that has arrived. On an error, `bytes` may hold a part of it.
    pub(crate) fn write(&mut self, bytes: &mut [u8], sequence: u64, capture_ns: u64) -> anyhow::Result<Written> {
        match self {
            Self::Pattern(pattern) => pattern.write(bytes, sequence, capture_ns),
            Self::Images(images) => images.write(bytes),
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
            Self::Pattern(_) => {}
            Self::Images(images) => images.skip(),
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
            Self::Pattern(_) => false,
            #[cfg(feature = "v4l2")]
            Self::V4l2(_) => false,
            // A command is held back by its full pipe.
            Self::Images(_) | Self::Y4m(_) | Self::Raw(_) | Self::Exec(_) => true,
        }
    }
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
        for text in ["pattern", "images:/a/b*.png", "y4m:-", "raw:c:d", "exec:a -b c:d | e", "v4l2:/dev/video0"] {
            assert_eq!(text.parse::<SourceSpec>().unwrap().to_string(), text);
        }
        for wrong in ["", "patterns", "y4m", "y4m:", "raw:", "images:", "v4l2:", "exec:", "pattern:"] {
            assert!(wrong.parse::<SourceSpec>().unwrap_err().contains("is no source: expected pattern"), "{wrong}");
        }
    }
}
