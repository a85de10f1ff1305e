//! JPEG: the quick encoder.

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
    let mut encoder = Encoder::new(&mut *out, quality.clamp(1, 100));
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    let (width, height) = sides(preview.width(), preview.height())?;
    encoder.encode(preview.rgb(), width, height, ColorType::Rgb)?;
    Ok(())
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
