//! Half blocks: each cell of the terminal is two pixels, the upper one its foreground, the lower one its background.

use super::dither::threshold;
use framebus_picture::Preview;
use ratatui::buffer::Buffer;
use ratatui::style::Color;

/// A pixel whose channels are no farther apart is grey.
const COLOURLESS: u8 = 10;

/// How many colours the terminal has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// 16 million.
    True,
    /// The cube of 6 × 6 × 6 and the 24 greys of xterm.
    Indexed,
}

impl Depth {
    /// What the environment says: `COLORTERM`, or the name of a terminal that has them all.
    pub(crate) fn of_environment() -> Self {
        let of = |name| std::env::var(name).unwrap_or_default();
        let (colour, term) = (of("COLORTERM"), of("TERM"));
        let known = ["kitty", "ghostty", "foot", "alacritty", "wezterm", "direct"];
        match matches!(colour.as_str(), "truecolor" | "24bit") || known.iter().any(|name| term.contains(name)) {
            true => Self::True,
            false => Self::Indexed,
        }
    }

    /// Of the pixel at (x, y).
    fn colour(self, x: usize, y: usize, [r, g, b]: [u8; 3]) -> Color {
        match self {
            // The lowest bits are noise, which would have to be written anew with each frame.
            Self::True => Color::Rgb(r & 0xFC, g & 0xFC, b & 0xFC),
            Self::Indexed => Color::Indexed(indexed(x, y, [r, g, b])),
        }
    }
}

/// Draws a picture of an even number of rows, its top left corner at the cell (x, y); what is outside is cut off.
pub(crate) fn draw(picture: &Preview, depth: Depth, buffer: &mut Buffer, (x, y): (u16, u16)) {
    let pixels = picture.rgb().as_chunks::<3>().0;
    if picture.width() == 0 {
        return;
    }
    for (number, pair) in pixels.chunks(picture.width() as usize * 2).enumerate() {
        let (upper, lower) = pair.split_at(picture.width() as usize);
        // Where the number of rows is odd, the last half row is dark.
        let lower = lower.iter().copied().chain(std::iter::repeat([0; 3]));
        for (column, (upper, lower)) in upper.iter().zip(lower).enumerate() {
            let at = (x.saturating_add(column as u16), y.saturating_add(number as u16));
            if let Some(cell) = buffer.cell_mut(at) {
                let upper = depth.colour(column, 2 * number, *upper);
                cell.set_char('▀').set_fg(upper).set_bg(depth.colour(column, 2 * number + 1, lower));
            }
        }
    }
}

/// One of xterm's 240 colours that are the same everywhere, for a pixel at (x, y): a grey of 24, or dithered in the cube.
fn indexed(x: usize, y: usize, rgb: [u8; 3]) -> u8 {
    const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let (low, high) = rgb.iter().fold((255, 0), |(low, high), &value| (value.min(low), value.max(high)));
    // Greys run from 8 to 238, beyond which the cube has black and white.
    if high - low < COLOURLESS && (4..=246).contains(&low) {
        return 232 + ((low.midpoint(high).saturating_sub(3)) / 10).min(23);
    }
    let level = |value: u8| {
        let below = LEVELS.iter().rposition(|level| *level <= value).unwrap_or(0);
        let Some(above) = LEVELS.get(below + 1) else { return below };
        let gap = u16::from(above - LEVELS[below]);
        let way = u16::from(value - LEVELS[below]) * 255 / gap;
        below + usize::from(way > threshold(x, y))
    };
    let [r, g, b] = rgb.map(level);
    (16 + 36 * r + 6 * g + b) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use framebus::{ImageShape, ImageView, PixelFormat};
    use framebus_picture::Look;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    #[test]
    fn a_cell_is_two_pixels_one_above_the_other() {
        let shape = ImageShape::new(2, 3, PixelFormat::Rgb8).unwrap();
        let bytes: Vec<u8> = [[252, 0, 0], [0, 252, 0], [0, 0, 252], [252; 3], [4, 8, 12], [0; 3]].concat();
        let mut picture = Preview::default();
        picture.draw(ImageView::new(shape, &bytes).unwrap(), &Look::default()).unwrap();
        let mut terminal = Terminal::new(TestBackend::new(4, 3)).unwrap();
        terminal.draw(|frame| draw(&picture, Depth::True, frame.buffer_mut(), (1, 1))).unwrap();
        let buffer = terminal.backend().buffer();
        let cell = |x, y| (buffer[(x, y)].symbol(), buffer[(x, y)].fg, buffer[(x, y)].bg);
        assert_eq!(cell(1, 1), ("▀", Color::Rgb(252, 0, 0), Color::Rgb(0, 0, 252)));
        assert_eq!(cell(2, 1), ("▀", Color::Rgb(0, 252, 0), Color::Rgb(252, 252, 252)));
        assert_eq!(cell(1, 2), ("▀", Color::Rgb(4, 8, 12), Color::Rgb(0, 0, 0)));
        assert_eq!((cell(0, 1).0, cell(3, 1).0, cell(1, 0).0), (" ", " ", " "));
        terminal.draw(|frame| draw(&picture, Depth::True, frame.buffer_mut(), (3, 2))).unwrap();
        assert_eq!(terminal.backend().buffer()[(3, 2)].fg, Color::Rgb(252, 0, 0));
    }

    #[test]
    fn with_256_colours_greys_are_greys_and_others_are_right_on_the_average() {
        for (rgb, index) in [
            ([0, 0, 0], 16),
            ([255, 255, 255], 231),
            ([255, 0, 0], 196),
            ([95, 135, 175], 67),
            ([128, 128, 128], 244),
            ([9, 9, 9], 232),
            ([238, 238, 238], 255),
        ] {
            assert_eq!(indexed(0, 0, rgb), index, "{rgb:?}");
        }
        const LEVELS: [u32; 6] = [0, 95, 135, 175, 215, 255];
        for rgb in [[40, 70, 10], [200, 30, 90], [250, 251, 1], [128, 100, 90]] {
            let mut sums = [0; 3];
            for at in 0..16 {
                let index = usize::from(indexed(at % 4, at / 4, rgb)) - 16;
                let levels = [index / 36, index / 6 % 6, index % 6].map(|level| LEVELS[level]);
                sums.iter_mut().zip(levels).for_each(|(sum, level)| *sum += level);
            }
            for (sum, channel) in sums.iter().zip(rgb) {
                assert!((sum / 16).abs_diff(u32::from(channel)) <= 4, "{} for {rgb:?}", sum / 16);
            }
        }
    }
}
