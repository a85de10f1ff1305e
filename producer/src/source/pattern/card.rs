//! The test card, the scene that one gets without asking for another.
//!
//! ```text
//! ┌──────────────────────────────┐
//! │ colour bars                  │  a ball goes to and fro over the bars, one position a frame
//! │          ●                   │
//! ├──────────────────────────────┤
//! │ grey ramp        │           │  a thin line sweeps over bars and ramp: a torn frame would break it
//! ├──────────────────────────────┤
//! │ FRAME 00001234  12:34:56.789 │  sequence and time of day (UTC) at which the frame was captured
//! │ robot/front  1920x1080 rgb8  │
//! └──────────────────────────────┘
//! ```

use std::time::{SystemTime, UNIX_EPOCH};

use framebus::ImageShape;

use crate::paint::{Painter, Rgb};
use crate::text::{draw_text, fitting_scale, text_width};

/// White, yellow, cyan, green, magenta, red, blue: falling luma.
const BARS: [Rgb; 7] =
    [[235, 235, 235], [235, 235, 16], [16, 235, 235], [16, 235, 16], [235, 16, 235], [235, 16, 16], [16, 16, 235]];
const DARK: Rgb = [16, 16, 24];
const WHITE: Rgb = [255, 255, 255];
const ORANGE: Rgb = [255, 128, 0];
const SOFT: Rgb = [150, 160, 180];

/// Where the parts of the test card are.
#[derive(Debug)]
pub(super) struct Card {
    painter: Painter,
    /// What all frames have in common.
    background: Vec<u8>,
    /// Rows of the bars; then the ramp; then the text, from row `text_top`.
    bars_bottom: usize,
    text_top: usize,
    scale: usize,
}

impl Card {
    pub(super) fn new(shape: &ImageShape, legend: &str) -> Self {
        let painter = Painter::new(shape);
        let (width, height) = (painter.width(), painter.height());
        let text_top = height - height / 4;
        // Two lines, with a line's height around and between them.
        let scale = fitting_scale(CAPTION.len() + 2, width, height / 4 / 3);
        let mut card = Self { painter, background: Vec::new(), bars_bottom: height * 5 / 8, text_top, scale };
        card.background = card.background(shape, legend);
        card
    }

    /// The card without what moves.
    fn background(&self, shape: &ImageShape, legend: &str) -> Vec<u8> {
        let (painter, width, height) = (&self.painter, self.painter.width(), self.painter.height());
        let mut bytes = vec![0; shape.frame_bytes()];
        for y in 0..height {
            for x in 0..width {
                let rgb = if y < self.bars_bottom {
                    BARS[x * BARS.len() / width]
                } else if y < self.text_top {
                    [(x * 255 / width.max(2).saturating_sub(1)).min(255) as u8; 3]
                } else {
                    DARK
                };
                painter.put_rgb(&mut bytes, x, y, rgb);
            }
        }
        // A frame one pixel wide: whoever crops the picture sees it.
        for (x, y, width, height) in
            [(0, 0, width, 1), (0, height - 1, width, 1), (0, 0, 1, height), (width - 1, 0, 1, height)]
        {
            painter.fill(&mut bytes, x, y, width, height, WHITE);
        }
        let scale = fitting_scale(legend.len() + 2, width, self.scale * 8).min((self.scale * 2).div_ceil(3));
        draw_text(painter, &mut bytes, self.position(legend, scale, 1), scale, legend, SOFT);
        bytes
    }

    /// Draws a frame.
    pub(super) fn draw(&self, bytes: &mut [u8], sequence: u64, time: SystemTime) {
        bytes.copy_from_slice(&self.background);
        let (painter, width) = (&self.painter, self.painter.width());
        let radius = (self.bars_bottom / 8).min(width / 4).max(1);
        let step = (width / 240).max(1);
        let across = there_and_back(sequence, width.saturating_sub(2 * radius), step);
        let down = there_and_back(sequence, self.bars_bottom.saturating_sub(2 * radius), step.div_ceil(2));
        painter.disc(bytes, (radius + across, radius + down), radius, DARK);
        painter.disc(bytes, (radius + across, radius + down), radius * 5 / 6, ORANGE);

        // White and black, to be seen on every bar.
        let (line, thick) = ((sequence % width as u64) as usize * step % width, (width / 480).max(1));
        painter.fill(bytes, line, 0, thick, self.text_top, WHITE);
        painter.fill(bytes, line + thick, 0, thick, self.text_top, DARK);

        let caption = caption(sequence, time);
        draw_text(painter, bytes, self.position(&caption, self.scale, 0), self.scale, &caption, WHITE);
    }

    /// Where line `line` of the text begins so that it stands in the middle.
    fn position(&self, text: &str, scale: usize, line: usize) -> (usize, usize) {
        let left = self.painter.width().saturating_sub(text_width(text, scale)) / 2;
        let band = self.painter.height() - self.text_top;
        let middle = self.text_top + band * (3 + 4 * line) / 10;
        (left, middle.saturating_sub(scale * 4))
    }
}

/// A caption as long as all others.
const CAPTION: &str = "FRAME 00000000  00:00:00.000";

fn caption(sequence: u64, time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (seconds, ms) = (since.as_secs(), since.subsec_millis());
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("FRAME {sequence:08}  {hour:02}:{minute:02}:{second:02}.{ms:03}")
}

/// A position from 0 to `way` that goes to and fro, `step` a frame.
fn there_and_back(frame: u64, way: usize, step: usize) -> usize {
    let turn = 2 * way.max(1) as u64;
    let position = (frame.wrapping_mul(step as u64) % turn) as usize;
    if position <= way { position } else { (turn as usize - position).min(way) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ball_goes_to_and_fro() {
        let positions: Vec<_> = (0..9).map(|frame| there_and_back(frame, 4, 1)).collect();
        assert_eq!(positions, [0, 1, 2, 3, 4, 3, 2, 1, 0]);
        assert_eq!(there_and_back(7, 0, 3), 0);
    }

    #[test]
    fn captions_have_the_time_of_day() {
        let time = UNIX_EPOCH + std::time::Duration::from_millis(1_000_000_000_123);
        assert_eq!(caption(42, time), "FRAME 00000042  01:46:40.123");
        assert_eq!(caption(42, time).len(), CAPTION.len());
    }
}
