//! PNG, JPEG and TIFF files: `images:DIR`, `images:GLOB`. The frames come in the order of the files' names, each in its size.
//!
//! Grey files of 16 bits keep them, as mono16; in a stream of depth_f32 they are millimetres. So what `viewer --record` has
//! written can be played.

use std::path::{Path, PathBuf};

use anyhow::Context;
use framebus::{ImageShape, PixelFormat};
use image::{ColorType, ImageDecoder, ImageReader};

use super::Order;
use super::decoded::{Decoded, Frames, Picture, check_size, frame_of, shape_of_stream};
use crate::stop::Stop;
use framebus_program::usage;

/// A sequence of image files.
#[derive(Debug)]
pub(crate) struct Images {
    files: Vec<PathBuf>,
    first_shape: ImageShape,
    decoded: Decoded,
}

impl Images {
    pub(crate) fn open(path: &str, stop: &Stop) -> anyhow::Result<Self> {
        let files = list(path)?;
        let Some(first) = files.first() else {
            anyhow::bail!("can not read images:{path}: found no PNG, JPEG or TIFF file there, expected at least one");
        };
        let first_shape = shape_of(first)?;
        Ok(Self { files, first_shape, decoded: Decoded::new(stop) })
    }

    /// The shape that fits the first image.
    pub(crate) fn first_shape(&self) -> ImageShape {
        self.first_shape
    }

    pub(crate) fn prepare(&mut self, order: &Order) -> anyhow::Result<()> {
        let shape = shape_of_stream(order, "images")?;
        let first = (self.first_shape.width(), self.first_shape.height());
        check_size(format_args!("image {}", self.files[0].display()), first, &shape)?;
        let (files, start_over) = (self.files.clone(), order.start_over);
        self.decoded.start(move |frames| decode_all(&files, &shape, start_over, frames))
    }

    /// The frames, one after the other.
    pub(crate) fn frames(&mut self) -> &mut Decoded {
        &mut self.decoded
    }
}

fn is_image(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    ["png", "jpg", "jpeg", "tif", "tiff"].iter().any(|known| extension.eq_ignore_ascii_case(known))
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

/// Decodes until the files or the readers are at their end.
fn decode_all(files: &[PathBuf], shape: &ImageShape, start_over: bool, frames: &Frames) {
    loop {
        for file in files {
            let frame = decode(file, shape);
            let failed = frame.is_err();
            if frames.send(frame).is_err() || failed {
                return;
            }
        }
        if !start_over {
            return;
        }
    }
}

fn decode(file: &Path, shape: &ImageShape) -> anyhow::Result<Picture> {
    let unreadable = || format!("can not read image {}", file.display());
    let reader = ImageReader::open(file).and_then(ImageReader::with_guessed_format).with_context(unreadable)?;
    let picture = reader.decode().with_context(unreadable)?;
    frame_of(picture, shape).with_context(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Arrival;
    use framebus::{Content, Rate, StreamName};

    fn order(shape: ImageShape, start_over: bool) -> Order {
        let name = StreamName::new("test", "images").unwrap();
        Order {
            name,
            content: Content::Image(shape),
            rate: Rate::new(30, 1).unwrap(),
            start_over,
            mark: false,
            sizes: Vec::new(),
        }
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
            assert_eq!(images.frames().arrive().unwrap(), Arrival::Frame);
            let mut bytes = [0; 24];
            images.frames().write(&mut bytes);
            assert_eq!(bytes[..12], [3, 2, red, 3, 2, red, 3, 2, red, 0, 0, 0]);
        }
        assert_eq!(images.frames().arrive().unwrap(), Arrival::End);
    }

    #[test]
    fn images_of_a_glob_start_over_when_asked_to() {
        let directory = directory();
        let mut images = open(&format!("{}/b*", directory.path().display()));
        images.prepare(&order(ImageShape::new(3, 2, PixelFormat::Rgb8).unwrap(), true)).unwrap();
        for _ in 0..20 {
            assert_eq!(images.frames().arrive().unwrap(), Arrival::Frame);
        }
    }

    #[test]
    fn sixteen_bits_are_kept_and_are_millimetres_in_a_stream_of_depth() {
        for end in ["png", "tiff"] {
            let directory = tempfile::tempdir().unwrap();
            let samples = vec![0_u16, 1, 255, 256, 1234, 65535];
            let picture = image::ImageBuffer::<image::Luma<u16>, _>::from_raw(3, 2, samples.clone()).unwrap();
            picture.save(directory.path().join(format!("a.{end}"))).unwrap();
            let path = directory.path().to_str().unwrap().to_owned();
            let mut images = open(&path);
            let shape = ImageShape::new(3, 2, PixelFormat::Mono16).unwrap();
            assert_eq!(images.first_shape(), shape);
            let mut frame = |shape: ImageShape| {
                images.prepare(&order(shape, false)).unwrap();
                assert_eq!(images.frames().arrive().unwrap(), Arrival::Frame);
                let mut bytes = vec![0; shape.frame_bytes()];
                images.frames().write(&mut bytes);
                bytes
            };
            let grey: Vec<u16> = frame(shape).as_chunks().0.iter().map(|bytes| u16::from_ne_bytes(*bytes)).collect();
            assert_eq!(grey, samples, "{end}");
            let depth = frame(ImageShape::new(3, 2, PixelFormat::DepthF32).unwrap());
            let metres: Vec<f32> = depth.as_chunks().0.iter().map(|bytes| f32::from_ne_bytes(*bytes)).collect();
            assert!(metres[0].is_nan() && metres[1..] == [0.001, 0.255, 0.256, 1.234, 65.535], "{end}: {metres:?}");
        }
    }

    #[test]
    fn an_image_of_another_size_comes_in_its_size_and_in_the_streams_format() {
        let directory = directory();
        image::GrayImage::from_pixel(5, 4, image::Luma([7])).save(directory.path().join("b2.png")).unwrap();
        let mut images = open(directory.path().to_str().unwrap());
        let usual = ImageShape::with_stride(3, 2, PixelFormat::Rgb8, 12).unwrap();
        let other = ImageShape::new(5, 4, PixelFormat::Rgb8).unwrap();
        images.prepare(&order(usual, true)).unwrap();
        for shape in [usual, usual, other, usual] {
            assert_eq!(images.frames().arrive().unwrap(), Arrival::Frame);
            assert_eq!(images.frames().shape(), Some(shape));
            let mut bytes = vec![0; shape.frame_bytes()];
            images.frames().write(&mut bytes);
            assert!(shape != other || bytes == [7; 60]);
        }
    }

    #[test]
    fn a_first_image_of_another_size_than_the_streams_is_refused() {
        let directory = directory();
        let mut images = open(directory.path().to_str().unwrap());
        let error = images.prepare(&order(ImageShape::new(5, 4, PixelFormat::Rgb8).unwrap(), false)).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "can not publish image {}: it is 3 × 2, the stream begins with 5 × 4: scale it, change the config, or give \
                 --width 3 --height 2",
                directory.path().join("a.PNG").display()
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
             rgba8, bgra8, depth_f32; change the config or give --format rgb8"
        );
    }
}
