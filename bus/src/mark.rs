//! A mark in a frame's first bytes, by which a reader can verify every byte of the frame.
//!
//! ```text
//! 0  "FBMK"   4  CRC-32 (IEEE) of all bytes from 8 on   8  sequence   16  capture time, ns   24  bytes of the frame
//! ```
//! Numbers are in the machine's byte order. In a picture the mark shows as a few odd pixels at the top left.

/// Bytes of a mark; a frame must have at least so many.
pub const MARK_BYTES: usize = 32;
const MAGIC: [u8; 4] = *b"FBMK";

/// Why a frame is not what its publisher wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MarkError {
    /// The frame bears no mark.
    #[error("the frame bears no mark: its source does not make marked frames (the pattern source does)")]
    None,
    /// The mark is another frame's.
    #[error("the frame's bytes are those of frame {found}, expected frame {expected}")]
    Sequence {
        /// Sequence in the mark.
        found: u64,
        /// Sequence of the frame.
        expected: u64,
    },
    /// The bytes are not those that were marked.
    #[error(
        "the bytes of frame {sequence} have the check sum {found:#010x}, expected {expected:#010x}: the frame is torn"
    )]
    Torn {
        /// Sequence of the frame.
        sequence: u64,
        /// Sum over the bytes.
        found: u32,
        /// Sum in the mark.
        expected: u32,
    },
}

/// Marks a frame: overwrites its first [`MARK_BYTES`] bytes. Call it last of all.
///
/// # Panics
/// Where the frame is shorter than a mark.
pub fn stamp(frame: &mut [u8], sequence: u64, capture_ns: u64) {
    let len = frame.len() as u64;
    frame[8..16].copy_from_slice(&sequence.to_ne_bytes());
    frame[16..24].copy_from_slice(&capture_ns.to_ne_bytes());
    frame[24..32].copy_from_slice(&len.to_ne_bytes());
    let sum = crc32fast::hash(&frame[8..]);
    frame[4..8].copy_from_slice(&sum.to_ne_bytes());
    frame[..4].copy_from_slice(&MAGIC);
}

/// Verifies every byte of a marked frame.
///
/// # Errors
/// [`MarkError`].
///
/// ```
/// use framebus::mark;
/// let mut frame = vec![3; 1000];
/// mark::stamp(&mut frame, 17, 0);
/// assert_eq!(mark::verify(&frame, 17), Ok(()));
/// frame[999] ^= 1;
/// assert!(mark::verify(&frame, 17).is_err());
/// ```
pub fn verify(frame: &[u8], sequence: u64) -> Result<(), MarkError> {
    if frame.len() < MARK_BYTES || frame[..4] != MAGIC {
        return Err(MarkError::None);
    }
    let word = |at: usize| u64::from_ne_bytes(std::array::from_fn(|byte| frame[at + byte]));
    let expected = u32::from_ne_bytes(std::array::from_fn(|byte| frame[4 + byte]));
    let found = crc32fast::hash(&frame[8..]);
    if found != expected || word(24) != frame.len() as u64 {
        return Err(MarkError::Torn { sequence, found, expected });
    }
    if word(8) != sequence {
        return Err(MarkError::Sequence { found: word(8), expected: sequence });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_one_frame_and_half_of_another_is_torn() {
        let frame = |sequence: u64, byte: u8| {
            let mut frame = vec![byte; 4096];
            stamp(&mut frame, sequence, 1);
            frame
        };
        let (one, two) = (frame(1, 1), frame(2, 2));
        let mut torn = one.clone();
        torn[2048..].copy_from_slice(&two[2048..]);
        assert!(matches!(verify(&torn, 1), Err(MarkError::Torn { .. })));
        assert_eq!(verify(&two, 1), Err(MarkError::Sequence { found: 2, expected: 1 }));
        assert_eq!(verify(&[0; 100], 1), Err(MarkError::None));
        assert_eq!(verify(&two, 2), Ok(()));
    }
}
