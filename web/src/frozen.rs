//! Frames that a browser has frozen: copies, so that nobody is held up by who looks at one for an hour.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::lock;
use crate::still::Still;
use crate::watch::Key;

/// Most that a browser may have at a time.
const MOST: usize = 4;

/// A browser's frozen frames, one a stream.
#[derive(Default)]
pub(crate) struct Frozen(Mutex<BTreeMap<Key, Arc<Still>>>);

impl Frozen {
    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Still>> {
        lock(&self.0).get(key).cloned()
    }

    /// Whether this stream can be frozen.
    ///
    /// # Errors
    /// In words: there are too many.
    pub(crate) fn check(&self, key: &Key) -> Result<(), String> {
        let frozen = lock(&self.0);
        match frozen.contains_key(key) || frozen.len() < MOST {
            true => Ok(()),
            false => {
                Err(format!("{MOST} streams are frozen already, the most that may be: let one of them go on first"))
            }
        }
    }

    /// Keeps a frame.
    ///
    /// # Errors
    /// As for [`check`](Self::check).
    pub(crate) fn keep(&self, key: Key, still: Arc<Still>) -> Result<(), String> {
        self.check(&key)?;
        lock(&self.0).insert(key, still);
        Ok(())
    }

    /// Lets a stream go on.
    pub(crate) fn thaw(&self, key: &Key) {
        lock(&self.0).remove(key);
    }
}
