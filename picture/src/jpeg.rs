//! JPEG for browsers: the quick encoder.

use anyhow::Context;
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use crate::preview::Preview;

/// Encodes a preview into `out`, which is cleared first. `quality` is 1 to 100.
///
/// Colours at half the resolution, as video has them: eyes hardly see it, and it takes half the time.
///
/// # Errors
/// More than 65,535 pixels wide or high.
pub fn write_jpeg(preview: &Preview, quality: u8, out: &mut Vec<u8>) -> anyhow::Result<()> {
    out.clear();
    let (width, height) = (preview.width(), preview.height());
    let side = |pixels: u32| u16::try_from(pixels).context("a JPEG has at most 65,535 pixels a side");
    let mut encoder = Encoder::new(&mut *out, quality.clamp(1, 100));
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder.encode(preview.rgb(), side(width)?, side(height)?, ColorType::Rgb)?;
    Ok(())
}
