//! SMPTE colour bars, as in EG 1: seven bars at 75 %; the same in reverse, of which only those with blue are there; and
//! −I, white, +Q, and three bars around black. At the bottom right stands the frame's number.
//!
//! Colours are those of the usual rendering in 8 bits, in which black is 19, so that what is blacker can be shown.

use framebus::ImageShape;

use crate::paint::{Painter, Rgb};
use crate::text::{CELL, draw_text, fitting_scale};

const BLACK: Rgb = [19; 3];
const WHITE: Rgb = [255; 3];
const GREY: Rgb = [191; 3];
/// White to blue, and what stands below.
const UPPER: [Rgb; 7] = [GREY, [191, 191, 0], [0, 191, 191], [0, 191, 0], [191, 0, 191], [191, 0, 0], [0, 0, 191]];
const MIDDLE: [Rgb; 7] = [[0, 0, 191], BLACK, [191, 0, 191], BLACK, [0, 191, 191], BLACK, GREY];
/// Colours of the lowest part, and where each ends, in 84ths of the width (a bar has 12).
const LOWER: [(Rgb, usize); 8] = [
    ([0, 33, 76], 15),
    (WHITE, 30),
    ([50, 0, 106], 45),
    (BLACK, 60),
    ([9; 3], 64),
    (BLACK, 68),
    ([29; 3], 72),
    (BLACK, 84),
];

/// The colour bars.
#[derive(Debug)]
pub(super) struct Bars {
    painter: Painter,
    background: Vec<u8>,
}

impl Bars {
    pub(super) fn new(shape: &ImageShape) -> Self {
        let painter = Painter::new(shape);
        let (width, height) = (painter.width(), painter.height());
        let mut background = vec![0; shape.frame_bytes()];
        let rows = [0, height * 2 / 3, height * 3 / 4, height];
        let mut fill = |part: usize, left: usize, right: usize, rgb| {
            // In 84ths of the width.
            let [left, right] = [left, right].map(|edge| edge * width / 84);
            painter.fill(&mut background, left, rows[part], right - left, rows[part + 1] - rows[part], rgb);
        };
        for bar in 0..7 {
            fill(0, 12 * bar, 12 * (bar + 1), UPPER[bar]);
            fill(1, 12 * bar, 12 * (bar + 1), MIDDLE[bar]);
        }
        let mut left = 0;
        for (rgb, right) in LOWER {
            fill(2, left, right, rgb);
            left = right;
        }
        Self { painter, background }
    }

    /// Draws a frame.
    pub(super) fn draw(&self, bytes: &mut [u8], sequence: u64) {
        bytes.copy_from_slice(&self.background);
        let (width, height) = (self.painter.width(), self.painter.height());
        let text = format!("{sequence:06}");
        // In the last bar's lowest part.
        let (left, room) = (width * 73 / 84, width * 10 / 84);
        let scale = fitting_scale(text.len(), room, height / 8);
        let top = (height * 7 / 8).saturating_sub(CELL * scale / 2);
        draw_text(&self.painter, bytes, (left, top), scale, &text, GREY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use framebus::PixelFormat;

    #[test]
    fn bars_stand_where_they_belong() {
        let shape = ImageShape::new(840, 480, PixelFormat::Rgb8).unwrap();
        let mut bytes = vec![0; shape.frame_bytes()];
        Bars::new(&shape).draw(&mut bytes, 1);
        let pixel = |x: usize, y: usize| -> Rgb { bytes[(y * 840 + x) * 3..][..3].try_into().unwrap() };
        for (bar, (upper, middle)) in UPPER.into_iter().zip(MIDDLE).enumerate() {
            assert_eq!((pixel(120 * bar, 0), pixel(120 * bar + 119, 319)), (upper, upper));
            assert_eq!((pixel(120 * bar, 320), pixel(120 * bar + 119, 359)), (middle, middle));
        }
        // The three around black: 3.5, 7.5 and 11.5 IRE.
        assert_eq!([600, 640, 680].map(|x| pixel(x, 470)), [[9; 3], [19; 3], [29; 3]]);
        assert_eq!((pixel(0, 479), pixel(839, 479)), ([0, 33, 76], BLACK));
    }
}
