//! Pictures as frames of a stream: what `images` and `gif` have in common.
//!
//! A thread of its own reads, decodes and converts ahead, into a bounded channel, so that a large picture makes no frame
//! late.

use std::fmt;
use std::time::Duration;

use anyhow::Context;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use framebus::{Content, ImageShape, PixelFormat};
use image::DynamicImage;

use super::{Arrival, Order};
use crate::stop::Stop;
use framebus_program::usage;

/// Decoded frames that wait at most; one more is in the making.
const AHEAD: usize = 4;

/// Longest time without a look at the stop.
const SLICE: Duration = Duration::from_millis(100);

/// Where the thread puts its frames; nobody takes them any more where that fails.
pub(crate) type Frames = Sender<anyhow::Result<Picture>>;

/// A frame as the stream wants it.
#[derive(Debug)]
pub(crate) struct Picture {
    pub(crate) shape: ImageShape,
    pub(crate) bytes: Vec<u8>,
}

/// Frames that are decoded ahead.
#[derive(Debug)]
pub(crate) struct Decoded {
    stop: Stop,
    /// Frames as the stream wants them; `None` before `start`.
    frames: Option<Receiver<anyhow::Result<Picture>>>,
    /// The frame that has arrived.
    frame: Option<Picture>,
}

impl Decoded {
    pub(crate) fn new(stop: &Stop) -> Self {
        Self { stop: stop.clone(), frames: None, frame: None }
    }

    /// Starts the thread; it ends with `decode`, and the frames with it.
    pub(crate) fn start(&mut self, decode: impl FnOnce(&Frames) + Send + 'static) -> anyhow::Result<()> {
        let (sender, receiver) = bounded(AHEAD);
        std::thread::Builder::new()
            .name("decode".to_owned())
            .spawn(move || decode(&sender))
            .context("can not start the thread that decodes images")?;
        self.frames = Some(receiver);
        Ok(())
    }

    pub(crate) fn arrive(&mut self) -> anyhow::Result<Arrival> {
        let Some(frames) = &self.frames else { return Ok(Arrival::End) };
        while !self.stop.is_due() {
            match frames.recv_timeout(SLICE) {
                Ok(frame) => {
                    self.frame = Some(frame?);
                    return Ok(Arrival::Frame);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        Ok(Arrival::End)
    }

    pub(crate) fn write(&mut self, bytes: &mut [u8]) {
        if let Some(frame) = &self.frame {
            bytes.copy_from_slice(&frame.bytes);
        }
    }

    pub(crate) fn skip(&mut self) {
        self.frame = None;
    }

    /// The shape of the frame that has arrived.
    pub(crate) fn shape(&self) -> Option<ImageShape> {
        self.frame.as_ref().map(|frame| frame.shape)
    }
}

/// The stream's shape, if `source` can be converted to it.
pub(crate) fn shape_of_stream(order: &Order, source: &str) -> anyhow::Result<ImageShape> {
    let Content::Image(shape) = order.content else {
        return Err(usage!("can not publish {source} on stream {}: it carries {}", order.name, order.content));
    };
    if !CONVERTIBLE.contains(&shape.format()) {
        let formats: Vec<_> = CONVERTIBLE.iter().map(|format| format.name()).collect();
        return Err(usage!(
            "can not publish {source} on stream {}: its format is {}, expected one of {}; change the config or give \
             --format rgb8",
            order.name,
            shape.format(),
            formats.join(", ")
        ));
    }
    Ok(shape)
}

/// Refuses `what`, the first picture, where it has not the size that the stream is to begin with: pictures are converted, and not
/// scaled.
pub(crate) fn check_size(what: impl fmt::Display, found: (u32, u32), shape: &ImageShape) -> anyhow::Result<()> {
    let (width, height) = found;
    if found == (shape.width(), shape.height()) {
        return Ok(());
    }
    Err(usage!(
        "can not publish {what}: it is {width} × {height}, the stream begins with {} × {}: scale it, change the config, or give \
         --width {width} --height {height}",
        shape.width(),
        shape.height()
    ))
}

/// The formats that images are converted to.
const CONVERTIBLE: [PixelFormat; 7] = [
    PixelFormat::Mono8,
    PixelFormat::Mono16,
    PixelFormat::Rgb8,
    PixelFormat::Bgr8,
    PixelFormat::Rgba8,
    PixelFormat::Bgra8,
    PixelFormat::DepthF32,
];

/// A picture in the stream's format; in its shape, too, where it has the size that the stream began with.
pub(crate) fn frame_of(picture: DynamicImage, stream: &ImageShape) -> anyhow::Result<Picture> {
    let (width, height) = (picture.width(), picture.height());
    let shape = match (width, height) == (stream.width(), stream.height()) {
        true => *stream,
        false => ImageShape::new(width, height, stream.format())?,
    };
    let samples = convert(picture, shape.format());
    if shape.is_tight() {
        return Ok(Picture { shape, bytes: samples });
    }
    let mut frame = vec![0; shape.frame_bytes()];
    for plane in shape.planes() {
        for (row, samples) in samples.chunks_exact(plane.row_bytes).enumerate() {
            frame[plane.row(row)].copy_from_slice(samples);
        }
    }
    Ok(Picture { shape, bytes: frame })
}

/// The image's pixels in a format of `CONVERTIBLE`, without padding.
fn convert(picture: DynamicImage, format: PixelFormat) -> Vec<u8> {
    match format {
        PixelFormat::Mono8 => picture.into_luma8().into_raw(),
        PixelFormat::Mono16 => picture.into_luma16().into_raw().into_iter().flat_map(u16::to_ne_bytes).collect(),
        PixelFormat::DepthF32 => picture.into_luma16().into_raw().into_iter().flat_map(metres).collect(),
        PixelFormat::Rgba8 => picture.into_rgba8().into_raw(),
        PixelFormat::Bgra8 => swap_red_and_blue(picture.into_rgba8().into_raw(), 4),
        PixelFormat::Bgr8 => swap_red_and_blue(picture.into_rgb8().into_raw(), 3),
        _ => picture.into_rgb8().into_raw(),
    }
}

/// Depth is kept in pictures as millimetres of 16 bits, 0 where there is none: so does `viewer`.
fn metres(millimetres: u16) -> [u8; 4] {
    let metres = if millimetres == 0 { f32::NAN } else { f32::from(millimetres) / 1000.0 };
    metres.to_ne_bytes()
}

fn swap_red_and_blue(mut samples: Vec<u8>, pixel_bytes: usize) -> Vec<u8> {
    samples.chunks_exact_mut(pixel_bytes).for_each(|pixel| pixel.swap(0, 2));
    samples
}
