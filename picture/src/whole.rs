//! Any image frame as a picture for files: every pixel, every bit.

use crate::bayer::{Order, demosaic};
use crate::i420;
use anyhow::Context;
use framebus::{ImageView, PixelFormat};
use image::{DynamicImage, GrayImage, ImageBuffer, Luma, Rgb, RgbImage, RgbaImage};

/// One `f32` a pixel.
pub type Depth = ImageBuffer<Luma<f32>, Vec<f32>>;

/// A frame as a picture, in memory of its own.
#[derive(Clone, Debug, PartialEq)]
pub enum Picture {
    /// Integer samples of 8 or 16 bits.
    Samples(DynamicImage),
    /// Metres, as the frame has them. The `image` crate has no such pictures.
    Metres(Depth),
}

impl Picture {
    /// The picture as integers; depth in millimetres, 16 bits.
    pub fn into_image(self) -> DynamicImage {
        match self {
            Self::Samples(image) => image,
            Self::Metres(depth) => in_millimetres(&depth),
        }
    }
}

impl From<DynamicImage> for Picture {
    fn from(image: DynamicImage) -> Self {
        Self::Samples(image)
    }
}

/// Copies a frame into a picture. Samples of 16 bits keep them, and depth its metres.
///
/// # Errors
/// An image that does not fit its own size.
pub fn picture(view: ImageView<'_>) -> anyhow::Result<Picture> {
    let shape = view.shape();
    if shape.format() == PixelFormat::DepthF32 {
        let metres = pixels(view, |bytes| [f32::from_ne_bytes(bytes)]);
        let depth = Depth::from_raw(shape.width(), shape.height(), metres);
        return depth.map(Picture::Metres).with_context(|| misfit(view));
    }
    samples(view).map(Picture::Samples)
}

/// Copies a frame into a picture of integers; depth becomes millimetres.
fn samples(view: ImageView<'_>) -> anyhow::Result<DynamicImage> {
    use PixelFormat as F;
    let shape = view.shape();
    let (width, height) = (shape.width(), shape.height());
    let format = shape.format();
    let picture = match format {
        F::Mono8 => GrayImage::from_raw(width, height, pixels(view, |[y]| [y])).map(DynamicImage::from),
        F::Rgb8 => RgbImage::from_raw(width, height, pixels(view, |rgb: [u8; 3]| rgb)).map(DynamicImage::from),
        F::Bgr8 => RgbImage::from_raw(width, height, pixels(view, |[b, g, r]| [r, g, b])).map(DynamicImage::from),
        F::Rgba8 => RgbaImage::from_raw(width, height, pixels(view, |rgba: [u8; 4]| rgba)).map(DynamicImage::from),
        F::Bgra8 => {
            RgbaImage::from_raw(width, height, pixels(view, |[b, g, r, a]| [r, g, b, a])).map(DynamicImage::from)
        }
        F::Mono16 => luma16(view, u16::from_ne_bytes),
        F::DepthF32 => luma16(view, |bytes| millimetres(f32::from_ne_bytes(bytes))),
        F::Yuyv | F::Nv12 | F::I420 => RgbImage::from_raw(width, height, i420::to_rgb(view)?).map(DynamicImage::from),
        F::BayerRggb8 | F::BayerBggr8 | F::BayerGbrg8 | F::BayerGrbg8 => {
            let rgb = mosaic(view, |row, x| u16::from(row[x])).into_iter().map(|sample| sample as u8).collect();
            RgbImage::from_raw(width, height, rgb).map(DynamicImage::from)
        }
        F::BayerRggb16 | F::BayerBggr16 | F::BayerGbrg16 | F::BayerGrbg16 => {
            let rgb = mosaic(view, |row, x| u16::from_ne_bytes([row[2 * x], row[2 * x + 1]]));
            ImageBuffer::<Rgb<u16>, _>::from_raw(width, height, rgb).map(DynamicImage::from)
        }
    };
    picture.with_context(|| misfit(view))
}

fn misfit(view: ImageView<'_>) -> String {
    format!("an image of {} does not fit its own size", view.shape())
}

/// Depth in integers, as files without floats have it: millimetres, 16 bits.
pub(crate) fn in_millimetres(depth: &Depth) -> DynamicImage {
    let samples = depth.as_raw().iter().map(|metres| millimetres(*metres)).collect();
    let (width, height) = depth.dimensions();
    ImageBuffer::<Luma<u16>, _>::from_raw(width, height, samples).unwrap_or_default().into()
}

/// All pixels of a packed image, each turned from `IN` bytes into `OUT` samples, without padding.
fn pixels<const IN: usize, const OUT: usize, T>(view: ImageView<'_>, turn: impl Fn([u8; IN]) -> [T; OUT]) -> Vec<T> {
    let shape = view.shape();
    let mut samples = Vec::with_capacity(shape.width() as usize * shape.height() as usize * OUT);
    for row in view.rows(0) {
        samples.extend(row.as_chunks().0.iter().flat_map(|bytes| turn(*bytes)));
    }
    samples
}

fn luma16<const IN: usize>(view: ImageView<'_>, turn: impl Fn([u8; IN]) -> u16) -> Option<DynamicImage> {
    let shape = view.shape();
    let samples = pixels(view, |bytes| [turn(bytes)]);
    ImageBuffer::<Luma<u16>, _>::from_raw(shape.width(), shape.height(), samples).map(DynamicImage::from)
}

/// Metres in millimetres; what is no distance is 0, what is too far is the farthest.
fn millimetres(metres: f32) -> u16 {
    // `as` saturates, and makes 0 of NaN.
    (metres * 1000.0).round() as u16
}

fn mosaic(view: ImageView<'_>, sample: impl Fn(&[u8], usize) -> u16) -> Vec<u16> {
    let shape = view.shape();
    let Some(order) = Order::of(shape.format()) else { return Vec::new() };
    let rows: Vec<&[u8]> = view.rows(0).collect();
    demosaic(shape.width() as usize, shape.height() as usize, order, |x, y| sample(rows[y], x))
}

#[cfg(test)]
mod tests {
    use super::*;
    use PixelFormat as F;
    use framebus::ImageShape;

    /// The picture of an image whose first-plane rows repeat `pattern`, and further planes one byte each; with padding.
    fn paint(format: F, width: u32, height: u32, pattern: &[u8], chroma: &[u8]) -> DynamicImage {
        let stride = format.min_stride_bytes(width).unwrap() + 16;
        let shape = ImageShape::with_stride(width, height, format, stride).unwrap();
        let mut bytes = vec![0xEE; shape.frame_bytes()];
        for (index, plane) in shape.planes().enumerate() {
            for row in 0..plane.rows {
                for (column, byte) in bytes[plane.row(row)].iter_mut().enumerate() {
                    *byte = match (index, format) {
                        (0, _) => pattern[column % pattern.len()],
                        (_, F::Nv12) => chroma[column % 2],
                        (plane, _) => chroma[plane - 1],
                    };
                }
            }
        }
        picture(ImageView::new(shape, &bytes).unwrap()).unwrap().into_image()
    }

    #[test]
    fn packed_colours_keep_their_values() {
        let orange = [250, 120, 5];
        for (format, bytes) in [(F::Rgb8, vec![250, 120, 5]), (F::Bgr8, vec![5, 120, 250])] {
            let picture = paint(format, 5, 3, &bytes, &[]);
            assert!(picture.as_rgb8().unwrap().pixels().all(|pixel| pixel.0 == orange), "{format}");
        }
        for (format, bytes) in [(F::Rgba8, vec![250, 120, 5, 77]), (F::Bgra8, vec![5, 120, 250, 77])] {
            let picture = paint(format, 5, 3, &bytes, &[]);
            assert!(picture.as_rgba8().unwrap().pixels().all(|pixel| pixel.0 == [250, 120, 5, 77]), "{format}");
        }
    }

    #[test]
    fn grey_keeps_8_and_16_bits() {
        assert!(paint(F::Mono8, 3, 2, &[42], &[]).as_luma8().unwrap().pixels().all(|pixel| pixel.0 == [42]));
        let picture = paint(F::Mono16, 3, 2, &0xABCD_u16.to_ne_bytes(), &[]);
        assert!(picture.as_luma16().unwrap().pixels().all(|pixel| pixel.0 == [0xABCD]));
    }

    #[test]
    fn yuv_red_is_red() {
        // BT.601, limited: Y 81, U 90, V 240.
        for (width, height) in [(4, 4), (5, 3), (64, 33)] {
            for (format, luma) in [(F::Yuyv, &[81, 90, 81, 240][..]), (F::Nv12, &[81]), (F::I420, &[81])] {
                let picture = paint(format, width, height, luma, &[90, 240]);
                let near = |pixel: &Rgb<u8>| pixel.0[0] > 250 && pixel.0[1] < 5 && pixel.0[2] < 5;
                assert!(picture.as_rgb8().unwrap().pixels().all(near), "{format} {width} × {height}");
            }
        }
    }

    #[test]
    fn every_bayer_order_finds_its_colours() {
        let [red, green, blue] = [200_u8, 90, 10];
        for (format8, format16, tile) in [
            (F::BayerRggb8, F::BayerRggb16, [[red, green], [green, blue]]),
            (F::BayerBggr8, F::BayerBggr16, [[blue, green], [green, red]]),
            (F::BayerGbrg8, F::BayerGbrg16, [[green, blue], [red, green]]),
            (F::BayerGrbg8, F::BayerGrbg16, [[green, red], [blue, green]]),
        ] {
            let shape = ImageShape::with_stride(6, 4, format8, 10).unwrap();
            let bytes: Vec<u8> = (0..shape.frame_bytes()).map(|at| tile[at / 10 % 2][at % 10 % 2]).collect();
            let small = samples(ImageView::new(shape, &bytes).unwrap()).unwrap();
            assert!(small.as_rgb8().unwrap().pixels().all(|pixel| pixel.0 == [red, green, blue]), "{format8}");

            let shape = ImageShape::with_stride(6, 4, format16, 20).unwrap();
            let wide: Vec<u8> = bytes.iter().flat_map(|&byte| (u16::from(byte) << 8).to_ne_bytes()).collect();
            let deep = samples(ImageView::new(shape, &wide).unwrap()).unwrap();
            let expected = [red, green, blue].map(|colour| u16::from(colour) << 8);
            assert!(deep.as_rgb16().unwrap().pixels().all(|pixel| pixel.0 == expected), "{format16}");
        }
    }

    #[test]
    fn depth_is_millimetres_and_no_depth_is_nothing() {
        for (metres, expected) in
            [(1.234, 1234), (0.0, 0), (f32::NAN, 0), (-1.0, 0), (f32::INFINITY, u16::MAX), (100.0, u16::MAX)]
        {
            let picture = paint(F::DepthF32, 2, 2, &f32::to_ne_bytes(metres), &[]);
            assert!(picture.as_luma16().unwrap().pixels().all(|pixel| pixel.0 == [expected]), "{metres} m");
        }
    }

    #[test]
    fn every_format_has_a_picture() {
        for format in F::all() {
            let shape = ImageShape::new(7, 5, format).unwrap();
            let bytes = vec![0; shape.frame_bytes()];
            let picture = picture(ImageView::new(shape, &bytes).unwrap()).unwrap().into_image();
            assert_eq!((picture.width(), picture.height()), (7, 5), "{format}");
        }
    }
}
