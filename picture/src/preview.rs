//! Previews: a frame in 8-bit red, green, blue, made small enough for where it is shown.
//!
//! A frame is made smaller by a whole number, and only the pixels that are shown are read: each is the mean of four
//! that lie in its square. So a thumbnail of a 1080p frame costs a fraction of a millisecond, and holds the slot no
//! longer. Depth and 16 bits have one sample a pixel, because means of depths are depths that nobody measured.

use anyhow::Context;
use framebus::{ImageView, PixelFormat};

use crate::bayer::{self, Order};
use crate::i420;
use crate::palette::Palette;

/// How a frame is to be shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// Most pixels across; 0 is as many as there are.
    pub max_width: u32,
    /// Most pixels down; 0 is as many as there are.
    pub max_height: u32,
    /// Colours of depth and grey.
    pub palette: Palette,
    /// What is darkest and what is brightest: metres of depth, counts of grey. `None`: 0 to 255 for 8 bits, what is
    /// there for depth and 16 bits.
    pub range: Option<[f32; 2]>,
}

impl Default for Look {
    fn default() -> Self {
        Self { max_width: 0, max_height: 0, palette: Palette::Grey, range: None }
    }
}

impl Look {
    /// Into so many pixels.
    pub fn within(max_width: u32, max_height: u32) -> Self {
        Self { max_width, max_height, ..Self::default() }
    }

    /// By which whole number a frame of this size is made smaller.
    fn step(&self, width: u32, height: u32) -> u32 {
        let step = |have: u32, most: u32| if most == 0 { 1 } else { have.div_ceil(most) };
        step(width, self.max_width).max(step(height, self.max_height)).clamp(1, width.min(height).max(1))
    }
}

/// A picture of red, green, blue, 8 bits each, row by row without padding. Made once and drawn again for each frame.
#[derive(Clone, Debug, Default)]
pub struct Preview {
    width: u32,
    height: u32,
    step: u32,
    rgb: Vec<u8>,
    values: Vec<f32>,
    range: Option<[f32; 2]>,
    /// Its colours stand for values.
    is_false_coloured: bool,
}

impl Preview {
    /// Pixels across.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Pixels down.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Pixels of the frame to one of these, across and down.
    pub fn step(&self) -> u32 {
        self.step
    }

    /// `height` × `width` × 3 bytes.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// What is darkest and what is brightest, where the frame has one value a pixel.
    pub fn range(&self) -> Option<[f32; 2]> {
        self.range
    }

    /// Whether its colours stand for values: the colour between two of them is another value's.
    pub(crate) fn is_false_coloured(&self) -> bool {
        self.is_false_coloured
    }

    /// Makes it one of this size, and returns where its pixels go.
    pub(crate) fn begin(&mut self, width: u32, height: u32) -> &mut Vec<u8> {
        (self.width, self.height, self.step, self.range, self.is_false_coloured) = (width, height, 1, None, false);
        self.rgb.clear();
        &mut self.rgb
    }

    /// Draws a frame, and reads it for no longer than that.
    ///
    /// # Errors
    /// An image that does not fit its own size.
    pub fn draw(&mut self, view: ImageView<'_>, look: &Look) -> anyhow::Result<()> {
        use PixelFormat as F;
        let shape = view.shape();
        self.step = look.step(shape.width(), shape.height());
        (self.width, self.height) = (shape.width() / self.step, shape.height() / self.step);
        (self.range, self.is_false_coloured) = (None, false);
        self.rgb.clear();
        let rows: Vec<&[u8]> = view.rows(0).collect();
        let format = shape.format();
        match format {
            F::Mono8 => {
                self.take_means(&rows);
                self.colour(look.palette, look.range.unwrap_or([0.0, 255.0]));
            }
            F::Mono16 => {
                self.take_values(|x, y| f32::from(u16::from_ne_bytes([rows[y][2 * x], rows[y][2 * x + 1]])));
                let range = look.range.unwrap_or_else(|| spread(&self.values));
                self.colour(look.palette, range);
            }
            F::DepthF32 => {
                self.take_values(|x, y| {
                    let at = 4 * x;
                    f32::from_ne_bytes([rows[y][at], rows[y][at + 1], rows[y][at + 2], rows[y][at + 3]])
                });
                // 0 and less is no distance: it stays black.
                self.values.iter_mut().filter(|value| **value <= 0.0).for_each(|value| *value = f32::NAN);
                let range = look.range.unwrap_or_else(|| spread(&self.values));
                self.colour(look.palette, range);
            }
            F::Rgb8 if self.step == 1 => rows.iter().for_each(|row| self.rgb.extend_from_slice(row)),
            F::Rgb8 => self.reduce(|x, y| [rows[y][3 * x], rows[y][3 * x + 1], rows[y][3 * x + 2]]),
            F::Bgr8 => self.reduce(|x, y| [rows[y][3 * x + 2], rows[y][3 * x + 1], rows[y][3 * x]]),
            F::Rgba8 => self.reduce(|x, y| [rows[y][4 * x], rows[y][4 * x + 1], rows[y][4 * x + 2]]),
            F::Bgra8 => self.reduce(|x, y| [rows[y][4 * x + 2], rows[y][4 * x + 1], rows[y][4 * x]]),
            F::Yuyv | F::Nv12 | F::I420 if self.step == 1 => i420::write_rgb(view, &mut self.rgb)?,
            F::Yuyv => self.reduce(|x, y| {
                let pair = x / 2 * 4;
                i420::rgb(rows[y][2 * x], rows[y][pair + 1], rows[y][pair + 3])
            }),
            F::Nv12 => {
                let chroma: Vec<&[u8]> = view.rows(1).collect();
                self.reduce(|x, y| {
                    let pair = x / 2 * 2;
                    i420::rgb(rows[y][x], chroma[y / 2][pair], chroma[y / 2][pair + 1])
                });
            }
            F::I420 => {
                let (u, v): (Vec<&[u8]>, Vec<&[u8]>) = (view.rows(1).collect(), view.rows(2).collect());
                self.reduce(|x, y| i420::rgb(rows[y][x], u[y / 2][x / 2], v[y / 2][x / 2]));
            }
            _ => self.mosaic(&rows, format)?,
        }
        Ok(())
    }

    /// One value a pixel: the sample in the middle of each square.
    fn take_values(&mut self, value: impl Fn(usize, usize) -> f32) {
        let (width, height, step) = (self.width as usize, self.height as usize, self.step as usize);
        self.values.clear();
        self.values.reserve(width * height);
        for y in 0..height {
            let from = y * step + step / 2;
            self.values.extend((0..width).map(|x| value(x * step + step / 2, from)));
        }
    }

    /// One value of 8 bits a pixel: the mean of four of its square.
    fn take_means(&mut self, rows: &[&[u8]]) {
        let (width, height, step) = (self.width as usize, self.height as usize, self.step as usize);
        self.values.clear();
        self.values.reserve(width * height);
        let (near, far) = (step / 4, step - 1 - step / 4);
        for y in 0..height {
            let (above, below) = (rows[y * step + near], rows[y * step + far]);
            self.values.extend((0..width).map(|x| {
                let (left, right) = (x * step + near, x * step + far);
                let sum: u16 = [above[left], above[right], below[left], below[right]].map(u16::from).iter().sum();
                f32::from((sum + 2) / 4)
            }));
        }
    }

    fn colour(&mut self, palette: Palette, range: [f32; 2]) {
        let colours = palette.colours();
        let [low, high] = range;
        let scale = if high > low { 255.0 / (high - low) } else { 0.0 };
        self.rgb.reserve(self.values.len() * 3);
        for &value in &self.values {
            // `as` saturates.
            let colour = if value.is_finite() { colours[usize::from(((value - low) * scale) as u8)] } else { [0; 3] };
            self.rgb.extend_from_slice(&colour);
        }
        (self.range, self.is_false_coloured) = (Some(range), palette != Palette::Grey);
    }

    /// Each pixel the mean of four of its square.
    fn reduce(&mut self, sample: impl Fn(usize, usize) -> [u8; 3]) {
        let (width, height, step) = (self.width as usize, self.height as usize, self.step as usize);
        self.rgb.reserve(width * height * 3);
        let (near, far) = (step / 4, step - 1 - step / 4);
        for y in 0..height {
            let (above, below) = (y * step + near, y * step + far);
            for x in 0..width {
                let (left, right) = (x * step + near, x * step + far);
                if step == 1 {
                    self.rgb.extend_from_slice(&sample(x, y));
                    continue;
                }
                let four = [sample(left, above), sample(right, above), sample(left, below), sample(right, below)];
                let mean = |channel: usize| {
                    let sum: u32 = four.iter().map(|colour| u32::from(colour[channel])).sum();
                    ((sum + 2) / 4) as u8
                };
                self.rgb.extend_from_slice(&[mean(0), mean(1), mean(2)]);
            }
        }
    }

    /// A mosaic has all its colours in any square of 2 × 2.
    fn mosaic(&mut self, rows: &[&[u8]], format: PixelFormat) -> anyhow::Result<()> {
        let order = Order::of(format).with_context(|| format!("{format} has no preview"))?;
        let bytes = format.sample_bytes() as usize;
        // The upper byte of two says what 8 bits can.
        let upper = if cfg!(target_endian = "little") { bytes - 1 } else { 0 };
        if self.step == 1 && self.width > 1 && self.height > 1 {
            bayer::write_rgb(rows, order, bytes, upper, &mut self.rgb);
            return Ok(());
        }
        self.reduce(|x, y| {
            let (x, y) = (x & !1, y & !1);
            let (mut sums, mut counts) = ([0_u32; 3], [0_u32; 3]);
            for (x, y) in [(x, y), (x + 1, y), (x, y + 1), (x + 1, y + 1)] {
                if let Some(sample) = rows.get(y).and_then(|row| row.get(x * bytes + upper)) {
                    let colour = order.colour(x, y);
                    sums[colour] += u32::from(*sample);
                    counts[colour] += 1;
                }
            }
            std::array::from_fn(|colour| sums[colour].checked_div(counts[colour]).unwrap_or(0) as u8)
        });
        Ok(())
    }
}

/// The values that matter: all but the lowest and the highest hundredth, so that a few hot pixels do not darken the rest.
fn spread(values: &[f32]) -> [f32; 2] {
    const MOST: usize = 4096;
    let step = values.len().div_ceil(MOST).max(1);
    let mut some: Vec<f32> = values.iter().copied().step_by(step).filter(|value| value.is_finite()).collect();
    if some.is_empty() {
        return [0.0, 1.0];
    }
    some.sort_unstable_by(f32::total_cmp);
    let at = |hundredths: usize| some[(some.len() - 1) * hundredths / 100];
    let (low, high) = (at(1), at(99));
    if high > low { [low, high] } else { [low, low + 1.0] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use framebus::ImageShape;

    fn draw(shape: ImageShape, bytes: &[u8], look: Look) -> Preview {
        let mut preview = Preview::default();
        preview.draw(ImageView::new(shape, bytes).unwrap(), &look).unwrap();
        assert_eq!(preview.rgb().len(), preview.width() as usize * preview.height() as usize * 3);
        preview
    }

    #[test]
    fn a_preview_fits_and_is_never_larger_than_the_frame() {
        let shape = ImageShape::new(1920, 1080, PixelFormat::Mono8).unwrap();
        let bytes = vec![9; shape.frame_bytes()];
        let size = |look| {
            let preview = draw(shape, &bytes, look);
            (preview.width(), preview.height(), preview.step())
        };
        assert_eq!(size(Look::default()), (1920, 1080, 1));
        assert_eq!(size(Look::within(480, 0)), (480, 270, 4));
        assert_eq!(size(Look::within(481, 480)), (480, 270, 4));
        assert_eq!(size(Look::within(4000, 4000)), (1920, 1080, 1));
        assert_eq!(size(Look::within(1, 1)), (1, 1, 1080));
    }

    /// What the rows of a mosaic repeat, or those of each plane, and of which colour such an image is.
    fn one_colour(format: PixelFormat) -> (Vec<Vec<u8>>, [u8; 3]) {
        use PixelFormat as F;
        let deep = |tile: [[u8; 2]; 2]| {
            tile.map(|row| row.map(|sample| u16::from(sample) * 257).into_iter().flat_map(u16::to_ne_bytes).collect())
        };
        let (red, orange) = ([254, 0, 0], [250, 120, 5]);
        match format {
            F::Mono8 => (vec![vec![77]], [77; 3]),
            F::Mono16 => (vec![(77_u16 * 257).to_ne_bytes().to_vec()], [77; 3]),
            F::DepthF32 => (vec![0.5_f32.to_ne_bytes().to_vec()], [63; 3]),
            F::Rgb8 => (vec![vec![250, 120, 5]], orange),
            F::Bgr8 => (vec![vec![5, 120, 250]], orange),
            F::Rgba8 => (vec![vec![250, 120, 5, 9]], orange),
            F::Bgra8 => (vec![vec![5, 120, 250, 9]], orange),
            F::Yuyv => (vec![vec![81, 90, 81, 240]], red),
            F::Nv12 => (vec![vec![81], vec![90, 240]], red),
            F::I420 => (vec![vec![81], vec![90], vec![240]], red),
            F::BayerRggb8 => (vec![vec![250, 120], vec![120, 5]], orange),
            F::BayerBggr8 => (vec![vec![5, 120], vec![120, 250]], orange),
            F::BayerGbrg8 => (vec![vec![120, 5], vec![250, 120]], orange),
            F::BayerGrbg8 => (vec![vec![120, 250], vec![5, 120]], orange),
            F::BayerRggb16 => (deep([[250, 120], [120, 5]]).to_vec(), orange),
            F::BayerBggr16 => (deep([[5, 120], [120, 250]]).to_vec(), orange),
            F::BayerGbrg16 => (deep([[120, 5], [250, 120]]).to_vec(), orange),
            F::BayerGrbg16 => (deep([[120, 250], [5, 120]]).to_vec(), orange),
        }
    }

    #[test]
    fn every_format_keeps_its_colour_at_every_size() {
        use PixelFormat as F;
        for format in PixelFormat::all() {
            for (width, height) in [(1, 1), (7, 5), (64, 48)] {
                let stride = format.min_stride_bytes(width).unwrap() + 16;
                let shape = ImageShape::with_stride(width, height, format, stride).unwrap();
                // Padding is nobody's colour.
                let mut bytes = vec![0xEE; shape.frame_bytes()];
                let (pattern, colour) = one_colour(format);
                for (index, plane) in shape.planes().enumerate() {
                    for row in 0..plane.rows {
                        let at = if Order::of(format).is_some() { row } else { index };
                        let pattern = &pattern[at % pattern.len()];
                        let samples = pattern.iter().cycle();
                        bytes[plane.row(row)].iter_mut().zip(samples).for_each(|(byte, sample)| *byte = *sample);
                    }
                }
                for most in [0, 1, 2, 3, 16] {
                    let range = (format == F::DepthF32).then_some([0.0, 2.0]).or(Some([0.0, 65535.0]));
                    let range = range.filter(|_| format != F::Mono8);
                    let preview = draw(shape, &bytes, Look { range, ..Look::within(most, most) });
                    assert!(preview.width() >= 1 && preview.height() >= 1, "{shape} within {most}");
                    let near =
                        |pixel: &[u8]| pixel.iter().zip(colour).all(|(found, wanted)| found.abs_diff(wanted) <= 2);
                    // A mosaic of one pixel has one colour only.
                    let has_all = Order::of(format).is_none() || (width, height) != (1, 1);
                    let all = preview.rgb().chunks(3).all(near);
                    assert!(all || !has_all, "{shape} within {most}: {:?}, not {colour:?}", &preview.rgb()[..3]);
                }
            }
        }
    }

    #[test]
    fn colours_are_the_same_small_and_large() {
        use PixelFormat as F;
        let red = [(F::Yuyv, [81, 90, 81, 240]), (F::Nv12, [81, 81, 90, 240]), (F::I420, [81, 81, 90, 240])];
        for (format, [a, b, c, d]) in red {
            let shape = ImageShape::new(16, 8, format).unwrap();
            let mut bytes = vec![0; shape.frame_bytes()];
            for (index, plane) in shape.planes().enumerate() {
                for row in 0..plane.rows {
                    for (at, byte) in bytes[plane.row(row)].iter_mut().enumerate() {
                        *byte = match (format, index, at % 4, at % 2) {
                            (F::Yuyv, _, at, _) => [a, b, c, d][at],
                            (_, 0, ..) => a,
                            (F::Nv12, _, _, at) => [c, d][at],
                            (_, plane, ..) => [b, c, d][plane],
                        };
                    }
                }
            }
            for look in [Look::default(), Look::within(8, 0), Look::within(4, 0)] {
                let preview = draw(shape, &bytes, look);
                let near = |pixel: &[u8]| pixel[0] > 250 && pixel[1] < 5 && pixel[2] < 5;
                assert!(preview.rgb().chunks(3).all(near), "{format} {look:?} {:?}", &preview.rgb()[..3]);
            }
        }
        for (format, pixel) in [
            (F::Rgb8, vec![250, 120, 5]),
            (F::Bgr8, vec![5, 120, 250]),
            (F::Rgba8, vec![250, 120, 5, 9]),
            (F::Bgra8, vec![5, 120, 250, 9]),
        ] {
            let shape = ImageShape::new(9, 6, format).unwrap();
            let bytes = pixel.repeat(9 * 6);
            for look in [Look::default(), Look::within(4, 0)] {
                assert!(draw(shape, &bytes, look).rgb().chunks(3).all(|pixel| pixel == [250, 120, 5]), "{format}");
            }
        }
        let shape = ImageShape::new(8, 8, F::BayerRggb16).unwrap();
        let tile = [[200_u16, 90], [90, 10]];
        let bytes: Vec<u8> = (0..64).flat_map(|at| (tile[at / 8 % 2][at % 2] * 257).to_ne_bytes()).collect();
        for look in [Look::default(), Look::within(4, 0), Look::within(2, 0)] {
            let preview = draw(shape, &bytes, look);
            assert!(preview.rgb().chunks(3).all(|pixel| pixel == [200, 90, 10]), "{look:?}");
        }
    }

    #[test]
    fn a_small_pixel_is_the_mean_of_its_square() {
        let shape = ImageShape::new(4, 2, PixelFormat::Rgb8).unwrap();
        let bytes: Vec<u8> = [0, 100, 40, 40, 100, 200, 40, 44].iter().flat_map(|&value| [value; 3]).collect();
        assert_eq!(draw(shape, &bytes, Look::within(2, 0)).rgb(), [100, 100, 100, 41, 41, 41]);
        let shape = ImageShape::new(4, 2, PixelFormat::Mono8).unwrap();
        let bytes = [0, 100, 40, 40, 100, 200, 40, 44];
        assert_eq!(draw(shape, &bytes, Look::within(2, 0)).rgb(), [100, 100, 100, 41, 41, 41]);
    }

    #[test]
    fn depth_is_stretched_over_what_is_there_and_nothing_stays_black() {
        let shape = ImageShape::new(10, 10, PixelFormat::DepthF32).unwrap();
        let mut metres: Vec<f32> = (0..100).map(|at| 2.0 + at as f32 / 100.0).collect();
        (metres[3], metres[4], metres[5]) = (0.0, f32::NAN, f32::INFINITY);
        let bytes: Vec<u8> = metres.iter().flat_map(|metres| metres.to_ne_bytes()).collect();
        let preview = draw(shape, &bytes, Look::default());
        let [low, high] = preview.range().unwrap();
        assert!((2.0..2.05).contains(&low) && (2.9..3.0).contains(&high), "{low} {high}");
        assert_eq!(preview.rgb()[9..18], [0; 9]);
        assert_eq!(preview.rgb()[297..], [255; 3]);
        let fixed = draw(shape, &bytes, Look { range: Some([0.0, 4.0]), ..Look::default() });
        assert!(fixed.rgb()[297].abs_diff(190) <= 1, "{}", fixed.rgb()[297]);
    }

    #[test]
    fn false_colours_are_for_one_value_a_pixel() {
        let look = Look { palette: Palette::Turbo, ..Look::default() };
        let shape = ImageShape::new(2, 1, PixelFormat::Mono8).unwrap();
        let preview = draw(shape, &[30, 220], look);
        assert!(preview.rgb()[2] > preview.rgb()[0] && preview.rgb()[3] > preview.rgb()[5]);
        let shape = ImageShape::new(1, 1, PixelFormat::Rgb8).unwrap();
        assert_eq!(draw(shape, &[1, 2, 3], look).rgb(), [1, 2, 3]);
    }
}
