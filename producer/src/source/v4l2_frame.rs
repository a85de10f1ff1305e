//! What is done with a camera's buffer: into the slot with its rows where they belong, or decoded; when it was taken;
//! what was lost before it.
//!
//! One copy from the driver's buffer to the slot is what memory-mapped capture costs. Without it the driver would have
//! to fill our slots (`V4L2_MEMORY_USERPTR`, `DMABUF`), which many can not, and which would leave it the slots that
//! viewers hold.

use std::io::Cursor;
use std::time::Duration;

use framebus::ImageShape;
use image::codecs::jpeg::JpegDecoder;
use image::{ColorType, ImageDecoder};

/// `V4L2_BUF_FLAG_TIMESTAMP_MASK` and `V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC` of linux/videodev2.h.
const TIMESTAMP_MASK: u32 = 0x0000_e000;
const TIMESTAMP_MONOTONIC: u32 = 0x0000_2000;

/// SOI, and an APP0 segment of 16 bytes with the name `AVI1`.
const MOTION_JPEG_BEGIN: &[u8] = b"\xff\xd8\xff\xe0\x00\x10AVI1\0\0\0\0\0\0\0\0\0\0";

/// A time of capture that is longer ago is none.
const OLDEST: Duration = Duration::from_secs(10);

/// Copies a frame of shape `from` into a slot of shape `to`, of the same size and format, each with its own strides: at
/// once where these are the same, else row by row.
pub(super) fn copy(from: &ImageShape, bytes: &[u8], to: &ImageShape, slot: &mut [u8]) -> Result<(), String> {
    // A driver may leave out the padding after the last row.
    let needed = from.planes().map(|plane| plane.row(plane.rows.saturating_sub(1)).end).max().unwrap_or(0);
    if bytes.len() < needed {
        return Err(format!("it has {} bytes, expected {needed}", bytes.len()));
    }
    if from == to {
        let bytes = &bytes[..bytes.len().min(from.frame_bytes())];
        slot[..bytes.len()].copy_from_slice(bytes);
    } else {
        for (from, to) in from.planes().zip(to.planes()) {
            for row in 0..from.rows {
                slot[to.row(row)].copy_from_slice(&bytes[from.row(row)]);
            }
        }
    }
    // V4L2's samples of 16 bits are little-endian, a frame's as the machine has them.
    if cfg!(target_endian = "big") && to.format().sample_bytes() == 2 {
        slot.chunks_exact_mut(2).for_each(|sample| sample.swap(0, 1));
    }
    Ok(())
}

/// Decodes a JPEG of the slot's size into its rgb8 pixels, straight into a slot without padding.
///
/// Cameras leave out the Huffman tables, which are always those of ITU-T T.81 K.3; the decoder adds them where the file
/// says that it is Motion JPEG, so we say it.
pub(super) fn decode(bytes: &[u8], to: &ImageShape, slot: &mut [u8]) -> Result<(), String> {
    let in_words = |error: image::ImageError| error.to_string();
    let Some(rest) = bytes.strip_prefix(b"\xff\xd8") else {
        return Err("it is no JPEG".to_owned());
    };
    let decoder = JpegDecoder::new(Cursor::new([MOTION_JPEG_BEGIN, rest].concat())).map_err(in_words)?;
    let (found, expected) = (decoder.dimensions(), (to.width(), to.height()));
    if found != expected || decoder.color_type() != ColorType::Rgb8 {
        let (width, height) = found;
        return Err(format!("it is a JPEG of {width} × {height} {:?}, expected {to}", decoder.color_type()));
    }
    if to.is_tight() {
        return decoder.read_image(&mut slot[..to.frame_bytes()]).map_err(in_words);
    }
    let tight = ImageShape::new(to.width(), to.height(), to.format()).map_err(|error| error.to_string())?;
    let mut pixels = vec![0; tight.frame_bytes()];
    decoder.read_image(&mut pixels).map_err(in_words)?;
    copy(&tight, &pixels, to, slot)
}

/// When a buffer was taken, in ns of `CLOCK_MONOTONIC`, where its flags say that its timestamp is of that clock, and
/// the timestamp can be true.
pub(super) fn taken_ns(flags: u32, timestamp: Duration, now_ns: u64) -> Option<u64> {
    let taken_ns = u64::try_from(timestamp.as_nanos()).ok().filter(|&taken_ns| taken_ns > 0)?;
    let age_ns = now_ns.checked_sub(taken_ns)?;
    (flags & TIMESTAMP_MASK == TIMESTAMP_MONOTONIC && age_ns <= OLDEST.as_nanos() as u64).then_some(taken_ns)
}

/// Frames between two that came, by the driver's numbers, which wrap around. Some drivers do not count at all.
pub(super) fn lost_between(before: Option<u32>, number: u32) -> u64 {
    let step = before.map_or(1, |before| number.wrapping_sub(before));
    // Back is no gap: the driver began anew.
    if step > u32::MAX / 2 { 0 } else { u64::from(step.saturating_sub(1)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use framebus::PixelFormat as F;
    use image::codecs::jpeg::JpegEncoder;

    #[test]
    fn rows_of_every_plane_come_to_where_the_slot_has_them() {
        for format in F::all() {
            let to = ImageShape::new(6, 4, format).unwrap();
            let from = ImageShape::with_stride(6, 4, format, to.stride_bytes() + 8).unwrap();
            let mut bytes = vec![0xff; from.frame_bytes()];
            for (index, plane) in from.planes().enumerate() {
                for row in 0..plane.rows {
                    bytes[plane.row(row)].fill((10 * index + row) as u8);
                }
            }
            let mut slot = vec![0xee; to.frame_bytes()];
            copy(&from, &bytes, &to, &mut slot).unwrap();
            for (index, plane) in to.planes().enumerate() {
                for row in 0..plane.rows {
                    assert!(slot[plane.row(row)].iter().all(|&byte| byte == (10 * index + row) as u8), "{format}");
                }
            }
        }
    }

    #[test]
    fn a_buffer_may_lack_the_last_padding_and_nothing_else() {
        let shape = ImageShape::with_stride(4, 3, F::Mono8, 8).unwrap();
        let mut slot = [9; 24];
        copy(&shape, &[1; 20], &shape, &mut slot).unwrap();
        assert_eq!((slot[19], slot[20]), (1, 9));
        assert_eq!(copy(&shape, &[1; 19], &shape, &mut slot).unwrap_err(), "it has 19 bytes, expected 20");
    }

    fn jpeg(width: u32, height: u32) -> Vec<u8> {
        let pixels: Vec<u8> = (0..width * height).flat_map(|_| [200, 30, 60]).collect();
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, 95).encode(&pixels, width, height, ColorType::Rgb8.into()).unwrap();
        bytes
    }

    fn assert_is_red(pixel: &[u8]) {
        assert!(pixel.iter().zip([200, 30, 60]).all(|(&found, expected)| found.abs_diff(expected) < 6), "{pixel:?}");
    }

    #[test]
    fn a_jpeg_is_decoded_whatever_the_slots_stride() {
        let bytes = jpeg(16, 8);
        for stride in [48, 64] {
            let shape = ImageShape::with_stride(16, 8, F::Rgb8, stride).unwrap();
            let mut slot = vec![0; shape.frame_bytes()];
            decode(&bytes, &shape, &mut slot).unwrap();
            let plane = shape.planes().next().unwrap();
            assert_is_red(&slot[plane.row(7)][45..]);
        }
    }

    #[test]
    fn a_jpeg_without_huffman_tables_is_decoded_as_cameras_send_it() {
        let whole = jpeg(16, 8);
        let (mut bytes, mut at) = (whole[..2].to_vec(), 2);
        // Up to the scan, each segment is FF, its kind, its length.
        while whole[at + 1] != 0xda {
            let end = at + 2 + usize::from(u16::from_be_bytes([whole[at + 2], whole[at + 3]]));
            if whole[at + 1] != 0xc4 {
                bytes.extend_from_slice(&whole[at..end]);
            }
            at = end;
        }
        bytes.extend_from_slice(&whole[at..]);
        assert!(bytes.len() + 400 < whole.len());
        let shape = ImageShape::new(16, 8, F::Rgb8).unwrap();
        let mut slot = vec![0; shape.frame_bytes()];
        decode(&bytes, &shape, &mut slot).unwrap();
        assert_is_red(&slot[..3]);
    }

    #[test]
    fn what_is_no_picture_of_that_size_is_an_error() {
        let shape = ImageShape::new(16, 8, F::Rgb8).unwrap();
        let mut slot = vec![0; shape.frame_bytes()];
        assert!(decode(b"", &shape, &mut slot).is_err());
        assert!(decode(&jpeg(16, 8)[..60], &shape, &mut slot).is_err());
        let why = decode(&jpeg(8, 8), &shape, &mut slot).unwrap_err();
        assert_eq!(why, "it is a JPEG of 8 × 8 Rgb8, expected 16 × 8 rgb8");
    }

    #[test]
    fn a_timestamp_counts_where_it_is_of_our_clock_and_can_be_true() {
        let (second, now_ns) = (Duration::from_secs(1), 5_000_000_000);
        assert_eq!(taken_ns(TIMESTAMP_MONOTONIC | 0x10001, second, now_ns), Some(1_000_000_000));
        for (flags, timestamp) in [
            (0, second),
            (0x4000, second),
            (TIMESTAMP_MONOTONIC, Duration::ZERO),
            (TIMESTAMP_MONOTONIC, Duration::from_secs(6)),
            (TIMESTAMP_MONOTONIC, Duration::MAX),
        ] {
            assert_eq!(taken_ns(flags, timestamp, now_ns), None);
        }
        assert_eq!(taken_ns(TIMESTAMP_MONOTONIC, second, 12_000_000_000), None);
    }

    #[test]
    fn gaps_in_the_drivers_numbers_are_lost_frames() {
        assert_eq!(lost_between(None, 700), 0);
        assert_eq!(lost_between(Some(4), 5), 0);
        assert_eq!(lost_between(Some(4), 8), 3);
        assert_eq!(lost_between(Some(u32::MAX), 1), 1);
        assert_eq!(lost_between(Some(0), 0), 0);
        assert_eq!(lost_between(Some(900), 0), 0);
    }
}
