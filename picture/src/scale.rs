//! A preview in exactly as many pixels as there is room for.
//!
//! Made smaller, a pixel is the mean of all that it covers; made larger, it lies between its neighbours; and from four
//! times on each pixel of the frame is a square of its own, because who looks so closely wants to see the pixels. Of false
//! colours the nearest one is taken: between two of them lies a third one, of a value that nobody measured.

use crate::preview::{Look, Preview};

/// Most that [`Look::to_fill`] leaves out: with larger steps, what a preview's pixel is made of is too little of what it
/// stands for, and edges flicker.
const MOST_STEP: u32 = 3;

/// From here on, pixels are squares.
const SQUARES: u32 = 4;

impl Look {
    /// The look with as few pixels as [`Scaler`] needs to fill so many: read fewer, hold the frame for less long.
    #[must_use]
    pub fn to_fill(self, frame: (u32, u32), room: (u32, u32)) -> Self {
        let step = |have: u32, want: u32| have / want.max(1);
        let step = step(frame.0, room.0).min(step(frame.1, room.1)).clamp(1, MOST_STEP);
        Self { max_width: frame.0.div_ceil(step), max_height: frame.1.div_ceil(step), ..self }
    }
}

/// The largest size of a frame's proportions that there is room for; at least 1 × 1.
pub fn fitting(frame: (u32, u32), room: (u32, u32)) -> (u32, u32) {
    let (width, height) = (u64::from(frame.0.max(1)), u64::from(frame.1.max(1)));
    let (most_width, most_height) = (u64::from(room.0.max(1)), u64::from(room.1.max(1)));
    let rounded = |value: u64, by: u64| ((value + by / 2) / by).max(1);
    let (width, height) = if width * most_height > height * most_width {
        (most_width, rounded(height * most_width, width))
    } else {
        (rounded(width * most_height, height), most_height)
    };
    (width as u32, height as u32)
}

/// A rectangle of a picture, in pixels from its top left corner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// From the left edge.
    pub x: u32,
    /// From the upper edge.
    pub y: u32,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

/// Fits previews into other sizes. Made once and used again for each frame.
#[derive(Debug, Default)]
pub struct Scaler {
    picture: Preview,
    /// One row of the preview's width, times 256.
    row: Vec<u16>,
}

impl Scaler {
    /// What was drawn last.
    pub fn picture(&self) -> &Preview {
        &self.picture
    }

    /// Draws a part of a preview into so many pixels. What of the part lies outside of the preview is left out; nothing
    /// is drawn where nothing is left.
    pub fn draw(&mut self, preview: &Preview, part: Part, width: u32, height: u32) {
        let (x, y) = (part.x.min(preview.width()), part.y.min(preview.height()));
        let part =
            Part { x, y, width: part.width.min(preview.width() - x), height: part.height.min(preview.height() - y) };
        if part.width == 0 || part.height == 0 || width == 0 || height == 0 {
            self.picture.begin(0, 0);
            return;
        }
        let rgb = self.picture.begin(width, height);
        rgb.reserve(width as usize * height as usize * 3);
        let nearest = preview.is_false_coloured();
        let columns = Taps::new(part.width as usize, width as usize, nearest);
        let rows = Taps::new(part.height as usize, height as usize, nearest);
        let stride = preview.width() as usize * 3;
        let (left, length) = (part.x as usize * 3, part.width as usize * 3);
        let source = |row: usize| &preview.rgb()[(part.y as usize + row) * stride + left..][..length];
        for (first, weights) in rows.iter() {
            if let ([_], true) = (weights, columns.is_identity()) {
                rgb.extend_from_slice(source(first));
                continue;
            }
            self.row.clear();
            self.row.resize(length, 0);
            for (row, &weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > 0) {
                // 256 in all, times 255 at most.
                let sums = self.row.iter_mut().zip(source(first + row));
                sums.for_each(|(sum, &sample)| *sum += weight * u16::from(sample));
            }
            for (first, weights) in columns.iter() {
                let mut sums = [0x8000_u32; 3];
                for (pixel, &weight) in self.row[3 * first..].chunks_exact(3).zip(weights) {
                    sums.iter_mut().zip(pixel).for_each(|(sum, &sample)| *sum += u32::from(weight) * u32::from(sample));
                }
                rgb.extend_from_slice(&sums.map(|sum| (sum >> 16) as u8));
            }
        }
    }
}

/// Of which samples each new one is made, in one direction: the first, and weights that come to 256.
struct Taps {
    each: usize,
    firsts: Vec<usize>,
    weights: Vec<u16>,
    from: usize,
}

impl Taps {
    fn new(from: usize, to: usize, nearest: bool) -> Self {
        let ratio = from as f64 / to as f64;
        let one = nearest || from == to || to >= from * SQUARES as usize;
        let each = if one { 1 } else { ratio.ceil() as usize + 1 }.min(from);
        let mut taps = Self { each, firsts: Vec::with_capacity(to), weights: Vec::with_capacity(to * each), from };
        // A new sample covers this much; never less than one old one, which makes it lie between its neighbours.
        let reach = if each == 1 { 0.0 } else { ratio.max(1.0) };
        for at in 0..to {
            let centre = (at as f64 + 0.5) * ratio;
            let begin = (centre - reach / 2.0).max(0.0);
            let end = (centre + reach / 2.0).min(from as f64);
            let first = (begin as usize).min(from - each);
            taps.firsts.push(first);
            taps.push_weights(first, begin, end);
        }
        taps
    }

    fn push_weights(&mut self, first: usize, begin: f64, end: f64) {
        if self.each == 1 {
            self.weights.push(256);
            return;
        }
        // Rounded sums, not summed roundings: they come to 256.
        let share = |index: usize| {
            let until = ((first + index) as f64).clamp(begin, end);
            (256.0 * (until - begin) / (end - begin)).round() as u16
        };
        self.weights.extend((0..self.each).map(|index| share(index + 1) - share(index)));
    }

    fn is_identity(&self) -> bool {
        self.each == 1 && self.firsts.len() == self.from
    }

    fn iter(&self) -> impl Iterator<Item = (usize, &[u16])> {
        self.firsts.iter().copied().zip(self.weights.chunks_exact(self.each))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use framebus::{ImageShape, ImageView, PixelFormat};

    fn preview(width: u32, height: u32, grey: impl Fn(usize) -> u8) -> Preview {
        let shape = ImageShape::new(width, height, PixelFormat::Mono8).unwrap();
        let bytes: Vec<u8> = (0..shape.frame_bytes()).map(grey).collect();
        let mut preview = Preview::default();
        preview.draw(ImageView::new(shape, &bytes).unwrap(), &Look::default()).unwrap();
        preview
    }

    fn scaled(preview: &Preview, part: Part, width: u32, height: u32) -> Vec<u8> {
        let mut scaler = Scaler::default();
        scaler.draw(preview, part, width, height);
        let picture = scaler.picture();
        assert_eq!(picture.rgb().len(), picture.width() as usize * picture.height() as usize * 3);
        assert!(picture.rgb().chunks(3).all(|pixel| pixel[0] == pixel[1] && pixel[1] == pixel[2]));
        picture.rgb().iter().step_by(3).copied().collect()
    }

    fn whole(preview: &Preview) -> Part {
        Part { x: 0, y: 0, width: preview.width(), height: preview.height() }
    }

    #[test]
    fn proportions_are_kept_and_the_room_is_filled() {
        assert_eq!(fitting((1920, 1080), (1280, 1000)), (1280, 720));
        assert_eq!(fitting((1920, 1080), (4000, 1080)), (1920, 1080));
        assert_eq!(fitting((100, 300), (80, 60)), (20, 60));
        assert_eq!(fitting((10_000, 1), (100, 100)), (100, 1));
        assert_eq!(fitting((7, 5), (0, 0)), (1, 1));
    }

    #[test]
    fn one_colour_stays_that_colour_at_any_size() {
        for (from, to) in
            [((3, 2), (64, 48)), ((64, 48), (7, 5)), ((100, 75), (99, 74)), ((50, 50), (51, 120)), ((1, 1), (9, 9))]
        {
            for grey in [0, 1, 77, 254, 255] {
                let preview = preview(from.0, from.1, |_| grey);
                let pixels = scaled(&preview, whole(&preview), to.0, to.1);
                assert!(pixels.iter().all(|&pixel| pixel == grey), "{from:?} to {to:?}: {grey} became {pixels:?}");
            }
        }
    }

    #[test]
    fn a_smaller_pixel_is_the_mean_of_all_that_it_covers() {
        let preview = preview(6, 1, |at| [0, 30, 60, 90, 120, 150][at]);
        assert_eq!(scaled(&preview, whole(&preview), 2, 1), [30, 120]);
        assert_eq!(scaled(&preview, whole(&preview), 1, 1), [75]);
        // A pixel and a half each.
        assert_eq!(scaled(&preview, whole(&preview), 4, 1), [10, 50, 100, 140]);
    }

    #[test]
    fn a_larger_one_lies_between_and_much_larger_ones_are_squares() {
        let preview = preview(2, 1, |at| [0, 200][at]);
        let pixels = scaled(&preview, whole(&preview), 6, 1);
        assert!(
            pixels.is_sorted() && pixels[0] == 0 && pixels[5] == 200 && (1..200).contains(&pixels[2]),
            "{pixels:?}"
        );
        assert_eq!(scaled(&preview, whole(&preview), 8, 1), [0, 0, 0, 0, 200, 200, 200, 200]);
    }

    #[test]
    fn false_colours_stay_those_of_the_palette_at_any_size() {
        let shape = ImageShape::new(5, 3, PixelFormat::Mono8).unwrap();
        let bytes: Vec<u8> = (0..15).map(|at| if at % 2 == 0 { 10 } else { 240 }).collect();
        let look = Look { palette: crate::Palette::Turbo, ..Look::default() };
        let mut preview = Preview::default();
        preview.draw(ImageView::new(shape, &bytes).unwrap(), &look).unwrap();
        let colours = [10, 240].map(|value| look.palette.colours()[value]);
        let mut scaler = Scaler::default();
        for (width, height) in [(2, 2), (4, 3), (5, 3), (7, 5), (40, 24)] {
            scaler.draw(&preview, whole(&preview), width, height);
            let rgb = scaler.picture().rgb();
            assert_eq!(rgb.len(), (width * height * 3) as usize);
            assert!(rgb.as_chunks().0.iter().all(|pixel| colours.contains(pixel)), "{width} × {height}: {rgb:?}");
        }
    }

    #[test]
    fn a_part_is_cut_out_as_it_is_and_what_lies_outside_is_left_out() {
        let preview = preview(4, 3, |at| at as u8);
        assert_eq!(scaled(&preview, Part { x: 1, y: 1, width: 2, height: 2 }, 2, 2), [5, 6, 9, 10]);
        assert_eq!(scaled(&preview, Part { x: 3, y: 2, width: 9, height: 9 }, 1, 1), [11]);
        assert_eq!(scaled(&preview, Part { x: 4, y: 0, width: 1, height: 1 }, 5, 5), [0; 0]);
    }

    #[test]
    fn a_look_reads_no_more_than_is_needed() {
        let step = |frame, room| {
            let look = Look::default().to_fill(frame, room);
            let preview = preview_of(frame, look);
            (preview.step(), preview.width() >= room.0.min(frame.0) && preview.height() >= room.1.min(frame.1))
        };
        assert_eq!(step((1920, 1080), (960, 540)), (2, true));
        assert_eq!(step((1920, 1080), (1280, 720)), (1, true));
        assert_eq!(step((1920, 1080), (80, 45)), (3, true));
        assert_eq!(step((640, 480), (1280, 960)), (1, true));
    }

    fn preview_of((width, height): (u32, u32), look: Look) -> Preview {
        let shape = ImageShape::new(width, height, PixelFormat::Mono8).unwrap();
        let mut preview = Preview::default();
        preview.draw(ImageView::new(shape, &vec![0; shape.frame_bytes()]).unwrap(), &look).unwrap();
        preview
    }
}
