//! Pixel formats and image shapes: names, V4L2 FourCCs, planes and strides.

use crate::error::ShapeError;
use std::fmt;

/// How the pixels of an image lie in memory.
///
/// The numbers are those of the shared header (docs/layout.md) and never change. Multi-byte samples are in the
/// machine's byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
#[allow(missing_docs)] // the table below says for each what it is
pub enum PixelFormat {
    Mono8 = 1,
    Mono16 = 2,
    Rgb8 = 3,
    Bgr8 = 4,
    Rgba8 = 5,
    Bgra8 = 6,
    Yuyv = 7,
    Nv12 = 8,
    I420 = 9,
    BayerRggb8 = 10,
    BayerBggr8 = 11,
    BayerGbrg8 = 12,
    BayerGrbg8 = 13,
    BayerRggb16 = 14,
    BayerBggr16 = 15,
    BayerGbrg16 = 16,
    BayerGrbg16 = 17,
    DepthF32 = 18,
}

use PixelFormat as F;

/// What is to be known of a format; `FORMATS` has one a format, in the order of their numbers.
struct Facts {
    format: PixelFormat,
    name: &'static str,
    /// `V4L2_PIX_FMT_*`, linux/videodev2.h.
    fourcc: Option<&'static [u8; 4]>,
    /// sensor_msgs/image_encodings.hpp.
    ros: Option<&'static str>,
    /// Bytes of one pixel in the first plane's rows.
    pixel_bytes: u32,
    /// Bytes of one sample: what strides and rows are aligned to.
    sample_bytes: u32,
}

const fn facts(
    format: PixelFormat,
    name: &'static str,
    fourcc: Option<&'static [u8; 4]>,
    ros: Option<&'static str>,
    pixel_bytes: u32,
    sample_bytes: u32,
) -> Facts {
    Facts { format, name, fourcc, ros, pixel_bytes, sample_bytes }
}

static FORMATS: [Facts; 18] = [
    facts(F::Mono8, "mono8", Some(b"GREY"), Some("mono8"), 1, 1),
    facts(F::Mono16, "mono16", Some(b"Y16 "), Some("mono16"), 2, 2),
    facts(F::Rgb8, "rgb8", Some(b"RGB3"), Some("rgb8"), 3, 1),
    facts(F::Bgr8, "bgr8", Some(b"BGR3"), Some("bgr8"), 3, 1),
    facts(F::Rgba8, "rgba8", Some(b"AB24"), Some("rgba8"), 4, 1),
    facts(F::Bgra8, "bgra8", Some(b"AR24"), Some("bgra8"), 4, 1),
    facts(F::Yuyv, "yuyv", Some(b"YUYV"), Some("yuv422_yuy2"), 2, 1),
    facts(F::Nv12, "nv12", Some(b"NV12"), None, 1, 1),
    facts(F::I420, "i420", Some(b"YU12"), None, 1, 1),
    facts(F::BayerRggb8, "bayer_rggb8", Some(b"RGGB"), Some("bayer_rggb8"), 1, 1),
    facts(F::BayerBggr8, "bayer_bggr8", Some(b"BA81"), Some("bayer_bggr8"), 1, 1),
    facts(F::BayerGbrg8, "bayer_gbrg8", Some(b"GBRG"), Some("bayer_gbrg8"), 1, 1),
    facts(F::BayerGrbg8, "bayer_grbg8", Some(b"GRBG"), Some("bayer_grbg8"), 1, 1),
    facts(F::BayerRggb16, "bayer_rggb16", Some(b"RG16"), Some("bayer_rggb16"), 2, 2),
    facts(F::BayerBggr16, "bayer_bggr16", Some(b"BYR2"), Some("bayer_bggr16"), 2, 2),
    facts(F::BayerGbrg16, "bayer_gbrg16", Some(b"GB16"), Some("bayer_gbrg16"), 2, 2),
    facts(F::BayerGrbg16, "bayer_grbg16", Some(b"GR16"), Some("bayer_grbg16"), 2, 2),
    facts(F::DepthF32, "depth_f32", None, Some("32FC1"), 4, 4),
];

impl PixelFormat {
    /// Every format, in the order of their numbers.
    pub fn all() -> impl Iterator<Item = PixelFormat> {
        FORMATS.iter().map(|facts| facts.format)
    }

    fn facts(self) -> &'static Facts {
        &FORMATS[self as usize - 1]
    }

    /// The format's number in the shared header.
    pub fn code(self) -> u32 {
        self as u32
    }

    /// The format with this number, if there is one.
    pub fn from_code(code: u32) -> Option<Self> {
        FORMATS.get((code as usize).checked_sub(1)?).map(|facts| facts.format)
    }

    /// Its name in configuration files and on command lines, `rgb8` say.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// Its V4L2 FourCC, where V4L2 has one.
    ///
    /// Source: linux/videodev2.h.
    pub fn fourcc(self) -> Option<&'static [u8; 4]> {
        self.facts().fourcc
    }

    /// Its ROS encoding name, where ROS has one.
    ///
    /// Source: sensor_msgs/image_encodings.hpp.
    pub fn ros_encoding(self) -> Option<&'static str> {
        self.facts().ros
    }

    /// Bytes of one pixel in the first plane (yuyv: 2; the planar formats: 1, of luma).
    pub fn pixel_bytes(self) -> u32 {
        self.facts().pixel_bytes
    }

    /// Bytes of one sample; strides are a multiple of it.
    pub fn sample_bytes(self) -> u32 {
        self.facts().sample_bytes
    }

    /// The smallest stride of a row of `width` pixels in the first plane, in bytes; `None` on overflow.
    ///
    /// yuyv and nv12 rows hold an even number of pixels, so an odd width is rounded up there.
    pub fn min_stride_bytes(self, width: u32) -> Option<u32> {
        let pixels = match self {
            F::Yuyv | F::Nv12 => width.checked_add(width % 2)?,
            _ => width,
        };
        pixels.checked_mul(self.pixel_bytes())
    }
}

impl fmt::Display for PixelFormat {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

impl std::str::FromStr for PixelFormat {
    type Err = ShapeError;

    fn from_str(text: &str) -> Result<Self, ShapeError> {
        FORMATS
            .iter()
            .find(|facts| facts.name == text)
            .map(|facts| facts.format)
            .ok_or_else(|| ShapeError::UnknownFormat { found: text.to_owned() })
    }
}

/// One plane of an image: `rows` rows of `row_bytes` bytes, `stride_bytes` apart, the first at `offset` of the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plane {
    /// Bytes from the start of the payload to the plane's first row.
    pub offset: usize,
    /// Bytes from one row's start to the next one's.
    pub stride_bytes: usize,
    /// Bytes of a row that carry samples, at most `stride_bytes`.
    pub row_bytes: usize,
    /// Number of rows.
    pub rows: usize,
}

impl Plane {
    /// The byte range of row `row` in the payload.
    pub fn row(&self, row: usize) -> std::ops::Range<usize> {
        let start = self.offset + row * self.stride_bytes;
        start..start + self.row_bytes
    }
}

/// The shape of an image: width and height in pixels, format, and stride in bytes.
///
/// | format | planes (rows × bytes a row) |
/// |---|---|
/// | mono, rgb, bgr, rgba, bgra, bayer, depth | height × width·pixel |
/// | yuyv | height × 2·even(width) |
/// | nv12 | luma height × width, then ⌈height/2⌉ × even(width) of interleaved U, V at the same stride |
/// | i420 | luma height × width, then U, then V: ⌈height/2⌉ × ⌈width/2⌉ at stride ⌈stride/2⌉ |
///
/// ```
/// use framebus::{ImageShape, PixelFormat};
/// let shape = ImageShape::new(1920, 1080, PixelFormat::Nv12)?;
/// assert_eq!(shape.frame_bytes(), 1920 * 1080 * 3 / 2);
/// # Ok::<(), framebus::ShapeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageShape {
    width: u32,
    height: u32,
    format: PixelFormat,
    stride_bytes: u32,
}

impl ImageShape {
    /// A shape whose rows follow each other without padding.
    ///
    /// # Errors
    /// [`ShapeError`] where a side is 0 or the frame does not fit 2 GiB.
    pub fn new(width: u32, height: u32, format: PixelFormat) -> Result<Self, ShapeError> {
        let overflow = ShapeError::TooLarge { width, height, format };
        let stride_bytes = format.min_stride_bytes(width).ok_or(overflow)?;
        Self::with_stride(width, height, format, stride_bytes)
    }

    /// A shape whose rows are `stride_bytes` apart.
    ///
    /// # Errors
    /// [`ShapeError`] where a side is 0, the stride is too small or no multiple of the sample size, or the frame does
    /// not fit 2 GiB.
    pub fn with_stride(width: u32, height: u32, format: PixelFormat, stride_bytes: u32) -> Result<Self, ShapeError> {
        if width == 0 || height == 0 {
            return Err(ShapeError::Empty { width, height });
        }
        let too_large = ShapeError::TooLarge { width, height, format };
        let least = format.min_stride_bytes(width).ok_or(too_large.clone())?;
        let multiple_of = if format == F::Nv12 { 2 } else { format.sample_bytes() };
        if stride_bytes < least || !stride_bytes.is_multiple_of(multiple_of) {
            return Err(ShapeError::Stride { found: stride_bytes, least, multiple_of });
        }
        // All planes together are less than twice the first one, and a row.
        if u64::from(stride_bytes) * (u64::from(height) + 1) > i32::MAX as u64 {
            return Err(too_large);
        }
        Ok(Self { width, height, format, stride_bytes })
    }

    /// Pixels in a row.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Pixel format.
    pub fn format(&self) -> PixelFormat {
        self.format
    }

    /// Bytes from a row of the first plane to the next one.
    pub fn stride_bytes(&self) -> u32 {
        self.stride_bytes
    }

    /// True where no row of any plane has padding.
    pub fn is_tight(&self) -> bool {
        self.planes().all(|plane| plane.stride_bytes == plane.row_bytes)
    }

    /// The planes, in the order in which they lie in the payload.
    pub fn planes(&self) -> impl Iterator<Item = Plane> + Clone + use<> {
        let (stride, rows) = (self.stride_bytes as usize, self.height as usize);
        let chroma_rows = rows.div_ceil(2);
        let (width, luma_bytes) = (self.width as usize, stride * rows);
        let plane = |offset, stride_bytes, row_bytes, rows| Plane { offset, stride_bytes, row_bytes, rows };
        let (list, count) = match self.format {
            F::Nv12 => {
                let luma = plane(0, stride, width, rows);
                ([luma, plane(luma_bytes, stride, width.next_multiple_of(2), chroma_rows), luma], 2)
            }
            F::I420 => {
                let (chroma_stride, chroma_width) = (stride.div_ceil(2), width.div_ceil(2));
                let u = plane(luma_bytes, chroma_stride, chroma_width, chroma_rows);
                let v = Plane { offset: luma_bytes + chroma_stride * chroma_rows, ..u };
                ([plane(0, stride, width, rows), u, v], 3)
            }
            format => {
                let row_bytes = format.min_stride_bytes(self.width).unwrap_or(self.stride_bytes) as usize;
                ([plane(0, stride, row_bytes, rows); 3], 1)
            }
        };
        list.into_iter().take(count)
    }

    /// Bytes of a whole frame, padding included.
    pub fn frame_bytes(&self) -> usize {
        self.planes().map(|plane| plane.stride_bytes * plane.rows).sum()
    }
}

impl fmt::Display for ImageShape {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} × {} {}", self.width, self.height, self.format)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_is_found_by_code_and_by_name() {
        for (index, format) in PixelFormat::all().enumerate() {
            assert_eq!(format.code() as usize, index + 1);
            assert_eq!(PixelFormat::from_code(format.code()), Some(format));
            assert_eq!(format.name().parse::<PixelFormat>().unwrap(), format);
        }
        assert_eq!(PixelFormat::from_code(0), None);
        assert_eq!(PixelFormat::from_code(19), None);
    }

    #[test]
    fn planes_tile_the_frame_without_gap_or_overlap() {
        for format in PixelFormat::all() {
            for (width, height) in [(1, 1), (3, 5), (640, 480), (641, 481)] {
                let shape = ImageShape::new(width, height, format).unwrap();
                let mut end = 0;
                for plane in shape.planes() {
                    assert_eq!(plane.offset, end, "{shape}");
                    assert!(plane.row_bytes <= plane.stride_bytes);
                    end += plane.stride_bytes * plane.rows;
                }
                assert_eq!(end, shape.frame_bytes());
            }
        }
    }

    #[test]
    fn known_sizes_come_out() {
        let bytes = |w, h, f| ImageShape::new(w, h, f).unwrap().frame_bytes();
        assert_eq!(bytes(1920, 1080, F::Rgb8), 6_220_800);
        assert_eq!(bytes(768, 576, F::I420), 663_552);
        assert_eq!(bytes(3, 3, F::I420), 9 + 4 + 4);
        assert_eq!(bytes(3, 3, F::Nv12), 4 * 3 + 4 * 2);
        assert_eq!(bytes(3, 2, F::Yuyv), 16);
        assert_eq!(bytes(640, 480, F::DepthF32), 1_228_800);
    }

    #[test]
    fn impossible_shapes_are_refused() {
        assert!(ImageShape::new(0, 10, F::Rgb8).is_err());
        assert!(ImageShape::new(u32::MAX, 2, F::Rgb8).is_err());
        assert!(ImageShape::new(u32::MAX, u32::MAX, F::Mono8).is_err());
        assert!(ImageShape::new(60_000, 60_000, F::Rgb8).is_err());
        assert!(ImageShape::with_stride(10, 10, F::Rgb8, 29).is_err());
        assert!(ImageShape::with_stride(10, 10, F::Mono16, 21).is_err());
        assert!(ImageShape::with_stride(10, 10, F::Rgb8, 32).is_ok());
    }
}
