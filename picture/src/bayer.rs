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

/// The same in 8 bits, quick enough for each frame: of every sample of `bytes` bytes, byte number `which` counts. Behind
/// the edges lies what lies before them, mirrored. Draws nothing with less than two rows or columns.
pub(crate) fn write_rgb(rows: &[&[u8]], order: Order, bytes: usize, which: usize, rgb: &mut Vec<u8>) {
    let (width, height) = (rows.first().map_or(0, |row| row.len() / bytes), rows.len());
    if width < 2 || height < 2 {
        return;
    }
    // A row, and one sample more at either side.
    let fill = |line: &mut Vec<u8>, row: &[u8]| {
        line.clear();
        line.push(row[bytes + which]);
        line.extend(row.chunks_exact(bytes).map(|sample| sample[which]));
        line.push(row[(width - 2) * bytes + which]);
    };
    let [mut above, mut here, mut below] = std::array::from_fn(|_| Vec::with_capacity(width + 2));
    fill(&mut above, rows[1]);
    fill(&mut here, rows[0]);
    let begin = rgb.len();
    rgb.resize(begin + width * height * 3, 0);
    for (y, out) in rgb[begin..].chunks_exact_mut(width * 3).enumerate() {
        fill(&mut below, rows[if y + 1 < height { y + 1 } else { height - 2 }]);
        let mut is_green = order.colour(0, y) == 1;
        // Red or blue: the one that this row has beside green, and the one of the rows around it.
        let own = order.colour(usize::from(is_green), y);
        let near = above.windows(3).zip(here.windows(3)).zip(below.windows(3));
        for (pixel, ((a, h), b)) in out.as_chunks_mut::<3>().0.iter_mut().zip(near) {
            let two = |one: u8, other: u8| (u16::from(one) + u16::from(other)).div_ceil(2) as u8;
            let four = |some: [u8; 4]| ((some.map(u16::from).iter().sum::<u16>() + 2) / 4) as u8;
            (pixel[1], pixel[own], pixel[2 - own]) = match is_green {
                true => (h[1], two(h[0], h[2]), two(a[1], b[1])),
                false => (four([h[0], h[2], a[1], b[1]]), h[1], four([a[0], a[2], b[0], b[2]])),
            };
            is_green = !is_green;
        }
        std::mem::swap(&mut above, &mut here);
        std::mem::swap(&mut here, &mut below);
    }
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
    fn the_quick_picture_is_the_other_one_in_8_bits() {
        for tile in [RGGB, BGGR, GBRG, GRBG] {
            for (width, height) in [(2, 2), (7, 6), (8, 5)] {
                let order = Order(tile);
                let sample = |x: usize, y: usize| (x * 89 + y * 151 + x * y * 37) as u8;
                let rows: Vec<Vec<u8>> =
                    (0..height).map(|y| (0..width).flat_map(|x| [0xEE, sample(x, y)]).collect()).collect();
                let rows: Vec<&[u8]> = rows.iter().map(Vec::as_slice).collect();
                let mut quick = Vec::new();
                write_rgb(&rows, order, 2, 1, &mut quick);
                let picture = demosaic(width, height, order, |x, y| sample(x, y).into());
                assert_eq!(quick.len(), picture.len());
                for (at, (quick, slow)) in quick.chunks(3).zip(picture.chunks(3)).enumerate() {
                    let (x, y) = (at % width, at / width);
                    let inside = (1..width - 1).contains(&x) && (1..height - 1).contains(&y);
                    let own = order.colour(x, y);
                    assert_eq!(u16::from(quick[own]), slow[own], "{tile:?} ({x}, {y})");
                    let same = quick.iter().zip(slow).all(|(quick, slow)| u16::from(*quick) == *slow);
                    assert!(same || !inside, "{tile:?} ({x}, {y}): {quick:?} {slow:?}");
                }
                // At the edges too, what is missing comes from neighbours that have it.
                quick.clear();
                let colour = [200_u8, 90, 10];
                let rows: Vec<Vec<u8>> =
                    (0..height).map(|y| (0..width).map(|x| colour[order.colour(x, y)]).collect()).collect();
                let rows: Vec<&[u8]> = rows.iter().map(Vec::as_slice).collect();
                write_rgb(&rows, order, 1, 0, &mut quick);
                assert!(quick.chunks(3).all(|pixel| pixel == colour), "{tile:?} {width} × {height}");
            }
        }
    }

    #[test]
    fn a_single_pixel_has_its_own_colour_only() {
        assert_eq!(demosaic(1, 1, Order(GBRG), |_, _| 7), [0, 7, 0]);
    }
}
