//! The end of a stream that waits for its readers: it waits for them at its end too.
//!
//! A stream that is closed has no frames any more, also none that a reader had not come to. So before a stream with
//! `on_full = "wait"` is closed, its readers get the time to take the last frames.

use std::thread::sleep;
use std::time::{Duration, Instant};

use framebus::StreamName;

use crate::stop::Stop;

/// A reader that takes no frame for so long at least is not waited for any longer: it may only be looking now and then.
const LEAST_PATIENCE: Duration = Duration::from_secs(1);

/// Time between two looks; each asks the kernel for its table of segments.
const LOOK: Duration = Duration::from_millis(2);

/// Waits until every reader has taken frame `last`; gives up when nobody has taken a frame for the patience, or on Ctrl-C.
pub(crate) fn wait_for_readers(name: &StreamName, last: Option<u64>, patience: Duration, stop: &Stop) {
    let Some(last) = last else { return };
    let patience = patience.max(LEAST_PATIENCE);
    let (mut behind, mut since) = (Vec::new(), Instant::now());
    while !stop.is_asked() {
        // Where the kernel does not tell, nobody can be waited for.
        let Ok(streams) = framebus::list() else { return };
        let Some(stream) = streams.into_iter().find(|stream| stream.name == *name) else { return };
        let taken = stream.subscribers.iter().map(|reader| reader.counters.last_sequence);
        let now: Vec<u64> = taken.filter(|&sequence| sequence < last).collect();
        if now.is_empty() {
            return;
        }
        if now != behind {
            (behind, since) = (now, Instant::now());
        } else if since.elapsed() >= patience {
            tracing::warn!("closing stream {name}: {} readers have not taken its last frame, {last}", behind.len());
            return;
        }
        sleep(LOOK);
    }
}
