//! Pictures that move as a whole: painted once, then copied from another place each frame.
//!
//! ```text
//!  tile, painted once                 frame n: the same rows, begun n · speed pixels further on
//! ┌───────────────────┐              ┌─────────────────┐
//! │ abcdefghijklmnopqr│              │efghijklmnopqrabc│  band 0, moves to the left
//! └───────────────────┘              ├─────────────────┤
//!                                    │   another tile  │  band 1, at another speed
//!                                    └─────────────────┘
//! ```
//! A tile repeats in both directions. It is in the stream's own format, so drawing costs what copying a frame costs, in
//! every format. Sides and steps are even numbers: pixels that share chroma, and the mosaic of a Bayer sensor, stay
//! together.

use framebus::{ImageShape, ShapeError};

use crate::paint::{DeepRgb, Painter};

/// A frame made of tiles.
#[derive(Debug)]
pub(super) struct Bands {
    shape: ImageShape,
    bands: Vec<Band>,
}

/// Rows of a frame that show one tile.
#[derive(Debug)]
pub(super) struct Band {
    /// The first row, and the one behind the last.
    pub(super) top: usize,
    pub(super) bottom: usize,
    pub(super) tile: Tile,
    /// Pixels to the left, and rows upwards, a frame.
    pub(super) speed: (usize, usize),
}

/// A picture that repeats.
#[derive(Debug)]
pub(super) struct Tile {
    shape: ImageShape,
    bytes: Vec<u8>,
}

impl Tile {
    /// One at least so large, which need not be even.
    pub(super) fn paint(
        like: &ImageShape,
        width: usize,
        height: usize,
        colour: impl Fn(usize, usize) -> DeepRgb,
    ) -> Result<Self, ShapeError> {
        let side = |pixels: usize| u32::try_from(pixels.next_multiple_of(2)).unwrap_or(u32::MAX);
        let shape = ImageShape::new(side(width), side(height), like.format())?;
        let (painter, mut bytes) = (Painter::new(&shape), vec![0; shape.frame_bytes()]);
        for y in 0..painter.height() {
            for x in 0..painter.width() {
                painter.put_deep(&mut bytes, x, y, colour(x, y));
            }
        }
        Ok(Self { shape, bytes })
    }
}

impl Bands {
    /// A frame of these bands, the tops of which are even, and the tiles of which are as wide as the frame at least.
    pub(super) fn new(shape: &ImageShape, bands: Vec<Band>) -> Self {
        Self { shape: *shape, bands }
    }

    /// Draws frame `sequence`.
    pub(super) fn draw(&self, bytes: &mut [u8], sequence: u64) {
        if !self.shape.is_tight() {
            bytes.fill(0);
        }
        for band in &self.bands {
            band.draw(&self.shape, bytes, sequence);
        }
    }
}

impl Band {
    fn draw(&self, shape: &ImageShape, bytes: &mut [u8], sequence: u64) {
        let (width, height) = (self.tile.shape.width() as usize, self.tile.shape.height() as usize);
        // Even, as both of them are.
        let moved = |speed: usize, side: usize| (u128::from(sequence) * speed as u128 % side as u128) as usize;
        let (across, down) = (moved(self.speed.0, width), moved(self.speed.1, height));
        for (plane, from) in shape.planes().zip(self.tile.shape.planes()) {
            // Rows of the frame that share one of this plane: 1, or 2 of subsampled chroma.
            let shared = height / from.rows;
            let begin = across * from.row_bytes / width;
            for row in self.top / shared..self.bottom.div_ceil(shared) {
                let source = &self.tile.bytes[from.row((row - self.top / shared + down / shared) % from.rows)];
                let target = &mut bytes[plane.row(row)];
                let whole = target.len().min(source.len() - begin);
                let (first, rest) = target.split_at_mut(whole);
                first.copy_from_slice(&source[begin..begin + whole]);
                rest.copy_from_slice(&source[..rest.len()]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use framebus::PixelFormat;

    /// What a pixel of the tile is painted: no two rows or columns are alike, in luma and in chroma.
    fn colour(x: usize, y: usize) -> DeepRgb {
        [(x * 3331 + y * 7099) as u16, (x * 1009 + y * 9001) as u16, (x * 2003 + y * 3001) as u16]
    }

    #[test]
    fn a_frame_is_the_tile_begun_further_on_in_every_format() {
        for format in PixelFormat::all() {
            for (width, height) in [(15, 9), (16, 8)] {
                let shape = ImageShape::new(width, height, format).unwrap();
                let (width, height) = (width as usize, height as usize);
                let tile = Tile::paint(&shape, width, 6, colour).unwrap();
                let bands = Bands::new(&shape, vec![Band { top: 0, bottom: height, tile, speed: (6, 2) }]);
                let mut frame = vec![0; shape.frame_bytes()];
                bands.draw(&mut frame, 5);
                // The same, pixel by pixel. An odd frame's last pixels have neighbours beyond its edge, in the tile.
                let whole = ImageShape::new(16, 10, format).unwrap();
                let (painter, mut expected) = (Painter::new(&whole), vec![0; whole.frame_bytes()]);
                for (x, y) in (0..10).flat_map(|y| (0..16).map(move |x| (x, y))) {
                    painter.put_deep(&mut expected, x, y, colour((x + 5 * 6) % 16, (y + 5 * 2) % 6));
                }
                for (plane, all) in shape.planes().zip(whole.planes()) {
                    for row in 0..plane.rows {
                        let found = &frame[plane.row(row)];
                        assert_eq!(found, &expected[all.row(row)][..found.len()], "{shape}, row {row}");
                    }
                }
            }
        }
    }

    #[test]
    fn bands_move_each_at_its_own_speed_and_padding_is_0() {
        let shape = ImageShape::with_stride(8, 4, PixelFormat::Mono8, 10).unwrap();
        let band = |top, speed| {
            let tile = Tile::paint(&shape, 8, 2, |x, _| [(x as u16 + 1) << 8; 3]).unwrap();
            Band { top, bottom: top + 2, tile, speed: (speed, 0) }
        };
        let bands = Bands::new(&shape, vec![band(0, 2), band(2, 4)]);
        let mut frame = vec![7; shape.frame_bytes()];
        bands.draw(&mut frame, 1);
        assert_eq!(frame[..10], [3, 4, 5, 6, 7, 8, 1, 2, 0, 0]);
        assert_eq!(frame[20..30], [5, 6, 7, 8, 1, 2, 3, 4, 0, 0]);
    }
}
