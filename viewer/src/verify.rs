//! `--verify`: every byte of every frame against the mark that its source put there.

use anyhow::bail;
use framebus::mark::{self, MarkError};

/// So many torn frames are described; the rest is only counted.
const DESCRIBED: u64 = 5;

/// What was verified so far.
#[derive(Debug, Default)]
pub(crate) struct Verifier {
    pub verified: u64,
    pub torn: u64,
}

impl Verifier {
    /// Verifies a frame; returns what there is to say about it.
    ///
    /// # Errors
    /// Where the stream's frames bear no marks: there is nothing to verify then, and all would look well for ever.
    pub(crate) fn check(&mut self, bytes: &[u8], sequence: u64, stream: &str) -> anyhow::Result<Option<String>> {
        let error = match mark::verify(bytes, sequence) {
            Ok(()) => {
                self.verified += 1;
                return Ok(None);
            }
            Err(error) => error,
        };
        // Behind frames with good marks, one without is a frame whose mark was destroyed.
        if error == MarkError::None && self.verified == 0 {
            bail!("can not verify stream {stream}: {error}; leave --verify out");
        }
        self.verified += 1;
        self.torn += 1;
        Ok((self.torn <= DESCRIBED).then(|| format!("frame {sequence} of stream {stream} is bad: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(sequence: u64) -> Vec<u8> {
        let mut frame = vec![9; 256];
        mark::stamp(&mut frame, sequence, 0);
        frame
    }

    #[test]
    fn a_changed_byte_is_counted_as_torn() {
        let mut verifier = Verifier::default();
        assert!(verifier.check(&marked(1), 1, "a/b").unwrap().is_none());
        let mut frame = marked(2);
        frame[200] ^= 1;
        let remark = verifier.check(&frame, 2, "a/b").unwrap().unwrap();
        assert!(remark.contains("frame 2 of stream a/b") && remark.contains("torn"), "{remark}");
        assert_eq!((verifier.verified, verifier.torn), (2, 1));
    }

    #[test]
    fn a_stream_without_marks_is_an_error_and_a_lost_mark_is_torn() {
        let mut verifier = Verifier::default();
        let error = verifier.check(&[0; 256], 1, "a/b").unwrap_err().to_string();
        assert!(error.starts_with("can not verify stream a/b: the frame bears no mark"), "{error}");
        verifier.check(&marked(2), 2, "a/b").unwrap();
        assert!(verifier.check(&[0; 256], 3, "a/b").is_ok());
        assert_eq!(verifier.torn, 1);
    }
}
