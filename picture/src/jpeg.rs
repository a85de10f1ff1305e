//! JPEG for browsers: the quick encoder; with the feature `turbojpeg` the quicker one.

use anyhow::Context;

use crate::preview::Preview;

/// Encodes a preview into `out`, which is cleared first. `quality` is 1 to 100.
///
/// Colours at half the resolution, as video has them: eyes hardly see it, and it takes half the time.
///
/// # Errors
/// More than 65,535 pixels wide or high.
pub fn write_jpeg(preview: &Preview, quality: u8, out: &mut Vec<u8>) -> anyhow::Result<()> {
    out.clear();
    let side = |pixels: u32| u16::try_from(pixels).context("a JPEG has at most 65,535 pixels a side");
    encode(preview.rgb(), side(preview.width())?, side(preview.height())?, quality.clamp(1, 100), out)
}

#[cfg(not(feature = "turbojpeg"))]
fn encode(rgb: &[u8], width: u16, height: u16, quality: u8, out: &mut Vec<u8>) -> anyhow::Result<()> {
    use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
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
