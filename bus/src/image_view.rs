//! Looking at a frame as an image: planes and rows, in place.

use crate::format::{ImageShape, Plane};

/// An image that lies in a frame, without a copy.
#[derive(Clone, Copy, Debug)]
pub struct ImageView<'a> {
    shape: ImageShape,
    bytes: &'a [u8],
}

impl<'a> ImageView<'a> {
    /// Bytes as an image of this shape; `None` where they are too few.
    pub fn new(shape: ImageShape, bytes: &'a [u8]) -> Option<Self> {
        let bytes = bytes.get(..shape.frame_bytes())?;
        Some(Self { shape, bytes })
    }

    /// Width, height, format and stride.
    pub fn shape(&self) -> ImageShape {
        self.shape
    }

    /// All bytes of the image, padding included.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Plane `plane`, from 0.
    fn plane(&self, plane: usize) -> Option<Plane> {
        self.shape.planes().nth(plane)
    }

    /// The rows of plane `plane`, top to bottom, without padding; none where there is no such plane.
    pub fn rows(&self, plane: usize) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        let (bytes, plane) = (self.bytes, self.plane(plane));
        let rows = plane.map_or(0, |plane| plane.rows);
        (0..rows).map(move |row| plane.map_or(&bytes[..0], |plane| &bytes[plane.row(row)]))
    }

    /// Row `row` of plane `plane`, without padding.
    ///
    /// # Panics
    /// Where there is no such plane or row.
    pub fn row(&self, plane: usize, row: usize) -> &'a [u8] {
        match self.plane(plane) {
            Some(found) if row < found.rows => &self.bytes[found.row(row)],
            _ => panic!("row {row} of plane {plane} of an image of {}", self.shape),
        }
    }

    /// The image as samples of the `image` crate, borrowed, whatever its stride: call `as_view` on it. `None` where that
    /// crate has no such pixels (bgr, yuv, bayer, and samples of more than 8 bits).
    ///
    /// ```no_run
    /// # let mut camera = framebus::Subscriber::attach(&"robot/front".parse()?)?;
    /// # let frame = camera.latest()?.ok_or("no frame")?;
    /// use image::GenericImageView;
    /// let samples = frame.image().and_then(|image| image.flat_samples()).ok_or("no rgb image")?;
    /// let view = samples.as_view::<image::Rgb<u8>>()?;
    /// let corner = view.get_pixel(0, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "image")]
    pub fn flat_samples(&self) -> Option<image::FlatSamples<&'a [u8]>> {
        use crate::format::PixelFormat;
        let (channels, color) = match self.shape.format() {
            PixelFormat::Mono8 => (1, image::ColorType::L8),
            PixelFormat::Rgb8 => (3, image::ColorType::Rgb8),
            PixelFormat::Rgba8 => (4, image::ColorType::Rgba8),
            _ => return None,
        };
        let layout = image::flat::SampleLayout {
            channels,
            channel_stride: 1,
            width: self.shape.width(),
            width_stride: channels as usize,
            height: self.shape.height(),
            height_stride: self.shape.stride_bytes() as usize,
        };
        Some(image::FlatSamples { samples: self.bytes, layout, color_hint: Some(color) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::PixelFormat;

    #[test]
    fn rows_leave_the_padding_out() {
        let shape = ImageShape::with_stride(2, 2, PixelFormat::Rgb8, 8).unwrap();
        let bytes: Vec<u8> = (0..16).collect();
        let view = ImageView::new(shape, &bytes).unwrap();
        assert_eq!(view.row(0, 1), [8, 9, 10, 11, 12, 13]);
        assert_eq!(view.rows(0).map(<[u8]>::len).collect::<Vec<_>>(), [6, 6]);
        assert_eq!(view.rows(1).len(), 0);
        assert!(ImageView::new(shape, &bytes[..15]).is_none());
    }

    #[cfg(feature = "image")]
    #[test]
    fn a_padded_image_is_borrowed_by_the_image_crate() {
        use image::GenericImageView;
        let shape = ImageShape::with_stride(2, 2, PixelFormat::Rgb8, 8).unwrap();
        let bytes: Vec<u8> = (0..16).collect();
        let view = ImageView::new(shape, &bytes).unwrap();
        let samples = view.flat_samples().unwrap();
        assert_eq!(samples.as_view::<image::Rgb<u8>>().unwrap().get_pixel(1, 1), image::Rgb([11, 12, 13]));
    }
}
