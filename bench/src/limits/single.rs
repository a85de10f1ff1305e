//! Limits in one thread: a reading of the clock, a copy of a frame.

use crate::samples::Samples;
use anyhow::Result;
use std::hint::black_box;
use std::time::Duration;

/// framebus pays one a frame, for the publish time.
pub fn clock(time: Duration, samples: &mut Samples) -> Result<()> {
    crate::work::batches(time, samples, || {
        black_box(crate::clock::now_ns());
        Ok(())
    })
}

/// What every bus that copies pays at least once a frame.
pub fn memcpy(bytes: usize, time: Duration, samples: &mut Samples) -> Result<()> {
    let (from, mut to) = (vec![1_u8; bytes], vec![0_u8; bytes]);
    crate::work::batches(time, samples, || {
        black_box(&mut to).copy_from_slice(black_box(&from));
        Ok(())
    })
}
