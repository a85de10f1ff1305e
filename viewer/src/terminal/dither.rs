//! Ordered dithering: a fine chequered pattern between two colours looks like one in between, and does not crawl.

/// 0 to 15, in the order in which a square of 4 × 4 is filled.
const PATTERN: [[u16; 4]; 4] = [[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]];

/// How many 255ths of the way to the next colour a pixel at (x, y) must be, to get that one.
pub(crate) fn threshold(x: usize, y: usize) -> u16 {
    PATTERN[y % 4][x % 4] * 16 + 8
}
