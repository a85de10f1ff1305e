//! Planar YUV 4:2:0: what y4m readers understand, from what cameras deliver, and to RGB for pictures.
//!
//! RGB and YUV are converted by BT.601 in limited range, what ffmpeg assumes of such files without a word to the contrary,
//! and what most cameras deliver. A yuyv, nv12 or i420 frame does not say which it is.

use anyhow::{Context, bail};
use framebus::{ImageShape, ImageView, PixelFormat, Plane};
use yuv::{
    BufferStoreMut, YuvBiPlanarImage, YuvConversionMode, YuvPackedImage, YuvPlanarImage, YuvPlanarImageMut, YuvRange,
    YuvStandardMatrix,
};

const RANGE: YuvRange = YuvRange::Limited;
const MATRIX: YuvStandardMatrix = YuvStandardMatrix::Bt601;
const MODE: YuvConversionMode = YuvConversionMode::Balanced;

/// An i420 image without padding, made once and filled again for each frame.
#[derive(Debug)]
pub struct I420 {
    shape: ImageShape,
    bytes: Vec<u8>,
}

impl I420 {
    /// An empty image of this size.
    pub fn new(width: u32, height: u32) -> anyhow::Result<Self> {
        let shape = ImageShape::new(width, height, PixelFormat::I420)?;
        Ok(Self { shape, bytes: vec![0; shape.frame_bytes()] })
    }

    /// Whether [`fill`](Self::fill) takes images of this format.
    pub fn takes(format: PixelFormat) -> bool {
        use PixelFormat as F;
        matches!(format, F::Nv12 | F::Yuyv | F::Rgb8 | F::Bgr8 | F::Rgba8 | F::Bgra8)
    }

    /// The image that was filled in last.
    pub fn image(&self) -> Option<ImageView<'_>> {
        ImageView::new(self.shape, &self.bytes)
    }

    /// Converts an image of the same size into this one.
    pub fn fill(&mut self, image: ImageView<'_>) -> anyhow::Result<()> {
        let (from, stride) = (image.bytes(), image.shape().stride_bytes());
        match image.shape().format() {
            PixelFormat::Nv12 => {
                self.deinterleave(image);
                return Ok(());
            }
            PixelFormat::Yuyv => {
                self.unpack(image);
                return Ok(());
            }
            PixelFormat::Rgb8 => yuv::rgb_to_yuv420(&mut self.planes_mut(), from, stride, RANGE, MATRIX, MODE),
            PixelFormat::Bgr8 => yuv::bgr_to_yuv420(&mut self.planes_mut(), from, stride, RANGE, MATRIX, MODE),
            PixelFormat::Rgba8 => yuv::rgba_to_yuv420(&mut self.planes_mut(), from, stride, RANGE, MATRIX, MODE),
            PixelFormat::Bgra8 => yuv::bgra_to_yuv420(&mut self.planes_mut(), from, stride, RANGE, MATRIX, MODE),
            other => bail!("{other} has no conversion to i420"),
        }
        .with_context(|| format!("converting an image of {} to i420", image.shape()))
    }

    /// yuyv has the luma samples of i420, and twice its rows of chroma: each pair of rows becomes its mean.
    ///
    /// Not by the `yuv` crate, which in 0.8.20 leaves the last row out where their number is odd.
    fn unpack(&mut self, yuyv: ImageView<'_>) {
        let width = self.shape.width() as usize;
        let (y_plane, u_plane, v_plane) = self.split_mut();
        for (to, from) in y_plane.chunks_exact_mut(width).zip(yuyv.rows(0)) {
            to.iter_mut().zip(from.iter().step_by(2)).for_each(|(y, sample)| *y = *sample);
        }
        let targets = u_plane.chunks_exact_mut(width.div_ceil(2)).zip(v_plane.chunks_exact_mut(width.div_ceil(2)));
        let (mut evens, mut odds) = (yuyv.rows(0).step_by(2), yuyv.rows(0).skip(1).step_by(2));
        for (u_row, v_row) in targets {
            let Some(even) = evens.next() else { return };
            let odd = odds.next().unwrap_or(even);
            let pairs = even.chunks_exact(4).zip(odd.chunks_exact(4));
            for ((u, v), (above, below)) in u_row.iter_mut().zip(v_row).zip(pairs) {
                (*u, *v) = (mean(above[1], below[1]), mean(above[3], below[3]));
            }
        }
    }

    fn split_mut(&mut self) -> (&mut [u8], &mut [u8], &mut [u8]) {
        let luma = self.shape.planes().next().map_or(0, |plane| bytes_of(&plane));
        let (y_plane, chroma) = self.bytes.split_at_mut(luma);
        let (u_plane, v_plane) = chroma.split_at_mut(chroma.len() / 2);
        (y_plane, u_plane, v_plane)
    }

    fn planes_mut(&mut self) -> YuvPlanarImageMut<'_, u8> {
        let (width, height) = (self.shape.width(), self.shape.height());
        let (y_plane, u_plane, v_plane) = self.split_mut();
        YuvPlanarImageMut {
            y_plane: BufferStoreMut::Borrowed(y_plane),
            y_stride: width,
            u_plane: BufferStoreMut::Borrowed(u_plane),
            u_stride: width.div_ceil(2),
            v_plane: BufferStoreMut::Borrowed(v_plane),
            v_stride: width.div_ceil(2),
            width,
            height,
        }
    }

    /// nv12 has the very samples of i420, with U and V side by side.
    fn deinterleave(&mut self, nv12: ImageView<'_>) {
        let width = self.shape.width() as usize;
        let (y_plane, u_plane, v_plane) = self.split_mut();
        for (to, from) in y_plane.chunks_exact_mut(width).zip(nv12.rows(0)) {
            to.copy_from_slice(from);
        }
        let targets = u_plane.chunks_exact_mut(width.div_ceil(2)).zip(v_plane.chunks_exact_mut(width.div_ceil(2)));
        for ((u_row, v_row), pairs) in targets.zip(nv12.rows(1)) {
            for ((u, v), pair) in u_row.iter_mut().zip(v_row).zip(pairs.chunks_exact(2)) {
                (*u, *v) = (pair[0], pair[1]);
            }
        }
    }
}

/// The RGB bytes, without padding, of a yuyv, nv12 or i420 image.
pub(crate) fn to_rgb(image: ImageView<'_>) -> anyhow::Result<Vec<u8>> {
    let mut rgb = Vec::new();
    write_rgb(image, &mut rgb)?;
    Ok(rgb)
}

/// As [`to_rgb`], into memory that is used again.
pub(crate) fn write_rgb(image: ImageView<'_>, rgb: &mut Vec<u8>) -> anyhow::Result<()> {
    let shape = image.shape();
    let (width, height, rgb_stride) = (shape.width(), shape.height(), shape.width() * 3);
    rgb.resize(rgb_stride as usize * height as usize, 0);
    let mut planes = shape.planes().map(|plane| (&image.bytes()[range_of(&plane)], plane.stride_bytes as u32));
    let mut next = || planes.next().context("an image has its planes");
    match shape.format() {
        PixelFormat::Yuyv => yuv::yuyv422_to_rgb(&packed(image), rgb, rgb_stride, RANGE, MATRIX),
        PixelFormat::Nv12 => {
            let ((y_plane, y_stride), (uv_plane, uv_stride)) = (next()?, next()?);
            let image = YuvBiPlanarImage { y_plane, y_stride, uv_plane, uv_stride, width, height };
            yuv::yuv_nv12_to_rgb(&image, rgb, rgb_stride, RANGE, MATRIX, MODE)
        }
        PixelFormat::I420 => {
            let ((y_plane, y_stride), (u_plane, u_stride), (v_plane, v_stride)) = (next()?, next()?, next()?);
            let image = YuvPlanarImage { y_plane, y_stride, u_plane, u_stride, v_plane, v_stride, width, height };
            yuv::yuv420_to_rgb(&image, rgb, rgb_stride, RANGE, MATRIX)
        }
        other => bail!("{other} is no yuv format"),
    }
    .with_context(|| format!("converting an image of {shape} to rgb8"))
}

/// One pixel by the same rule, in 1/256.
pub(crate) fn rgb(y: u8, u: u8, v: u8) -> [u8; 3] {
    let (y, u, v) = (298 * (i32::from(y) - 16) + 128, i32::from(u) - 128, i32::from(v) - 128);
    [y + 409 * v, y - 100 * u - 208 * v, y + 516 * u].map(|sample| (sample >> 8).clamp(0, 255) as u8)
}

fn mean(one: u8, other: u8) -> u8 {
    u16::midpoint(u16::from(one) + 1, other.into()) as u8
}

fn packed(image: ImageView<'_>) -> YuvPackedImage<'_, u8> {
    let shape = image.shape();
    YuvPackedImage {
        yuy: image.bytes(),
        yuy_stride: shape.stride_bytes(),
        width: shape.width(),
        height: shape.height(),
    }
}

fn bytes_of(plane: &Plane) -> usize {
    plane.stride_bytes * plane.rows
}

fn range_of(plane: &Plane) -> std::ops::Range<usize> {
    plane.offset..plane.offset + bytes_of(plane)
}

#[cfg(test)]
mod tests {
    use super::*;
    use PixelFormat as F;

    /// Every byte of each plane's rows as told, padding 0xEE.
    fn paint(shape: ImageShape, byte: impl Fn(usize, usize, usize) -> u8) -> Vec<u8> {
        let mut bytes = vec![0xEE; shape.frame_bytes()];
        for (index, plane) in shape.planes().enumerate() {
            for row in 0..plane.rows {
                for (column, target) in bytes[plane.row(row)].iter_mut().enumerate() {
                    *target = byte(index, row, column);
                }
            }
        }
        bytes
    }

    #[test]
    fn nv12_is_taken_apart_byte_for_byte() {
        for (width, height, stride) in [(4, 4, 4), (5, 3, 8), (1, 1, 2)] {
            let shape = ImageShape::with_stride(width, height, F::Nv12, stride).unwrap();
            let nv12 = paint(shape, |plane, row, column| (100 * plane + 16 * row + column) as u8);
            let mut i420 = I420::new(width, height).unwrap();
            i420.fill(ImageView::new(shape, &nv12).unwrap()).unwrap();
            let expected = paint(i420.shape, |plane, row, column| match plane {
                0 => (16 * row + column) as u8,
                chroma => (100 + 16 * row + 2 * column + chroma - 1) as u8,
            });
            assert_eq!(i420.bytes, expected, "{width} × {height}");
        }
    }

    #[test]
    fn red_is_red_from_every_rgb_format_at_odd_sizes_and_strides() {
        let formats: [(F, &[u8]); 4] = [
            (F::Rgb8, &[255, 0, 0]),
            (F::Bgr8, &[0, 0, 255]),
            (F::Rgba8, &[255, 0, 0, 9]),
            (F::Bgra8, &[0, 0, 255, 9]),
        ];
        for (format, red) in formats {
            for (width, height) in [(2, 2), (5, 3), (64, 48), (1, 1)] {
                let stride = format.min_stride_bytes(width).unwrap() + 24;
                let shape = ImageShape::with_stride(width, height, format, stride).unwrap();
                let bytes = paint(shape, |_, _, column| red[column % red.len()]);
                let mut i420 = I420::new(width, height).unwrap();
                i420.fill(ImageView::new(shape, &bytes).unwrap()).unwrap();
                // BT.601, limited: Y 81, U 90, V 240.
                let expected = paint(i420.shape, |plane, _, _| [81, 90, 240][plane]);
                let near = |(a, b): (&u8, &u8)| a.abs_diff(*b) <= 1;
                assert!(i420.bytes.iter().zip(&expected).all(near), "{shape}: {:?}", &i420.bytes);
            }
        }
    }

    #[test]
    fn yuyv_gives_its_samples_to_i420() {
        for (width, height) in [(2, 2), (5, 3), (64, 48)] {
            let stride = F::Yuyv.min_stride_bytes(width).unwrap() + 12;
            let shape = ImageShape::with_stride(width, height, F::Yuyv, stride).unwrap();
            // Luma counts its pixels; chroma is higher by 2 in odd rows, so the mean of two rows is higher by 1.
            let byte = |row: usize, column: usize| match column % 4 {
                1 => 90 + row % 2 * 2,
                3 => 240 + row % 2 * 2,
                _ => 7 * row + column / 2,
            };
            let bytes = paint(shape, |_, row, column| byte(row, column) as u8);
            let mut i420 = I420::new(width, height).unwrap();
            i420.fill(ImageView::new(shape, &bytes).unwrap()).unwrap();
            let expected = paint(i420.shape, |plane, row, column| match plane {
                0 => (7 * row + column) as u8,
                chroma => [90, 240][chroma - 1] + u8::from(2 * row + 1 < height as usize),
            });
            assert_eq!(i420.bytes, expected, "{shape}");
        }
    }
}
