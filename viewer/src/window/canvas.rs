//! The pixels of a window: a picture, and text on it.

use font8x8::legacy::{BASIC_LEGACY, LATIN_LEGACY};
use framebus_picture::Preview;

/// Pixels of a character in each direction, before it is enlarged.
const CELL: usize = 8;

/// Rows from line to line, likewise.
const LINE: usize = 10;

/// Around the text, likewise.
const MARGIN: usize = 4;

/// What is around the picture: 0x00RRGGBB, as all colours here.
pub(crate) const BACKGROUND: u32 = 0x0014_1619;

/// Of text.
pub(crate) const WHITE: u32 = 0x00F0_F2F4;

/// Of what is not as usual.
pub(crate) const AMBER: u32 = 0x00FF_C24B;

/// Pixels, row by row.
#[derive(Debug, Default)]
pub(crate) struct Canvas {
    pub width: usize,
    pub height: usize,
    pub pixels: Vec<u32>,
}

impl Canvas {
    /// Makes it this large, and empty.
    pub(crate) fn clear(&mut self, width: usize, height: usize) {
        (self.width, self.height) = (width, height);
        self.pixels.clear();
        self.pixels.resize(width * height, BACKGROUND);
    }

    /// Makes it like another one.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        (self.width, self.height) = (other.width, other.height);
        self.pixels.clone_from(&other.pixels);
    }

    /// Draws a picture with its top left corner at (x, y); what is outside is cut off.
    pub(crate) fn draw(&mut self, picture: &Preview, x: usize, y: usize) {
        let (width, across) = (picture.width() as usize, (picture.width() as usize).min(self.width.saturating_sub(x)));
        if across == 0 {
            return;
        }
        let rows = self.pixels.chunks_exact_mut(self.width).skip(y);
        for (row, rgb) in rows.zip(picture.rgb().chunks_exact(width * 3)) {
            for (pixel, [r, g, b]) in row[x..x + across].iter_mut().zip(rgb.as_chunks().0) {
                *pixel = u32::from_be_bytes([0, *r, *g, *b]);
            }
        }
    }

    /// How much text is enlarged for it to be read from where one sits, and to fit.
    pub(crate) fn scale(&self, lines: &[String]) -> usize {
        let suits = match self.height {
            0..400 => 1,
            400..1000 => 2,
            1000..1600 => 3,
            more => more / 500,
        };
        suits.min(self.width / size(lines, 1).0).max(1)
    }

    /// Lines of text on a darkened ground, its top left corner at (x, y).
    pub(crate) fn write(&mut self, lines: &[String], (x, y): (usize, usize), scale: usize, colour: u32) {
        let (width, height) = size(lines, scale);
        self.darken(x, y, width, height);
        for (number, line) in lines.iter().enumerate() {
            let top = y + (MARGIN + number * LINE + (LINE - CELL) / 2) * scale;
            for (column, character) in line.chars().enumerate() {
                self.write_character(character, x + (MARGIN + column * CELL) * scale, top, scale, colour);
            }
        }
    }

    /// A line of text in the middle near the lower edge.
    pub(crate) fn write_below(&mut self, line: String, colour: u32) {
        let lines = [line];
        let scale = self.scale(&lines);
        let (width, height) = size(&lines, scale);
        let x = self.width.saturating_sub(width) / 2;
        self.write(&lines, (x, self.height.saturating_sub(height + 2 * MARGIN * scale)), scale, colour);
    }

    fn write_character(&mut self, character: char, left: usize, top: usize, scale: usize, colour: u32) {
        for (row, bits) in glyph(character).into_iter().enumerate() {
            // The lowest bit is the leftmost pixel.
            for column in (0..CELL).filter(|column| bits >> column & 1 == 1) {
                self.fill(left + column * scale, top + row * scale, scale, scale, |_| colour);
            }
        }
    }

    fn darken(&mut self, x: usize, y: usize, width: usize, height: usize) {
        // A quarter of each colour is left.
        self.fill(x, y, width, height, |pixel| pixel >> 2 & 0x003F_3F3F);
    }

    fn fill(&mut self, x: usize, y: usize, width: usize, height: usize, colour: impl Fn(u32) -> u32) {
        let (right, bottom) = ((x + width).min(self.width), (y + height).min(self.height));
        for row in y..bottom {
            for pixel in self.pixels.get_mut(row * self.width + x..row * self.width + right).unwrap_or_default() {
                *pixel = colour(*pixel);
            }
        }
    }
}

/// What lines of text take with their margins.
fn size(lines: &[String], scale: usize) -> (usize, usize) {
    let longest = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
    ((longest * CELL + 2 * MARGIN) * scale, (lines.len() * LINE + 2 * MARGIN) * scale)
}

/// Characters that the font lacks are blank.
fn glyph(character: char) -> [u8; CELL] {
    let code = character as usize;
    let found = if code < 0x80 { BASIC_LEGACY.get(code) } else { LATIN_LEGACY.get(code.wrapping_sub(0xA0)) };
    found.copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use framebus::{ImageShape, ImageView, PixelFormat};
    use framebus_picture::Look;

    #[test]
    fn text_is_upright_enlarged_and_on_a_darkened_ground() {
        let mut canvas = Canvas::default();
        canvas.clear(40, 40);
        canvas.pixels.fill(0x0080_FF40);
        canvas.write(&["L".to_owned()], (2, 0), 2, WHITE);
        let lit = |x: usize, y: usize| canvas.pixels[y * 40 + x] == WHITE;
        let rows: Vec<String> = (0..8)
            .map(|y| (0..8).map(|x| if lit(2 + 8 + 2 * x, 8 + 2 + 2 * y) { '#' } else { '.' }).collect())
            .collect();
        let expected = ["####....", ".##.....", ".##.....", ".##.....", ".##...#.", ".##..##.", "#######.", "........"];
        assert_eq!(rows, expected);
        assert_eq!(canvas.pixels[2], 0x0020_3F10);
        assert_eq!((canvas.pixels[1], canvas.pixels[39]), (0x0080_FF40, 0x0080_FF40), "beside it, nothing is darkened");
        assert_ne!(glyph('×'), [0; 8]);
        assert_ne!(glyph('µ'), [0; 8]);
        assert_eq!(glyph('世'), [0; 8]);
    }

    #[test]
    fn text_and_pictures_that_do_not_fit_are_cut_off() {
        let mut canvas = Canvas::default();
        canvas.clear(10, 10);
        canvas.write(&["much too long".to_owned(), "x".to_owned()], (7, 5), 3, WHITE);
        canvas.write_below("much too long".to_owned(), AMBER);
        let shape = ImageShape::new(8, 8, PixelFormat::Rgb8).unwrap();
        let mut picture = Preview::default();
        let bytes: Vec<u8> = [1, 2, 3].repeat(64);
        picture.draw(ImageView::new(shape, &bytes).unwrap(), &Look::default()).unwrap();
        canvas.draw(&picture, 5, 6);
        canvas.draw(&picture, 50, 60);
        assert_eq!((canvas.pixels[6 * 10 + 5], canvas.pixels[99]), (0x0001_0203, 0x0001_0203));
        canvas.clear(1280, 720);
        assert_eq!((canvas.scale(&["short".to_owned()]), canvas.scale(&["long".repeat(30)])), (2, 1));
    }
}
