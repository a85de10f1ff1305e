//! Pixels of one colour, in every format.
//!
//! | format | what a colour becomes |
//! |---|---|
//! | rgb8, bgr8, rgba8, bgra8 | itself, opaque |
//! | mono8, mono16 | its luma (BT.601, full range), 16 bits: × 257 |
//! | yuyv, nv12, i420 | BT.601, limited range (16 to 235); pixels that share chroma have that of the last one painted |
//! | bayer | its red, green or blue, as the site has it; 16 bits: × 257 |
//! | depth_f32 | metres: 0.5 (black) to 10 (white), by its luma |
//!
//! Colours of 16 bits lose the lower 8 where a format has no more. Distances are metres in depth_f32 (NaN: none),
//! millimetres in mono16 (0: none), and grey in all others, the nearer the brighter (black: none).

use framebus::{ImageShape, PixelFormat as F, Plane};

/// A colour: red, green, blue.
pub(crate) type Rgb = [u8; 3];

/// A colour of 16 bits a channel.
pub(crate) type DeepRgb = [u16; 3];

/// The distance that is black where distances are grey, in metres.
const FARTHEST_GREY_M: f32 = 8.0;

/// Paints into frames of one shape.
#[derive(Clone, Debug)]
pub(crate) struct Painter {
    width: usize,
    height: usize,
    format: F,
    planes: [Plane; 3],
}

impl Painter {
    pub(crate) fn new(shape: &ImageShape) -> Self {
        // Formats of fewer planes never look at the others.
        let mut planes = shape.planes().cycle();
        let first = Plane { offset: 0, stride_bytes: 0, row_bytes: 0, rows: 0 };
        let planes = std::array::from_fn(|_| planes.next().unwrap_or(first));
        Self { width: shape.width() as usize, height: shape.height() as usize, format: shape.format(), planes }
    }

    /// Pixels in a row.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub(crate) fn height(&self) -> usize {
        self.height
    }

    /// Gives one pixel a colour; what lies outside the image is left out.
    #[inline]
    pub(crate) fn put_rgb(&self, bytes: &mut [u8], x: usize, y: usize, rgb: Rgb) {
        if x >= self.width || y >= self.height {
            return;
        }
        let [red, green, blue] = rgb;
        let row = self.planes[0].offset + y * self.planes[0].stride_bytes;
        match self.format {
            F::Mono8 => bytes[row + x] = luma(rgb),
            F::Mono16 => put(bytes, row + 2 * x, (u16::from(luma(rgb)) * 257).to_ne_bytes()),
            F::Rgb8 => put(bytes, row + 3 * x, rgb),
            F::Bgr8 => put(bytes, row + 3 * x, [blue, green, red]),
            F::Rgba8 => put(bytes, row + 4 * x, [red, green, blue, 255]),
            F::Bgra8 => put(bytes, row + 4 * x, [blue, green, red, 255]),
            F::Yuyv => {
                let [luma, u, v] = ycbcr(rgb);
                // Y0 U Y1 V: two pixels.
                let pair = row + 4 * (x / 2);
                bytes[pair + 2 * (x % 2)] = luma;
                (bytes[pair + 1], bytes[pair + 3]) = (u, v);
            }
            F::Nv12 => {
                let [luma, u, v] = ycbcr(rgb);
                bytes[row + x] = luma;
                put(bytes, self.planes[1].offset + y / 2 * self.planes[1].stride_bytes + x / 2 * 2, [u, v]);
            }
            F::I420 => {
                let [luma, u, v] = ycbcr(rgb);
                bytes[row + x] = luma;
                for (plane, sample) in [(self.planes[1], u), (self.planes[2], v)] {
                    bytes[plane.offset + y / 2 * plane.stride_bytes + x / 2] = sample;
                }
            }
            F::BayerRggb8 | F::BayerBggr8 | F::BayerGbrg8 | F::BayerGrbg8 => {
                bytes[row + x] = rgb[bayer_channel(self.format, x, y)];
            }
            F::BayerRggb16 | F::BayerBggr16 | F::BayerGbrg16 | F::BayerGrbg16 => {
                let sample = u16::from(rgb[bayer_channel(self.format, x, y)]) * 257;
                put(bytes, row + 2 * x, sample.to_ne_bytes());
            }
            F::DepthF32 => put(bytes, row + 4 * x, (0.5 + f32::from(luma(rgb)) / 255.0 * 9.5).to_ne_bytes()),
        }
    }

    /// As [`put_rgb`](Self::put_rgb), with 16 bits where the format has them.
    #[inline]
    pub(crate) fn put_deep(&self, bytes: &mut [u8], x: usize, y: usize, rgb: DeepRgb) {
        if x >= self.width || y >= self.height {
            return;
        }
        let row = self.planes[0].offset + y * self.planes[0].stride_bytes;
        match self.format {
            F::Mono16 => put(bytes, row + 2 * x, deep_luma(rgb).to_ne_bytes()),
            F::BayerRggb16 | F::BayerBggr16 | F::BayerGbrg16 | F::BayerGrbg16 => {
                put(bytes, row + 2 * x, rgb[bayer_channel(self.format, x, y)].to_ne_bytes());
            }
            F::DepthF32 => {
                put(bytes, row + 4 * x, (0.5 + f32::from(deep_luma(rgb)) / 65535.0 * 9.5).to_ne_bytes());
            }
            _ => self.put_rgb(bytes, x, y, rgb.map(|sample| (sample >> 8) as u8)),
        }
    }

    /// Gives one pixel a distance in metres; NaN where there is none.
    #[inline]
    pub(crate) fn put_depth(&self, bytes: &mut [u8], x: usize, y: usize, metres: f32) {
        if x >= self.width || y >= self.height {
            return;
        }
        let row = self.planes[0].offset + y * self.planes[0].stride_bytes;
        match self.format {
            F::DepthF32 => put(bytes, row + 4 * x, metres.to_ne_bytes()),
            // `as` saturates, and makes 0 of NaN; as it does below.
            F::Mono16 => put(bytes, row + 2 * x, ((metres * 1000.0).round() as u16).to_ne_bytes()),
            _ => {
                let nearness = 1.0 - metres / FARTHEST_GREY_M;
                self.put_deep(bytes, x, y, [(nearness * 65535.0) as u16; 3]);
            }
        }
    }

    /// Gives a rectangle a colour.
    pub(crate) fn fill(&self, bytes: &mut [u8], x: usize, y: usize, width: usize, height: usize, rgb: Rgb) {
        for y in y..(y + height).min(self.height) {
            for x in x..(x + width).min(self.width) {
                self.put_rgb(bytes, x, y, rgb);
            }
        }
    }

    /// Gives a disc a colour; its middle may lie outside the image.
    pub(crate) fn disc(&self, bytes: &mut [u8], middle: (usize, usize), radius: usize, rgb: Rgb) {
        let (middle_x, middle_y) = middle;
        for y in middle_y.saturating_sub(radius)..(middle_y + radius + 1).min(self.height) {
            let rise = y.abs_diff(middle_y);
            let half = (radius * radius - rise * rise).isqrt();
            for x in middle_x.saturating_sub(half)..(middle_x + half + 1).min(self.width) {
                self.put_rgb(bytes, x, y, rgb);
            }
        }
    }
}

#[inline]
fn put<const N: usize>(bytes: &mut [u8], at: usize, samples: [u8; N]) {
    bytes[at..at + N].copy_from_slice(&samples);
}

/// BT.601, full range, in 1/256.
fn luma([red, green, blue]: Rgb) -> u8 {
    ((77 * u32::from(red) + 150 * u32::from(green) + 29 * u32::from(blue) + 128) >> 8) as u8
}

/// BT.601, full range, in 1/256.
fn deep_luma([red, green, blue]: DeepRgb) -> u16 {
    ((77 * u32::from(red) + 150 * u32::from(green) + 29 * u32::from(blue) + 128) >> 8) as u16
}

/// BT.601, limited range, in 1/256: Y, Cb, Cr.
fn ycbcr(rgb: Rgb) -> [u8; 3] {
    let [red, green, blue] = rgb.map(i32::from);
    let sample = |r, g, b, base| (((r * red + g * green + b * blue + 128) >> 8) + base) as u8;
    [sample(66, 129, 25, 16), sample(-38, -74, 112, 128), sample(112, -94, -18, 128)]
}

/// Which of red, green and blue the sensor has at a site.
fn bayer_channel(format: F, x: usize, y: usize) -> usize {
    let sites = match format {
        F::BayerRggb8 | F::BayerRggb16 => [[0, 1], [1, 2]],
        F::BayerBggr8 | F::BayerBggr16 => [[2, 1], [1, 0]],
        F::BayerGbrg8 | F::BayerGbrg16 => [[1, 2], [0, 1]],
        _ => [[1, 0], [2, 1]],
    };
    sites[y % 2][x % 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLOUR: Rgb = [200, 100, 50];

    /// The frame of 4 × 4 pixels, rows 2 samples too long, in which pixel (1, 2) alone was painted.
    fn painted(format: F) -> (ImageShape, Vec<u8>) {
        let tight = ImageShape::new(4, 4, format).unwrap();
        let stride = tight.stride_bytes() + 2 * format.sample_bytes();
        let shape = ImageShape::with_stride(4, 4, format, stride).unwrap();
        let mut bytes = vec![0; shape.frame_bytes()];
        Painter::new(&shape).put_rgb(&mut bytes, 1, 2, COLOUR);
        (shape, bytes)
    }

    /// The bytes that are not 0, with their places.
    fn touched(format: F) -> Vec<(usize, u8)> {
        painted(format).1.into_iter().enumerate().filter(|(_, byte)| *byte != 0).collect()
    }

    #[test]
    fn colours_lie_where_the_format_has_them() {
        assert_eq!(touched(F::Rgb8), [(2 * 14 + 3, 200), (2 * 14 + 4, 100), (2 * 14 + 5, 50)]);
        assert_eq!(touched(F::Bgr8), [(2 * 14 + 3, 50), (2 * 14 + 4, 100), (2 * 14 + 5, 200)]);
        assert_eq!(touched(F::Rgba8), [(2 * 18 + 4, 200), (2 * 18 + 5, 100), (2 * 18 + 6, 50), (2 * 18 + 7, 255)]);
        assert_eq!(touched(F::Bgra8), [(2 * 18 + 4, 50), (2 * 18 + 5, 100), (2 * 18 + 6, 200), (2 * 18 + 7, 255)]);
    }

    #[test]
    fn grey_formats_have_the_luma() {
        // 0.299 · 200 + 0.587 · 100 + 0.114 · 50 = 124.2
        assert_eq!(touched(F::Mono8), [(2 * 6 + 1, 124)]);
        assert_eq!(touched(F::Mono16), [(2 * 12 + 2, 124), (2 * 12 + 3, 124)]);
        let (shape, bytes) = painted(F::DepthF32);
        let at = 2 * shape.stride_bytes() as usize + 4;
        let metres = f32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap());
        assert!((metres - (0.5 + 124.0 / 255.0 * 9.5)).abs() < 1e-6);
        assert_eq!((luma([0; 3]), luma([255; 3])), (0, 255));
    }

    #[test]
    fn yuv_formats_have_bt601_in_limited_range() {
        // 16 + 0.257 · 200 + 0.504 · 100 + 0.098 · 50 = 122.7, and so on.
        let [y, u, v] = [123, 91, 175];
        assert_eq!(ycbcr(COLOUR), [y, u, v]);
        assert_eq!(touched(F::Yuyv), [(2 * 10 + 1, u), (2 * 10 + 2, y), (2 * 10 + 3, v)]);
        // Luma is 4 rows of 6, chroma of (1, 2) is in the second row.
        assert_eq!(touched(F::Nv12), [(2 * 6 + 1, y), (24 + 6, u), (24 + 7, v)]);
        assert_eq!(touched(F::I420), [(2 * 6 + 1, y), (24 + 3, u), (24 + 6 + 3, v)]);
        assert_eq!((ycbcr([0; 3]), ycbcr([255; 3])), ([16, 128, 128], [235, 128, 128]));
    }

    #[test]
    fn bayer_formats_have_the_channel_of_the_site() {
        // Column 1 of an even row: the second letter of the name.
        for (format, expected) in
            [(F::BayerRggb8, 100), (F::BayerBggr8, 100), (F::BayerGbrg8, 50), (F::BayerGrbg8, 200)]
        {
            assert_eq!(touched(format), [(2 * 6 + 1, expected)], "{format}");
        }
        for (format, expected) in
            [(F::BayerRggb16, 100), (F::BayerBggr16, 100), (F::BayerGbrg16, 50), (F::BayerGrbg16, 200)]
        {
            assert_eq!(touched(format), [(2 * 12 + 2, expected), (2 * 12 + 3, expected)], "{format}");
        }
        assert_eq!([(0, 0), (1, 0), (0, 1), (1, 1)].map(|(x, y)| bayer_channel(F::BayerRggb8, x, y)), [0, 1, 1, 2]);
        assert_eq!([(0, 0), (1, 0), (0, 1), (1, 1)].map(|(x, y)| bayer_channel(F::BayerGrbg8, x, y)), [1, 0, 2, 1]);
    }

    /// The samples of 16 bits or more that pixel (0, 0) has when `paint` has painted it.
    fn sample<const N: usize>(format: F, paint: impl Fn(&Painter, &mut [u8])) -> [u8; N] {
        let shape = ImageShape::new(2, 2, format).unwrap();
        let mut bytes = vec![0; shape.frame_bytes()];
        paint(&Painter::new(&shape), &mut bytes);
        bytes[..N].try_into().unwrap()
    }

    #[test]
    fn deep_colours_keep_16_bits_where_the_format_has_them() {
        let deep = |painter: &Painter, bytes: &mut [u8]| painter.put_deep(bytes, 0, 0, [0x1234, 0x1234, 0x1234]);
        assert_eq!(u16::from_ne_bytes(sample(F::Mono16, deep)), 0x1234);
        assert_eq!(u16::from_ne_bytes(sample(F::BayerGrbg16, deep)), 0x1234);
        assert_eq!(sample(F::Rgb8, deep), [0x12; 3]);
        let metres = f32::from_ne_bytes(sample(F::DepthF32, deep));
        assert!((metres - (0.5 + 4660.0 / 65535.0 * 9.5)).abs() < 1e-6);
        assert_eq!((deep_luma([0; 3]), deep_luma([65535; 3])), (0, 65535));
    }

    #[test]
    fn distances_are_metres_millimetres_or_grey() {
        let at = |metres| move |painter: &Painter, bytes: &mut [u8]| painter.put_depth(bytes, 0, 0, metres);
        assert_eq!(f32::from_ne_bytes(sample(F::DepthF32, at(1.25))), 1.25);
        assert!(f32::from_ne_bytes(sample(F::DepthF32, at(f32::NAN))).is_nan());
        for (metres, expected) in [(1.2345, 1235), (f32::NAN, 0), (99.0, u16::MAX)] {
            assert_eq!(u16::from_ne_bytes(sample(F::Mono16, at(metres))), expected);
        }
        for (metres, expected) in [(2.0, 191), (8.0, 0), (20.0, 0), (f32::NAN, 0), (0.0, 255)] {
            assert_eq!(sample(F::Rgb8, at(metres)), [expected; 3]);
        }
    }

    #[test]
    fn what_lies_outside_is_left_out_in_every_format() {
        for format in F::all() {
            let shape = ImageShape::new(5, 3, format).unwrap();
            let mut bytes = vec![0; shape.frame_bytes()];
            let painter = Painter::new(&shape);
            painter.put_rgb(&mut bytes, 5, 0, COLOUR);
            painter.put_rgb(&mut bytes, 0, 3, COLOUR);
            painter.fill(&mut bytes, 7, 7, 9, 9, COLOUR);
            assert!(bytes.iter().all(|&byte| byte == 0), "{format}");
            painter.fill(&mut bytes, 0, 0, 100, 100, COLOUR);
            painter.disc(&mut bytes, (4, 9), 30, COLOUR);
            assert_ne!(bytes[0], 0, "{format}");
        }
    }
}
