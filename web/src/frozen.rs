//! Frames that a browser has frozen: copies, so that nobody is held up by who looks at one for an hour.
//!
//! What a stream is frozen at is handed from want to want, in the order in which the browser sent them:
//!
//! ```text
//!   picture    freeze ────▸ step ────▸ thaw ────▸ freeze     each waits for the one before it
//!                 └▸ pixel    └▸ picture └▸ picture          these wait for the one before them, and hold nobody up
//! ```
//! So a freeze that waits for its frame is not overtaken by the thaw behind it, and what is read between the two is of the
//! frozen frame.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use crate::lock;
use crate::still::Still;
use crate::watch::Key;

/// Most that a browser may have at a time.
const MOST: usize = 4;

/// Memory for the frozen frames of all browsers.
#[derive(Debug)]
pub(crate) struct Room {
    most_bytes: usize,
    used_bytes: Mutex<usize>,
}

impl Room {
    pub(crate) fn new(most_bytes: usize) -> Self {
        Self { most_bytes, used_bytes: Mutex::new(0) }
    }

    /// Takes some for a frame, which comes in the place of `before`.
    fn take(self: &Arc<Self>, still: Arc<Still>, before: Option<&Kept>) -> Result<Kept, String> {
        let bytes = still.bytes();
        let mut used = lock(&self.used_bytes);
        let others = used.saturating_sub(before.map_or(0, |before| before.bytes));
        if others.saturating_add(bytes) > self.most_bytes {
            return Err(format!(
                "no room to freeze a frame of {bytes} bytes: the frozen frames of all browsers have {others} of {} \
                 bytes; let another stream go on first",
                self.most_bytes
            ));
        }
        *used += bytes;
        Ok(Kept { still, bytes, room: self.clone() })
    }
}

/// A frozen frame, and its memory.
#[derive(Debug)]
pub(crate) struct Kept {
    pub still: Arc<Still>,
    bytes: usize,
    room: Arc<Room>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        *lock(&self.room.used_bytes) -= self.bytes;
    }
}

/// What a stream is frozen at: nothing, as a rule.
type State = Option<Arc<Kept>>;

/// What a change has come to; `None` before it is done.
type Outcome = Option<State>;

/// A browser's frozen frames, one a stream.
pub(crate) struct Frozen {
    room: Arc<Room>,
    rows: Mutex<BTreeMap<Key, Row>>,
}

/// What is under way for a stream.
struct Row {
    /// The last change that was asked for.
    last: watch::Receiver<Outcome>,
    /// Whether a frame is kept at present.
    is_frozen: bool,
}

/// A want's place in the row of its stream. A change that is dropped has changed nothing.
pub(crate) struct Turn {
    key: Key,
    before: watch::Receiver<Outcome>,
    change: Option<watch::Sender<Outcome>>,
}

impl Turn {
    /// What the stream is frozen at, when all changes that were asked for before are done.
    pub(crate) async fn come(&mut self) -> State {
        // A change that has ended in any way has told its outcome.
        self.before.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone().flatten())
    }

    fn settle(&mut self, state: State) {
        if let Some(change) = self.change.take() {
            change.send_replace(Some(state));
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let before = self.before.borrow().clone().flatten();
        self.settle(before);
    }
}

impl Frozen {
    pub(crate) fn new(room: Arc<Room>) -> Self {
        Self { room, rows: Mutex::default() }
    }

    /// The place of a want behind those that came before; with `changes` it is one that freezes or thaws.
    pub(crate) fn queue(&self, key: &Key, changes: bool) -> Turn {
        let mut rows = lock(&self.rows);
        let before = rows.get(key).map_or_else(|| watch::channel(Some(None)).1, |row| row.last.clone());
        let change = changes.then(|| {
            let (change, last) = watch::channel(None);
            let row = rows.entry(key.clone()).or_insert_with(|| Row { last: last.clone(), is_frozen: false });
            row.last = last;
            change
        });
        Turn { key: key.clone(), before, change }
    }

    /// Whether one more stream can be frozen, if it is another one.
    ///
    /// # Errors
    /// In words: there are too many.
    pub(crate) fn check(&self, turn: &Turn) -> Result<(), String> {
        let rows = lock(&self.rows);
        match rows.iter().filter(|(key, row)| row.is_frozen && **key != turn.key).count() < MOST {
            true => Ok(()),
            false => {
                Err(format!("{MOST} streams are frozen already, the most that may be: let one of them go on first"))
            }
        }
    }

    /// Keeps a frame in the place of what was frozen before.
    ///
    /// # Errors
    /// As for [`check`](Self::check), or there is no room.
    pub(crate) fn keep(&self, mut turn: Turn, still: Arc<Still>) -> Result<(), String> {
        self.check(&turn)?;
        let before = turn.before.borrow().clone().flatten();
        let kept = self.room.take(still, before.as_deref())?;
        if let Some(row) = lock(&self.rows).get_mut(&turn.key) {
            row.is_frozen = true;
        }
        turn.settle(Some(Arc::new(kept)));
        Ok(())
    }

    /// Lets a stream go on.
    pub(crate) fn thaw(&self, mut turn: Turn) {
        let mut rows = lock(&self.rows);
        if let Some(row) = rows.get_mut(&turn.key) {
            row.is_frozen = false;
            // Where nobody is behind us, there is nothing more to know.
            if turn.change.as_ref().is_some_and(|change| change.subscribe().same_channel(&row.last)) {
                rows.remove(&turn.key);
            }
        }
        drop(rows);
        turn.settle(None);
    }
}
