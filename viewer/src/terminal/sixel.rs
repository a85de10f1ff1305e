//! Sixel: pictures in the terminals of 1987, and in many of today's.
//!
//! A sixel is a column of six pixels, and each of a band's colours is printed over the whole width of it. The colours are
//! always the same: a cube of 6 × 8 × 5 with a fine chequered pattern between its steps, or 64 greys where nothing is
//! coloured. Colours chosen for each frame would be nearer to it, but take longer than the frame lasts, and flicker.

use super::dither::threshold;
use framebus_picture::Preview;
use std::io::Write;

/// Steps of red, green and blue: eyes tell greens apart best.
const STEPS: [usize; 3] = [6, 8, 5];

const GREYS: usize = 64;

/// Rows of a band.
const BAND: usize = 6;

/// Appends a picture as sixels; the cursor stands where its top left corner comes to lie.
pub(crate) fn encode(picture: &Preview, out: &mut Vec<u8>) {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    if width == 0 {
        return;
    }
    let pixels = picture.rgb().as_chunks::<3>().0;
    let grey = pixels.iter().all(|[r, g, b]| r == g && g == b);
    let colour =
        |x, y, rgb: [u8; 3]| if grey { (usize::from(rgb[0]) * (GREYS - 1) + 127) / 255 } else { dithered(x, y, rgb) };
    // P2 = 1: pixels that are not painted stay as they are; all of them are painted.
    push(out, format_args!("\x1bP0;1;0q\"1;1;{width};{height}"));
    for index in 0..if grey { GREYS } else { STEPS.iter().product() } {
        let [r, g, b] = if grey { [(index * 100 + GREYS / 2) / (GREYS - 1); 3] } else { percent(index) };
        push(out, format_args!("#{index};2;{r};{g};{b}"));
    }
    // For each colour of the band a byte a column, whose bits are the rows.
    let mut columns: Vec<Vec<u8>> = vec![Vec::new(); STEPS.iter().product()];
    let mut used: Vec<usize> = Vec::new();
    for band in (0..height).step_by(BAND) {
        for row in 0..BAND.min(height - band) {
            for (x, rgb) in pixels[(band + row) * width..][..width].iter().enumerate() {
                let colour = colour(x, band + row, *rgb);
                if columns[colour].is_empty() {
                    columns[colour].resize(width, 0);
                    used.push(colour);
                }
                columns[colour][x] |= 1 << row;
            }
        }
        for colour in used.drain(..) {
            push(out, format_args!("#{colour}"));
            push_runs(out, &columns[colour]);
            columns[colour].clear();
            // Back to the band's beginning.
            out.push(b'$');
        }
        out.push(b'-');
    }
    out.extend_from_slice(b"\x1b\\");
}

fn push(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // A vector takes all.
    let _ = out.write_fmt(text);
}

/// Sixels, those that repeat with their number; the empty ones at the end are left out.
fn push_runs(out: &mut Vec<u8>, columns: &[u8]) {
    let end = columns.iter().rposition(|column| *column != 0).map_or(0, |last| last + 1);
    for run in columns[..end].chunk_by(|a, b| a == b) {
        let sixel = b'?' + run[0];
        match run.len() {
            length @ 0..=3 => out.extend(std::iter::repeat_n(sixel, length)),
            length => {
                push(out, format_args!("!{length}"));
                out.push(sixel);
            }
        }
    }
}

/// The colour of the cube for a pixel at (x, y).
fn dithered(x: usize, y: usize, rgb: [u8; 3]) -> usize {
    let threshold = threshold(x, y);
    let step = |channel: usize| {
        let scaled = u16::from(rgb[channel]) * (STEPS[channel] as u16 - 1);
        usize::from(scaled / 255 + u16::from(scaled % 255 > threshold))
    };
    (step(0) * STEPS[1] + step(1)) * STEPS[2] + step(2)
}

/// A colour of the cube as sixel has them: red, green and blue in per cent.
fn percent(index: usize) -> [usize; 3] {
    let steps = [index / STEPS[2] / STEPS[1], index / STEPS[2] % STEPS[1], index % STEPS[2]];
    std::array::from_fn(|channel| (steps[channel] * 100 + (STEPS[channel] - 1) / 2) / (STEPS[channel] - 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use framebus::{ImageShape, ImageView, PixelFormat};
    use framebus_picture::Look;

    fn preview(width: u32, height: u32, rgb: impl Fn(u32, u32) -> [u8; 3]) -> Preview {
        let shape = ImageShape::new(width, height, PixelFormat::Rgb8).unwrap();
        let bytes: Vec<u8> = (0..width * height).flat_map(|at| rgb(at % width, at / width)).collect();
        let mut preview = Preview::default();
        preview.draw(ImageView::new(shape, &bytes).unwrap(), &Look::default()).unwrap();
        preview
    }

    /// A terminal's part: sixels to pixels, red, green and blue in per cent; `None` where nothing was painted.
    fn decode(sixels: &[u8], width: usize, height: usize) -> Vec<Option<[usize; 3]>> {
        let text = std::str::from_utf8(sixels).unwrap();
        let text = text.strip_prefix(&format!("\x1bP0;1;0q\"1;1;{width};{height}")).unwrap();
        let mut characters = text.strip_suffix("\x1b\\").unwrap().chars().peekable();
        let (mut colours, mut pixels) = (vec![[0; 3]; 256], vec![None; width * height]);
        let (mut colour, mut x, mut band) = (0, 0, 0);
        while let Some(character) = characters.next() {
            let mut number = || {
                let mut value = 0;
                while let Some(digit) = characters.peek().and_then(|digit| digit.to_digit(10)) {
                    value = value * 10 + digit as usize;
                    characters.next();
                }
                value
            };
            let (mut times, mut sixel) = (1, character);
            match character {
                '#' => {
                    colour = number();
                    if characters.next_if_eq(&';').is_some() {
                        let text: String =
                            std::iter::from_fn(|| characters.next_if(|c| c.is_ascii_digit() || *c == ';')).collect();
                        let numbers: Vec<usize> = text.split(';').map(|number| number.parse().unwrap()).collect();
                        assert_eq!(numbers[0], 2);
                        colours[colour] = [numbers[1], numbers[2], numbers[3]];
                    }
                    continue;
                }
                '$' => x = 0,
                '-' => (x, band) = (0, band + BAND),
                '!' => {
                    times = number();
                    sixel = characters.next().unwrap();
                }
                _ => {}
            }
            if ('?'..='~').contains(&sixel) {
                for row in (0..BAND).filter(|row| (sixel as usize - 63) >> row & 1 == 1) {
                    pixels[(band + row) * width + x..][..times].fill(Some(colours[colour]));
                }
                x += times;
            }
        }
        pixels
    }

    fn decoded(preview: &Preview) -> Vec<[usize; 3]> {
        let mut out = Vec::new();
        encode(preview, &mut out);
        decode(&out, preview.width() as usize, preview.height() as usize).into_iter().map(Option::unwrap).collect()
    }

    #[test]
    fn pure_colours_come_out_as_they_are_in_their_places() {
        let colours = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [0, 0, 0], [255, 255, 255], [255, 0, 255]];
        let preview = preview(23, 15, |x, y| colours[((x / 3 + y) % 7) as usize]);
        let pixels = decoded(&preview);
        for (pixel, rgb) in pixels.iter().zip(preview.rgb().as_chunks::<3>().0) {
            assert_eq!(*pixel, rgb.map(|channel| usize::from(channel) * 100 / 255));
        }
    }

    #[test]
    fn greys_are_fine_and_other_colours_are_right_on_the_average() {
        let grey = preview(256, 6, |x, _| [x as u8; 3]);
        for (pixel, rgb) in decoded(&grey).iter().zip(grey.rgb().as_chunks::<3>().0) {
            assert!((pixel[0] as f64 - f64::from(rgb[0]) / 2.55).abs() < 2.0, "{pixel:?} for {rgb:?}");
        }
        for rgb in [[200, 30, 90], [12, 34, 56], [250, 251, 1], [128, 127, 100]] {
            let pixels = decoded(&preview(32, 24, |_, _| rgb));
            for channel in 0..3 {
                let mean = pixels.iter().map(|pixel| pixel[channel]).sum::<usize>() as f64 / pixels.len() as f64;
                assert!((mean - f64::from(rgb[channel]) / 2.55).abs() < 2.0, "{mean} % for {rgb:?}");
            }
        }
    }
}
