//! The scenes that move as a whole: gradients, a checkerboard, edges.

use framebus::{ImageShape, PixelFormat, ShapeError};

use super::tile::{Band, Bands, Tile};
use crate::paint::DeepRgb;

const DARK: DeepRgb = [0x1000; 3];
const BRIGHT: DeepRgb = [0xE8FF; 3];

/// Divides a frame's rows into so many bands, the tops of which are even; those of small frames may be empty.
fn bands(
    shape: &ImageShape,
    count: usize,
    make: impl Fn(usize, usize) -> Result<(Tile, (usize, usize)), ShapeError>,
) -> Result<Bands, ShapeError> {
    let height = shape.height() as usize;
    let edge =
        |band: usize| if band == count { height } else { (height * band / count).next_multiple_of(2).min(height) };
    let bands = (0..count).map(|band| (band, edge(band), edge(band + 1))).filter(|(_, top, bottom)| top < bottom);
    let bands = bands.map(|(band, top, bottom)| {
        let (tile, speed) = make(band, bottom - top)?;
        Ok(Band { top, bottom, tile, speed })
    });
    Ok(Bands::new(shape, bands.collect::<Result<_, ShapeError>>()?))
}

/// Gradients from one end to the other, in four bands: grey, red, green, blue; or, where there is no colour, all levels
/// rising, all falling, the lowest sixteenth alone (of 16 bits: what a sensor of 12 bits has), and the highest.
///
/// They have every level of 16 bits where a band has that many pixels: what is between two columns is spread over the rows.
pub(super) fn ramp(shape: &ImageShape) -> Result<Bands, ShapeError> {
    let width = shape.width() as usize;
    let is_grey = matches!(shape.format(), PixelFormat::Mono8 | PixelFormat::Mono16 | PixelFormat::DepthF32);
    bands(shape, 4, |band, rows| {
        let level = |x: usize, y: usize| {
            let (columns, rows) = (width.next_multiple_of(2) as u64, rows.next_multiple_of(2) as u64);
            let (x, y) = (x as u64, y as u64);
            ((x * rows + y) * 0x1_0000 / (columns * rows)) as u16
        };
        let tile = Tile::paint(shape, width, rows, |x, y| {
            let level = level(x, y);
            match (band, is_grey) {
                (0, _) => [level; 3],
                (1, true) => [!level; 3],
                (2, true) => [level >> 4; 3],
                (_, true) => [0xF000 | level >> 4; 3],
                (channel, false) => std::array::from_fn(|index| if index + 1 == channel { level } else { 0 }),
            }
        })?;
        Ok((tile, (2, 0)))
    })
}

/// A board of twelve squares along the frame's shorter side, which moves to the upper left. Its bright squares have a
/// gradient as deep as one level of 8 bits: 16 bits tell it, 8 do not.
pub(super) fn checkerboard(shape: &ImageShape) -> Result<Bands, ShapeError> {
    let (width, height) = (shape.width() as usize, shape.height() as usize);
    let square = (width.min(height) / 12).max(2).next_multiple_of(2);
    let tile = Tile::paint(shape, width.next_multiple_of(2 * square), 2 * square, |x, y| {
        if (x / square + y / square).is_multiple_of(2) {
            DARK
        } else {
            [0xE800 + (x % square * 256 / square) as u16; 3]
        }
    })?;
    Ok(Bands::new(shape, vec![Band { top: 0, bottom: height, tile, speed: (2, 2) }]))
}

/// Pixels that an edge goes to the left a row, and a frame.
const EDGES: [(f64, usize); 6] = [(0.0, 2), (0.27, 4), (0.0, 8), (-1.0, 6), (1.73, 12), (0.0, 24)];

/// Bands of edges: upright, 15°, upright, 45°, 60°, upright; at 2 to 24 pixels a frame. Dark and bright, and every other
/// band in red and blue, which have an edge in chroma.
pub(super) fn edges(shape: &ImageShape) -> Result<Bands, ShapeError> {
    let width = (shape.width() as usize).next_multiple_of(2);
    // Eight pairs of stripes, fewer where they would be too thin for the quickest to be followed.
    let pairs = (width / 120).clamp(1, 8);
    let period = width as f64 / pairs as f64;
    bands(shape, EDGES.len(), |band, rows| {
        let (slope, speed) = EDGES[band];
        let colours = if band % 2 == 0 { [DARK, BRIGHT] } else { [[0xC000, 0x1000, 0x1000], [0x1000, 0x1000, 0xC000]] };
        let tile = Tile::paint(shape, width, rows, |x, y| {
            let place = (x as f64 + y as f64 * slope).rem_euclid(period);
            // How much of the pixel is behind the edge: they are a pixel wide, and so have no steps.
            let behind = (place - period / 2.0).clamp(0.0, 1.0) - (place - (period - 1.0)).clamp(0.0, 1.0);
            std::array::from_fn(|channel| {
                let [before, after] = colours.map(|colour| f64::from(colour[channel]));
                (before + (after - before) * behind) as u16
            })
        })?;
        Ok((tile, (speed, 0)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn samples(bands: &Bands, shape: &ImageShape, sequence: u64) -> Vec<u16> {
        let mut bytes = vec![0; shape.frame_bytes()];
        bands.draw(&mut bytes, sequence);
        bytes.chunks_exact(2).map(|sample| u16::from_ne_bytes([sample[0], sample[1]])).collect()
    }

    #[test]
    fn a_ramp_has_every_level_of_16_bits_and_of_12() {
        let shape = ImageShape::new(512, 512, PixelFormat::Mono16).unwrap();
        let all = samples(&ramp(&shape).unwrap(), &shape, 9);
        let band = |index: usize| all[index * 65536..][..65536].iter().copied().collect::<BTreeSet<u16>>();
        assert_eq!((band(0).len(), band(1).len()), (65536, 65536));
        assert!(band(2).into_iter().eq(0..4096));
        assert!(band(3).into_iter().eq(0xF000..=0xFFFF));
    }

    #[test]
    fn a_ramp_of_8_bits_has_every_level_of_every_channel() {
        let shape = ImageShape::new(256, 8, PixelFormat::Rgb8).unwrap();
        let mut bytes = vec![0; shape.frame_bytes()];
        ramp(&shape).unwrap().draw(&mut bytes, 1);
        let rows: Vec<&[u8]> = bytes.chunks(256 * 3).collect();
        for (row, channel) in [(0, 0), (2, 0), (4, 1), (6, 2)] {
            let levels: BTreeSet<u8> = rows[row].iter().skip(channel).step_by(3).copied().collect();
            assert_eq!(levels.len(), 256, "row {row}");
        }
        assert!(rows[2].iter().skip(1).step_by(3).all(|&green| green == 0));
    }

    #[test]
    fn a_board_repeats_after_two_squares_and_has_detail_beyond_8_bits() {
        let shape = ImageShape::new(120, 120, PixelFormat::Mono16).unwrap();
        let board = checkerboard(&shape).unwrap();
        let first = samples(&board, &shape, 0);
        assert_eq!((first[0], first[10], first[10 * 120]), (0x1000, 0xE800, 0xE800));
        assert!(first[10..20].iter().all(|sample| sample >> 8 == 0xE8) && first[10] < first[19]);
        assert_ne!(first, samples(&board, &shape, 1));
        assert_eq!(first, samples(&board, &shape, 10));
    }

    #[test]
    fn every_band_of_edges_moves_at_its_own_speed() {
        let shape = ImageShape::new(240, 120, PixelFormat::Mono16).unwrap();
        let scene = edges(&shape).unwrap();
        let (before, after) = (samples(&scene, &shape, 10), samples(&scene, &shape, 11));
        for (band, (_, speed)) in EDGES.into_iter().enumerate() {
            let row = band * 20 * 240;
            assert!((0..240).all(|x| after[row + x] == before[row + (x + speed) % 240]), "band {band}");
            assert!((0..240).any(|x| after[row + x] != before[row + x]));
        }
    }
}
