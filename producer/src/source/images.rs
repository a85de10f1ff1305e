//! PNG and JPEG files: `images:DIR`, `images:GLOB`.
//!
//! A thread of its own reads, decodes and converts ahead, into a bounded channel, so that a large file makes no frame
//! late; the frames come in the order of the files' names.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use framebus::{Content, ImageShape, PixelFormat};
use image::{ColorType, DynamicImage, ImageDecoder, ImageReader};

use super::{Arrival, Order};
use crate::stop::Stop;
use framebus_program::usage;

/// Decoded frames that wait at most; one more is in the making.
const AHEAD: usize = 4;

/// Longest time without a look at the stop.
const SLICE: Duration = Duration::from_millis(100);

/// A sequence of image files.
#[derive(Debug)]
pub(crate) struct Images {
    files: Vec<PathBuf>,
    first_shape: ImageShape,
    stop: Stop,
    /// Frames as the stream wants them; `None` before `prepare`.
    decoded: Option<Receiver<anyhow::Result<Vec<u8>>>>,
    /// The frame that has arrived.
    frame: Vec<u8>,
}

impl Images {
    pub(crate) fn open(path: &str, stop: &Stop) -> anyhow::Result<Self> {
        let files = list(path)?;
        let Some(first) = files.first() else {
            anyhow::bail!("can not read images:{path}: found no PNG or JPEG file there, expected at least one");
        };
        let first_shape = shape_of(first)?;
        Ok(Self { files, first_shape, stop: stop.clone(), decoded: None, frame: Vec::new() })
    }

    /// The shape that fits the first image.
    pub(crate) fn first_shape(&self) -> ImageShape {
        self.first_shape
    }

    pub(crate) fn prepare(&mut self, order: &Order) -> anyhow::Result<()> {
        let Content::Image(shape) = order.content else {
            return Err(usage!("can not publish images on stream {}: it carries {}", order.name, order.content));
        };
        if !CONVERTIBLE.contains(&shape.format()) {
            let formats: Vec<_> = CONVERTIBLE.iter().map(|format| format.name()).collect();
            return Err(usage!(
                "can not publish images on stream {}: its format is {}, expected one of {}; change the config or give \
                 --format rgb8",
                order.name,
                shape.format(),
                formats.join(", ")
            ));
        }
        check_size(&self.files[0], (self.first_shape.width(), self.first_shape.height()), &shape)?;
        let (sender, receiver) = bounded(AHEAD);
        let (files, start_over) = (self.files.clone(), order.start_over);
        std::thread::Builder::new()
            .name("decode".to_owned())
            .spawn(move || decode_all(&files, &shape, start_over, &sender))
            .context("can not start the thread that decodes images")?;
        self.decoded = Some(receiver);
        Ok(())
    }

    pub(crate) fn arrive(&mut self) -> anyhow::Result<Arrival> {
        let Some(decoded) = &self.decoded else { return Ok(Arrival::End) };
        while !self.stop.is_due() {
            match decoded.recv_timeout(SLICE) {
                Ok(frame) => {
                    self.frame = frame?;
                    return Ok(Arrival::Frame);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        Ok(Arrival::End)
    }

    pub(crate) fn write(&mut self, bytes: &mut [u8]) {
        bytes.copy_from_slice(&self.frame);
    }

    pub(crate) fn skip(&mut self) {
        self.frame.clear();
    }
}

/// The formats that images are converted to.
const CONVERTIBLE: [PixelFormat; 6] = [
    PixelFormat::Mono8,
    PixelFormat::Mono16,
    PixelFormat::Rgb8,
    PixelFormat::Bgr8,
    PixelFormat::Rgba8,
    PixelFormat::Bgra8,
];

fn is_image(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    ["png", "jpg", "jpeg"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}

/// The image files of a directory or of a glob, in the order of their names.
fn list(path: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    if Path::new(path).is_dir() {
        for entry in std::fs::read_dir(path).with_context(|| format!("can not list images:{path}"))? {
            files.push(entry.with_context(|| format!("can not list images:{path}"))?.path());
        }
    } else {
        for entry in glob::glob(path).map_err(|error| usage!("images:{path} is no glob: {error}"))? {
            files.push(entry.with_context(|| format!("can not list images:{path}"))?);
        }
    }
    files.retain(|file| is_image(file) && file.is_file());
    files.sort();
    Ok(files)
}

/// The shape of an image, from its header alone.
fn shape_of(file: &Path) -> anyhow::Result<ImageShape> {
    let unreadable = || format!("can not read image {}", file.display());
    let reader = ImageReader::open(file).and_then(ImageReader::with_guessed_format).with_context(unreadable)?;
    let decoder = reader.into_decoder().with_context(unreadable)?;
    let (width, height) = decoder.dimensions();
    let format = match decoder.color_type() {
        ColorType::L8 | ColorType::La8 => PixelFormat::Mono8,
        ColorType::L16 | ColorType::La16 => PixelFormat::Mono16,
        ColorType::Rgba8 | ColorType::Rgba16 => PixelFormat::Rgba8,
        _ => PixelFormat::Rgb8,
    };
    ImageShape::new(width, height, format).with_context(unreadable)
}

fn check_size(file: &Path, found: (u32, u32), shape: &ImageShape) -> anyhow::Result<()> {
    let (width, height) = found;
    if found == (shape.width(), shape.height()) {
        return Ok(());
    }
    Err(usage!(
        "can not publish image {}: it is {width} × {height}, the stream {} × {}; all images must have the stream's size: \
         scale it, change the config, or give --width {width} --height {height}",
        file.display(),
        shape.width(),
        shape.height()
    ))
}

/// Decodes until the files or the readers are at their end.
fn decode_all(files: &[PathBuf], shape: &ImageShape, start_over: bool, sender: &Sender<anyhow::Result<Vec<u8>>>) {
    loop {
        for file in files {
            let frame = decode(file, shape);
            let failed = frame.is_err();
            if sender.send(frame).is_err() || failed {
                return;
            }
        }
        if !start_over {
            return;
        }
    }
}

fn decode(file: &Path, shape: &ImageShape) -> anyhow::Result<Vec<u8>> {
    let unreadable = || format!("can not read image {}", file.display());
    let reader = ImageReader::open(file).and_then(ImageReader::with_guessed_format).with_context(unreadable)?;
    let picture = reader.decode().with_context(unreadable)?;
    check_size(file, (picture.width(), picture.height()), shape)?;
    let samples = convert(picture, shape.format());
    if shape.is_tight() {
        return Ok(samples);
    }
    let mut frame = vec![0; shape.frame_bytes()];
    for plane in shape.planes() {
        for (row, samples) in samples.chunks_exact(plane.row_bytes).enumerate() {
            frame[plane.row(row)].copy_from_slice(samples);
        }
    }
    Ok(frame)
}

/// The image's pixels in a format of `CONVERTIBLE`, without padding.
fn convert(picture: DynamicImage, format: PixelFormat) -> Vec<u8> {
    match format {
        PixelFormat::Mono8 => picture.into_luma8().into_raw(),
        PixelFormat::Mono16 => picture.into_luma16().into_raw().into_iter().flat_map(u16::to_ne_bytes).collect(),
        PixelFormat::Rgba8 => picture.into_rgba8().into_raw(),
        PixelFormat::Bgra8 => swap_red_and_blue(picture.into_rgba8().into_raw(), 4),
        PixelFormat::Bgr8 => swap_red_and_blue(picture.into_rgb8().into_raw(), 3),
        _ => picture.into_rgb8().into_raw(),
    }
}

fn swap_red_and_blue(mut samples: Vec<u8>, pixel_bytes: usize) -> Vec<u8> {
    samples.chunks_exact_mut(pixel_bytes).for_each(|pixel| pixel.swap(0, 2));
    samples
}

#[cfg(test)]
mod tests {
    use super::*;
    use framebus::{Rate, StreamName};

    fn order(shape: ImageShape, start_over: bool) -> Order {
        let name = StreamName::new("test", "images").unwrap();
        Order { name, content: Content::Image(shape), rate: Rate::new(30, 1).unwrap(), start_over, mark: false }
    }

    fn directory() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, red) in [("b.png", 20), ("a.PNG", 10)] {
            let picture = image::RgbImage::from_pixel(3, 2, image::Rgb([red, 2, 3]));
            picture.save_with_format(directory.path().join(name), image::ImageFormat::Png).unwrap();
        }
        std::fs::write(directory.path().join("notes.txt"), "no image").unwrap();
        directory
    }

    fn open(path: &str) -> Images {
        Images::open(path, &Stop::never()).unwrap()
    }

    #[test]
    fn images_come_in_the_order_of_their_names_in_the_streams_format() {
        let directory = directory();
        let mut images = open(directory.path().to_str().unwrap());
        assert_eq!(images.first_shape(), ImageShape::new(3, 2, PixelFormat::Rgb8).unwrap());
        let shape = ImageShape::with_stride(3, 2, PixelFormat::Bgr8, 12).unwrap();
        images.prepare(&order(shape, false)).unwrap();
        for red in [10, 20] {
            assert_eq!(images.arrive().unwrap(), Arrival::Frame);
            let mut bytes = [0; 24];
            images.write(&mut bytes);
            assert_eq!(bytes[..12], [3, 2, red, 3, 2, red, 3, 2, red, 0, 0, 0]);
        }
        assert_eq!(images.arrive().unwrap(), Arrival::End);
    }

    #[test]
    fn images_of_a_glob_start_over_when_asked_to() {
        let directory = directory();
        let mut images = open(&format!("{}/b*", directory.path().display()));
        images.prepare(&order(ImageShape::new(3, 2, PixelFormat::Rgb8).unwrap(), true)).unwrap();
        for _ in 0..20 {
            assert_eq!(images.arrive().unwrap(), Arrival::Frame);
        }
    }

    #[test]
    fn an_image_of_another_size_is_named() {
        let directory = directory();
        let odd = directory.path().join("c.png");
        image::GrayImage::new(5, 4).save(&odd).unwrap();
        let mut images = open(directory.path().to_str().unwrap());
        images.prepare(&order(images.first_shape(), false)).unwrap();
        assert_eq!(images.arrive().unwrap(), Arrival::Frame);
        assert_eq!(images.arrive().unwrap(), Arrival::Frame);
        assert_eq!(
            images.arrive().unwrap_err().to_string(),
            format!(
                "can not publish image {}: it is 5 × 4, the stream 3 × 2; all images must have the stream's size: scale \
                 it, change the config, or give --width 5 --height 4",
                odd.display()
            )
        );
    }

    #[test]
    fn formats_that_images_are_not_converted_to_are_refused() {
        let directory = directory();
        let mut images = open(directory.path().to_str().unwrap());
        let error = images.prepare(&order(ImageShape::new(3, 2, PixelFormat::Nv12).unwrap(), false)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "can not publish images on stream test/images: its format is nv12, expected one of mono8, mono16, rgb8, bgr8, \
             rgba8, bgra8; change the config or give --format rgb8"
        );
    }
}
