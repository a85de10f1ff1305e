//! Text in a picture: an 8 × 8 font, enlarged.

use font8x8::legacy::BASIC_LEGACY;

use crate::paint::{Painter, Rgb};

/// Pixels of a character, in each direction, before it is enlarged.
pub(crate) const CELL: usize = 8;

/// Width of a text in pixels.
pub(crate) fn text_width(text: &str, scale: usize) -> usize {
    text.chars().count() * CELL * scale
}

/// The largest scale, 1 at least, at which a text of so many characters fits a box.
pub(crate) fn fitting_scale(characters: usize, width: usize, height: usize) -> usize {
    (width / (characters.max(1) * CELL)).min(height / CELL).max(1)
}

/// Draws a text with its top left corner at (x, y); characters that the font lacks are left blank.
pub(crate) fn draw_text(
    painter: &Painter,
    bytes: &mut [u8],
    position: (usize, usize),
    scale: usize,
    text: &str,
    rgb: Rgb,
) {
    for (index, character) in text.chars().enumerate() {
        let left = position.0 + index * CELL * scale;
        let rows = BASIC_LEGACY.get(character as usize).copied().unwrap_or_default();
        for (row, bits) in rows.into_iter().enumerate() {
            // The lowest bit is the leftmost pixel.
            for column in (0..CELL).filter(|column| bits >> column & 1 == 1) {
                painter.fill(bytes, left + column * scale, position.1 + row * scale, scale, scale, rgb);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use framebus::{ImageShape, PixelFormat};

    #[test]
    fn characters_are_drawn_upright_and_enlarged() {
        let shape = ImageShape::new(16, 16, PixelFormat::Mono8).unwrap();
        let mut bytes = vec![0; shape.frame_bytes()];
        draw_text(&Painter::new(&shape), &mut bytes, (0, 0), 2, "L", [255; 3]);
        let rows: Vec<String> = bytes
            .chunks(32)
            .map(|rows| rows[..16].iter().step_by(2).map(|&pixel| if pixel == 0 { '.' } else { '#' }).collect())
            .collect();
        let expected = ["####....", ".##.....", ".##.....", ".##.....", ".##...#.", ".##..##.", "#######.", "........"];
        assert_eq!(rows, expected);
    }

    #[test]
    fn the_scale_fits_the_box_and_is_never_0() {
        assert_eq!(fitting_scale(10, 800, 1000), 10);
        assert_eq!(fitting_scale(10, 800, 25), 3);
        assert_eq!(fitting_scale(10, 5, 5), 1);
        assert_eq!(text_width("four", 3), 96);
    }
}
