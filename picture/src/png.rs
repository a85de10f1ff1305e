//! PNG for screens: quickly written, and not as small as it could be.

use anyhow::Context;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};

use crate::preview::Preview;

/// Encodes a preview into `out`, which is cleared first.
///
/// # Errors
/// A preview of no size.
pub fn write_png(preview: &Preview, out: &mut Vec<u8>) -> anyhow::Result<()> {
    out.clear();
    PngEncoder::new_with_quality(&mut *out, CompressionType::Fast, FilterType::Up)
        .write_image(preview.rgb(), preview.width(), preview.height(), ExtendedColorType::Rgb8)
        .context("encoding a preview as PNG")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preview::Look;
    use framebus::{ImageShape, ImageView, PixelFormat};

    #[test]
    fn every_bit_of_a_preview_is_kept() {
        let shape = ImageShape::new(5, 3, PixelFormat::Rgb8).unwrap();
        let bytes: Vec<u8> = (0..45).map(|at| (at * 37) as u8).collect();
        let mut preview = Preview::default();
        preview.draw(ImageView::new(shape, &bytes).unwrap(), &Look::default()).unwrap();
        let mut png = vec![1];
        write_png(&preview, &mut png).unwrap();
        assert_eq!(image::load_from_memory(&png).unwrap().to_rgb8().as_raw(), &bytes);
    }
}
