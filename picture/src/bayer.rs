//! Bayer mosaics to pictures: each pixel has one colour, the others come from its neighbours.
//!
//! Bilinear: a missing colour is the mean of those of the eight neighbours that have it. That is soft at edges, and good
//! enough to see what a camera sees.

use framebus::PixelFormat;

/// Which colour is where in the 2 × 2 pixels at the top left: `[row][column]`, 0 red, 1 green, 2 blue.
type Tile = [[usize; 2]; 2];

const RGGB: Tile = [[0, 1], [1, 2]];
const BGGR: Tile = [[2, 1], [1, 0]];
const GBRG: Tile = [[1, 2], [0, 1]];
const GRBG: Tile = [[1, 0], [2, 1]];

/// A mosaic's order of colours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order(Tile);

impl Order {
    /// That of a pixel format; `None` where it is no mosaic.
    pub(crate) fn of(format: PixelFormat) -> Option<Self> {
        use PixelFormat as F;
        match format {
            F::BayerRggb8 | F::BayerRggb16 => Some(Self(RGGB)),
            F::BayerBggr8 | F::BayerBggr16 => Some(Self(BGGR)),
            F::BayerGbrg8 | F::BayerGbrg16 => Some(Self(GBRG)),
            F::BayerGrbg8 | F::BayerGrbg16 => Some(Self(GRBG)),
            _ => None,
        }
    }

    pub(crate) fn colour(self, x: usize, y: usize) -> usize {
        self.0[y % 2][x % 2]
    }
}

/// The picture of a mosaic: red, green, blue of each pixel, row by row. `sample(x, y)` is the mosaic's value there.
///
/// A colour that no neighbour has (in pictures of one row or column) is 0.
pub(crate) fn demosaic(width: usize, height: usize, order: Order, sample: impl Fn(usize, usize) -> u16) -> Vec<u16> {
    let mut picture = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            let (mut sums, mut counts) = ([0_u32; 3], [0_u32; 3]);
            for near_y in y.saturating_sub(1)..(y + 2).min(height) {
                for near_x in x.saturating_sub(1)..(x + 2).min(width) {
                    let colour = order.colour(near_x, near_y);
                    sums[colour] += u32::from(sample(near_x, near_y));
                    counts[colour] += 1;
                }
            }
            let own = order.colour(x, y);
            for colour in 0..3 {
                picture.push(match counts[colour] {
                    _ if colour == own => sample(x, y),
                    0 => 0,
                    count => ((sums[colour] + count / 2) / count) as u16,
                });
            }
        }
    }
    picture
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_colour_comes_back_from_every_order_at_every_pixel() {
        let colour = [1000_u16, 200, 30];
        for tile in [RGGB, BGGR, GBRG, GRBG] {
            for (width, height) in [(2, 2), (5, 4), (6, 3)] {
                let order = Order(tile);
                let picture = demosaic(width, height, order, |x, y| colour[order.colour(x, y)]);
                assert_eq!(picture.len(), width * height * 3);
                assert!(picture.chunks(3).all(|pixel| pixel == colour), "{tile:?} {width} × {height}");
            }
        }
    }

    #[test]
    fn a_missing_colour_is_the_mean_of_the_neighbours_that_have_it() {
        // Red stands in columns 0 and 2 of rows 0 and 2, with values 10 · x + y.
        let picture = demosaic(3, 3, Order(RGGB), |x, y| (10 * x + y) as u16);
        let red = |x: usize, y: usize| picture[(y * 3 + x) * 3];
        assert_eq!((red(0, 0), red(2, 2)), (0, 22));
        assert_eq!(red(1, 0), 10, "of (0, 0) and (2, 0)");
        assert_eq!(red(0, 1), 1, "of (0, 0) and (0, 2)");
        assert_eq!(red(1, 1), 11, "of all four");
        let green_of_centre = picture[(3 + 1) * 3 + 1];
        assert_eq!(green_of_centre, (1 + 10 + 21 + 12) / 4);
    }

    #[test]
    fn a_single_pixel_has_its_own_colour_only() {
        assert_eq!(demosaic(1, 1, Order(GBRG), |_, _| 7), [0, 7, 0]);
    }
}
