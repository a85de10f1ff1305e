//! Random pixels, others in each frame, the same for a sequence in every run.
//!
//! All samples are random over their whole range; alpha is opaque, luma and chroma of video keep to 16 to 235, and depth is
//! 0.5 to 10 m, with none (NaN) at one of 64 pixels.

use framebus::{ImageShape, PixelFormat as F};

use crate::source::random::mix;

/// Random pixels.
#[derive(Debug)]
pub(super) struct Noise {
    shape: ImageShape,
}

impl Noise {
    pub(super) fn new(shape: &ImageShape) -> Self {
        Self { shape: *shape }
    }

    /// Draws a frame.
    pub(super) fn draw(&self, bytes: &mut [u8], sequence: u64) {
        if !self.shape.is_tight() {
            bytes.fill(0);
        }
        let mut seed = mix(sequence);
        for plane in self.shape.planes() {
            for row in 0..plane.rows {
                let samples = &mut bytes[plane.row(row)];
                seed = fill(samples, seed);
                self.limit(samples);
            }
        }
    }

    /// Makes samples of random bits.
    fn limit(&self, samples: &mut [u8]) {
        match self.shape.format() {
            F::Rgba8 | F::Bgra8 => samples.chunks_exact_mut(4).for_each(|pixel| pixel[3] = 255),
            F::Yuyv | F::Nv12 | F::I420 => {
                samples.iter_mut().for_each(|sample| *sample = 16 + ((u16::from(*sample) * 220) >> 8) as u8);
            }
            F::DepthF32 => samples.as_chunks_mut().0.iter_mut().for_each(|pixel| *pixel = depth(*pixel)),
            _ => {}
        }
    }
}

/// Fills a row with random bits; returns the seed of the next one.
fn fill(row: &mut [u8], seed: u64) -> u64 {
    let (words, rest) = row.as_chunks_mut();
    let mut number = seed;
    for word in words {
        number = number.wrapping_add(1);
        *word = mix(number).to_ne_bytes();
    }
    let last = mix(number.wrapping_add(1)).to_ne_bytes();
    rest.copy_from_slice(&last[..rest.len()]);
    number.wrapping_add(2)
}

fn depth(bits: [u8; 4]) -> [u8; 4] {
    let bits = u32::from_ne_bytes(bits);
    let metres = if bits.is_multiple_of(64) { f32::NAN } else { 0.5 + (bits >> 8) as f32 / (1 << 24) as f32 * 9.5 };
    metres.to_ne_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(format: F, sequence: u64) -> Vec<u8> {
        let shape = ImageShape::new(102, 100, format).unwrap();
        let mut bytes = vec![0; shape.frame_bytes()];
        Noise::new(&shape).draw(&mut bytes, sequence);
        bytes
    }

    #[test]
    fn every_level_is_about_as_frequent_as_every_other() {
        for format in [F::Mono8, F::Mono16, F::Rgb8, F::BayerGbrg16] {
            let bytes = frame(format, 3);
            let mut counts = [0_usize; 256];
            bytes.iter().for_each(|&byte| counts[byte as usize] += 1);
            let mean = bytes.len() / 256;
            assert!(counts.iter().all(|&count| count > mean / 4 && count < mean * 2), "{format}: {counts:?}");
        }
    }

    #[test]
    fn samples_keep_to_what_their_format_means() {
        for format in [F::Yuyv, F::Nv12, F::I420] {
            assert!(frame(format, 1).iter().all(|sample| (16..=235).contains(sample)), "{format}");
        }
        assert!(frame(F::Rgba8, 1).chunks(4).all(|pixel| pixel[3] == 255));
        let metres: Vec<f32> =
            frame(F::DepthF32, 1).as_chunks().0.iter().map(|pixel| f32::from_ne_bytes(*pixel)).collect();
        assert!(metres.iter().all(|metres| metres.is_nan() || (0.5..=10.0).contains(metres)));
        let none = metres.iter().filter(|metres| metres.is_nan()).count();
        assert!((80..250).contains(&none), "{none}");
    }
}
