//! JPEG: the quick encoder; with the feature `turbojpeg` the quicker one for browsers.

use std::io::Write;

use anyhow::Context;
use image::DynamicImage;
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use crate::preview::Preview;

/// Of files: hardly to be told from the original by eye.
const QUALITY: u8 = 92;

/// Encodes a preview into `out`, which is cleared first. `quality` is 1 to 100.
///
/// Colours at half the resolution, as video has them: eyes hardly see it, and it takes half the time.
///
/// # Errors
/// More than 65,535 pixels wide or high.
pub fn write_jpeg(preview: &Preview, quality: u8, out: &mut Vec<u8>) -> anyhow::Result<()> {
    out.clear();
    let (width, height) = sides(preview.width(), preview.height())?;
    encode(preview.rgb(), width, height, quality.clamp(1, 100), out)
}

/// Encodes a picture of 8 bits into a file, colours at full resolution.
pub(crate) fn write_picture(picture: &DynamicImage, out: impl Write) -> anyhow::Result<()> {
    let mut encoder = Encoder::new(out, QUALITY);
    encoder.set_sampling_factor(SamplingFactor::F_1_1);
    let (width, height) = sides(picture.width(), picture.height())?;
    match picture {
        DynamicImage::ImageRgb8(rgb) => encoder.encode(rgb.as_raw(), width, height, ColorType::Rgb)?,
        DynamicImage::ImageLuma8(grey) => encoder.encode(grey.as_raw(), width, height, ColorType::Luma)?,
        DynamicImage::ImageLuma16(_) => {
            encoder.encode(picture.to_luma8().as_raw(), width, height, ColorType::Luma)?;
        }
        // JPEG has no transparency.
        _ => encoder.encode(picture.to_rgb8().as_raw(), width, height, ColorType::Rgb)?,
    }
    Ok(())
}

fn sides(width: u32, height: u32) -> anyhow::Result<(u16, u16)> {
    let side = |pixels: u32| u16::try_from(pixels).context("a JPEG has at most 65,535 pixels a side");
    Ok((side(width)?, side(height)?))
}

#[cfg(not(feature = "turbojpeg"))]
fn encode(rgb: &[u8], width: u16, height: u16, quality: u8, out: &mut Vec<u8>) -> anyhow::Result<()> {
    let mut encoder = Encoder::new(out, quality);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder.encode(rgb, width, height, ColorType::Rgb)?;
    Ok(())
}

#[cfg(feature = "turbojpeg")]
fn encode(rgb: &[u8], width: u16, height: u16, quality: u8, out: &mut Vec<u8>) -> anyhow::Result<()> {
    use turbojpeg::{Image, PixelFormat, Subsamp};
    let (width, height) = (usize::from(width), usize::from(height));
    let image = Image { pixels: rgb, width, pitch: 3 * width, height, format: PixelFormat::RGB };
    out.extend_from_slice(&turbojpeg::compress(image, quality.into(), Subsamp::Sub2x2)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preview::Look;
    use framebus::{ImageShape, ImageView, PixelFormat};

    #[test]
    fn a_jpeg_has_the_previews_size_and_colours() {
        let shape = ImageShape::new(50, 30, PixelFormat::Rgb8).unwrap();
        let bytes: Vec<u8> = [200, 100, 50].repeat(50 * 30);
        let mut preview = Preview::default();
        preview.draw(ImageView::new(shape, &bytes).unwrap(), &Look::default()).unwrap();
        let mut jpeg = vec![1, 2, 3];
        write_jpeg(&preview, 90, &mut jpeg).unwrap();
        let picture = image::load_from_memory(&jpeg).unwrap().to_rgb8();
        assert_eq!(picture.dimensions(), (50, 30));
        let near = |pixel: &image::Rgb<u8>| pixel.0.iter().zip([200, 100, 50]).all(|(a, b)| a.abs_diff(b) <= 4);
        assert!(picture.pixels().all(near));
    }
}
