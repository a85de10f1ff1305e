//! Frames without any header, each as long as the stream's: `raw:PATH`, `raw:-`.

use super::input::{Ended, Input};
use super::{Arrival, Order, Written, written};

/// Headerless frames.
#[derive(Debug)]
pub(crate) struct Raw {
    input: Input,
    frame_bytes: usize,
    start_over: bool,
    /// Number of the frame that is read, from 1, over all rounds.
    frame: u64,
    /// Whether there was a frame since the file was begun.
    any: bool,
}

impl Raw {
    pub(crate) fn open(input: Input) -> Self {
        Self { input, frame_bytes: 0, start_over: false, frame: 0, any: false }
    }

    pub(crate) fn prepare(&mut self, order: &Order) -> anyhow::Result<()> {
        if order.start_over {
            self.input.check_can_rewind()?;
        }
        (self.frame_bytes, self.start_over) = (order.content.capacity_bytes(), order.start_over);
        Ok(())
    }

    pub(crate) fn arrive(&mut self) -> anyhow::Result<Arrival> {
        loop {
            match self.input.peek()? {
                Ended::Whole => {
                    (self.frame, self.any) = (self.frame + 1, true);
                    return Ok(Arrival::Frame);
                }
                // A file that is empty would start over for ever.
                Ended::Short(_) if self.start_over && self.any => {
                    self.input.rewind_to(0)?;
                    self.any = false;
                }
                Ended::Short(_) | Ended::Stopped => return Ok(Arrival::End),
            }
        }
    }

    pub(crate) fn write(&mut self, bytes: &mut [u8]) -> anyhow::Result<Written> {
        let ended = self.input.read_whole(bytes)?;
        written(ended, &self.input, self.frame, 0, self.frame_bytes)
    }

    pub(crate) fn skip(&mut self) -> anyhow::Result<Written> {
        let ended = self.input.skip(self.frame_bytes)?;
        written(ended, &self.input, self.frame, 0, self.frame_bytes)
    }
}
